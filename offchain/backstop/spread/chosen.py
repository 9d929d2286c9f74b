"""The workers that a command's options ask for."""

from __future__ import annotations

from backstop.spread.cluster import cluster
from backstop.spread.workers import Workers, here, processes


def chosen_workers(count: int, address: str | None) -> Workers:
    """Return workers on Dask, by a scheduler's address, or processes."""
    if address is not None:
        return cluster(address)
    return here if count == 1 else processes(count)
