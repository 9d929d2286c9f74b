"""Small words that the tests share."""

from __future__ import annotations

import os
import select
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from vyper import compile_code
from vyper.compiler.settings import Settings

from backstop.contract_base import RevertError
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.evm_crypto import keccak256
from backstop.hosts.abi_codec import ContractAbi
from backstop.hosts.artifacts import CONTRACTS, EVM_VERSION, Artifacts

STAGE = keccak256(b"STAGE")
GUARDIAN = keccak256(b"GUARDIAN")


@contextmanager
def reverts(reason: str) -> Iterator[None]:
    """The block reverts with exactly this reason; "" is a revert without data."""
    with pytest.raises(RevertError) as caught:
        yield
    assert caught.value.reason == reason


def get_revert_reason(protocol, call: str, *args, sender: str) -> str | None:
    """Try a call; the reason if it reverts, None if it goes through."""
    try:
        protocol.do(call, *args, sender=sender)
    except RevertError as revert:
        return revert.reason
    return None


@cache
def compile_source(name: str, source: str) -> tuple[ContractAbi, bytes]:
    """Compile a contract that only tests have, once; its functions and its code."""
    out = compile_code(source, output_formats=["abi", "bytecode"], settings=Settings(evm_version=EVM_VERSION))
    return ContractAbi(name, out["abi"]), bytes.fromhex(out["bytecode"][2:])


def edit_contracts(folder: Path, file: str, old: str, new: str) -> Artifacts:
    """A copy of the contracts with one edit."""
    root = folder / "contracts"
    shutil.copytree(CONTRACTS, root, dirs_exist_ok=True)
    source = (root / file).read_text()
    assert old in source, f"{file} has no {old!r}"
    (root / file).write_text(source.replace(old, new))
    return Artifacts(root)


def check_contract_creation_refused(protocol, kind: str, *args, reason: str) -> None:
    """Neither the model nor the chain makes a contract of these arguments; not every host tells why."""
    with pytest.raises(BackstopError, match=reason):
        protocol.lockstep.create_contract(kind, "Refused", *args)
    chain = protocol.lockstep.chain
    artifact = chain.artifacts[kind]
    code = artifact.bytecode + artifact.contract_abi.constructor.encode(args)
    with pytest.raises(BackstopError, match="a constructor failed") as caught:
        chain.host.deploy_contract(code, get_account("stranger"))
    assert str(caught.value) == "a constructor failed" or reason.encode().hex() in str(caught.value)


def check_setter(
    protocol, method: str, *, target: int | None, highest: int, reason: str, lowest: int = 0
) -> None:
    """A setter takes its bounds and nothing outside them, from the admin alone, and logs the change."""
    name = method.split(".")[1].removeprefix("set_")
    leading = () if target is None else (target,)
    for sender in ("stranger", "guardian", "borrower"):
        with reverts("roles: not admin"):
            protocol.do(method, *leading, lowest, sender=sender)
    if target is not None:
        with reverts(f"{reason.split(': ')[0]}: unknown type"):
            protocol.do(method, 31, lowest, sender="admin")
    for refused in [highest + 1, 2**256 - 1, *([lowest - 1] if lowest else [])]:
        with reverts(reason):
            protocol.do(method, *leading, refused, sender="admin")
    for accepted in (lowest, highest):
        protocol.do(method, *leading, accepted, sender="admin")
        changed = [log for log in protocol.last.logs if log.event == "ParameterChanged"]
        assert changed[0].values == (2**256 - 1 if target is None else target, name, accepted)


def read_terminal(screen: int, until: str = "") -> str:
    """Return a terminal's output up to a text, or until the writing process is gone."""
    found = b""
    while not until or until.encode() not in found:
        ready, _, _ = select.select([screen], [], [], 300)
        assert ready, found
        try:
            found += os.read(screen, 4_096)
        except OSError:  # the other end is closed
            break
    return found.decode()
