"""Apply tables of renames to the project's Python, by the types that mypy finds.

    python tools/names/rename.py tools/names/tables/live.yaml [...]

A table has `modules` (dotted, a package moves what is below it), `names` (qualified functions, methods and
classes, the new last word) and `parameters` ("function(parameter)"). Overrides follow the topmost definition,
and classes that have all methods of a protocol follow the protocol. Attributes of values without a type are
renamed if no other definition of the project has that name; what stays doubtful is printed. Dotted names and
file paths are replaced in all text files. Names in other strings (monkeypatch) are left: tests find them.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from mypy import build
from mypy.config_parser import parse_config_file
from mypy.find_sources import create_source_list
from mypy.fscache import FileSystemCache
from mypy.nodes import (
    CallExpr,
    ClassDef,
    Decorator,
    FuncDef,
    ImportFrom,
    MemberExpr,
    MypyFile,
    NameExpr,
    Node,
    RefExpr,
    SuperExpr,
    TypeInfo,
)
from mypy.options import Options
from mypy.types import (
    AnyType,
    CallableType,
    Instance,
    Overloaded,
    Type,
    TypeType,
    TypeVarType,
    UnionType,
    get_proper_type,
)

ROOT = Path(__file__).parents[2]
WORDS = {
    name: frozenset(words.split())
    for name, words in yaml.safe_load(Path(__file__).with_name("words.yaml").read_text()).items()
}
TARGETS = ("offchain", "scripts", "tests")
TEXTS = (
    ".py",
    ".md",
    ".yaml",
    ".yml",
    ".toml",
    ".cfg",
    ".ini",
    ".json",
    ".jinja",
    ".html",
    ".mjs",
    ".sh",
    ".vy",
    ".patch",
    ".ipynb",
    "",
)


class Tables:
    """Renames of several tables together."""

    def __init__(self, paths: list[Path]) -> None:
        self.modules: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.parameters: dict[str, dict[str, str]] = defaultdict(dict)
        for path in paths:
            content = yaml.safe_load(path.read_text())
            self.modules |= content.get("modules") or {}
            self.names |= content.get("names") or {}
            for key, new in (content.get("parameters") or {}).items():
                function, _, parameter = key.rstrip(")").partition("(")
                self.parameters[function][parameter] = new


_LINKS = WORDS["links"]


def iter_nodes(root: Any) -> Iterator[Any]:
    """Yield each node below one, in no order that matters: mypy's own visitors are compiled."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list | tuple):
            waiting.extend(node)
            continue
        if not isinstance(node, Node) or isinstance(node, TypeInfo) or id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        kind: Any = type(node)
        for name in _fields_of(kind):
            try:
                waiting.append(getattr(node, name))
            except (AttributeError, AssertionError):
                continue


@cache
def _fields_of(kind: type) -> tuple[str, ...]:
    return tuple(
        name
        for name in dir(kind)
        if not name.startswith("_")
        and (name not in _LINKS or (name == "func" and kind is Decorator))
        and not callable(getattr(kind, name, None))
    )


