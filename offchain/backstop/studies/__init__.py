"""Many runs: comparisons, stress studies, searches for the worst, published results played again."""
