"""A campaign by the name of its file and its own."""

from __future__ import annotations

import importlib.util
import sys
from hashlib import sha256
from pathlib import Path

from backstop.errors import BackstopError
from backstop.lockstep.campaign import Campaign


def load_campaign(name: str, root: Path) -> Campaign:
    """Import the file of a campaign "file::name", relative to `root`, and return the campaign.

    Raises BackstopError if there is no such file or campaign.
    """
    file, _, attribute = name.partition("::")
    path = (root / file).resolve()
    if not path.is_file():
        raise BackstopError(f"{path} not found: the campaign {name} is named from the root of pytest, {root}")
    loaded = next(
        (each for each in list(sys.modules.values()) if _get_module_file(each) == path),
        None,
    )
    if loaded is None:
        digest = sha256(str(path).encode()).hexdigest()[:8]
        spec = importlib.util.spec_from_file_location(f"{path.stem}_{digest}", path)
        assert spec is not None and spec.loader is not None
        loaded = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        sys.path.insert(0, str(path.parent))
        try:
            spec.loader.exec_module(loaded)
        finally:
            sys.path.remove(str(path.parent))
    campaign: object = loaded
    for part in attribute.split("::"):
        campaign = getattr(campaign, part, None)
    if not isinstance(campaign, Campaign):
        raise BackstopError(f"{path} has no Campaign called {attribute!r}")
    return campaign


def _get_module_file(module: object) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if isinstance(file, str) else None
