"""cut: a batch ends its collecting; its shares leave the live ones at one price, and earn nothing."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import (
    DAY,
    charge_pool,
    cut_batch,
    deposit_savings,
    give_stablecoin,
    pool_arguments,
    request_all_shares,
)

CALL = "Savings.cut"


def test_its_shares_are_burned_for_what_they_are_worth(savers):
    request_all_shares(savers, "saver")
    assert cut_batch(savers) == 1
    assert savers.read("Savings.totalSupply") == 10_000 * WAD * 10**6
    assert savers.read("Savings.totalAssets") == 10_000 * WAD
    batch = (30_000 * WAD * 10**6, savers.timestamp, 0, 30_000 * WAD, False)
    assert savers.read("Savings.batch_of", 1) == batch
    assert savers.read("Savings.queue") == (1, 1, 2)
    logs = [log.values for log in savers.last.logs if log.event == "BatchCut"]
    assert logs == [(1, 30_000 * WAD * 10**6, 30_000 * WAD)]


def test_what_it_holds_bears_losses_as_before(savers):
    capacity = savers.read("Savings.capacity", 0)
    request_all_shares(savers, "saver")
    cut_batch(savers)
    assert savers.read("Savings.capacity", 0) == capacity == 40_000 * WAD * RAY


def test_income_that_has_not_vested_on_its_shares_is_the_reserves(junior):
    """Of 700, three quarters less a part of a wei.

    The remaining members get their shares' income, and a wei.
    """
    junior.do("Young.requestRedeem", 3_000 * WAD * 10**6, "saver", "saver", sender="saver")
    junior.advance(DAY)
    junior.do("Young.add_income", 700 * WAD, sender="payer")
    supply = junior.read("Stablecoin.totalSupply")
    cut_batch(junior, "Young")
    assert junior.read("VaultEngine.reserve") == (525 * WAD - 1) * RAY
    assert junior.read("Stablecoin.totalSupply") == supply - (525 * WAD - 1)
    assert junior.read("Stablecoin.balanceOf", "Young") == 4_175 * WAD + 1
    assert junior.read("Young.unvested") == 175 * WAD + 1
    junior.advance(7 * DAY)
    assert junior.read("Young.batch_of", 1)[3] == 3_000 * WAD
    assert junior.read("Young.totalAssets") == 1_175 * WAD + 1


def test_income_that_has_vested_is_theirs_who_leave(junior):
    """Of 700 a day's 100: 75 are the batch's, and of the 600 to come 450 are the reserve's."""
    junior.do("Young.requestRedeem", 3_000 * WAD * 10**6, "saver", "saver", sender="saver")
    junior.do("Young.add_income", 700 * WAD, sender="payer")
    cut_batch(junior, "Young")
    assert 3_075 * WAD - junior.read("Young.batch_of", 1)[3] in (0, 1)
    assert junior.read("VaultEngine.reserve") == (450 * WAD - 1) * RAY
    # What is left vests on, until when it would have.
    junior.advance(3 * DAY)
    assert junior.read("Young.unvested") == 75 * WAD + 1
    junior.advance(3 * DAY)
    assert junior.read("Young.unvested") == 0


def test_of_the_last_who_leave_the_reserve_gets_all(junior):
    """So it attracts no deposit: of 700 a day's 100 had vested when all shares were cut."""
    junior.do("Young.add_income", 700 * WAD, sender="payer")
    for who in ("saver", "neighbour"):
        request_all_shares(junior, who, "Young")
    junior.advance(DAY)
    cut_batch(junior, "Young")
    assert junior.read("VaultEngine.reserve") == 600 * WAD * RAY
    assert junior.read("Young.unvested") == 0
    assert junior.read("Young.batch_of", 1)[3] + junior.read("Young.totalAssets") == 4_100 * WAD
    deposit_savings(junior, "newcomer", WAD, "Young")
    junior.advance(7 * DAY)
    shares = junior.read("Young.balanceOf", "newcomer")
    assert junior.read("Young.convertToAssets", shares) <= WAD


def test_a_pool_that_is_no_stage_keeps_income_that_has_not_vested(protocol):
    """It may give nothing to the reserve: the others get it, and the cut goes through."""
    protocol.lockstep.create_contract("Pool", "Made", *pool_arguments(protocol))
    for who, assets in (("saver", 3_000), ("neighbour", 1_000)):
        deposit_savings(protocol, who, assets * WAD, "Made")
    give_stablecoin(protocol, "payer", 700 * WAD)
    protocol.do("Stablecoin.approve", "Made", 700 * WAD, sender="payer")
    protocol.do("Made.requestRedeem", 3_000 * WAD * 10**6, "saver", "saver", sender="saver")
    protocol.advance(DAY)
    protocol.do("Made.add_income", 700 * WAD, sender="payer")
    reserve = protocol.read("VaultEngine.reserve")
    cut_batch(protocol, "Made")
    assert protocol.read("Made.unvested") == 700 * WAD
    assert protocol.read("VaultEngine.reserve") == reserve
    protocol.advance(7 * DAY)
    assert protocol.read("Made.batch_of", 1)[3] == 3_000 * WAD
    assert protocol.read("Made.totalAssets") == 1_700 * WAD


def test_not_before_its_day_is_over(savers):
    request_all_shares(savers, "saver")
    savers.advance(DAY - 1)
    with reverts("pool: batch collects"):
        savers.do(CALL, sender="stranger")
    savers.advance(1)
    savers.do(CALL, sender="stranger")


def test_nobody_has_asked(savers):
    with reverts("pool: no requests"):
        savers.do(CALL, sender="stranger")
    request_all_shares(savers, "saver")
    cut_batch(savers)
    with reverts("pool: no requests"):
        savers.do(CALL, sender="stranger")


def test_no_more_than_twelve_wait_for_their_time(protocol):
    """Coverage looks at each of them; the next goes on collecting until one is settled."""
    deposit_savings(protocol, "saver", 100 * WAD)
    for _ in range(12):
        protocol.do("Savings.requestRedeem", WAD, "saver", "saver", sender="saver")
        protocol.advance(DAY)
        protocol.do(CALL, sender="stranger")
    assert protocol.read("Savings.queue")[0] == 1
    protocol.do("Savings.requestRedeem", WAD, "saver", "saver", sender="saver")
    protocol.advance(DAY)
    with reverts("pool: too many batches"):
        protocol.do(CALL, sender="stranger")
    protocol.do("Savings.settle", sender="stranger")
    # The last has not waited for its time.
    assert protocol.read("Savings.queue") == (12, 12, 13)
    assert protocol.do(CALL, sender="stranger") == 13


@pytest.mark.parametrize("loss", [1, 10**9 + 7, 1_234 * WAD + 5], ids=str)
def test_at_the_price_of_a_share_rounded_for_those_who_stay(junior, loss):
    charge_pool(junior, "Young", loss)
    junior.do("Young.requestRedeem", 1_000 * WAD * 10**6 + 1, "saver", "saver", sender="saver")
    supply, booked = junior.read("Young.totalSupply"), junior.read("Young.totalAssets")
    cut_batch(junior, "Young")
    units = 1_000 * WAD * 10**6 + 1
    exact = units * (booked + 1)
    held = junior.read("Young.batch_of", 1)[3]
    assert 0 <= exact - held * (supply + 10**6) < 2 * (supply + 10**6)
    assert junior.read("Young.totalAssets") == booked - held
