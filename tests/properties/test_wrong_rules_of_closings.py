"""Rules of positions that are closed by force made wrong, as if in contract and model alike."""

import pytest

from backstop.contract_base import external, view
from backstop.model import perpetual_trading, pro_rata_deleveraging, ranked_deleveraging
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.cycle_book import BOOKED, SEIZED, TAKEN, CycleBook
from backstop.model.interfaces import SideTotals
from backstop.model.perpetual_market import PerpetualMarket as Market
from backstop.model.perpetual_trading import PerpetualTrading as Desk
from backstop.model.price_path import SHORT, get_side
from backstop.model.pro_rata_deleveraging import ClosedLots
from tests.support.model_only_perpetuals_with_properties import (
    attach_property_monitor,
    expect_violation_of_property,
    open_watched_crowd_on_model,
)
from tests.support.perpetual_test_market import (
    CLOSER,
    ETH,
    HOUSE,
    TRADING,
    deploy_perpetuals_on_model,
    open_and_bankrupt_long,
)

HOLDERS = ("other", "small", "large")
RIGHT_REWARD, RIGHT_SHARE, RIGHT_PAY = (
    Desk._pay_finder,
    perpetual_trading._compute_pot_share,
    CycleBook._pay_finder,
)


def anything_goes(holds, reason):
    """In place of `require`: nothing is refused."""


def crashed(policy):
    """Three shorts have gained 4,000 of a long with 1,000 lots, now unassigned; steps are watched."""
    made = attach_property_monitor(deploy_perpetuals_on_model(third_bond=WAD, deleveraging_policy=policy))
    made.report_current_prices_again()
    return open_and_bankrupt_long(made)


@pytest.fixture
def ranked():
    return crashed("ranked")


@pytest.fixture
def shared():
    return crashed("shared")


@pytest.fixture
def proven(ranked):
    """600 lots are left."""
    ranked.deposit("taker", 50_000 * WAD)
    ranked.do(f"{TRADING}.take", ETH, 400, sender="taker")
    ranked.submit(SHORT, ranked.list_ranking(SHORT))
    return ranked


def take(market, lots, by="taker"):
    market.deposit(by, 50_000 * WAD)
    market.do(f"{TRADING}.take", ETH, lots, sender=by)


def deleverages(closes, price=0, pays=0, prover=None, executor=None):
    """A trading that closes as many lots as it is told, so much off the mark, for so much, for others."""

    @external
    def deleverage(self, sender, market, side, accounts, most, who, whom):
        mark = self.market.accrue(self.address, market).price
        lots = self.market.lots_of(self.address, market)
        left, rewarded, found = lots[side] - min(lots), self._compute_reward_pot_and_notional(), []
        everything = left
        for owner, limit in zip(accounts, most, strict=True):
            size = self._get_size(owner, market)
            closed = closes(size, limit, left, side)
            delta = -closed if size > 0 else closed
            if closed:
                whole = (market, owner, self.market_address, delta, mark + price, -pays, 0)
                self.market.execute_trade(self.address, *whole)
                left -= min(left, closed)
                self.emit("Deleveraged", owner, market, delta, mark + price, who)
            found.append(closed)
        amount = RIGHT_SHARE(rewarded, min(sum(found), everything) * mark)
        self._pay_finder(prover or who, amount // 2)
        self._pay_finder(executor or whom, amount - amount // 2)
        return tuple(found), left

    return deleverage


def right(size, limit, left, side):
    return min(abs(size), limit, left) if get_side(size) == side else 0


def test_a_desk_as_it_should_be(proven, monkeypatch):
    """Nothing is noticed where the copy above is right."""
    monkeypatch.setattr(Desk, "deleverage", deleverages(right))
    assert proven.execute_ranked_deleveraging(SHORT, proven.list_ranking(SHORT)) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"closes": lambda size, limit, left, side: min(abs(size) + 1, limit, left)},
        {"closes": right, "price": 1},
        {"closes": right, "price": -1},
        {"closes": lambda size, limit, left, side: min(2 * abs(size), limit, left)},
    ],
    ids=["a lot too much", "above the mark", "under it", "turned"],
)
def test_another_closing(proven, monkeypatch, wrong):
    monkeypatch.setattr(Desk, "deleverage", deleverages(**wrong))
    expect_violation_of_property(
        110, lambda: proven.execute_ranked_deleveraging(SHORT, proven.list_ranking(SHORT))
    )


def test_more_than_is_nobodys(proven, monkeypatch):
    """The last has 500 lots, and 100 are left for it: it is closed whole, against other longs."""
    monkeypatch.setattr(Desk, "deleverage", deleverages(lambda size, limit, left, side: abs(size)))
    expect_violation_of_property(
        110, lambda: proven.execute_ranked_deleveraging(SHORT, proven.list_ranking(SHORT))
    )


