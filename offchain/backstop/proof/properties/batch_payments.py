"""Properties of pools that pay batches: up to which level, and whose the income of leavers becomes."""

from __future__ import annotations

from backstop.model.roles import STAGE
from backstop.proof.properties.figures import arithmetic as own
from backstop.proof.properties.figures import batches
from backstop.proof.properties.figures.arithmetic import RAY
from backstop.proof.properties.figures.claimable import claimed
from backstop.proof.properties.pools import _is_ours, _taken
from backstop.proof.properties.registry import Violation, transition_property
from backstop.proof.properties.transition import Changes, Transition

_SCALE, _MOST_RUNS = 10**47, 20


@transition_property(209, events=["*.BatchPaid"])
def batches_are_paid_beyond_what_may_be_lost(step: Transition, changes: Changes) -> None:
    """Check that who leaves is paid what is above the level of known losses and half of that again.

    Runs at that level or above it, and batches whose time has come, become one run; nothing else does. What
    is paid is all above its ceiling, in whole wei.
    """
    pool = step.action.contract
    if step.action.method != "settle" or step.contract(pool).KIND != "Pool" or not _is_ours(step, pool):
        return
    read, now = step.before, step.model.timestamp
    vested = own.vested(read(pool, "funds.assets"), now)
    losses, exact = _taken(step, pool, vested)
    if not exact:
        return
    index, state, queue = read(pool, "exits.index"), read(pool, "token.state"), read(pool, "line.queue")
    level = index - int(-batches.borne(read, pool, min(losses, vested)) * _SCALE // 1)
    live = batches.live(read, pool, now) + batches.VIRTUAL_ASSETS
    small = live * _SCALE // (state.supply + batches.VIRTUAL_SHARES) // 256
    kept: list[batches.Group] = []
    joined: list[batches.Group] = []
    for group in batches.groups(read, pool):
        is_run = group.id < queue.unsettled
        if is_run and group.ceiling < level:
            kept.append(group)
            continue
        if not is_run:
            is_ripe = now >= read(pool, "line.batches", group.id).since + step.contract(pool).cooldown + 600
            thin = not joined and level > index
            thin = thin and (len(kept) == _MOST_RUNS or group.ceiling - level < small)
            if group.ceiling < level or not is_ripe or thin:
                break
        joined.append(group)
    if not joined:
        raise Violation(f"{pool} pays nobody, and says that it does")
    first, margin = joined[0], 0
    if level > index:
        margin = max(-(-(level - index) // 2), small)
        if first.id >= queue.unsettled:
            margin = min(margin, (first.ceiling - level) // 2)
    ceiling = min(first.ceiling, level + margin)
    owing = sum(each.units * (each.ceiling - ceiling) for each in joined)
    owing += sum(read(pool, "exits.fractions", each.id) for each in joined if each.id < queue.unsettled)
    paid = step.after(pool, "line.queue").owed - queue.owed
    found = step.after(pool, "exits.levels", first.id)
    last = max(queue.unsettled, joined[-1].id + 1)
    if (paid, found) != (owing // _SCALE, ceiling) or step.after(pool, "line.queue").unsettled != last:
        raise Violation(
            f"{pool} pays {paid} and leaves a run at {found}, not {owing // _SCALE} and {ceiling}"
        )


@transition_property(210, events=["*.BatchCut", "*.Withdraw"])
def leavers_income_is_the_reserves(step: Transition, changes: Changes) -> None:
    """Check that income that has not vested on the shares of a leaver goes to the reserve, and no other does.

    When a batch is cut, or at once in a pool without a cooldown. Where nobody stays it is all of it. In
    settlement, and of a pool that may not pay, it stays.
    """
    pool, now = step.action.contract, step.model.timestamp
    contract = step.contract(pool)
    if contract.KIND != "Pool":
        return
    told = [
        log for log in step.outcome.logs if log.contract == pool and log.event in ("BatchCut", "Withdraw")
    ]
    if len(told) != 1 or (told[0].event == "Withdraw") == bool(contract.cooldown):
        return
    shares = told[0].values[1 if told[0].event == "BatchCut" else -1]
    supply, old = step.before(pool, "token.state").supply, step.before(pool, "funds.assets")
    rest = own.unvested(old, now)
    back = rest if shares == supply else rest * shares // (supply + batches.VIRTUAL_SHARES)
    if step.after("Settlement", "progress").begun_at or not step.after(
        "VaultEngine", "roles.access_control.hasRole", (STAGE, contract.address)
    ):
        back = 0
    reserve = [read("VaultEngine", "ledger.system").reserve for read in (step.before, step.after)]
    left = own.unvested(step.after(pool, "funds.assets"), now)
    if reserve[1] - reserve[0] != back * RAY or abs(left - (rest - back)) > 0:
        raise Violation(f"{pool}: {shares} of {supply} leave {reserve[1] - reserve[0]} and {left} of {rest}")


@transition_property(211, events=["*.RoundPaid"])
def rounds_pay_all_that_are_due(step: Transition, changes: Changes) -> None:
    """Check that a pool of equity pays all shares whose batches have waited at one price, rounded down."""
    for log in step.outcome.logs:
        if log.event != "RoundPaid":
            continue
        pool, (round, until, shares, assets) = log.contract, log.values
        read, state = step.before, step.before(pool, "token.state")
        due, queue = read(pool, "due"), read(pool, "line.queue")
        total = batches.convert(due.shares, due.generation, state.generation)
        wait = step.contract(pool).cooldown + batches.LOOK
        id = queue.unsettled
        while id < queue.collecting and step.model.timestamp >= read(pool, "line.batches", id).since + wait:
            batch = read(pool, "line.batches", id)
            total += batches.convert(batch.units, batch.generation, state.generation)
            id += 1
        held = own.vested(read(pool, "funds.assets"), step.model.timestamp)
        price = (held + batches.VIRTUAL_ASSETS) * total // (state.supply + batches.VIRTUAL_SHARES)
        if (until, shares, assets) != (id, total, price) or round != read(pool, "round"):
            raise Violation(f"{pool} pays {assets} for {shares} up to batch {until}, not {price} for {total}")
        kept, after = step.after(pool, "rounds", round), step.after(pool, "due")
        owed = step.after(pool, "line.queue").owed - queue.owed
        if tuple(kept) != (assets, shares) or after.shares or owed != assets:
            raise Violation(f"{pool} pays {assets} for {shares}, and keeps {kept}, {after}, {owed}")


@transition_property(215, calls=["*.redeem", "*.withdraw"])
def members_claim_their_whole_part(step: Transition, changes: Changes) -> None:
    """Check that a claim brings all that the named shares were paid, of the earliest batches first.

    A part of a request brings its part of what is there, rounded down; for assets as many shares are counted
    as they are worth, rounded up.
    """
    pool, method = step.action.contract, step.action.method
    contract = step.contract(pool)
    if contract.KIND not in ("Pool", "EquityPool") or method not in ("redeem", "withdraw"):
        return
    if not contract.cooldown:
        return
    asked, _, controller = step.action.args
    most = (asked, 2**256 - 1) if method == "redeem" else (2**256 - 1, asked)
    due = claimed(step.before, pool, contract.KIND, controller, *most)
    told = [log.values for log in step.outcome.logs if (log.contract, log.event) == (pool, "Withdraw")]
    if due is None or len(told) != 1:
        return
    shares, assets, _ = due
    *_, paid, counted = told[0]
    if (paid, counted) != ((assets, asked) if method == "redeem" else (asked, shares)):
        raise Violation(
            f"{pool}: {method} of {asked} brings {paid} for {counted}, {assets} for {shares} are due"
        )
    fell = step.before(pool, "line.queue").owed - step.after(pool, "line.queue").owed
    if fell != paid:
        raise Violation(f"{pool} pays {paid}, and owes {fell} less")
