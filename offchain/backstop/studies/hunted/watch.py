"""Where pairs are met: the unchanged rules, with a word wherever a pair would change what runs.

If a case never comes there, the pair changes nothing in it, and need not be tried.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path

from backstop.proof.mutation.pairs import Change, Pair

MET = "backstop_met"
"""The function that is told a pair's name."""


class Watch:
    """What is put into a copy of the checkout instead of a mistake."""

    def __init__(self, pairs: Iterable[Pair]) -> None:
        self.pairs = tuple(pairs)

    def apply(self, root: Path) -> None:
        """Have the model say so before it runs what a pair changes."""
        places: dict[Path, set[tuple[int, int, str]]] = {}
        for pair in self.pairs:
            for change in pair.changes:
                file = root / change.file
                if file.suffix == ".py" and (place := _place(change, file.read_text())) is not None:
                    places.setdefault(file, set()).add((*place, pair.name))
        for file, found in places.items():
            lines = file.read_text().splitlines(keepends=True)
            for line, column, name in sorted(found, reverse=True):
                lines.insert(line - 1, f"{' ' * column}{MET}({name!r})\n")
            file.write_text("".join(lines))


def _place(change: Change, text: str) -> tuple[int, int] | None:
    """Return line and column of the statement that a change begins in; None if it is in no function."""
    # What is added after a text is met where the text ends.
    both = takewhile(lambda pair: pair[0] == pair[1], zip(change.before, change.after, strict=False))
    same = min(len(list(both)), len(change.before) - 1)
    same += len(change.before[same:]) - len(change.before[same:].lstrip() or change.before[same:])
    line = text.count("\n", 0, text.index(change.before) + same) + 1
    found = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    # `ast.walk` goes from the outside to the inside. Before an `elif` nothing can be said.
    lines = text.splitlines()
    within = [
        each for each in found if not lines[each.lineno - 1].lstrip().startswith(("elif", "def", "class"))
    ]
    if not within or not any(isinstance(node, ast.FunctionDef) for node in found):
        return None
    return within[-1].lineno, within[-1].col_offset
