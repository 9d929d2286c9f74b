"""A deployment whose admin is a timelock: the account "admin" proposes, "guardian" cancels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from backstop.deployment.examples import standard
from backstop.deployment.parameters import Parameters, TimelockParameters
from tests.support.guards import opened
from tests.support.helpers import refusal
from tests.support.protocol import Protocol

Call = tuple[str, bytes]
SALT = bytes(32)
TERMS = TimelockParameters()


def governed(new_protocol: Callable[..., Protocol], parameters: Parameters | None = None) -> Protocol:
    """A protocol with prices and a timelock."""
    return opened(new_protocol, replace(parameters or standard(), timelock=TERMS))


def call(protocol: Protocol, name: str, *args: Any) -> Call:
    """A call as a proposal has it."""
    contract, method = name.rsplit(".", 1)
    function = protocol.lockstep.chain.function(contract, method, len(args))
    resolved = protocol._resolve(contract, method, args)
    return protocol.address(contract), function.encode(resolved)


def propose(protocol: Protocol, *calls: Call, salt: bytes = SALT) -> bytes:
    """Have the governor propose calls; what the proposal is called."""
    return bytes(protocol.do("Timelock.propose", calls, salt, sender="admin"))


def execute(protocol: Protocol, *calls: Call, salt: bytes = SALT, sender: str = "stranger") -> None:
    """Carry a proposal out."""
    protocol.do("Timelock.execute", calls, salt, sender=sender)


def enact(protocol: Protocol, *calls: Call, delay: int = TERMS.delay) -> None:
    """Propose, wait, carry out."""
    propose(protocol, *calls)
    protocol.advance(delay)
    execute(protocol, *calls)


def announced(protocol: Protocol, *calls: Call) -> tuple[Call, ...]:
    """Propose, and see that nobody is quicker, up to the last second."""
    propose(protocol, *calls)
    protocol.advance(TERMS.delay - 1)
    for sender in ("admin", "guardian", "stranger"):
        assert refusal(protocol, "Timelock.execute", calls, SALT, sender=sender) == "timelock: too early"
    return calls


def counts(protocol: Protocol, calls: Sequence[Call]) -> None:
    """A second later anybody has it counted."""
    protocol.advance(1)
    execute(protocol, *calls)


def events(protocol: Protocol, contract: str = "Timelock") -> Sequence[tuple[str, tuple[Any, ...]]]:
    """The events of a contract in the last call."""
    return [(log.event, log.values) for log in protocol.last.logs if log.contract == contract]
