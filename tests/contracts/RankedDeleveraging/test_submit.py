"""submit: all winners, in one order that is checked, in parts."""

import pytest

from backstop.model.arithmetic import WAD
from backstop.model.bounds import MIN_RANKED
from backstop.model.price_path import LONG, SHORT
from tests.support.perpetual_test_market import BTC, CLOSER, ETH, TRADING
from tests.support.revert_setter_and_source_helpers import reverts


def addresses(market, *names):
    return tuple(market.get_contract_or_account_address(name) for name in names)


def test_who_gained_most_for_what_it_had_is_first(crash):
    """A bond is out of an account's equity: small 1,200 of 2,697, other 800 of 1,797, large 2,000."""
    assert crash.list_ranking(SHORT) == addresses(crash, "other", "small", "large")
    assert crash.list_ranking(LONG) == ()
    crash.submit(SHORT, crash.list_ranking(SHORT))
    case = crash.read(f"{CLOSER}.case_of", ETH, SHORT)
    assert case == (crash.market.clocks[()].cycle - 1, 0, crash.get_contract_or_account_address("prover"), 1)


def test_in_as_many_calls_as_it_takes(crowd):
    ranking = crowd.list_ranking(SHORT)
    assert ranking == addresses(crowd, *(f"short_{number}" for number in range(30)))
    for number, accounts in enumerate((ranking[:MIN_RANKED], ranking[MIN_RANKED:])):
        assert crowd.read(f"{CLOSER}.case_of", ETH, SHORT).cycle == 0
        crowd.submit(SHORT, accounts)
        run = crowd.read(f"{CLOSER}.run_of", ETH, SHORT, crowd.get_contract_or_account_address("prover"))
        assert (run.batches, run.last) == (number + 1, accounts[-1])
    case = crowd.read(f"{CLOSER}.case_of", ETH, SHORT)
    assert (case.executed, case.prover, case.batches) == (
        0,
        crowd.get_contract_or_account_address("prover"),
        2,
    )


def test_only_the_last_call_has_less_than_24_accounts(crowd):
    ranking = crowd.list_ranking(SHORT)
    for count in (1, MIN_RANKED - 1):
        with reverts("deleveraging: too few"):
            crowd.submit(SHORT, ranking[:count])
    assert (
        crowd.read(f"{CLOSER}.run_of", ETH, SHORT, crowd.get_contract_or_account_address("prover")).batches
        == 0
    )
    crowd.submit(SHORT, ranking[:MIN_RANKED])
    with reverts("deleveraging: too few"):
        crowd.submit(SHORT, ranking[MIN_RANKED:-1])
    crowd.submit(SHORT, ranking[MIN_RANKED:])
    assert crowd.read(f"{CLOSER}.case_of", ETH, SHORT).batches == 2


def test_few_are_enough_where_no_more_have_gained(crash):
    with reverts("deleveraging: too few"):
        crash.submit(SHORT, addresses(crash, "other", "small"))
    crash.submit(SHORT, addresses(crash, "other", "small", "large"))
    assert crash.read(f"{CLOSER}.case_of", ETH, SHORT).batches == 1


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("small", "other", "large"), "deleveraging: out of rank"),
        (("other", "other", "small", "large"), "deleveraging: out of rank"),
        (("other", "small", "long", "large"), "deleveraging: has not gained"),
        ((), "deleveraging: nobody"),
    ],
)
def test_in_no_other_order_nobody_twice_and_no_others(crash, names, reason):
    with reverts(reason):
        crash.submit(SHORT, addresses(crash, *names))


def test_who_leaves_somebody_out_proves_nothing(crowd):
    ranking = crowd.list_ranking(SHORT)
    crowd.submit(SHORT, ranking[:3] + ranking[4:])
    assert crowd.read(f"{CLOSER}.case_of", ETH, SHORT).cycle == 0
    with reverts("deleveraging: out of rank"):
        crowd.submit(SHORT, ranking[3:4])
    # Nor does it stop anybody else.
    crowd.submit(SHORT, ranking, by="another")
    assert crowd.read(f"{CLOSER}.case_of", ETH, SHORT).prover == crowd.get_contract_or_account_address(
        "another"
    )
    with reverts("deleveraging: proven"):
        crowd.submit(SHORT, ranking[3:4])


def test_nobody_trades_or_pays_its_rank_away(crash):
    before = crash.list_ranking(SHORT)
    crash.deposit("other", 100_000 * WAD)
    crash.deposit("friend", 100_000 * WAD)
    crash.trade("other", "friend", 200)
    assert crash.size("other") == 0 and crash.list_ranking(SHORT) == before


def test_each_side_of_each_market_has_its_own(crash):
    for market, side, reason in (
        (BTC, SHORT, "has not gained"),
        (ETH, LONG, "has not gained"),
        (ETH, 2, "no such side"),
    ):
        with reverts(f"deleveraging: {reason}"):
            crash.submit(side, addresses(crash, "other"), market=market)


def test_a_run_is_of_one_cycle(crowd):
    ranking = crowd.list_ranking(SHORT)
    crowd.submit(SHORT, ranking[:MIN_RANKED])
    crowd.advance_cycle()
    with reverts("deleveraging: has not gained"):
        crowd.submit(SHORT, ranking[MIN_RANKED:])
    # Somebody has lots that lose again.
    crowd.deposit("taker", 50_000 * WAD)
    crowd.do(f"{TRADING}.take", ETH, 600, sender="taker")
    crowd.mark(ETH, 15 * WAD)
    crowd.advance_cycle()
    ranking = crowd.list_ranking(SHORT)
    crowd.submit(SHORT, ranking)
    assert (
        crowd.read(f"{CLOSER}.run_of", ETH, SHORT, crowd.get_contract_or_account_address("prover")).batches
        == 1
    )
    assert crowd.read(f"{CLOSER}.case_of", ETH, SHORT).cycle == crowd.market.clocks[()].cycle - 1


def test_before_anything_is_pending_there_is_nothing_to_rank(market):
    with reverts("deleveraging: proven"):
        market.submit(SHORT, addresses(market, "other"))


def test_equal_scores_go_by_address(market):
    for name, amount in (("long", 3_000), ("one", 5_000), ("two", 5_000)):
        market.deposit(name, amount * WAD)
    for name in ("one", "two"):
        market.trade("long", name, 500)
    market.mark(ETH, 16 * WAD)
    market.advance_cycle()
    first, second = sorted(addresses(market, "one", "two"), key=lambda each: -int(each, 16))
    with reverts("deleveraging: out of rank"):
        market.submit(SHORT, (second, first))
    market.submit(SHORT, (first, second))
