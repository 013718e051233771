"""What a run leaves behind: the names of its files, and the one reader and writer of them."""
