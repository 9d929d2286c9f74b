"""Attacks: searches for the worst that chance and hostile members may do within a budget."""
