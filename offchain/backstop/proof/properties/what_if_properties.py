"""Properties of futures: each simulates one or more futures of the present state, and reverts them.

Model and chain play them together and are compared at every step. A property that finds nothing to try in a
state returns False.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, cast

from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD, RAY, WAD, div_up
from backstop.proof.properties.independent_arithmetic import property_arithmetic as own
from backstop.proof.properties.lockstep_interface import LockstepLike
from backstop.proof.properties.property_registry import (
    COUNTERFACTUAL_PROPERTIES,
    CounterfactualSeed,
    PropertyViolationError,
    counterfactual_property,
)
from backstop.proof.properties.what_if_steps_and_state_readings import (
    VISITOR,
    YEAR,
    accrue_fee,
    announce_facilitator_loss,
    apply_or_raise,
    attempt_call_and_get_outcome,
    claim_batch,
    collect_tokens_from_holders,
    crash_and_list_closable_auctions,
    disturb_feed,
    find_facilitator,
    force_random_guardian_mode,
    get_contract,
    get_token,
    is_every_pool_granted_stage_role,
    list_collateral_types,
    list_open_workouts,
    list_payer_balances,
    list_payer_names,
    list_pool_names,
    pick_item,
    read_deficit,
    report_price,
    request_and_mature_exit_batch,
    settle_batches,
    sum_assets_of_wiped_pools,
)

if TYPE_CHECKING:
    from backstop.model.erc20 import ERC20
    from backstop.model.pool import Pool

# A run holds back one of so many parts of a share's price at least; the virtual shares of a pool.
_HELD_PARTS, _VIRTUAL_SHARES = 256, 10**6
# Tokens that do what a transfer promises.
_SOUND = ("Token", "NoReturnToken")


def check_counterfactual_property(lockstep: LockstepLike, property_seed: CounterfactualSeed) -> bool:
    """Check one what-if property on a fork of the present state; return whether a trial was possible.

    Raises PropertyViolationError with the property's number if it does not hold.
    """
    try:
        return COUNTERFACTUAL_PROPERTIES[property_seed.number](lockstep, Random(property_seed.seed))
    except PropertyViolationError as violation:
        # One from a step on the way has its number.
        if not violation.number:
            violation.add_property_number(property_seed.number)
        raise


@counterfactual_property(6)
def loss_partition_changes_no_payment(lockstep: LockstepLike, random: Random) -> bool:
    """Check that covering a loss in n parts costs each payer the same as in one part (property 6).

    The trial lets a type's price collapse on a fork of model and chain. The tolerance is n units for each
    payer, as well as the assets of emptied pools. Returns False if fewer than two parts exist or a cover
    fails. Raises PropertyViolationError if a payer's loss differs.
    """
    c = pick_item(random, list_collateral_types(lockstep))
    if c is None or lockstep.parameters is None or lockstep.parameters.has_stage("scripted"):
        return False
    with lockstep.fork_state():
        lots = crash_and_list_closable_auctions(lockstep, c)
        n = len(lots) + bool(read_deficit(lockstep, c))
        if n < 2:
            return False
        # The part that borrowers can bear is measured at the rate of the last accrual.
        accrue_fee(lockstep, c)
        paid, rest = [], 0
        for parts in ([lots], [[], *([auction_id] for auction_id in lots)]):
            with lockstep.fork_state():
                before = list_payer_balances(lockstep, c)
                for part in parts:
                    for auction_id in part:
                        apply_or_raise(lockstep, "CollateralAuction", "close", auction_id, by=VISITOR)
                    if not read_deficit(lockstep, c):
                        continue
                    outcome = attempt_call_and_get_outcome(lockstep, "LossWaterfall", "cover", c, by=VISITOR)
                    if not outcome.ok:
                        return False  # a stage without its role
                    # The reserve has it before the next part asks the reserve.
                    rest += sum_assets_of_wiped_pools(outcome)
                paid.append([a - b for a, b in zip(before, list_payer_balances(lockstep, c), strict=True)])
    # A wei for each stage that pays in tokens; where borrowers bear a loss, a ray for each unit of debt; and
    # what is too little for an auction of equity goes by it.
    grain = (
        RAY * len(list_payer_names(lockstep)) + get_contract(lockstep, "VaultEngine").debts[c].normalized_debt
    )
    if any(lockstep.parameters.has_stage(name) for name in ("staked_equity", "minted_equity")):
        grain = RAD
    for name, once, split in zip(list_payer_names(lockstep), *paid, strict=True):
        if abs(once - split) > n * grain + rest * RAY:
            raise PropertyViolationError(f"type {c}: {name} pays {once} rad at once, {split} in {n} parts")
    return True


@counterfactual_property(7)
def exit_before_cover_gains_nothing(lockstep: LockstepLike, random: Random) -> bool:
    """Check that leaving a pool before losses are covered pays no more than after it (property 7).

    The same holds between the announcement of a bridge's loss and its booking. The trial plays either order
    on a fork of model and chain. The tolerance is a few wei, plus the effects of rounding and of relative
    caps. Returns whether a loss was covered. Raises PropertyViolationError if leaving early pays more.
    """
    if lockstep.parameters is None or lockstep.parameters.has_stage("scripted"):
        return False
    contracts = lockstep.model.world.addresses
    found = [
        (name, who)
        for name in list_pool_names(lockstep)
        for who in get_contract(lockstep, name).list_holders()
        if who not in contracts
    ]
    member, c = pick_item(random, found), pick_item(random, list_collateral_types(lockstep))
    if member is None or c is None or not is_every_pool_granted_stage_role(lockstep):
        return False
    name, owner = member
    pool = get_contract(lockstep, name)
    with lockstep.fork_state():
        facilitator = announce_facilitator_loss(lockstep, c, random)
        if facilitator is None:
            for auction_id in crash_and_list_closable_auctions(lockstep, c):
                apply_or_raise(lockstep, "CollateralAuction", "close", auction_id, by=VISITOR)
        batch = request_and_mature_exit_batch(lockstep, name, owner)
        rounding = _compute_held_part_rounding(pool)
        # What is in doubt is measured at the rate of the last accrual: fees since then are nobody's yet.
        for each in list_collateral_types(lockstep):
            accrue_fee(lockstep, each)
        ends = []
        for known in (True, False):
            with lockstep.fork_state():
                if known:
                    owed = pool.line[()].owed
                    settle_batches(lockstep, name)
                    early = _simulate_redemption(lockstep, name, owner, batch)
                    # What is paid while a loss is in doubt takes its share of a cap along.
                    ahead = 0 if facilitator is None else pool.line[()].owed - owed
                if facilitator is not None:
                    apply_or_raise(lockstep, facilitator.label, "realise_loss", by=VISITOR)
                losing = [c for c in list_collateral_types(lockstep) if read_deficit(lockstep, c)]
                for c in losing:
                    outcome = attempt_call_and_get_outcome(lockstep, "LossWaterfall", "cover", c, by=VISITOR)
                    if not outcome.ok or any(log.event == "StageFailed" for log in outcome.logs):
                        return False  # a stage without its role: nobody knew that it pays nothing
                settle_batches(lockstep, name)
                # What a run holds back for losses that are still in doubt comes later.
                waits = get_contract(lockstep, "LossWaterfall").debt_at_risk_total(VISITOR) > 0
                late = _simulate_redemption(lockstep, name, owner, batch)
                ends.append(early if known and not pool.cooldown else late)
    # Without a cooldown what a leaver forfeits stays; from a batch all comes that a loss does not take.
    alike = pool.cooldown and pool.KIND != "EquityPool" and not waits
    slack = len(losing) + 2 + rounding + _compute_loss_left_by_capped_pool(lockstep, name, ahead)
    if ends[0] > ends[1] + slack or (alike and ends[1] > ends[0] + slack):
        raise PropertyViolationError(
            f"{owner} leaves {name} with {ends[0]} before losses are covered, {ends[1]} after"
        )
    return bool(losing)


def _compute_held_part_rounding(pool: Pool) -> int:
    """Return the rounding error of the amount that a pool holds back for possible losses [wad].

    It is at least 1/256 of a rounded share price. If few live assets remain, a second settlement holds back
    slightly less. The result is 0 without a cooldown and for equity pools.
    """
    if not pool.cooldown or pool.KIND == "EquityPool":
        return 0
    units = sum(batch.units for batch in pool.batches.values())
    return int(units // (_HELD_PARTS * (pool.state[()].supply + _VIRTUAL_SHARES))) + 1


def _compute_loss_left_by_capped_pool(lockstep: LockstepLike, pool_name: str, paid_ahead: int) -> int:
    """Return the loss that a pool's relative cap leaves uncovered after earlier payments [wad].

    A payment lowers the pool's assets, and the cap with them.
    """
    waterfall = get_contract(lockstep, "LossWaterfall")
    place = waterfall.ids[get_contract(lockstep, pool_name).address]
    cap = waterfall.stages[place - 1].cap_bps if place else 10_000
    tolerated = get_contract(lockstep, pool_name).totalAssets("") // 10_000
    return int(tolerated + paid_ahead) * cap // 10_000 if cap < 10_000 else 0


@counterfactual_property(10)
def repay_and_withdraw_always_succeed(lockstep: LockstepLike, random: Random) -> bool:
    """Check that full repayment, top-up and withdrawal without debt always succeed (property 10).

    The trial first disturbs the price feed and raises the risk mode, on a fork of model and chain. A bridge
    must be able to repay all with a loss announced, and a workout must be payable in full. Returns False if
    nothing can be tried. Raises PropertyViolationError if a call is refused.
    """
    engine = get_contract(lockstep, "VaultEngine")
    if random.random() < 0.2 and not engine.in_settlement(VISITOR):
        return _check_bridge_repays_whole_debt(lockstep, random)
    workouts = list_open_workouts(lockstep)
    if workouts and not engine.in_settlement(VISITOR) and random.random() < 0.5:
        return _check_workout_payable_in_full(lockstep, random.choice(workouts), random)
    found = [
        (c, owner)
        for (c, owner), vault in engine.vaults.items()
        if vault.locked_collateral and owner not in lockstep.model.world.addresses
    ]
    vault = pick_item(random, found)
    if vault is None or engine.in_settlement(VISITOR):
        return False
    c, owner = vault
    token = lockstep.model.world.addresses[engine.terms[c].token]
    with lockstep.fork_state():
        disturb_feed(lockstep, c, random)
        force_random_guardian_mode(lockstep, random)
        accrue_fee(lockstep, c)
        debt = engine.vaults[c, owner].normalized_debt * engine.debts[c].accumulated_rate
        whole = div_up(debt, RAY)
        if not collect_tokens_from_holders(lockstep, owner, whole):
            return False
        if whole:
            _call_engine_as_vault_owner(lockstep, "repay_and_withdraw", c, owner, whole, 0, owner)
        if engine.vaults[c, owner].normalized_debt:
            raise PropertyViolationError(f"vault {c, owner} still owes after repaying all of {whole} wei")
        if token.KIND not in _SOUND:
            return True
        unit = engine.terms[c].unit
        room = engine.vaults[c, owner].locked_collateral + unit < 2**103
        if (
            room
            and not engine.terms[c].settling
            and attempt_call_and_get_outcome(lockstep, token.label, "mint", owner, 1, by=owner).ok
        ):
            apply_or_raise(lockstep, token.label, "approve", engine.address, 1, by=owner)
            _call_engine_as_vault_owner(lockstep, "deposit_and_draw", c, owner, unit, 0, owner)
        _call_engine_as_vault_owner(
            lockstep, "repay_and_withdraw", c, owner, 0, engine.vaults[c, owner].locked_collateral, owner
        )
    return True


@counterfactual_property(12)
def round_trip_never_profits(lockstep: LockstepLike, random: Random) -> bool:
    """Check that going in and out of a vault or a pool never yields a profit (property 12).

    The trial runs on a fork of model and chain. Vested income and rounding remainders of exit batches are
    tolerated. Returns False if no call succeeds. Raises PropertyViolationError if the account gains.
    """
    return (_try_vault_round_trip if random.random() < 0.5 else _try_pool_round_trip)(lockstep, random)


@counterfactual_property(13)
def cheaper_liquidation_never_helps_protocol(lockstep: LockstepLike, random: Random) -> bool:
    """Check that the protocol gains nothing from liquidating a vault at a lower price (property 13).

    The trial liquidates a random vault at two prices, on a fork of model and chain. The lot is sold after the
    same time. Returns False if a call is refused. Raises PropertyViolationError if the lower price leaves the
    protocol better off.
    """
    engine, feed = get_contract(lockstep, "VaultEngine"), get_contract(lockstep, "PriceFeed")
    vault = pick_item(random, [key for key, vault in engine.vaults.items() if vault.normalized_debt])
    if vault is None:
        return False
    c, owner = vault
    terms, held = engine.terms[c], engine.vaults[vault].locked_collateral
    if not held or not feed.configs[c].reporters:
        return False
    debt = engine.vaults[vault].normalized_debt * engine.debts[c].accumulated_rate
    # Where it becomes unsafe.
    edge = debt * terms.liquidation_ratio // (held * BASIS_POINTS)
    prices = sorted((1 + int(edge * random.random()) for _ in range(2)), reverse=True)
    wait = get_contract(lockstep, "CollateralAuction").terms[c].tail * random.choice((0, 1, 2, 5)) // 20
    left = []
    for price in prices:
        with lockstep.fork_state():
            if not report_price(lockstep, c, price):
                return False
            liquidated = attempt_call_and_get_outcome(
                lockstep, "LiquidationEngine", "liquidate", c, owner, VISITOR, by=VISITOR
            )
            if not liquidated.ok:
                return False
            lockstep.advance(wait)
            collect_tokens_from_holders(lockstep, VISITOR, get_contract(lockstep, "Stablecoin").supply[()])
            taken = (liquidated.value, MAX_UINT256, MAX_UINT256, VISITOR, b"")
            if not attempt_call_and_get_outcome(lockstep, "CollateralAuction", "take", *taken, by=VISITOR).ok:
                return False
            income, system = engine.income[c], engine.system[()]
            owed = engine.auctions[c].in_auction + engine.deficit[c]
            left.append(owed - income.buffer - system.reserve)
    if left[1] < left[0]:
        raise PropertyViolationError(
            f"vault {vault} at the prices {prices}: the protocol ends with {left} rad to pay"
        )
    return True


@counterfactual_property(161)
def lot_prices_stand_still_without_blocks(lockstep: LockstepLike, random: Random) -> bool:
    """Check that time without blocks changes no lot's price in block-counted auctions (property 161).

    It must not make a reset or an end due either, even if the feed becomes stale or halted. Returns False if
    auctions count seconds or none is open. Raises PropertyViolationError otherwise.
    """
    auction = get_contract(lockstep, "CollateralAuction")
    open_lots = [auction_id for auction_id, lot in auction.lots.items() if lot.target]
    if not auction.block_time or not open_lots:
        return False
    auction_id = random.choice(open_lots)
    lot, top, feed = (
        auction.lots[auction_id],
        auction.tops[auction_id].top,
        get_contract(lockstep, "PriceFeed"),
    )
    terms = auction._get_lot_terms(lot)
    with lockstep.fork_state():
        if random.random() < 0.5 and feed.configs[lot.collateral_type].reporters:
            apply_or_raise(lockstep, "PriceFeed", "set_halted", lot.collateral_type, True, by=feed.admins[()])
        lockstep.advance(random.choice((1, 3_600, 86_400, YEAR)), 0)
        due, price, _, _ = lockstep.view("CollateralAuction", "status", auction_id)
        # On a node the halt has taken a block.
        elapsed = lockstep.model.next_block_number * auction.block_time - lot.started_at
    if elapsed < 0:
        raise PropertyViolationError(
            f"auction {auction_id}: it started {-elapsed} seconds after the block of now"
        )
    right, off = own.compute_auction_price_with_tolerance(terms.curve, terms.period, terms.cut, top, elapsed)
    edge = top * terms.cusp // BASIS_POINTS
    late = elapsed > terms.tail or right + off < edge
    early = elapsed <= terms.tail and right - off > edge
    if abs(price - right) > off or (late and not due) or (early and due):
        raise PropertyViolationError(
            f"auction {auction_id}: without a block {right} became {price}, and a reset is due: {due}"
        )
    return True


def _check_bridge_repays_whole_debt(lockstep: LockstepLike, random: Random) -> bool:
    engine = get_contract(lockstep, "VaultEngine")
    facilitator = pick_item(
        random,
        [
            each
            for c in list_collateral_types(lockstep)
            if (each := find_facilitator(lockstep, c)) is not None
        ],
    )
    if facilitator is None:
        return False
    vault = facilitator.collateral_type, facilitator.address
    with lockstep.fork_state():
        lockstep.advance(random.choice((0, 1, YEAR)))
        force_random_guardian_mode(lockstep, random)
        announce_facilitator_loss(lockstep, vault[0], random)
        accrue_fee(lockstep, vault[0])
        debt = engine.vaults[vault].normalized_debt * engine.debts[vault[0]].accumulated_rate
        if debt == 0 or not collect_tokens_from_holders(lockstep, VISITOR, div_up(debt, RAY)):
            return False
        apply_or_raise(lockstep, "Stablecoin", "approve", facilitator.address, MAX_UINT256, by=VISITOR)
        outcome = attempt_call_and_get_outcome(lockstep, facilitator.label, "repay", MAX_UINT256, by=VISITOR)
        if not outcome.ok or engine.vaults[vault].normalized_debt:
            raise PropertyViolationError(f"{facilitator.label} cannot be paid back: {outcome.reason!r}")
    return True


def _check_workout_payable_in_full(lockstep: LockstepLike, workout_id: int, random: Random) -> bool:
    workout = lockstep.view("Workouts", "workout_of", workout_id)
    c, owner = workout.collateral_type, workout.owner
    if get_contract(lockstep, "VaultEngine").vaults[c, owner].locked_collateral + workout.lot >= 2**104:
        return False
    with lockstep.fork_state():
        disturb_feed(lockstep, c, random)
        force_random_guardian_mode(lockstep, random)
        if not collect_tokens_from_holders(lockstep, owner, workout.left):
            return False
        paid = attempt_call_and_get_outcome(lockstep, "Workouts", "pay", workout_id, MAX_UINT256, by=owner)
        if not paid.ok:
            raise PropertyViolationError(f"workout {workout_id} cannot be paid: {paid.reason!r}")
    return True


def _try_vault_round_trip(lockstep: LockstepLike, random: Random) -> bool:
    engine, stablecoin = get_contract(lockstep, "VaultEngine"), get_contract(lockstep, "Stablecoin")
    c = pick_item(
        random, [c for c in list_collateral_types(lockstep) if get_token(lockstep, c).KIND in _SOUND]
    )
    if c is None:
        return False
    owner = pick_item(random, [VISITOR, *(who for at, who in engine.vaults if at == c)])
    assert owner is not None
    if owner in lockstep.model.world.addresses:
        return False
    token, unit = get_token(lockstep, c), engine.terms[c].unit
    with lockstep.fork_state():
        price = get_contract(lockstep, "PriceFeed").prices[c].current
        deposit = random.randrange(10 * WAD) + (10 * engine.terms[c].debt_floor * WAD * RAY // max(price, 1))
        raw = deposit // unit + 1
        if not attempt_call_and_get_outcome(lockstep, token.label, "mint", owner, raw, by=owner).ok:
            return False
        apply_or_raise(lockstep, token.label, "approve", engine.address, MAX_UINT256, by=owner)
        accrue_fee(lockstep, c)

        def wealth() -> tuple[int, int]:
            """Return the owner's stablecoin less its debt [rad], and its collateral [wad]."""
            vault = engine.vaults[c, owner]
            debt = vault.normalized_debt * engine.debts[c].accumulated_rate
            locked = vault.locked_collateral
            return stablecoin.balances[owner] * RAY - debt, token.balances[owner] * unit + locked

        before, done = wealth(), 0
        for _ in range(4):
            vault, floor = engine.vaults[c, owner], engine.terms[c].debt_floor * WAD
            held = stablecoin.balances[owner]
            if random.random() < 0.5:
                draw = random.choice((0, floor, random.randint(1, floor + 1)))
                call = ("deposit_and_draw", c, owner, random.choice((0, deposit)), draw, owner)
            else:
                repay = random.choice((0, 1, held // 2, held, MAX_UINT256))
                out = random.choice((0, unit, vault.locked_collateral))
                call = ("repay_and_withdraw", c, owner, repay, out, owner)
            done += attempt_call_and_get_outcome(lockstep, "VaultEngine", *call, by=owner).ok
            after = wealth()
            if after[0] > before[0] or after[1] > before[1]:
                raise PropertyViolationError(
                    f"{owner} gains from {before} to {after} (rad, wad) by a round trip with type {c}"
                )
    return done > 0


def _try_pool_round_trip(lockstep: LockstepLike, random: Random) -> bool:
    name = random.choice(list_pool_names(lockstep))
    pool = cast("Pool", get_contract(lockstep, name))
    asset = cast("ERC20", pool.token)
    with lockstep.fork_state():
        most = max(asset.balances.values(), default=0)
        assets = random.choice((1, most // 1_000, most // 2, 1 + random.randrange(most + 1)))
        if not collect_tokens_from_holders(lockstep, VISITOR, assets, asset.label):
            return False
        before = asset.balances[VISITOR]
        # What leavers are paid meanwhile is rounded down, batch by batch: whoever stays has the wei.
        open_batches = pool.state[()].open
        apply_or_raise(lockstep, asset.label, "approve", pool.address, MAX_UINT256, by=VISITOR)
        method, amount = random.choice((("deposit", assets), ("mint", assets * 10**6), ("mint", assets)))
        if not attempt_call_and_get_outcome(lockstep, name, method, amount, VISITOR, by=VISITOR).ok:
            return False
        # Income that vests meanwhile is earned.
        earned = lockstep.view(name, "unvested")
        batch = request_and_mature_exit_batch(lockstep, name, VISITOR)
        earned -= lockstep.view(name, "unvested")
        rest = asset.balances[VISITOR]
        settle_batches(lockstep, name)
        if pool.cooldown or random.random() < 0.5:
            after = rest + _simulate_redemption(lockstep, name, VISITOR, batch)
        else:
            most = lockstep.view(name, "maxWithdraw", VISITOR)
            if most:
                apply_or_raise(lockstep, name, "withdraw", most, VISITOR, VISITOR, by=VISITOR)
            after = asset.balances[VISITOR]
    if after > before + earned + open_batches:
        raise PropertyViolationError(
            f"{name}: {method} of {amount} and out again turns {before} wei into {after}"
        )
    return True


# Nothing is left to pay; equity had no price yet, so nobody knows what losses it will bear.
_STAY = ("pool: no assets", "equity_auction: no price")


def _simulate_redemption(lockstep: LockstepLike, name: str, owner: str, batch: int) -> int:
    """Return a member's payment for its part of an exit batch [wei], by a dry run.

    Without a cooldown it is the payment for all redeemable shares. Raises PropertyViolationError if the
    member cannot leave.
    """
    with lockstep.fork_state():
        if get_contract(lockstep, name).cooldown:
            return claim_batch(lockstep, name, owner, batch)
        shares = lockstep.view(name, "maxRedeem", owner)
        outcome = attempt_call_and_get_outcome(lockstep, name, "redeem", shares, VISITOR, owner, by=owner)
        if not outcome.ok and outcome.reason not in _STAY:
            raise PropertyViolationError(
                f"{owner} cannot leave {name} with {shares} shares: {outcome.reason!r}"
            )
        return int(outcome.value or 0)


def _call_engine_as_vault_owner(lockstep: LockstepLike, method: str, *args: Any) -> None:
    """Call the vault engine as the vault's owner; raise PropertyViolationError if the call is refused."""
    outcome = attempt_call_and_get_outcome(lockstep, "VaultEngine", method, *args, by=args[1])
    if not outcome.ok:
        raise PropertyViolationError(f"{method}{args} is shut: {outcome.reason!r}")
