"""Random actions on model and chain: what they do, what must hold, what a failure becomes."""
