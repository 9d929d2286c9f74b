"""An sdist, the wheel of it, and that wheel installed where nothing else of a checkout is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from backstop.files.installation import CHECKOUT

assert CHECKOUT is not None
ROOT = CHECKOUT
BUILT_FROM = ("contracts", "docs", "LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.py")
BLOCKED = "BLOCKED_MODULES"


@dataclass(frozen=True)
class Built:
    """The distributions: the sdist, unpacked, and the wheels of the checkout and of the sdist."""

    sources: Path
    of_checkout: Path
    of_sdist: Path


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel: dependencies are those of the tests, nothing is downloaded."""

    python: Path
    package: Path
    work: Path
    cache: Path

    def run(self, *command: str | Path, core: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment in an empty folder; `core` hides what only extras bring."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        env["PATH"] = f"{self.python.parent}{os.pathsep}{env['PATH']}"
        env |= {"XDG_CACHE_HOME": str(self.cache), "PYTHONDONTWRITEBYTECODE": "1", "NUMBA_OPT": "0"}
        env |= {BLOCKED: ",".join(beyond_core())} if core else {}
        return subprocess.run(
            [self.python.with_name(str(command[0])), *command[1:]],
            cwd=self.work,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )


def beyond_core() -> list[str]:
    """Return the modules of the test environment that the distribution without extras does not ask for."""
    waiting, core = [Requirement("backstop")], set()
    while waiting:
        asked = waiting.pop()
        for extra in ("", *asked.extras):
            if (name := asked.name.lower().replace("_", "-"), extra) in core:
                continue
            core.add((name, extra))
            for each in map(Requirement, metadata.requires(name) or ()):
                if each.marker is None or each.marker.evaluate({"extra": extra}):
                    waiting.append(each)
    names = {name for name, _ in core}
    return [
        module
        for module, owners in metadata.packages_distributions().items()
        if not names & {owner.lower().replace("_", "-").replace(".", "-") for owner in owners}
        and not names & {owner.lower() for owner in owners}
        and module.isidentifier()
    ]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Built by the backend that pyproject.toml names, from a copy: a build writes beside its sources."""
    folder = tmp_path_factory.mktemp("built")
    checkout = folder / "checkout"
    checkout.mkdir()
    for name in BUILT_FROM:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, checkout / name)
    shutil.copytree(
        ROOT / "offchain", checkout / "offchain", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    for name in (".build", "node_modules"):  # compiled contracts and plotly.js are there already
        (checkout / name).symlink_to(ROOT / name)
    of_checkout = build(checkout, "wheel", folder / "1")
    with tarfile.open(build(checkout, "sdist", folder / "2")) as archive:
        archive.extractall(folder / "sources", filter="data")
    (sources,) = (folder / "sources").iterdir()
    return Built(sources, of_checkout, build(sources, "wheel", folder / "3"))


def build(sources: Path, kind: str, out: Path) -> Path:
    """Return the wheel or sdist of a folder of sources."""
    out.mkdir()
    program = f"from setuptools import build_meta; build_meta.build_{kind}({str(out)!r})"
    done = subprocess.run([sys.executable, "-c", program], cwd=sources, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = out.iterdir()
    return made


@pytest.fixture(scope="session")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv" / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv")}))
    # Python takes a module that is None there for one that is not installed.
    hide = f"import os, sys; sys.modules.update(dict.fromkeys(os.environ.get({BLOCKED!r}, '').split(',')))"
    (site / "dependencies.pth").write_text(f"{hide}\n{sysconfig.get_path('purelib')}\n")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
    ]
    subprocess.run([*pip, "--no-compile", "--disable-pip-version-check", str(built.of_sdist)], check=True)
    for name in ("work", "cache"):
        (folder / name).mkdir()
    return Installed(python, site / "backstop", folder / "work", folder / "cache")
