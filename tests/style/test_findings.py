"""Each finding has one page of the same form, and each attack and each kept rule has one place."""

import re
from collections import Counter
from pathlib import Path

import pytest

from backstop.proof.reverted_fixes import ATTACKS, PATCHES
from tests.support.checkout_paths import ROOT

FINDINGS = ROOT / "docs/reference/findings"
INDEX = FINDINGS / "README.md"
PAGES = sorted(page for page in FINDINGS.glob("*.md") if page != INDEX)
KNOWN_ISSUES = ROOT / "docs/reference/known-issues.md"
FIELDS = ["severity", "status", "affected", "decision", "attack", "old rule"]
SECTIONS = ["Description", "Attack", "Impact", "Fix", "Test"]
SEVERITIES = {
    ("large", "high"): "Critical",
    ("large", "medium"): "High",
    ("large", "low"): "Medium",
    ("medium", "high"): "High",
    ("medium", "medium"): "Medium",
    ("medium", "low"): "Low",
    ("small", "high"): "Medium",
    ("small", "medium"): "Low",
    ("small", "low"): "Low",
}
SEVERITY = re.compile(r"(\w+): impact (\w+), likelihood (\w+)")
ROW = re.compile(r"^\| ([\w ]+) \| (.*) \|$", re.MULTILINE)
ATTACK = re.compile(r"\]\(\.\./\.\./\.\./tests/exploits/((?:open/)?test_\w+)\.py\)")
PATCH = re.compile(r"\]\(\.\./\.\./\.\./tests/exploits/reverted_fixes/(test_\w+)\.patch\)")
RULE = re.compile(r"exploits --rule (test_\w+)")
TEST = re.compile(r"`(test_\w+)`")
FIGURE = re.compile(r"^  on the old one it succeeds: (test_\w+)", re.MULTILINE)
FUNCTION = re.compile(r"`(\w+)\.(\w+)`")
EXPORT = re.compile(r"^(?:def |    \w+\.)(\w+)", re.MULTILINE)


def read_fields(page_text: str) -> dict[str, str]:
    """Return the rows of the table of a finding."""
    return {name: value for name, value in ROW.findall(page_text) if name != "field"}


def read_sections(page_text: str) -> dict[str, str]:
    """Return the text of each section of a finding by its heading."""
    parts = re.split(r"^## (.+)$", page_text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], (text.strip() for text in parts[1::2]), strict=True))


def list_contract_functions(contract: str) -> set[str]:
    """Return the functions that a contract defines or exports from its modules."""
    path = ROOT / f"contracts/{contract}.vy"
    return set(EXPORT.findall(path.read_text())) if path.is_file() else set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_has_all_fields(page: Path) -> None:
    text = page.read_text()
    assert re.match(r"# \S.*\n\n\S", text)
    fields, sections = read_fields(text), read_sections(text)
    assert list(fields) == FIELDS and all(fields.values())
    assert list(sections) == SECTIONS and all(sections.values())
    found = SEVERITY.fullmatch(fields["severity"])
    assert found and SEVERITIES[found[2], found[3]] == found[1]
    assert fields["status"] in ("fixed", "accepted")
    assert sections["Attack"].startswith("1. ")
    assert sections["Fix"].startswith("None: the issue is accepted.") == (fields["status"] == "accepted")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_names_functions_that_exist(page: Path) -> None:
    affected = FUNCTION.findall(read_fields(page.read_text())["affected"])
    assert affected
    unknown = [
        f"{contract}.{name}" for contract, name in affected if name not in list_contract_functions(contract)
    ]
    assert not unknown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_names_tests_and_rules_that_exist(page: Path) -> None:
    """A finding with a kept rule shows the command that puts this rule back."""
    text = page.read_text()
    fields, sections = read_fields(text), read_sections(text)
    attacks, patches = ATTACK.findall(fields["attack"]), PATCH.findall(fields["old rule"])
    assert RULE.findall(sections["Test"]) == patches and patches in ([], attacks)
    assert attacks or fields["status"] == "accepted"
    if attacks and fields["status"] == "fixed":
        source = (ATTACKS / f"{attacks[0]}.py").read_text()
        named = [*TEST.findall(sections["Test"]), *FIGURE.findall(sections["Test"])]
        assert [name for name in named if f"def {name}(" not in source] == []
        assert bool(patches) == bool(FIGURE.findall(sections["Test"]))


