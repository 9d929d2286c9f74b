"""Rules of loss absorption: the waterfall's epochs, stages and auctions, pools, and settlement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backstop.deployment.contracts_by_parameter_name import NAIVE, POOLS, list_pools
from backstop.deployment.parameter_dataclasses import Parameters, StageParameters
from backstop.deployment.parameter_rules.parameter_rule import (
    DOUBTFUL,
    REFUSED,
    Prices,
    RuleViolation,
    define_parameter_rule,
    format_duration_in_one_unit,
    format_percent,
)
from backstop.model.arithmetic import BASIS_POINTS, div_up
from backstop.model.bounds import FALL, LOOK
from backstop.model.redeem_queue import get_collecting_time

EQUITY_STAGES = ("staked_equity", "minted_equity")
"""Stages that sell first and pay later."""


def count_asynchronous_stages(stages: Sequence[StageParameters]) -> int:
    """Return the number of stages that must sell equity before they can pay."""
    return sum(stage.name in EQUITY_STAGES for stage in stages)


def iter_loss_pool_names(parameters: Parameters) -> Iterator[str]:
    """Yield the parameter names of the pools that absorb losses."""
    return (name for name in POOLS if parameters.has_stage(name))


@define_parameter_rule(
    REFUSED,
    "settlement.epochs",
    "epoch_length",
    "equity.duration",
    why="settlement cannot begin for a loss that stages are still paying: the stages have so many whole "
    "epochs",
)
def _iter_settlement_epochs_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    stages, settlement = count_asynchronous_stages(parameters.stages), parameters.settlement
    duration = 0 if parameters.equity is None else parameters.equity.duration
    needed = stages * duration // parameters.epoch_length + 1
    if settlement.epochs < needed:
        values = (
            str(settlement.epochs),
            format_duration_in_one_unit(parameters.epoch_length),
            format_duration_in_one_unit(duration) if duration else "none",
        )
        yield RuleViolation("", values, f"the epochs to {needed} or more")


@define_parameter_rule(
    DOUBTFUL,
    "settlement.delay",
    "pool.cooldown",
    why="a depositor that reads the announcement of settlement can withdraw before settlement begins",
)
def _iter_settlement_delay_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for name in iter_loss_pool_names(parameters):
        cooldown = getattr(parameters, name).cooldown
        if parameters.settlement.delay <= cooldown:
            values = (
                format_duration_in_one_unit(parameters.settlement.delay),
                format_duration_in_one_unit(cooldown),
            )
            yield RuleViolation(
                name, values, f"the delay to more than {format_duration_in_one_unit(cooldown)}"
            )


@define_parameter_rule(
    DOUBTFUL,
    "pool.cooldown",
    "feed.step",
    why="no member leaves a pool between a price drop in the market and the price that allows the debt to "
    "be flagged, which counts up to two steps later",
)
def _iter_cooldown_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    slowest = max((each.feed.step for each in parameters.collateral_types), default=0)
    for name in iter_loss_pool_names(parameters):
        pool = getattr(parameters, name)
        if pool.cooldown < 2 * slowest:
            values = format_duration_in_one_unit(pool.cooldown), format_duration_in_one_unit(slowest)
            yield RuleViolation(
                name, values, f"the cooldown to {format_duration_in_one_unit(2 * slowest)} or more"
            )


@define_parameter_rule(
    DOUBTFUL,
    "liquidation_ratio",
    "pool.cooldown",
    why="a vault that was safe before a price drop too small to delay payments still covers its debt: "
    "otherwise a member that is paid together with that price leaves its loss to the others",
)
def _iter_small_fall_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    least = div_up(BASIS_POINTS * BASIS_POINTS, BASIS_POINTS - FALL)
    cooldowns = [
        cooldown
        for name in iter_loss_pool_names(parameters)
        if (cooldown := getattr(parameters, name).cooldown)
    ]
    for each in parameters.collateral_types if cooldowns else ():
        if each.liquidation_ratio < least:
            values = format_percent(each.liquidation_ratio), format_duration_in_one_unit(min(cooldowns))
            yield RuleViolation(each.symbol, values, f"the ratio to {format_percent(least)} or more")


@define_parameter_rule(
    DOUBTFUL,
    "feed.stale_after",
    "pool.cooldown",
    why="a price by which vaults can be flagged lasts for as long as payments wait for it: a stale one "
    "flags no vault",
)
def _iter_time_to_flag_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    cooldowns = [
        cooldown
        for name in iter_loss_pool_names(parameters)
        if (cooldown := getattr(parameters, name).cooldown)
    ]
    for each in parameters.collateral_types if cooldowns else ():
        if each.feed.stale_after < LOOK:
            values = (
                format_duration_in_one_unit(each.feed.stale_after),
                format_duration_in_one_unit(min(cooldowns)),
            )
            yield RuleViolation(
                each.symbol, values, f"stale_after to {format_duration_in_one_unit(LOOK)} or more"
            )


@define_parameter_rule(
    DOUBTFUL,
    "cap_delay",
    "pool.cooldown",
    why="members have a day to notice new caps and still leave before these count",
)
def _iter_cap_delay_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for name in iter_loss_pool_names(parameters):
        cooldown = getattr(parameters, name).cooldown
        least = cooldown + get_collecting_time(cooldown) + LOOK + 86_400
        if parameters.cap_delay < least:
            values = (
                format_duration_in_one_unit(parameters.cap_delay),
                format_duration_in_one_unit(least - 86_400),
            )
            yield RuleViolation(name, values, f"the delay to {format_duration_in_one_unit(least)} or more")


@define_parameter_rule(
    DOUBTFUL,
    "pool.vesting",
    "pool.cooldown",
    why="income vests no faster than members leave, so that no account can deposit for the income alone",
)
def _iter_vesting_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for name in iter_loss_pool_names(parameters):
        pool = getattr(parameters, name)
        if pool.vesting < pool.cooldown:
            values = format_duration_in_one_unit(pool.vesting), format_duration_in_one_unit(pool.cooldown)
            yield RuleViolation(
                name, values, f"the vesting to {format_duration_in_one_unit(pool.cooldown)} or more"
            )


@define_parameter_rule(
    DOUBTFUL,
    "stage.cap_bps",
    "stage.cap_absolute",
    why="a stage in the order of losses can pay something",
)
def _iter_stage_cap_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for stage in parameters.stages:
        if stage.cap_bps == 0 or stage.cap_absolute == 0:
            absolute = "none" if stage.cap_absolute is None else "0" if stage.cap_absolute == 0 else "some"
            yield RuleViolation(
                stage.name, (format_percent(stage.cap_bps), absolute), "both above 0, or leave it out"
            )


@define_parameter_rule(
    DOUBTFUL,
    "equity.mint_cap",
    "stage",
    why="a stage that mints equity may mint some",
)
def _iter_mint_cap_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    equity = parameters.equity
    if equity is not None and equity.mint_cap == 0 and parameters.has_stage("minted_equity"):
        yield RuleViolation("", ("0", "minted_equity"), "the cap above 0, or leave the stage out")


_HIGHEST_FLOOR = 9_000
"""Equity is not expected to sell on bad news above this part of its average price [basis points]."""


@define_parameter_rule(
    DOUBTFUL,
    "equity.floor",
    why="equity is sold although its price falls on the news: its auctions go a tenth lower at least",
)
def _iter_equity_floor_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    equity = parameters.equity
    if equity is None or not any(parameters.has_stage(name) for name in EQUITY_STAGES):
        return
    if equity.floor > _HIGHEST_FLOOR:
        yield RuleViolation(
            "", (format_percent(equity.floor),), f"the floor to {format_percent(_HIGHEST_FLOOR)} or less"
        )


@define_parameter_rule(
    REFUSED,
    "contract",
    why="no withdrawal leaves a known loss to the remaining members, caps hold over any window of time, no "
    "sale leaves a vault with less collateral for each unit of debt, and members pay no more than their "
    "collateral is worth: contracts with naive rules exist for comparison only",
)
def _iter_naive_contract_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    chosen = {name: getattr(parameters, name).contract for name in list_pools(parameters)}
    chosen["waterfall"] = parameters.waterfall_contract
    if parameters.has_discount:
        chosen["discount"] = parameters.discount_contract
    if parameters.has_stability_pool:
        chosen["stability pool"] = parameters.stability_pool_contract
    for name, contract in chosen.items():
        if contract in NAIVE:
            yield RuleViolation(name, (contract,), f"it to {NAIVE[contract]}")


RULES = (
    _iter_settlement_epochs_violations,
    _iter_settlement_delay_violations,
    _iter_cooldown_violations,
    _iter_small_fall_violations,
    _iter_time_to_flag_violations,
    _iter_cap_delay_violations,
    _iter_vesting_violations,
    _iter_stage_cap_violations,
    _iter_mint_cap_violations,
    _iter_equity_floor_violations,
    _iter_naive_contract_violations,
)
