"""execute: exactly the loss, or all gains; in rank, and from nobody who has lost."""

import pytest

from backstop.deployment.signing import trader
from backstop.model.arithmetic import WAD
from tests.support.helpers import reverts
from tests.support.margin import (
    begin,
    books,
    execute,
    fill,
    interest,
    liquidate,
    move,
    opened,
    position,
    price_of,
    prove,
    stage,
    with_margin,
    worth,
)

SHORTS = ("taker", "third", "fourth")


def paid(protocol):
    """Account -> lots and wad, of the last call, in rank."""
    found: dict[str, tuple[int, int]] = {}
    for _, account, lots, amount in (log.values for log in protocol.last.logs if log.event == "Deleveraged"):
        before = found.get(account, (0, 0))
        found[account] = before[0] + lots, before[1] + amount
    return found


def test_closes_the_position_and_takes_the_loss(insolvent):
    begin(insolvent, "maker")
    equity = {trader(name): worth(insolvent, name).equity for name in SHORTS}
    ranked = prove(insolvent, *SHORTS)
    execute(insolvent)
    taken = paid(insolvent)
    assert list(taken) == ranked
    assert sum(lots for lots, _ in taken.values()) == 1_000
    assert sum(amount for _, amount in taken.values()) == 1_000 * WAD
    # One for each lot, and so for each of the shorts the price was 17 instead of 16.
    assert taken[trader("taker")] == (400, 400 * WAD)
    for name in SHORTS:
        assert worth(insolvent, name).equity == equity[trader(name)] - taken[trader(name)][1]
    assert position(insolvent, "maker").size == worth(insolvent, "maker").equity == 0
    assert interest(insolvent) == (0, 0, 0, 0)
    assert insolvent.read("MarginMarket.freeze_of").until == 0
    assert books(insolvent) == 0


def test_no_more_than_the_position_down_the_ranking(crowd):
    """Of 1,400 shorts only so many close as the insolvent position has, the last one in part."""
    stage(crowd, fifth=2_000)
    fill(crowd, "liquidator", "fifth", 400)
    move(crowd, "WETH", 1_600)
    begin(crowd, "maker")
    ranked = prove(crowd, *SHORTS, "fifth")
    execute(crowd)
    taken = paid(crowd)
    assert list(taken) == ranked[: len(taken)]
    assert sum(lots for lots, _ in taken.values()) == 1_000
    assert sum(amount for _, amount in taken.values()) == 1_000 * WAD
    assert interest(crowd).open == 400


def test_one_by_one_is_the_same(insolvent):
    begin(insolvent, "maker")
    prove(insolvent, *SHORTS)
    taken: dict[str, tuple[int, int]] = {}
    for i in range(3):
        execute(insolvent, 1)
        taken |= paid(insolvent)
        assert insolvent.read("MarginDeleverager.executed") == i + 1
    assert sum(amount for _, amount in taken.values()) == 1_000 * WAD
    with reverts("ranking: no freeze"):
        execute(insolvent)
    assert books(insolvent) == 0


def test_a_losing_account_is_never_deleveraged(insolvent):
    """A short that came in lower, and at the price itself."""
    move(insolvent, "WETH", 1_500)
    stage(insolvent, late=10_000)
    fill(insolvent, "liquidator", "late", 100)
    move(insolvent, "WETH", 1_600)
    begin(insolvent, "maker")
    before = worth(insolvent, "late"), position(insolvent, "late")
    prove(insolvent, *SHORTS, "late")
    execute(insolvent)
    assert trader("late") not in paid(insolvent)
    assert (worth(insolvent, "late"), position(insolvent, "late")) == before


def test_all_gains_and_the_rest_is_unpaid(new_protocol):
    """Whoever gained has left to others: those in the market gained less than was lost."""
    made = opened(new_protocol, with_margin(domain=""))
    stage(made, maker=2_000, taker=20_000, third=40_000)
    fill(made, "maker", "taker", 1_000)
    move(made, "WETH", 1_650)
    fill(made, "third", "taker", -1_000)
    move(made, "WETH", 1_600)
    begin(made, "maker")
    prove(made, "third")
    execute(made)
    # The new short has gained 500 of the 2,000 that are missing.
    assert paid(made) == {trader("third"): (1_000, 500 * WAD)}
    assert interest(made) == (0, 0, 0, 1_500 * WAD)
    assert worth(made, "third").equity == 40_000 * WAD
    assert worth(made, "maker").equity == books(made) == 0


def test_without_any_gain_nobody_is_touched(new_protocol):
    made = opened(new_protocol, with_margin(domain=""))
    stage(made, maker=2_000, taker=20_000, third=40_000)
    fill(made, "maker", "taker", 1_000)
    move(made, "WETH", 1_600)
    fill(made, "third", "taker", -1_000)
    begin(made, "maker")
    prove(made, "third")
    execute(made)
    assert interest(made) == (1, 1, 1_000, 2_000 * WAD)
    # The position is there still, worth nothing, for anybody.
    stage(made, liquidator=10_000)
    assert liquidate(made, "maker", 1_000) == 0


