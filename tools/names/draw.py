"""Draw names for a blind reader: paths and functions of this project, mixed with those of other projects.

    python tools/names/draw.py --peer web3=FOLDER --peer silverback=FOLDER --out draw/

The commit's hash is the seed, so nobody chooses the names. Writes `questions.md` for a reader who has no
repository, and `key.csv` (number, project, path, line) for the grader, who reads the code and grades guesses:
0 (wrong), 1 (in part) or 2 (right) in `grades.csv` (number, points). With --grades, prints the means.
"""

from __future__ import annotations

import argparse
import ast
import csv
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from random import Random

ROOT = Path(__file__).parents[2]
OWN = ("offchain/backstop", "offchain/benchmarks", "tests/support", "contracts")
COUNT, PEER_COUNT = 60, 20


def list_paths(folder: Path) -> list[Path]:
    """Return the source files of a folder that have a name of their own."""
    files = sorted(path for suffix in ("py", "vy") for path in folder.rglob(f"*.{suffix}"))
    return [path for path in files if not path.stem.startswith("__") and "_pb2" not in path.stem]


def iter_functions(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the name with parameters, and the line, of each function of a Python file but dunder methods."""
    if path.suffix != ".py":
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for owner in ast.walk(tree):
        if not isinstance(owner, ast.Module | ast.ClassDef):
            continue
        for node in owner.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("__"):
                names = [
                    each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
                ]
                shown = ", ".join(name for name in names if name not in ("self", "cls"))
                prefix = f"{owner.name}." if isinstance(owner, ast.ClassDef) else ""
                yield f"{prefix}{node.name}({shown})", node.lineno


def draw_names(random: Random, project: str, folders: list[Path], count: int) -> Iterator[tuple[str, ...]]:
    """Yield so many paths and so many functions: what is shown, kind, project, path, line."""
    found = [(folder, path) for folder in folders for path in list_paths(folder)]
    for folder, path in random.sample(found, min(count, len(found))):
        yield str(path.relative_to(folder)), "path", project, str(path), ""
    functions = [(shown, path, line) for _, path in found for shown, line in iter_functions(path)]
    for shown, path, line in random.sample(functions, min(count, len(functions))):
        yield shown, "function", project, str(path), str(line)


def write_draw(seed: str, peers: dict[str, Path], out: Path) -> None:
    """Write the questions and their key."""
    random = Random(seed)
    drawn = list(draw_names(random, "backstop", [ROOT / name for name in OWN], COUNT))
    for project, folder in sorted(peers.items()):
        drawn += draw_names(random, project, [folder], PEER_COUNT)
    random.shuffle(drawn)
    out.mkdir(parents=True, exist_ok=True)
    lines = [f"Seed: {seed}. Guess in one line what each file contains, or what each function does.", ""]
    lines += [f"{number}. {kind}: `{shown}`" for number, (shown, kind, *_) in enumerate(drawn, 1)]
    (out / "questions.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with (out / "key.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("number", "kind", "project", "path", "line", "shown"))
        rows.writerows((n, each[1], each[2], each[3], each[4], each[0]) for n, each in enumerate(drawn, 1))


def print_means(out: Path, grades: Path) -> None:
    """Print the mean points of each project, for paths and for functions."""
    points = {row["number"]: int(row["points"]) for row in csv.DictReader(grades.open(encoding="utf-8"))}
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in csv.DictReader((out / "key.csv").open(encoding="utf-8")):
        found[row["kind"], row["project"]].append(points[row["number"]])
    for (kind, project), each in sorted(found.items()):
        print(f"{kind:<10}{project:<12}{sum(each) / len(each):.2f} of 2 ({len(each)} names)")


def main() -> None:
    """Draw, or print the means of what was graded."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=FOLDER", help="another project")
    parser.add_argument("--out", type=Path, default=Path("runs/names"), help="folder of the draw")
    parser.add_argument("--grades", type=Path, help="points by number: print the means")
    given = parser.parse_args()
    if given.grades is not None:
        print_means(given.out, given.grades)
        return
    command = ["git", "rev-parse", "HEAD"]
    seed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    peers = {name: Path(folder) for name, _, folder in (each.partition("=") for each in given.peer)}
    write_draw(seed, peers, given.out)


if __name__ == "__main__":
    main()
