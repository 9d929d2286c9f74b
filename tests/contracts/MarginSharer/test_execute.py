"""execute: the loss, shared by all who gained in proportion to gain times leverage, none over its gain."""

from fractions import Fraction

import pytest

from backstop.deployment.signing import trader
from backstop.keepers.deleveraging import charges, takings
from backstop.model.arithmetic import WAD
from backstop.model.ranking import Left
from tests.support.helpers import reverts
from tests.support.margin import (
    begin,
    books,
    execute,
    fill,
    interest,
    move,
    opened,
    position,
    prove,
    stage,
    with_margin,
    worth,
)

SHORTS = ("taker", "third", "fourth")


def paid(protocol):
    """Account -> lots and wad, of the last call, in order."""
    logs = [log.values for log in protocol.last.logs if log.event == "Deleveraged"]
    return {account: (lots, amount) for _, account, lots, amount in logs}


def standings(protocol, *names):
    return {trader(name): protocol.read("MarginDeleverager.standing_of", trader(name)) for name in names}


def test_everybody_who_gained_pays_by_score(insolvent):
    begin(insolvent, "maker")
    found = standings(insolvent, *SHORTS)
    equity = {trader(name): worth(insolvent, name).equity for name in SHORTS}
    ranked = prove(insolvent, *SHORTS)
    execute(insolvent)
    taken = paid(insolvent)
    assert list(taken) == ranked
    assert sum(amount for _, amount in taken.values()) == 1_000 * WAD
    scores = sum(standing.score for standing in found.values())
    for owner, (_, amount) in taken.items():
        assert abs(amount - Fraction(1_000 * WAD * found[owner].score, scores)) < 3
        assert worth(insolvent, owner_name(owner)).equity == equity[owner] - amount
    # All lots are closed, at the market's price.
    assert [lots for lots, _ in taken.values()] == [400, 100, 500]
    assert position(insolvent, "maker").size == worth(insolvent, "maker").equity == 0
    assert insolvent.read("MarginDeleverager.scores_left", "prover") == 0
    assert interest(insolvent) == (0, 0, 0, 0)
    assert books(insolvent) == 0


def owner_name(owner):
    return next(name for name in SHORTS if trader(name) == owner)


def test_no_more_than_the_gain_and_others_for_it(crowd):
    """Who has just come in at eight times its margin has gained little, and is used up."""
    move(crowd, "WETH", 1_605)
    stage(crowd, late=200)
    fill(crowd, "liquidator", "late", 100)
    move(crowd, "WETH", 1_600)
    begin(crowd, "maker")
    found = standings(crowd, *SHORTS, "late")
    assert found[trader("late")].gain == 5 * WAD
    prove(crowd, *SHORTS, "late")
    execute(crowd)
    taken = paid(crowd)
    assert next(iter(taken.items())) == (trader("late"), (100, 5 * WAD))
    assert sum(amount for _, amount in taken.values()) == 1_000 * WAD
    # Lots go in the same order until the position is closed.
    assert sum(lots for lots, _ in taken.values()) == 1_000
    assert interest(crowd).open == 100
    assert books(crowd) == 0


def test_one_by_one_is_the_same(insolvent):
    begin(insolvent, "maker")
    model = insolvent.lockstep.model.world.contracts
    shared = charges(standings(insolvent, *SHORTS), Left(1_000, 1_000 * WAD)).shared
    assert takings(model["MarginDeleverager"], model["MarginMarket"])[1:] == (1_000 * WAD,) * 3
    prove(insolvent, *SHORTS)
    taken: dict[str, int] = {}
    for i in range(3):
        execute(insolvent, 1)
        taken |= {owner: amount for owner, (_, amount) in paid(insolvent).items()}
        assert insolvent.read("MarginDeleverager.executed") == i + 1
    assert taken == shared
    with reverts("ranking: no freeze"):
        execute(insolvent)
    assert books(insolvent) == 0


def test_a_losing_account_is_never_deleveraged(insolvent):
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
    made = opened(new_protocol, with_margin(domain="", policy="shared"))
    stage(made, maker=2_000, taker=20_000, third=40_000)
    fill(made, "maker", "taker", 1_000)
    move(made, "WETH", 1_650)
    fill(made, "third", "taker", -1_000)
    move(made, "WETH", 1_600)
    begin(made, "maker")
    prove(made, "third")
    execute(made)
    assert paid(made) == {trader("third"): (1_000, 500 * WAD)}
    assert interest(made) == (0, 0, 0, 1_500 * WAD)
    assert worth(made, "maker").equity == books(made) == 0


def test_without_any_gain_nobody_is_touched(new_protocol):
    made = opened(new_protocol, with_margin(domain="", policy="shared"))
    stage(made, maker=2_000, taker=20_000, third=40_000)
    fill(made, "maker", "taker", 1_000)
    move(made, "WETH", 1_600)
    fill(made, "third", "taker", -1_000)
    begin(made, "maker")
    prove(made, "third")
    execute(made)
    assert interest(made) == (1, 1, 1_000, 2_000 * WAD)


def test_who_closed_meanwhile_still_pays_its_part(crowd):
    fill(crowd, "liquidator", "third", 600)
    move(crowd, "WETH", 1_600)
    begin(crowd, "maker")
    shared = charges(standings(crowd, *SHORTS), Left(1_000, 1_000 * WAD)).shared
    fill(crowd, "third", "liquidator", 600)
    prove(crowd, *SHORTS)
    execute(crowd)
    assert {owner: amount for owner, (_, amount) in paid(crowd).items()} == shared
    assert interest(crowd).unpaid == worth(crowd, "maker").equity == books(crowd) == 0


def test_what_is_not_missing_any_more_is_not_taken(insolvent):
    begin(insolvent, "maker")
    prove(insolvent, *SHORTS)
    insolvent.do("MarginMarket.deposit", trader("maker"), 900 * WAD, sender="rich")
    execute(insolvent)
    assert sum(amount for _, amount in paid(insolvent).values()) == 100 * WAD
    assert worth(insolvent, "maker").equity == interest(insolvent).unpaid == books(insolvent) == 0


@pytest.mark.parametrize("price", [1_699, 1_650, 1_613, 1_400, 900])
def test_exactly_the_loss_or_all_gains(crowd, price):
    move(crowd, "WETH", price)
    begin(crowd, "maker")
    loss = crowd.read("MarginDeleverager.case_of").loss
    gains = {owner: standing.gain for owner, standing in standings(crowd, *SHORTS).items()}
    prove(crowd, *SHORTS)
    execute(crowd)
    assert sum(amount for _, amount in paid(crowd).values()) == min(loss, sum(gains.values()))
    assert interest(crowd).unpaid == max(0, loss - sum(gains.values()))
    assert all(amount <= gains[owner] for owner, (_, amount) in paid(crowd).items())
    assert books(crowd) == 0
