"""trade: zero-sum, with initial margin for new risk, and a way out for whoever only reduces."""

import pytest

from backstop.deployment.signing import trader
from backstop.hosts.words import State, words_of
from backstop.model import bounds
from backstop.model.arithmetic import RAY, WAD
from tests.support.auctions import event
from tests.support.guards import EMERGENCY, with_guards
from tests.support.helpers import reverts
from tests.support.margin import (
    BTC,
    ETH,
    begin,
    books,
    cash,
    deposit,
    fill,
    interest,
    move,
    opened,
    position,
    price_of,
    stage,
    terms,
    with_margin,
    worth,
)
from tests.support.policy import set_mode
from tests.support.settling import begin as settle


def test_both_sides_move_the_same(margin):
    stage(margin, maker=3_000, taker=3_000)
    fill(margin, "maker", "taker", 700, price=21 * WAD)
    assert position(margin, "maker") == (700, 14_700 * WAD)
    assert position(margin, "taker") == (-700, -14_700 * WAD)
    assert cash(margin, "maker") == -11_700 * WAD
    # The seller's fee is an eighth of what its price was better by, as far as funding follows it.
    fee = 700 * (20 * WAD * 75 // 10_000) // 8
    assert cash(margin, "taker") == 17_700 * WAD - fee
    assert interest(margin) == (1, 1, 700, 0)
    # 700 lots at 20, bought for 700 more.
    assert worth(margin, "maker") == (2_300 * WAD, 1_400 * WAD * 10**4, 700 * WAD * 10**4, 14_000 * WAD)
    assert worth(margin, "taker").equity == 3_700 * WAD - fee
    assert books(margin) == 0


def test_a_part_leaves_with_its_part_of_the_cost_and_a_flip_begins_anew(open_interest):
    fill(open_interest, "taker", "maker", 300, price=21 * WAD)
    assert position(open_interest, "maker") == (700, 14_000 * WAD)
    fill(open_interest, "taker", "maker", 900, price=19 * WAD)
    assert position(open_interest, "maker") == (-200, -3_800 * WAD)
    assert position(open_interest, "taker") == (200, 3_800 * WAD)
    assert interest(open_interest) == (1, 1, 200, 0)
    # 300 lots gained one each, 700 lost one each; its fees are for the 300 sold and the 200 bought.
    fee = 100 * (20 * WAD * 75 // 10_000) // 8
    assert worth(open_interest, "maker").equity == 2_600 * WAD - 200 * WAD - 3 * fee
    fill(open_interest, "maker", "taker", 200, price=19 * WAD)
    assert interest(open_interest) == (0, 0, 0, 0)
    assert cash(open_interest, "maker") == 2_600 * WAD - 5 * fee
    assert open_interest.read("MarginMarket.account_of", trader("maker")).markets == 0


def test_one_margin_for_all_markets(margin):
    """A gain in one pays for the other."""
    stage(margin, maker=4_000, taker=50_000)
    fill(margin, "maker", "taker", 1_000, ETH)
    fill(margin, "maker", "taker", -333, BTC)
    assert margin.read("MarginMarket.account_of", trader("maker")).markets == 3
    with reverts("margin_market: initial margin"):
        fill(margin, "maker", "taker", -1, BTC)
    move(margin, "WETH", 2_500)
    fill(margin, "maker", "taker", -400, BTC)
    assert worth(margin, "maker").equity == 9_000 * WAD
    assert books(margin) == 0


def test_initial_margin_to_the_wei(margin):
    stage(margin, taker=20_000)
    deposit(margin, "maker", 2_000 * WAD - 1)
    with reverts("margin_market: initial margin"):
        fill(margin, "maker", "taker", 1_000)
    deposit(margin, "maker", 1)
    fill(margin, "maker", "taker", 1_000)


def test_large_positions_and_large_markets_need_more(new_protocol):
    """Brackets are continuous: nothing is gained at an edge, nor by splitting what the market sees."""
    made = opened(new_protocol)
    brackets = {"of_accounts": ((10_000, 1_000), (0, 0)), "of_market": ((20_000, 2_000), (0, 0))}
    made.do("MarginPolicy.set_terms", ETH, terms(**brackets), sender="admin")
    stage(made, taker=100_000)
    # 10,000 at a tenth, and 6,000 more at a fifth.
    deposit(made, "maker", 2_200 * WAD - 1)
    with reverts("margin_market: initial margin"):
        fill(made, "maker", "taker", 800)
    deposit(made, "maker", 1)
    fill(made, "maker", "taker", 800)
    # 8,000 more, of which 4,000 are above what the market bears at a tenth.
    deposit(made, "third", 1_600 * WAD - 1)
    with reverts("margin_market: initial margin"):
        fill(made, "third", "taker", 400)
    deposit(made, "third", 1)
    fill(made, "third", "taker", 400)


@pytest.mark.parametrize(
    ("lots", "price", "reason"),
    [
        (2**63, 20 * WAD, "margin_book: too many lots"),
        (2**62, bounds.MAX_LOT_PRICE, "margin_book: beyond all figures"),
        (1, bounds.MAX_LOT_PRICE + 1, "margin_market: price bounds"),
        (1, 0, "margin_market: price bounds"),
    ],
)
def test_beyond_all_figures(margin, lots, price, reason):
    with reverts(reason):
        fill(margin, "maker", "taker", lots, price=price)


def test_more_than_all_lots(open_interest):
    with reverts("margin_book: too much is open"):
        fill(open_interest, "third", "taker", 2**63 - 1, price=1)


@pytest.mark.parametrize("field", [{"longs": 2**32 - 1}, {"shorts": 2**32 - 1}])
def test_more_accounts_than_are_counted(open_interest, field):
    """Nobody can have so many: only the counter is set."""
    both = open_interest.lockstep
    both.state_check = None
    table = both.model.world.contracts["MarginMarket"].tables["margin_book.interests"]
    table[ETH] = table[ETH]._replace(**field)
    both.load(State(words_of(both.model.world)))
    with reverts("margin_book: beyond all counts"):
        fill(open_interest, *(("third", "taker") if "longs" in field else ("maker", "third")), 1)


def test_the_open_limit(open_interest):
    """Within it all can trade; above it only what does not add to it."""
    for limit in (1_100, 500):
        open_interest.do("MarginPolicy.set_terms", ETH, terms(open_limit=limit), sender="admin")
        with reverts("margin_market: open limit"):
            fill(open_interest, "third", "taker", 101)
        fill(open_interest, "third", "maker", 100)
    fill(open_interest, "taker", "third", 50)
    assert interest(open_interest).open == 950


def test_unknown_markets(margin):
    with reverts("margin_market: unknown market"):
        fill(margin, "maker", "taker", 1, 2, price=1)
    with reverts("margin_market: no such market"):
        margin.do("MarginMarket.accrue", 2, sender="stranger")


def test_orders_only(margin):
    with reverts("margin_market: not orders"):
        margin.do(
            "MarginMarket.trade", 0, trader("maker"), trader("taker"), 1, 1, False, False, sender="admin"
        )


def test_an_order_that_may_only_reduce(open_interest):
    with reverts("margin_market: would not reduce"):
        fill(open_interest, "third", "maker", 1, reduce_only=True)
    with reverts("margin_market: would not reduce"):
        fill(open_interest, "taker", "maker", 1_001, reduce_only=True)
    fill(open_interest, "taker", "maker", 1_000, reduce_only=True)


def test_reducing_needs_no_mode_and_no_fresh_price(new_protocol):
    made = opened(new_protocol, with_margin(with_guards()))
    stage(made, maker=3_000, taker=20_000)
    fill(made, "maker", "taker", 1_000)
    set_mode(made, EMERGENCY)
    with reverts("margin_market: emergency"):
        fill(made, "maker", "taker", 1)
    made.advance(10 * 86_400)
    fill(made, "taker", "maker", 400)
    set_mode(made, 0)
    with reverts("margin_policy: no price for risk"):
        fill(made, "maker", "taker", 1)
    fill(made, "taker", "maker", 600)
    assert interest(made).open == 0


def test_no_new_risk_in_settlement(open_interest):
    settle(open_interest)
    with reverts("margin_market: in settlement"):
        fill(open_interest, "maker", "taker", 1)
    fill(open_interest, "taker", "maker", 1_000)


def test_an_account_in_trouble_reduces_at_fair_prices(open_interest):
    """Under its maintenance margin a price may be worse by what the margin relieved allows, no more."""
    move(open_interest, "WETH", 1_740)
    assert worth(open_interest, "maker").equity == 400 * WAD
    # 100 lots relieve 87 of maintenance margin; one wei a lot more is refused.
    least = price_of(open_interest) - 87 * WAD // 100
    with reverts("margin_market: margin would fall"):
        fill(open_interest, "taker", "maker", 100, price=least - 1)
    fill(open_interest, "taker", "maker", 100, price=least)
    with reverts("margin_market: initial margin"):
        fill(open_interest, "maker", "taker", 1)


def test_nobody_leaves_a_loss_to_others(open_interest):
    """A solvent account sells low to its friend, and would keep the debt."""
    with reverts("margin_market: insolvent"):
        fill(open_interest, "taker", "maker", 1_000, price=17 * WAD - 1)
    fill(open_interest, "taker", "maker", 1_000, price=17 * WAD)
    assert cash(open_interest, "maker") == 0


def test_a_price_that_everybody_knows_opens_nothing(margin):
    """Two friends, one long and one short, before a fall that the feed has announced already."""
    stage(margin, maker=2_500, taker=2_500)
    margin.post_next("WETH", 1_000 * RAY)
    with reverts("margin_market: initial margin"):
        fill(margin, "maker", "taker", 1_000)


def test_a_frozen_market_only_shrinks(open_interest):
    move(open_interest, "WETH", 1_500)
    fill(open_interest, "third", "taker", 100)
    begin(open_interest, "maker")
    with reverts("margin_market: only reduce now"):
        fill(open_interest, "third", "taker", 1)
    fill(open_interest, "taker", "third", 50)
    assert interest(open_interest).open == 1_050


def test_a_gain_that_may_have_to_pay_stays(open_interest):
    """The short has gained 5,000 and could hand it to a friend, at a bad price, in another market."""
    move(open_interest, "WETH", 1_500)
    stage(open_interest, fourth=20_000)
    fill(open_interest, "fourth", "taker", 100, BTC)
    begin(open_interest, "maker")
    assert worth(open_interest, "taker").equity == 25_000 * WAD
    with reverts("margin_market: gain is reserved"):
        fill(open_interest, "taker", "fourth", 100, BTC, price=price_of(open_interest, BTC) + 201 * WAD)
    fill(open_interest, "taker", "fourth", 100, BTC, price=price_of(open_interest, BTC) + 199 * WAD)
    # Its standing is what it was.
    assert open_interest.read("MarginDeleverager.standing_of", trader("taker")).gain == 5_000 * WAD


def test_a_market_listed_in_a_freeze_waits(open_interest):
    move(open_interest, "WETH", 1_500)
    begin(open_interest, "maker")
    open_interest.do("MarginPolicy.add_market", 2, WAD, terms(), sender="admin")
    with reverts("margin_market: listing waits"):
        fill(open_interest, "third", "taker", 1, 2)
    open_interest.advance(3_601)
    move(open_interest, "WETH", 1_500)
    fill(open_interest, "third", "taker", 1, 2)


def test_events(margin):
    stage(margin, maker=3_000, taker=3_000)
    fill(margin, "maker", "taker", 100)
    names = [log.event for log in margin.last.logs]
    assert names == ["Filled", "FundingSet", "PositionChanged", "PositionChanged"]
    assert event(margin, "Filled", "MarginOrders")[2:5] == (ETH, 100, 20 * WAD)
