"""What prediction cannot say: associations with their adjustment and correction, published evidence, and options."""
