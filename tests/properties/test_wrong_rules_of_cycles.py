"""Rules of the margin market made wrong, as if in contract and model alike: a property notices."""

import pytest

from backstop.contract_base import external, view
from backstop.model import cycle_losses, margin_policy, perpetual_market, perpetual_trading, price_path
from backstop.model.arithmetic import RAY, WAD
from backstop.model.cycle_book import CycleBook
from backstop.model.cycle_losses import CycleLosses
from backstop.model.interfaces import Mark, SideTotals, Standing
from backstop.model.margin_fund import MarginFund
from backstop.model.margin_policy import MarginPolicy
from backstop.model.perpetual_market import PerpetualMarket as Market
from backstop.model.perpetual_trading import Marks
from backstop.model.perpetual_trading import PerpetualTrading as Desk
from backstop.model.price_feed import PriceFeed
from backstop.model.price_path import SHORT, Moves, PricePath
from backstop.model.settlement_price import Closing
from backstop.model.vault_engine import VaultEngine
from backstop.proof.properties import PropertyViolationError, check_state_properties
from tests.support.market_delisting import advance_to_moment, announce_delisting, step_feeds_through_prices
from tests.support.model_only_perpetuals_with_properties import (
    expect_violation_of_property,
    open_watched_crowd_on_model,
)
from tests.support.perpetual_test_market import BTC, ETH, HOUSE, RULES, TRADING


@pytest.fixture
def crowd():
    return open_watched_crowd_on_model()


def anything_goes(holds, reason):
    """In place of `require`: nothing is refused."""


def steady(price):
    """A mark of a price that stood still [wei a lot]."""
    return Mark(price, price, price)


def withdraw(market, name, amount):
    return market.do(
        f"{HOUSE}.withdraw", amount, market.get_contract_or_account_address("wallet"), sender=name
    )


def meet(market, name):
    market.do(f"{HOUSE}.seize_insolvent", market.get_contract_or_account_address(name), sender="keeper")


def roll_at_once(market):
    market.advance_clock(RULES.window)
    market.do(f"{HOUSE}.advance_cycle", sender="keeper")


def fail(market):
    """The long loses 4,000 of 3,000, and its cycle is pending."""
    market.mark(ETH, 16 * WAD)
    market.advance_cycle()


def is_late(market):
    """The long's loss is booked too late for any gain, and the protocol bears nothing."""
    market.set_loss_line_to_zero()
    market.mark(ETH, 16 * WAD)
    for _ in range(2):
        market.advance_cycle()
    market.seize_insolvent("long")


# ------------------------------------------------------------------------- states


def tamper(market, path, key, change):
    table = market.market.tables[path]
    table[key] = change if isinstance(change, int) else table[key]._replace(**change)


@pytest.mark.parametrize(
    ("path", "key", "change"),
    [
        ("cycle_book.accounts", "long", {"cash": 1}),
        ("cycle_book.accounts", "long", {"markets": 0}),
        ("cycle_book.positions", ("long", ETH), {"size": 999}),
        ("price_path.lots", ETH, {"long": 999}),
        ("price_path.values", ETH, {"short": 1}),
        ("cycle_book.bonds", (), 1),
        ("cycle_book.fees", (), 1),
        ("price_path.pot", (), {"value": 1}),
        ("cycle_losses.held", (), 1),
        ("cycle_losses.late", (), 1),
    ],
)
def test_books_that_do_not_balance(crowd, path, key, change):
    if key:
        key = (crowd.get_contract_or_account_address(key[0]), key[1]) if isinstance(key, tuple) else key
        key = crowd.get_contract_or_account_address(key) if isinstance(key, str) else key
    tamper(crowd, path, key, change)
    with pytest.raises(PropertyViolationError, match=r"^property 84 is violated: "):
        check_state_properties(crowd.model.snapshot(), crowd.model.addresses)


def test_more_held_than_there_is(crowd):
    """An account's cash rises with a booking, and no coin came."""
    owner = crowd.get_contract_or_account_address("other")
    cash = crowd.market.accounts[owner].cash
    tamper(crowd, "cycle_book.accounts", owner, {"cash": cash + 1})
    tamper(crowd, "cycle_losses.held", (), crowd.market.holdings[()] + 1)
    with pytest.raises(PropertyViolationError, match=r"^property 84 is violated: the market has booked"):
        check_state_properties(crowd.model.snapshot(), crowd.model.addresses)


