"""Audits: a deployment's obligations and their backing at one block, with proofs of every figure."""
