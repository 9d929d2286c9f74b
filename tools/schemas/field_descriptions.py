"""What the pages say of fields: the cells of their tables, and the comments of their examples."""

from __future__ import annotations

import ast
import inspect
import re
import tokenize
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_SCENARIO_TABLES: dict[tuple[str, str], tuple[str, ...]] = {
    ("field", "schema_version"): (),
    ("field", "global_debt_ceiling"): ("parameters",),
    ("of a collateral type", ""): ("parameters", "collateral_types", "*"),
    ("`policy` of a collateral type", ""): ("parameters", "collateral_types", "*", "policy"),
    ("`discount` of a collateral type", ""): ("parameters", "collateral_types", "*", "discount"),
    ("`stability_pool` of a collateral type", ""): ("parameters", "collateral_types", "*", "stability_pool"),
    ("`guards` of the parameters", ""): ("parameters", "guards"),
    ("kind of row", ""): ("vault_book", "rows"),
    ("`margin` of the parameters", ""): ("parameters", "margin"),
    ("`backstop` of the margin market", ""): ("parameters", "margin", "backstop"),
    ("of a perpetual market", ""): ("parameters", "margin", "markets", "*"),
    ("`pairs`, by market", ""): ("margin_book", "pairs", "*"),
    ("of `depth_after_fall`", ""): ("markets", "*", "depth_after_fall"),
    ("a model may have", ""): ("prices", "*", "model"),
}
"""The head of a table and its first field, where several have that head -> where its fields stand."""

_KEEPER_TABLES = {"setting": ("roles", "*"), "limit": ("limits", "*")}


def _iter_tables(page: Path) -> Iterator[list[list[str]]]:
    """Yield the tables of a page, each as rows of cells, the head first."""
    rows: list[list[str]] = []
    for line in (*page.read_text().splitlines(), ""):
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
        elif rows:
            yield [row for row in rows if not set(row[0]) <= set("-|")]
            rows = []


def _iter_scenario_tables() -> Iterator[list[list[str]]]:
    """Yield the tables of scenarios.md and of the pages on its sections."""
    for page in sorted((DOCS / "reference").glob("scenario*.md")):
        yield from _iter_tables(page)


def _strip_links(text: str) -> str:
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text).replace("`", "").strip(" |")


def _list_field_names(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell.partition(":")[0])


def read_scenario_descriptions() -> dict[tuple[str, ...], str]:
    """Return the descriptions of the scenario pages in docs/reference, by field place; `*` is any name."""
    found = {}
    for table in _iter_scenario_tables():
        head, first = table[0][0], (_list_field_names(table[1][0]) or [""])[0]
        place = _SCENARIO_TABLES.get((head, first), _SCENARIO_TABLES.get((head, "")))
        if place is None:
            continue
        for row in table[1:]:
            for name in _list_field_names(row[0]):
                found[*place, name] = _strip_links(row[1])
    return found


def read_scenario_role_descriptions() -> dict[str, str]:
    """Return what each role of a scenario does."""
    (roles,) = (table for table in _iter_scenario_tables() if table[0][0] == "role")
    return {_list_field_names(row[0])[0]: _strip_links(row[1]) for row in roles[1:]}


def read_keeper_descriptions(roles: tuple[str, ...]) -> dict[tuple[str, ...], str]:
    """Return the descriptions of each setting in the pages about keepers, by its place."""
    pages = [
        DOCS / "reference" / f"{name}.md" for name in ("keepers", "keeper-limits", "keeper-transactions")
    ]
    page = pages[0].read_text()
    example = page[page.index("## Settings\n") :].split("```yaml\n")[1].split("```")[0]
    found: dict[tuple[str, ...], str] = {}
    for line in example.splitlines():
        if about := re.fullmatch(r"(\w+):.*?\s# (.*)", line):
            found[about[1],] = about[2].replace(" (below)", "")
    for table in (table for each in pages for table in _iter_tables(each)):
        place = _KEEPER_TABLES.get(table[0][0])
        for row in table[1:] if place else ():
            for name in _list_field_names(row[0]):
                for role in (*roles, "others"):
                    found[place[0], role, name] = _strip_links(row[-1])  # type: ignore[index]
    return found


def read_field_comments(record: Any) -> dict[str, str]:
    """Return the comment behind each field of a dataclass, or else the one above it."""
    source = inspect.getsource(record)
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for each in definition.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            about = comments.get(each.end_lineno or each.lineno, comments.get(each.lineno - 1, ""))
            if about:
                found[each.target.id] = about
    return found