@pytest.mark.parametrize(
    ("path", "key", "change"),
    [
        ("cycle_book.losses", (ETH, 1), {"short": 4_000 * WAD + 1}),
        ("cycle_book.losses", (ETH, 1), {"long": 1}),
        ("price_path.paths", ETH, {"price": 2**94}),
        ("price_path.totals", (ETH, 2), {"long": 2**124}),
        ("price_path.fundings", ETH, {"level": 2**110}),
        ("price_path.values", BTC, {"long": 2**109}),
    ],
)
def test_figures_beyond_what_they_may_be(crowd, path, key, change):
    fail(crowd)
    tamper(crowd, path, key, change)
    with pytest.raises(PropertyViolationError, match=r"^property 85 is violated: "):
        check_state_properties(crowd.model.snapshot(), crowd.model.addresses)


# --------------------------------------------------------------------------- cash


def test_the_first_is_paid_in_whole(crowd, monkeypatch):
    is_late(crowd)
    right = Market.withdraw

    @external
    def in_whole(self, sender, amount, receiver):
        late, self.late_table[()] = self.late_table[()], 0
        paid = right(self, sender, amount, receiver)
        self.late_table[()] = late
        return paid

    monkeypatch.setattr(Market, "withdraw", in_whole)
    expect_violation_of_property(86, lambda: withdraw(crowd, "other", 3_400 * WAD))


def test_gains_leave_before_they_are_final(crowd, monkeypatch):
    crowd.mark(ETH, 18 * WAD)
    crowd.trade("first", "other", 500)
    monkeypatch.setattr(
        Market,
        "_compute_standing",
        lambda self, owner: Standing(self._compute_account_value_at_marks(owner), 0, 0),
    )
    expect_violation_of_property(86, lambda: withdraw(crowd, "first", 10_001 * WAD))


def test_a_profit_is_locked_for_somebody_else(crowd, monkeypatch):
    crowd.market.deposits[crowd.get_contract_or_account_address("other")] = 0
    right, stranger = MarginFund.lock, crowd.get_contract_or_account_address("stranger")

    @external
    def lock(self, sender, owner, amount):
        right(self, sender, stranger, amount)

    monkeypatch.setattr(MarginFund, "lock", lock)
    expect_violation_of_property(86, lambda: withdraw(crowd, "other", WAD))


@pytest.mark.parametrize("factor", [0, 2])
def test_a_deposit_that_is_credited_otherwise(crowd, monkeypatch, factor):
    right = CycleBook._change_account_cash
    monkeypatch.setattr(
        CycleBook, "_change_account_cash", lambda self, owner, amount: right(self, owner, factor * amount)
    )
    expect_violation_of_property(86, lambda: crowd.deposit("other", WAD))


# ------------------------------------------------------------------------- trades


