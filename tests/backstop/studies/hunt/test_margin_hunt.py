"""The alarm *margin*: silent where gains are handed on, loud where a rule is wrong."""

from fractions import Fraction

import pytest

from backstop.deployment.contract_names import BY_CYCLE
from backstop.hosts.artifacts import Artifacts
from backstop.model.arithmetic import RAY, WAD
from backstop.model.cycle_book import CycleBook
from backstop.model.interfaces import Sides
from backstop.studies.hunt import margin
from backstop.studies.hunt.exchange import DEBTS, PRICES, STALE, Exchange
from backstop.studies.hunt.margin import AFTER, LEAST, Course, Deal, Margin
from backstop.studies.hunt.story import replay_steps

LONGER = pytest.mark.deep(
    brief="tests/backstop/studies/hunt/test_margin_hunt.py::test_what_gains_pay_for_others_makes_own_debts_no_smaller"
)

# The maker fails at the fall, and both who sold to it gain.
FALL = Course((1_200 * RAY, 1_190 * RAY), (("maker", "attacker", 500), ("maker", "bystander", 500)), -1)
PASSED_ON = Deal(0, 1, "trade", "attacker", "second_self", 500)


def at(course, fitting=lambda found: True):
    """The first case with a course of one's own that fits."""
    for seed in range(400):
        found = Margin(seed)
        found.course = course
        if fitting(found):
            found.honest.clear()
            return found
    raise AssertionError("no case fits")


def has_losers(found):
    """Both trades are made; the maker owes, so that the winners' gains are cut, and nobody insures."""
    insured = any(each.method == "insure" for each in found.setting.opening)
    # Where positions are closed by force both are gone by then.
    if insured or found.setting.parameters.margin.policy != BY_CYCLE:
        return False
    with found.system.fork_state():
        exchange = found.play((), AFTER[0])
        shorts = [exchange.size(margin.get_trader_account(name)) for name in ("attacker", "bystander")]
        cut = exchange.equity(margin.get_trader_account("maker")) == 0
    return cut and shorts == [-500, -500]


@pytest.fixture(scope="module")
def crash():
    return at(FALL, has_losers)


def test_a_gain_that_is_handed_on_is_no_story(crash):
    assert crash.taken((PASSED_ON,))[0] < LEAST


def test_a_rule_that_lets_it_go_is_one(crash, monkeypatch):
    right = CycleBook._move

    def move(self, owner, market, delta, at):
        right(self, owner, market, delta, at)
        if self.positions[owner, market].size == 0:
            for parity in (0, 1):
                self.gained[owner, market, parity] = Sides()

    monkeypatch.setattr(CycleBook, "_move", move)
    crash.honest.clear()
    amount, changes = crash.taken((PASSED_ON,))
    assert amount > LEAST < changes["coalition"]


def test_a_known_move_on_lots_of_nobodys_is_counted(crash):
    """The maker's lots are nobody's, and the price is about to come back: who takes some has that move."""
    back = Margin(crash.seed)
    back.course = FALL._replace(prices=(1_200 * RAY, 1_500 * RAY))
    for deal in (
        Deal(1, 0, "take", "third_self", "attacker", 50),
        Deal(1, 0, "trade", "third_self", "second_self", 50),
    ):
        amount, changes = back.taken((deal,))
        assert amount < LEAST < changes["coalition"] < changes[STALE] == 50 * 3 * WAD
    # A leg before, nobody knows.
    assert back.taken((Deal(0, 2, "take", "third_self", "attacker", 50),))[1][STALE] == 0


@pytest.mark.parametrize(
    "seed, trial",
    [
        pytest.param(33000710, 24, marks=LONGER),
        (33000702, 20),
        pytest.param(33000941, 4, marks=LONGER),
        pytest.param(33000941, 21, marks=LONGER),
    ],
)
def test_what_gains_pay_for_others_makes_own_debts_no_smaller(seed, trial):
    """An account of the owner fails, and others bear the debts of strangers, in that cycle or before."""
    found = Margin(seed)
    amount, changes = found.taken(found._deals(trial))
    assert amount <= 0 < changes[DEBTS]


@pytest.mark.parametrize(("seed", "trial"), [(4391000498, 10), (4391001760, 23), (4391001910, 38)])
def test_what_a_hunt_of_two_hours_told_is_no_story(seed, trial):
    """Debts were open when all was counted, as no cycle ends in an hour of two; and a take against longs."""
    margin = Margin(seed)
    assert margin.taken(margin._deals(trial))[0] < LEAST


