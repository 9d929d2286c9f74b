"""A watch over a process that follows a chain: metrics, health, alerts, a live page."""
