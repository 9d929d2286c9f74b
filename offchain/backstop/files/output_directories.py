"""One rule for every folder that a command writes: its command and inputs decide the allowed actions.

`made.json` names the command, its inputs and, once all is done, how much was asked for. The same command
again shows the finished result, resumes an unfinished one, or extends it. Any other command is refused in one
line with the differences; --fresh replaces the files that Backstop wrote, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from backstop.errors import BackstopError
from backstop.files.atomic_files import read_versioned_json, write_json
from backstop.files.installation import (
    FIRST_VERSION,
    OLD_COMMANDS,
    __version__,
    format_command_as_started,
)

SCHEMA_VERSION = 1
MADE = "made.json"
MEND = "choose another --out, or give --fresh to replace it"

PACKAGE = Path(__file__).parents[1]
_IMPORT = re.compile(
    rf"^[ \t]*(?:from|import) ({PACKAGE.name}\b[\w.]*)(?: import (?:\(([^)]*)\)|(.*)))?", re.MULTILINE
)
_DIGEST = "sha256:"


def hash_value_repr(value: object) -> str:
    """Return a digest of a value's representation, with the prefix "sha256:"."""
    return _DIGEST + hashlib.sha256(repr(value).encode()).hexdigest()[:24]


def hash_program_and_contract_sources(contracts: Path, *roots: str) -> str:
    """Return a digest of the sources of this program and of the contracts.

    Results with equal digests come from equal programs. With `roots` only the named modules and all their
    imports count, so that edits of other files do not change the digest.
    """
    modules = _find_imported_files(roots) if roots else set(PACKAGE.rglob("*.py"))
    code = [(path, PACKAGE) for path in (*modules, *PACKAGE.rglob("*.json"))]
    sources = [(path, contracts) for path in contracts.rglob("*.vy*")]
    files = [(path.relative_to(top).as_posix(), path) for path, top in (*code, *sources)]
    return hash_value_repr(
        sorted((name, hashlib.sha256(path.read_bytes()).hexdigest()) for name, path in files)
    )


def _find_imported_files(roots: Iterable[str]) -> set[Path]:
    """Return the files of modules and of all modules that they import, directly or indirectly."""
    found: set[Path] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        *parents, _ = name.split(".")
        # A package is imported before what is in it; the face of the whole one imports nothing by itself.
        names = [name, *(".".join(parents[: i + 1]) for i in range(1, len(parents)))]
        for path in filter(None, map(_find_module_file, names)):
            if path not in found and path != PACKAGE / "__init__.py":
                found.add(path)
                for module, several, single in _IMPORT.findall(path.read_text(encoding="utf-8")):
                    words = re.findall(r"\w+", several or single)
                    waiting += [module, *(f"{module}.{word}" for word in words)]
    return found


def _find_module_file(module: str) -> Path | None:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    return next((each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file()), None)


def read_record(folder: Path) -> dict[str, Any]:
    """Return the record of how a folder was made (command, inputs); empty if it has none."""
    if not (folder / MADE).is_file():
        return {}
    found = read_versioned_json(
        folder / MADE, "record of what made a folder", SCHEMA_VERSION, "", "choose another --out"
    )
    return found | {"command": OLD_COMMANDS.get(found.get("command", ""), found.get("command"))}


