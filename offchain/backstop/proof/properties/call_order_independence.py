"""Properties of the order of calls: permissionless calls in one second have equal effects in either order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from random import Random
from typing import Any, NamedTuple

from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.bounds import FINAL_DEADLINE
from backstop.proof.properties.independent_arithmetic.property_arithmetic import RAY
from backstop.proof.properties.lockstep_interface import LockstepLike
from backstop.proof.properties.property_registry import PropertyViolationError, counterfactual_property
from backstop.proof.properties.what_if_steps_and_state_readings import (
    VISITOR,
    accrue_fee,
    apply_or_raise,
    attempt_call_and_get_outcome,
    collect_tokens_from_holders,
    get_contract,
    get_token,
    list_collateral_types,
    list_open_workouts,
    list_pool_names,
    list_stablecoin_pool_names,
    pick_item,
    read_deficit,
    report_price,
)


class PublicCall(NamedTuple):
    """Call that any account may make: contract, method and arguments."""

    contract: str
    method: str
    args: tuple[Any, ...] = ()


_FLAGS = {"liquidate", "flag", "foreclose"}
"""Calls after which the treasury and the pools count more possible losses. Any account may make them."""
_PAYERS = {"distribute", "settle", "start"}
"""Calls that pay, or offer, amounts that depend on the known losses."""
_ROOM = {"liquidate", "foreclose"}
"""Calls that use up the room for auctions: the first caller chooses which vaults are sold."""
_MOST_LOCKED = 2**104 - 1
"""The most collateral that a vault stores when lots return to it [wei]."""
_DUST = 10_000
"""Wei by which amounts may differ: each call rounds a few times, by a wei or a unit of a rate."""


@counterfactual_property(156)
def unwind_order_changes_no_vault(lockstep: LockstepLike, random: Random) -> bool:
    """Check that the order of unwinding does not change vaults or deficits (property 156).

    In settlement, unwinding returns lots of auctions and workouts to their vaults. Then collateral is taken
    for each debt at the final price. The trial plays two random orders of these calls on a fork of model and
    chain. A call that reverts is repeated after another call. If settlement has not begun, the trial opens it
    and sets the final prices. It then also adds a lot that still owes its penalty after its principal is
    repaid.

    Returns False if the books are closed, fewer than two calls are possible, or a vault has no room for its
    lots. Raises PropertyViolationError if the two ends differ.
    """
    settlement = get_contract(lockstep, "Settlement")
    if settlement.progress[()].fixed_at:
        return False
    with lockstep.fork_state():
        if not settlement.progress[()].begun_at:
            _create_lot_owing_only_penalty(lockstep, random)
            apply_or_raise(lockstep, "Settlement", "announce", by=settlement.admins[()])
            lockstep.advance(settlement.delay)
            apply_or_raise(lockstep, "Settlement", "begin", by=VISITOR)
        lockstep.advance(max(0, settlement.progress[()].begun_at + FINAL_DEADLINE - lockstep.timestamp))
        for c in range(get_contract(lockstep, "VaultEngine").type_count[()]):
            attempt_call_and_get_outcome(lockstep, "Settlement", "fix_price", c, by=VISITOR)
        calls = list(_iter_lot_and_vault_settlement_calls(lockstep))
        if len(calls) < 2 or not _can_vaults_hold_auctioned_collateral(lockstep):
            return False
        ends = []
        for order in (random.sample(calls, len(calls)), random.sample(calls, len(calls))):
            with lockstep.fork_state():
                rest = _retry_calls_and_get_refusals(lockstep, order)
                if any(reason != "settlement: no debt" for reason in rest.values()):
                    raise PropertyViolationError(f"vaults cannot be settled: {rest}")
                ends.append(_read_vaults_and_deficits(lockstep))
    for what, one in ends[0].items():
        if ends[1].get(what) != one:
            raise PropertyViolationError(
                f"{what} ends as {one} or as {ends[1].get(what)}, by the order of {calls}"
            )
    return True


def _can_vaults_hold_auctioned_collateral(lockstep: LockstepLike) -> bool:
    """Return whether each vault can store its collateral plus all its lots at auction."""
    auction, locked = get_contract(lockstep, "CollateralAuction"), Counter[Any]()
    for key, vault in get_contract(lockstep, "VaultEngine").vaults.items():
        locked[key] += vault.locked_collateral
    for auction_id, lot in auction.lots.items():
        locked[lot.collateral_type, auction.owners[auction_id].owner] += lot.lot
    return max(locked.values(), default=0) <= _MOST_LOCKED


def _create_lot_owing_only_penalty(lockstep: LockstepLike, random: Random) -> None:
    """Create an auction that has repaid its principal and still owes its penalty.

    The visitor's vault is liquidated after a price drop, and the visitor buys just enough of the lot to repay
    the principal. The visitor then opens the vault again, and the price falls to a hundredth. The function
    returns early at the first call that reverts.
    """
    engine, feed = get_contract(lockstep, "VaultEngine"), get_contract(lockstep, "PriceFeed")
    c = pick_item(
        random,
        [
            c
            for c in list_collateral_types(lockstep)
            if feed.configs[c].reporters and feed.prices[c].current > 10**6
        ],
    )
    if c is None or not report_price(lockstep, c, feed.prices[c].current):
        return
    terms, price = engine.terms[c], feed.prices[c].current
    debt = 10 * max(terms.debt_floor, 1) * WAD
    locked = (3 * debt * RAY // price // terms.unit + 1) * terms.unit
    draw = PublicCall("VaultEngine", "deposit_and_draw", (c, VISITOR, locked, debt, VISITOR))
    token = get_token(lockstep, c)
    for call in (
        PublicCall(token.label, "mint", (VISITOR, 2 * locked // terms.unit)),
        PublicCall(token.label, "approve", (engine.address, MAX_UINT256)),
        draw,
    ):
        if not _apply_visitor_call(lockstep, call):
            return
    liquidated = report_price(lockstep, c, price // 3) and attempt_call_and_get_outcome(
        lockstep, "LiquidationEngine", "liquidate", c, VISITOR, VISITOR, by=VISITOR
    )
    if not liquidated or not liquidated.ok:
        return
    collect_tokens_from_holders(lockstep, VISITOR, 2 * debt)
    auction_id = liquidated.value
    principal = lockstep.view("CollateralAuction", "auction_of", auction_id).principal
    asked = -(-principal // lockstep.view("CollateralAuction", "status", auction_id)[1])
    if _apply_visitor_call(
        lockstep, PublicCall("CollateralAuction", "take", (auction_id, asked, MAX_UINT256, VISITOR, b""))
    ):
        again = report_price(lockstep, c, price) and _apply_visitor_call(lockstep, draw)
        if again:
            report_price(lockstep, c, max(1, price // 100))


def _apply_visitor_call(lockstep: LockstepLike, call: PublicCall) -> bool:
    """Submit a call from the visitor account; return True if it does not revert."""
    return attempt_call_and_get_outcome(lockstep, call.contract, call.method, *call.args, by=VISITOR).ok


def _iter_lot_and_vault_settlement_calls(lockstep: LockstepLike) -> Iterator[PublicCall]:
    """Yield the settlement calls that are still possible for auctions, workouts and vaults."""
    auction, engine = get_contract(lockstep, "CollateralAuction"), get_contract(lockstep, "VaultEngine")
    vaults = {key for key, vault in engine.vaults.items() if vault.normalized_debt}
    for auction_id, lot in sorted(auction.lots.items()):
        if lot.target:
            vaults.add((lot.collateral_type, auction.owners[auction_id].owner))
            yield PublicCall("CollateralAuction", "unwind", (auction_id,))
    for workout_id in sorted(list_open_workouts(lockstep)):
        workout = lockstep.view("Workouts", "workout_of", workout_id)
        vaults.add((workout.collateral_type, workout.owner))
        yield PublicCall("Workouts", "unwind", (workout_id,))
    for c, owner in sorted(vaults):
        if c in list_collateral_types(lockstep):
            yield PublicCall("Settlement", "skim", (c, owner))


def _retry_calls_and_get_refusals(
    lockstep: LockstepLike, calls: Iterable[PublicCall]
) -> dict[PublicCall, str | None]:
    """Submit calls, retrying those that revert, and return the revert reasons of the rest.

    After each success the function starts again with the first remaining call. It stops when all remaining
    calls revert. The result is empty if all calls succeeded.
    """
    todo, moved = list(calls), True
    refused: dict[PublicCall, str | None] = {}
    while todo and moved:
        moved, refused = False, {}
        for call in todo:
            outcome = attempt_call_and_get_outcome(
                lockstep, call.contract, call.method, *call.args, by=VISITOR
            )
            if outcome.ok:
                todo.remove(call)
                moved = True
                break
            refused[call] = outcome.reason
    return refused if todo else {}


def _read_vaults_and_deficits(lockstep: LockstepLike) -> dict[Any, Any]:
    """Return collateral and debt of each vault, and deficit [rad] and salvage [wad] of each type.

    Salvage is collateral that auctions left unsold. The keys are `("vault", type, owner)`, `("deficit",
    type)` and `("salvage", type)`. The key `"settled"` holds the debt that settlement has closed [rad].
    """
    engine = get_contract(lockstep, "VaultEngine")
    found: dict[Any, Any] = {
        ("vault", *key): (vault.locked_collateral, vault.normalized_debt)
        for key, vault in engine.vaults.items()
        if vault.locked_collateral or vault.normalized_debt
    }
    for c in list_collateral_types(lockstep):
        found["deficit", c] = read_deficit(lockstep, c)
        found["salvage", c] = engine.salvage[c]
    found["settled"] = engine.settled_debt[()]
    return found


@counterfactual_property(159)
def call_order_changes_no_bystander_balance(lockstep: LockstepLike, random: Random) -> bool:
    """Check that an inactive account ends equal for either order of two calls (property 159).

    Two strangers submit permissionless calls in one second, on a fork of model and chain. Neither call is a
    sale. A call that reverts is repeated after the other call. At the end all permissionless upkeep of income
    and losses is executed.

    Known order effects are left out: flagging debt that was unsafe before, scarce room for auctions, and the
    first cover of a deficit. Differences up to 10,000 wei plus the rewards of the two calls are tolerated.
    Returns False if no such pair of calls exists or a call stays refused in one order only. Raises
    PropertyViolationError if an account's holdings differ.
    """
    if lockstep.parameters is None or lockstep.parameters.has_stage("scripted"):
        return False
    if get_contract(lockstep, "VaultEngine").in_settlement(VISITOR):
        return False
    calls = [call for call in _iter_permissionless_calls(lockstep) if _can_succeed(lockstep, call)]
    pairs = [
        (a, b)
        for i, a in enumerate(calls)
        for b in calls[i + 1 :]
        if not _is_known_order_effect(lockstep, a, b)
    ]
    if not pairs:
        return False
    # Kinds of calls first: there are many vaults, and one treasury. Half of the time about the same thing.
    close = [pair for pair in pairs if pair[0].args[:1] == pair[1].args[:1]]
    among = close if close and random.random() < 0.5 else pairs
    kinds = random.choice(sorted({(a.method, b.method) for a, b in among}))
    pair = random.choice([pair for pair in among if (pair[0].method, pair[1].method) == kinds])
    ends, rewards = [], 0
    with lockstep.fork_state():
        if any(call.method in _PAYERS | {"cover"} for call in pair):
            # Fees that are due raise what may be lost, and what there is to pay with, once they are charged.
            _accrue_all_types(lockstep)
        for order in (pair, pair[::-1]):
            with lockstep.fork_state():
                supply = _read_visitor_stablecoin_balance(lockstep)
                rest = _retry_calls_and_get_refusals(lockstep, order)
                rewards = max(rewards, _read_visitor_stablecoin_balance(lockstep) - supply)
                _run_income_and_loss_upkeep(lockstep)
                ends.append((set(rest), _build_holdings_by_account_asset(lockstep)))
    if ends[0][0] != ends[1][0]:
        return False  # one is refused for good after the other: it was about the same thing
    for what in sorted(ends[0][1].keys() | ends[1][1].keys(), key=str):
        one, other = (end[1].get(what, 0) for end in ends)
        if abs(one - other) > _DUST + rewards:
            raise PropertyViolationError(f"{what} ends with {one} or {other}, by the order of {pair}")
    return True


def _iter_permissionless_calls(lockstep: LockstepLike) -> Iterator[PublicCall]:
    """Yield permissionless calls that can change other accounts' balances.

    Purchases and price reports are left out.
    """
    contracts = lockstep.model.world.contracts
    engine, auction = get_contract(lockstep, "VaultEngine"), get_contract(lockstep, "CollateralAuction")
    for (c, owner), vault in engine.vaults.items():
        if vault.normalized_debt and c in list_collateral_types(lockstep):
            yield PublicCall("LiquidationEngine", "liquidate", (c, owner, VISITOR))
            yield PublicCall("LiquidationEngine", "flag", (c, owner))
    for auction_id, lot in auction.lots.items():
        if lot.target:
            yield PublicCall("CollateralAuction", "close", (auction_id,))
            yield PublicCall("CollateralAuction", "reset", (auction_id, VISITOR))
    for workout_id in list_open_workouts(lockstep):
        yield PublicCall("Workouts", "flag", (workout_id,))
        yield PublicCall("Workouts", "foreclose", (workout_id, VISITOR))
    for c in list_collateral_types(lockstep):
        yield PublicCall("VaultEngine", "accrue", (c,))
        yield PublicCall("CollateralAuction", "sell_salvage", (c,))
        yield PublicCall("LossWaterfall", "cover", (c,))
        for name in ("MintAuction", "StakeAuction"):
            if name in contracts:
                yield PublicCall(name, "end", (c,))
    for name in list_pool_names(lockstep):
        yield PublicCall(name, "cut")
        yield PublicCall(name, "settle")
        if name in list_stablecoin_pool_names(lockstep):
            yield from (
                PublicCall(name, "collect_claims", (who,))
                for who in get_contract(lockstep, name).list_holders()[:2]
            )
    if "Treasury" in contracts:
        yield PublicCall("Treasury", "distribute")
        yield PublicCall("SurplusAuction", "start")
    for name, contract in contracts.items():
        if contract.KIND == "BridgeFacilitator":
            yield PublicCall(name, "realise_loss")
            yield PublicCall(name, "sync_note")


def _can_succeed(lockstep: LockstepLike, call: PublicCall) -> bool:
    """Return whether a call would succeed now, by a dry run from the visitor account."""
    with lockstep.fork_state():
        return _apply_visitor_call(lockstep, call)


def _is_known_order_effect(lockstep: LockstepLike, one: PublicCall, other: PublicCall) -> bool:
    """Return whether the order of two calls is known to affect other accounts.

    Examples are a payment beside a flag, two liquidations that compete for auction room, and two covers of
    deficits.
    """
    methods = {one.method, other.method}
    if methods & _PAYERS and methods & _FLAGS:
        return True
    if methods & _ROOM and methods <= _ROOM | {"flag", "close"}:
        return True
    if "cover" in methods and (
        methods == {"cover"} or (methods & _ROOM and _is_redistribution_stage_configured(lockstep))
    ):
        return True
    return one.args == other.args and one.contract == other.contract and methods <= _FLAGS


def _is_redistribution_stage_configured(lockstep: LockstepLike) -> bool:
    """Return whether the waterfall has a stage that adds losses to the debts of all borrowers."""
    return bool(lockstep.parameters and lockstep.parameters.has_stage("redistribution"))


def _accrue_all_types(lockstep: LockstepLike) -> None:
    for c in list_collateral_types(lockstep):
        accrue_fee(lockstep, c)


def _run_income_and_loss_upkeep(lockstep: LockstepLike) -> None:
    """Execute all permissionless calls that charge fees, cover deficits and pay pools and claims.

    The calls accrue fees, cover deficits, close and pay exit batches, collect recovery claims and distribute
    the treasury's surplus.
    """
    _accrue_all_types(lockstep)
    for c in list_collateral_types(lockstep):
        if read_deficit(lockstep, c):
            attempt_call_and_get_outcome(lockstep, "LossWaterfall", "cover", c, by=VISITOR)
    for name in list_pool_names(lockstep):
        attempt_call_and_get_outcome(lockstep, name, "cut", by=VISITOR)
        attempt_call_and_get_outcome(lockstep, name, "settle", by=VISITOR)
        for who in (
            _list_holders_and_leavers(lockstep, name) if name in list_stablecoin_pool_names(lockstep) else ()
        ):
            attempt_call_and_get_outcome(lockstep, name, "collect_claims", who, by=VISITOR)
    if "Treasury" in lockstep.model.world.contracts:
        attempt_call_and_get_outcome(lockstep, "Treasury", "distribute", by=VISITOR)


def _list_holders_and_leavers(lockstep: LockstepLike, pool_name: str) -> list[str]:
    """Return the accounts that hold shares of a pool or have requested a withdrawal.

    Contracts and the visitor account are left out. The list is sorted.
    """
    pool = get_contract(lockstep, pool_name)
    found = {*pool.list_holders(), *(who for _, who in pool.tables["line.requests"])}
    return sorted(found - {VISITOR, *lockstep.model.world.addresses})


def _read_visitor_stablecoin_balance(lockstep: LockstepLike) -> int:
    """Return the visitor's stablecoin balance [wad], which shows the rewards of its calls."""
    return int(get_contract(lockstep, "Stablecoin").balances[VISITOR])


