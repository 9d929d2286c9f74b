"""Many paths of one scenario: what they lose, who bears it, how sure the figures are."""
