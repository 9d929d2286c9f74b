"""submit: everybody who gained, in one order that is checked, in parts."""

import pytest

from backstop.model.arithmetic import WAD
from backstop.model.price_path import LONG, SHORT
from tests.support.helpers import reverts
from tests.support.perpetuals import BTC, CLOSER, DESK, ETH


def addresses(market, *names):
    return tuple(market.at(name) for name in names)


def test_who_gained_most_for_what_it_had_is_first(crash):
    """A bond is out of what an account is worth: small 1,200 of 2,697, other 800 of 1,797, large 2,000."""
    assert crash.ranking(SHORT) == addresses(crash, "other", "small", "large")
    assert crash.ranking(LONG) == ()
    crash.submit(SHORT, crash.ranking(SHORT))
    case = crash.read(f"{CLOSER}.case_of", ETH, SHORT)
    assert case == (crash.market.clocks[()].cycle - 1, 0, crash.at("prover"))


def test_in_as_many_calls_as_it_takes(crash):
    ranking = crash.ranking(SHORT)
    for number, owner in enumerate(ranking):
        assert crash.read(f"{CLOSER}.case_of", ETH, SHORT).cycle == 0
        crash.submit(SHORT, (owner,))
        run = crash.read(f"{CLOSER}.run_of", ETH, SHORT, crash.at("prover"))
        assert (run.batches, run.last) == (number + 1, owner)
    assert crash.read(f"{CLOSER}.case_of", ETH, SHORT).prover == crash.at("prover")


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("small", "other", "large"), "ranking: out of rank"),
        (("other", "other", "small", "large"), "ranking: out of rank"),
        (("other", "small", "long", "large"), "ranking: has not gained"),
        ((), "ranking: nobody"),
    ],
)
def test_in_no_other_order_nobody_twice_and_no_others(crash, names, reason):
    with reverts(reason):
        crash.submit(SHORT, addresses(crash, *names))


def test_who_leaves_somebody_out_proves_nothing(crash):
    crash.submit(SHORT, addresses(crash, "other", "large"))
    assert crash.read(f"{CLOSER}.case_of", ETH, SHORT).cycle == 0
    with reverts("ranking: out of rank"):
        crash.submit(SHORT, addresses(crash, "small"))
    # Nor does it stop anybody else.
    crash.submit(SHORT, crash.ranking(SHORT), by="another")
    assert crash.read(f"{CLOSER}.case_of", ETH, SHORT).prover == crash.at("another")
    with reverts("ranking: proven"):
        crash.submit(SHORT, addresses(crash, "small"))


def test_nobody_trades_or_pays_its_rank_away(crash):
    before = crash.ranking(SHORT)
    crash.deposit("other", 100_000 * WAD)
    crash.deposit("friend", 100_000 * WAD)
    crash.trade("other", "friend", 200)
    assert crash.size("other") == 0 and crash.ranking(SHORT) == before


def test_each_side_of_each_market_has_its_own(crash):
    for market, side, reason in (
        (BTC, SHORT, "has not gained"),
        (ETH, LONG, "has not gained"),
        (ETH, 2, "no such side"),
    ):
        with reverts(f"ranking: {reason}"):
            crash.submit(side, addresses(crash, "other"), market=market)


def test_a_run_is_of_one_cycle(crash):
    crash.submit(SHORT, addresses(crash, "other"))
    crash.roll()
    with reverts("ranking: has not gained"):
        crash.submit(SHORT, addresses(crash, "small"))
    # Somebody has lots that lose again.
    crash.deposit("taker", 50_000 * WAD)
    crash.do(f"{DESK}.take", ETH, 1_000, sender="taker")
    crash.mark(ETH, 15 * WAD)
    crash.roll()
    ranking = crash.ranking(SHORT)
    crash.submit(SHORT, ranking)
    assert crash.read(f"{CLOSER}.run_of", ETH, SHORT, crash.at("prover")).batches == 1
    assert crash.read(f"{CLOSER}.case_of", ETH, SHORT).cycle == crash.market.clocks[()].cycle - 1


def test_before_anything_is_pending_there_is_nothing_to_rank(market):
    with reverts("ranking: proven"):
        market.submit(SHORT, addresses(market, "other"))


def test_equal_scores_go_by_address(market):
    for name, amount in (("long", 3_000), ("one", 5_000), ("two", 5_000)):
        market.deposit(name, amount * WAD)
    for name in ("one", "two"):
        market.trade("long", name, 500)
    market.mark(ETH, 16 * WAD)
    market.roll()
    first, second = sorted(addresses(market, "one", "two"), key=lambda each: -int(each, 16))
    with reverts("ranking: out of rank"):
        market.submit(SHORT, (second, first))
    market.submit(SHORT, (first, second))
