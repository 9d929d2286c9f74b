"""The property of the order of losses, of one successful step."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, cast

from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD, RAY, WAD, div_up
from backstop.model.bounds import EQUITY_MARKET
from backstop.model.equity import Equity
from backstop.model.equity_auction import PRICE_UNIT
from backstop.model.ledger import MAX_RATE, MAX_TYPE_DEBT
from backstop.model.listing import ids_of
from backstop.model.roles import STAGE
from backstop.model.stage_caps import ALL_TYPES
from backstop.model.state import ZERO_ADDRESS
from backstop.proof.properties.figures import arithmetic as own
from backstop.proof.properties.figures.prices import time_weighted
from backstop.proof.properties.registry import Violation, transition_property
from backstop.proof.properties.transition import Changes, Transition

NO_CAP = MAX_UINT256
"""The room of a stage without a cap."""


@transition_property(5, calls=["LossWaterfall.cover"])
def stage_order(step: Transition, changes: Changes) -> None:
    """Assert that a stage pays, or reserves, only after each earlier one is dry, at its cap or has failed.

    None pays while an earlier one holds a reservation, nor beyond its own cap. Loss is left over only after
    the last, and never less than what stages have reserved.
    """
    if step.action.method != "cover" or step.action.contract != "LossWaterfall":
        return
    c = step.action.args[0]
    order = step.after("LossWaterfall", "lineup").ids
    # By place, not by id.
    paid: dict[int, int] = {}
    for log in step.outcome.logs:
        if log.event in ("LossCovered", "LossReserved"):
            k, amount = order.index(log.values[2]), log.values[3]
            if k < max(paid, default=0):
                raise Violation(f"stage {k} pays after stage {max(paid)}")
            paid[k] = paid.get(k, 0) + amount
    reserved = sum(_reserved(step, k, c) for k in order)
    left = step.after("VaultEngine", "ledger.deficit", c) - reserved
    if left < 0:
        raise Violation(f"somebody covered {-left} rad of type {c} that a stage has reserved")
    last = len(order) if left else max(paid, default=0)
    failed = {log.values[2] for log in step.outcome.logs if log.event == "StageFailed"}
    hurried = step.before("LossWaterfall", "books").winding_up or _is_naive(step)
    for place, k in enumerate(order):
        terms = step.after("LossWaterfall", "stages", k)
        if hurried and terms.asynchronous:
            continue  # settlement passes it over, and so does the waterfall to compare with
        if terms.asynchronous and step.before("LossWaterfall", "reservations", (c, terms.stage)).amount:
            if max(paid, default=0) > place:
                raise Violation(f"stage {max(paid)} pays while stage {place} holds a reservation")
            return
        held, mine = capacity(step, k, c), paid.get(place, 0)
        # A cap is a share of what a stage says it holds, whether it gets at all of that or not.
        has = held - _kept_back(step, k)
        if mine and room(step, k, c, max(held, _had(step, k, c, mine)), mine) < -_grain(step, k, c):
            raise Violation(f"stage {k} pays {mine} rad, beyond its cap")
        if any(log.event == "LossReserved" and log.values[2] == k for log in step.outcome.logs):
            if max(paid) > place:
                raise Violation(f"stage {max(paid)} pays although stage {place} has just begun")
            return
        later = left + sum(amount for j, amount in paid.items() if j > place)
        keeps, least = has - mine, _grain(step, k, c)
        if (
            place < last
            and k not in failed
            and keeps >= least > 0
            and later >= least
            # Room counts in whole wei, and what is paid of it in grains: each rounds down.
            and room(step, k, c, has, mine) >= RAY + least
        ):
            raise Violation(f"stage {k} keeps {keeps} rad of type {c} while somebody later bears {later}")


def capacity(step: Transition, k: int, c: int) -> int:
    """Return what a stage held for a type before the step, from the tables behind it [rad]."""
    stage = stage_of(step, k)
    if stage.KIND in ("Pool", "LeaveAtOncePool"):
        return own.vested(step.before(stage.label, "funds.assets"), step.model.timestamp) * RAY
    if stage.KIND == "ClawbackStage":
        pools = [step.model.world.addresses[address].label for address in stage.pool_addresses]
        # Where an earlier stage's payment has voided all shares, the rest has gone to the reserve.
        kept = [pool for pool in pools if not _voided(step, pool, k)]
        return (
            sum(own.unvested(step.before(pool, "funds.assets"), step.model.timestamp) for pool in kept) * RAY
        )
    if stage.KIND == "LedgerStage" and stage.account == 0:
        return int(step.before("VaultEngine", "ledger.income", c).buffer)
    if stage.KIND == "LedgerStage" and stage.account == 1:
        return int(step.before("VaultEngine", "ledger.system").reserve)
    if stage.KIND == "LedgerStage":
        # The room before the fee of this step was a little less than it is after it.
        debts = step.before("VaultEngine", "ledger.debts", c)
        ratios = step.after("VaultEngine", "terms.of_types", c)
        if ratios.settling:
            return 0
        borne = step.before("VaultEngine", "ledger.redistributions", c)
        length = step.contract("LossWaterfall").epoch_length
        added = own.shared(borne, step.model.timestamp, length)
        before = debts.accumulated_rate - added
        # The most that a growing debt needs beyond its ratio: all that its brackets ask of more.
        guarded = "RiskPolicy" in step.model.world.contracts
        brackets = step.after("RiskPolicy", "terms", c) if guarded else None
        more = brackets.vault_rate_1 + brackets.vault_rate_2 if brackets else 0
        gap = ratios.initial_ratio - ratios.liquidation_ratio
        most = before * min(Fraction(borne.cap, BASIS_POINTS), Fraction(gap, ratios.liquidation_ratio + more))
        return max(0, int(most) - added) * int(debts.normalized_debt)
    if stage.KIND == "EquityAuction":
        return _capacity_of_equity(step, stage, c)
    return 0  # it claims what it does not have


def _is_naive(step: Transition) -> bool:
    return bool(step.contract("LossWaterfall").KIND != "LossWaterfall")


def _kept_back(step: Transition, k: int) -> int:
    """Return the income that the clawback cannot take: of pools that lack their role, and fail [rad]."""
    stage = stage_of(step, k)
    if stage.KIND != "ClawbackStage":
        return 0
    lacking = [
        step.model.world.addresses[address].label
        for address in stage.pool_addresses
        if not step.before("VaultEngine", "roles.access_control.hasRole", (STAGE, address))
    ]
    kept = [pool for pool in lacking if not _voided(step, pool, k)]
    return sum(own.unvested(step.before(pool, "funds.assets"), step.model.timestamp) for pool in kept) * RAY


def _voided(step: Transition, pool: str, k: int) -> bool:
    """Return whether a pool that is a stage before stage k has become void in this step."""
    order = step.before("LossWaterfall", "lineup").ids
    earlier = {stage_of(step, j).label for j in order[: order.index(k)]}
    before, after = (read(pool, "token.state").generation for read in (step.before, step.after))
    return pool in earlier and before != after


def _had(step: Transition, k: int, c: int, paid: int) -> int:
    """Return what an account of the ledger held when it paid, with what came in during the step [rad].

    Of a stage that only claims: what it claims.
    """
    stage = stage_of(step, k)
    if stage.KIND == "ScriptedStage":
        return int(step.before(stage.label, "claimed_capacity"))
    if stage.KIND != "LedgerStage" or stage.account == 2:
        return 0
    if stage.account == 1:
        return int(step.after("VaultEngine", "ledger.system").reserve) + paid
    return int(step.after("VaultEngine", "ledger.income", c).buffer) + paid


def _capacity_of_equity(step: Transition, stage: Any, c: int) -> int:
    """Return what there was to sell, with what this step has put under auction, at the floor [rad]."""
    if step.before(stage.label, "sales", c).target:
        return 0
    average, now = time_weighted(step, step.after, EQUITY_MARKET), step.model.timestamp
    if stage.source_address == ZERO_ADDRESS:
        issue, equity = step.after("Equity", "issue"), step.model.world.addresses[stage.equity_address]
        minted = issue.minted if issue.epoch == now // cast(Equity, equity).epoch_length else 0
        free = max(0, issue.mint_cap * WAD - minted - issue.booked)
    else:
        free = own.vested(
            step.after(step.model.world.addresses[stage.source_address].label, "funds.assets"), now
        )
    lot = step.after(stage.label, "sales", c).lot
    bottom = div_up(average * stage.floor // BASIS_POINTS, PRICE_UNIT) * PRICE_UNIT
    return int((free + lot) * bottom // RAY * RAY)


def _grain(step: Transition, k: int, c: int) -> int:
    """Return the least loss that is large enough for a stage [rad].

    Redistribution needs a ray for each unit of debt, an auction a whole stablecoin.
    """
    if stage_of(step, k).KIND == "EquityAuction":
        return RAD
    if stage_of(step, k).KIND == "LedgerStage" and stage_of(step, k).account == 2:
        # Near the highest debt, and the highest rate, the fields leave less room than the caps.
        debts = step.after("VaultEngine", "ledger.debts", c)
        if 2 * debts.performing > MAX_TYPE_DEBT or 2 * debts.accumulated_rate > MAX_RATE:
            return MAX_UINT256
        return int(debts.normalized_debt)
    return 1


def _reserved(step: Transition, k: int, c: int) -> int:
    """Return what a stage has reserved of a type's deficit [rad]."""
    stage = step.after("LossWaterfall", "stages", k).stage
    return int(step.after("LossWaterfall", "reservations", (c, stage)).amount)


