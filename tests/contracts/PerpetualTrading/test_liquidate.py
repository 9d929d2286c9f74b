"""liquidate: under maintenance and solvent, for a reward that is the account's own; nothing stops it."""

import pytest

from backstop.model.arithmetic import WAD
from backstop.system import Action
from tests.support.perpetual_test_market import ETH, TRADING
from tests.support.revert_setter_and_source_helpers import reverts


@pytest.fixture
def unsafe(crowd):
    """The long has 500 left of 17,500, and needs 875."""
    crowd.mark(ETH, 175 * WAD // 10)
    return crowd


def liquidate(market, lots, name="long", by="other"):
    return market.do(
        f"{TRADING}.liquidate", market.get_contract_or_account_address(name), ETH, lots, sender=by
    )


def test_the_reward_is_what_it_is_short_of(unsafe):
    """min(500, 375) for all, four fifths of it; a tenth of that is insurance."""
    assert liquidate(unsafe, 800) == 300 * WAD
    assert unsafe.equity("long") == 200 * WAD
    assert unsafe.equity("other") == 10_270 * WAD
    assert unsafe.size("other") == 800
    unsafe.check_books_after_touching_all()


def test_who_may_not(unsafe):
    with reverts("trading: own account"):
        liquidate(unsafe, 1, by="long")
    with reverts("trading: not that many"):
        liquidate(unsafe, 0)
    with reverts("trading: initial margin"):
        liquidate(unsafe, 800, by="stranger")


def test_a_safe_account_is_not_touched(crowd):
    crowd.mark(ETH, 179 * WAD // 10)
    with reverts("trading: safe account"):
        liquidate(crowd, 1)


def test_an_account_at_its_maintenance_margin_is_safe(crowd):
    """1,000 lots at 17.8 need 890, and the long has as much; a wei of the mark less, and it has not."""
    crowd.deposit("long", 90 * WAD)
    crowd.mark(ETH, 178 * WAD // 10)
    assert crowd.equity("long") == 890 * WAD
    with reverts("trading: safe account"):
        liquidate(crowd, 1)
    crowd.mark(ETH, 178 * WAD // 10 - 1)
    assert 0 < liquidate(crowd, 500) < 1_000 and crowd.size("long") == 500


def test_an_insolvent_one_is_met(crowd):
    crowd.mark(ETH, 16 * WAD)
    with reverts("trading: seize first"):
        liquidate(crowd, 1)


def test_prices_are_of_now(unsafe):
    unsafe.advance_clock(61)
    with reverts("trading: no price of now"):
        liquidate(unsafe, 1_000)


def test_a_gain_elsewhere_that_is_not_final_stops_nothing(unsafe):
    """The liquidator's gains are not final: they are no margin, and do not block its actions."""
    assert unsafe.standing("first").unfinal > 0
    unsafe.do(
        f"{TRADING}.liquidate", unsafe.get_contract_or_account_address("long"), ETH, 800, sender="first"
    )
    assert unsafe.size("first") == 300


def test_into_another_account_of_ones_own(unsafe):
    """Of the other owner, or of the same one: as by two addresses, the reward is the account's own money."""
    for name in ("other#9", "long#1"):
        unsafe.deposit(name, 5_000 * WAD)
        unsafe.do(
            f"{TRADING}.liquidate",
            unsafe.get_contract_or_account_address("long"),
            ETH,
            400,
            unsafe.get_contract_or_account_address(name),
            sender=name.partition("#")[0],
        )
        assert unsafe.size(name) == 400
    assert unsafe.size("long") == 200 and unsafe.size("other") == 0
    unsafe.check_books_after_touching_all()


def test_not_into_a_strangers(unsafe):
    for name in ("first", "first#1"):
        with reverts("trading: not its liquidator"):
            unsafe.do(
                f"{TRADING}.liquidate",
                unsafe.get_contract_or_account_address("long"),
                ETH,
                1,
                unsafe.get_contract_or_account_address(name),
                sender="other",
            )
    with reverts("trading: own account"):
        unsafe.do(
            f"{TRADING}.liquidate",
            unsafe.get_contract_or_account_address("long"),
            ETH,
            1,
            unsafe.get_contract_or_account_address("long"),
            sender="other",
        )


def test_nor_into_a_contracts_by_whoever_has_the_address_beside_it(unsafe):
    """A contract's account is its own alone."""
    contract = unsafe.get_contract_or_account_address("MarginFund")
    beside = f"0x{int(contract, 16) ^ 1:040x}"
    outcome = unsafe.system.apply(
        Action(
            TRADING, "liquidate", (unsafe.get_contract_or_account_address("long"), ETH, 1, contract), beside
        )
    )
    assert outcome.reason == "trading: not its liquidator"
