"""Scenario files: their places, and the content of each merged with the file that it extends."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from backstop.errors import BackstopError, describe_choices, refuse_url_as_local_path
from backstop.simulation.scenario.episode_overlay import load_episode, overlay_scenario_with_episode
from backstop.simulation.scenario.yaml_document_reader import (
    Field,
    merge_documents,
    read_document,
    remove_nulls,
)

LIBRARY = Path(__file__).parent / "library"

# Scenarios of the library that had another name.
_RENAMED = {"oct-2025": "october-2025-perpetuals", "october-2025": "october-2025-vaults"}
# Sections that mean something by their order.
ORDERS = ("parameters.waterfall",)

# Sections with an entry for each collateral type, or pair of these, of which a file may take types out.
_BY_SYMBOL = (
    *("prices", "feed_prices", "feed_faults", "correlation", "markets"),
    *("vault_book.generated", "vault_book.opened_at", "margin_book.pairs"),
    *("parameters.guards.ceilings", "parameters.guards.workouts", "parameters.margin.markets"),
)


def scenario_names() -> list[str]:
    """Return the names of the packaged scenarios, sorted."""
    return sorted(path.stem for path in LIBRARY.glob("*.yaml"))


def read_unchecked_scenario_fields(name_or_file: str | Path) -> tuple[Field, str]:
    """Return a scenario's document, merged with its base files but unchecked, and its name.

    A file called `scenario.yaml`, as `import` writes it, is named after its folder. A historic episode named
    in the file, or after `@`, is applied.
    """
    file, episode = split_episode(str(name_or_file))
    path = _find_scenario_file(file)
    name = path.resolve().parent.name if path.name == "scenario.yaml" else path.stem
    fields = _read_merged_file(path)
    if episode:
        load_episode(episode)  # an unknown name is no error of the file
        named = Field(fields.file, 1, "episode", episode)
        entries = fields.read_mapping_entries() | {"episode": named}
        fields, name = Field(fields.file, fields.line, fields.path, entries), f"{name}-{episode}"
    return overlay_scenario_with_episode(fields), name


def join_episode(name_or_file: str, episode: str | None) -> str:
    """Return a scenario's name or file with an episode appended, as `NAME@EPISODE`.

    An episode already there is replaced. With None the text is returned unchanged.
    """
    return name_or_file if episode is None else f"{split_episode(name_or_file)[0]}@{episode}"


def split_episode(name_or_file: str) -> tuple[str, str]:
    """Return the scenario's name or file, and the episode after `@` (empty if there is none).

    A text that is an existing file is not split.
    """
    file, mark, episode = name_or_file.rpartition("@")
    return (file, episode) if mark and not Path(name_or_file).is_file() else (name_or_file, "")


def _find_scenario_file(name: str, base_folder: Path | None = None) -> Path:
    """Return the path of a scenario, given by its name in the library or by its path.

    Raises BackstopError with a hint if it is not found.
    """
    refuse_url_as_local_path(name, _raise_scenario_problem)
    path = Path(name) if base_folder is None else base_folder / name
    listed = LIBRARY / f"{name}.yaml"
    if path.suffix not in (".yaml", ".yml") and "/" not in name and listed.is_file():
        return listed
    if path.is_dir():
        _raise_scenario_problem(f"{name!r} is a directory: give a .yaml file in it")
    if path.suffix in (".yaml", ".yml"):
        if path.is_file():
            return path
        _raise_scenario_problem(f"scenario file {path} not found")
    if path.is_file():
        _raise_scenario_problem(
            f"{name!r} is not a scenario file; expected a name that ends in .yaml or .yml"
        )
    if name in _RENAMED:
        _raise_scenario_problem(f"the scenario {name!r} is called {_RENAMED[name]!r} now")
    known = describe_choices(name, scenario_names(), "docs/reference/scenarios.md")
    _raise_scenario_problem(f"scenario {name!r} is unknown; {known}; or name a .yaml file")


def _raise_scenario_problem(problem: str) -> NoReturn:
    raise BackstopError(problem)


def _read_merged_file(path: Path) -> Field:
    """Return the document of a file merged with the files that it extends, base first."""
    documents = [read_document(path)]
    seen = {path.resolve()}
    while (base := documents[-1].read_mapping_entries().pop("extends", None)) is not None and not base.null:
        try:
            parent = _find_scenario_file(
                base.text, base.file.parent if base.text.endswith((".yaml", ".yml")) else None
            )
        except BackstopError as error:
            base.raise_error(str(error))
        if parent.resolve() in seen:
            base.raise_error(f"{base.text!r} extends this file in turn")
        seen.add(parent.resolve())
        documents.append(read_document(parent))
    # From the base on, so that every file finds whole what it changes.
    whole = documents.pop()
    for document in reversed(documents):
        whole = _remove_dropped_types(merge_documents(whole, document, ORDERS), document)
    return remove_nulls(whole, keep=("tries",))


def _remove_dropped_types(whole: Field, change: Field) -> Field:
    """Remove the entries of collateral types that `change` deletes, unless `change` itself gives them."""
    types = _get_section_entries(change, "parameters.collateral_types")
    gone = {symbol for symbol, entry in types.items() if entry.null}
    for place in _BY_SYMBOL if gone else ():
        entries, said = _get_section_entries(whole, place), _get_section_entries(change, place)
        for name in set(entries) - set(said):
            if name in gone or (place == "correlation" and gone & set(name.split("/"))):
                del entries[name]
    return whole


def _get_section_entries(document: Field, path: str) -> dict[str, Field]:
    """Return the entries of the section at a dotted path; empty if there is no such section."""
    for name in path.split("."):
        if not isinstance(document.value, dict) or name not in document.value:
            return {}
        document = document.value[name]
    return document.value if isinstance(document.value, dict) else {}
