"""Who is studied, what is predicted, what may not be used for it, and how people are split."""
