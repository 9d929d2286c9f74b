"""meet: a debtor's lots are taken and become unassigned; the cycle's winners absorb its loss."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.perpetual_test_market import BTC, ETH, HOUSE, TRADING, deploy_perpetuals
from tests.support.revert_setter_and_source_helpers import reverts


@pytest.fixture
def crash(crowd):
    """The long owes 1,000, and each short has gained 2,000."""
    crowd.mark(ETH, 16 * WAD)
    return crowd


def test_both_shorts_bear_half(crash):
    crash.advance_cycle()
    assert crash.seize_insolvent("long")
    assert crash.equity("first") == crash.equity("second") == 11_500 * WAD
    crash.seize_and_roll_until_final()
    assert crash.equity("first") == crash.equity("second") == 11_500 * WAD
    assert crash.equity("long") == 0


def test_nothing_to_do(crash):
    assert crash.seize_insolvent("long")
    for name in ("long", "first", "stranger", HOUSE):
        with reverts("perpetuals: nothing to do"):
            crash.do(f"{HOUSE}.seize_insolvent", crash.get_contract_or_account_address(name), sender="keeper")


def test_a_stale_mark_seizes_nothing_and_books(crash):
    crash.advance_cycle()
    crash.advance_clock(61)
    assert crash.seize_insolvent("long")
    assert crash.size("long") == 1_000 and crash.equity("first") == 11_500 * WAD


def test_a_debtor_that_recovers_before_it_is_met_has_no_loss(crash):
    crash.advance_cycle()
    crash.mark(ETH, 18 * WAD)
    assert not crash.seize_insolvent("long")
    crash.seize_and_roll_until_final()
    assert crash.equity("first") == 11_000 * WAD and crash.equity("long") == 1_000 * WAD


def test_once_it_is_met_the_rebound_is_not_the_debtors(crash):
    crash.advance_cycle()
    crash.seize_insolvent("long")
    crash.mark(ETH, 20 * WAD)
    crash.seize_and_roll_until_final()
    assert crash.equity("long") == 0
    # Nobody is long who could gain it: the shorts bear half of the loss each, and keep what they gained.
    assert crash.equity("first") == crash.equity("second") == 11_500 * WAD
    insured = crash.model.world.contracts["MarginFund"].tables["insurance"][()].amount
    assert insured + crash.market.fee_table[()] == 0


def test_the_other_side_moves_by_as_much_as_is_left_of_this_one(crash):
    """Of 1,000 lots on both sides 250 are left that are long: a short moves by a quarter."""
    crash.seize_insolvent("long")
    crash.do(f"{TRADING}.take", ETH, 250, sender="other")
    assert crash.count_unassigned_lots() == 750
    crash.mark(ETH, 12 * WAD)
    assert crash.equity("other") == 9_000 * WAD
    assert crash.equity("first") == crash.equity("second") == 12_500 * WAD
    assert tuple(crash.market.values[ETH]) == (-8 * WAD, -5 * WAD)
    # Whoever closes a lot leaves more of the move to those who stay: 250 of 500.
    crash.do(f"{TRADING}.take", ETH, 500, sender="first")
    crash.mark(ETH, 20 * WAD)
    assert crash.equity("other") == 11_000 * WAD
    assert crash.equity("first") == 12_500 * WAD and crash.equity("second") == 10_500 * WAD


def test_what_it_owes_is_fixed(crash):
    """It owes 1,000 and nothing moves that: neither marks, nor other accounts' trades in its lots."""
    crash.seize_insolvent("long")
    crash.do(f"{TRADING}.take", ETH, 400, sender="other")
    for price in (13, 24, 9, 16):
        crash.mark(ETH, price * WAD)
        assert crash.equity("long") == -1_000 * WAD


def test_insurance_pays_first(crash):
    crash.do("MarginFund.insure", 400 * WAD, sender="rich")
    crash.advance_cycle()
    crash.seize_insolvent("long")
    crash.seize_and_roll_until_final()
    assert crash.equity("first") == crash.equity("second") == 11_700 * WAD
    assert crash.equity("long") == 0


def test_a_debt_that_its_own_haircut_makes_is_passed_on(market):
    """A haircut makes an account insolvent, and the winners in bitcoin absorb that.

    `both` gained 1,000 of 3,000 as a short in ether, lost 2,000 in bitcoin, and has 100 for its haircut of
    500.
    """
    for name, amount in (("thin", 1_500), ("both", 1_100), ("short", 10_000), ("winner", 10_000)):
        market.deposit(name, amount * WAD)
    market.trade("thin", "short", 500)
    market.trade("thin", "both", 250)
    market.trade("both", "winner", 100, BTC)
    market.mark(ETH, 16 * WAD)
    market.mark(BTC, 40 * WAD)
    market.advance_cycle()
    market.seize_repeatedly_and_count_rounds()
    market.seize_and_roll_until_final()
    market.check_books_after_touching_all()
    assert market.equity("thin") == market.equity("both") == 0
    assert market.market.late_table[()] == 0
    assert market.equity("short") == 11_000 * WAD
    assert market.equity("winner") == 11_600 * WAD


