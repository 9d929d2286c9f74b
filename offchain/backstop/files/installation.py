"""How this program is installed, a checkout or a wheel, and by which name its commands were started."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backstop.errors import BackstopError

__version__ = "0.2.0"

FIRST_VERSION = "0.1.0"
"""The version of files that name none: later versions write theirs."""

PACKAGE = Path(__file__).resolve().parents[1]


def _find_checkout() -> Path | None:
    """Return the root of the checkout that contains this package; None if installed from a wheel."""
    root = PACKAGE.parents[1]
    return root if PACKAGE.parent.name == "offchain" and (root / "contracts").is_dir() else None


CHECKOUT = _find_checkout()
"""The root of the checkout; None for an installed wheel."""

ROOT = CHECKOUT or PACKAGE
"""The folder that holds `contracts`, from which the contracts import each other."""

CONTRACTS = ROOT / "contracts"

SAMPLES = CHECKOUT / "docs" / "tutorials" / "samples" if CHECKOUT else PACKAGE / "samples"
"""Files of tutorials; each folder in it is one that `samples` copies."""

OLD_COMMANDS = {"bring": "import", "straddle": "self-hedge"}
"""Old name of a command -> its name. The old one works for one release; its folders stay readable."""

COMPILED = None if CHECKOUT else PACKAGE / "artifacts"
"""The contracts as the wheel's build compiled them; None in a checkout, where sources may change."""

EXTRAS = {
    "chain": (
        *("coincurve", "eth_account", "eth_utils", "hexbytes", "prometheus_client", "pyrevm", "rlp", "trie"),
        "urllib3",
    ),
    "cluster": ("distributed",),
    "web3": ("eth_abi", "web3"),
}
"""The modules that only an extra of the distribution brings."""

_APE = ("eth-ape==0.8.51", "ape-foundry==0.8.12", "ape-vyper==0.8.12")
_COMPILER = ("vyper==0.4.3", "snekmate==0.1.2", "cbor2")

TOOLS = {
    "ape": _APE,
    "cbor2": _COMPILER,
    "eth": ("py-evm==0.12.1b1",),
    "snekmate": _COMPILER,
    "vyper": _COMPILER,
}
"""The modules that no extra installs, as few need them besides a checkout, and the package for each."""


def cache_folder() -> Path:
    """Return the folder for compiled code: `.build` of a checkout, otherwise in the user's cache."""
    if CHECKOUT is not None:
        return CHECKOUT / ".build"
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (chosen if chosen.is_absolute() else Path.home() / ".cache") / "backstop"


def has_extra(name: str) -> bool:
    """Return True if all modules of an optional extra of the package are installed."""
    return all(importlib.util.find_spec(module) is not None for module in EXTRAS[name])


@contextmanager
def translate_missing_extra_errors() -> Iterator[None]:
    """Context manager that turns a missing optional module into a BackstopError with a pip command."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        asked = [f"backstop[{extra}]" for extra, modules in EXTRAS.items() if missing in modules]
        if packages := asked or TOOLS.get(missing):
            told = " ".join(map(repr, packages))
            raise BackstopError(f"this needs {missing}, which is not installed: pip install {told}") from None
        raise


def require_checkout(command: str) -> None:
    """Raise BackstopError if the package is installed from a wheel, where the command cannot work."""
    if CHECKOUT is None:
        raise BackstopError(
            f"{format_command_as_started(command)} needs a checkout: clone the repository, `make setup`, "
            f"`ape run {command}`"
        )


def refuse_other_checkout(here: Path | None = None) -> None:
    """Raise BackstopError if the current folder's checkout is not the one `backstop` is imported from.

    An environment is installed for one checkout; in a second checkout it would run the code of the first.
    """
    here = (here or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        own = folder / "offchain" / "backstop"
        if (own / "__init__.py").is_file():
            if own != PACKAGE:
                raise BackstopError(
                    f"this is the checkout {folder}, but `backstop` is imported from {PACKAGE}: "
                    f"run `make setup` here and use its .venv, or set PYTHONPATH={folder / 'offchain'}"
                )
            return


def format_command_as_started(command: str) -> str:
    """Return how to run a command, in the way this process was started: `ape run X` or `backstop X`."""
    started = Path(sys.argv[0] if sys.argv else "")
    if started.name == "backstop":
        return f"backstop {command}"
    if started.parts[-3:] == ("backstop", "cli", "__main__.py"):
        return f"python -m backstop.cli {command}"
    # A notebook or a test was not started by a command.
    return f"ape run {command}" if started.name == "ape" or CHECKOUT is not None else f"backstop {command}"
