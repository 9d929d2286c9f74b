"""Lockstep beside Ape with Hypothesis, Foundry and titanoboa, on vaults of other people."""

from benchmarks.cli.bench_lockstep import cli

__all__ = ["cli"]
