"""meta.json of a run: versions, time and place, which may differ between equal runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backstop.simulation.run_directory import SCHEMA_VERSION


def build_run_metadata(host: str, command: str, out: Path, seconds: float) -> dict[str, Any]:
    """Return the content of `meta.json`: host, time, duration, versions, command and directory.

    These fields may differ between equal runs.
    """
    from datetime import UTC, datetime

    return {
        "schema_version": SCHEMA_VERSION,
        "host": host,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": f"{seconds:.1f}",
        "versions": get_versions(),
        "command": command,
        "run_dir": str(out),
    }


def get_versions() -> dict[str, str]:
    """Return the versions of this program, its commit (in a checkout), Python and libraries."""
    import platform
    import subprocess
    from importlib.metadata import version
    from importlib.util import find_spec

    from backstop.files.installation import CHECKOUT, __version__
    from backstop.hosts.artifacts import get_vyper_snekmate_versions

    found = {"backstop": __version__}
    if CHECKOUT is not None and (CHECKOUT / ".git").exists():
        git = ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty"]
        said = subprocess.run(git, capture_output=True, text=True, check=False)
        if said.returncode == 0:
            found["commit"] = said.stdout.strip()
    found["python"] = platform.python_version()
    installed = {name: version(name) for name in ("pyrevm", "pyarrow") if find_spec(name) is not None}
    return found | get_vyper_snekmate_versions() | installed
