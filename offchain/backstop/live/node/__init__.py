"""A client for the nodes of a chain that outlives the command."""
