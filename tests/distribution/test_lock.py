"""requirements.lock is a checkout's installation: all that pyproject.toml asks for, with hashes."""

from __future__ import annotations

import re
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from backstop.files.installation import EXTRAS, TOOLS
from tests.support.checkout_paths import ROOT
from tests.support.declared_requirements import (
    EXTRA_REQUIREMENTS,
    PROJECT,
    PYPROJECT,
    list_group_requirements,
)

LOCKS = ("requirements.lock", "requirements-uv.lock", "requirements-node.lock")
PYTHON = {"python_version": "3.11", "python_full_version": "3.11.0"}


def read_lock(name: str) -> dict[str, tuple[str, list[str]]]:
    """Return the version and the hashes of each package of a lock."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.lstrip().startswith("#")]
    found = {}
    for entry in "\n".join(lines).replace("\\\n", " ").splitlines():
        pin, *hashes = entry.split()
        pinned = re.fullmatch(r"([a-z0-9-]+)==([0-9a-z.]+)", pin)
        assert pinned and pinned[1] not in found, pin
        found[pinned[1]] = pinned[2], hashes
    return found


def list_requirements() -> list[Requirement]:
    """Return what a checkout asks for: dependencies of the package and of its extras, and the group `dev`."""
    extras = [each for requirements in EXTRA_REQUIREMENTS.values() for each in requirements]
    return list(map(Requirement, [*PROJECT["dependencies"], *extras, *list_group_requirements("dev")]))


def get_unmet_requirement(asked: Requirement, lock: dict[str, tuple[str, list[str]]]) -> str | None:
    version = lock.get(canonicalize_name(asked.name), ("", []))[0]
    met = version and asked.specifier.contains(version, prereleases=True)
    return None if met else f"{asked} is asked for, {version or 'nothing'} is locked"


@pytest.mark.parametrize("name", LOCKS)
def test_each_package_of_a_lock_has_hashes_and_no_address(name: str) -> None:
    assert "://" not in (ROOT / name).read_text()
    lock = read_lock(name)
    assert len(lock) > 100 or name != "requirements.lock"
    for package, (_, hashes) in lock.items():
        assert hashes, package
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", each) for each in hashes), package


def test_the_lock_fits_what_is_asked() -> None:
    """And the package's build requirements: a checkout builds with its installed packages."""
    lock = read_lock("requirements.lock")
    asked_here = [*list_requirements(), *map(Requirement, PYPROJECT["build-system"]["requires"])]
    assert [unmet for asked in asked_here if (unmet := get_unmet_requirement(asked, lock))] == []


def test_the_lock_is_complete_and_has_nothing_besides() -> None:
    """It is installed without dependencies: each requirement of a locked package is locked, and fits."""
    lock = read_lock("requirements.lock")
    replaced = {Requirement(each).name: each for each in PYPROJECT["tool"]["uv"]["override-dependencies"]}
    waiting, seen, unmet = list_requirements(), set[tuple[str, str]](), set[str]()
    while waiting:
        asked = waiting.pop()
        if asked.name in replaced:
            asked = Requirement(replaced[asked.name])
        unmet |= {each for each in [get_unmet_requirement(asked, lock)] if each}
        for extra in ("", *asked.extras):
            if (key := (canonicalize_name(asked.name), extra)) in seen:
                continue
            seen.add(key)
            for each in map(Requirement, metadata.requires(asked.name) or ()):
                if each.marker is None or each.marker.evaluate({**PYTHON, "extra": extra}):
                    waiting.append(each)
    assert unmet == set()
    assert set(lock) == {name for name, _ in seen}


def test_a_wheel_has_no_extra_for_tests_and_names_the_versions_of_the_lock() -> None:
    assert set(EXTRA_REQUIREMENTS) == set(EXTRAS) == {"chain", "cluster", "web3"}
    grouped = {each.replace(" ", "") for each in list_group_requirements("contracts")}
    named = {each for requirements in TOOLS.values() for each in requirements}
    assert named <= grouped, named - grouped