def _build_holdings_by_account_asset(lockstep: LockstepLike) -> dict[tuple[str, ...], int]:
    """Return the holdings of each account except the visitor, by account and asset.

    Values are token balances, locked collateral, debts, pool shares as assets and claims as outstanding debt,
    in the token's smallest unit [wei or wad]. Contracts are left out.
    """
    contracts = lockstep.model.world.contracts
    engine, found = get_contract(lockstep, "VaultEngine"), dict[tuple[str, ...], int]()
    strangers = {VISITOR, *lockstep.model.world.addresses}
    for name, contract in contracts.items():
        if "erc20.balanceOf" in contract.tables:
            for who, held in contract.tables["erc20.balanceOf"].items():
                if who not in strangers:
                    found[who, name] = int(held)
    for (c, owner), vault in engine.vaults.items():
        if owner not in strangers and c in list_collateral_types(lockstep):
            found[owner, "locked", str(c)] = vault.locked_collateral
            found[owner, "debt", str(c)] = vault.normalized_debt * engine.debts[c].accumulated_rate // RAY
    for name in list_pool_names(lockstep):
        for who in _list_holders_and_leavers(lockstep, name):
            found[who, name] = lockstep.view(name, "convertToAssets", lockstep.view(name, "balanceOf", who))
            if get_contract(lockstep, name).cooldown:
                found[who, name, "paid"] = lockstep.view(name, "maxWithdraw", who)
    for name in list_stablecoin_pool_names(lockstep):
        claims = contracts.get(f"{name}.Claims")
        if claims is not None:
            series = claims.tables["series"][()]
            for who in _list_holders_and_leavers(lockstep, name):
                tokens = lockstep.view(claims.label, "balanceOf", who)
                found[who, claims.label] = tokens * series.outstanding // max(1, series.tokens)
    return found
