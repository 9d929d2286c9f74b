"""Properties of the order of calls: what strangers may call in one second brings the same in either order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from random import Random
from typing import Any, NamedTuple

from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.bounds import FINAL_DEADLINE
from backstop.proof.properties.both import Both
from backstop.proof.properties.figures.arithmetic import RAY
from backstop.proof.properties.future import (
    VISITOR,
    accrue,
    all_pools,
    apply,
    contract_of,
    deficit,
    give,
    must,
    open_workouts,
    pick,
    report,
    stablecoin_pools,
    token_of,
    types,
)
from backstop.proof.properties.registry import Violation, counterfactual_property


class Call(NamedTuple):
    """A call that anybody may make."""

    contract: str
    method: str
    args: tuple[Any, ...] = ()


_FLAGS = {"liquidate", "flag", "foreclose"}
"""Calls after which the treasury and pools know of more that may be lost. Somebody has to make them."""
_PAYERS = {"distribute", "settle", "start"}
"""Calls that pay, or offer, by what is known."""
_ROOM = {"liquidate", "foreclose"}
"""Calls that use up the room for auctions: who comes first chooses which vaults are sold."""
_MOST_LOCKED = 2**104 - 1
"""The most collateral that a vault stores when lots return to it [wei]."""
_DUST = 10_000
"""Wei by which amounts may differ: each call rounds a few times, by a wei or a unit of a rate."""


@counterfactual_property(156)
def vaults_settle_equal_in_any_order(both: Both, random: Random) -> bool:
    """Assert that vaults and deficits end equal, in whatever order lots come home and vaults are skimmed.

    A call that is refused is made again after another. Settlement is begun, and its prices made, if they
    are not yet; where that works, with one more lot whose principal is repaid and penalty is not. Not where
    a vault has no room for all that comes home: the last lot is salvage then.
    """
    settlement = contract_of(both, "Settlement")
    if settlement.progress[()].fixed_at:
        return False
    with both.fork_state():
        if not settlement.progress[()].begun_at:
            _leave_a_lot(both, random)
            must(both, "Settlement", "announce", by=settlement.admins[()])
            both.advance(settlement.delay)
            must(both, "Settlement", "begin", by=VISITOR)
        both.advance(max(0, settlement.progress[()].begun_at + FINAL_DEADLINE - both.timestamp))
        for c in range(contract_of(both, "VaultEngine").type_count[()]):
            apply(both, "Settlement", "fix_price", c, by=VISITOR)
        calls = list(_windings(both))
        if len(calls) < 2 or not _has_room(both):
            return False
        ends = []
        for order in (random.sample(calls, len(calls)), random.sample(calls, len(calls))):
            with both.fork_state():
                rest = _play(both, order)
                if any(reason != "settlement: no debt" for reason in rest.values()):
                    raise Violation(f"vaults cannot be settled: {rest}")
                ends.append(_settled(both))
    for what, one in ends[0].items():
        if ends[1].get(what) != one:
            raise Violation(f"{what} ends as {one} or as {ends[1].get(what)}, by the order of {calls}")
    return True


def _has_room(both: Both) -> bool:
    """Return whether each vault has room for what it holds and for all its lots."""
    auction, locked = contract_of(both, "CollateralAuction"), Counter[Any]()
    for key, vault in contract_of(both, "VaultEngine").vaults.items():
        locked[key] += vault.locked_collateral
    for id, lot in auction.lots.items():
        locked[lot.collateral_type, auction.owners[id].owner] += lot.lot
    return max(locked.values(), default=0) <= _MOST_LOCKED


def _leave_a_lot(both: Both, random: Random) -> None:
    """Have the visitor's vault liquidated and its principal bought back; it borrows anew, and prices fall.

    As far as the state lets it: a call that is refused ends it.
    """
    engine, feed = contract_of(both, "VaultEngine"), contract_of(both, "PriceFeed")
    c = pick(random, [c for c in types(both) if feed.configs[c].reporters and feed.prices[c].current > 10**6])
    if c is None or not report(both, c, feed.prices[c].current):
        return
    terms, price = engine.terms[c], feed.prices[c].current
    debt = 10 * max(terms.debt_floor, 1) * WAD
    locked = (3 * debt * RAY // price // terms.unit + 1) * terms.unit
    draw = Call("VaultEngine", "deposit_and_draw", (c, VISITOR, locked, debt, VISITOR))
    token = token_of(both, c)
    for call in (
        Call(token.label, "mint", (VISITOR, 2 * locked // terms.unit)),
        Call(token.label, "approve", (engine.address, MAX_UINT256)),
        draw,
    ):
        if not _works(both, call):
            return
    liquidated = report(both, c, price // 3) and apply(
        both, "LiquidationEngine", "liquidate", c, VISITOR, VISITOR, by=VISITOR
    )
    if not liquidated or not liquidated.ok:
        return
    give(both, VISITOR, 2 * debt)
    id = liquidated.value
    principal = both.view("CollateralAuction", "auction_of", id).principal
    asked = -(-principal // both.view("CollateralAuction", "status", id)[1])
    if _works(both, Call("CollateralAuction", "take", (id, asked, MAX_UINT256, VISITOR, b""))):
        again = report(both, c, price) and _works(both, draw)
        if again:
            report(both, c, max(1, price // 100))


def _works(both: Both, call: Call) -> bool:
    """Make a call as the visitor; return whether it is not refused."""
    return apply(both, call.contract, call.method, *call.args, by=VISITOR).ok


def _windings(both: Both) -> Iterator[Call]:
    """Yield what is left to be done with lots and vaults."""
    auction, engine = contract_of(both, "CollateralAuction"), contract_of(both, "VaultEngine")
    vaults = {key for key, vault in engine.vaults.items() if vault.normalized_debt}
    for id, lot in sorted(auction.lots.items()):
        if lot.target:
            vaults.add((lot.collateral_type, auction.owners[id].owner))
            yield Call("CollateralAuction", "unwind", (id,))
    for id in sorted(open_workouts(both)):
        workout = both.view("Workouts", "workout_of", id)
        vaults.add((workout.collateral_type, workout.owner))
        yield Call("Workouts", "unwind", (id,))
    for c, owner in sorted(vaults):
        if c in types(both):
            yield Call("Settlement", "skim", (c, owner))


def _play(both: Both, calls: Iterable[Call]) -> dict[Call, str | None]:
    """Make all calls, the first that is not refused first; return why those are refused that are left."""
    todo, moved = list(calls), True
    refused: dict[Call, str | None] = {}
    while todo and moved:
        moved, refused = False, {}
        for call in todo:
            outcome = apply(both, call.contract, call.method, *call.args, by=VISITOR)
            if outcome.ok:
                todo.remove(call)
                moved = True
                break
            refused[call] = outcome.reason
    return refused if todo else {}


def _settled(both: Both) -> dict[Any, Any]:
    """Return each vault, and what each type lacks and has to give."""
    engine = contract_of(both, "VaultEngine")
    found: dict[Any, Any] = {
        ("vault", *key): (vault.locked_collateral, vault.normalized_debt)
        for key, vault in engine.vaults.items()
        if vault.locked_collateral or vault.normalized_debt
    }
    for c in types(both):
        found["deficit", c] = deficit(both, c)
        found["salvage", c] = engine.salvage[c]
    found["settled"] = engine.settled_debt[()]
    return found


@counterfactual_property(159)
def bystanders_end_equal_in_either_order(both: Both, random: Random) -> bool:
    """Assert that an account that calls nothing has the same, whichever of two strangers' calls is first.

    Both are calls that anybody may make, and that do not take part in a sale. A call that is refused is made
    again after the other, and at the end all is called that anybody may call about income and losses. Left
    out is what is known: one second is not enough to flag what was unsafe before; who liquidates chooses
    whom, while there is not room for all; who covers a type first chooses who bears, where stages of types
    are behind others, which borrowers, and whether fees that are due pay first. Rounding, and rewards of the
    two calls.
    """
    if both.parameters is None or both.parameters.has_stage("scripted"):
        return False
    if contract_of(both, "VaultEngine").in_settlement(VISITOR):
        return False
    calls = [call for call in _open_calls(both) if _would_work(both, call)]
    pairs = [(a, b) for i, a in enumerate(calls) for b in calls[i + 1 :] if not _is_known(both, a, b)]
    if not pairs:
        return False
    # Kinds of calls first: there are many vaults, and one treasury. Half of the time about the same thing.
    close = [pair for pair in pairs if pair[0].args[:1] == pair[1].args[:1]]
    among = close if close and random.random() < 0.5 else pairs
    kinds = random.choice(sorted({(a.method, b.method) for a, b in among}))
    pair = random.choice([pair for pair in among if (pair[0].method, pair[1].method) == kinds])
    ends, rewards = [], 0
    with both.fork_state():
        if any(call.method in _PAYERS | {"cover"} for call in pair):
            # Fees that are due raise what may be lost, and what there is to pay with, once they are charged.
            _accrue_all(both)
        for order in (pair, pair[::-1]):
            with both.fork_state():
                supply = _coins(both)
                rest = _play(both, order)
                rewards = max(rewards, _coins(both) - supply)
                _catch_up(both)
                ends.append((set(rest), _worths(both)))
    if ends[0][0] != ends[1][0]:
        return False  # one is refused for good after the other: it was about the same thing
    for what in sorted(ends[0][1].keys() | ends[1][1].keys(), key=str):
        one, other = (end[1].get(what, 0) for end in ends)
        if abs(one - other) > _DUST + rewards:
            raise Violation(f"{what} ends with {one} or {other}, by the order of {pair}")
    return True


def _open_calls(both: Both) -> Iterator[Call]:
    """Yield calls that anybody may make about what others have; no sale and no price."""
    contracts = both.model.world.contracts
    engine, auction = contract_of(both, "VaultEngine"), contract_of(both, "CollateralAuction")
    for (c, owner), vault in engine.vaults.items():
        if vault.normalized_debt and c in types(both):
            yield Call("LiquidationEngine", "liquidate", (c, owner, VISITOR))
            yield Call("LiquidationEngine", "flag", (c, owner))
    for id, lot in auction.lots.items():
        if lot.target:
            yield Call("CollateralAuction", "close", (id,))
            yield Call("CollateralAuction", "reset", (id, VISITOR))
    for id in open_workouts(both):
        yield Call("Workouts", "flag", (id,))
        yield Call("Workouts", "foreclose", (id, VISITOR))
    for c in types(both):
        yield Call("VaultEngine", "accrue", (c,))
        yield Call("CollateralAuction", "sell_salvage", (c,))
        yield Call("LossWaterfall", "cover", (c,))
        for name in ("MintAuction", "StakeAuction"):
            if name in contracts:
                yield Call(name, "end", (c,))
    for name in all_pools(both):
        yield Call(name, "cut")
        yield Call(name, "settle")
        if name in stablecoin_pools(both):
            yield from (Call(name, "collect_claims", (who,)) for who in contract_of(both, name).holders()[:2])
    if "Treasury" in contracts:
        yield Call("Treasury", "distribute")
        yield Call("SurplusAuction", "start")
    for name, contract in contracts.items():
        if contract.KIND == "Domain":
            yield Call(name, "realise_loss")
            yield Call(name, "report")


def _would_work(both: Both, call: Call) -> bool:
    """Return whether a call is not refused in the present state."""
    with both.fork_state():
        return _works(both, call)


def _is_known(both: Both, one: Call, other: Call) -> bool:
    """Return whether the order of two calls is known to matter."""
    methods = {one.method, other.method}
    if methods & _PAYERS and methods & _FLAGS:
        return True
    if methods & _ROOM and methods <= _ROOM | {"flag", "close"}:
        return True
    if "cover" in methods and (methods == {"cover"} or (methods & _ROOM and _redistributes(both))):
        return True
    return one.args == other.args and one.contract == other.contract and methods <= _FLAGS


def _redistributes(both: Both) -> bool:
    """Return whether borrowers bear losses: those of the second in which one is covered."""
    return bool(both.parameters and both.parameters.has_stage("redistribution"))


def _accrue_all(both: Both) -> None:
    for c in types(both):
        accrue(both, c)


def _catch_up(both: Both) -> None:
    """Make all calls about income and losses that anybody may make."""
    _accrue_all(both)
    for c in types(both):
        if deficit(both, c):
            apply(both, "LossWaterfall", "cover", c, by=VISITOR)
    for name in all_pools(both):
        apply(both, name, "cut", by=VISITOR)
        apply(both, name, "settle", by=VISITOR)
        for who in _members(both, name) if name in stablecoin_pools(both) else ():
            apply(both, name, "collect_claims", who, by=VISITOR)
    if "Treasury" in both.model.world.contracts:
        apply(both, "Treasury", "distribute", by=VISITOR)


def _members(both: Both, name: str) -> list[str]:
    """Return who has shares of a pool, or has asked to leave it; no contracts, and not the visitor."""
    pool = contract_of(both, name)
    found = {*pool.holders(), *(who for _, who in pool.tables["line.requests"])}
    return sorted(found - {VISITOR, *both.model.world.addresses})


def _coins(both: Both) -> int:
    """Return what the visitor has of stablecoin [wad]: rewards."""
    return int(contract_of(both, "Stablecoin").balances[VISITOR])


def _worths(both: Both) -> dict[tuple[str, ...], int]:
    """Return what everybody but the visitor has, by account and kind [wei]."""
    contracts = both.model.world.contracts
    engine, found = contract_of(both, "VaultEngine"), dict[tuple[str, ...], int]()
    strangers = {VISITOR, *both.model.world.addresses}
    for name, contract in contracts.items():
        if "erc20.balanceOf" in contract.tables:
            for who, held in contract.tables["erc20.balanceOf"].items():
                if who not in strangers:
                    found[who, name] = int(held)
    for (c, owner), vault in engine.vaults.items():
        if owner not in strangers and c in types(both):
            found[owner, "locked", str(c)] = vault.locked_collateral
            found[owner, "debt", str(c)] = vault.normalized_debt * engine.debts[c].accumulated_rate // RAY
    for name in all_pools(both):
        for who in _members(both, name):
            found[who, name] = both.view(name, "convertToAssets", both.view(name, "balanceOf", who))
            if contract_of(both, name).cooldown:
                found[who, name, "paid"] = both.view(name, "maxWithdraw", who)
    for name in stablecoin_pools(both):
        claims = contracts.get(f"{name}.Claims")
        if claims is not None:
            series = claims.tables["series"][()]
            for who in _members(both, name):
                tokens = both.view(claims.label, "balanceOf", who)
                found[who, claims.label] = tokens * series.outstanding // max(1, series.tokens)
    return found
