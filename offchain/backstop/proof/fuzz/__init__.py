"""Random actions on model and chain: generators, checks after each action, and handling of failures."""
