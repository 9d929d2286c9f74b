"""Release of free heap memory of a long-running process to the operating system.

The C library keeps the holes that large pieces leave between small ones that stay. It takes pieces out of the
heap up to the size of the largest piece that was ever freed, and has a heap for each of many threads. With
glibc, both settings can be changed.
"""

from __future__ import annotations

import ctypes

_LIBRARY = ctypes.CDLL(None)
# Names of malloc.h, and what they are set to: pieces of a page's size and more come and go by themselves.
_MMAP_THRESHOLD, _LARGE = -3, 1 << 16
_ARENA_MAX, _ARENAS = -8, 2


def configure_malloc_arenas_and_mmap() -> None:
    """Have malloc place large blocks outside the heap, and let all threads share two arenas.

    Large means 64 KiB or more. Call it before threads start. Without glibc's `mallopt` it does nothing.
    """
    choose = getattr(_LIBRARY, "mallopt", None)
    if choose is not None:
        choose(_MMAP_THRESHOLD, _LARGE)
        choose(_ARENA_MAX, _ARENAS)


def trim_heap() -> None:
    """Return free heap pages to the operating system. Without glibc's `malloc_trim` it does nothing."""
    trim = getattr(_LIBRARY, "malloc_trim", None)
    if trim is not None:
        trim(0)
