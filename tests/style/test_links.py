"""Every relative link and anchor of the pages resolves, and so does every page that the code names."""

import re
from pathlib import Path

import pytest

from tests.support.checkout_paths import ROOT

ROOTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES = [*ROOTS, *sorted((ROOT / "docs").rglob("*.md"))]
SOURCES = ("contracts", "docs", "offchain", "scripts", "tests", "tools")
SUFFIXES = (".md", ".py", ".vy", ".vyi", ".yaml", ".yml", ".html", ".sh")
PLACE = re.compile(r"(?<![\w/.-])(?:contracts|offchain|scripts|tests|tools)/[\w/.*-]*\w")
# What CONTRIBUTING.md has its reader make.
EXAMPLES = {
    "tools/silverback/.venv/bin/silverback",  # which `make deep` installs
    "contracts/Beacon.vy",
    "contracts/Token.vy",
    "offchain/backstop/model/beacon.py",
    "tests/contracts/Beacon",
    "tests/contracts/Beacon/test_light.py",
    "tests/test_allowance_is_spent.py",
    "tests/test_token.py",
}
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^    .*$|`[^`\n]*`", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
NAMED = re.compile(r"(?<![\w/.-])docs/[\w/-]+\.(?:md|yml)\b")


def prose(page: Path) -> str:
    """The text of a page without its code, of which nothing is a link or a heading."""
    return CODE.sub("`code`", FENCE.sub("", page.read_text()))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    found: dict[str, int] = {}
    named = set()
    for heading in HEADING.findall(FENCE.sub("", page.read_text())):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        count = found.get(name, 0)
        found[name] = count + 1
        named.add(f"{name}-{count}" if count else name)
    return named


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    broken = []
    for target in LINK.findall(prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


def test_every_page_is_reached_from_the_front_door() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        for target in LINK.findall(prose(page)):
            file = (page.parent / target.partition("#")[0]).resolve()
            if file.suffix == ".md" and file not in reached:
                waiting.append(file)
    assert set(PAGES) <= reached


def test_pages_that_the_code_names_exist() -> None:
    files = [file for name in SOURCES for file in (ROOT / name).rglob("*") if file.suffix in SUFFIXES]
    named = {
        (str(file.relative_to(ROOT)), name)
        for file in (*files, ROOT / "Makefile", ROOT / "README.md")
        if "__pycache__" not in file.parts
        for name in NAMED.findall(file.read_text())
    }
    assert len(named) > 30
    assert not [each for each in sorted(named) if not (ROOT / each[1]).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_exist(page: Path) -> None:
    """Patches and examples, which are fenced, may name files that are to be made."""
    named = {path.rstrip(".") for path in PLACE.findall(FENCE.sub("", page.read_text()))}
    assert not [path for path in sorted(named - EXAMPLES) if not any(ROOT.glob(path))]
