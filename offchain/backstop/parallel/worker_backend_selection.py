"""The workers that a command's options ask for."""

from __future__ import annotations

from backstop.parallel.dask_workers import build_cluster_workers
from backstop.parallel.unordered_job_workers import Workers, build_process_workers, run_in_process


def select_workers(count: int, address: str | None) -> Workers:
    """Return workers on the Dask cluster at `address`, or in `count` local processes without one."""
    if address is not None:
        return build_cluster_workers(address)
    return run_in_process if count == 1 else build_process_workers(count)
