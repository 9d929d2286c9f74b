"""Repeated work of Vyper's compiler that is skipped. Its output stays the same, byte for byte."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def speed_up_compiler() -> Iterator[None]:
    """Context manager that reduces Vyper's compile time to little more than half; same output.

    It caches the results of the optimizer, which otherwise visits the nodes below a changed node again and
    again. It also makes garbage collection rarer. Syntax trees must not be changed inside the context.
    """
    from vyper.ir import optimizer

    whole = optimizer._optimize
    settled: dict[tuple[int, Any], Any] = {}  # the nodes too, or another could come to have the id of one

    def optimize(node: Any, parent: Any) -> tuple[bool, Any]:
        above = None if parent is None else parent.value
        if (id(node), above) in settled:
            return False, node
        changed, found = whole(node, parent)
        settled[id(found), above] = found
        return changed, found

    thresholds = gc.get_threshold()
    gc.set_threshold(200_000, 50, 100)
    optimizer._optimize = optimize
    try:
        yield
    finally:
        optimizer._optimize = whole
        gc.set_threshold(*thresholds)
