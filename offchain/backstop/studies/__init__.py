"""Studies of many runs: comparisons, stress, attacks, and reproductions of published results."""
