"""Sequences of another stability pool, played on the naive pool by the same rules, and every difference.

The pool's liquidation engine is `ScriptedLiquidations`, which sells the debt and collateral that the peer's
pool took over, by the peer's book. The vectors have the expected state after each operation: product, scale
and sums, coins and tokens of the pool, and each member's coins, gains and stashed collateral. The payment of
a call is the change of the member's tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from backstop.contract_base import World
from backstop.deployment.model_and_chain_deployment import add_contract_model
from backstop.deployment.role_accounts import get_account
from backstop.hosts.account_addresses import compute_contract_address
from backstop.hosts.contract_creation import Creation
from backstop.hosts.host_interface import GENESIS
from backstop.hosts.model_system import ModelSystem
from backstop.model import bounds
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.stability_pool import Gains, Member
from backstop.model.vesting_assets import Assets
from backstop.studies.peer_liquidations import liquity_v2
from backstop.studies.peer_liquidations.vector_replay import VectorDifference
from backstop.system import Action, System

POOL, ENGINE, STABLECOIN, COLLATERAL = "InstantStabilityPool", "ScriptedLiquidations", "Stablecoin", "Token"
PAYER = get_account("payer")
FUNDS = 2**112
"""Wei of each token that a member, the payer of income and the engine begin with."""


class ForkableSystem(System, Protocol):
    """System with calls that can be reverted: the model, or model and chain in lockstep."""

    def fork_state(self) -> AbstractContextManager[object]:
        """Context manager that reverts at its end every call made inside."""


@dataclass(frozen=True)
class PoolOperation:
    """Operation on another system's stability pool, as calls on our pool.

    The other fields are the other system's outcome.
    """

    name: str
    caller: str
    calls: tuple[Action, ...]  # none where it does not reach the pool
    refusal: str  # the peer's reason, empty where it does the operation
    paid: Sequence[int] | None  # collateral and coins that the caller gets [wad]; None where none are told
    pool: Sequence[int]  # see read_state
    members: Mapping[str, Sequence[int]]  # by address


@dataclass
class PoolAgreement:
    """Counts of compared operations and refusals, and differences, over all sequences of a group."""

    sequences: int = 0
    operations: int = 0  # that were compared
    calls: Counter[str] = field(default_factory=Counter)  # operations that the pool did, by name
    both_refuse: Counter[str] = field(default_factory=Counter)  # by name and the peer's reason
    peer_refuses: Counter[str] = field(default_factory=Counter)  # calls that ours does, by name and reason
    ours_refuses: Counter[str] = field(default_factory=Counter)  # by name and our reason; the sequence ends
    operations_left: int = 0  # from there on, which are not compared
    differences: list[VectorDifference] = field(default_factory=list)


def list_pool_creations() -> list[Creation]:
    """Return the contracts of an instant stability pool with a scripted engine, in creation order."""
    address = {
        name: compute_contract_address(get_account(f"deployer_of_{name}"), 0)
        for name in (COLLATERAL, STABLECOIN, ENGINE, POOL)
    }
    engine, stablecoin, collateral = address[ENGINE], address[STABLECOIN], address[COLLATERAL]
    terms = 0, 0, 0, False, bounds.MIN_COOLDOWN, 0, bounds.MIN_VESTING
    args: Mapping[str, tuple[Any, ...]] = {
        COLLATERAL: ("Ether", "WETH", 18),
        STABLECOIN: ("Bold", "BOLD", engine),
        ENGINE: (stablecoin, collateral),
        POOL: (engine, engine, engine, stablecoin, collateral, *terms),
    }
    return [Creation(name, name, args[name], address[name]) for name in args]


def build_pool_model() -> ModelSystem:
    """Return the model of the stability pool's contracts alone."""
    world = World(GENESIS, 1)
    for creation in list_pool_creations():
        add_contract_model(world, creation)
    return ModelSystem(world)


def build_liquity_v2_operations(case: Mapping[str, Any]) -> Iterator[PoolOperation]:
    """Yield the operations of a Liquity v2 sequence as calls on our stability pool.

    A batch of liquidations is one sale to the pool, of the debt and collateral that the pool took over from
    all its troves, as v2 applies a batch at once. A refused batch has no unsafe trove, so that it makes no
    call.
    """
    total = collateral = 0
    outcomes = liquity_v2.play_liquity_v2_sequence(case)["ops"]
    for operation, outcome in zip(case["ops"], outcomes, strict=True):
        name, caller = operation["op"], get_account(operation.get("who", PAYER))
        last, (total, collateral) = (total, collateral), outcome["state"]["pool"][4:6]
        calls: tuple[Action, ...] = ()
        if name == "open":
            income = operation["fee"] * liquity_v2.YIELD_SHARE // WAD
            calls = (Action(POOL, "add_income", (income,), PAYER),) if income else ()
        elif name in ("provide", "withdraw"):
            method = "deposit" if name == "provide" else "withdraw"
            calls = (Action(POOL, method, (operation["amount"], operation["claim"]), caller),)
        elif name == "claim":
            calls = (Action(POOL, "claim", (caller, False), caller),)
        elif name == "liquidate" and total != last[0]:
            calls = (
                Action(ENGINE, "set_sale", (collateral - last[1], last[0] - total), PAYER),
                Action(POOL, "liquidate", ((PAYER,), PAYER), PAYER),
            )
        state, status = operation["state"], operation["status"]
        yield PoolOperation(
            name,
            caller,
            calls,
            "" if status == "ok" else status,
            operation.get("paid") if name != "liquidate" else None,
            state["pool"],
            {get_account(owner): values for owner, values in state["deposits"].items()},
        )


