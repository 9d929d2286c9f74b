"""A deployment with a timelock as its admin: the account "admin" proposes, "guardian" cancels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import Parameters, TimelockParameters
from backstop.proof.local_protocol import LocalProtocol
from tests.support.guard_steps import deploy_with_prices
from tests.support.revert_setter_and_source_helpers import get_revert_reason

Call = tuple[str, bytes]
SALT = bytes(32)
TERMS = TimelockParameters()


def deploy_with_timelock(
    new_protocol: Callable[..., LocalProtocol], parameters: Parameters | None = None
) -> LocalProtocol:
    """A protocol with prices and a timelock."""
    return deploy_with_prices(
        new_protocol, replace(parameters or build_standard_parameters(), timelock=TERMS)
    )


def encode_proposal_call(protocol: LocalProtocol, call_name: str, *args: Any) -> Call:
    """A call as a proposal has it."""
    contract, method = call_name.rsplit(".", 1)
    function = protocol.lockstep.chain.get_function(contract, method, len(args))
    resolved = protocol._resolve_arguments(contract, method, args)
    return protocol.address(contract), function.encode_call(resolved)


def submit_timelock_proposal(protocol: LocalProtocol, *calls: Call, salt: bytes = SALT) -> bytes:
    """Propose calls as the governor; return the proposal's id."""
    return bytes(protocol.do("Timelock.propose", calls, salt, sender="admin"))


def execute_timelock_proposal(
    protocol: LocalProtocol, *calls: Call, salt: bytes = SALT, sender: str = "stranger"
) -> None:
    """Carry a proposal out."""
    protocol.do("Timelock.execute", calls, salt, sender=sender)


def enact_calls(protocol: LocalProtocol, *calls: Call, delay: int = TERMS.delay) -> None:
    """Propose, wait, carry out."""
    submit_timelock_proposal(protocol, *calls)
    protocol.advance(delay)
    execute_timelock_proposal(protocol, *calls)


def propose_and_check_delay(protocol: LocalProtocol, *calls: Call) -> tuple[Call, ...]:
    """Propose, and check that no account is quicker, up to the last second."""
    submit_timelock_proposal(protocol, *calls)
    protocol.advance(TERMS.delay - 1)
    for sender in ("admin", "guardian", "stranger"):
        assert (
            get_revert_reason(protocol, "Timelock.execute", calls, SALT, sender=sender)
            == "timelock: too early"
        )
    return calls


def execute_calls_after_second(protocol: LocalProtocol, calls: Sequence[Call]) -> None:
    """Execute the calls a second later from any account."""
    protocol.advance(1)
    execute_timelock_proposal(protocol, *calls)


def read_last_call_events(
    protocol: LocalProtocol, contract: str = "Timelock"
) -> Sequence[tuple[str, tuple[Any, ...]]]:
    """The events of a contract in the last call."""
    return [(log.event, log.values) for log in protocol.last.logs if log.contract == contract]
