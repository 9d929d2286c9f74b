"""The property of the order of losses, of one successful step."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, cast

from backstop.contract_base import ZERO_ADDRESS
from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD, RAY, WAD, div_up
from backstop.model.bounds import EQUITY_MARKET
from backstop.model.equity import Equity
from backstop.model.equity_auction import PRICE_UNIT
from backstop.model.ledger import MAX_RATE, MAX_TYPE_DEBT
from backstop.model.listed_types import decode_listed_types
from backstop.model.roles import STAGE
from backstop.model.stage_caps import ALL_TYPES
from backstop.proof.properties.independent_arithmetic import property_arithmetic as own
from backstop.proof.properties.independent_arithmetic.price_figures import compute_time_weighted_price
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property

NO_CAP = MAX_UINT256
"""The room of a stage without a cap."""


@transition_property(5, calls=["LossWaterfall.cover"])
def stages_pay_in_order(step: Transition, changes: Changes) -> None:
    """Check that waterfall stages pay for a loss in their order (property 5).

    A stage pays or reserves only after each earlier stage is empty, at its cap or failed. No stage pays above
    its cap, or while an earlier stage holds a reservation. A loss stays uncovered only after the last stage,
    and never less than the reserved amount. Raises PropertyViolationError otherwise.
    """
    if step.action.method != "cover" or step.action.contract != "LossWaterfall":
        return
    c = step.action.args[0]
    order = step.read_post_state("LossWaterfall", "lineup").ids
    # By place, not by id.
    paid: dict[int, int] = {}
    for log in step.outcome.logs:
        if log.event in ("LossCovered", "LossReserved"):
            k, amount = order.index(log.values[2]), log.values[3]
            if k < max(paid, default=0):
                raise PropertyViolationError(f"stage {k} pays after stage {max(paid)}")
            paid[k] = paid.get(k, 0) + amount
    reserved = sum(_read_reserved_amount(step, k, c) for k in order)
    left = step.read_post_state("VaultEngine", "ledger.deficit", c) - reserved
    if left < 0:
        raise PropertyViolationError(f"somebody covered {-left} rad of type {c} that a stage has reserved")
    last = len(order) if left else max(paid, default=0)
    failed = {log.values[2] for log in step.outcome.logs if log.event == "StageFailed"}
    hurried = step.read_pre_state("LossWaterfall", "books").winding_up or _is_comparison_waterfall(step)
    for place, k in enumerate(order):
        terms = step.read_post_state("LossWaterfall", "stages", k)
        if hurried and terms.asynchronous:
            continue  # settlement passes it over, and so does the waterfall to compare with
        if (
            terms.asynchronous
            and step.read_pre_state("LossWaterfall", "reservations", (c, terms.stage)).amount
        ):
            if max(paid, default=0) > place:
                raise PropertyViolationError(
                    f"stage {max(paid)} pays while stage {place} holds a reservation"
                )
            return
        held, mine = compute_capacity(step, k, c), paid.get(place, 0)
        # A cap is a share of what a stage says it holds, whether it gets at all of that or not.
        has = held - _compute_unclawable_income(step, k)
        if mine and compute_cap_room(
            step, k, c, max(held, _compute_ledger_amount_before_payment(step, k, c, mine)), mine
        ) < -_compute_smallest_loss_stage_can_pay(step, k, c):
            raise PropertyViolationError(f"stage {k} pays {mine} rad, beyond its cap")
        if any(log.event == "LossReserved" and log.values[2] == k for log in step.outcome.logs):
            if max(paid) > place:
                raise PropertyViolationError(f"stage {max(paid)} pays although stage {place} has just begun")
            return
        later = left + sum(amount for j, amount in paid.items() if j > place)
        keeps, least = has - mine, _compute_smallest_loss_stage_can_pay(step, k, c)
        if (
            place < last
            and k not in failed
            and keeps >= least > 0
            and later >= least
            # Room counts in whole wei, and what is paid of it in grains: each rounds down.
            and compute_cap_room(step, k, c, has, mine) >= RAY + least
        ):
            raise PropertyViolationError(
                f"stage {k} keeps {keeps} rad of type {c} while somebody later bears {later}"
            )


def compute_capacity(step: Transition, stage_id: int, collateral_type: int) -> int:
    """Return the amount that a stage held for a collateral type before the step [rad].

    It is computed from the tables of the stage's contract. It is 0 for a scripted test stage.
    """
    stage = get_stage_contract_model(step, stage_id)
    if stage.KIND in ("Pool", "InstantExitPool"):
        return (
            own.compute_vested_assets(step.read_pre_state(stage.label, "funds.assets"), step.model.timestamp)
            * RAY
        )
    if stage.KIND == "ClawbackStage":
        pools = [step.model.world.addresses[address].label for address in stage.pool_addresses]
        # Where an earlier stage's payment has voided all shares, the rest has gone to the reserve.
        kept = [pool for pool in pools if not _has_earlier_pool_become_void(step, pool, stage_id)]
        return (
            sum(
                own.compute_unvested_income(step.read_pre_state(pool, "funds.assets"), step.model.timestamp)
                for pool in kept
            )
            * RAY
        )
    if stage.KIND == "LedgerStage" and stage.account == 0:
        return int(step.read_pre_state("VaultEngine", "ledger.income", collateral_type).buffer)
    if stage.KIND == "LedgerStage" and stage.account == 1:
        return int(step.read_pre_state("VaultEngine", "ledger.system").reserve)
    if stage.KIND == "LedgerStage":
        # The room before the fee of this step was a little less than it is after it.
        debts = step.read_pre_state("VaultEngine", "ledger.debts", collateral_type)
        ratios = step.read_post_state("VaultEngine", "terms.of_types", collateral_type)
        if ratios.settling:
            return 0
        borne = step.read_pre_state("VaultEngine", "ledger.redistributions", collateral_type)
        length = step.get_contract("LossWaterfall").epoch_length
        added = own.compute_recent_losses(borne, step.model.timestamp, length)
        before = debts.accumulated_rate - added
        # The most that a growing debt needs beyond its ratio: all that its brackets ask of more.
        guarded = "RiskPolicy" in step.model.world.contracts
        brackets = step.read_post_state("RiskPolicy", "terms", collateral_type) if guarded else None
        more = brackets.vault_rate_1 + brackets.vault_rate_2 if brackets else 0
        gap = ratios.initial_ratio - ratios.liquidation_ratio
        most = before * min(Fraction(borne.cap, BASIS_POINTS), Fraction(gap, ratios.liquidation_ratio + more))
        return max(0, int(most) - added) * int(debts.normalized_debt)
    if stage.KIND == "EquityAuction":
        return _compute_equity_capacity(step, stage, collateral_type)
    return 0  # it claims what it does not have


def _is_comparison_waterfall(step: Transition) -> bool:
    return bool(step.get_contract("LossWaterfall").KIND != "LossWaterfall")


def _compute_unclawable_income(step: Transition, stage_id: int) -> int:
    """Return the unvested income that the clawback stage cannot take [rad].

    That is the income of pools that lack the STAGE role. It is 0 for other stages.
    """
    stage = get_stage_contract_model(step, stage_id)
    if stage.KIND != "ClawbackStage":
        return 0
    lacking = [
        step.model.world.addresses[address].label
        for address in stage.pool_addresses
        if not step.read_pre_state("VaultEngine", "roles.access_control.hasRole", (STAGE, address))
    ]
    kept = [pool for pool in lacking if not _has_earlier_pool_become_void(step, pool, stage_id)]
    return (
        sum(
            own.compute_unvested_income(step.read_pre_state(pool, "funds.assets"), step.model.timestamp)
            for pool in kept
        )
        * RAY
    )


def _has_earlier_pool_become_void(step: Transition, pool: str, stage_id: int) -> bool:
    """Return whether the pool is an earlier stage and all its shares became void in this step."""
    order = step.read_pre_state("LossWaterfall", "lineup").ids
    earlier = {get_stage_contract_model(step, j).label for j in order[: order.index(stage_id)]}
    before, after = (
        read(pool, "token.state").generation for read in (step.read_pre_state, step.read_post_state)
    )
    return pool in earlier and before != after


def _compute_ledger_amount_before_payment(
    step: Transition, stage_id: int, collateral_type: int, paid_amount: int
) -> int:
    """Return the balance of the stage's ledger account directly before its payment [rad].

    It contains income of the same step. For a scripted test stage it is the claimed capacity. For other kinds
    of stage it is 0.
    """
    stage = get_stage_contract_model(step, stage_id)
    if stage.KIND == "ScriptedStage":
        return int(step.read_pre_state(stage.label, "claimed_capacity"))
    if stage.KIND != "LedgerStage" or stage.account == 2:
        return 0
    if stage.account == 1:
        return int(step.read_post_state("VaultEngine", "ledger.system").reserve) + paid_amount
    return int(step.read_post_state("VaultEngine", "ledger.income", collateral_type).buffer) + paid_amount


def _compute_equity_capacity(step: Transition, stage: Any, collateral_type: int) -> int:
    """Return the stablecoin that a stage's available equity raises at the floor price [rad].

    Equity put up for auction in this step counts. The result is 0 if an auction was running before.
    """
    if step.read_pre_state(stage.label, "sales", collateral_type).target:
        return 0
    average, now = (
        compute_time_weighted_price(step, step.read_post_state, EQUITY_MARKET),
        step.model.timestamp,
    )
    if stage.source_address == ZERO_ADDRESS:
        issue, equity = (
            step.read_post_state("Equity", "issue"),
            step.model.world.addresses[stage.equity_address],
        )
        minted = issue.minted if issue.epoch == now // cast(Equity, equity).epoch_length else 0
        free = max(0, issue.mint_cap * WAD - minted - issue.booked)
    else:
        free = own.compute_vested_assets(
            step.read_post_state(step.model.world.addresses[stage.source_address].label, "funds.assets"), now
        )
    lot = step.read_post_state(stage.label, "sales", collateral_type).lot
    bottom = div_up(average * stage.floor // BASIS_POINTS, PRICE_UNIT) * PRICE_UNIT
    return int((free + lot) * bottom // RAY * RAY)


def _compute_smallest_loss_stage_can_pay(step: Transition, stage_id: int, collateral_type: int) -> int:
    """Return the smallest loss that a stage can pay for [rad].

    Redistribution needs a ray for each unit of debt, an equity auction one whole stablecoin. Other stages
    need 1 rad.
    """
    if get_stage_contract_model(step, stage_id).KIND == "EquityAuction":
        return RAD
    if (
        get_stage_contract_model(step, stage_id).KIND == "LedgerStage"
        and get_stage_contract_model(step, stage_id).account == 2
    ):
        # Near the highest debt, and the highest rate, the fields leave less room than the caps.
        debts = step.read_post_state("VaultEngine", "ledger.debts", collateral_type)
        if 2 * debts.performing > MAX_TYPE_DEBT or 2 * debts.accumulated_rate > MAX_RATE:
            return MAX_UINT256
        return int(debts.normalized_debt)
    return 1


def _read_reserved_amount(step: Transition, stage_id: int, collateral_type: int) -> int:
    """Return the part of a type's deficit that a stage has reserved after the step [rad]."""
    stage = step.read_post_state("LossWaterfall", "stages", stage_id).stage
    return int(step.read_post_state("LossWaterfall", "reservations", (collateral_type, stage)).amount)


