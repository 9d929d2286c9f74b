"""Audits: what a deployment owes and what stands behind it at one block, and proofs of every figure."""
