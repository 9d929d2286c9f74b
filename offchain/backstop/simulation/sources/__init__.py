"""Files of strangers: positions and prices as others keep them, read exactly for scenarios."""