class Collector:
    """Edits of one file: (line, place, old, new); the place is a column, or how to find it."""

    def __init__(self, renamer: Renamer, tree: MypyFile) -> None:
        self.renamer, self.tree = renamer, tree
        self.edits: set[tuple[int, Any, str, str]] = set()
        self.doubtful: list[str] = []
        nodes = list(iter_nodes(tree))
        self._parameters: dict[int, str] = {}
        for node in nodes:
            if isinstance(node, FuncDef):
                self._see_function(node)
        for node in nodes:
            if isinstance(node, ClassDef):
                if new := renamer.new_name(node.fullname):
                    self.edit(node.line, None, node.name, new)
            elif isinstance(node, NameExpr):
                self._see_name(node)
            elif isinstance(node, MemberExpr):
                self._see_member(node)
            elif isinstance(node, SuperExpr) and node.info:
                for base in node.info.mro[1:]:
                    if new := renamer.new_name(f"{base.fullname}.{node.name}"):
                        self.edit(node.end_line or node.line, ("end", node.end_column), node.name, new)
                        break
            elif isinstance(node, CallExpr):
                self._see_call(node)
            elif isinstance(node, ImportFrom):
                for name, _ in node.names:
                    if new := renamer.new_import(node.id, name):
                        self.edit(node.line, "import", name, new)

        self._see_annotations()

    def _see_annotations(self) -> None:
        """Rename what the syntax alone resolves: mypy keeps no places of names in annotations."""
        tree = ast.parse(Path(self.tree.path).read_text())
        module = self.tree.fullname
        at = {name: f"{module}.{name}" for name in self.tree.names}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                at |= {
                    each.asname or each.name: self.renamer.origin(node.module, each.name)
                    for each in node.names
                }
            elif isinstance(node, ast.Assign) and [ast.unparse(each) for each in node.targets] == ["__all__"]:
                for each in ast.walk(node.value):
                    if not isinstance(each, ast.Constant) or not isinstance(each.value, str):
                        continue
                    if new := self.renamer.new_import(module, each.value):
                        self.edit(each.lineno, ("text", each.col_offset), each.value, new)
        for node in ast.walk(tree):
            full = at.get(node.id, "") if isinstance(node, ast.Name) else ""
            if isinstance(node, ast.Name) and full in self.renamer.classes and full.endswith(f".{node.id}"):
                self.edit(node.lineno, node.col_offset, node.id, self.renamer.new_name(full) or node.id)

    def edit(self, line: int, place: Any, old: str, new: str) -> None:
        if old != new:
            self.edits.add((line, place, old, new))

    def _see_function(self, node: FuncDef) -> None:
        if new := self.renamer.new_name(node.fullname):
            self.edit(node.line, None, node.name, new)
        wanted = self.renamer.parameters_of(node.fullname)
        for argument in node.arguments:
            name = argument.variable.name
            if name in wanted:
                self._parameters[id(argument.variable)] = wanted[name]
                self.edit(argument.line, argument.column, name, wanted[name])

    def _see_name(self, node: NameExpr) -> None:
        if id(node.node) in self._parameters:
            self.edit(node.line, node.column, node.name, self._parameters[id(node.node)])
        elif (new := self.renamer.new_name(node.fullname)) and node.fullname.rsplit(".", 1)[-1] == node.name:
            self.edit(node.line, node.column, node.name, new)

    def _see_member(self, node: MemberExpr) -> None:
        new = self.renamer.new_name(node.fullname) if node.fullname else None
        if new is None:
            known, new = self.renamer.new_attribute(self.renamer.types.get(node.expr), node.name)
            known = known or (isinstance(node.expr, RefExpr) and isinstance(node.expr.node, MypyFile))
            if not known and node.name in self.renamer.method_words:
                new = self.renamer.unique_word(node.name)
                if new is None:
                    self.doubtful.append(f"{self.tree.path}:{node.line}: .{node.name}")
        if new:
            self.edit(node.end_line or node.line, ("end", node.end_column), node.name, new)

    def _see_call(self, node: CallExpr) -> None:
        if any(node.arg_names) and (wanted := self.renamer.parameters_of_call(node)):
            for name, argument in zip(node.arg_names, node.args, strict=True):
                if name and name in wanted:
                    self.edit(argument.line, ("before", argument.column), name, wanted[name])


