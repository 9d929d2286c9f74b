"""Pages with Python examples: blocks ```pycon with `>>>` lines and their output.

    python -m tests.support.page_examples docs/reference/protocol.md

runs the examples of a page in their order, with one namespace, and writes their outputs anew. A block has no
blank line. An exception is shown as a traceback of three lines: the head, `    ...` and its last line.
"""

from __future__ import annotations

import doctest
import io
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"(?<=^```pycon\n)(?:(?!```).*\n)*(?=```$)", re.MULTILINE)


def run_example(source: str, namespace: dict[str, Any]) -> str:
    """Return what an interactive session prints for a statement."""
    with redirect_stdout(io.StringIO()) as printed:
        try:
            exec(compile(source, "<page>", "single"), namespace)
        except Exception as error:
            last = traceback.format_exception_only(error)[-1]
            return f"Traceback (most recent call last):\n    ...\n{last}"
    return printed.getvalue()


def show_example(source: str, output: str) -> str:
    """Return a statement with its prompts, and its output."""
    first, *others = source.splitlines()
    return (
        "".join(f"{line}\n" for line in (f">>> {first}", *(f"... {line}".rstrip() for line in others)))
        + output
    )


def run_page_examples(page_text: str) -> Iterator[tuple[str, str]]:
    """Yield each block as the page has it, and as its examples print it now."""
    namespace: dict[str, Any] = {}
    parser = doctest.DocTestParser()
    for block in BLOCK.findall(page_text):
        # The parser wants no fence, and takes a blank line for the end of an output.
        examples = parser.get_examples(block)
        yield (
            block,
            "".join(show_example(each.source, run_example(each.source, namespace)) for each in examples),
        )


def run_and_save_page(page_file: Path) -> None:
    """Run the examples of a page and write their outputs into it."""
    text = page_file.read_text()
    for block, present in list(run_page_examples(text)):
        text = text.replace(f"```pycon\n{block}```", f"```pycon\n{present}```", 1)
    page_file.write_text(text)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        run_and_save_page(Path(name))
