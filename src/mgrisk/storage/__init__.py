"""Write files atomically, and lock outputs between processes."""
