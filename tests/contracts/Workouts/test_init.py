"""The constructor and the deployment: the wiring of workouts, and their requirements."""

from dataclasses import replace

import pytest

from backstop.deployment.planned_contracts import plan_deployment
from backstop.errors import BackstopError
from tests.support.auction_steps import NOBODY
from tests.support.guard_steps import BREAKER, with_guards
from tests.support.workout_steps import TERMS


def test_is_wired(workouts):
    for name in ("VaultEngine", "PriceFeed", "LiquidationEngine", "CollateralAuction"):
        getter = "".join("_" + c if c.isupper() else c.upper() for c in name).lstrip("_")
        assert workouts.read(f"Workouts.{getter}") == workouts.address(name)
    assert workouts.read("Workouts.admin") == workouts.address("admin")
    for contract in ("LiquidationEngine", "CollateralAuction"):
        assert workouts.read(f"{contract}.WORKOUTS") == workouts.address("Workouts")


def test_a_plain_deployment_has_none(protocol):
    assert "Workouts" not in protocol.lockstep.addresses
    for contract in ("LiquidationEngine", "CollateralAuction"):
        assert protocol.read(f"{contract}.WORKOUTS") == NOBODY


def test_no_more_terms_than_types():
    with pytest.raises(BackstopError, match="more terms of workouts"):
        plan_deployment(with_guards(breaker=BREAKER, workouts=(TERMS,) * 4))


def test_they_need_a_breaker():
    parameters = with_guards(breaker=BREAKER, workouts=(TERMS,))
    assert parameters.guards is not None
    with pytest.raises(BackstopError, match="need a breaker"):
        plan_deployment(replace(parameters, guards=replace(parameters.guards, breaker=None)))
