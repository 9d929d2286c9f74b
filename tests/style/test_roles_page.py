"""Every function with restricted callers is in the tables of roles.md, and nothing else is."""

import re
from pathlib import Path

import pytest

from backstop.proof.properties.privilege_tables import DOORS

CONTRACTS = Path("contracts")
PAGE = Path("docs/reference/roles.md")
CHECKS = (
    r"roles\.(_only_admin|_only_admin_or|_check_role)\(|self\._only(_admin|_governor_or_guardian|_itself)\("
    r"|msg\.sender == self\.(governor|pending_admin)|msg\.sender != roles\.admin"
    r"|msg\.sender == staticcall VAULT_ENGINE\.admin\("
)
# Modules stand in the tables under the contracts that export them.
EXPORTED = {"roles": "every contract with an admin", "terms": "VaultEngine", "loss_cover": "VaultEngine"}


def functions(source: str) -> dict[str, tuple[bool, str]]:
    """Name -> whether it is external, and its code without docstrings."""
    found = {}
    for block in re.split(r"(?m)^(?=@(?:external|internal|deploy)$)", source)[1:]:
        name = re.search(r"(?m)^def (\w+)\(", block)
        assert name
        if name[1] != "__init__":
            found[name[1]] = block.startswith("@external"), re.sub(r'"""[\s\S]*?"""', "", block)
    return found


def powers(source: str) -> set[str]:
    """Return the external functions that check their caller, directly or in a function that they call."""
    found = functions(source)
    checked = {name for name, (_, code) in found.items() if re.search(CHECKS, code)}
    while True:
        calls = re.compile("|".join(rf"self\.{name}\(" for name in checked) or "(?!)")
        more = {name for name, (_, code) in found.items() if calls.search(code)} - checked
        if not more:
            return {name for name in checked if found[name][0]}
        checked |= more


def in_sources() -> set[tuple[str, str]]:
    paths = [*CONTRACTS.glob("*.vy"), *CONTRACTS.glob("modules/*.vy")]
    return {(EXPORTED.get(path.stem, path.stem), name) for path in paths for name in powers(path.read_text())}


def rows() -> list[list[str]]:
    lines = PAGE.read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return [row for row in cells if len(row) == 5 and row[1].startswith("`")]


def test_the_tables_have_every_power_and_nothing_else():
    listed = [(contract, function.strip("`")) for contract, function, *_ in rows()]
    assert len(listed) == len(set(listed))
    assert set(listed) == in_sources()


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row[0]}.{row[1]}")
def test_each_says_who_holds_it_and_for_how_long_it_is_announced(row):
    assert row[2]
    assert row[3]


def test_a_check_in_a_function_that_is_called_counts():
    check = "@internal\ndef _may():\n    roles._only_admin()\n"
    source = f"@external\ndef set(a: uint256):\n    self._may()\n\n{check}"
    assert powers(source) == {"set"}
    assert powers(source.replace("roles._only_admin()", "pass")) == set()


def test_calls_between_contracts_are_those_of_the_properties():
    """Property 18 refuses each other caller of these functions on random steps."""
    table = PAGE.read_text().partition("## Calls between contracts")[2]
    listed = {
        (name, caller)
        for caller, names in re.findall(r"^\| ([\w.]+) \| (`.*`) \|$", table, re.MULTILINE)
        for name in re.findall(r"`([^`]+)`", names)
    }
    wired = {(f"{contract}.{name}", by) for (contract, name), by in DOORS.items() if isinstance(by, str)}
    assert listed == wired
