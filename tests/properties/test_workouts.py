"""Violations of the properties of workouts: one wrong value each, of a state or of a step."""

import pytest

from backstop.model.arithmetic import RAY
from backstop.proof.properties import PropertyViolationError, check_state_properties
from tests.support.property_violation_checks import check_last_step, expect_violation
from tests.support.workout_steps import (
    CALLED,
    OWED,
    deploy_with_workouts,
    foreclose_workout,
    give_borrowed_stablecoin,
    pay_workout,
    start_workout,
)

QUARTER = OWED // 4


@pytest.fixture
def workouts(new_protocol):
    return deploy_with_workouts(new_protocol)


@pytest.fixture
def entered(workouts):
    start_workout(workouts)
    return check_last_step(workouts)


@pytest.fixture
def paid(workouts):
    start_workout(workouts)
    give_borrowed_stablecoin(workouts, "borrower", OWED)
    pay_workout(workouts, 1, QUARTER)
    return check_last_step(workouts)


@pytest.fixture
def foreclosed(workouts):
    start_workout(workouts)
    workouts.post_price("WETH", 1_000 * RAY)
    foreclose_workout(workouts, 1)
    return check_last_step(workouts)


def change(step, contract, path, key=(), **fields):
    """The state after the step had other fields."""
    table = step.model.world.contracts[contract].tables[path]
    table[key] = table[key]._replace(**fields)


def was(step, contract, path, key, **fields):
    """The state before the step had other fields."""
    old = step.read_pre_state(contract, path, key)
    step.model.changes[contract, path, key] = old._replace(**fields) if fields else old


STATES = [
    (2, "balances", {"lot": 10**30}),
    (3, "balances", {"left": 1}),
    (3, "sums", {"premium": 1}),
    (3, "sums", {"excess": 1}),
]


@pytest.mark.parametrize(("number", "path", "added"), STATES)
def test_a_state_with_one_wrong_value(workouts, number, path, added):
    start_workout(workouts)
    tables = {
        name: {path: dict(table) for path, table in contract.items()}
        for name, contract in workouts.lockstep.snapshot().items()
    }
    check_state_properties(tables, workouts.lockstep.addresses)
    old = tables["Workouts"][path][1]
    tables["Workouts"][path][1] = old._replace(
        **{field: getattr(old, field) + more for field, more in added.items()}
    )
    with pytest.raises(PropertyViolationError, match=f"^property {number} is violated"):
        check_state_properties(tables, workouts.lockstep.addresses)


def test_a_cap_that_counts_something_else(workouts):
    start_workout(workouts)
    tables = {name: dict(contract) for name, contract in workouts.lockstep.snapshot().items()}
    tables["Workouts"]["in_workouts"] = {0: 1}
    with pytest.raises(PropertyViolationError, match="property 3 is violated"):
        check_state_properties(tables, workouts.lockstep.addresses)


def test_entered_in_normal_times(entered):
    change(entered, "RiskPolicy", "modes", mode=0)
    expect_violation(23, entered)


def test_entered_without_a_call(workouts, entered):
    was(entered, "VaultEngine", "vaults", (0, workouts.address("borrower")), called_at=0)
    expect_violation(23, entered)


def test_entered_twice_in_a_period(workouts, entered):
    key = "Workouts", "last_entries", (0, workouts.address("borrower"))
    entered.model.changes[key] = workouts.timestamp - 1
    expect_violation(23, entered)


def test_entered_over_the_cap(entered):
    change(entered, "Workouts", "terms", 0, cap=1)
    expect_violation(23, entered)


def test_entered_in_more_instalments_than_there_are(entered):
    change(entered, "Workouts", "terms", 0, instalments=3)
    expect_violation(23, entered)


def test_entered_worth_too_little(entered):
    change(entered, "PriceFeed", "prices", 0, next=1_499 * RAY)
    expect_violation(23, entered)


def test_entered_with_another_lot(workouts, entered):
    was(entered, "VaultEngine", "vaults", (0, workouts.address("borrower")), locked_collateral=1)
    expect_violation(23, entered)


def test_met_without_being_paid(paid):
    change(paid, "Workouts", "balances", 1, met=2)
    expect_violation(23, paid)


def test_met_while_the_lot_is_worth_too_little(paid):
    change(paid, "PriceFeed", "prices", 0, current=1_000 * RAY)
    expect_violation(23, paid)


def test_a_lot_that_shrinks(paid):
    change(paid, "Workouts", "balances", 1, lot=1)
    expect_violation(23, paid)


def test_foreclosed_in_good_standing(foreclosed):
    change(foreclosed, "PriceFeed", "prices", 0, current=CALLED * RAY)
    expect_violation(23, foreclosed)


def test_foreclosed_from_another_price(foreclosed):
    change(foreclosed, "CollateralAuction", "tops", 1, top=1_201 * RAY)
    expect_violation(23, foreclosed)


def test_foreclosed_for_more_than_is_left(foreclosed):
    change(foreclosed, "CollateralAuction", "tops", 1, penalty=0)
    expect_violation(23, foreclosed)
