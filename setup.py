"""What pyproject.toml cannot say of a build: it carries compiled contracts, the charts' library and samples.

They lie in `shipped/` of an sdist, so that a wheel of it needs neither compiler nor npm, and in the package
of a wheel. An editable installation has neither: a checkout compiles what it needs when it needs it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
CONTRACTS = ROOT / "contracts"
SAMPLES = ROOT / "docs" / "tutorials" / "samples"
SHIPPED = ROOT / "shipped"
BUNDLE = "plotly-cartesian.min.js"
SOURCES = "sources.json"


class BuildPackage(build_py):
    """The package, with contracts and the files of tutorials in it."""

    def run(self) -> None:
        if self.editable_mode:
            super().run()
            return
        shutil.rmtree(self.build_lib, ignore_errors=True)  # or what was deleted since is packed again
        super().run()
        package = Path(self.build_lib) / "backstop"
        shutil.copytree(CONTRACTS, package / "contracts")
        for folder in filter(Path.is_dir, SAMPLES.iterdir()):
            shutil.copytree(folder, package / "samples" / folder.name)
        fill(package / "artifacts", package / "report")


class SourceDistribution(sdist):
    """The sources, and what needs tools to be made of them."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        fill(Path(base_dir) / "shipped" / "artifacts", Path(base_dir) / "shipped")


def fill(artifacts: Path, charts: Path) -> None:
    """Write the compiled contracts into one folder, plotly.js into another."""
    digest = {"sha256": sources_digest()}
    shipped = SHIPPED / "artifacts"
    if (shipped / SOURCES).is_file() and json.loads((shipped / SOURCES).read_text()) == digest:
        shutil.copytree(shipped, artifacts)
    else:
        sys.path.insert(0, str(ROOT / "offchain"))
        from backstop.hosts.artifacts import write_shipped_artifacts

        write_shipped_artifacts(artifacts)
        (artifacts / SOURCES).write_text(json.dumps(digest) + "\n")
    places = (SHIPPED / BUNDLE, ROOT / "node_modules" / "plotly.js-cartesian-dist-min" / BUNDLE)
    bundle = next((place for place in places if place.is_file()), None)
    if bundle is None:
        sys.exit(f"{BUNDLE} is missing: run `make setup` before the build")
    charts.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(bundle, charts / BUNDLE)


def sources_digest() -> str:
    """Return what stands for the content of all contracts."""
    found = hashlib.sha256()
    for path in sorted(CONTRACTS.rglob("*.vy*")):
        found.update(repr((path.relative_to(CONTRACTS).as_posix(), path.read_bytes())).encode())
    return found.hexdigest()


setup(cmdclass={"build_py": BuildPackage, "sdist": SourceDistribution})
