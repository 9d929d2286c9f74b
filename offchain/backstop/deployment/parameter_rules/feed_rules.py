"""Rules of the price feed: reporters and quorum, and the times of a market."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.deployment.parameter_dataclasses import FeedParameters, Parameters
from backstop.deployment.parameter_rules.parameter_rule import (
    DOUBTFUL,
    REFUSED,
    Prices,
    RuleViolation,
    define_parameter_rule,
    format_duration_in_one_unit,
    format_percent,
)
from backstop.model.price_feed import compute_minority_proof_quorum


def iter_collateral_and_equity_feeds(parameters: Parameters) -> Iterator[tuple[str, FeedParameters]]:
    """Yield name and price feed parameters of each collateral type, and of equity if there is any."""
    for each in parameters.collateral_types:
        yield each.symbol, each.feed
    if parameters.equity is not None:
        yield "equity", parameters.equity.feed


@define_parameter_rule(
    REFUSED,
    "feed.quorum",
    "feed.reporters",
    why="no minority of the reporters sets a price, however many of the others are silent: the largest is "
    "less than half of any quorum",
)
def _iter_quorum_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for place, feed in iter_collateral_and_equity_feeds(parameters):
        if feed.quorum < compute_minority_proof_quorum(feed.reporters):
            values = str(feed.quorum), str(feed.reporters)
            yield RuleViolation(
                place, values, f"the quorum to {compute_minority_proof_quorum(feed.reporters)} or more"
            )


@define_parameter_rule(
    DOUBTFUL,
    "feed.quorum",
    "feed.reporters",
    "feed.dead_after",
    why="one silent reporter does not stop a market",
)
def _iter_silent_reporter_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for place, feed in iter_collateral_and_equity_feeds(parameters):
        if feed.quorum >= feed.reporters:
            dead = format_duration_in_one_unit(feed.dead_after) if feed.dead_after else "never"
            values = str(feed.quorum), str(feed.reporters), dead
            even = feed.reporters + feed.reporters % 2
            yield RuleViolation(place, values, f"the reporters to {even} and the quorum to {even - 1}")


@define_parameter_rule(
    REFUSED,
    "feed.stale_after",
    "feed.step",
    why="a price is not stale before it can be stepped, and not while its poke is one step late: after a "
    "gap the next price counts at once, without the step in which it is announced",
)
def _iter_stale_after_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for place, feed in iter_collateral_and_equity_feeds(parameters):
        if feed.stale_after < 2 * feed.step:
            values = format_duration_in_one_unit(feed.stale_after), format_duration_in_one_unit(feed.step)
            yield RuleViolation(
                place, values, f"stale_after to {format_duration_in_one_unit(2 * feed.step)} or more"
            )


@define_parameter_rule(
    DOUBTFUL,
    "feed.max_age",
    "feed.step",
    why="a reporter that reports once a step is in every median",
)
def _iter_report_age_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for place, feed in iter_collateral_and_equity_feeds(parameters):
        if feed.max_age < feed.step:
            values = format_duration_in_one_unit(feed.max_age), format_duration_in_one_unit(feed.step)
            yield RuleViolation(place, values, f"max_age to {format_duration_in_one_unit(feed.step)} or more")


@define_parameter_rule(
    DOUBTFUL,
    "feed.max_age",
    "feed.stale_after",
    why="a market with only silent reporters becomes stale, and is not poked with old reports for longer "
    "than a price may last",
)
def _iter_old_reports_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for place, feed in iter_collateral_and_equity_feeds(parameters):
        if feed.max_age > feed.stale_after:
            values = format_duration_in_one_unit(feed.max_age), format_duration_in_one_unit(feed.stale_after)
            yield RuleViolation(
                place, values, f"max_age to {format_duration_in_one_unit(feed.stale_after)} or less"
            )


@define_parameter_rule(
    REFUSED,
    "feed.dead_after",
    "feed.stale_after",
    why="a stale price liquidates no vault, and a feed is dead only once it has been silent for longer than "
    "one that is late: a dead feed's last price counts again",
)
def _iter_dead_after_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for place, feed in iter_collateral_and_equity_feeds(parameters):
        if feed.dead_after and feed.dead_after < feed.stale_after:
            values = (
                format_duration_in_one_unit(feed.dead_after),
                format_duration_in_one_unit(feed.stale_after),
            )
            yield RuleViolation(
                place,
                values,
                f"dead_after to 0 or to {format_duration_in_one_unit(feed.stale_after)} or more",
            )


@define_parameter_rule(
    DOUBTFUL,
    "feed.grace",
    "feed.stale_after",
    why="a grace is over before the price that began it can be stale: otherwise a feed that is late again "
    "and again liquidates no vault",
)
def _iter_grace_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for place, feed in iter_collateral_and_equity_feeds(parameters):
        if feed.grace > feed.stale_after:
            values = format_duration_in_one_unit(feed.grace), format_duration_in_one_unit(feed.stale_after)
            yield RuleViolation(
                place, values, f"the grace to {format_duration_in_one_unit(feed.stale_after)} or less"
            )


@define_parameter_rule(
    DOUBTFUL,
    "feed.window",
    "feed.step",
    why="the average knows more than one price: closes look at it so that a wick does nothing",
)
def _iter_average_window_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for place, feed in iter_collateral_and_equity_feeds(parameters):
        if feed.window < feed.step:
            values = format_duration_in_one_unit(feed.window), format_duration_in_one_unit(feed.step)
            yield RuleViolation(
                place, values, f"the window to {format_duration_in_one_unit(feed.step)} or more"
            )


@define_parameter_rule(
    DOUBTFUL,
    "feed.confirmations",
    "feed.step",
    "feed.stale_after",
    "feed.deviation",
    why="a real fall counts before its first price would be stale, however often it has to be confirmed",
)
def _iter_confirmations_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for place, feed in iter_collateral_and_equity_feeds(parameters):
        wait = (feed.confirmations + 1) * feed.step
        if feed.deviation and wait > feed.stale_after:
            values = (
                str(feed.confirmations),
                format_duration_in_one_unit(feed.step),
                format_duration_in_one_unit(feed.stale_after),
                format_percent(feed.deviation),
            )
            yield RuleViolation(
                place,
                values,
                f"fewer confirmations, or stale_after to {format_duration_in_one_unit(wait)} or more",
            )


RULES = (
    _iter_quorum_violations,
    _iter_silent_reporter_violations,
    _iter_stale_after_violations,
    _iter_report_age_violations,
    _iter_old_reports_violations,
    _iter_dead_after_violations,
    _iter_grace_violations,
    _iter_average_window_violations,
    _iter_confirmations_violations,
)
