"""A fast engine for many paths: the protocol's rules in floats, compiled, a path after the other.

Vaults are sorted by the price at which they become unsafe, so a step costs what happens in it and not what
there is. What it leaves out is in docs/stress.md, with its error against the exact engine.
"""

from hashlib import sha256
from pathlib import Path

from numba.core import config

from backstop.installation import cache_folder

_HERE = Path(__file__).parent
_SOURCES = b"".join(path.read_bytes() for path in sorted(_HERE.glob("*.py")))
# Numba notices changes of the file that calls, not of what it calls: a folder for each state of the sources,
# which has to be set before anything is compiled.
_CACHE = cache_folder() / "numba" / sha256(_SOURCES).hexdigest()[:16]
config.CACHE_DIR = str(_CACHE)  # type: ignore[attr-defined]

from backstop.studies.stress.fast.engine import Fast  # noqa: E402

__all__ = ["Fast"]