def test_the_side_that_has_fewer(proven, monkeypatch):
    """It has turned since, and is long, where lots are missing."""
    proven.deposit("other", 50_000 * WAD)
    proven.deposit("friend", 50_000 * WAD)
    proven.trade("other", "friend", 300)
    monkeypatch.setattr(Desk, "deleverage", deleverages(lambda size, limit, left, side: min(abs(size), left)))
    expect_violation_of_property(
        110, lambda: proven.execute_ranked_deleveraging(SHORT, proven.list_ranking(SHORT))
    )


def test_a_fee_for_being_closed(proven, monkeypatch):
    monkeypatch.setattr(Desk, "deleverage", deleverages(right, pays=1))
    expect_violation_of_property(
        96, lambda: proven.execute_ranked_deleveraging(SHORT, proven.list_ranking(SHORT))
    )


def test_at_a_mark_of_a_minute_ago(proven, monkeypatch):
    proven.advance_clock(61)
    monkeypatch.setattr(perpetual_trading, "require", anything_goes)
    expect_violation_of_property(
        110, lambda: proven.execute_ranked_deleveraging(SHORT, proven.list_ranking(SHORT))
    )


def test_by_somebody_else_than_the_closer(proven, monkeypatch):
    """Any caller has a position closed by the trading contract."""
    monkeypatch.setattr(perpetual_trading, "require", anything_goes)
    args = (
        ETH,
        SHORT,
        (proven.get_contract_or_account_address("large"),),
        (MAX_UINT256,),
        *[proven.get_contract_or_account_address("stranger")] * 2,
    )
    expect_violation_of_property(18, lambda: proven.do(f"{TRADING}.deleverage", *args, sender="stranger"))


# --------------------------------------------------------------------------- pay


