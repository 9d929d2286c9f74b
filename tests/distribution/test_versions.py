"""The bounds of pyproject.toml are true: the wheel works with the newest versions in them, and the oldest.

Nothing of the lock counts here: uv asks the package index what there is.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.distribution.conftest import ROOT, Built
from tests.support.declared_requirements import EXTRA_REQUIREMENTS, PROJECT

UV = Path(sys.executable).with_name("uv")
SCENARIO = ROOT / "tests" / "data" / "runs" / "small.yaml"
STUDY = ROOT / "tests" / "data" / "stress" / "small.yaml"
BRIEF = "tests/distribution/test_lock.py::test_the_lock_fits_what_is_asked"


def run_uv(*words: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run uv where no pyproject.toml is: that of the checkout replaces what mamushi asks for."""
    asked = [str(UV), *map(str, words), "--no-config"]
    return subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=False)


def find_pyenv_python(version: str) -> Path | None:
    """Return the Python of this version that pyenv has; uv finds those alone that pyenv was told to use."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    return max(versions.glob(f"{version}.*/bin/python"), default=None)


def create_environment(version: str, folder: Path) -> Path:
    """Return the Python of a new environment; skip where this machine has none of the version."""
    asked = find_pyenv_python(version) or version
    made = run_uv("venv", "--quiet", "--no-python-downloads", "--python", asked, "env", folder=folder)
    if made.returncode != 0:
        pytest.skip(f"no Python {version} is on this machine: {made.stderr.strip()}")
    return folder / "env" / "bin" / "python"


def install_wheel(python: Path, folder: Path, *words: str | Path) -> None:
    """Install from the package index; skip where there is none."""
    done = run_uv("pip", "install", "--quiet", "--python", python, *words, folder=folder)
    if "error sending request" in done.stderr or "Could not connect" in done.stderr:
        pytest.skip(f"no package index can be asked: {done.stderr.strip().splitlines()[0]}")
    assert done.returncode == 0, done.stderr


def run_command(python: Path, folder: Path, *words: str | Path) -> str:
    """Return what a command of the environment prints."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    env |= {"XDG_CACHE_HOME": str(folder / "cache"), "NUMBA_OPT": "0"}
    asked = [str(python.with_name("backstop")), *map(str, words)]
    done = subprocess.run(asked, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.deep(brief=BRIEF)
@pytest.mark.parametrize("versions", ["newest", "oldest"])
@pytest.mark.parametrize("python_version", ["3.11", "3.12"])
def test_the_wheel_works_with_versions_at_its_bounds(
    python_version: str, versions: str, built: Built, tmp_path: Path
) -> None:
    """A study on the compiled engine and on the contracts, a crash step by step, and the schemas."""
    python = create_environment(python_version, tmp_path)
    wheel = f"{built.of_sdist}[{','.join(EXTRA_REQUIREMENTS)}]"
    if versions == "newest":
        install_wheel(python, tmp_path, wheel)
    else:
        extras = [each for requirements in EXTRA_REQUIREMENTS.values() for each in requirements]
        lowest = [*PROJECT["dependencies"], *extras]
        install_wheel(python, tmp_path, "--resolution", "lowest-direct", wheel, *lowest)
    assert run_command(python, tmp_path, "--version").startswith("backstop, version ")
    assert "bad debt" in run_command(python, tmp_path, "stress", STUDY, "--paths", "10", "--out", "fast")
    run_command(python, tmp_path, "stress", STUDY, "--paths", "2", "--engine", "exact", "--out", "exact")
    run = run_command(python, tmp_path, "simulate", "--scenario", SCENARIO, "--host", "revm", "--out", "run")
    assert "0 differences" in run and (tmp_path / "run" / "report.html").is_file()
    assert '"A scenario of Backstop"' in run_command(python, tmp_path, "schema", "scenario")


@pytest.mark.deep(brief=BRIEF)
def test_a_later_python_is_refused(built: Built, tmp_path: Path) -> None:
    """There is no package of pyrevm for it. By pip: uv heeds no upper bound of a Python."""
    python = create_environment("3.13", tmp_path)
    asked = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", built.of_sdist]
    done = subprocess.run(list(map(str, asked)), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    (told,) = (line for line in done.stderr.splitlines() if line.startswith("ERROR: "))
    assert told.startswith("ERROR: Package 'backstop' requires a different Python: 3.13.")