def test_every_attack_and_every_kept_rule_has_one_place() -> None:
    """A place is the page of a finding, or a row of the table of attacks that fail."""
    rows = INDEX.read_text().partition("## Attacks that fail")[2].splitlines()
    fields = [read_fields(page.read_text()) for page in PAGES]
    first_cells = [row.split(" | ")[0] for row in rows if row.startswith("| [")]
    attacks = Counter(
        name for text in [*(each["attack"] for each in fields), *first_cells] for name in ATTACK.findall(text)
    )
    rules = Counter(
        name for text in [*(each["old rule"] for each in fields), *rows] for name in PATCH.findall(text)
    )
    kept = [path.relative_to(ATTACKS).with_suffix("").as_posix() for path in ATTACKS.rglob("test_*.py")]
    assert attacks == Counter(kept)
    assert rules == Counter(path.stem for path in PATCHES.glob("*.patch"))
    assert set(RULE.findall(INDEX.read_text())) <= set(rules)


def test_the_index_lists_each_finding_with_its_severity() -> None:
    listed = re.findall(
        r"^\| (\w+) \| \[([^\]]+)\]\(([\w-]+)\.md\) \| [\w ]+ \| (\w+) \|$", INDEX.read_text(), re.MULTILINE
    )
    found = []
    for page in PAGES:
        text = page.read_text()
        fields = read_fields(text)
        severity = fields["severity"].partition(":")[0]
        found.append((severity, text.splitlines()[0].removeprefix("# "), page.stem, fields["status"]))
    assert sorted(listed) == sorted(found)


def test_the_index_states_the_rule_of_severities() -> None:
    text = INDEX.read_text()
    for impact in ("large", "medium", "small"):
        row = " | ".join(SEVERITIES[impact, likelihood] for likelihood in ("high", "medium", "low"))
        assert f"| impact {impact} | {row} |" in text
    counts = Counter(
        (fields["status"], fields["severity"].partition(":")[0])
        for fields in (read_fields(page.read_text()) for page in PAGES)
    )
    for status in ("fixed", "accepted"):
        total = sum(count for (each, _), count in counts.items() if each == status)
        parts = [
            f"{counts[status, name]} {name}"
            for name in ("Critical", "High", "Medium", "Low")
            if counts[status, name]
        ]
        assert f"{total} findings: {', '.join(parts)}." in text


def test_known_issues_are_the_accepted_findings() -> None:
    """Each has its five fields there, under the title of its page."""
    entries = re.findall(
        r"^\*\*\[(.+)\]\(findings/([\w-]+)\.md\)\*\*\n((?:(?:- |  ).+\n)+)",
        KNOWN_ISSUES.read_text(),
        re.MULTILINE,
    )
    for _, _, body in entries:
        fields = re.findall(r"^- (\w+): ", body, re.MULTILINE)
        assert fields == ["Effect", "Affected", "Precondition", "Bound", "Test"]
    accepted = [
        (page.read_text().splitlines()[0].removeprefix("# "), page.stem)
        for page in PAGES
        if read_fields(page.read_text())["status"] == "accepted"
    ]
    assert sorted((title, stem) for title, stem, _ in entries) == sorted(accepted)


def test_a_table_and_sections_are_read() -> None:
    page = "# T\n\nL.\n\n| field | value |\n|---|---|\n| old rule | none |\n\n## Fix\n\nText.\n"
    assert read_fields(page) == {"old rule": "none"}
    assert read_sections(page) == {"Fix": "Text."}