def stage_of(step: Transition, k: int) -> Any:
    """Return the contract that is stage k."""
    return step.model.world.addresses[step.after("LossWaterfall", "stages", k).stage]


def room(step: Transition, k: int, c: int, held: int, more: int = 0) -> int:
    """Return what the caps leave of a stage's payments before the step, less `more` [rad].

    Under a wei is none. They count what it paid in this bucket of time and the one before, and what it has
    reserved for other types.
    """
    waterfall: Any = step.model.world.contracts["LossWaterfall"]
    terms = step.after("LossWaterfall", "stages", k)
    if step.before("LossWaterfall", "books").winding_up and terms.lifted:
        return NO_CAP
    bucket = step.model.timestamp // waterfall.epoch_length
    loss = step.before("LossWaterfall", "losses", c)
    if loss.gave_up >> k & 1 and not (loss.asked and loss.epoch != bucket):
        return -more
    cap = step.after("LossWaterfall", "caps_absolute", k)
    if terms.cap_bps == BASIS_POINTS and cap == MAX_UINT256:
        return NO_CAP
    paid = step.before("LossWaterfall", "used", (k, ALL_TYPES if terms.pooled else c))
    used = RAY * {bucket: paid.now + paid.before, bucket - 1: paid.now}.get(paid.bucket, 0)
    if terms.pooled and terms.asynchronous:
        types = ids_of(step.before("VaultEngine", "terms.listed"))
        used += sum(step.before("LossWaterfall", "reservations", (i, terms.stage)).amount for i in types)
    if terms.cap_bps != BASIS_POINTS:
        cap = min(cap, (held + used) * terms.cap_bps // BASIS_POINTS)
    return int(cap - used - more)
