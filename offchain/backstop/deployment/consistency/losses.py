"""Rules of who bears a loss: the waterfall's epochs, stages and auctions, pools, and settlement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backstop.deployment.consistency.rule import DOUBTFUL, REFUSED, Misfit, Prices, percent, rule, time
from backstop.deployment.contracts import NAIVE, POOLS, pools_of
from backstop.deployment.parameters import Parameters, StageParameters
from backstop.model.arithmetic import BASIS_POINTS, div_up
from backstop.model.bounds import FALL, LOOK
from backstop.model.redeem_queue import collecting_time

EQUITY_STAGES = ("staked_equity", "minted_equity")
"""Stages that sell first and pay later."""


def waiting(stages: Sequence[StageParameters]) -> int:
    """Return how many of some stages sell first and pay later."""
    return sum(stage.name in EQUITY_STAGES for stage in stages)


def pools(parameters: Parameters) -> Iterator[str]:
    """Yield the names of pools that bear losses."""
    return (name for name in POOLS if parameters.has_stage(name))


@rule(
    REFUSED,
    "settlement.epochs",
    "epoch_length",
    "equity.duration",
    why="nobody ends the protocol for a loss that is still being paid: so many whole epochs are what the "
    "stages have",
)
def _settlement_epochs(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    stages, settlement = waiting(parameters.stages), parameters.settlement
    duration = 0 if parameters.equity is None else parameters.equity.duration
    needed = stages * duration // parameters.epoch_length + 1
    if settlement.epochs < needed:
        values = str(settlement.epochs), time(parameters.epoch_length), time(duration) if duration else "none"
        yield Misfit("", values, f"the epochs to {needed} or more")


@rule(
    DOUBTFUL,
    "settlement.delay",
    "pool.cooldown",
    why="whoever reads that settlement is announced can leave before it begins",
)
def _settlement_delay(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    for name in pools(parameters):
        cooldown = getattr(parameters, name).cooldown
        if parameters.settlement.delay <= cooldown:
            values = time(parameters.settlement.delay), time(cooldown)
            yield Misfit(name, values, f"the delay to more than {time(cooldown)}")


@rule(
    DOUBTFUL,
    "pool.cooldown",
    "feed.step",
    why="nobody leaves a pool between a fall of the market and the price that lets it be flagged, which "
    "counts up to two steps later",
)
def _cooldown(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    slowest = max(each.feed.step for each in parameters.collateral_types)
    for name in pools(parameters):
        pool = getattr(parameters, name)
        if pool.cooldown < 2 * slowest:
            values = time(pool.cooldown), time(slowest)
            yield Misfit(name, values, f"the cooldown to {time(2 * slowest)} or more")


@rule(
    DOUBTFUL,
    "liquidation_ratio",
    "pool.cooldown",
    why="a vault that was safe before a fall of the price that no payment waits for still covers its debt: "
    "otherwise who is paid together with that price leaves its loss to the others",
)
def _small_fall(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    least = div_up(BASIS_POINTS * BASIS_POINTS, BASIS_POINTS - FALL)
    cooldowns = [cooldown for name in pools(parameters) if (cooldown := getattr(parameters, name).cooldown)]
    for each in parameters.collateral_types if cooldowns else ():
        if each.liquidation_ratio < least:
            values = percent(each.liquidation_ratio), time(min(cooldowns))
            yield Misfit(each.symbol, values, f"the ratio to {percent(least)} or more")


@rule(
    DOUBTFUL,
    "feed.stale_after",
    "pool.cooldown",
    why="a price by which vaults can be flagged lasts for as long as payments wait for it: a stale one flags "
    "nobody",
)
def _time_to_flag(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    cooldowns = [cooldown for name in pools(parameters) if (cooldown := getattr(parameters, name).cooldown)]
    for each in parameters.collateral_types if cooldowns else ():
        if each.feed.stale_after < LOOK:
            values = time(each.feed.stale_after), time(min(cooldowns))
            yield Misfit(each.symbol, values, f"stale_after to {time(LOOK)} or more")


@rule(
    DOUBTFUL,
    "cap_delay",
    "pool.cooldown",
    why="members have a day to notice new caps and still leave before these count",
)
def _cap_delay(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    for name in pools(parameters):
        cooldown = getattr(parameters, name).cooldown
        least = cooldown + collecting_time(cooldown) + LOOK + 86_400
        if parameters.cap_delay < least:
            values = time(parameters.cap_delay), time(least - 86_400)
            yield Misfit(name, values, f"the delay to {time(least)} or more")


@rule(
    DOUBTFUL,
    "pool.vesting",
    "pool.cooldown",
    why="income vests no faster than members leave, so that nobody comes for it and goes",
)
def _vesting(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    for name in pools(parameters):
        pool = getattr(parameters, name)
        if pool.vesting < pool.cooldown:
            values = time(pool.vesting), time(pool.cooldown)
            yield Misfit(name, values, f"the vesting to {time(pool.cooldown)} or more")


@rule(
    DOUBTFUL,
    "stage.cap_bps",
    "stage.cap_absolute",
    why="a stage in the order of losses can pay something",
)
def _stage_cap(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    for stage in parameters.stages:
        if stage.cap_bps == 0 or stage.cap_absolute == 0:
            absolute = "none" if stage.cap_absolute is None else "0" if stage.cap_absolute == 0 else "some"
            yield Misfit(stage.name, (percent(stage.cap_bps), absolute), "both above 0, or leave it out")


@rule(
    DOUBTFUL,
    "equity.mint_cap",
    "stage",
    why="a stage that mints equity may mint some",
)
def _mint_cap(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    equity = parameters.equity
    if equity is not None and equity.mint_cap == 0 and parameters.has_stage("minted_equity"):
        yield Misfit("", ("0", "minted_equity"), "the cap above 0, or leave the stage out")


_HIGHEST_FLOOR = 9_000
"""Equity is not expected to sell on bad news above this part of its average price [basis points]."""


@rule(
    DOUBTFUL,
    "equity.floor",
    why="equity is sold although its price falls on the news: its auctions go a tenth lower at least",
)
def _equity_floor(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    equity = parameters.equity
    if equity is None or not any(parameters.has_stage(name) for name in EQUITY_STAGES):
        return
    if equity.floor > _HIGHEST_FLOOR:
        yield Misfit("", (percent(equity.floor),), f"the floor to {percent(_HIGHEST_FLOOR)} or less")


@rule(
    REFUSED,
    "contract",
    why="nobody leaves a known loss to those who stay, and caps hold over any window of time: contracts with "
    "naive rules are there to be compared with",
)
def _naive_contract(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    chosen = {name: getattr(parameters, name).contract for name in pools_of(parameters)}
    for name, contract in (chosen | {"waterfall": parameters.waterfall_contract}).items():
        if contract in NAIVE:
            yield Misfit(name, (contract,), f"it to {NAIVE[contract]}")


RULES = (
    _settlement_epochs,
    _settlement_delay,
    _cooldown,
    _small_fall,
    _time_to_flag,
    _cap_delay,
    _vesting,
    _stage_cap,
    _mint_cap,
    _equity_floor,
    _naive_contract,
)