def test_own_debts_are_what_others_paid_of_them(crash):
    """Of 900 that debtors were given 300 were the owner's; a third of its haircuts is for these."""
    exchange = Exchange(crash.setting, crash.system)
    for owner, cycle, haircut, given in (
        ("maker", 1, 0, 600),
        ("attacker", 1, 0, 300),
        ("third_self", 1, 450, 0),
        ("bystander", 1, 450, 0),
        ("second_self", 2, 100, 0),
        ("other", 2, 0, 100),
    ):
        exchange._note_settled(margin.get_trader_account(owner), cycle, haircut, given, given)
    assert exchange.forgiven() == 300 - 150


def test_a_pair_of_ones_own_may_be_closed_before_anything_is_known():
    """Who has nothing at stake bears no loss to come: an owner who closes its pair takes from nobody."""
    found = Margin(24_000_100)
    closed = (Deal(1, 0, "trade", "second_self", "third_self", 200),)
    assert found.taken(closed)[0] < LEAST
    idle, honest = found.ends((), 0), found.ends(closed, 0)
    assert honest["bystander"] < idle["bystander"] - LEAST


@pytest.mark.parametrize("seed", range(2))
def test_nothing_is_taken_while_prices_stay(seed):
    found = Margin(seed)
    found.course = Course((PRICES[0],) * 2, (("maker", "other", 100), ("attacker", "bystander", 100)), -1)
    for number in range(4):
        deals = margin.draw_deals(margin.Random(f"{seed} {number}"), 2)
        assert found.taken(tuple(each for each in deals if each.kind != "off the price"))[0] < LEAST


def test_no_price_tells_of_a_later_one():
    """After the leg that is known each price moves either way, and on average stays."""
    ways = margin._ways((1_400 * RAY, 1_820 * RAY, 2_000 * RAY), 0)
    assert sum(chance for chance, _ in ways) == 1 and len(ways) == 4
    assert all(path[0] == 1_400 * RAY for _, path in ways)
    for leg in (1, 2):
        mean = sum((chance * path[leg] for chance, path in ways), Fraction())
        assert abs(mean - 1_400 * RAY) <= 2
    assert margin._ways((1_400 * RAY,) * 2, 0) == [(1, (1_400 * RAY,) * 2)]


def test_everybody_leaves_and_is_paid(crash):
    with crash.system.fork_state():
        exchange = crash.play((PASSED_ON,), AFTER[0])
        exchange.leave()
        assert exchange.broken == {}
        assert not any(exchange.size(owner) for owner in exchange.owners())
        assert not any(exchange.cash(owner) > 0 for owner in exchange.owners())


def test_a_settlement_ends_and_all_are_paid(crash):
    settled = Margin(crash.seed)
    settled.course = FALL._replace(settles=1)
    with settled.system.fork_state():
        exchange = settled.play((), AFTER[0])
        assert exchange.settling and exchange.contracts["PerpetualMarket"].closing[()]
        assert not any(exchange.cash(owner) > 0 for owner in exchange.owners())


def test_it_happens_on_the_contracts(crash):
    steps = Margin(crash.seed)
    steps.course = FALL
    done = steps.play((PASSED_ON, Deal(1, 2, "trade", "second_self", "third_self", 500)), AFTER[0]).done
    assert any(not isinstance(each, int) and each.method == "meet" for each in done)
    assert replay_steps(steps.setting, done, "revm", Artifacts()) > 50


def closed(methods):
    """A plan after which positions are closed by force, by such calls."""
    for seed in range(40):
        found = Margin(3_000_000 + seed)
        for trial in range(0, 12, margin.EVERY):
            exchange = found.play(found._deals(trial), AFTER[0])
            exchange.leave()
            called = {each.method for each in exchange.done if not isinstance(each, int)}
            if exchange.closed and methods <= called:
                return found, found._deals(trial), exchange
            found.system = found.setting.new()
    raise AssertionError("no plan comes to that")


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize("methods", [{"submit", "execute"}, {"share"}])
def test_positions_are_closed_by_force_in_parts_or_at_once(methods):
    found, deals, exchange = closed(methods)
    assert exchange.broken == {}
    found.system = found.setting.new()
    assert found.unkept(deals) == {}


def test_what_is_refused_or_not_given_is_told():
    found, deals, _ = closed({"claim"})
    found.system = found.setting.new()
    exchange = found.play(deals, AFTER[0])
    owner = next(each for each in exchange.owners() if exchange.equity(each) > 0)
    exchange._give("withdraw", owner, 10**9 * WAD)
    exchange._give("claim", owner, 60 * WAD, bucket=10**6)
    (withdraw, amount), (claim, less) = exchange.broken.items()
    assert withdraw.startswith("withdraw reverts (") and amount == 10**9 * WAD
    assert claim == "claim reverts (margin_fund: not vested)" and less == 60 * WAD
    # A story of it can be played again.
    told = margin.Finding("margin", claim, found.seed, 0, (), (), less, "", ())
    assert [setting for setting, _ in margin.histories(told)] == [found.setting] * 2