CASE_BUILDERS: Mapping[str, Callable[[Mapping[str, Any]], Iterable[PoolOperation]]] = {
    "liquity2": build_liquity_v2_operations,
}
"""How a sequence of a group of vectors is seen by the pool."""


def read_state(system: System, members: Iterable[str]) -> tuple[list[int], dict[str, list[int]]]:
    """Return the state of the stability pool and of its members [wad].

    The order is that of Liquity v2's vectors. The pool has product, scale, both sums of the scale, coins,
    collateral, income shared and income waiting. Income shared is the pool's stablecoin beyond its coins and
    the waiting income. A member has coins, collateral and income since the last call, and stashed collateral.
    """
    tables, pool = system.snapshot()[POOL], system.addresses[POOL]
    product, coins, scale, _ = system.view(POOL, "state")
    waiting = tables["funds.assets"].get((), Assets()).booked
    held = system.view(STABLECOIN, "balanceOf", pool)
    found = [
        *(product, scale, *system.view(POOL, "sums_of", scale), coins),
        *(system.view(COLLATERAL, "balanceOf", pool), held - coins - waiting, waiting),
    ]
    balances = {}
    for owner in members:
        member = Member(*system.view(POOL, "member_of", owner))
        stash: Gains = tables["member_gains"].get(owner, Gains())
        gains = member.collateral - stash.collateral, member.income - stash.income
        balances[owner] = [member.coins, *gains, stash.collateral]
    return found, balances


def replay_pool_sequences(
    name: str, cases: Sequence[Mapping[str, Any]], system: ForkableSystem
) -> PoolAgreement:
    """Replay test vectors (sequences of operations) on our stability pool.

    Return counts and differences. `name` is a key of CASE_BUILDERS, the name of the vectors' group. Each
    sequence starts from the first state of `system`.
    """
    agreement = PoolAgreement()
    for number, case in enumerate(cases):
        with system.fork_state():
            _replay_sequence(name, number, list(CASE_BUILDERS[name](case)), system, agreement)
        agreement.sequences += 1
    return agreement


def _replay_sequence(
    name: str,
    number: int,
    operations: Sequence[PoolOperation],
    system: ForkableSystem,
    agreement: PoolAgreement,
) -> None:
    members = list(operations[0].members) if operations else []
    _fund_accounts(system, members)
    pool, balances = read_state(system, members)
    for place, operation in enumerate(operations):
        paid = operation.paid
        if operation.refusal and operation.calls:
            with system.fork_state():
                refusals = (
                    agreement.both_refuse if _apply_calls(system, operation.calls) else agreement.peer_refuses
                )
            refusals[f"{operation.name}: {operation.refusal}"] += 1
        elif operation.calls:
            before = _read_tokens(system, operation.caller)
            reason = _apply_calls(system, operation.calls)
            if reason:
                agreement.ours_refuses[f"{operation.name}: {reason}"] += 1
                agreement.operations_left += len(operations) - place
                return
            agreement.calls[operation.name] += 1
            if paid is not None:
                after = _read_tokens(system, operation.caller)
                paid = [one - other for one, other in zip(after, before, strict=True)]
            pool, balances = read_state(system, members)
        agreement.operations += 1
        comparison = [("paid", operation.paid, paid), ("pool", operation.pool, pool)]
        comparison += [(f"members.{owner}", operation.members[owner], balances[owner]) for owner in members]
        agreement.differences += [
            VectorDifference(name, number, f"ops[{place}].{at}", expected, found)
            for at, expected, found in comparison
            if expected != found
        ]


def _fund_accounts(system: System, members: Iterable[str]) -> None:
    """Mint coins for members and the payer, approve the pool, and mint collateral for the engine."""
    calls = [Action(COLLATERAL, "mint", (system.addresses[ENGINE], FUNDS), PAYER)]
    for owner in (*members, PAYER):
        calls.append(Action(ENGINE, "mint_coins", (owner, FUNDS), PAYER))
        calls.append(Action(STABLECOIN, "approve", (system.addresses[POOL], MAX_UINT256), owner))
    reason = _apply_calls(system, calls)
    assert not reason, reason


def _apply_calls(system: System, calls: Iterable[Action]) -> str:
    """Apply calls until one is refused, and return its reason; "" if none is refused."""
    for call in calls:
        outcome = system.apply(call)
        if not outcome.ok:
            return outcome.reason or "a bare revert"
    return ""


def _read_tokens(system: System, owner: str) -> list[int]:
    return [system.view(token, "balanceOf", owner) for token in (COLLATERAL, STABLECOIN)]
