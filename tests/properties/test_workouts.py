"""What breaks the properties of workouts: one wrong value each, of a state or of a step."""

import pytest

from backstop.model.arithmetic import RAY
from backstop.proof.properties import Violation, check_state
from tests.support.transitions import breaks, last
from tests.support.workouts import CALLED, OWED, begin, foreclose, give, opened_with_workouts, pay

QUARTER = OWED // 4


@pytest.fixture
def workouts(new_protocol):
    return opened_with_workouts(new_protocol)


@pytest.fixture
def entered(workouts):
    begin(workouts)
    return last(workouts)


@pytest.fixture
def paid(workouts):
    begin(workouts)
    give(workouts, "borrower", OWED)
    pay(workouts, 1, QUARTER)
    return last(workouts)


@pytest.fixture
def foreclosed(workouts):
    begin(workouts)
    workouts.post_price("WETH", 1_000 * RAY)
    foreclose(workouts, 1)
    return last(workouts)


def change(step, contract, path, key=(), **fields):
    """The state after the step had other fields."""
    table = step.model.world.contracts[contract].tables[path]
    table[key] = table[key]._replace(**fields)


def was(step, contract, path, key, **fields):
    """The state before the step had other fields."""
    old = step.before(contract, path, key)
    step.model.changes[contract, path, key] = old._replace(**fields) if fields else old


STATES = [
    (2, "balances", {"lot": 10**30}),
    (3, "balances", {"left": 1}),
    (3, "sums", {"premium": 1}),
    (3, "sums", {"excess": 1}),
]


@pytest.mark.parametrize(("number", "path", "added"), STATES)
def test_a_state_with_one_wrong_value(workouts, number, path, added):
    begin(workouts)
    tables = {
        name: {path: dict(table) for path, table in contract.items()}
        for name, contract in workouts.lockstep.snapshot().items()
    }
    check_state(tables, workouts.lockstep.addresses)
    old = tables["Workouts"][path][1]
    tables["Workouts"][path][1] = old._replace(
        **{field: getattr(old, field) + more for field, more in added.items()}
    )
    with pytest.raises(Violation, match=f"^property {number} is violated"):
        check_state(tables, workouts.lockstep.addresses)


def test_a_cap_that_counts_something_else(workouts):
    begin(workouts)
    tables = {name: dict(contract) for name, contract in workouts.lockstep.snapshot().items()}
    tables["Workouts"]["in_workouts"] = {0: 1}
    with pytest.raises(Violation, match="property 3 is violated"):
        check_state(tables, workouts.lockstep.addresses)


def test_entered_in_normal_times(entered):
    change(entered, "RiskPolicy", "modes", mode=0)
    breaks(23, entered)


def test_entered_without_a_call(workouts, entered):
    was(entered, "VaultEngine", "vaults", (0, workouts.address("borrower")), called_at=0)
    breaks(23, entered)


def test_entered_twice_in_a_period(workouts, entered):
    key = "Workouts", "last_entries", (0, workouts.address("borrower"))
    entered.model.changes[key] = workouts.timestamp - 1
    breaks(23, entered)


def test_entered_over_the_cap(entered):
    change(entered, "Workouts", "terms", 0, cap=1)
    breaks(23, entered)


def test_entered_in_more_instalments_than_there_are(entered):
    change(entered, "Workouts", "terms", 0, instalments=3)
    breaks(23, entered)


def test_entered_worth_too_little(entered):
    change(entered, "PriceFeed", "prices", 0, next=1_499 * RAY)
    breaks(23, entered)


def test_entered_with_another_lot(workouts, entered):
    was(entered, "VaultEngine", "vaults", (0, workouts.address("borrower")), locked_collateral=1)
    breaks(23, entered)


def test_met_without_being_paid(paid):
    change(paid, "Workouts", "balances", 1, met=2)
    breaks(23, paid)


def test_met_while_the_lot_is_worth_too_little(paid):
    change(paid, "PriceFeed", "prices", 0, current=1_000 * RAY)
    breaks(23, paid)


def test_a_lot_that_shrinks(paid):
    change(paid, "Workouts", "balances", 1, lot=1)
    breaks(23, paid)


def test_foreclosed_in_good_standing(foreclosed):
    change(foreclosed, "PriceFeed", "prices", 0, current=CALLED * RAY)
    breaks(23, foreclosed)


def test_foreclosed_from_another_price(foreclosed):
    change(foreclosed, "CollateralAuction", "tops", 1, top=1_201 * RAY)
    breaks(23, foreclosed)


def test_foreclosed_for_more_than_is_left(foreclosed):
    change(foreclosed, "CollateralAuction", "tops", 1, penalty=0)
    breaks(23, foreclosed)