def test_who_finds_has_the_bond(new_protocol):
    market = deploy_perpetuals(new_protocol, third_bond=5 * WAD)
    for name, amount in (("long", 3_015), ("first", 10_015)):
        market.deposit(name, amount * WAD)
    market.trade("long", "first", 1_000)
    assert market.equity("long") == 3_000 * WAD and market.market.bonds[()] == 30 * WAD
    market.mark(ETH, 16 * WAD)
    market.seize_insolvent("long", by="finder")
    assert market.equity("finder") == 5 * WAD
    market.advance_cycle()
    market.seize_insolvent("long", by="booker")
    assert market.equity("booker") == 5 * WAD
    # The last is for whoever takes its lots over, a lot alike.
    market.do(f"{TRADING}.take", ETH, 200, sender="first")
    assert market.equity("first") == 13_001 * WAD
    market.do(f"{TRADING}.take", ETH, 800, sender="first")
    assert market.equity("first") == 13_005 * WAD and market.read(f"{HOUSE}.rewards") == 0
    # The other has its own back once it has no position and no gain that is not final.
    market.seize_and_roll_until_final()
    assert market.equity("first") == 13_020 * WAD and market.market.bonds[()] == 0


def test_what_is_late_is_borne_by_the_fund_the_protocol_and_later_gains(crash):
    """No keeper books in time: the window is over."""
    crash.do("MarginFund.insure", 150 * WAD, sender="rich")
    line = crash.world.contracts["Perpetuals"].collateral_type
    crash.do("VaultEngine.set_debt_ceiling", line, 100, sender="admin")
    crash.advance_cycle()
    crash.advance_cycle()
    crash.seize_insolvent("long")
    assert crash.market.late_table[()] == 750 * WAD and crash.read("Perpetuals.lost") == 100 * WAD
    assert crash.equity("first") == 12_000 * WAD
    crash.do("MarginFund.insure", 50 * WAD, sender="rich")
    crash.advance_cycle()
    assert crash.market.late_table[()] == 700 * WAD
    # From the next roll on half of the gains of each cycle pay: 500 of 1,000, of who has taken the lots.
    crash.do(f"{TRADING}.take", ETH, 1_000, sender="other")
    crash.mark(ETH, 17 * WAD)
    for _ in range(2):
        crash.advance_cycle()
    crash.check_books_after_touching_all()
    assert crash.market.late_table[()] == 200 * WAD
    assert crash.equity("other") == 10_500 * WAD


def test_later_gains_are_those_from_the_next_roll_on(crash):
    """A loss that turns out late while a cycle is pending does not reach that cycle's winners elsewhere.

    Neither the fund nor the protocol pays anything.
    """
    crash.set_loss_line_to_zero()
    for name in ("bull", "bear"):
        crash.deposit(name, 10_000 * WAD)
    crash.advance_cycle()
    crash.trade("bull", "bear", 100, BTC)
    crash.mark(BTC, 70 * WAD)
    crash.advance_cycle()
    crash.seize_insolvent("long")
    late = crash.market.late_table[()]
    assert late == 1_000 * WAD
    crash.advance_cycle()
    assert crash.market.late_table[()] == late and crash.equity("bull") == 11_000 * WAD


def test_one_lot_is_marked_before_it_is_seized(market):
    """Reports imply a mark that no call has recorded yet: liquidating the account records it."""
    for name, amount in (("crumb", 3), ("first", 100)):
        market.deposit(name, amount * WAD)
    market.trade("crumb", "first", 1)
    market.report(ETH, 1_600 * 10**27)
    assert market.seize_insolvent("crumb") and market.size("crumb") == 0
    assert market.price(ETH) == 16 * WAD


def test_a_market_that_was_won_in_the_end_bears_nothing(market):
    """A wick in bitcoin went against the debtor, and came back beyond its begin; its loss is in ether."""
    for name, amount in (("debtor", 1_000), ("other", 100_000)):
        market.deposit(name, amount * WAD)
    market.trade("debtor", "other", 300)
    market.trade("debtor", "other", 20, BTC)
    for price in (50, 62):
        market.mark(BTC, price * WAD)
    market.mark(ETH, 15 * WAD)
    market.advance_cycle()
    market.seize_insolvent("debtor")
    cycle = market.market.clocks[()].cycle - 1
    losses = [market.read(f"{HOUSE}.cycle_of", number, cycle)[1] for number in (ETH, BTC)]
    # 1,500 of ether less 40 of bitcoin less its margin.
    assert [sum(each) for each in losses] == [460 * WAD, 0]


def test_of_a_loss_on_both_sides_the_long_part_is_rounded_down(market):
    """It lost 400 as long and 1,200 as short, and owes 600 less a wei: the short winners bear that wei."""
    market.deposit("both", 1_000 * WAD + 1)
    market.deposit("other", 10_000 * WAD)
    market.trade("both", "other", 100)
    market.mark(ETH, 16 * WAD)
    market.trade("both", "other", -400)
    market.mark(ETH, 20 * WAD)
    market.advance_cycle()
    market.seize_insolvent("both")
    cycle = market.market.clocks[()].cycle - 1
    losses = market.read(f"{HOUSE}.cycle_of", ETH, cycle)[1]
    assert tuple(losses) == (450 * WAD, 150 * WAD - 1)