class Renamer:
    """All files of the project as mypy sees them, and what becomes of their names."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        options = Options()
        parse_config_file(options, lambda: None, str(ROOT / "pyproject.toml"))
        options.export_types = True
        options.preserve_asts = True
        options.incremental = False
        sources = create_source_list([str(ROOT / each) for each in TARGETS], options, FileSystemCache())
        result = build.build(sources, options)
        for line in result.errors[:20]:
            print(line)
        self.types: dict[Any, Type] = result.types
        self.files = {
            name: each
            for name, each in result.files.items()
            if each.path
            and Path(each.path).is_relative_to(ROOT)
            and ".venv" not in each.path
            and Path(each.path).is_file()
        }
        self.classes: dict[str, TypeInfo] = {}
        for file in self.files.values():
            self._find_classes(file.names)
        self.names = dict(tables.names)
        self._spread_over_overrides()
        self.method_words = {
            key.rsplit(".", 1)[-1] for key in self.names if key.rsplit(".", 1)[0] in self.classes
        }
        self._definitions = self._count_definitions()

    def _find_classes(self, names: Any) -> None:
        for symbol in names.values():
            node = symbol.node
            if (
                isinstance(node, TypeInfo)
                and node.fullname not in self.classes
                and node.module_name in self.files
            ):
                self.classes[node.fullname] = node
                self._find_classes(node.names)

    def _spread_over_overrides(self) -> None:
        """Have what overrides a renamed method, or implements a renamed protocol, follow."""
        missing = [key for key in self.names if not self._exists(key)]
        for key in missing:
            print(f"unknown: {key}")
            del self.names[key]
        changed = True
        while changed:
            changed = False
            for key, new in list(self.names.items()):
                owner, _, name = key.rpartition(".")
                info = self.classes.get(owner)
                if info is None:
                    continue
                # What a protocol of one method asks for many classes have by chance.
                members = set(info.protocol_members) if info.is_protocol else set()
                members = members if len(members) > 1 else set()
                for other in self.classes.values():
                    if other is info or name not in other.names:
                        continue
                    related = info in other.mro or other in info.mro
                    if not related and members and members <= {n for base in other.mro for n in base.names}:
                        related = True
                    if (
                        not related
                        and other.is_protocol
                        and len(other.protocol_members) > 1
                        and set(other.protocol_members) <= {n for base in info.mro for n in base.names}
                    ):
                        related = True
                    follower = f"{other.fullname}.{name}"
                    if related and follower not in self.names:
                        self.names[follower] = new
                        changed = True
                    elif related and self.names[follower] != new:
                        print(f"two names: {key} -> {new}, {follower} -> {self.names[follower]}")
                        self.names[follower] = new

    def _exists(self, key: str) -> bool:
        owner, _, name = key.rpartition(".")
        if owner in self.classes:
            return name in self.classes[owner].names
        if owner in self.files:
            return name in self.files[owner].names
        return True  # a nested function

    def _count_definitions(self) -> dict[str, set[str | None]]:
        found: dict[str, set[str | None]] = defaultdict(set)
        for info in self.classes.values():
            for name in info.names:
                found[name].add(self.names.get(f"{info.fullname}.{name}"))
        for module, file in self.files.items():
            for name, symbol in file.names.items():
                if symbol.node is not None and getattr(symbol.node, "fullname", "").startswith(module + "."):
                    found[name].add(self.names.get(f"{module}.{name}"))
        return found

    def unique_word(self, name: str) -> str | None:
        """Return the new name of an attribute that all its definitions agree on."""
        found = self._definitions[name]
        if len(found) != 1 or name in _COMMON:
            return None
        return next(iter(found))

    def new_name(self, fullname: str) -> str | None:
        if new := self.names.get(fullname):
            return new
        module = self.tables.modules.get(fullname)
        return module.rsplit(".", 1)[-1] if module else None

    def origin(self, module: str, name: str) -> str:
        """Return the qualified name of what a module has under a name, where it is defined."""
        symbol = self.files[module].names.get(name) if module in self.files else None
        found = getattr(symbol.node, "fullname", "") if symbol is not None and symbol.node is not None else ""
        return found if found.endswith(f".{name}") else f"{module}.{name}"

    def new_import(self, module: str, name: str) -> str | None:
        return self.new_name(self.origin(module, name)) or self.new_name(f"{module}.{name}")

    def parameters_of(self, fullname: str) -> dict[str, str]:
        found = self.tables.parameters.get(fullname, {})
        owner, _, name = fullname.rpartition(".")
        if not found and owner in self.classes:
            for base in self.classes[owner].mro[1:]:
                found = found or self.tables.parameters.get(f"{base.fullname}.{name}", {})
        return found

    def parameters_of_call(self, call: CallExpr) -> dict[str, str]:
        callee = call.callee
        names: list[str] = []
        if isinstance(callee, NameExpr | MemberExpr) and callee.fullname:
            names.append(callee.fullname)
            if isinstance(callee.node, TypeInfo):
                names.append(f"{callee.fullname}.__init__")
                names += [f"{base.fullname}.__init__" for base in callee.node.mro]
        if isinstance(callee, MemberExpr):
            for info in self._infos(self.types.get(callee.expr)):
                names += [f"{base.fullname}.{callee.name}" for base in info.mro]
        found: dict[str, str] = {}
        for name in names:
            found = {**self.tables.parameters.get(name, {}), **found}
        return found

    def _infos(self, given: Type | None) -> list[TypeInfo]:
        if given is None:
            return []
        kind = get_proper_type(given)
        if isinstance(kind, Instance):
            return [kind.type]
        if isinstance(kind, UnionType):
            return [info for item in kind.items for info in self._infos(item)]
        if isinstance(kind, TypeVarType):
            return self._infos(kind.upper_bound)
        if isinstance(kind, TypeType):
            return self._infos(kind.item)
        if isinstance(kind, CallableType) and kind.is_type_obj():
            return self._infos(kind.ret_type)
        if isinstance(kind, Overloaded) and kind.is_type_obj():
            return self._infos(kind.items[0].ret_type)
        if hasattr(kind, "partial_fallback"):
            return self._infos(kind.partial_fallback)
        return []

    def new_attribute(self, given: Type | None, name: str) -> tuple[bool, str | None]:
        """Return whether the type is known, and the attribute's new name."""
        kind = get_proper_type(given) if given is not None else None
        if kind is None or isinstance(kind, AnyType):
            return False, None
        infos = self._infos(kind)
        for info in infos:
            for base in info.mro:
                if new := self.names.get(f"{base.fullname}.{name}"):
                    return True, new
        return bool(infos), None


