"""The views: prices as if at rest, the balances at rest, and the remaining room."""

from backstop.model.arithmetic import WAD
from tests.support.market_with_pool import POOL, make_pool_whose_account_is_seized
from tests.support.perpetual_test_market import ETH, HOUSE
from tests.support.revert_setter_and_source_helpers import reverts


def test_conversions_round_down_at_what_there_is(members):
    members.market.do(
        f"{HOUSE}.deposit", members.market.get_contract_or_account_address(POOL), 7 * WAD + 1, sender="rich"
    )
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
    offered.take_unassigned_lots(1)
    assert not offered.read("is_idle")
    assert offered.read("first_batch") == 0 and offered.read("due_at", 5) == 7 * 86_400


def test_a_debtor_has_nothing_and_is_not_at_rest(new_protocol):
    pool = make_pool_whose_account_is_seized(new_protocol)
    assert pool.cash() == 0 and pool.get_pool_equity() < 0
    assert not pool.read("is_idle")


def test_room_is_what_may_be_taken_to_the_lot(offered):
    """By its money 20,000 at 16 are 1,250 lots, by a limit of 12,000 they are 750."""
    assert offered.read("room", ETH) == 1_250
    offered.do("set_limit", ETH, 12_000, sender="admin")
    assert offered.read("room", ETH) == 750
    offered.take_unassigned_lots(300)
    assert offered.read("room", ETH) == 450
    with reverts("liquidity_vault: above its limit"):
        offered.take_unassigned_lots(451)
    offered.take_unassigned_lots(450)
    assert offered.read("room", ETH) == 0


def test_no_room_without_a_mark_or_money_or_while_members_are_due(offered):
    batch = offered.request("bob", 10**25)
    offered.market.advance_clock(61)
    assert offered.read("room", ETH) == 0
    offered.wait(batch)
    offered.market.report_current_prices_again()
    assert offered.read("room", ETH) == 0
    offered.complete_exit_from_batch("bob", batch)
    assert offered.read("room", ETH) > 0
    for name in ("bob", "ann"):
        batch = offered.request(name)
    offered.wait(batch)
    for name in ("bob", "ann"):
        offered.complete_exit_from_batch(name, batch)
    offered.market.report_current_prices_again()
    assert offered.cash() <= 1 and offered.read("room", ETH) == 0


def test_gains_that_are_not_final_make_no_room(offered):
    """Nor do positions in other markets, which count all together."""
    offered.take_unassigned_lots(1_000)
    offered.market.mark(ETH, 20 * WAD)
    free = (
        offered.get_pool_equity()
        - offered.market.standing(offered.market.get_contract_or_account_address(POOL)).unfinal
    )
    assert offered.read("room", ETH) == max(0, free - 1_000 * 20 * WAD) // (20 * WAD) == 0
