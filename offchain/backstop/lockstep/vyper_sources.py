"""Vyper sources of a project: compiled with the Vyper that is installed, each variable with its place."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from backstop.errors import BackstopError
from backstop.hosts.storage_layout import StorageVariable
from backstop.lockstep.contract_artifacts import LaidOutVariable, ProjectArtifact, SlotPart, build_artifact

_WORD_BITS = 256


def compile_vyper_source(kind: str, source: Path, root: Path) -> ProjectArtifact:
    """Compile one Vyper contract, and return its artifact with the storage layout.

    Raises BackstopError with the compiler's message if the source does not compile.
    """
    data = _load_compiler_data(source, root)
    from vyper.compiler.output import build_abi_output
    from vyper.exceptions import VyperException

    try:
        with _speed_up_installed_compiler():
            abi, bytecode = build_abi_output(data), data.bytecode.hex()
            variables = dict(_iter_laid_out_variables(data))
    except VyperException as error:
        raise BackstopError(f"{source} does not compile: {error}") from None
    return build_artifact(kind, abi, bytecode, str(source), variables)


def find_vyper_layout(artifact: ProjectArtifact, source: Path, root: Path) -> ProjectArtifact:
    """Return an artifact of another compiler run with the storage layout from the Vyper source.

    If the installed Vyper cannot compile the source, return the artifact without a layout, with the reason.
    """
    try:
        data = _load_compiler_data(source, root)
        variables = dict(_iter_laid_out_variables(data))
    except BackstopError as error:
        return replace(artifact, why_no_layout=str(error).splitlines()[0])
    except Exception as error:  # of a compiler that may be any version
        why = f"the installed Vyper does not compile {source.name}: {str(error).splitlines()[0]}"
        return replace(artifact, why_no_layout=why)
    return replace(artifact, variables=variables)


def _load_compiler_data(source: Path, root: Path) -> Any:
    """Return Vyper's compiler data of a source file.

    Its imports are found beside it, in the project, and among installed packages.
    """
    try:
        from vyper.compiler.input_bundle import FileInput, FilesystemInputBundle
        from vyper.compiler.phases import CompilerData
    except ImportError:
        raise BackstopError(f"{source.name} needs Vyper 0.4 to be compiled: pip install vyper") from None
    # The last search path has precedence: the project's own modules before installed ones.
    installed = [Path(each) for each in sys.path if each and Path(each).is_dir()]
    bundle = FilesystemInputBundle([*reversed(installed), root, root / "contracts"])
    file = bundle.load_file(source)
    assert isinstance(file, FileInput)
    return CompilerData(file, input_bundle=bundle)


def _speed_up_installed_compiler() -> AbstractContextManager[None]:
    """Return a context manager that speeds up Vyper 0.4.3; without effect for other versions."""
    import vyper

    if not vyper.__version__.startswith("0.4.3"):
        return nullcontext()
    from backstop.hosts.compiler_speedup import speed_up_compiler

    return speed_up_compiler()


def _iter_laid_out_variables(data: Any) -> Iterator[tuple[str, LaidOutVariable]]:
    layout = data.storage_layout.get("storage_layout", {})
    yield from _iter_module_variables(data.global_ctx, layout, "")


def _iter_module_variables(
    module: Any, layout: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, LaidOutVariable]]:
    """Yield the storage variables of a module and its imported modules, with their paths."""
    for name, item in layout.items():
        if not isinstance(item.get("slot"), int):
            inner = module.imported_modules[name].module_t
            yield from _iter_module_variables(inner, item, f"{prefix}{name}.")
        elif name in module.variables:
            yield from _iter_type_variables(
                module.variables[name].typ, prefix + name, StorageVariable(item["slot"], 0), item["n_slots"]
            )
        else:  # a lock of nonreentrant functions
            yield prefix + name, _build_variable(prefix + name, StorageVariable(item["slot"], 0), 1)


def _iter_type_variables(
    type_: Any, path: str, place: StorageVariable, size: int
) -> Iterator[tuple[str, LaidOutVariable]]:
    """Yield the storage variables that a type consists of, with paths and places.

    Vyper gives each value slots of its own.
    """
    kind = type(type_).__name__
    if kind == "HashMapT":
        if type(type_.key_type).__name__ in ("StringT", "BytesT"):
            yield path, _build_variable(path, place, 0)  # no table can be at it
            return
        yield from _iter_type_variables(type_.value_type, path, place.add_level("slot_first"), 0)
    elif kind == "StructT":
        further = 0
        for name, member in type_.member_types.items():
            inner = place.add_level("member", further) if further else place
            slots = member.storage_size_in_words
            yield from _iter_type_variables(member, f"{path}.{name}", inner, slots if size else 0)
            further += slots
    elif kind == "SArrayT":
        item = place.add_level("index", type_.value_type.storage_size_in_words)
        yield from _iter_type_variables(type_.value_type, path, item, size)
    elif kind == "DArrayT":
        yield f"{path}.length", _build_variable(f"{path}.length", place, 1 if size else 0, "uint256")
        first = place.add_level("member", 1)
        item = first.add_level("index", type_.value_type.storage_size_in_words)
        yield from _iter_type_variables(type_.value_type, path, item, size)
    else:
        yield path, _build_variable(path, place, size, "address" if kind == "InterfaceT" else str(type_))


def _build_variable(path: str, place: StorageVariable, size: int, type_name: str = "") -> LaidOutVariable:
    return LaidOutVariable(place, (SlotPart(path, 0, _WORD_BITS, type_name),), size)
