"""Apply contracts.yaml and model.yaml to Vyper, strings, tests and docs: where mypy finds no types.

    python tools/names/rename_abi.py [folder]

Words are replaced wherever they stand; methods where their contract is named beside them; internal functions
of Vyper get the name that model.yaml gives their mirror. Files are moved. What is ambiguous is printed.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
ROOT = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else HERE.parents[1]
TEXTS = frozenset(
    [
        ".py",
        ".md",
        ".yaml",
        ".yml",
        ".toml",
        ".json",
        ".jinja",
        ".html",
        ".mjs",
        ".js",
        ".sh",
        ".vy",
        ".vyi",
        ".ipynb",
        ".cfg",
        ".patch",
        ".css",
    ]
)
LEFT_OUT = (
    "CHANGELOG.md",
    "tests/regression/before_the_move/",
    "tools/names/",
    "tests/style/test_old_names.py",
)


def list_files() -> Iterator[Path]:
    """Yield the text files that git knows."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        path = ROOT / name
        if path.suffix in TEXTS and not name.startswith(LEFT_OUT) and path.is_file():
            yield path


def build_rules(table: dict[str, Any]) -> list[tuple[str, re.Pattern[str], str]]:
    """Return the rules: suffix of the files ("" for all), pattern, replacement."""
    rules: list[tuple[str, re.Pattern[str], str]] = []
    for old, new in table["words"].items():
        rules.append(
            ("", re.compile(rf"(?<![\w.-]){re.escape(old)}(?!\w)|(?<=\.){re.escape(old)}(?!\w)"), new)
        )
    for old, new in table["modules"].items():
        rules += [
            (".vy", re.compile(rf"(?<![\w.\"'`]){old}(?=\.\w)"), new),
            (".vy", re.compile(rf"(?<=^from contracts.modules import ){old}$", re.M), new),
            (
                ".vy",
                re.compile(rf"(?<=^uses: ){old}$|(?<=^initializes: ){old}\b|(?<=^@title ){old}$", re.M),
                new,
            ),
            (".vy", re.compile(rf"\b{old} := {old}\b"), f"{new} := {new}"),
            (".py", re.compile(rf"(?<=[\"']){old}(?=\.[a-z_]+[\"'])"), new),
            ("", re.compile(rf"(?<=modules/){old}(?=\.vy)"), new),
        ]
    for name, methods in table["methods"].items():
        contract, *aliases = name.split()
        named = "|".join([contract, *aliases])
        quoted = "|".join([f"[\"']{contract}[\"']", *aliases])
        for old, new in methods.items():
            rules += [
                ("", re.compile(rf"(?<![\w.])(({named})\}}?\.){old}(?!\w)"), rf"\g<1>{new}"),
                (".py", re.compile(rf"(({quoted}),\s*[\"']){old}(?=[\"'])"), rf"\g<1>{new}"),
                (".md", re.compile(rf"({contract} \| `){old}`"), rf"\g<1>{new}`"),
            ]
            if old not in table["vyper_left"]:
                rules.append((".vy", re.compile(rf"(?<=\.){old}(?=\()"), new))
    for old, new in table["quoted"].items():
        rules.append((".py", re.compile(rf"(?<=[\"']){old}(?=[\"'])"), new))
    for old, new in table["spans"].items():
        rules.append((".md", re.compile(rf"(?<=`){old}(?=[`(])"), new))
    return rules


def rename_domain(text: str, left: str) -> str:
    """Return a text with its domains called facilitators, but for lines about signatures and axes."""
    lines = text.split("\n")
    for at, line in enumerate(lines):
        if "omain" in line.lower() and not re.search(left, line):
            for old, new in (("domain", "facilitator"), ("Domain", "Facilitator"), ("DOMAIN", "FACILITATOR")):
                line = line.replace(old, new)
            lines[at] = line
    return "\n".join(lines)