def list_differences(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return a text for each input that differs: the existing value, then the wanted value."""
    found = []
    for name in dict.fromkeys((*there, *wanted)):
        old, new = there.get(name), wanted.get(name)
        if old == new:
            continue
        told = f"{_format_input_value(old)}, not {_format_input_value(new)}"
        found.append(f"another {name}" if str(old).startswith(_DIGEST) else f"{name} {told}")
    return found


def refuse_other(
    path: Path, there: Mapping[str, Any], wanted: Mapping[str, Any], mend: str = MEND, by: str = ""
) -> None:
    """Raise BackstopError that lists the differences if a file was made with other inputs.

    `mend` suggests a remedy; `by` names the version that wrote the file.
    """
    if different := list_differences(there, wanted):
        raise BackstopError(f"{path} was made {by}with {', '.join(different)}: {mend}")


class OutputDirectory:
    """Folder that a command writes, with a record of its inputs; `finished` if the result is complete."""

    def __init__(self, path: Path, command: str, inputs: Mapping[str, Any], asked: Mapping[str, int]) -> None:
        self.path = path
        self.made: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "version": __version__,
            "command": command,
            "inputs": dict(inputs),
        }
        self.asked = dict(asked)
        self.finished = False

    @classmethod
    def open_directory(
        cls,
        path: Path,
        command: str,
        inputs: Mapping[str, Any],
        asked: Mapping[str, int] | None = None,
        *,
        fresh: bool = False,
    ) -> Self:
        """Start, resume or reuse the folder of a command's result.

        The folder must be new, or made by the same command with equal inputs. Numbers in `asked` may be
        higher than before. Otherwise BackstopError is raised. With `fresh` the old result is deleted first.
        """
        output = cls(path, command, json.loads(json.dumps(inputs)), asked or {})
        there = _read_existing_folder_record(path)
        if there is not None and fresh:
            _remove_result_folder(path)
            there = None
        if there is not None:
            output._check_matching_record(there)
            done = there["finished"]
            if done is not None and all(done.get(name, 0) == count for name, count in output.asked.items()):
                output.finished = True
                return output
        output._write_record(None)
        return output

    def mark_finished(self) -> None:
        """Record that the requested result is complete."""
        self._write_record(self.asked)
        self.finished = True

    def read_result(self, name: str = "summary.json") -> Any:
        """Return the content of a JSON file of the finished result; raise BackstopError if unreadable."""
        file = self.path / name
        try:
            return json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BackstopError(f"{file} cannot be read ({error}): give --fresh to make it again") from None

    def _check_matching_record(self, existing_record: Mapping[str, Any]) -> None:
        if existing_record["command"] != self.made["command"]:
            other, own = (format_command_as_started(each["command"]) for each in (existing_record, self.made))
            raise BackstopError(f"{self.path} was made by `{other}`, not `{own}`: {MEND}")
        version = existing_record.get("version", FIRST_VERSION)
        by = "" if version == __version__ else f"by Backstop {version}, this is {__version__}, and "
        refuse_other(self.path, existing_record["inputs"], self.made["inputs"], by=by)
        for name, count in (existing_record["finished"] or {}).items():
            if count > self.asked.get(name, 0):
                raise BackstopError(
                    f"{self.path} has {count:,} {name}, not {self.asked.get(name, 0):,}: "
                    f"ask for as many, {MEND}"
                )

    def _write_record(self, finished: Mapping[str, int] | None) -> None:
        try:
            write_json({**self.made, "finished": finished}, self.path / MADE)
        except OSError as error:
            raise BackstopError(f"{self.path} cannot be written: {error.strerror or error}") from None


def _read_existing_folder_record(folder: Path) -> dict[str, Any] | None:
    """Return the record of how a folder was made; None if the folder is missing or empty.

    Raises BackstopError for a folder that Backstop did not make.
    """
    try:
        if not folder.exists() or all(each.name == MADE for each in folder.iterdir()):
            return None
    except OSError as error:
        raise BackstopError(f"{folder} cannot be read: {error.strerror or error}") from None
    foreign = (
        f"{folder} is not empty, and nothing that Backstop made (it has no {MADE}): choose another --out"
    )
    if not (folder / MADE).is_file():
        raise BackstopError(foreign)
    made = read_versioned_json(
        folder / MADE, "record of what made a folder", SCHEMA_VERSION, "", "choose another --out"
    )
    if not {"command", "inputs", "finished"} <= made.keys():
        raise BackstopError(foreign)
    return made


def _remove_result_folder(folder: Path) -> None:
    """Delete a result folder; raise BackstopError if another command's folder is inside."""
    inner = sorted(each.parent for each in folder.rglob(MADE) if each.parent != folder)
    if inner:
        raise BackstopError(f"{folder} holds {inner[0]}, which another command made: move that first")
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise BackstopError(f"{folder} cannot be replaced: {error.strerror or error}") from None


def _format_input_value(input_value: Any) -> str:
    if input_value is None:
        return "none"
    return ",".join(map(str, input_value)) if isinstance(input_value, list) else str(input_value)
