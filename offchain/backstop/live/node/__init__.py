"""One client for the nodes of a chain that stays."""
