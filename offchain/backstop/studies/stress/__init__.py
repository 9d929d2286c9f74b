"""Stress studies: what many paths of one scenario lose, who bears it, how sure the figures are."""