def get_stage_contract_model(step: Transition, stage_id: int) -> Any:
    """Return the model of the contract that a waterfall stage calls."""
    return step.model.world.addresses[step.read_post_state("LossWaterfall", "stages", stage_id).stage]


def compute_cap_room(step: Transition, stage_id: int, collateral_type: int, held: int, more: int = 0) -> int:
    """Return the room that a stage's caps leave before the step, less `more` [rad].

    `held` is the stage's balance, of which the relative cap is a share. The caps count payments in this and
    the previous epoch. A stage for all types also counts its reservations. The result is NO_CAP without a
    cap.
    """
    waterfall: Any = step.model.world.contracts["LossWaterfall"]
    terms = step.read_post_state("LossWaterfall", "stages", stage_id)
    if step.read_pre_state("LossWaterfall", "books").winding_up and terms.lifted:
        return NO_CAP
    bucket = step.model.timestamp // waterfall.epoch_length
    loss = step.read_pre_state("LossWaterfall", "losses", collateral_type)
    if loss.gave_up >> stage_id & 1 and not (loss.asked and loss.epoch != bucket):
        return -more
    cap = step.read_post_state("LossWaterfall", "caps_absolute", stage_id)
    if terms.cap_bps == BASIS_POINTS and cap == MAX_UINT256:
        return NO_CAP
    paid = step.read_pre_state(
        "LossWaterfall", "used", (stage_id, ALL_TYPES if terms.pooled else collateral_type)
    )
    used = RAY * {bucket: paid.now + paid.before, bucket - 1: paid.now}.get(paid.bucket, 0)
    if terms.pooled and terms.asynchronous:
        types = decode_listed_types(step.read_pre_state("VaultEngine", "terms.listed"))
        used += sum(
            step.read_pre_state("LossWaterfall", "reservations", (i, terms.stage)).amount for i in types
        )
    if terms.cap_bps != BASIS_POINTS:
        cap = min(cap, (held + used) * terms.cap_bps // BASIS_POINTS)
    return int(cap - used - more)
