"""Two ERC-4626 vaults of other people, in Vyper and in Solidity, whole or with a fault, compiled."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Any

import snekmate
from vyper.compiler import compile_from_file_input
from vyper.compiler.input_bundle import FileInput, FilesystemInputBundle
from vyper.compiler.settings import Settings
from vyper.exceptions import VyperException

from backstop.errors import BackstopError
from backstop.files.installation import ROOT
from backstop.proof.mutation.contract_mutants import Mutant, list_file_mutants
from benchmarks.lockstep.solidity_mutants import SoliditySource, list_solidity_mutants

BENCH = ROOT / "tools" / "lockstep_bench"
NODE_PACKAGES = "tools/lockstep_bench/node_modules/.done"
"""Files that `make` creates where they are missing."""
SOLC = BENCH / "solc.mjs"
SELECTED = ("abi", "evm.bytecode", "storageLayout")
"""Output of solc that is requested for a contract."""
CONTRACTS = ("Asset", "Vault")
EVM_VERSION = "cancun"
_LIBRARY = Path(next(iter(snekmate.__path__)))
_IMPORT = re.compile(r'^import\b[^;]*?["\']([^"\']+)["\'];', re.MULTILINE)


class CompilationError(BackstopError):
    """Error: the sources of a vault do not compile."""


@dataclass(frozen=True)
class CompiledContract:
    """Compiled contract in the form that every tool accepts."""

    abi: list[dict[str, Any]]
    bytecode: str  # the creation code, "0x" and hexadecimal digits


@dataclass(frozen=True)
class VaultBuild:
    """Compiled vault and asset contract; `solc_output` is set if solc compiled them."""

    contracts: dict[str, CompiledContract]
    solc_output: dict[str, Any] | None = None


@dataclass(frozen=True)
class ForeignVault(ABC):
    """ERC-4626 vault written by other people, from which mutants (planted faults) are drawn.

    Mutants change the files `mutated`, but not the functions `left_out`.
    """

    name: str
    title: str
    mutated: tuple[str, ...]
    left_out: frozenset[str] = field(default=frozenset())

    @abstractmethod
    def read_source(self, file: str) -> str:
        """Return the published text of a source file of the vault."""

    @abstractmethod
    def list_mutants(self) -> list[Mutant]:
        """Return all mutants, ordered by file and by position in the file."""

    @abstractmethod
    def compile_vault(self, folder: Path, mutant: Mutant | None = None) -> VaultBuild:
        """Compile the vault and its asset, and write their sources into a new folder.

        If a mutant is given, the vault has its fault; the asset stays unchanged.
        """

    def _drop_left_out_functions(self, mutants: Iterable[Mutant]) -> list[Mutant]:
        return [each for each in mutants if each.function not in self.left_out]


class VyperVault(ForeignVault):
    """Vault of snekmate in Vyper, from the Python package that the contracts use too."""

    def read_source(self, file: str) -> str:
        """Return the text of a file of the snekmate package."""
        return (_LIBRARY / file).read_text()

    def list_mutants(self) -> list[Mutant]:
        """Return all mutants, ordered by file and by position in the file."""
        return self._drop_left_out_functions(
            mutant for file in self.mutated for mutant in list_file_mutants(file, self.read_source(file))
        )

    def write_sources(self, folder: Path, mutant: Mutant | None = None) -> Path:
        """Write the vault, its asset and a copy of snekmate into a new folder, and return the folder.

        If a mutant is given, the copy of snekmate has its fault.
        """
        sources = folder / "contracts"
        shutil.copytree(BENCH / "contracts" / self.name, sources)
        shutil.copytree(
            _LIBRARY, sources / "snekmate", ignore=shutil.ignore_patterns("__pycache__", "*.py", "py.typed")
        )
        if mutant is not None:
            (sources / "snekmate" / mutant.file).write_text(mutant.apply(self.read_source(mutant.file)))
        return sources

    def compile_vault(self, folder: Path, mutant: Mutant | None = None) -> VaultBuild:
        """Compile the vault from a copy of snekmate, and the asset from the unchanged package."""
        sources = self.write_sources(folder, mutant)
        return VaultBuild(
            {
                "Asset": _compile_vyper_asset(BENCH / "contracts" / self.name / "Asset.vy"),
                "Vault": _compile_vyper(sources / "Vault.vy"),
            }
        )


class SolidityVault(ForeignVault):
    """Vault of OpenZeppelin in Solidity; the sources and the compiler are npm packages."""

    def read_source(self, file: str) -> str:
        """Return the text of a file of `node_modules`, or else of this benchmark.

        Raises BackstopError if neither has the file.
        """
        path = BENCH / "node_modules" / file
        if not path.is_file():
            path = BENCH / "contracts" / self.name / file
        try:
            return path.read_text()
        except OSError:
            raise BackstopError(
                f"there is no {file} in {BENCH / 'node_modules'}: `make {NODE_PACKAGES}` installs it"
            ) from None

    def list_mutants(self) -> list[Mutant]:
        """Return all mutants, ordered by file and by position in the file."""
        output = run_solc(self._collect_sources(None), {"*": {"": ["ast"]}})
        return self._drop_left_out_functions(
            mutant
            for file in self.mutated
            for mutant in list_solidity_mutants(
                file, SoliditySource(self.read_source(file), output["sources"][file]["ast"])
            )
        )

    def compile_vault(self, folder: Path, mutant: Mutant | None = None) -> VaultBuild:
        """Compile the vault, and the asset from unchanged sources; write the sources to a folder."""
        wanted = ["abi", "evm.bytecode", "storageLayout"]
        output = run_solc(
            self._collect_sources(mutant), {f"{name}.sol": {name: wanted} for name in CONTRACTS}
        )
        if mutant is not None:
            whole = run_solc(self._collect_sources(None), {"Asset.sol": {"Asset": wanted}})
            output["contracts"]["Asset.sol"] = whole["contracts"]["Asset.sol"]
        for name, text in self._collect_sources(mutant).items():
            path = folder / "contracts" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        found = {name: output["contracts"][f"{name}.sol"][name] for name in CONTRACTS}
        return VaultBuild(
            {
                name: CompiledContract(each["abi"], "0x" + each["evm"]["bytecode"]["object"])
                for name, each in found.items()
            },
            output,
        )

    @cache  # noqa: B019 -- once for all mutants of a vault, of which there is one
    def _compile_whole_asset(self) -> dict[str, Any]:
        output = run_solc(self._collect_sources(None), {"Asset.sol": {"Asset": SELECTED}})
        return dict(output["contracts"]["Asset.sol"])

    def _collect_sources(self, mutant: Mutant | None) -> dict[str, str]:
        """Return the text of the contracts and of all their imports, by file name."""
        found: dict[str, str] = {}
        waiting = [f"{name}.sol" for name in CONTRACTS]
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            text = self.read_source(name)
            found[name] = mutant.apply(text) if mutant is not None and mutant.file == name else text
            for path in _IMPORT.findall(text):
                waiting.append(normpath(join(dirname(name), path)) if path.startswith(".") else path)
        return found


VAULTS: dict[str, ForeignVault] = {
    vault.name: vault
    for vault in (
        VyperVault(
            "snekmate",
            "snekmate's ERC-4626 (Vyper)",
            ("extensions/erc4626.vy", "tokens/erc20.vy"),
            # EIP-2612, whose signatures no tool's user file makes, and what the constructor asks of an asset
            # that may not answer: that of OpenZeppelin's is in another file.
            frozenset({"permit", "DOMAIN_SEPARATOR", "_PERMIT_TYPE_HASH", "_try_get_underlying_decimals"}),
        ),
        SolidityVault(
            "openzeppelin",
            "OpenZeppelin's ERC-4626 (Solidity)",
            (
                "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol",
                "@openzeppelin/contracts/token/ERC20/ERC20.sol",
            ),
        ),
    )
}


def run_solc(sources: Mapping[str, str], selection: Mapping[str, Any]) -> dict[str, Any]:
    """Compile sources, given by file name, and return the selected output as standard JSON.

    Raises CompilationError if solc reports an error, and BackstopError if solc does not run.
    """
    settings = {
        "evmVersion": EVM_VERSION,
        "optimizer": {"enabled": True, "runs": 200},
        "metadata": {"appendCBOR": False, "bytecodeHash": "none"},
        "outputSelection": selection,
    }
    request = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in sorted(sources.items())},
        "settings": settings,
    }
    done = subprocess.run(
        ["node", str(SOLC)], input=json.dumps(request), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BackstopError(f"solc does not run: {done.stderr.strip()}")
    output: dict[str, Any] = json.loads(done.stdout)
    mistakes = [each["formattedMessage"] for each in output.get("errors", ()) if each["severity"] == "error"]
    if mistakes:
        raise CompilationError("\n".join(mistakes))
    return output


def _compile_vyper(path: Path) -> CompiledContract:
    bundle = FilesystemInputBundle([_LIBRARY.parent])
    file = bundle.load_file(path)
    assert isinstance(file, FileInput)
    try:
        output = compile_from_file_input(
            file,
            input_bundle=bundle,
            output_formats=["abi", "bytecode"],
            settings=Settings(evm_version=EVM_VERSION),
            no_bytecode_metadata=True,
        )
    except VyperException as error:
        raise CompilationError(str(error)) from None
    return CompiledContract(output["abi"], output["bytecode"])


_compile_vyper_asset = cache(_compile_vyper)
"""Once for all mutants of the vault."""
