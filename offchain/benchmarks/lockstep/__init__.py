"""Lockstep beside Ape with Hypothesis, Foundry and titanoboa, on vaults that other people wrote."""
