"""Rules of the margin market: funding against margins, lots, insurance."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.deployment.parameter_dataclasses import (
    CollateralParameters,
    MarginParameters,
    Parameters,
    PerpetualParameters,
)
from backstop.deployment.parameter_rules.parameter_rule import (
    DOUBTFUL,
    LOW_PRICE,
    REFUSED,
    Prices,
    RuleViolation,
    define_parameter_rule,
    format_coins,
    format_percent,
)
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD, div_up

LEAST_LOT_PRICE = 10_000
"""Wei: a price is rounded down to whole wei a lot, which is a basis point at most then."""

Market = tuple[MarginParameters, PerpetualParameters, CollateralParameters]


def iter_margin_market_collateral_triples(parameters: Parameters) -> Iterator[Market]:
    """Yield the margin parameters, each perpetual market, and the collateral type that prices it."""
    if parameters.margin is not None:
        types = {each.symbol: each for each in parameters.collateral_types}
        for market in parameters.margin.markets:
            yield parameters.margin, market, types[market.symbol]


@define_parameter_rule(
    DOUBTFUL,
    "market.max_funding",
    "market.maintenance",
    why="eight hours of the highest funding take less than the maintenance margin",
)
def _iter_funding_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for _, market, _ in iter_margin_market_collateral_triples(parameters):
        if market.max_funding >= market.maintenance:
            values = format_percent(market.max_funding), format_percent(market.maintenance)
            yield RuleViolation(
                market.symbol, values, f"the funding to less than {format_percent(market.maintenance)}"
            )


@define_parameter_rule(
    REFUSED,
    "market.lot",
    "price",
    why="a lot's price is whole wei, and rounding it is a basis point at most, at a hundredth of the "
    "scenario's price or at a hundredth of a coin for a token",
)
def _iter_lot_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for _, market, _ in iter_margin_market_collateral_triples(parameters):
        low = prices[market.symbol] // 100 if market.symbol in prices else LOW_PRICE
        if market.lot * low < LEAST_LOT_PRICE * RAY:
            least = div_up(LEAST_LOT_PRICE * RAY, max(1, low))
            values = f"{market.lot} wei", f"{low / RAY:g}"
            yield RuleViolation(market.symbol, values, f"the lot to {least} wei or more")


@define_parameter_rule(
    DOUBTFUL,
    "margin.income_share",
    "margin.insurance_target",
    "margin.cap",
    "equity",
    why="a share of the surplus that insures the market has a treasury that pays it, a target to fill, "
    "and may be spent",
)
def _iter_insurance_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    margin = parameters.margin
    if margin is None or not margin.income_share:
        return
    equity = parameters.equity
    if equity is None or not margin.insurance_target or not margin.cap:
        values = (
            format_percent(margin.income_share),
            str(margin.insurance_target),
            str(margin.cap),
            "none" if equity is None else "there",
        )
        yield RuleViolation("", values, "the share to 0, or target and cap above it, with equity")


@define_parameter_rule(
    DOUBTFUL,
    "market.open_limit",
    "market.insured",
    "market.initial",
    "margin.cap",
    "price",
    why="if all that may be open has just been opened, the insurance that may be spent in a bucket of time "
    "pays for a jump of twice the initial margin, at the scenario's first price; without a price the rule "
    "is not checked",
)
def _iter_insured_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    # By the market's own condition no more is open than that, whatever the limit says.
    left = [
        (margin, market)
        for margin, market, _ in iter_margin_market_collateral_triples(parameters)
        if market.insured < market.initial and market.symbol in prices
    ]
    # All of them share one insurance.
    lacks = sum(_compute_shortfall_after_price_jump(market, prices) for _, market in left)
    for margin, market in left:
        if lacks > margin.cap * WAD:
            values = (
                f"{market.open_limit} lots",
                format_percent(market.insured),
                format_percent(market.initial),
                format_coins(margin.cap),
                f"{prices[market.symbol] / RAY:g}",
            )
            least = max(1, market.open_limit * margin.cap * WAD // lacks)
            yield RuleViolation(
                market.symbol,
                values,
                f"`insured` to {format_percent(market.initial)}, or the limit to {least} lots or less",
            )


def _compute_shortfall_after_price_jump(market_parameters: PerpetualParameters, prices: Prices) -> int:
    """Return the uninsured shortfall of all lots that may be open after a price jump [wei]."""
    notional = market_parameters.open_limit * (
        prices[market_parameters.symbol] * market_parameters.lot // RAY
    )
    return div_up(notional * market_parameters.initial, BASIS_POINTS)


RULES = (_iter_funding_violations, _iter_lot_violations, _iter_insurance_violations, _iter_insured_violations)
