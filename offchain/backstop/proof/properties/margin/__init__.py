"""Properties of the margin market, by what they look at."""