def rename_definitions(table: dict[str, Any], model: dict[str, Any]) -> None:
    """Rename external functions where they are defined, and internal ones with their calls."""
    sources = {path: path.read_text() for path in (ROOT / "contracts").rglob("*.vy*")}
    for name, methods in table["methods"].items():
        contract = name.split()[0]
        for path, text in sources.items():
            if path.stem.lstrip("I") == contract.lstrip("I"):
                for old, new in methods.items():
                    text = re.sub(rf"(?<=^def ){old}(?=\()", new, text, flags=re.M)
                sources[path] = text
    moved = {new: old for old, new in table["modules"].items()}
    for key, new in model["names"].items():
        old = key.rsplit(".", 1)[-1]
        if old[0].isupper() or new[0].isupper():
            continue
        inner, outer = "_" + old.lstrip("_"), "_" + new.lstrip("_")
        found = [path for path, text in sources.items() if re.search(rf"^def {inner}\(", text, re.M)]
        stem = key.split(".")[2]
        close = [p for p in found if to_snake(p.stem) in (stem, moved.get(stem))]
        if not found:
            continue
        if len(found) > 1 and len(close) != 1:
            print(f"ambiguous: {key}: {[p.stem for p in found]}")
            continue
        place = (close or found)[0]
        sources[place] = re.sub(
            rf"(?<=^def ){inner}(?=\()|(?<=self\.){inner}(?=\()", outer, sources[place], flags=re.M
        )
        if place.parent.name == "modules":
            for path, text in sources.items():
                aliases = {place.stem, *re.findall(rf"import {place.stem} as (\w+)", text)}
                for alias in aliases:
                    text = re.sub(rf"(?<![\w.]){alias}\.{inner}(?=\()", f"{alias}.{outer}", text)
                sources[path] = text
    for path, text in sources.items():
        path.write_text(text)


def to_snake(name: str) -> str:
    """Return a name of CamelCase in snake_case."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def move_files(table: dict[str, Any]) -> None:
    """Move contracts, modules and the test files of renamed contracts and methods."""
    moves: dict[str, str] = dict(table["files"])
    kinds = {old: new for old, new in table["words"].items() if old[0].isupper()}
    for name in subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n"):
        path = Path(name)
        if path.suffix in (".vy", ".vyi"):
            if path.stem in kinds:
                moves[name] = str(path.with_name(kinds[path.stem] + path.suffix))
            elif path.parent.name == "modules" and path.stem in table["modules"]:
                moves[name] = str(path.with_name(table["modules"][path.stem] + path.suffix))
        elif name.startswith(("tests/contracts/", "tests/unit/")):
            contract = path.parts[2]
            found = {**table["words"]}
            for each, methods in table["methods"].items():
                if each.split()[0] == contract:
                    found |= methods
            parts = [kinds.get(part, table["modules"].get(part, part)) for part in path.parts]
            method = path.stem.removeprefix("test_")
            parts[-1] = f"test_{found[method]}.py" if path.stem != method and method in found else path.name
            moves[name] = "/".join(parts)
    for old, new in moves.items():
        if old != new and (ROOT / old).exists():
            (ROOT / new).parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["git", "mv", old, new], cwd=ROOT, check=True)


def main() -> None:
    """Apply both tables to the tree."""
    table = yaml.safe_load((HERE / "tables" / "contracts.yaml").read_text())
    model = yaml.safe_load((HERE / "tables" / "model.yaml").read_text())
    rename_definitions(table, model)
    rules = build_rules(table)
    patterns = [
        (re.compile(each["files"]), re.compile(each["pattern"], re.M), each["new"])
        for each in table["patterns"]
    ]
    for path in list_files():
        text = was = path.read_text(encoding="utf-8")
        name = path.relative_to(ROOT).as_posix()
        for suffix, pattern, new in rules:
            if (suffix == ".vy" and path.suffix == ".vyi") or path.suffix == suffix or not suffix:
                text = pattern.sub(new, text)
        for files, pattern, new in patterns:
            if files.search(name):
                text = pattern.sub(new, text)
        if not re.search(table["domain"]["files_left"], name):
            text = rename_domain(text, table["domain"]["lines_left"])
        if text != was:
            path.write_text(text, encoding="utf-8")
    move_files(table)


if __name__ == "__main__":
    main()