_COMMON = WORDS["common"]


def _tokens(text: str) -> list[tokenize.TokenInfo]:
    return list(tokenize.generate_tokens(io.StringIO(text).readline))


def apply_edits(path: Path, edits: set[tuple[int, Any, str, str]]) -> list[str]:
    """Change a file; return what was not found."""
    text = path.read_text()
    lines = text.splitlines(keepends=True)
    names: dict[int, list[tokenize.TokenInfo]] = defaultdict(list)
    strings: list[tokenize.TokenInfo] = []
    for token in _tokens(text):
        if token.type == tokenize.NAME:
            names[token.start[0]].append(token)
        elif token.type == tokenize.STRING:
            strings.append(token)
    places: dict[tuple[int, int], tuple[str, str]] = {}
    missing: list[str] = []

    def put(line: int, column: int, old: str, new: str) -> None:
        places[line, column] = (old, new)

    def in_strings(line: int, old: str, new: str) -> bool:
        done = False
        for token in strings:
            if token.start[0] <= line <= token.end[0] and "f" in token.string[:2].lower():
                for row in range(token.start[0], token.end[0] + 1):
                    low = token.start[1] if row == token.start[0] else 0
                    high = token.end[1] if row == token.end[0] else len(lines[row - 1])
                    for match in re.finditer(rf"(?<![\w'\"]){re.escape(old)}\b", lines[row - 1][low:high]):
                        before = lines[row - 1][low : low + match.start()]
                        if before.count("{") > before.count("}"):
                            put(row, low + match.start(), old, new)
                            done = True
        return done

    for line, column, old, new in edits:
        if column is None:  # a definition: the name behind def or class, maybe below decorators
            for row in range(line, min(line + 40, len(lines)) + 1):
                row_names = names[row]
                hit = [b for a, b in pairwise(row_names) if a.string in ("def", "class") and b.string == old]
                if hit:
                    put(row, hit[0].start[1], old, new)
                    break
            else:
                missing.append(f"{path}:{line}: def {old}")
        elif column == "import":
            row = line
            while row <= len(lines):
                hits = [t for t in names[row] if t.string == old]
                hits = [
                    t
                    for t in hits
                    if row != line or "import" in [u.string for u in names[row] if u.start < t.start]
                ]
                if hits:
                    put(row, hits[0].start[1], old, new)
                    break
                row += 1
        elif isinstance(column, tuple) and column[0] == "end":
            hits = [t for t in names[line] if t.string == old and t.end[1] == column[1]]
            if hits:
                put(line, hits[0].start[1], old, new)
            elif not in_strings(line, old, new):
                missing.append(f"{path}:{line}: .{old}")
        elif isinstance(column, tuple) and column[0] == "text":
            put(line, column[1] + 1, old, new)
        elif isinstance(column, tuple):  # a keyword before its value
            row, hits = line, []
            while row > 0 and not hits:
                hits = [t for t in names[row] if t.string == old and (row < line or t.end[1] < column[1])]
                hits = [t for t in hits if lines[row - 1][t.end[1] :].lstrip().startswith("=")]
                row -= 1
                if line - row > 3:
                    break
            if hits:
                put(hits[-1].start[0], hits[-1].start[1], old, new)
            elif not in_strings(line, old, new):
                missing.append(f"{path}:{line}: {old}=")
        else:
            hits = [t for t in names[line] if t.string == old and t.start[1] == column]
            if hits:
                put(line, column, old, new)
            elif not in_strings(line, old, new):
                missing.append(f"{path}:{line}:{column} {old}")
    for (line, column), (old, new) in sorted(places.items(), reverse=True):
        was = lines[line - 1]
        if was[column : column + len(old)] == old:
            lines[line - 1] = was[:column] + new + was[column + len(old) :]
        else:
            missing.append(f"{path}:{line}:{column} {old} is {was[column : column + 20]!r}")
    path.write_text("".join(lines))
    return missing


