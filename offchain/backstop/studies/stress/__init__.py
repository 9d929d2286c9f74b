"""Stress studies: losses of many paths of one scenario, their payers, and confidence intervals."""
