"""Design-based estimates from the raw tables: what a question may name, and how it is answered."""