def tracked_files() -> Iterator[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        path = ROOT / name
        if path.suffix in TEXTS and path.is_file() and "tools/names" not in name and not path.is_symlink():
            yield path


def replace_dotted(tables: Tables) -> None:
    """Replace dotted names and the paths of modules in all text files, then move the files."""
    renamed = {old: f"{old.rpartition('.')[0]}.{new}" for old, new in tables.names.items()}
    roots = "|".join(sorted({re.escape(old.partition(".")[0]) for old in (*renamed, *tables.modules)}))
    pattern = re.compile(rf"(?<![\w./])(?:{roots})(?:\.\w+)+")

    def resolve(match: re.Match[str]) -> str:
        """Return a dotted name of today: its longest part that has a new name, then its module."""
        name, rest = match[0], ""
        while "." in name and name not in renamed:
            name, _, last = name.rpartition(".")
            rest = f".{last}{rest}"
        found = renamed[name] if name in renamed else match[0]
        rest = rest if name in renamed else ""
        module, tail = found, ""
        while "." in module and module not in tables.modules:
            module, _, last = module.rpartition(".")
            tail = f".{last}{tail}"
        return (tables.modules.get(module, module) + tail if module in tables.modules else found) + rest

    moves: dict[str, str] = {}
    for old, new in sorted(tables.modules.items(), key=lambda each: -len(each[0])):
        first, second = _path_of(old), new.replace(".", "/")
        if first is None:
            print(f"unknown module: {old}")
            continue
        root = first[: len(first) - len(old.replace(".", "/"))]
        moves[first] = root + second
    paths = re.compile(
        "|".join(rf"\b{re.escape(each)}(?=\.py\b|/)" for each in sorted(moves, key=len, reverse=True))
        or r"(?!)"
    )
    for path in tracked_files():
        try:
            text = before = path.read_text()
        except UnicodeDecodeError:
            continue
        for _ in range(2):  # a module in its package, and then the package
            text = pattern.sub(resolve, text)
            text = paths.sub(lambda match: moves[match[0]], text)
        for old, new in tables.modules.items():  # from package import module
            package, _, stem = old.rpartition(".")
            target_package, _, target = new.rpartition(".")
            if path.suffix == ".py" and package == target_package:
                text = re.sub(
                    rf"(from {re.escape(package)} import (?:\w+, )*){stem}\b", rf"\g<1>{target}", text
                )
        if text != before:
            path.write_text(text)
    for first, second in moves.items():
        for suffix in (".py", ""):
            if (ROOT / (first + suffix)).exists():
                (ROOT / second).parent.mkdir(parents=True, exist_ok=True)
                inside = sorted((ROOT / first).iterdir()) if not suffix and (ROOT / second).is_dir() else []
                # What is in the new package already came there by a move of its own.
                moved = [(f"{first}/{each.name}", f"{second}/{each.name}") for each in inside]
                for old, new in moved or [(first + suffix, second + suffix)]:
                    if not old.endswith("__pycache__"):
                        subprocess.run(["git", "mv", old, new], cwd=ROOT, check=True)
                break


def _path_of(module: str) -> str | None:
    for root in ("offchain/", ""):
        path = root + module.replace(".", "/")
        if (ROOT / (path + ".py")).exists() or (ROOT / path).is_dir():
            return path
    return None


def main() -> int:
    """Rename; print what is doubtful."""
    tables = Tables([Path(each) for each in sys.argv[1:]])
    renamer = Renamer(tables)
    missing: list[str] = []
    doubtful: list[str] = []
    for tree in renamer.files.values():
        collector = Collector(renamer, tree)
        doubtful += collector.doubtful
        if collector.edits:
            missing += apply_edits(Path(tree.path), collector.edits)
    replace_dotted(tables)
    for title, lines in (("not found", missing), ("doubtful", doubtful)):
        print(f"{title}: {len(lines)}")
        for line in lines[:400]:
            print("  ", line)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
