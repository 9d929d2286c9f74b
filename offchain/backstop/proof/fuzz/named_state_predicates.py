"""States of the protocol that people have words for, as predicates of the model.

Those of one table's entries are followed slot by slot; those that depend on time or on several tables are
asked whenever a move ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from backstop.model import bounds
from backstop.model.exit_batches import ExitBatches
from backstop.model.interfaces import CAUTION
from backstop.model.redeem_queue import MOST_UNSETTLED
from backstop.proof.fuzz.generation_context import GenerationContext
from backstop.proof.fuzz.state_predicates import Predicate

ENTRIES: tuple[Predicate, ...] = tuple(
    Predicate(contract, path, name, text)
    for name, contract, path, text in (
        ("a workout runs", "Workouts", "balances", "v.left != 0"),
        ("a pool has had two generations", "Shares", "token.state", "v.generation >= 2"),
        ("a pool is empty after losses", "Shares", "token.state", "v.generation >= 1 and v.supply == 0"),
        ("income of a pool vests", "VestingAssets", "funds.assets", "v.unvested != 0"),
        ("the next price is higher", "PriceFeed", "prices", "v.next > v.current != 0"),
        ("the next price is lower", "PriceFeed", "prices", "0 < v.next < v.current"),
        ("a market is halted", "PriceFeed", "configs", "v.halted"),
        ("a market is closing", "PriceFeed", "configs", "v.closing"),
        ("a collateral auction runs", "CollateralAuction", "lots", "v.target != 0"),
        ("an equity sale is open", "EquityAuction", "sales", "v.target != 0"),
        ("a surplus sale is open", "SurplusAuction", "lot", "v.lot != 0"),
        ("a deficit waits", "Ledger", "ledger.deficit", "v != 0"),
        ("a loss is in doubt", "VaultFlags", "vault_flags.flagged", "v != 0"),
        ("a vault is called", "VaultEngine", "vaults", "v.called_at != 0"),
        ("caution is raised", "RiskPolicy", "modes", f"v.mode >= {CAUTION}"),
        ("settlement is announced", "Settlement", "progress", "v.announced_for != 0 and v.begun_at == 0"),
        ("settlement has begun", "Settlement", "progress", "v.begun_at != 0"),
        ("a stage sells equity in another's place", "StageCaps", "reservations", "v.in_place != 0"),
        ("a change of stages is proposed", "StageOrder", "stages_ready_at", "v != 0"),
        ("a margin position is open", "CycleBook", "cycle_book.positions", "v.size != 0"),
        ("a margin cycle has losses", "CycleBook", "cycle_book.losses", "any(v)"),
    )
)


class NamedState(NamedTuple):
    """Named predicate of the protocol's state that depends on time or on several storage tables.

    `contract` is the model class that a deployment needs for the state to be possible.
    """

    name: str
    contract: str
    holds: Callable[[GenerationContext], bool]

    def __str__(self) -> str:
        return self.name


def has_retired_type(context: GenerationContext) -> bool:
    """Return whether a collateral type has been delisted."""
    listed = (context.engine.listing[()].bit_length() + 7) // 8  # a byte for each type
    return bool(listed < context.engine.type_count[()])


def has_workout_of_retired_type(context: GenerationContext) -> bool:
    """Return whether a workout (repayment in instalments) of a delisted collateral type is open."""
    listed = context.engine.listing[()].to_bytes(32)  # a byte for each type, its id and 1
    balances = () if context.workouts is None else context.workouts.balances.values()
    return any([each.left and each.collateral_type + 1 not in listed for each in balances])


def has_most_batches(context: GenerationContext) -> bool:
    """Return whether a pool has the maximal number of withdrawal batches that are not settled yet."""
    pools = [context.world.contracts[name] for name in context.savers]
    return any(
        [
            len(pool.list_unsettled_batches()) >= MOST_UNSETTLED
            for pool in pools
            if isinstance(pool, ExitBatches)
        ]
    )


def has_overdue_reservation(context: GenerationContext) -> bool:
    """Return whether a waterfall stage has reserved an amount for a loss beyond the maximal time."""
    limit = context.now - bounds.MAX_RESERVATION
    return any([each.since < limit for each in context.waterfall.reservations.values() if each.amount])


def has_stale_price(context: GenerationContext) -> bool:
    """Return whether a collateral type has a price that is no longer fresh."""
    return any([each.fresh_until < context.now for each in context.feed.prices.values() if each.current])


STATES: tuple[NamedState, ...] = (
    NamedState("a collateral type is retired", "Governed", has_retired_type),
    NamedState("a workout runs in a retired type", "Workouts", has_workout_of_retired_type),
    NamedState("the most batches are open", "ExitBatches", has_most_batches),
    NamedState("a reservation is overdue", "StageCaps", has_overdue_reservation),
    NamedState("a price is stale", "PriceFeed", has_stale_price),
)
