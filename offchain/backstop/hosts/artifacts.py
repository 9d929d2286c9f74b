"""Compiled contracts, cached by the content of everything that goes into each."""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache, cached_property, lru_cache
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

from backstop.errors import BackstopError
from backstop.files.atomic_files import replace_file, write_json
from backstop.files.installation import COMPILED, CONTRACTS, ROOT, cache_folder
from backstop.hosts.abi_codec import ContractAbi
from backstop.hosts.compiler_speedup import speed_up_compiler
from backstop.hosts.storage_layout import StorageVariable, find_variable

CACHE = cache_folder() / "artifacts"
MADE_WITH = "made_with.json"
EVM_VERSION = "cancun"
# Beside the contracts of every deployment: what only a local chain needs, and rules to compare with.
FOLDERS = ("devnet", "naive")
# A change of what is stored needs a new number.
_FORMAT = 1
_KEPT = 400
_IMPORT = re.compile(rb"^(?:from|import)\b.*$", re.MULTILINE)


def hash_files(paths: Iterable[Path]) -> str:
    """Return a hash of the names and contents of project files, as 24 hex digits."""
    found = hashlib.sha256()
    for path in sorted(paths):
        found.update(repr((path.relative_to(ROOT).as_posix(), path.read_bytes())).encode())
    return found.hexdigest()[:24]


@dataclass(frozen=True)
class Artifact:
    """One compiled contract; `storage` maps a path such as "roles.admin" to (slot, type)."""

    kind: str
    abi_json: list[dict[str, Any]]
    bytecode_hex: str
    deployed_size: int
    storage: dict[str, tuple[int, str]]
    method_ids: dict[str, str]

    @cached_property
    def contract_abi(self) -> ContractAbi:
        return ContractAbi(self.kind, self.abi_json)

    @cached_property
    def bytecode(self) -> bytes:
        """Creation bytecode, without constructor arguments."""
        return bytes.fromhex(self.bytecode_hex)

    def find_variable(self, path: str) -> StorageVariable:
        """Return the storage variable at a path of the compiler's layout; raise BackstopError if none."""
        return find_variable(self.kind, path, self.storage)


class ArtifactSource(Protocol):
    """Interface that returns a compiled contract by its kind (the name of its Vyper file)."""

    def __getitem__(self, kind: str) -> Artifact:
        """Return the compiled contract of a kind; raise BackstopError if there is none."""


class Artifacts:
    """Deployable contracts under a `contracts` folder, compiled at first use and cached."""

    def __init__(self, contracts_root: Path = CONTRACTS, cache: Path = CACHE) -> None:
        self.root = contracts_root.resolve()
        self.cache = cache
        if not self.root.is_dir() or self.root.name != "contracts":
            raise BackstopError(f"no contracts at {contracts_root}: name a folder called 'contracts'")
        self._loaded: dict[str, Artifact] = {}
        self._sources: _ContractSources | None = None
        # PascalCase deploys, snake_case is a module.
        self.paths = {
            path.stem: path
            for folder in (self.root, *(self.root / each for each in FOLDERS))
            for path in sorted(folder.glob("*.vy"))
            if path.stem[0].isupper()
        }

    def __getitem__(self, kind: str) -> Artifact:
        if kind not in self._loaded:
            self.load([kind])
        return self._loaded[kind]

    def load(self, kinds: Iterable[str] | None = None) -> None:
        """Load compiled contracts from the cache, or compile them in two processes; by default all."""
        wanted = [kind for kind in (self.paths if kinds is None else kinds) if kind not in self._loaded]
        for kind in wanted:
            if kind not in self.paths:
                raise BackstopError(
                    f"no contract {kind}.vy in contracts/, contracts/devnet/ or contracts/naive/"
                )
        if not wanted:
            return
        if COMPILED is not None and self.root == CONTRACTS:
            for kind in wanted:
                self._loaded[kind] = _read_shipped_artifact(COMPILED / f"{kind}.json")
            return
        if self._sources is None:
            self._sources = _ContractSources(self.root)
        if missing := self._load_cached_and_list_missing(self._get_cache_files(wanted)):
            # Sources may be others by now, and what is compiled is kept as what it is made of.
            self._sources = _ContractSources(self.root)
            missing = self._get_cache_files(missing)
            with lock_cache_files(missing):
                self._compile_missing(self._load_cached_and_list_missing(missing))

    def _get_cache_files(self, kinds: Iterable[str]) -> dict[str, Path]:
        """Return the path of the cache file for the present sources of each contract."""
        assert self._sources is not None
        keys = {kind: self._sources.compute_key(self.paths[kind]) for kind in kinds}
        return {kind: self.cache / f"{kind}-{key}.json" for kind, key in keys.items()}

    def _load_cached_and_list_missing(self, files: Mapping[str, Path]) -> dict[str, Path]:
        """Load the contracts found in the cache, and return the cache files that are missing."""
        missing = {}
        for kind, file in files.items():
            artifact = _read_cached(file)
            if artifact is None:
                missing[kind] = file
            else:
                self._loaded[kind] = artifact
        return missing

    def _compile_missing(self, missing: Mapping[str, Path]) -> None:
        jobs = [(kind, str(self.paths[kind]), str(self.root.parent)) for kind in missing]
        if len(jobs) < 2:
            compiled = [_compile_contract(*job) for job in jobs]
        else:
            with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
                compiled = list(pool.map(_compile_contract, *zip(*jobs, strict=True)))
        complaints = []
        for (kind, file), outcome in zip(missing.items(), compiled, strict=True):
            if isinstance(outcome, str):
                complaints.append(f"{kind}.vy does not compile:\n{outcome}")
            else:
                self._loaded[kind] = outcome
                _write_cached(file, outcome)
        if missing:
            _delete_all_but_newest_files(self.cache)
        if complaints:
            raise BackstopError("\n".join(complaints))


