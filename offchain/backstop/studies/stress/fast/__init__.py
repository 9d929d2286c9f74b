"""Fast engine for many paths: the protocol's rules in compiled floats, one path after the other.

Vaults are sorted by the price at which they become unsafe, so that the cost of a step depends on its events,
not on the number of vaults. docs/reference/stress-engines.md lists the omissions of the engine, and
docs/explanation/fast-engine-accuracy.md its error against the exact engine.
"""

from hashlib import sha256
from pathlib import Path

from numba.core import config

from backstop.files.installation import cache_folder

_HERE = Path(__file__).parent
_SOURCES = b"".join(path.read_bytes() for path in sorted(_HERE.glob("*.py")))
# Numba's cache notices changes of a calling file, but not of the files that it calls: each state of the
# sources has its own folder, which has to be set before anything is compiled.
_CACHE = cache_folder() / "numba" / sha256(_SOURCES).hexdigest()[:16]
config.CACHE_DIR = str(_CACHE)

from backstop.studies.stress.fast.fast_engine import FastEngine  # noqa: E402

__all__ = ["FastEngine"]
