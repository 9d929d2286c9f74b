"""Liquidations of one keeper in one transaction each, as large as gas allows."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from backstop.hosts.host_interface import CALL_GAS
from backstop.keepers.call_costs import get_job_gas
from backstop.keepers.keeper_role_register import Intent
from backstop.live.node.live_host import gas_limit
from backstop.model.liquidation_batch import MAX_VAULTS
from backstop.system import Action

METHOD = "liquidate_many"
"""The method of a batch call, and the first element of the batch's `about`."""

_LEAST = 2  # vaults: one alone costs less without a batch
# Of the job of a single liquidation, with its sender's gas and every slot cold: no vault has to take more.
_TIMES_SINGLE = 2


def compute_gas_each() -> int:
    """Return the gas that a batch grants to each of its liquidations.

    It is twice the measured gas of a single liquidation with guards.
    """
    return _TIMES_SINGLE * get_job_gas("liquidate with guards")


def compute_batch_gas(vaults: int) -> int:
    """Return the gas that a batch of `vaults` liquidations is expected to use.

    It follows from the committed gas table (measured gas per operation).
    """
    return get_job_gas("batch: liquidate") + vaults * get_job_gas("batch: liquidate, each vault")


def compute_batch_gas_limit(vaults: int) -> int:
    """Return the gas limit for a batch of `vaults` liquidations.

    It is the expected gas, a safety margin and the gas that the last vault needs, at most the gas limit of
    one call.
    """
    each = compute_gas_each()
    return min(gas_limit(compute_batch_gas(vaults)) + each + each // 32 + 20_000, CALL_GAS)


def compute_most_vaults(block_gas_left: int) -> int:
    """Return how many vaults fit into one batch, by the gas left in the block and the limit of a call.

    The result is at most the batch contract's own maximum, and 0 if none fits.
    """
    most = MAX_VAULTS
    # Whoever makes a block goes by what a transaction may use.
    while most and compute_batch_gas_limit(most) > min(block_gas_left, CALL_GAS - 1):
        most -= 1
    return most


def is_batchable(intent: Intent) -> bool:
    """Return whether a call may be part of a batch of liquidations.

    That holds for `LiquidationEngine.liquidate` only: it pays the account that it names, whichever account
    sends it.
    """
    return (intent.action.contract, intent.action.method) == ("LiquidationEngine", "liquidate")


def take_next_batch(intents: Sequence[Intent], block_gas_left: int) -> list[Intent]:
    """Return the first liquidations of one collateral type, as many as fit into one transaction.

    The calls keep their order, which is the most valuable first. The list is empty if fewer than two calls
    fit.
    """
    collateral_type = next((each.action.args[0] for each in intents if is_batchable(each)), None)
    of_type = [each for each in intents if is_batchable(each) and each.action.args[0] == collateral_type]
    found = of_type[: compute_most_vaults(block_gas_left)]
    return found if len(found) >= _LEAST else []


def build_batch_intent(contract: str, parts: Sequence[Intent]) -> Intent:
    """Return one call that executes several liquidations of one collateral type.

    `contract` is the name of the batch contract. Gains are summed; the expected gas is the batch's.
    """
    (collateral_type, _, receiver), sender = parts[0].action.args, parts[0].action.sender
    owners = tuple(each.action.args[1] for each in parts)
    action = Action(contract, METHOD, (collateral_type, owners, receiver, compute_gas_each(), 1), sender)
    about = (METHOD, tuple(each.about for each in parts))
    return Intent(
        action, about, gain=sum(each.gain or 0 for each in parts), gas=compute_batch_gas(len(parts))
    )


def list_subjects(about: tuple[Hashable, ...]) -> list[tuple[Hashable, ...]]:
    """Return the keys under which a keeper remembers a transaction's calls.

    `about` is the key of the transaction. For a batch the list has a key for each liquidation, else the key
    itself.
    """
    if about[:1] != (METHOD,):
        return [about]
    parts = about[1]
    assert isinstance(parts, Iterable)
    return list(parts)
