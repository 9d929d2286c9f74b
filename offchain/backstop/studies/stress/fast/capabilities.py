"""Support of the fast engine: the roles that it plays, and the scenarios that it refuses."""

from __future__ import annotations

from backstop.deployment.parameter_dataclasses import FeedParameters, PolicyParameters
from backstop.deployment.parameter_rules import list_refused_findings
from backstop.errors import BackstopError
from backstop.simulation.scenario import Scenario
from backstop.simulation.scenario.stability_pool_section import MOST_ENTRY_DELAYS
from backstop.studies.stress.fast.kernel_tables import (
    ACCRUER,
    BIDDER,
    COVERER,
    CRANK,
    LIQUIDATOR,
    POKER,
    REPORTER,
    TAKER,
)

ROLES = {
    "reporter": REPORTER,
    "poker": POKER,
    "liquidator": LIQUIDATOR,
    "flash_taker": TAKER,
    "bidder": BIDDER,
    "crank": CRANK,
    "coverer": COVERER,
    "accruer": ACCRUER,
}
"""Roles that the kernel plays."""

_IDLE = ("recogniser", "ceilings", "breaker", "caller", "owners", "debtor", "settler", "member")
"""Roles that change nothing here: guards, flags and settlement are left out."""
_OF_EQUITY = ("recap_bidder", "surplus_bidder", "treasurer")
"""Roles that do nothing without equity, which is refused."""


def refuse_unsupported(scenario: Scenario) -> None:
    """Raise BackstopError if the scenario has a feature that the fast engine does not support.

    docs/reference/stress-engines.md lists features that the engine leaves out without an error.
    """
    parameters = scenario.parameters
    for group in scenario.keepers:
        if group.role not in ROLES and group.role not in _IDLE and group.role not in _OF_EQUITY:
            _refuse_feature(f"keepers of the role {group.role}")
    if parameters.guards is not None:
        _refuse_feature("guards")
    if parameters.equity is not None:
        _refuse_feature("equity")
    if parameters.margin is not None:
        _refuse_feature("margin markets")
    if parameters.facilitators:
        _refuse_feature("facilitators")
    if "naive-contract" in {found.rule.name for found in list_refused_findings(parameters)}:
        _refuse_feature("contracts with naive rules")
    if scenario.opening is not None:
        _refuse_feature("states that a run begins with")
    for collateral in parameters.collateral_types:
        if collateral.policy != PolicyParameters():
            _refuse_feature(f"the policy of {collateral.symbol}")
        if collateral.feed != _strip_guards(collateral.feed):
            _refuse_feature(f"guards of the feed of {collateral.symbol}")
        pool, waited = collateral.stability_pool, scenario.opened_before - collateral.feed.step
        if pool is not None and MOST_ENTRY_DELAYS * pool.entry_delay > waited:
            _refuse_feature(f"deposits in the stability pool of {collateral.symbol} that wait at the start")

    if any(member.leaves_at is not None for member in scenario.stability_pool_members):
        _refuse_feature("members of stability pools that leave")


def _strip_guards(feed: FeedParameters) -> FeedParameters:
    making = ("reporters", "quorum", "step", "max_age", "stale_after", "window")
    return FeedParameters(**{name: getattr(feed, name) for name in making})


def _refuse_feature(what: str) -> None:
    raise BackstopError(f"the fast engine does not know {what}: take the exact one")
