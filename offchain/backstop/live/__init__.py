"""A deployment on a chain that stays: deploying, operating and following it over JSON-RPC."""
