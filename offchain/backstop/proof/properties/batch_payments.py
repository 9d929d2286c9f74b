"""Properties of pools that pay batches: the payment level, and the receiver of forfeited income."""

from __future__ import annotations

from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.roles import STAGE
from backstop.proof.properties.independent_arithmetic import batch_figures
from backstop.proof.properties.independent_arithmetic import property_arithmetic as own
from backstop.proof.properties.independent_arithmetic.claimable_figures import compute_claimable_amounts
from backstop.proof.properties.independent_arithmetic.property_arithmetic import RAY
from backstop.proof.properties.pool_properties import _compute_known_losses_and_exactness, _is_waterfall_pool
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property

_SCALE, _MOST_RUNS = 10**47, 20


@transition_property(209, events=["*.BatchPaid"])
def batches_receive_all_beyond_losses(step: Transition, changes: Changes) -> None:
    """Check that a pool pays its exit batches all but 1.5 times the known losses (property 209).

    An exit batch holds the shares that members committed to a withdrawal within one period. Batches that have
    waited long enough, and earlier groups at or above the payment level, merge into one group. No other group
    merges. The payment is everything that the merged group holds above its new ceiling, rounded down to the
    wei. Raises PropertyViolationError otherwise.
    """
    pool = step.action.contract
    if (
        step.action.method != "settle"
        or step.get_contract(pool).KIND != "Pool"
        or not _is_waterfall_pool(step, pool)
    ):
        return
    read, now = step.read_pre_state, step.model.timestamp
    vested = own.compute_vested_assets(read(pool, "funds.assets"), now)
    losses, exact = _compute_known_losses_and_exactness(step, pool, vested)
    if not exact:
        return
    index, state, queue = (
        read(pool, "exit_batches.index"),
        read(pool, "token.state"),
        read(pool, "line.queue"),
    )
    level = index - int(-batch_figures.compute_loss_per_share(read, pool, min(losses, vested)) * _SCALE // 1)
    live = batch_figures.compute_vested_assets_after_exits(read, pool, now) + batch_figures.VIRTUAL_ASSETS
    small = live * _SCALE // (state.supply + batch_figures.VIRTUAL_SHARES) // 256
    kept: list[batch_figures.BatchGroup] = []
    joined: list[batch_figures.BatchGroup] = []
    for group in batch_figures.list_open_batch_groups(read, pool):
        is_run = group.id < queue.unsettled
        if is_run and group.ceiling < level:
            kept.append(group)
            continue
        if not is_run:
            is_ripe = (
                now >= read(pool, "line.batches", group.id).since + step.get_contract(pool).cooldown + 600
            )
            thin = not joined and level > index
            thin = thin and (len(kept) == _MOST_RUNS or group.ceiling - level < small)
            if group.ceiling < level or not is_ripe or thin:
                break
        joined.append(group)
    if not joined:
        raise PropertyViolationError(f"{pool} pays nobody, and says that it does")
    first, margin = joined[0], 0
    if level > index:
        margin = max(-(-(level - index) // 2), small)
        if first.id >= queue.unsettled:
            margin = min(margin, (first.ceiling - level) // 2)
    ceiling = min(first.ceiling, level + margin)
    owing = sum(each.units * (each.ceiling - ceiling) for each in joined)
    owing += sum(
        read(pool, "exit_batches.fractions", each.id) for each in joined if each.id < queue.unsettled
    )
    paid = step.read_post_state(pool, "line.queue").owed - queue.owed
    found = step.read_post_state(pool, "exit_batches.levels", first.id)
    last = max(queue.unsettled, joined[-1].id + 1)
    if (paid, found) != (owing // _SCALE, ceiling) or step.read_post_state(
        pool, "line.queue"
    ).unsettled != last:
        raise PropertyViolationError(
            f"{pool} pays {paid} and leaves a run at {found}, not {owing // _SCALE} and {ceiling}"
        )


@transition_property(210, events=["*.BatchCut", "*.Withdraw"])
def reserve_gets_unvested_exit_income(step: Transition, changes: Changes) -> None:
    """Check that income not yet vested on withdrawn shares moves to the reserve (property 210).

    Withdrawing members forfeit this income when their batch closes. In a pool without a cooldown they forfeit
    it at once. If no shares remain, all unvested income is forfeited. In settlement the income stays in the
    pool, and so it does if the pool lacks the STAGE role. Raises PropertyViolationError if the reserve gets
    another amount.
    """
    pool, now = step.action.contract, step.model.timestamp
    contract = step.get_contract(pool)
    if contract.KIND != "Pool":
        return
    told = [
        log for log in step.outcome.logs if log.contract == pool and log.event in ("BatchCut", "Withdraw")
    ]
    if len(told) != 1 or (told[0].event == "Withdraw") == bool(contract.cooldown):
        return
    shares = told[0].values[1 if told[0].event == "BatchCut" else -1]
    supply, old = step.read_pre_state(pool, "token.state").supply, step.read_pre_state(pool, "funds.assets")
    rest = own.compute_unvested_income(old, now)
    back = rest if shares == supply else rest * shares // (supply + batch_figures.VIRTUAL_SHARES)
    if step.read_post_state("Settlement", "progress").begun_at or not step.read_post_state(
        "VaultEngine", "roles.access_control.hasRole", (STAGE, contract.address)
    ):
        back = 0
    reserve = [
        read("VaultEngine", "ledger.system").reserve for read in (step.read_pre_state, step.read_post_state)
    ]
    left = own.compute_unvested_income(step.read_post_state(pool, "funds.assets"), now)
    if reserve[1] - reserve[0] != back * RAY or abs(left - (rest - back)) > 0:
        raise PropertyViolationError(
            f"{pool}: {shares} of {supply} leave {reserve[1] - reserve[0]} and {left} of {rest}"
        )


@transition_property(211, events=["*.RoundPaid"])
def equity_pool_pays_due_batches(step: Transition, changes: Changes) -> None:
    """Check that an equity pool pays all shares of due exit batches at one price (property 211).

    A batch is due once it has waited for the cooldown and the observation time. The payment is rounded down.
    Raises PropertyViolationError otherwise.
    """
    for log in step.outcome.logs:
        if log.event != "RoundPaid":
            continue
        pool, (payout_round, until, shares, assets) = log.contract, log.values
        read, state = step.read_pre_state, step.read_pre_state(pool, "token.state")
        due, queue = read(pool, "due"), read(pool, "line.queue")
        total = batch_figures.convert_shares(due.shares, due.generation, state.generation)
        wait = step.get_contract(pool).cooldown + batch_figures.LOOK
        batch_id = queue.unsettled
        while (
            batch_id < queue.collecting
            and step.model.timestamp >= read(pool, "line.batches", batch_id).since + wait
        ):
            batch = read(pool, "line.batches", batch_id)
            total += batch_figures.convert_shares(batch.units, batch.generation, state.generation)
            batch_id += 1
        held = own.compute_vested_assets(read(pool, "funds.assets"), step.model.timestamp)
        price = (held + batch_figures.VIRTUAL_ASSETS) * total // (state.supply + batch_figures.VIRTUAL_SHARES)
        if (until, shares, assets) != (batch_id, total, price) or payout_round != read(pool, "round"):
            raise PropertyViolationError(
                f"{pool} pays {assets} for {shares} up to batch {until}, not {price} for {total}"
            )
        kept, after = step.read_post_state(pool, "rounds", payout_round), step.read_post_state(pool, "due")
        owed = step.read_post_state(pool, "line.queue").owed - queue.owed
        if tuple(kept) != (assets, shares) or after.shares or owed != assets:
            raise PropertyViolationError(
                f"{pool} pays {assets} for {shares}, and keeps {kept}, {after}, {owed}"
            )


@transition_property(215, calls=["*.redeem", "*.withdraw"])
def batch_claim_pays_exact_share(step: Transition, changes: Changes) -> None:
    """Check that a claim of a completed withdrawal pays its exact part (property 215).

    The earliest batches are paid first. A claim for some of the shares gets the same fraction of the
    claimable amount, rounded down. A claim stated in assets uses up the shares that these assets are worth,
    rounded up. Raises PropertyViolationError otherwise.
    """
    pool, method = step.action.contract, step.action.method
    contract = step.get_contract(pool)
    if contract.KIND not in ("Pool", "EquityPool") or method not in ("redeem", "withdraw"):
        return
    if not contract.cooldown:
        return
    asked, _, controller = step.action.args
    most = (asked, 2**256 - 1) if method == "redeem" else (2**256 - 1, asked)
    due = compute_claimable_amounts(step.read_pre_state, pool, contract.KIND, controller, *most)
    told = [log.values for log in step.outcome.logs if (log.contract, log.event) == (pool, "Withdraw")]
    if due is None or len(told) != 1:
        return
    shares, assets, _ = due
    *_, paid, counted = told[0]
    if (paid, counted) != ((assets, asked) if method == "redeem" else (asked, shares)):
        raise PropertyViolationError(
            f"{pool}: {method} of {asked} brings {paid} for {counted}, {assets} for {shares} are due"
        )
    fell = step.read_pre_state(pool, "line.queue").owed - step.read_post_state(pool, "line.queue").owed
    if fell != paid:
        raise PropertyViolationError(f"{pool} pays {paid}, and owes {fell} less")
