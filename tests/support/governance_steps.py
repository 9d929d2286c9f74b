"""A deployment whose admin is a timelock: the account "admin" proposes, "guardian" cancels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from backstop.deployment.deployment_parameters import Parameters, TimelockParameters
from backstop.deployment.example_parameters import build_standard_parameters
from tests.support.deployed_protocol import DeployedProtocol
from tests.support.guard_steps import deploy_with_prices
from tests.support.helpers import get_revert_reason

Call = tuple[str, bytes]
SALT = bytes(32)
TERMS = TimelockParameters()


def deploy_with_timelock(
    new_protocol: Callable[..., DeployedProtocol], parameters: Parameters | None = None
) -> DeployedProtocol:
    """A protocol with prices and a timelock."""
    return deploy_with_prices(
        new_protocol, replace(parameters or build_standard_parameters(), timelock=TERMS)
    )


def build_call(protocol: DeployedProtocol, name: str, *args: Any) -> Call:
    """A call as a proposal has it."""
    contract, method = name.rsplit(".", 1)
    function = protocol.lockstep.chain.get_function(contract, method, len(args))
    resolved = protocol._resolve_arguments(contract, method, args)
    return protocol.address(contract), function.encode_call(resolved)


def propose_calls(protocol: DeployedProtocol, *calls: Call, salt: bytes = SALT) -> bytes:
    """Have the governor propose calls; what the proposal is called."""
    return bytes(protocol.do("Timelock.propose", calls, salt, sender="admin"))


def execute_calls(
    protocol: DeployedProtocol, *calls: Call, salt: bytes = SALT, sender: str = "stranger"
) -> None:
    """Carry a proposal out."""
    protocol.do("Timelock.execute", calls, salt, sender=sender)


def enact_calls(protocol: DeployedProtocol, *calls: Call, delay: int = TERMS.delay) -> None:
    """Propose, wait, carry out."""
    propose_calls(protocol, *calls)
    protocol.advance(delay)
    execute_calls(protocol, *calls)


def propose_and_wait(protocol: DeployedProtocol, *calls: Call) -> tuple[Call, ...]:
    """Propose, and see that nobody is quicker, up to the last second."""
    propose_calls(protocol, *calls)
    protocol.advance(TERMS.delay - 1)
    for sender in ("admin", "guardian", "stranger"):
        assert (
            get_revert_reason(protocol, "Timelock.execute", calls, SALT, sender=sender)
            == "timelock: too early"
        )
    return calls


def execute_after_delay(protocol: DeployedProtocol, calls: Sequence[Call]) -> None:
    """A second later anybody has it counted."""
    protocol.advance(1)
    execute_calls(protocol, *calls)


def read_contract_events(
    protocol: DeployedProtocol, contract: str = "Timelock"
) -> Sequence[tuple[str, tuple[Any, ...]]]:
    """The events of a contract in the last call."""
    return [(log.event, log.values) for log in protocol.last.logs if log.contract == contract]