def test_fees_rounded_down(monkeypatch):
    crowd = open_watched_crowd_on_model(taker_fee=5)
    crowd.mark(ETH, 20 * WAD + 1)
    monkeypatch.setattr(perpetual_trading, "_compute_fee", lambda notional, share: notional * share // 10_000)
    expect_violation_of_property(87, lambda: crowd.trade("other", "first", 1))


def test_no_fee_for_a_premium(crowd, monkeypatch):
    monkeypatch.setattr(Desk, "_premium_fee", lambda *_: 0)
    expect_violation_of_property(87, lambda: crowd.trade("other", "first", 10, price=20 * WAD + WAD // 20))


def test_trades_outside_the_band(crowd, monkeypatch):
    monkeypatch.setattr(perpetual_trading, "require", anything_goes)
    expect_violation_of_property(87, lambda: crowd.trade("other", "first", 10, price=21 * WAD))


def test_more_open_than_the_limit(crowd, monkeypatch):
    policy = crowd.world.contracts["MarginPolicy"]
    policy.underlyings[ETH] = policy.underlyings[ETH]._replace(open_limit=1_005)
    monkeypatch.setattr(perpetual_trading, "require", anything_goes)
    expect_violation_of_property(87, lambda: crowd.trade("long", "other", 10))


def test_lots_for_nobody(crowd, monkeypatch):
    """A third account gets a lot of each trade."""
    right, third = CycleBook._trade_lots, crowd.get_contract_or_account_address("third")

    def move(self, owner, market, delta, at):
        right(self, owner, market, delta, at)
        if delta > 0:
            right(self, owner, market, -1, at)
            self._settle_missed_cycles(third)
            right(self, third, market, 1, at)

    monkeypatch.setattr(CycleBook, "_trade_lots", move)
    expect_violation_of_property(87, lambda: crowd.trade("other", "first", 10))


@pytest.mark.parametrize("check", ["_check_risk", "_check_reduced", "_check_solvent"])
def test_no_check_of_margins(crowd, monkeypatch, check):
    if check == "_check_risk":
        play = lambda: crowd.trade("long", "other", 600)  # noqa: E731
    elif check == "_check_reduced":
        # Under its maintenance margin, it sells cheap.
        crowd = open_watched_crowd_on_model(band=1_000)
        crowd.mark(ETH, 171 * WAD // 10)
        play = lambda: crowd.trade("long", "other", -10, price=156 * WAD // 10)  # noqa: E731
    else:
        crowd.mark(ETH, 1_699 * WAD // 100)
        monkeypatch.setattr(Desk, "_check_reduced", lambda *_: None)
        play = lambda: crowd.trade("long", "other", -100)  # noqa: E731
    monkeypatch.setattr(Desk, check, lambda *_: None)
    expect_violation_of_property(88, play)


def test_risk_at_marks_of_a_minute_ago(crowd, monkeypatch):
    crowd.advance_clock(61)
    monkeypatch.setattr(
        Desk, "_mark_markets_of_account", lambda self, owner: Marks(perpetual_trading.ALL, False, 0, 0)
    )
    expect_violation_of_property(88, lambda: crowd.trade("other", "first", 600))


@pytest.mark.parametrize(("number", "end"), [(88, "worse"), (89, "better")])
def test_one_end_of_a_range_does_not_count(crowd, monkeypatch, number, end):
    """Risk, or a liquidation, at the price of the second that a caller has picked."""
    right = Desk._mark_markets_of_account

    def mark_all(self, owner):
        found = right(self, owner)
        return found._replace(worse=0) if end == "worse" else found._replace(better=0)

    monkeypatch.setattr(Desk, "_mark_markets_of_account", mark_all)
    if end == "worse":
        crowd.mark(ETH, 20 * WAD, 10 * WAD, 20 * WAD)
        expect_violation_of_property(number, lambda: crowd.trade("other", "first", 1_500))
    else:
        crowd.mark(ETH, 178 * WAD // 10, 178 * WAD // 10, 20 * WAD)
        taken = crowd.get_contract_or_account_address("long"), ETH, 100
        expect_violation_of_property(number, lambda: crowd.do(f"{TRADING}.liquidate", *taken, sender="other"))


def test_gains_that_are_not_final_open_risk(crowd, monkeypatch):
    crowd.mark(ETH, 18 * WAD)
    right = CycleBook._compute_standing
    monkeypatch.setattr(
        CycleBook, "_compute_standing", lambda self, owner: right(self, owner)._replace(unfinal=0)
    )
    # With its gain of 1,000 it would have room for 11,000 lots.
    expect_violation_of_property(
        88, lambda: [crowd.deposit("other", 10**6 * WAD), crowd.trade("other", "first", 5_400)]
    )


@pytest.mark.parametrize("wrong", [lambda reward: reward + 1, lambda reward: 0, lambda reward: 2 * reward])
def test_another_reward(crowd, monkeypatch, wrong):
    crowd.mark(ETH, 178 * WAD // 10)
    right = margin_policy._compute_liquidator_reward
    monkeypatch.setattr(margin_policy, "_compute_liquidator_reward", lambda *args: wrong(right(*args)))
    expect_violation_of_property(
        89,
        lambda: crowd.do(
            f"{TRADING}.liquidate", crowd.get_contract_or_account_address("long"), ETH, 100, sender="other"
        ),
    )


@pytest.mark.parametrize("price", [178 * WAD // 10, 20 * WAD])
def test_who_is_safe_loses_lots(crowd, monkeypatch, price):
    """More than it needs, or under no shortage at all."""
    crowd.mark(ETH, price)
    monkeypatch.setattr(margin_policy, "_is_short", lambda terms, takeover, lots: True)
    monkeypatch.setattr(perpetual_trading, "require", anything_goes)
    expect_violation_of_property(
        89,
        lambda: crowd.do(
            f"{TRADING}.liquidate", crowd.get_contract_or_account_address("long"), ETH, 990, sender="other"
        ),
    )


def test_lots_go_at_a_final_price(crowd, monkeypatch):
    advance_to_moment(crowd, announce_delisting(crowd), 1_780)
    step_feeds_through_prices(crowd, [1_780] * 6)
    monkeypatch.setattr(perpetual_trading, "require", anything_goes)
    expect_violation_of_property(
        89,
        lambda: crowd.do(
            f"{TRADING}.liquidate", crowd.get_contract_or_account_address("long"), ETH, 100, sender="other"
        ),
    )


def test_fewer_lots_go_than_are_asked_for_and_needed(crowd, monkeypatch):
    crowd.mark(ETH, 178 * WAD // 10)
    monkeypatch.setattr(margin_policy, "_is_short", lambda terms, takeover, lots: lots < 50)
    expect_violation_of_property(
        89,
        lambda: crowd.do(
            f"{TRADING}.liquidate", crowd.get_contract_or_account_address("long"), ETH, 400, sender="other"
        ),
    )


# -------------------------------------------------------------------------- marks


def test_old_reports_make_a_mark(crowd, monkeypatch):
    crowd.report(ETH, 1_900 * 10**27)
    crowd.advance_clock(61)
    right = PriceFeed._compute_median_mark
    monkeypatch.setattr(
        PriceFeed, "_compute_median_mark", lambda self, c, config, _: right(self, c, config, config.max_age)
    )
    expect_violation_of_property(90, lambda: crowd.do(f"{HOUSE}.accrue", ETH, sender="keeper"))


def test_one_reporter_makes_a_mark(crowd, monkeypatch):
    crowd.advance_clock(61)
    crowd.say("reporter_1", ETH, 1_900 * 10**27)

    def mark(self, c, config, age):
        report = self.reports[c, 1]
        return Mark(report.price, *report.ends)

    monkeypatch.setattr(PriceFeed, "_compute_median_mark", mark)
    expect_violation_of_property(90, lambda: crowd.do(f"{HOUSE}.accrue", ETH, sender="keeper"))


def test_a_mark_that_is_not_brought_up_to_now(crowd, monkeypatch):
    crowd.report(ETH, 1_900 * 10**27)
    monkeypatch.setattr(PricePath, "_move_market_to_policy_mark", lambda self, market: steady(19 * WAD))
    expect_violation_of_property(90, lambda: crowd.do(f"{HOUSE}.accrue", ETH, sender="keeper"))


# ---------------------------------------------------------------------- strangers


def test_waking_somebody_pays(crowd, monkeypatch):
    @external
    def wake(self, sender, owner):
        self._settle_missed_cycles(owner)
        self._settle_missed_cycles(sender)
        self._change_account_cash(owner, -1)
        self._change_account_cash(sender, 1)

    monkeypatch.setattr(Market, "update_account", wake)
    expect_violation_of_property(
        91,
        lambda: crowd.do(
            f"{HOUSE}.update_account", crowd.get_contract_or_account_address("first"), sender="stranger"
        ),
    )


def test_a_bond_for_somebody_else(monkeypatch):
    crowd = open_watched_crowd_on_model(third_bond=WAD)
    right, friend = CycleBook._pay_finder, crowd.get_contract_or_account_address("friend")
    monkeypatch.setattr(
        CycleBook, "_pay_finder", lambda self, owner, half, _, more: right(self, owner, half, friend, more)
    )
    crowd.mark(ETH, 16 * WAD)
    expect_violation_of_property(91, lambda: meet(crowd, "long"))


def test_a_whole_bond_for_half_of_the_work(monkeypatch):
    crowd = open_watched_crowd_on_model(third_bond=WAD)
    right = CycleBook._pay_finder

    def pay(self, owner, half, finder, more):
        right(self, owner, 1, finder, 0)
        right(self, owner, 2, finder, more)

    monkeypatch.setattr(CycleBook, "_pay_finder", pay)
    crowd.mark(ETH, 16 * WAD)
    expect_violation_of_property(91, lambda: meet(crowd, "long"))


@pytest.mark.parametrize("more, number", [(1, 91), (-1, 96)])
def test_another_pay_for_booking_a_loss(monkeypatch, more, number):
    """By a part: more than the time that the cycle has been pending gives, or less."""
    crowd = open_watched_crowd_on_model(third_bond=WAD)
    right = CycleBook._pay_finder

    def pay(self, owner, half, finder, paid):
        right(self, owner, half, finder, paid + more * bool(paid))

    monkeypatch.setattr(CycleBook, "_pay_finder", pay)
    crowd.mark(ETH, 16 * WAD)
    meet(crowd, "long")
    crowd.advance_cycle()
    crowd.advance_clock(RULES.window // 2)
    expect_violation_of_property(number, lambda: meet(crowd, "long"))


# -------------------------------------------------------------------------- rolls


@pytest.mark.parametrize("seconds", [RULES.window - 1, RULES.window])
def test_a_roll_before_its_time(crowd, monkeypatch, seconds):
    """Before the window has passed, or with the quiet after a booking not over."""
    crowd.advance_cycle()
    if seconds == RULES.window:
        fail(crowd)
        crowd.advance_clock(seconds - 10)
        crowd.report_current_prices_again()
        crowd.seize_insolvent("long")
        seconds = 10
    monkeypatch.setattr(cycle_losses, "require", anything_goes)
    crowd.advance_clock(seconds)
    expect_violation_of_property(92, lambda: crowd.do(f"{HOUSE}.advance_cycle", sender="keeper"))


def test_a_booking_of_nothing(crowd, monkeypatch):
    """It keeps the window open."""
    monkeypatch.setattr(perpetual_market, "require", anything_goes)
    expect_violation_of_property(92, lambda: meet(crowd, "first"))


# ----------------------------------------------------------------------- haircuts


def test_a_haircut_that_is_rounded_down(crowd, monkeypatch):
    """A third of all gains at a price that does not divide."""
    crowd.trade("other", "first", 167)
    crowd.mark(ETH, 16 * WAD + 7)
    crowd.advance_cycle()
    crowd.wake_all()
    crowd.seize_repeatedly_and_count_rounds()
    monkeypatch.setattr("backstop.model.cycle_book.div_up", lambda a, b: a // b)
    expect_violation_of_property(93, lambda: [crowd.advance_cycle(), crowd.wake_all()])


def test_a_sleepers_gain_is_not_cut(crowd, monkeypatch):
    fail(crowd)
    crowd.wake_all()
    crowd.seize_repeatedly_and_count_rounds()
    right = CycleBook._compute_pending_haircut_amount
    second = crowd.get_contract_or_account_address("second")
    monkeypatch.setattr(
        CycleBook,
        "_compute_pending_haircut_amount",
        lambda self, owner, markets: 0 if owner == second else right(self, owner, markets),
    )
    expect_violation_of_property(93, lambda: [crowd.advance_cycle(), crowd.wake_all()])


def test_all_that_was_booked_is_given(crowd, monkeypatch):
    """Also to a debtor that has recovered by itself."""
    fail(crowd)
    crowd.seize_repeatedly_and_count_rounds()
    crowd.deposit("long", 500 * WAD)
    monkeypatch.setattr("backstop.model.cycle_book.min", lambda a, b: a, raising=False)
    expect_violation_of_property(93, crowd.advance_cycle)


# --------------------------------------------------------------------- settlement


@pytest.fixture
def at_the_end(crowd):
    """Final prices are there, and the protocol is in settlement."""
    crowd.do("Settlement.announce", sender="admin")
    crowd.advance_clock(30 * 86_400)
    step_feeds_through_prices(crowd, [2_000] * 2)
    crowd.do("Settlement.begin", sender="stranger")
    step_feeds_through_prices(crowd, [2_000] * 7)
    return crowd


def test_an_end_without_a_final_price(crowd, monkeypatch):
    monkeypatch.setattr(perpetual_market, "require", anything_goes)
    monkeypatch.setattr(Market, "_move_market_to_price", lambda *_: None)
    expect_violation_of_property(94, lambda: crowd.do(f"{HOUSE}.end_market", ETH, sender="stranger"))


@pytest.mark.parametrize("wrong", ["price", "funding"])
def test_other_final_prices(at_the_end, monkeypatch, wrong):
    if wrong == "price":
        right = Market._move_market_to_price
        monkeypatch.setattr(
            Market, "_move_market_to_price", lambda self, m, price, final: right(self, m, price + 1, final)
        )
    else:
        right = Market._move_market_to_price

        def walk(self, m, price, final):
            right(self, m, price, final)
            self.fundings[m] = self.fundings[m]._replace(rate=1)

        monkeypatch.setattr(Market, "_move_market_to_price", walk)
    expect_violation_of_property(94, lambda: at_the_end.do(f"{HOUSE}.end_market", ETH, sender="stranger"))


def test_lots_that_stay_in_a_market_that_has_ended(at_the_end, monkeypatch):
    at_the_end.do(f"{HOUSE}.end_market", ETH, sender="stranger")
    monkeypatch.setattr(Market, "_close_positions_at_marks", lambda *_: None)
    expect_violation_of_property(
        94,
        lambda: at_the_end.do(
            f"{HOUSE}.update_account", at_the_end.get_contract_or_account_address("first"), sender="stranger"
        ),
    )


def test_a_market_that_goes_on(at_the_end, monkeypatch):
    at_the_end.do(f"{HOUSE}.end_market", ETH, sender="stranger")
    monkeypatch.setattr(Market, "_has_ended", lambda *_: False)
    at_the_end.report(ETH, 1_500 * RAY)
    monkeypatch.setattr(MarginPolicy, "mark_price", view(lambda *_: steady(15 * WAD)))
    expect_violation_of_property(90, lambda: at_the_end.do(f"{HOUSE}.accrue", ETH, sender="stranger"))


def test_an_end_in_settlement_that_is_not_noted(at_the_end, monkeypatch):
    right = Market._end_market_at_price

    def end(self, market, price):
        right(self, market, price)
        monkeypatch.setattr(VaultEngine, "in_settlement", view(lambda *_: False))

    monkeypatch.setattr(Market, "_end_market_at_price", end)
    expect_violation_of_property(94, lambda: at_the_end.do(f"{HOUSE}.end_market", ETH, sender="stranger"))


def test_a_new_position_in_a_market_that_is_delisted(crowd, monkeypatch):
    announce_delisting(crowd)
    monkeypatch.setattr(Desk, "_is_delisted", lambda *_: False)
    expect_violation_of_property(94, lambda: crowd.trade("other", "first", 10))


def test_a_mark_of_the_second_while_a_price_is_made(crowd, monkeypatch):
    advance_to_moment(crowd, announce_delisting(crowd), 2_000)
    step_feeds_through_prices(crowd, [2_000] * 3)
    of_now = view(lambda self, sender, c, age, at: self._compute_median_mark(c, self.configs[c], age))
    monkeypatch.setattr(PriceFeed, "mark_within", of_now)
    expect_violation_of_property(90, lambda: crowd.mark(ETH, 19 * WAD))


def test_a_final_price_of_seconds_that_do_not_count(crowd, monkeypatch):
    """Three hours are as if a price had waited in them, so three later ones are in their place."""
    advance_to_moment(crowd, announce_delisting(crowd), 2_000)
    right = Closing.count_time

    def counted(self, market, now):
        return right(self, market._replace(waits=True), now)

    monkeypatch.setattr(Closing, "count_time", counted)
    step_feeds_through_prices(crowd, [2_000, 1_800, 1_900])
    monkeypatch.setattr(Closing, "count_time", right)
    step_feeds_through_prices(crowd, [1_700] * 6)
    expect_violation_of_property(75, lambda: crowd.do(f"{HOUSE}.end_market", ETH, sender="stranger"))


def test_new_funding_in_a_market_that_is_delisted(crowd, monkeypatch):
    crowd.trade("other", "first", 10, price=20 * WAD + WAD // 20)
    announce_delisting(crowd)
    monkeypatch.setattr(
        MarginPolicy, "max_funding_premium", view(lambda self, sender, m, price: price * 75 // 10_000)
    )
    expect_violation_of_property(
        95, lambda: [crowd.advance_clock(3_601), crowd.report_current_prices_again()]
    )


def test_who_is_first_leaves_before_losses_are_final(at_the_end, monkeypatch):
    for market in (ETH, BTC):
        at_the_end.do(f"{HOUSE}.end_market", market, sender="stranger")
    monkeypatch.setattr(perpetual_market, "require", anything_goes)
    expect_violation_of_property(86, lambda: withdraw(at_the_end, "other", 9_000 * WAD))


# ------------------------------------------------------------------------ funding


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("INTERVAL", 1_800),
        ("divide_signed", lambda a, b: a // b),
        ("PERIOD", 14_400),
    ],
)
def test_other_funding(crowd, monkeypatch, name, wrong):
    crowd.trade("other", "first", 10, price=20 * WAD - WAD // 20)
    monkeypatch.setattr(price_path, name, wrong)

    def play():
        for _ in range(3):
            crowd.advance_clock(1_900)
            crowd.report_current_prices_again()

    expect_violation_of_property(95, play)


def test_funding_watered_down_by_volume(crowd, monkeypatch):
    crowd.trade("other", "first", 10, price=20 * WAD + WAD // 20)
    right = PricePath._update_market_funding_rate

    def accrue(self, market):
        lots, self.lots[market] = self.lots[market], SideTotals(10**6, 10**6)
        right(self, market)
        self.lots[market] = lots

    monkeypatch.setattr(PricePath, "_update_market_funding_rate", accrue)
    expect_violation_of_property(
        95, lambda: [crowd.advance_clock(3_601), crowd.report_current_prices_again()]
    )


# ------------------------------------------------------------ what follows from it


def half_a_turn(self, market, price, final):
    """A turn is an eighth of the maintenance margin."""
    right = self.policy.__class__.maintenance
    with pytest.MonkeyPatch.context() as patch:
        halved = view(lambda policy, sender, m, notional: right(policy, sender, m, notional) // 2)
        patch.setattr(self.policy.__class__, "maintenance", halved)
        RIGHT_WALK(self, market, price, final)


def one_move_for_both(self, owner, market, cycle, moves):
    """A short gains what a long gains."""
    since, size = self.since[owner, market], abs(self.positions[owner, market].size)
    by = size * (moves.gained - since.gained), size * (moves.lost - since.lost)
    key = owner, market, cycle % 2
    self.gained[key], self.lost[key] = SideTotals(by[0], 0), SideTotals(by[1], 0)
    self.since[owner, market] = moves


def all_of_a_move(self, market, falling, moved):
    """Credit the whole move to the winners, however few are there to pay."""
    lots = self.lots[market]
    winners, losers = (lots.short, lots.long) if falling else lots
    return (moved, winners * moved, losers) if winners and losers else (0, 0, 1)


def nothing_for_the_other_side(self, market, old, size):
    """Lots that are taken from a debtor are taken from the other side as well."""
    lots = self.lots[market]
    long = lots.long + max(size, 0) - max(old, 0)
    short = lots.short + max(-size, 0) - max(-old, 0)
    self.lots[market] = (
        SideTotals(min(long, short), min(long, short)) if size == 0 else SideTotals(long, short)
    )


RIGHT_WALK = PricePath._move_market_to_price


@pytest.mark.parametrize(
    ("owner", "name", "wrong"),
    [
        (PricePath, "_move_market_to_price", half_a_turn),
        (CycleBook, "_add_cycle_gains_and_losses", one_move_for_both),
        (CycleBook, "_cap_deposits_at_roll_worth", lambda self, owner: None),
        (Market, "_close_positions_of_debtor", lambda self, owner, finder: False),
    ],
)
def test_what_does_not_follow(crowd, monkeypatch, owner, name, wrong):
    """A story with jumps, turns and rebounds, in two markets, with losses in time and late."""
    crowd.do("MarginFund.insure", 100 * WAD, sender="rich")
    for each in ("both", "thin"):
        crowd.deposit(each, 2_000 * WAD)
    crowd.trade("both", "other", 100)
    crowd.trade("other", "both", 50, BTC)
    crowd.trade("thin", "other", 900)
    monkeypatch.setattr(owner, name, wrong)

    def play():
        crowd.mark(ETH, 196 * WAD // 10)
        crowd.mark(ETH, 1_975 * WAD // 100)
        crowd.mark(BTC, 65 * WAD)
        crowd.mark(ETH, 16 * WAD)
        roll_at_once(crowd)
        crowd.report_current_prices_again()
        crowd.seize_repeatedly_and_count_rounds()
        crowd.mark(ETH, 18 * WAD)
        crowd.seize_repeatedly_and_count_rounds()
        roll_at_once(crowd)
        crowd.report_current_prices_again()
        crowd.deposit("thin", WAD)
        crowd.trade("both", "other", 1)
        crowd.mark(ETH, 10 * WAD)
        crowd.mark(BTC, 95 * WAD)
        for _ in range(3):
            crowd.seize_insolvent("both")
            roll_at_once(crowd)
            crowd.refresh()
        crowd.update_and_seize()
        crowd.mark(ETH, 12 * WAD)
        for _ in range(3):
            roll_at_once(crowd)
            crowd.wake_all()

    expect_violation_of_property(96, play)


@pytest.mark.parametrize(
    ("number", "name", "wrong"),
    [
        (96, "_split_move_between_sides", all_of_a_move),
        (87, "_compute_worth", lambda self, market, size: size * self.values[market].long),
    ],
)
def test_what_others_gain_of_lots_that_are_nobodys(crowd, monkeypatch, number, name, wrong):
    crowd.mark(ETH, 16 * WAD)
    monkeypatch.setattr(PricePath, name, wrong)

    def play():
        crowd.seize_insolvent("long")
        crowd.do(f"{TRADING}.take", ETH, 300, sender="other")
        for price in (15, 17):
            crowd.mark(ETH, price * WAD)
            crowd.do(
                f"{HOUSE}.update_account", crowd.get_contract_or_account_address("other"), sender="keeper"
            )
        crowd.trade("first", "other", 1)

    expect_violation_of_property(number, play)


def test_the_other_side_loses_its_lots_too(crowd, monkeypatch):
    crowd.mark(ETH, 16 * WAD)
    monkeypatch.setattr(PricePath, "_update_open_lots", nothing_for_the_other_side)
    crowd.seize_insolvent("long")
    with pytest.raises(
        PropertyViolationError, match=r"^property 84 is violated: of market 0 0 are long, 1000 short"
    ):
        check_state_properties(crowd.model.snapshot(), crowd.model.addresses)


def test_moves_that_a_sleeper_forgets(crowd, monkeypatch):
    """It skips cycles, and the moves of the last with them."""
    right = CycleBook._settle_final_cycles

    def skip(self, owner):
        right(self, owner)
        for market in (ETH, BTC):
            self.since[owner, market] = (
                self.moves[market, SHORT]
                if owner == crowd.get_contract_or_account_address("first")
                else Moves()
            )

    monkeypatch.setattr(CycleBook, "_settle_final_cycles", skip)

    def play():
        for price in (19, 18, 19, 18):
            crowd.mark(ETH, price * WAD)
            crowd.advance_cycle()
        crowd.wake_all()

    expect_violation_of_property(96, play)


def test_a_rebound_that_does_not_count(crowd, monkeypatch):
    """An account's shortfall is measured by the better of the roll's mark and the current one."""
    fail(crowd)
    crowd.do(f"{HOUSE}.update_account", crowd.get_contract_or_account_address("long"), sender="keeper")
    crowd.mark(ETH, 20 * WAD)
    monkeypatch.setattr(
        CycleBook, "_compute_account_value_at_marks", lambda self, owner: int(self.worths[owner].value)
    )
    expect_violation_of_property(96, lambda: meet(crowd, "long"))


def test_a_loss_that_is_spread_over_other_markets(crowd, monkeypatch):
    """A winner from a wick in a market that the debtor won in the end pays nothing."""
    crowd.deposit("thin", 1_000 * WAD)
    crowd.trade("thin", "other", 300)
    crowd.trade("thin", "other", 20, BTC)
    for price in (50, 62):
        crowd.mark(BTC, price * WAD)
    crowd.mark(ETH, 15 * WAD)
    crowd.advance_cycle()

    def all_it_ever_lost(self, owner, market):
        return sum(self.get_cycle_losses(owner, market, self.clocks[()].cycle - 1))

    monkeypatch.setattr(CycleLosses, "_compute_largest_possible_loss", all_it_ever_lost)
    expect_violation_of_property(96, lambda: meet(crowd, "thin"))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("_charge_late_losses_to_gains", lambda self, cycle, markets: 0),
        ("_cover_late_losses_from_fund", lambda self, most: 0),
    ],
)
def test_what_is_late_and_nobody_pays(crowd, monkeypatch, name, wrong):
    """Neither the fund at the next roll, nor later gains."""
    is_late(crowd)
    crowd.do(f"{TRADING}.take", ETH, 1_000, sender="other")
    crowd.do("MarginFund.insure", 100 * WAD, sender="rich")
    monkeypatch.setattr(CycleLosses, name, wrong)

    def play():
        crowd.advance_cycle()
        for price in (18, 14):
            crowd.mark(ETH, price * WAD)
        for _ in range(3):
            crowd.advance_cycle()

    expect_violation_of_property(96, play)


def pay_from_the_protocol(self, sender, loss, most):
    self.emit("LossAbsorbed", loss, 0, 0)
    return self._post_loss(loss, sender)


def test_the_protocol_pays_what_others_would(crowd, monkeypatch):
    """Insurance is there, and is not spent."""
    crowd.mark(ETH, 16 * WAD)
    for _ in range(2):
        crowd.advance_cycle()
    crowd.do("MarginFund.insure", 100 * WAD, sender="rich")
    monkeypatch.setattr(MarginFund, "absorb", external(pay_from_the_protocol))
    expect_violation_of_property(96, lambda: meet(crowd, "long"))


def test_what_is_late_waits_for_the_roll(crowd, monkeypatch):
    """Restores the old rule: by then profits have vested, and a caller has had the protocol pay."""
    crowd.mark(ETH, 16 * WAD)
    for _ in range(2):
        crowd.advance_cycle()
    monkeypatch.setattr(CycleLosses, "_cover_late_losses_from_fund", lambda self, most: 0)
    expect_violation_of_property(96, lambda: meet(crowd, "long"))


def test_a_withdrawal_is_no_loss_of_a_deposit(crowd, monkeypatch):
    """Only what is paid in changes what an account was worth at the roll."""
    right = CycleBook._book_deposit_or_withdrawal

    def bring(self, owner, amount):
        (right if amount > 0 else CycleBook._change_account_cash)(self, owner, amount)

    monkeypatch.setattr(CycleBook, "_book_deposit_or_withdrawal", bring)
    expect_violation_of_property(96, lambda: withdraw(crowd, "other", 100 * WAD))


def test_who_owes_in_one_second_alone_is_seized(crowd, monkeypatch):
    crowd.mark(ETH, 16 * WAD, 16 * WAD, 20 * WAD)
    monkeypatch.setattr(perpetual_market, "compute_range_gain", lambda mark, size: 0)
    expect_violation_of_property(96, lambda: meet(crowd, "long"))


def test_a_silent_market_shields_an_account(crowd, monkeypatch):
    crowd.deposit("long", 400 * WAD)
    crowd.trade("long", "first", 1, BTC)
    crowd.advance_clock(61)
    crowd.mark(ETH, 16 * WAD)
    right = Market._close_positions_of_debtor

    def seize(self, owner, finder):
        held = [number for number in (ETH, BTC) if self.positions[owner, number].size]
        return all(self._move_market_to_policy_mark(number).price for number in held) and right(
            self, owner, finder
        )

    monkeypatch.setattr(Market, "_close_positions_of_debtor", seize)
    expect_violation_of_property(140, lambda: meet(crowd, "long"))
