"""wake: an account untouched for long ends as one that was touched in each cycle."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.perpetual_test_market import ETH, HOUSE, deploy_perpetuals, lose_against_maker


@pytest.fixture
def years(market):
    """Two shorts, of which one sleeps."""
    prepare(market)
    return market


def prepare(market):
    for name in ("sleeper", "other", "maker"):
        market.deposit(name, 10**5 * WAD)
    for name in ("sleeper", "other"):
        market.trade("maker", name, 500)


def test_who_sleeps_ends_as_who_does_not(years):
    for number in range(12):
        if number % 3:
            years.advance_cycle()
        else:
            lose_against_maker(years, number)
        years.do(f"{HOUSE}.update_account", years.get_contract_or_account_address("other"), sender="keeper")
    years.advance_cycle()
    years.advance_cycle()
    assert years.market.clocks[()].lossy == 4
    # What a lot bears of each of four cycles is rounded up, at 21 bits after the point.
    assert 0 <= years.equity("other") - years.equity("sleeper") <= 4
    assert years.equity("other") < 10**5 * WAD
    years.check_books_after_touching_all()


def test_a_position_of_the_other_side_bears_its_own_losses(years):
    """A long stays untouched as well: the index of its own side counts its losses."""
    years.deposit("long_sleeper", 10**5 * WAD)
    years.trade("long_sleeper", "other", 100)
    for number in range(3):
        lose_against_maker(years, number)
        years.do(f"{HOUSE}.update_account", years.get_contract_or_account_address("maker"), sender="keeper")
    before = years.market.accounts[years.get_contract_or_account_address("long_sleeper")].cycle
    years.do(
        f"{HOUSE}.update_account", years.get_contract_or_account_address("long_sleeper"), sender="stranger"
    )
    assert years.market.accounts[years.get_contract_or_account_address("long_sleeper")].cycle == before + 3
    years.check_books_after_touching_all()


def test_what_was_booked_before_it_slept_is_given_once(years):
    """The untouched account owes, is booked, pays in, and then is not touched for three cycles of losses."""
    years.deposit("debtor", 250 * WAD)
    years.trade("debtor", "maker", 100)
    years.mark(ETH, 16 * WAD)
    years.advance_cycle()
    years.seize_insolvent("debtor")
    years.mark(ETH, 20 * WAD)
    for number in range(3):
        lose_against_maker(years, number)
    years.seize_and_roll_until_final()
    assert years.equity("debtor") == 0


def test_a_bond_that_came_back_counts_for_who_slept_too(new_protocol):
    """A deposit counts as far as the account had as much at the last roll: its bond with it."""
    market = deploy_perpetuals(new_protocol, third_bond=WAD)
    for name in ("maker", "sleeper", "other"):
        market.deposit(name, 100 * WAD)
    for name in ("sleeper", "other"):
        for lots in (1, -1):
            market.trade("maker", name, lots)
    for _ in range(3):
        market.advance_cycle()
        market.do(
            f"{HOUSE}.update_account", market.get_contract_or_account_address("other"), sender="stranger"
        )
    for name in ("sleeper", "other"):
        market.trade("maker", name, 1)
    deposits = market.market.deposits
    assert (
        deposits[market.get_contract_or_account_address("sleeper")]
        == deposits[market.get_contract_or_account_address("other")]
        == 100 * WAD
    )
