"""The views: prices as if at rest, what is at rest, and how much room there is."""

from backstop.model.arithmetic import WAD
from tests.support.helpers import reverts
from tests.support.market_with_pool import POOL, make_failed_pool
from tests.support.perpetuals import ETH, HOUSE


def test_conversions_round_down_at_what_there_is(members):
    members.market.do(f"{HOUSE}.deposit", members.market.at(POOL), 7 * WAD + 1, sender="rich")
    supply, held = members.read("totalSupply") + 10**6, members.cash() + 1
    assert held == 20_007 * WAD + 2
    for amount in (0, 1, 10**6 + 1, 12_345 * WAD + 7):
        assert members.read("convertToShares", amount) == amount * supply // held
        assert members.read("convertToAssets", amount) == amount * held // supply
    for view in ("convertToShares", "convertToAssets"):
        with reverts(""):
            members.read(view, 2**255)


def test_at_rest_until_it_has_something(offered):
    assert offered.read("is_idle")
    offered.take(1)
    assert not offered.read("is_idle")
    assert offered.read("first_batch") == 0 and offered.read("due_at", 5) == 7 * 86_400


def test_a_debtor_has_nothing_and_is_not_at_rest(new_protocol):
    pool = make_failed_pool(new_protocol)
    assert pool.cash() == 0 and pool.equity() < 0
    assert not pool.read("is_idle")


def test_room_is_what_may_be_taken_to_the_lot(offered):
    """By its money 20,000 at 16 are 1,250 lots, by a limit of 12,000 they are 750."""
    assert offered.read("room", ETH) == 1_250
    offered.do("set_limit", ETH, 12_000, sender="admin")
    assert offered.read("room", ETH) == 750
    offered.take(300)
    assert offered.read("room", ETH) == 450
    with reverts("liquidity_vault: above its limit"):
        offered.take(451)
    offered.take(450)
    assert offered.read("room", ETH) == 0


def test_no_room_without_a_mark_or_money_or_while_members_are_due(offered):
    batch = offered.request("bob", 10**25)
    offered.market.advance(61)
    assert offered.read("room", ETH) == 0
    offered.wait(batch)
    offered.market.refresh()
    assert offered.read("room", ETH) == 0
    offered.leave("bob", batch)
    assert offered.read("room", ETH) > 0
    for name in ("bob", "ann"):
        batch = offered.request(name)
    offered.wait(batch)
    for name in ("bob", "ann"):
        offered.leave(name, batch)
    offered.market.refresh()
    assert offered.cash() <= 1 and offered.read("room", ETH) == 0


def test_gains_that_are_not_final_make_no_room(offered):
    """Nor do positions in other markets, which count all together."""
    offered.take(1_000)
    offered.market.mark(ETH, 20 * WAD)
    free = offered.equity() - offered.market.standing(offered.market.at(POOL)).unfinal
    assert offered.read("room", ETH) == max(0, free - 1_000 * 20 * WAD) // (20 * WAD) == 0
