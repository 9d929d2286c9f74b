"""Pages with text blocks that begin with a command: `$ backstop ...` and its output.

    python -m tests.support.page_commands docs/tutorials/memo.md

runs a page's commands by bash in an empty folder, one after the other, and writes their outputs anew. A block
that ends in a line `...` shows the first lines of an output, and keeps their number. A command that ends in
`&` runs until the page ends; its block shows the first lines, too.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

BLOCK = re.compile(r"^```text\n\$ (.+)\n((?:(?!```).*\n)*)```$", re.MULTILINE)
CUT = "...\n"


def list_page_blocks(page_text: str) -> list[tuple[str, str]]:
    """Return the command and the shown output of each block, in the order of the page."""
    return BLOCK.findall(page_text)


def build_environment() -> dict[str, str]:
    """Return the environment in which this interpreter's programs come first."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def run_page_command(command: str, folder: Path) -> str:
    """Return what a command prints: stdout, or the last line of stderr where it is refused.

    Spaces at the ends of lines, which tables have, are left out.
    """
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=build_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    printed = done.stdout if done.returncode == 0 else done.stderr.splitlines(keepends=True)[-1]
    return "".join(f"{line.rstrip()}\n" for line in printed.splitlines())


@contextmanager
def start_page_command(command: str, folder: Path, line_count: int) -> Iterator[str]:
    """Start a command and yield its first lines of stdout; stop it and its children at the end."""
    process = subprocess.Popen(
        ["bash", "-c", command.removesuffix("&")],
        cwd=folder,
        env=build_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        yield "".join(f"{process.stdout.readline().rstrip()}\n" for _ in range(line_count))
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        process.stdout.close()


def cut_output_like_block(output: str, shown: str) -> str:
    """Return as many first lines of an output as a block shows, or all of it where the block is whole."""
    if not shown.endswith(CUT):
        return output
    return "".join(output.splitlines(keepends=True)[: shown.count("\n") - 1]) + CUT


def run_page_blocks(page_text: str, folder: Path) -> Iterator[tuple[str, str, str]]:
    """Yield command, shown output and present output of each block."""
    with ExitStack() as started:
        for command, shown in list_page_blocks(page_text):
            if command.endswith("&"):
                lines = shown.removesuffix(CUT).count("\n")
                first = started.enter_context(start_page_command(command, folder, lines))
                yield command, shown, first + CUT * shown.endswith(CUT)
            else:
                yield command, shown, cut_output_like_block(run_page_command(command, folder), shown)


def run_and_save_page(page_file: Path) -> None:
    """Run the commands of a page and write what they printed into it."""
    text = page_file.read_text()
    with tempfile.TemporaryDirectory() as folder:
        for command, shown, present in run_page_blocks(text, Path(folder)):
            print(f"$ {command}", "as it was" if shown == present else "changed", flush=True)
            text = text.replace(f"$ {command}\n{shown}```", f"$ {command}\n{present}```")
    page_file.write_text(text)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        run_and_save_page(Path(name))
