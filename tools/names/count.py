"""Count names that a reader cannot guess or that hide a builtin; with --list, show them.

    python tools/names/count.py                 counts
    python tools/names/count.py --check         fails if one is above counts.json, as `make lint` does
    python tools/names/count.py --write         writes counts.json, once they have fallen
    python tools/names/count.py --list PREFIX   flagged names of modules that begin with PREFIX

Left out: properties, dunder methods, click commands, functions that mirror the ABI (`external` and `view` of
the model, its interfaces), and overrides of what a library or the standard library defines.
"""

from __future__ import annotations

import ast
import builtins
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
ROOTS = {
    "offchain/backstop": "backstop",
    "offchain/benchmarks": "benchmarks",
    "tests/support": "tests.support",
}
LIMITS = Path(__file__).with_name("counts.json")
RULES = (
    *("module", "one-word", "trailing-preposition", "leading-participle", "one-letter-parameter"),
    "shadowed-builtin",
)
_BUILTINS = frozenset(name for name in dir(builtins) if not name.startswith("_"))

_WORDS = {
    name: frozenset(words.split())
    for name, words in yaml.safe_load(Path(__file__).with_name("words.yaml").read_text()).items()
}


class Flag(NamedTuple):
    """A name that a rule flags."""

    rule: str
    name: str
    place: str


def iter_modules() -> Iterator[tuple[str, Path]]:
    """Yield the dotted name and file of each module that is counted."""
    for folder, package in ROOTS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            name = ".".join((package, *parts))
            yield name.removesuffix(".__init__"), path


def is_participle(word: str) -> bool:
    """Return whether a word is a participle or a gerund."""
    if word in _WORDS["participles"]:
        return True
    if len(word) < 5:
        return False
    return (word.endswith("ing") and word not in _WORDS["gerund_nouns"]) or (
        word.endswith("ed") and word not in _WORDS["ed_nouns"]
    )


def check_module(name: str) -> bool:
    """Return whether the last word of a module's name says too little."""
    stem = name.rsplit(".", 1)[-1].strip("_")
    words = stem.split("_")
    if (
        stem in _WORDS["prepositions"] | _WORDS["pronouns"] | _WORDS["metaphors"]
        or words[-1] in _WORDS["prepositions"]
    ):
        return True
    return is_participle(words[0]) if len(words) == 1 else False


def _decorators(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    found = set()
    for each in node.decorator_list:
        target = each.func if isinstance(each, ast.Call) else each
        while isinstance(target, ast.Attribute):
            found.add(target.attr)
            target = target.value
        if isinstance(target, ast.Name):
            found.add(target.id)
    return found


_EXEMPT = {
    "property",
    "cached_property",
    "external",
    "view",
    "command",
    "overload",
    "setter",
    "fixture",
    "override",
}


def iter_functions(
    tree: ast.Module, module: str
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield each function that is counted, with its qualified name."""
    if module == "backstop.model.interfaces":
        return

    def walk(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                yield from walk(child, f"{prefix}.{child.name}")
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                name = f"{prefix}.{child.name}"
                if not child.name.startswith("__") and not _decorators(child) & _EXEMPT:
                    yield name, child
                yield from walk(child, name)
            else:
                yield from walk(child, prefix)

    yield from walk(tree, module)


def iter_flags(module: str, path: Path) -> Iterator[Flag]:
    """Yield what is flagged in a module."""
    place = str(path.relative_to(ROOT))
    if check_module(module):
        yield Flag("module", module, place)
    tree = ast.parse(path.read_text())
    for name, node in iter_functions(tree, module):
        at = f"{place}:{node.lineno}"
        words = node.name.strip("_").split("_")
        if len(words) == 1:
            yield Flag("one-word", name, at)
        if words[-1] in _WORDS["prepositions"]:
            yield Flag("trailing-preposition", name, at)
        if is_participle(words[0]) and words[0] not in ("is", "has"):
            yield Flag("leading-participle", name, at)
        arguments = node.args
        for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            if len(each.arg) == 1 and each.arg not in "ixy_":
                yield Flag("one-letter-parameter", f"{name}({each.arg})", at)
    for inner in ast.walk(tree):
        if isinstance(inner, ast.arg) and inner.arg in _BUILTINS:
            yield Flag("shadowed-builtin", f"{module}({inner.arg})", f"{place}:{inner.lineno}")
        elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store) and inner.id in _BUILTINS:
            yield Flag("shadowed-builtin", f"{module}.{inner.id}", f"{place}:{inner.lineno}")


def count_flags(prefix: str | None = None) -> dict[str, int]:
    """Return how many names each rule flags, of how many; with a prefix print each."""
    counts = {"modules": 0, "functions": 0, **dict.fromkeys(RULES, 0)}
    for module, path in iter_modules():
        if prefix is not None and not module.startswith(prefix):
            continue
        counts["modules"] += 1
        counts["functions"] += sum(1 for _ in iter_functions(ast.parse(path.read_text()), module))
        for flag in iter_flags(module, path):
            counts[flag.rule] += 1
            if prefix is not None:
                print(f"{flag.rule:21} {flag.name}  {flag.place}")
    return counts


def check_counts(counts: dict[str, int], limits: dict[str, int]) -> list[str]:
    """Return a line for each rule that flags more names than its limit."""
    return [
        f"{LIMITS.relative_to(ROOT)}: {rule}: {counts[rule]} names are flagged, expected at most "
        f"{limits[rule]}; python tools/names/count.py --list '' shows them"
        for rule in RULES
        if counts[rule] > limits[rule]
    ]


def main() -> int:
    """Print counts, list what is flagged, compare with the limits, or write them down."""
    prefix = sys.argv[sys.argv.index("--list") + 1] if "--list" in sys.argv else None
    counts = count_flags(prefix)
    print(json.dumps(counts), file=sys.stderr)
    if "--write" in sys.argv:
        LIMITS.write_text(json.dumps({rule: counts[rule] for rule in RULES}, indent=2) + "\n")
    worse = check_counts(counts, json.loads(LIMITS.read_text())) if "--check" in sys.argv else []
    print("\n".join(worse), end="\n" if worse else "")
    return 1 if worse else 0


if __name__ == "__main__":
    raise SystemExit(main())