@pytest.mark.parametrize(
    "wrong",
    [
        lambda rewarded, notional: rewarded[0],
        lambda rewarded, notional: 0,
        lambda rewarded, notional: RIGHT_SHARE(rewarded, notional // 2),
    ],
    ids=["the whole pot for some lots", "nothing", "half"],
)
@pytest.mark.parametrize("way", ["take", "execute", "share"])
def test_another_part_of_what_bonds_pay(monkeypatch, way, wrong):
    market = crashed("shared" if way == "share" else "ranked")
    if way == "execute":
        # Its lots are somebody's who has not gained: not all that is nobody's is closed.
        market.deposit("friend", 50_000 * WAD)
        market.trade("large", "friend", 300)
        market.submit(SHORT, market.list_ranking(SHORT))
    monkeypatch.setattr(perpetual_trading, "_compute_pot_share", wrong)

    def play():
        if way == "take":
            take(market, 400)
        elif way == "execute":
            market.execute_ranked_deleveraging(SHORT, market.list_ranking(SHORT))
        else:
            market.execute_pro_rata_deleveraging(SHORT, "other")

    expect_violation_of_property(110, play)


def test_paid_twice(ranked, monkeypatch):
    def reward(self, finder, amount):
        for part in (amount // 2, amount // 2, 2):
            RIGHT_REWARD(self, finder, part)

    monkeypatch.setattr(Desk, "_pay_finder", reward)
    expect_violation_of_property(110, lambda: take(ranked, 400))


@pytest.mark.parametrize(
    "whom", [{"prover": "keeper"}, {"executor": "prover"}, {"executor": "friend"}, {"prover": "friend"}]
)
def test_one_is_paid_in_place_of_the_other(proven, monkeypatch, whom):
    """Or an accomplice of the trading contract is paid, which did nothing."""
    wrong = {part: proven.get_contract_or_account_address(name) for part, name in whom.items()}
    monkeypatch.setattr(Desk, "deleverage", deleverages(right, **wrong))
    expect_violation_of_property(
        110, lambda: proven.execute_ranked_deleveraging(SHORT, proven.list_ranking(SHORT))
    )


def test_a_friend_is_paid_in_place_of_whoever_shares(shared, monkeypatch):
    monkeypatch.setattr(
        Desk, "deleverage", deleverages(right, prover=shared.get_contract_or_account_address("friend"))
    )
    expect_violation_of_property(110, lambda: shared.execute_pro_rata_deleveraging(SHORT, "other"))


def test_what_is_paid_stays_for_the_next(ranked, monkeypatch):
    """It comes out of nowhere."""

    @external
    def reward(self, sender, finder, amount):
        self._credit_payment_as_deposit(finder, amount)
        self.emit("Rewarded", finder, amount)

    monkeypatch.setattr(Market, "reward", reward)
    expect_violation_of_property(96, lambda: take(ranked, 400))


# ------------------------------------------------------------------------- bonds


def seize(crowd):
    crowd.mark(ETH, 16 * WAD)
    crowd.do(f"{HOUSE}.seize_insolvent", crowd.get_contract_or_account_address("long"), sender="keeper")


def put_back(self, owner):
    """Leave the last third in the bond."""
    account = self.accounts[owner]
    self.accounts[owner] = account._replace(bond=account.bond | TAKEN)
    self.reward_table[()] = self.reward_table[()] - self.third_bond


@pytest.mark.parametrize("third", [SEIZED, TAKEN])
def test_a_third_for_somebody_else(monkeypatch, third):
    """The finder's third goes to an accomplice; the finder gets the third for the taker of the lots."""
    crowd = open_watched_crowd_on_model(third_bond=WAD)
    friend, finder = (
        crowd.get_contract_or_account_address("friend"),
        crowd.get_contract_or_account_address("keeper"),
    )

    def pay(self, owner, which, _, more):
        RIGHT_PAY(self, owner, which, friend if third == SEIZED else finder, more)
        if third == TAKEN:
            put_back(self, owner)
            RIGHT_PAY(self, owner, TAKEN, finder, 0)

    monkeypatch.setattr(CycleBook, "_pay_finder", pay)
    expect_violation_of_property(91, lambda: seize(crowd))


@pytest.mark.parametrize("third", [SEIZED, BOOKED, TAKEN])
def test_a_third_that_is_not_paid(monkeypatch, third):
    crowd = open_watched_crowd_on_model(third_bond=WAD)

    def pay(self, owner, which, finder, more):
        if which != third:
            RIGHT_PAY(self, owner, which, finder, more)
        if third == TAKEN:
            put_back(self, owner)

    monkeypatch.setattr(CycleBook, "_pay_finder", pay)

    def play():
        seize(crowd)
        crowd.advance_cycle()
        crowd.do(f"{HOUSE}.seize_insolvent", crowd.get_contract_or_account_address("long"), sender="keeper")

    expect_violation_of_property(91 if third != TAKEN else 96, play)


def test_a_third_that_is_paid_twice(monkeypatch):
    """It stays in the bond after it was paid."""
    crowd = open_watched_crowd_on_model(third_bond=WAD)

    def pay(self, owner, which, finder, more):
        bond = self.accounts[owner].bond
        RIGHT_PAY(self, owner, which, finder, more)
        self.accounts[owner] = self.accounts[owner]._replace(bond=bond)

    monkeypatch.setattr(CycleBook, "_pay_finder", pay)
    expect_violation_of_property(91, lambda: seize(crowd))


def test_two_thirds_are_put_up(monkeypatch):
    crowd = open_watched_crowd_on_model(third_bond=WAD)
    put_up = CycleBook._take_missing_bond_thirds

    def less(self, account):
        return put_up(self, account)._replace(bond=SEIZED | BOOKED)

    monkeypatch.setattr(CycleBook, "_take_missing_bond_thirds", less)
    expect_violation_of_property(91, lambda: crowd.trade("other", "first", 1))


def test_what_is_left_of_a_bond_stays(monkeypatch):
    crowd = open_watched_crowd_on_model(third_bond=WAD)
    monkeypatch.setattr(CycleBook, "_return_bond_to_cash", lambda self, account: account._replace(bond=0))

    def play():
        crowd.trade("other", "first", 1)
        crowd.trade("other", "first", -1)
        for _ in range(3):
            crowd.advance_cycle()
            crowd.wake_all()

    expect_violation_of_property(91, play)


# ----------------------------------------------------------------------- rankings


def test_a_ranking_without_everybody(ranked, monkeypatch):
    """The ranked accounts' gain counts as the whole gain."""
    right = Market.cycle_of

    @view
    def cycle_of(self, sender, market, cycle):
        return SideTotals(0, 1_200 * WAD), *right(self, sender, market, cycle)[1:]

    monkeypatch.setattr(Market, "cycle_of", cycle_of)
    expect_violation_of_property(
        111, lambda: ranked.submit(SHORT, (ranked.get_contract_or_account_address("small"),))
    )


@pytest.mark.parametrize("names", [("small", "other", "large"), ("large", "small", "other")])
def test_a_ranking_out_of_order(ranked, monkeypatch, names):
    monkeypatch.setattr(ranked_deleveraging, "require", anything_goes)
    expect_violation_of_property(
        111,
        lambda: ranked.submit(SHORT, tuple(ranked.get_contract_or_account_address(name) for name in names)),
    )


def test_somebody_twice_in_place_of_others(ranked, monkeypatch):
    """Five times the gain of 800 is all that was gained."""
    monkeypatch.setattr(ranked_deleveraging, "require", anything_goes)
    expect_violation_of_property(
        111, lambda: ranked.submit(SHORT, (ranked.get_contract_or_account_address("other"),) * 5)
    )


@pytest.mark.parametrize("wrong", ["brought counts", "by gain", "by worth of now"])
def test_another_score(ranked, monkeypatch, wrong):
    """A deposit after the roll makes it later; the largest gain is first."""
    ranked.deposit("other", 5_000 * WAD)
    if wrong == "brought counts":
        monkeypatch.setattr(CycleBook, "_worth_at_roll", lambda self, owner: self.worths[owner].value)
    elif wrong == "by gain":
        monkeypatch.setattr(
            ranked_deleveraging, "compute_gain_to_worth_score", lambda gains, side: gains[1 + side]
        )
    else:
        monkeypatch.setattr(CycleBook, "_worth_at_roll", CycleBook._compute_account_value_at_marks)
    names = ("small", "large", "other") if wrong != "by gain" else ("large", "small", "other")

    def play():
        for first in (names, ("small", "other", "large")):
            ranked.apply_call_and_report_success(
                f"{CLOSER}.submit",
                ETH,
                SHORT,
                tuple(map(ranked.get_contract_or_account_address, first)),
                sender=first[0],
            )

    expect_violation_of_property(111, play)


def test_whoever_likes_is_closed_next(proven, monkeypatch):
    """The last in place of the first."""
    monkeypatch.setattr(ranked_deleveraging, "hash_account_addresses", lambda accounts: b"any")
    monkeypatch.setattr(ranked_deleveraging, "require", anything_goes)
    expect_violation_of_property(
        111, lambda: proven.execute_ranked_deleveraging(SHORT, proven.list_ranking(SHORT)[2:])
    )


def test_somebody_who_is_in_no_ranking_is_closed(proven, monkeypatch):
    proven.deposit("late", 50_000 * WAD)
    proven.trade("taker", "late", 100)
    monkeypatch.setattr(ranked_deleveraging, "require", anything_goes)
    expect_violation_of_property(
        111,
        lambda: proven.execute_ranked_deleveraging(SHORT, (proven.get_contract_or_account_address("late"),)),
    )


def test_a_ranking_of_two_cycles_before(proven, monkeypatch):
    ranking = proven.list_ranking(SHORT)
    for _ in range(2):
        proven.advance_cycle()
    monkeypatch.setattr(ranked_deleveraging, "require", anything_goes)
    expect_violation_of_property(111, lambda: proven.execute_ranked_deleveraging(SHORT, ranking))


# -------------------------------------------------------------------------- parts


@pytest.mark.parametrize("wrong", ["a lot more", "all of it", "again"])
def test_more_than_its_part(shared, monkeypatch, wrong):
    if wrong == "again":
        monkeypatch.setattr(ClosedLots, "in_cycle", lambda self, cycle: 0)
    else:
        trading, more = Desk.deleverage, 1 if wrong == "a lot more" else 10**9

        @external
        def deleverage(self, sender, market, side, accounts, most, *finders):
            most = tuple(each + more for each in most)
            return trading(self, sender, market, side, accounts, most, *finders)

        monkeypatch.setattr(Desk, "deleverage", deleverage)
    # 500 are left, of which half.
    take(shared, 500)
    expect_violation_of_property(
        111,
        lambda: [
            shared.execute_pro_rata_deleveraging(SHORT, "large"),
            shared.execute_pro_rata_deleveraging(SHORT, "large"),
        ],
    )


def test_all_have_the_same_part(shared, monkeypatch):
    """A third each, for any share of the gain."""
    take(shared, 400)
    each = lambda gains, side: 1_000 * WAD if gains.worth else 3_000 * WAD  # noqa: E731
    monkeypatch.setattr(pro_rata_deleveraging, "_get_side_gain", each)
    expect_violation_of_property(111, lambda: shared.execute_pro_rata_deleveraging(SHORT, *HOLDERS))


def test_a_part_of_the_gains_of_a_cycle_before(shared, monkeypatch):
    """An earlier winner has its part of remaining lots, in a cycle without any gains."""
    right_gains = Market.gains_of

    @external
    def gains_of(self, sender, owner, market):
        return right_gains(self, sender, owner, market)._replace(short=800 * WAD)

    right = Market.cycle_of

    @view
    def cycle_of(self, sender, market, cycle):
        return SideTotals(0, 4_000 * WAD), *right(self, sender, market, cycle)[1:]

    shared.advance_cycle()
    monkeypatch.setattr(Market, "gains_of", gains_of)
    monkeypatch.setattr(Market, "cycle_of", cycle_of)
    expect_violation_of_property(111, lambda: shared.execute_pro_rata_deleveraging(SHORT, "other"))
