"""A fast engine for many paths: the protocol's rules in floats, compiled, a path after the other.

Vaults are sorted by the price at which they become unsafe, so a step costs what happens in it and not what
there is. What it leaves out is in docs/stress.md, with its error against the exact engine.
"""

from hashlib import sha256
from pathlib import Path

from numba.core import config

_HERE = Path(__file__).parent
_SOURCES = b"".join(path.read_bytes() for path in sorted(_HERE.glob("*.py")))
# Numba notices changes of the file that calls, not of what it calls: a folder for each state of the sources.
config.CACHE_DIR = str(_HERE.parents[2] / ".build" / "numba" / sha256(_SOURCES).hexdigest()[:16])  # type: ignore[attr-defined]
