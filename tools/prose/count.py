"""Count sentences whose subject is hidden, in docs and in docstrings; with --list, show them.

    python tools/prose/count.py                 counts of words, hits, and hits per 1,000 words
    python tools/prose/count.py --check         fails if one is above counts.json, as `make lint` does
    python tools/prose/count.py --write         writes counts.json, once they have fallen
    python tools/prose/count.py --list PREFIX   hits in files that begin with PREFIX

Two rules. `person`: who, whom, whoever, nobody, somebody, anybody, everybody, whatever: words that stand for
a role without a name. `bare`: a clause that begins with `what` or `who` and has no noun before it, as in
"what it paid". Questions are left out, since they may begin so; code and quoted names are no prose.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
LIMITS = Path(__file__).with_name("counts.json")
ROOMS = {
    "docs": ("README.md", "CONTRIBUTING.md", "docs/**/*.md"),
    "docstrings": ("offchain/**/*.py", "scripts/*.py", "tests/**/*.py", "contracts/**/*.vy*"),
}
RULES = ("person", "bare")

_PERSON = re.compile(
    r"\b(who|whom|whose|whoever|whomever|nobody|somebody|anybody|everybody|whatever)\b", re.IGNORECASE
)
_BARE = re.compile(r"\b(what|who|whoever|whatever)\b(?=\s+\w)", re.IGNORECASE)
# Before a clause with a head stands a noun; these words stand before a clause without one.
_NO_NOUN = frozenset(Path(__file__).with_name("words_before_bare_clauses.txt").read_text().split())
_SENTENCE = re.compile(r"[^.!?]+[.!?]*(?=\s|$)|[^.!?]+$")


class Hit(NamedTuple):
    """A sentence that a rule counts, and its place."""

    rule: str
    place: str
    sentence: str


def iter_doc_texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line number and the text of each paragraph, heading and table cell of a page."""
    is_code = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            is_code = not is_code
        elif not is_code and not line.startswith(("    ", "\t")):
            for cell in line.split("|") if line.startswith("|") else [line]:
                yield number, re.sub(r"`[^`]*`", "CODE", re.sub(r"\]\([^)]*\)", "]", cell))


def iter_docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line number and the text of each docstring, or of each natspec line of a contract."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        for found in re.finditer(r'"""(.*?)"""', text, re.DOTALL):
            yield text.count("\n", 0, found.start()) + 1, found.group(1)
        return
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            yield node.lineno, re.sub(r"`[^`]*`", "CODE", node.value.value)


def iter_room_texts(room: str, prefix: str = "") -> Iterator[tuple[str, int, str]]:
    """Yield file, line and text of the prose of a room, of files that begin with a prefix."""
    read = iter_doc_texts if room == "docs" else iter_docstrings
    for pattern in ROOMS[room]:
        for path in sorted(ROOT.glob(pattern)):
            place = str(path.relative_to(ROOT))
            if "node_modules" not in place and place.startswith(prefix):
                for number, text in read(path):
                    yield place, number, text


def iter_hits(text: str) -> Iterator[tuple[str, str]]:
    """Yield the rule and the sentence of each hit in a text."""
    for sentence in _SENTENCE.findall(" ".join(text.split())):
        if sentence.rstrip("\"')* ").endswith("?"):
            continue
        for _ in _PERSON.findall(sentence):
            yield "person", sentence.strip()
        for found in _BARE.finditer(sentence):
            before = re.findall(r"[\w'-]+|[^\w\s]", sentence[: found.start()])
            if not before or not before[-1][0].isalpha() or before[-1].lower() in _NO_NOUN:
                yield "bare", sentence.strip()


def count_room(room: str, prefix: str | None = None) -> dict[str, int]:
    """Return words and hits of a room; with a prefix those of files that begin with it, and print each."""
    counts = {"words": 0, **dict.fromkeys(RULES, 0)}
    for place, number, text in iter_room_texts(room, prefix or ""):
        counts["words"] += len(re.findall(r"[A-Za-z][\w'-]*", text))
        for rule, sentence in iter_hits(text):
            counts[rule] += 1
            if prefix is not None:
                print(f"{rule:7} {place}:{number}: {sentence}")
    return counts


def check_counts(counts: dict[str, dict[str, int]], limits: dict[str, dict[str, int]]) -> list[str]:
    """Return a line for each rule that counts more than its limit."""
    return [
        f"{LIMITS.relative_to(ROOT)}: {room}: {rule}: {counts[room][rule]} sentences hide their subject, "
        f"expected at most {limits[room][rule]}; python tools/prose/count.py --list '' shows them"
        for room in ROOMS
        for rule in RULES
        if counts[room][rule] > limits[room][rule]
    ]


def main() -> int:
    """Print counts, list hits, compare with the limits, or write them down."""
    prefix = sys.argv[sys.argv.index("--list") + 1] if "--list" in sys.argv else None
    counts = {room: count_room(room, prefix) for room in ROOMS}
    for room, found in counts.items():
        if not found["words"]:
            continue
        rates = ", ".join(
            f"{rule} {found[rule]} ({1000 * found[rule] / found['words']:.2f})" for rule in RULES
        )
        print(f"{room}: {found['words']} words; {rates} per 1,000", file=sys.stderr)
    if "--write" in sys.argv:
        kept = {room: {rule: found[rule] for rule in RULES} for room, found in counts.items()}
        LIMITS.write_text(json.dumps(kept, indent=2) + "\n")
    worse = check_counts(counts, json.loads(LIMITS.read_text())) if "--check" in sys.argv else []
    print("\n".join(worse), end="\n" if worse else "")
    return 1 if worse else 0


if __name__ == "__main__":
    raise SystemExit(main())
