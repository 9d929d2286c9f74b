"""The adversary: searches what chance and hostile members may do, within a budget, for the worst of it."""
