"""What a self-made pair, long against short, earns in the margin market."""
