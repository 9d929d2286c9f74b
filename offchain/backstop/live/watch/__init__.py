"""A process that follows a chain is watched: metrics, health, alerts, a live page."""