def test_gains_pay_on_once_all_lots_are_closed(new_protocol):
    """The first in rank closes all and gained too little: those after it pay, and keep their positions."""
    made = opened(new_protocol)
    stage(made, maker=200, taker=20_000, early=15_000, other=20_000)
    fill(made, "other", "early", 1_000)
    move(made, "WETH", 1_800)
    stage(made, late=190)
    fill(made, "maker", "late", 100)
    move(made, "WETH", 1_700)
    # It owes 100 less than nothing at 1,700 once 300 more is lost.
    move(made, "WETH", 1_500)
    begin(made, "maker")
    missing = made.read("MarginDeleverager.case_of").loss
    assert missing == 100 * WAD
    prove(made, "early", "late")
    execute(made)
    taken = paid(made)
    assert sum(amount for _, amount in taken.values()) == missing
    assert sum(lots for lots, _ in taken.values()) == 100
    assert books(made) == 0


@pytest.fixture
def few_gains(new_protocol):
    """Most of the other side of a freeze has not gained; the ranking is proven."""
    made = opened(new_protocol, with_margin(domain=""))
    stage(made, maker=3_000, taker=20_000, third=20_000, late=40_000)
    fill(made, "maker", "taker", 950)
    fill(made, "maker", "third", 50)
    move(made, "WETH", 1_600)
    fill(made, "late", "taker", -900)
    begin(made, "maker")
    prove(made, "taker", "third", "late")
    return made


def test_few_gains_pay_for_many_lots(few_gains):
    """Whoever has gained pays the price of its lots, and then the rest."""
    made = few_gains
    execute(made, 3)
    # The price of a lot is one: each pays for its lots, then the higher in rank what is left of its gain.
    first = [log.values for log in made.last.logs if log.event == "Deleveraged"]
    assert [values[2:] for values in first] == [(50, 50 * WAD), (50, 50 * WAD), (0, 150 * WAD)]
    execute(made)
    assert [log.values[3] for log in made.last.logs if log.event == "Deleveraged"] == [150 * WAD]
    assert interest(made) == (1, 1, 900, 600 * WAD)
    assert worth(made, "late").equity == 40_000 * WAD
    assert books(made) == 0


def test_what_a_second_round_may_ask_for_stays(few_gains):
    """Who has no position any more after the first keeps its cash in the account until the second."""
    made = few_gains
    execute(made, 2)
    assert position(made, "third").size == 0
    assert made.read("MarginDeleverager.reserved_of", trader("third")) == 150 * WAD
    with reverts("margin_market: gain is reserved"):
        made.do("MarginMarket.withdraw", 20_000 * WAD + 1, "receiver", sender=trader("third"))
    made.do("MarginMarket.withdraw", 20_000 * WAD, "receiver", sender=trader("third"))
    execute(made)
    assert worth(made, "third").equity == 0
    assert interest(made).unpaid == 600 * WAD
    assert books(made) == 0


def test_a_gain_pays_once(crowd):
    """What it has paid is cost of what it keeps, should another account fail."""
    fill(crowd, "liquidator", "third", 600)
    move(crowd, "WETH", 1_600)
    begin(crowd, "maker")
    before = {name: crowd.read("MarginDeleverager.standing_of", trader(name)).gain for name in SHORTS}
    prove(crowd, *SHORTS)
    execute(crowd)
    taken = paid(crowd)
    assert sum(amount for _, amount in taken.values()) == 1_000 * WAD
    size, cost = position(crowd, "third")
    assert size == taken[trader("third")][0] - 1_100
    assert size * price_of(crowd) - cost <= before["third"] - taken[trader("third")][1]


def test_who_closed_meanwhile_still_pays(crowd):
    """Its gain is in its cash; what it closed is left of the insolvent position, for anybody."""
    fill(crowd, "liquidator", "third", 600)
    move(crowd, "WETH", 1_600)
    begin(crowd, "maker")
    fill(crowd, "third", "liquidator", 600)
    prove(crowd, *SHORTS)
    execute(crowd)
    taken = paid(crowd)
    assert sum(amount for _, amount in taken.values()) == 1_000 * WAD
    assert interest(crowd).unpaid == worth(crowd, "maker").equity == books(crowd) == 0


def test_what_is_not_missing_any_more_is_not_taken(insolvent):
    """The owner pays in before the ranking is executed."""
    begin(insolvent, "maker")
    prove(insolvent, *SHORTS)
    insolvent.do("MarginMarket.deposit", trader("maker"), 900 * WAD, sender="rich")
    execute(insolvent)
    assert sum(amount for _, amount in paid(insolvent).values()) == 100 * WAD
    assert worth(insolvent, "maker").equity == interest(insolvent).unpaid == books(insolvent) == 0


def test_the_doors_close_with_the_freeze(crowd):
    zero = "0x" + "00" * 20
    wired = zero, crowd.address("MarginPolicy"), *[zero] * 4, crowd.address("deleverager"), zero
    crowd.lockstep.create("MarginMarket", "Other", *wired, 0, 60)
    with reverts("margin_market: freeze is over"):
        crowd.do("Other.deleverage", "stranger", "other", 1, 1, sender="deleverager")


@pytest.mark.parametrize("price", [1_699, 1_650, 1_613, 1_400, 900])
def test_exactly_the_loss_or_all_gains(crowd, price):
    move(crowd, "WETH", price)
    begin(crowd, "maker")
    loss = crowd.read("MarginDeleverager.case_of").loss
    gains = [crowd.read("MarginDeleverager.standing_of", trader(name)).gain for name in SHORTS]
    prove(crowd, *SHORTS)
    execute(crowd)
    assert sum(amount for _, amount in paid(crowd).values()) == min(loss, sum(gains))
    assert interest(crowd).unpaid == max(0, loss - sum(gains))
    for name, gain in zip(SHORTS, gains, strict=True):
        assert paid(crowd).get(trader(name), (0, 0))[1] <= gain
    assert books(crowd) == 0
