"""Sources of the documentation's site: the pages, and a page for each file that a page links to.

    python tools/site/site_sources.py FOLDER

The README becomes the first page. A link to a file of the checkout that is no page, such as a contract or a
test, leads to a page with its text, so that the site is complete without the repository. Sphinx checks every
link of the result.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("tutorials", "how-to", "reference", "explanation")
PROJECT = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
LANGUAGES = {
    ".vy": "python",
    ".vyi": "python",
    ".py": "python",
    ".sol": "solidity",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".json": "json",
    ".toml": "toml",
    ".patch": "diff",
    ".sh": "bash",
}
HIDDEN = "---\norphan: true\nnosearch: true\n---\n\n"
"""Head of a page that is neither in the navigation nor in the search."""
LARGEST_SHOWN_FILE = 300_000
CODE = re.compile(r"^ *```.*?^ *```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(\]\()([^)\s#]+)")


def list_tracked_files() -> list[str]:
    """Return the paths of all files under version control."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.splitlines() if (ROOT / path).is_file()]


def place_file(path: str) -> str:
    """Return the place of a file of the checkout in the site's sources."""
    if path == "README.md":
        return "index.md"
    if path == "docs/README.md":
        return "pages.md"
    if path in PROJECT:
        return f"project/{path.lower()}"
    if path.startswith("docs/") and path.endswith((".md", ".ipynb")):
        place = path.removeprefix("docs/")
        return f"{place.removesuffix('README.md')}index.md" if place.endswith("/README.md") else place
    if path.endswith(".md"):
        return f"source/{path}"
    if Path(path).suffix in LANGUAGES and (ROOT / path).stat().st_size <= LARGEST_SHOWN_FILE:
        return f"source/{path}.md"
    return f"files/{path}"


class SiteSources:
    """Pages are added with the files that they link to, each once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tracked = set(list_tracked_files())
        self.added: dict[str, str] = {}
        """File or folder of the checkout -> its place in the site."""

    def add(self, path: str) -> str:
        """Add a file or a folder of the checkout, and return its place."""
        if path not in self.added:
            if path in self.tracked:
                self.added[path] = place = place_file(path)
                self._write_file(path, self.folder / place)
            elif f"{path}/README.md" in self.tracked:
                self.added[path] = self.add(f"{path}/README.md")
            else:
                self.added[path] = place = f"source/{path}/index.md"
                self._write_folder(path, place)
        return self.added[path]

    def _write_file(self, path: str, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.endswith((".md", ".ipynb")):
            head = HIDDEN if self.added[path].startswith("source/") else ""
            target.write_text(head + self.rewrite_links((ROOT / path).read_text(), path))
        elif target.suffix == ".md":
            text = (ROOT / path).read_text()
            fence = "`" * max(3, 1 + max((len(each) for each in re.findall("`{3,}", text)), default=2))
            language = LANGUAGES[Path(path).suffix]
            title = f"# {Path(path).name}\n\n`{path}`\n\n"
            target.write_text(f"{HIDDEN}{title}{fence}{language}\n{text.rstrip()}\n{fence}\n")
        else:
            shutil.copy(ROOT / path, target)

    def _write_folder(self, path: str, place: str) -> None:
        below = [each.removeprefix(f"{path}/") for each in self.tracked if each.startswith(f"{path}/")]
        children = sorted({f"{path}/{each.split('/')[0]}" for each in below})
        if not children:
            raise SystemExit(f"{path}: no file under version control; correct the link")
        links = [
            f"- [{Path(each).name}]({os.path.relpath(self.add(each), os.path.dirname(place))})"
            for each in children
        ]
        target = self.folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"{HIDDEN}# {path}\n\n" + "\n".join(links) + "\n")

    def rewrite_links(self, text: str, path: str) -> str:
        """Return the text of a page whose links lead to the places in the site; code stays."""
        start = os.path.dirname(self.added[path])

        def rewrite(match: re.Match[str]) -> str:
            target = match[2]
            if "://" in target or target.startswith("mailto:"):
                return match[0]
            full = os.path.normpath(os.path.join(os.path.dirname(path), target))
            return f"{match[1]}{os.path.relpath(self.add(full), start)}"

        pieces = []
        end = 0
        for code in CODE.finditer(text):
            pieces += [LINK.sub(rewrite, text[end : code.start()]), code[0]]
            end = code.end()
        return "".join([*pieces, LINK.sub(rewrite, text[end:])])

    def add_tables_of_contents(self) -> None:
        """List each page in the navigation, by the headings of docs/README.md or by its folder's page."""
        tables = [_write_table("", ["pages.md"])]
        rooms = {room: self._list_room(room) for room in ROOMS}
        for caption, places in _list_groups(self.folder / "pages.md"):
            listed = [place for place in places if any(place in room for room in rooms.values())]
            for room in rooms.values():
                room[:] = [place for place in room if place not in listed]
            tables.append(_write_table(caption, listed))
        if left := list(chain.from_iterable(rooms.values())):
            raise SystemExit(f"docs/README.md: no link to {left[0]}")
        tables.append(_write_table("Project", [place_file(path) for path in PROJECT]))
        _append_text(self.folder / "index.md", "".join(tables))
        for page in self.folder.rglob("*/index.md"):
            if page.relative_to(self.folder).parts[0] in ROOMS:
                children = _list_in_order(page, sorted(each.name for each in page.parent.glob("*.md")))
                _append_text(page, _write_table("", children))

    def _list_room(self, room: str) -> list[str]:
        return [
            path.relative_to(self.folder).as_posix()
            for path in sorted((self.folder / room).rglob("*"))
            if path.suffix in (".md", ".ipynb")
            and (path.name == "index.md" or not (path.parent / "index.md").exists())
        ]


def _list_groups(page: Path) -> list[tuple[str, list[str]]]:
    """Return the headings of a page, each with the places to which its list links, each place once."""
    groups: list[tuple[str, list[str]]] = []
    seen: set[str] = set()
    room = ""
    for line in page.read_text().splitlines():
        if line.startswith("## "):
            room = line.removeprefix("## ")
            groups.append((room, []))
        elif line.startswith("### "):
            groups.append((f"{room}: {line.removeprefix('### ').lower()}", []))
        elif groups:
            for place in re.findall(r"\]\(([^)#]+)\)", line):
                if place not in seen:
                    seen.add(place)
                    groups[-1][1].append(place)
    return [(caption, places) for caption, places in groups if places]


def _list_in_order(page: Path, names: list[str]) -> list[str]:
    """Return names in the order in which a page links to them, then the others."""
    text = page.read_text()
    places = {name: text.find(f"]({name}") for name in names if name != page.name}
    return sorted(places, key=lambda name: (places[name] < 0, places[name]))


def _append_text(page: Path, text: str) -> None:
    with page.open("a") as file:
        file.write(text)


def _write_table(caption: str, names: list[str]) -> str:
    """Return a hidden table of contents."""
    title = f":caption: {caption}\n" if caption else ""
    return "\n```{toctree}\n:hidden:\n" + title + "\n" + "".join(f"{name}\n" for name in names) + "```\n"


def write_site_sources(folder: Path) -> None:
    """Write the sources of the site into a folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sources = SiteSources(folder)
    pages = {
        path for path in sources.tracked if path.startswith("docs/") and path.endswith((".md", ".ipynb"))
    }
    for path in ("README.md", *PROJECT, *sorted(pages)):
        sources.add(path)
    sources.add_tables_of_contents()


if __name__ == "__main__":
    write_site_sources(Path(sys.argv[1]))
