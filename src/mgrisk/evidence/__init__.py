"""Associations of magnesium with diabetes, corrected for measurement error; published evidence; what-if options."""