@contextmanager
def lock_cache_files(files: Mapping[str, Path]) -> Iterator[None]:
    """Hold an exclusive lock for a set of cache files while the context is open.

    Other processes that lock the same set wait. A single file, or a cache that cannot be written, is not
    locked.
    """
    if len(files) < 2:
        yield
        return
    names = "\n".join(sorted(map(str, files.values())))
    folder = next(iter(files.values())).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / f"{hashlib.sha256(names.encode()).hexdigest()[:24]}.lock").open("w")
    except OSError:  # nobody can write there, so nobody waits for a file
        yield
        return
    with lock as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class _ContractSources:
    """Snapshot of all source files under a `contracts` folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._sources = {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob("*.vy*"))
            if path.suffix in (".vy", ".vyi")
        }
        self._names: dict[str, list[str]] = {}
        for name in self._sources:
            self._names.setdefault(Path(name).stem, []).append(name)
        self._looked_at: dict[str, tuple[str, list[str]]] = {}

    def compute_key(self, path: Path) -> str:
        """Return a hash of the compiler and library versions and of every source the contract can import.

        The search follows all names in import statements, since no file can be imported without its name.
        """
        reached: set[str] = set()
        waiting = [path.relative_to(self._root).as_posix()]
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting.extend(self._read_source_hash_and_imports(name)[1])
        made_of = [(name, self._read_source_hash_and_imports(name)[0]) for name in sorted(reached)]
        return hashlib.sha256(
            repr((_FORMAT, EVM_VERSION, *_get_installed_vyper_snekmate_versions(), made_of)).encode()
        ).hexdigest()[:24]

    def _read_source_hash_and_imports(self, source_name: str) -> tuple[str, list[str]]:
        """Return the hash of a source file, and the files that its imports may refer to."""
        if source_name not in self._looked_at:
            source = self._sources[source_name]
            words = set(re.findall(rb"\w+", b" ".join(_IMPORT.findall(source))))
            meant = [each for word in words for each in self._names.get(word.decode(), ())]
            self._looked_at[source_name] = hashlib.sha256(source).hexdigest(), meant
        return self._looked_at[source_name]


@cache
def _get_installed_vyper_snekmate_versions() -> tuple[str, str]:
    """Return the installed versions of Vyper and snekmate; cached, since the lookup reads many files."""
    return metadata.version("vyper"), metadata.version("snekmate")


def _compile_contract(kind: str, path: str, search_path: str) -> Artifact | str:
    """Compile one contract; return the artifact, or the compiler's error message.

    Exceptions are returned as text because they cannot be pickled.
    """
    import cbor2
    import snekmate
    from vyper.compiler import compile_from_file_input
    from vyper.compiler.input_bundle import FileInput, FilesystemInputBundle
    from vyper.compiler.settings import Settings
    from vyper.exceptions import VyperException

    library = Path(next(iter(snekmate.__path__))).parent
    # The last search path has precedence: a copy of the contracts finds its own modules.
    bundle = FilesystemInputBundle([library, Path(search_path)])
    try:
        file = bundle.load_file(Path(path))
        assert isinstance(file, FileInput)
        with speed_up_compiler():
            output = compile_from_file_input(
                file,
                input_bundle=bundle,
                output_formats=["abi", "bytecode", "layout", "method_identifiers"],
                settings=Settings(evm_version=EVM_VERSION),
            )
    except VyperException as error:
        return str(error)
    layout, bytecode = output["layout"], bytes.fromhex(output["bytecode"][2:])
    # At its end the compiler tells lengths, whose own is in the last two bytes.
    _, runtime, _, immutables, _ = cbor2.loads(bytecode[-int.from_bytes(bytecode[-2:]) : -2])
    return Artifact(
        kind=kind,
        abi_json=output["abi"],
        bytecode_hex=bytecode.hex(),
        deployed_size=runtime + immutables,
        storage={
            name: (item["slot"], item["type"])
            for name, item in _flatten_layout(layout.get("storage_layout", {}), "slot").items()
        },
        method_ids=dict(output["method_identifiers"]),
    )


def _flatten_layout(layout: dict[str, Any], mark: str, prefix: str = "") -> dict[str, dict[str, Any]]:
    """Return the compiler's nested storage layout as a flat mapping of dotted paths.

    Variables of an inherited contract (capitalised name) get no prefix.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, item in layout.items():
        if isinstance(item.get(mark), int):
            found[prefix + name] = item
        else:
            found.update(_flatten_layout(item, mark, prefix if name[0].isupper() else f"{prefix}{name}."))
    return found


