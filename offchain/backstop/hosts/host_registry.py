"""Hosts by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from backstop.errors import BackstopError
from backstop.files.installation import translate_missing_extra_errors
from backstop.hosts.host_interface import GENESIS, Host

HOSTS = ("anvil", "revm", "py-evm", "hardhat")


def new_host(name: str, timestamp: int = GENESIS) -> Host:
    """Start a new, empty chain on the EVM with this name, such as "anvil"; the caller closes it."""
    if name == "revm":
        with translate_missing_extra_errors():
            from backstop.hosts.revm import RevmHost

        return RevmHost(timestamp)
    if name == "anvil":
        from backstop.hosts.anvil import AnvilHost

        return AnvilHost(timestamp)
    if name == "py-evm":
        with translate_missing_extra_errors():
            from backstop.hosts.py_evm import PyEvmHost

        return PyEvmHost(timestamp)
    if name == "hardhat":
        from backstop.hosts.hardhat import HardhatHost

        return HardhatHost(timestamp)
    raise BackstopError(f"host {name!r} is unknown; expected one of {', '.join(HOSTS)}")


@contextmanager
def open_host(name: str, timestamp: int = GENESIS) -> Iterator[Host]:
    """Context manager that starts a new, empty chain on the EVM with this name, and closes it."""
    host = new_host(name, timestamp)
    try:
        yield host
    finally:
        host.close()
