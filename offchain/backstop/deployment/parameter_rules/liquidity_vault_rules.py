"""Rules of the pool that takes over positions in the margin market: its quotes, its risk, its rests."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.deployment.parameter_dataclasses import BackstopParameters, MarginParameters, Parameters
from backstop.deployment.parameter_rules.margin_rules import iter_margin_market_collateral_triples
from backstop.deployment.parameter_rules.parameter_rule import (
    DOUBTFUL,
    REFUSED,
    Prices,
    RuleViolation,
    define_parameter_rule,
    format_duration_in_one_unit,
    format_percent,
)
from backstop.model.arithmetic import BASIS_POINTS

_LONGEST_WINDOWS = 8
"""Windows that pass at most until what happens now is final: four in the open cycle, four pending."""


@define_parameter_rule(
    REFUSED,
    "backstop.spread",
    "margin.band",
    why="the pool's positions can be sold: a price that it signs lies within the band around the mark",
)
def _iter_quotes_in_the_band_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for pool, margin in _iter_liquidity_vault_and_market_terms(parameters):
        if pool.spread >= margin.band:
            values = format_percent(pool.spread), format_percent(margin.band)
            instead = (
                f"the spread under {format_percent(margin.band)}" if margin.band else "the band above 0%"
            )
            yield RuleViolation("", values, instead)


@define_parameter_rule(
    DOUBTFUL,
    "backstop.spread",
    "margin.maker_fee",
    why="the pool sells at the mark or better: the proceeds above the mark pay the fee of its order",
)
def _iter_spread_and_fee_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for pool, margin in _iter_liquidity_vault_and_market_terms(parameters):
        if pool.spread < margin.maker_fee:
            values = format_percent(pool.spread), format_percent(margin.maker_fee)
            yield RuleViolation("", values, f"the spread to {format_percent(margin.maker_fee)} or more")


@define_parameter_rule(
    DOUBTFUL,
    "backstop.leverage",
    "market.initial",
    why="the pool's own bound counts: the trading contract's initial margin would stop it before",
)
def _iter_leverage_and_margin_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for margin, market, _ in iter_margin_market_collateral_triples(parameters):
        pool = margin.backstop
        if pool is not None and pool.leverage * market.initial > BASIS_POINTS * BASIS_POINTS:
            values = format_percent(pool.leverage), format_percent(market.initial)
            most = BASIS_POINTS * BASIS_POINTS // market.initial
            yield RuleViolation(market.symbol, values, f"the leverage to {format_percent(most)} or less")


@define_parameter_rule(
    DOUBTFUL,
    "backstop.notice",
    "margin.window",
    why="a pool at work comes to rest before it has to stop for withdrawals: its gains are final after an "
    "open and a pending cycle of up to four windows each",
)
def _iter_notice_and_cycles_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for pool, margin in _iter_liquidity_vault_and_market_terms(parameters):
        longest = _LONGEST_WINDOWS * margin.window
        if pool.notice < longest:
            values = format_duration_in_one_unit(pool.notice), format_duration_in_one_unit(margin.window)
            yield RuleViolation("", values, f"the notice to {format_duration_in_one_unit(longest)} or more")


def _iter_liquidity_vault_and_market_terms(
    parameters: Parameters,
) -> Iterator[tuple[BackstopParameters, MarginParameters]]:
    """Yield the parameters of the perpetual liquidity vault and its markets, if there are any."""
    margin = parameters.margin
    if margin is not None and margin.backstop is not None:
        yield margin.backstop, margin


RULES = (
    _iter_quotes_in_the_band_violations,
    _iter_spread_and_fee_violations,
    _iter_leverage_and_margin_violations,
    _iter_notice_and_cycles_violations,
)
