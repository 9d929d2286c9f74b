"""end_market: one final price, losses settled as at all times, gains paid pro rata; other markets go on."""

import pytest

from backstop.model.arithmetic import WAD
from backstop.proof.local_protocol import LocalProtocol
from backstop.system import Action
from tests.support.margin_order_steps import build_perpetual_market_terms
from tests.support.market_delisting import advance_to_moment, announce_delisting, step_feeds_through_prices
from tests.support.perpetual_test_market import BTC, ETH, HOUSE, RULES, TRADING
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import report_until_final_prices_exist, start_settlement


@pytest.fixture
def settled(crowd):
    """The price falls to 16, the long owes 1,000; then the protocol settles, and 400 are insured."""
    crowd.do("MarginFund.insure", 400 * WAD, sender="rich")
    crowd.post(ETH, 1_600)
    crowd.mark(ETH, 16 * WAD)
    start_settlement(LocalProtocol(crowd.system))
    return crowd


@pytest.fixture
def closing(settled):
    report_until_final_prices_exist(LocalProtocol(settled.system))
    end(settled)
    return settled


def end(market):
    for each in (ETH, BTC):
        market.do(f"{HOUSE}.end_market", each, sender="stranger")


def roll(market):
    market.advance_clock(RULES.window)
    market.do(f"{HOUSE}.advance_cycle", sender="stranger")


def leave(market, name):
    """Take out all that is paid."""
    amount = market.standing(name)
    claims = amount.own - amount.haircut
    return market.do(f"{HOUSE}.withdraw", claims, market.get_contract_or_account_address(name), sender=name)


def test_only_in_settlement_at_final_prices_and_once(crowd):
    for _ in range(2):
        with reverts("perpetuals: no final price"):
            crowd.do(f"{HOUSE}.end_market", ETH, sender="stranger")
        if crowd.read("VaultEngine.in_settlement"):
            break
        start_settlement(LocalProtocol(crowd.system))
    report_until_final_prices_exist(LocalProtocol(crowd.system))
    with reverts("perpetuals: no final price"):
        crowd.do(f"{HOUSE}.end_market", 2, sender="stranger")
    for each in (BTC, ETH):
        crowd.do(f"{HOUSE}.end_market", each, sender="stranger")
        with reverts("perpetuals: ends once"):
            crowd.do(f"{HOUSE}.end_market", each, sender="stranger")
    assert crowd.market.clocks[()].ended == 0b11


def test_nothing_is_traded_any_more(settled):
    with reverts("trading: in settlement"):
        settled.trade("other", "first", 1)
    report_until_final_prices_exist(LocalProtocol(settled.system))
    end(settled)
    settled.deposit("long", 2_000 * WAD)
    with reverts("perpetuals: price is final"):
        settled.trade("first", "long", 1)
    with reverts("trading: no price for lots"):
        settled.do(f"{TRADING}.take", ETH, 1, sender="first")


def test_the_fund_pays_first_and_then_who_gained(closing):
    """600 of the loss are left for two shorts that have gained 2,000 each; a bystander loses nothing."""
    with reverts("perpetuals: losses are open"):
        closing.do(f"{HOUSE}.withdraw", 1, closing.get_contract_or_account_address("other"), sender="other")
    roll(closing)
    closing.seize_insolvent("long")
    roll(closing)
    for name, amount in (("other", 10_000), ("first", 11_700), ("second", 11_700)):
        assert leave(closing, name) == amount * WAD
    assert closing.market.holdings[()] == 0
    closing.check_books_after_touching_all()


