"""An auction of staked equity: stake is slashed at the start, and unsold stake comes back."""

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.model.bounds import EQUITY_MARKET
from tests.support.equity_steps import (
    ALL,
    XAU,
    call_waterfall_cover_once,
    read_equity,
    read_last_call_events,
    report_equity,
    take_from_equity_auction,
)
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import cut_batch_and_wait_cooldown, lose_new_vault, request_all_shares

NAME = "StakeAuction"
HOURS = 36_000


def up(a, b):
    return -(-a // b)


def buy(protocol, amount=ALL, **where):
    take_from_equity_auction(protocol, amount, auction=NAME, **where)


def lot(protocol):
    return protocol.read(f"{NAME}.auction_of", XAU).lot


def test_capacity(staked):
    assert staked.read(f"{NAME}.SOURCE") == staked.address("StakedEquity")
    assert staked.read(f"{NAME}.capacity", XAU) == 500 * 80 * RAD


def test_slashes(staked):
    lose_new_vault(staked)
    report_equity(staked, 100 * RAY)
    floor = staked.read("PriceFeed.time_weighted", EQUITY_MARKET) * 8_000 // 10_000
    supply = staked.read("Equity.totalSupply")
    target = call_waterfall_cover_once(staked)
    assert target == staked.read("VaultEngine.deficit_of", XAU) // RAY * RAY
    slashed = up(target, floor)
    assert lot(staked) == slashed == read_equity(staked, NAME)
    assert staked.read("StakedEquity.totalAssets") == 500 * WAD - slashed
    assert staked.read("Equity.totalSupply") == supply
    assert staked.read(f"{NAME}.capacity", XAU) == 0


def test_at_most_all_of_it(staked):
    """A loss of more than the stake is worth at the floor."""
    for _ in range(5):
        lose_new_vault(staked)
    report_equity(staked, 100 * RAY)
    assert call_waterfall_cover_once(staked) <= 500 * 80 * RAD
    assert read_equity(staked, "StakedEquity") <= 1
    assert staked.read("VaultEngine.deficit_of", XAU) > 50_000 * RAD


def test_a_part_is_sold(slashed):
    """At three times the floor: the rest of the target needs three less, of which two come back."""
    before, supply = lot(slashed), slashed.read("Equity.totalSupply")
    kept = slashed.read("StakedEquity.totalAssets")
    deficit = slashed.read("VaultEngine.deficit_of", XAU)
    buy(slashed, WAD, receiver="friend")
    assert read_equity(slashed, "friend") == WAD
    assert lot(slashed) == before - 3 * WAD == read_equity(slashed, NAME)
    assert slashed.read("StakedEquity.totalAssets") == kept + 2 * WAD
    assert slashed.read("Equity.totalSupply") == supply
    assert deficit - slashed.read("VaultEngine.deficit_of", XAU) == 240 * RAD


def test_what_the_target_does_not_need_comes_back(slashed):
    kept, before = slashed.read("StakedEquity.totalAssets"), lot(slashed)
    buy(slashed)
    sold = read_equity(slashed, "taker")
    assert sold < before
    assert slashed.read("StakedEquity.totalAssets") == kept + before - sold
    assert read_last_call_events(slashed, "Taken", NAME)[0][-1] == 0
    assert read_equity(slashed, NAME) == 0
    assert slashed.read("Equity.allowance", NAME, "StakedEquity") == 0


def test_what_is_not_sold_comes_back(slashed):
    buy(slashed, 3 * WAD)
    slashed.advance(HOURS + 1)
    slashed.do(f"{NAME}.end", XAU, sender="stranger")
    assert slashed.read("StakedEquity.totalAssets") == 497 * WAD
    assert read_equity(slashed, NAME) == 0
    call_waterfall_cover_once(slashed)
    assert slashed.read("VaultEngine.deficit_of", XAU) == 0


def test_nothing_is_left_to_come_back(slashed):
    """At the floor the lot is sold to the last wei, but for its rounding."""
    before = lot(slashed)
    slashed.advance(HOURS)
    buy(slashed)
    assert before - read_equity(slashed, "taker") in (0, 1)
    assert read_equity(slashed, NAME) == 0


@pytest.mark.parametrize("receiver", ["StakedEquity", NAME, "Equity"])
def test_not_for_its_own_contracts(slashed, receiver):
    with reverts("equity_auction: bad receiver"):
        buy(slashed, WAD, receiver=receiver)


def test_nobody_leaves_while_a_loss_is_known(staked):
    request_all_shares(staked, "staker", "StakedEquity")
    cut_batch_and_wait_cooldown(staked, "StakedEquity")
    lose_new_vault(staked)
    report_equity(staked, 100 * RAY)
    loss = staked.read("LossWaterfall.losses_reaching", NAME)
    pending = staked.read(f"{NAME}.pending_assets", loss)
    floor = staked.read("PriceFeed.time_weighted", EQUITY_MARKET) * 8_000 // 10_000
    assert pending == up(loss, floor) > 100 * WAD
    for _ in range(2):
        with reverts("pool: losses are open"):
            staked.do("StakedEquity.settle", sender="stranger")
        call_waterfall_cover_once(staked)
