"""Properties of pools, of one successful step and of what came before: prices, rounding, and waiting."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from backstop.proof.properties import stages
from backstop.proof.properties.figures import arithmetic as own
from backstop.proof.properties.figures.arithmetic import RAY
from backstop.proof.properties.registry import Violation, history_property, transition_property
from backstop.proof.properties.transition import Changes, Transition

if TYPE_CHECKING:
    from backstop.hosts.model import ModelSystem

_WAYS_IN, _WAYS_OUT = ("deposit", "mint"), ("redeem", "withdraw")
_PAY_AT_ONCE = ("Pool", "ClawbackStage")
# Shares and assets that every pool has beside its members'.
_SHARES, _ASSETS = 10**6, 1


@transition_property(31)
def conversions_round_against_the_caller(step: Transition, changes: Changes) -> None:
    """Assert that shares and assets are exchanged at the pool's price, rounded by less than a unit.

    In at vested assets, out at those less what known losses will take of them; always against the caller.
    Where what a loss will take is not exactly known, the caller may lose more by it, and never gains.
    """
    pool, method = step.action.contract, step.action.method
    if method not in _WAYS_IN + _WAYS_OUT or not _is_pool(step, pool):
        return
    before = step.before(pool, "token.state")
    supply = before.supply if step.after(pool, "token.state").generation == before.generation else 0
    held = own.vested(step.before(pool, "assets"), step.model.timestamp)
    direct = step.contract(pool).stage_address == step.contract(pool).address
    settling = step.before("LossWaterfall", "counts").settlement == 1
    ours = _is_ours(step, pool)
    exact = ours and (direct or not (settling or step.before("LossWaterfall", "counts").open))
    if method in _WAYS_OUT:
        taken, known = _taken(step, pool, held) if direct and ours else (0, exact)
        held, exact = held - min(held, taken), known
    for log in step.outcome.logs:
        if log.contract != pool or log.event not in ("Deposit", "Withdraw"):
            continue
        assets, shares = log.values[-2:]
        left, right = assets * (supply + _SHARES), shares * (held + _ASSETS)
        if log.event == "Deposit":
            fair = right <= left
            # The last unit that was rounded away: a share, or a wei.
            near = left - right < (held + _ASSETS if method == "deposit" else supply + _SHARES)
        else:
            fair = left <= right
            near = right - left < (supply + _SHARES if method == "redeem" else held + _ASSETS)
        if not fair or (exact and not near):
            raise Violation(f"{pool}: {method} of {assets} for {shares} at {held} for {supply} shares")


@transition_property(32)
def share_prices_rise_only_with_time(step: Transition, changes: Changes) -> None:
    """Assert that no step raises a pool's price by more than a unit's rounding, where no loss is known.

    Income counts as it vests: what is added is nobody's at once.
    """
    if not {"assets", "token.state"} & changes.keys() or step.before("LossWaterfall", "counts").open:
        return
    now = step.model.timestamp
    for pool in sorted(
        {each.contract for path in ("assets", "token.state") for each in changes.get(path, ())}
    ):
        old, new = step.before(pool, "token.state"), step.after(pool, "token.state")
        if not _is_pool(step, pool) or not _is_ours(step, pool) or old.generation != new.generation:
            continue
        if any(log.contract == pool and log.event == "Restored" for log in step.outcome.logs):
            continue
        before = own.vested(step.before(pool, "assets"), now) + _ASSETS
        after = own.vested(step.after(pool, "assets"), now) + _ASSETS
        unit = max(before, after) + old.supply + _SHARES
        if after * (old.supply + _SHARES) > before * (new.supply + _SHARES) + unit:
            raise Violation(f"{pool}: {before} of {old.supply} shares became {after} of {new.supply}")


@history_property(33)
class WhoLeavesHasWaited:
    """Shares that leave a pool with a cooldown were in escrow for all of it, by a clock of this property."""

    def __init__(self, model: ModelSystem) -> None:
        # (pool, owner) -> (since when, how many) of shares in escrow, the oldest first.
        self._waiting: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        for name, contract in model.world.contracts.items():
            if contract.KIND != "Pool":
                continue
            present = contract.tables["token.state"][()].generation
            for (generation, owner), request in contract.tables["requests"].items():
                if generation == present and request.shares:
                    self._waiting[name, owner] = [(request.requested_at, request.shares)]

    def see(self, step: Transition, changes: Changes) -> None:
        """Count what enters escrow and what leaves it."""
        if "requests" not in changes and "token.state" not in changes:
            return
        now = step.model.timestamp
        for log in step.outcome.logs:
            pool = log.contract
            if log.event == "RedeemRequested":
                self._waiting[pool, log.values[0]].append((now, log.values[1]))
            elif log.event == "RequestCancelled":
                if sum(shares for _, shares in self._waiting.pop((pool, log.values[0]), ())) != log.values[1]:
                    raise Violation(f"{pool}: {log.values[0]} gets other shares back than were in escrow")
            elif log.event == "NewGeneration":
                for key in [key for key in self._waiting if key[0] == pool]:
                    del self._waiting[key]
            elif log.event == "Withdraw" and _is_pool(step, pool):
                self._leave(step, pool, log.values[2], log.values[4])

    def _leave(self, step: Transition, pool: str, owner: str, shares: int) -> None:
        cooldown = step.contract(pool).cooldown
        if not cooldown:
            return
        waiting = self._waiting[pool, owner]
        ripe = sum(amount for since, amount in waiting if since + cooldown <= step.model.timestamp)
        if shares > ripe:
            raise Violation(f"{pool}: {owner} leaves with {shares} shares, {ripe} have waited {cooldown} s")
        while shares:
            since, amount = waiting.pop(0)
            if amount > shares:
                waiting.insert(0, (since, amount - shares))
            shares -= min(shares, amount)


@transition_property(34)
def members_bear_what_is_covered(step: Transition, changes: Changes) -> None:
    """Assert that a pool gives for a loss what is covered by it, to the wei, and is owed no more than that.

    Its members' claims are for their part of it: all but what the shares that every pool has would bear.
    """
    if (step.action.contract, step.action.method) not in (("LossWaterfall", "cover"), ("Settlement", "fix")):
        return
    absorbed = [
        log
        for log in step.outcome.logs
        if log.event in ("LossAbsorbed", "IncomeClawedBack") and _is_pool(step, log.contract)
    ]
    if not absorbed:
        return
    _check_claims(step)
    burned: Counter[str] = Counter()
    for log in absorbed:
        burned[log.contract] += log.values[1]
    for pool, assets in burned.items():
        given = step.before(pool, "assets").booked - step.after(pool, "assets").booked
        # What its members have left, if they lost all, is the reserve's.
        left = sum(
            log.values[1]
            for log in step.outcome.logs
            if (log.contract, log.event) == (pool, "NewGeneration")
        )
        if given != assets + left:
            raise Violation(f"{pool} says that it gave {assets} and {left}, and has {given} less")
    covered = sum(
        each.values[3]
        for each in step.outcome.logs
        if (each.contract, each.event) == ("LossWaterfall", "LossCovered")
        and stages.stage_of(step, each.values[2]).label in (*burned, "ClawbackStage")
    )
    if not covered <= burned.total() * RAY < covered + len(absorbed) * RAY:
        raise Violation(f"{sorted(burned)} gave {burned.total()} wei for {covered} rad")


def _check_claims(step: Transition) -> None:
    assets: dict[str, int] = {}
    for log in step.outcome.logs:
        if log.event == "LossAbsorbed":
            assets[f"{log.contract}.Claims"] = log.values[1]
        elif log.event == "LossRecorded" and log.values[2]:
            lost = assets.pop(log.contract, 0)
            supply = step.before(log.contract.removesuffix(".Claims"), "token.state").supply
            if log.values[1] != lost * supply // (supply + _SHARES):
                raise Violation(f"{log.contract}: {log.values[1]} are owed for {lost} of {supply} shares")


@transition_property(74)
def nobody_finds_anything_in_an_empty_pool(step: Transition, changes: Changes) -> None:
    """Assert that where all shares have become void nothing is left for whoever comes next."""
    for log in step.outcome.logs:
        if log.event != "NewGeneration" or not _is_pool(step, log.contract):
            continue
        brought = sum(
            each.values[2]
            for each in step.outcome.logs
            if (each.contract, each.event) == (log.contract, "Deposit")
        )
        found = step.after(log.contract, "assets")
        if found.booked != brought or found.unvested:
            raise Violation(f"{log.contract}: {found} is there for {brought} that were brought")


def _taken(step: Transition, pool: str, held: int) -> tuple[int, bool]:
    """Return what known losses will take of a stablecoin pool [wad, up], and whether it is exactly that."""
    counts = step.before("LossWaterfall", "counts")
    if counts.settlement == 1:
        return held, True
    if counts.settlement == 2 or not counts.open:
        return 0, True
    address = step.contract(pool).address
    left = {}
    for c in range(step.before("VaultEngine", "terms.collateral_types")):
        deficit = step.before("VaultEngine", "ledger.deficit", c)
        mine = step.before("LossWaterfall", "reservations", (c, address)).amount
        left[c] = deficit - min(deficit, mine) + step.before("LossWaterfall", "marks.of_types", c)
    exact = True
    for k in range(counts.stages):
        terms = step.before("LossWaterfall", "stages", k)
        if terms.stage == address:
            return -(-sum(left.values()) // RAY), exact
        if terms.asynchronous:
            continue
        kind = stages.stage_of(step, k)
        exact = exact and (kind.account != 2 if kind.KIND == "LedgerStage" else kind.KIND in _PAY_AT_ONCE)
        spent = 0
        for c in left:
            capacity = stages.capacity(step, k, c)
            if not left[c] or capacity == stages.BUSY:
                continue
            capacity -= min(capacity, spent) if terms.pooled else 0
            room = stages.room(step, k, c, capacity)
            paid = min(left[c], capacity, max(0, room) // RAY * RAY if room != stages.BUSY else capacity)
            left[c] -= paid
            spent += paid
    return 0, exact


def _is_pool(step: Transition, name: str) -> bool:
    contract = step.model.world.contracts.get(name)
    return contract is not None and contract.KIND == "Pool"


def _pool(step: Transition, name: str) -> Any:
    return step.contract(name)


def _is_ours(step: Transition, pool: str) -> bool:
    """Return whether a pool bears the losses of the deployment's waterfall, and not those of a test."""
    waterfall = step.contract("LossWaterfall").address
    return bool(step.contract(pool).loss_waterfall_address == waterfall)