def _read_cached(file: Path) -> Artifact | None:
    try:
        stat = file.stat()
        return _load_artifact_json(file, (stat.st_ino, stat.st_mtime_ns, stat.st_size))
    except (OSError, ValueError, KeyError, TypeError):
        return None


@lru_cache(64)
def _load_artifact_json(file: Path, _cache_key: tuple[int, ...]) -> Artifact:
    """Read an artifact from a JSON file; cached as long as the file does not change."""
    fields = json.loads(file.read_text())
    fields["storage"] = {name: (slot, type_) for name, (slot, type_) in fields["storage"].items()}
    return Artifact(**fields)


def _read_shipped_artifact(file: Path) -> Artifact:
    artifact = _read_cached(file)
    if artifact is None:
        raise BackstopError(f"{file} cannot be read: install Backstop again")
    return artifact


def write_shipped_artifacts(folder: Path) -> None:
    """Write all compiled contracts for an installed wheel into a folder, with their compiler versions."""
    artifacts = Artifacts()
    artifacts.load()
    for kind in artifacts.paths:
        write_artifact(folder / f"{kind}.json", artifacts[kind])
    write_json(get_vyper_snekmate_versions(), folder / MADE_WITH)


def get_vyper_snekmate_versions() -> dict[str, str]:
    """Return the versions of Vyper and snekmate that compiled the contracts.

    In a checkout these are the installed versions, in a wheel those of its build.
    """
    if COMPILED is None:
        return dict(zip(("vyper", "snekmate"), _get_installed_vyper_snekmate_versions(), strict=True))
    return dict(json.loads((COMPILED / MADE_WITH).read_text(encoding="utf-8")))


def _write_cached(file: Path, artifact: Artifact) -> None:
    """Write an artifact to the cache; do nothing if the cache is not writable."""
    with suppress(OSError):
        write_artifact(file, artifact)


def write_artifact(file: Path, artifact: Artifact) -> None:
    """Write an artifact to a JSON file atomically."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as temporary:
        json.dump(asdict(artifact), temporary)
    replace_file(Path(temporary.name), file)


def _delete_all_but_newest_files(folder: Path) -> None:
    """Delete all but the newest few hundred cache files; every edit of a source leaves an old one."""
    files = sorted(
        (*folder.glob("*.json"), *folder.glob("*.lock")), key=lambda file: file.stat().st_mtime, reverse=True
    )
    for file in files[_KEPT:]:
        file.unlink(missing_ok=True)