def test_the_first_and_the_last_are_paid_alike(closing):
    """No call settles the long in time, and the protocol absorbs nothing: 600 are late after the fund."""
    closing.set_loss_line_to_zero()
    for _ in range(2):
        roll(closing)
    closing.seize_insolvent("long")
    roll(closing)
    assert closing.market.late_table[()] == 600 * WAD
    ends = [leave(closing, name) for name in ("first", "other", "second")]
    assert [end // WAD for end in ends] == [11_788, 9_823, 11_788]
    assert abs(ends[0] - ends[2]) <= 1


def test_funding_ends_with_the_prices(crowd):
    """Funding has run until then: none is charged for the days in which losses become final."""
    crowd.trade("other", "first", 10, price=20 * WAD + WAD // 20)
    crowd.advance_clock(3_601)
    crowd.report_current_prices_again()
    assert crowd.market.fundings[ETH].rate > 0
    start_settlement(LocalProtocol(crowd.system))
    report_until_final_prices_exist(LocalProtocol(crowd.system))
    end(crowd)
    before = crowd.read(f"{HOUSE}.standing_of", crowd.get_contract_or_account_address("other")).own
    crowd.advance_clock(86_400)
    assert crowd.read(f"{HOUSE}.standing_of", crowd.get_contract_or_account_address("other")).own == before


# ---------------------------------------------------------------- one market that is delisted


@pytest.fixture
def ended(crowd):
    """Ether ends at 19, with a long of 1,000 and shorts of 500; one of them and another hold bitcoin."""
    crowd.trade("first", "other", 5, BTC)
    advance_to_moment(crowd, announce_delisting(crowd), 1_900)
    step_feeds_through_prices(crowd, [1_900] * 6)
    crowd.do(f"{HOUSE}.end_market", ETH, sender="stranger")
    return crowd


def test_it_is_told_at_what_it_ends(crowd):
    advance_to_moment(crowd, announce_delisting(crowd), 1_900)
    step_feeds_through_prices(crowd, [1_900] * 6)
    outcome = crowd.system.apply(
        Action(HOUSE, "end_market", (ETH,), crowd.get_contract_or_account_address("stranger"))
    )
    told = [log.values for log in outcome.logs if log.event == "MarketEnded"]
    assert told == [(ETH, 19 * WAD)]
    assert (crowd.market.clocks[()].ended, crowd.market.closing[()]) == (0b01, 0)
    assert crowd.market.paths[ETH].extreme == 19 * WAD


@pytest.mark.parametrize("how", ["update_account", "deposit", "withdraw", "trade", "check"])
def test_whatever_touches_an_account_closes_what_it_has(ended, how):
    """At the final price, and nothing else of it; its bitcoin stays."""
    before = ended.read(f"{HOUSE}.standing_of", ended.get_contract_or_account_address("first")).own
    ended.mark(BTC, 60 * WAD)
    if how == "update_account":
        ended.do(f"{HOUSE}.update_account", ended.get_contract_or_account_address("first"), sender="stranger")
    elif how == "deposit":
        ended.deposit("first", WAD)
        before += WAD
    elif how == "withdraw":
        ended.do(f"{HOUSE}.withdraw", WAD, ended.get_contract_or_account_address("first"), sender="first")
        before -= WAD
    elif how == "trade":
        ended.trade("other", "first", 5, BTC)
    else:
        ended.do(f"{HOUSE}.update_account", ended.get_contract_or_account_address("first"), sender="stranger")
        ended.do(f"{TRADING}.check_risk", ended.get_contract_or_account_address("first"), sender="stranger")
    assert ended.size("first") == 0 and ended.size("second") == -500
    assert ended.size("first", BTC) == (0 if how == "trade" else 5)
    assert ended.read(f"{HOUSE}.standing_of", ended.get_contract_or_account_address("first")).own == before
    assert tuple(ended.market.lots[ETH]) == (1_000, 500)


def test_it_is_marked_and_traded_no_more(ended):
    ended.report(ETH, 1_000 * 10**27)
    assert tuple(ended.do(f"{HOUSE}.accrue", ETH, sender="stranger")) == (19 * WAD, 0, 0)
    with reverts("perpetuals: price is final"):
        ended.trade("first", "long", 1, ETH)
    with reverts("trading: no price for lots"):
        ended.do(f"{TRADING}.take", ETH, 1, sender="first")


def test_rolls_leave_it_out_once_nobody_is_in_it(ended):
    """As long as an untouched account holds a position in it, rolls note where cycles begin."""
    for name in ("first", "second", "long"):
        roll(ended)
        cycle = ended.market.clocks[()].cycle
        assert ended.market.levels[ETH, cycle] == ended.market.values[ETH]
        ended.do(f"{HOUSE}.update_account", ended.get_contract_or_account_address(name), sender="stranger")
    assert not any(ended.market.lots[ETH])
    roll(ended)
    cycle = ended.market.clocks[()].cycle
    assert not any(ended.market.levels[ETH, cycle])
    assert not any(any(ended.market.edges[ETH, cycle, side]) for side in (0, 1))
    ended.seize_and_roll_until_final()
    ended.check_books_after_touching_all()


def test_nobody_waits_for_rolls_in_a_delisting(ended):
    """Cash that is no gain of the last move leaves at once, as at all times."""
    ended.do(
        f"{HOUSE}.withdraw", 9_000 * WAD, ended.get_contract_or_account_address("second"), sender="second"
    )
    with reverts("perpetuals: more than it has"):
        ended.do(
            f"{HOUSE}.withdraw", 1_400 * WAD, ended.get_contract_or_account_address("second"), sender="second"
        )
    roll(ended)
    roll(ended)
    ended.do(
        f"{HOUSE}.withdraw", 1_400 * WAD, ended.get_contract_or_account_address("second"), sender="second"
    )


def test_gains_of_its_last_cycle_pay_what_is_late_though_nobody_is_in_it_any_more(crowd):
    """1,000 are late of bitcoin; ether ends in a cycle in which its shorts gain, and all are closed."""
    crowd.set_loss_line_to_zero()
    crowd.deposit("thin", 3_100 * WAD)
    crowd.trade("thin", "other", 100, BTC)
    crowd.do("MarginPolicy.set_terms", ETH, build_perpetual_market_terms(haircut=5_000), sender="admin")
    crowd.mark(BTC, 19 * WAD)
    for _ in range(2):
        crowd.advance_cycle()
    crowd.seize_insolvent("thin")
    late = crowd.market.late_table[()]
    crowd.advance_cycle()
    advance_to_moment(crowd, announce_delisting(crowd), 1_900)
    step_feeds_through_prices(crowd, [1_900] * 5)
    step_feeds_through_prices(crowd, [1_900] * 2)
    crowd.do(f"{HOUSE}.end_market", ETH, sender="stranger")
    crowd.wake_all()
    assert not any(crowd.market.lots[ETH])
    for _ in range(2):
        roll(crowd)
    # 1,000 lots gained 1 each: half of that pays.
    assert (late, crowd.market.late_table[()]) == (1_000 * WAD, 500 * WAD)
    crowd.check_books_after_touching_all()
