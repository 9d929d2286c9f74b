"""Repeated work of Vyper's compiler that is skipped. Its output stays the same, byte for byte."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def speed_up_compiler() -> Iterator[None]:
    """Reduce the time in which Vyper compiles to little more than half; no tree may be changed inside.

    Whenever its optimizer changes a node, it looks at all below that node once more, and so again for each
    node above. Here what came out of it is remembered, and comes back as it is: under an equal operation
    there is nothing left to do (it asks a parent for nothing else). And Python looks for cycles rarely.
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
