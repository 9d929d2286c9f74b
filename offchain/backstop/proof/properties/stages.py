"""The property of the order of losses, of one successful step."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, cast

from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD, RAY, WAD, div_up
from backstop.model.bounds import EQUITY_MARKET
from backstop.model.equity import Equity
from backstop.model.equity_auction import PRICE_UNIT
from backstop.model.ledger import MAX_TYPE_DEBT
from backstop.model.state import ZERO_ADDRESS
from backstop.proof.properties.figures import arithmetic as own
from backstop.proof.properties.figures.prices import time_weighted
from backstop.proof.properties.registry import Violation, transition_property
from backstop.proof.properties.transition import Changes, Transition

BUSY = MAX_UINT256
"""The capacity of a stage whose auction of equity is under way."""


@transition_property(5)
def stage_order(step: Transition, changes: Changes) -> None:
    """Assert that a stage pays, or reserves, only after each earlier one is dry or at its cap.

    None pays beyond its own cap. Loss is left over only after the last, and never less than what stages have
    reserved.
    """
    if step.action.method != "cover" or step.action.contract != "LossWaterfall":
        return
    c = step.action.args[0]
    paid: dict[int, int] = {}
    for log in step.outcome.logs:
        if log.event in ("LossCovered", "LossReserved"):
            k, amount = log.values[2:]
            if k < max(paid, default=0):
                raise Violation(f"stage {k} pays after stage {max(paid)}")
            paid[k] = paid.get(k, 0) + amount
    stages = step.after("LossWaterfall", "counts").stages
    reserved = sum(_reserved(step, k, c) for k in range(stages))
    left = step.after("VaultEngine", "ledger.deficit", c) - reserved
    if left < 0:
        raise Violation(f"somebody covered {-left} rad of type {c} that a stage has reserved")
    last = stages if left else max(paid, default=0)
    settling = step.before("LossWaterfall", "counts").winding_up
    for k in range(stages):
        if settling and step.after("LossWaterfall", "stages", k).asynchronous:
            continue  # settlement passes it over
        has = capacity(step, k, c)
        if has == BUSY:
            if max(paid, default=0) > k:
                raise Violation(f"stage {max(paid)} pays while stage {k} is busy")
            return
        mine = paid.get(k, 0)
        if mine and room(step, k, c, has) < 0:
            raise Violation(f"stage {k} pays {mine} rad, beyond its cap")
        if any(log.event == "LossReserved" and log.values[2] == k for log in step.outcome.logs):
            if max(paid) > k:
                raise Violation(f"stage {max(paid)} pays although stage {k} has just begun")
            return
        later = left + sum(amount for j, amount in paid.items() if j > k)
        keeps, least = has - mine, _grain(step, k, c)
        if (
            k < last
            and keeps >= least > 0
            and later >= least
            # Room counts in whole wei, and what is paid of it in grains: each rounds down.
            and room(step, k, c, has) >= RAY + least
        ):
            raise Violation(f"stage {k} keeps {keeps} rad of type {c} while somebody later bears {later}")


def capacity(step: Transition, k: int, c: int) -> int:
    """Return what a stage held for a type before the step, from the tables behind it [rad]."""
    stage = stage_of(step, k)
    if stage.KIND == "Pool":
        return own.vested(step.before(stage.label, "assets"), step.model.timestamp) * RAY
    if stage.KIND == "ClawbackStage":
        pools = [step.model.world.addresses[address].label for address in stage.pool_addresses]
        return sum(own.unvested(step.before(pool, "assets"), step.model.timestamp) for pool in pools) * RAY
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
        added = borne.added if step.model.timestamp < borne.ends else 0
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
    # It claims what it does not have: only a busy one says something.
    claimed = int(step.before(stage.label, "claimed_capacity"))
    return claimed if claimed == BUSY else 0


def _capacity_of_equity(step: Transition, stage: Any, c: int) -> int:
    """Return what there was to sell, with what this step has put under auction, at the floor [rad]."""
    if step.before(stage.label, "sales", c).target:
        return BUSY
    average, now = time_weighted(step, step.after, EQUITY_MARKET), step.model.timestamp
    if stage.source_address == ZERO_ADDRESS:
        issue, equity = step.after("Equity", "issue"), step.model.world.addresses[stage.equity_address]
        minted = issue.minted if issue.epoch == now // cast(Equity, equity).epoch_length else 0
        free = max(0, issue.mint_cap * WAD - minted - issue.booked)
    else:
        free = own.vested(step.after(step.model.world.addresses[stage.source_address].label, "assets"), now)
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
        debts = step.before("VaultEngine", "ledger.debts", c)
        # Near the highest debt the fields leave less room than the caps.
        return MAX_UINT256 if 2 * debts.performing > MAX_TYPE_DEBT else int(debts.normalized_debt)
    return 1


def _reserved(step: Transition, k: int, c: int) -> int:
    """Return what a stage has reserved of a type's deficit [rad]."""
    stage = step.after("LossWaterfall", "stages", k).stage
    return int(step.after("LossWaterfall", "reservations", (c, stage)).amount)


def stage_of(step: Transition, k: int) -> Any:
    """Return the contract that is stage k."""
    return step.model.world.addresses[step.after("LossWaterfall", "stages", k).stage]


def room(step: Transition, k: int, c: int, held: int) -> int:
    """Return what the caps leave of a stage's payments for the present event [rad]; under 1 wei is none."""
    waterfall: Any = step.model.world.contracts["LossWaterfall"]
    settling = step.before("LossWaterfall", "counts").winding_up
    if settling and step.after("LossWaterfall", "stages", k).lifted:
        return MAX_UINT256
    event = c, step.model.timestamp // waterfall.epoch_length, k
    loss = step.before("LossWaterfall", "losses", c)
    if loss.epoch == event[1] and loss.gave_up >> k & 1:
        return 0
    base = step.after("LossWaterfall", "bases", event)
    share = step.after("LossWaterfall", "stages", k).cap_bps
    cap = step.after("LossWaterfall", "caps_absolute", k)
    if share != BASIS_POINTS:
        cap = min(cap, (base - 1 if base else held) * share // BASIS_POINTS)
    taken = step.after("LossWaterfall", "covered", event) + _reserved(step, k, c)
    return int(cap - taken)
