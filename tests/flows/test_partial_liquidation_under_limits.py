"""A vault larger than the limits is sold in parts, none under the floor and none leaving such a rest."""

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.proof.local_protocol import LocalProtocol
from tests.support.auction_steps import WBTC, WETH, get_only_event_values, liquidate_vault, take_collateral
from tests.support.revert_setter_and_source_helpers import reverts


@pytest.fixture
def large(quiet):
    """A vault of 20 WETH and 25,000, unsafe at 1,800; 10,000 of principal may be under auction."""
    protocol = quiet()
    protocol.do("VaultEngine.set_auction_limit", WETH, 10_000, sender="admin")
    protocol.borrow("borrower", "WETH", 20 * WAD, 25_000 * WAD)
    protocol.give_stablecoin("taker", 40_000 * WAD)
    protocol.post_price("WETH", 1_800 * RAY)
    return protocol


def vault(protocol: LocalProtocol, who: str = "borrower", c: int = WETH) -> tuple[int, int]:
    """Locked collateral and debt; without fees the rate stays at 1."""
    record = protocol.table("VaultEngine", "vaults", (c, protocol.address(who)))
    return record.locked_collateral, record.normalized_debt


def test_part_by_part_as_the_price_falls(large):
    sold = paid = 0
    # Price, about what part of the debt is liquidated.
    for price, part in ((1_800, 10_000), (1_400, 10_000), (850, 5_000)):
        large.post_price("WETH", price * RAY)
        locked, debt = vault(large)
        auction = liquidate_vault(large)
        _, _, _, lot, principal, reward = get_only_event_values(large, "Liquidated", "LiquidationEngine")
        # The collateral of the part, rounded down, and the debt that it stood for, rounded up.
        assert lot == (locked * part * WAD // debt if part == 10_000 else locked)
        assert (principal, reward) == (-(-lot * debt // locked) * RAY, 0)
        assert vault(large) == (locked - lot, debt - principal // RAY)
        # A wei of the collateral stands for some 1,000 wei, so that much of the limit may be left.
        assert abs(principal - part * RAD) < 3_000 * RAY
        if part == 10_000:
            left = "part too low" if principal < part * RAD else "no room"
            with reverts(f"liquidation_engine: {left}"):
                liquidate_vault(large)
        # Sold at the top, for the part and 13% in whole millionths; the rest of the lot goes back.
        take_collateral(large, auction)
        target = principal // RAY + principal // RAY * 13 // 100 // 10**12 * 10**12
        needed = target * RAY // (price * RAY * 12 // 10)
        assert get_only_event_values(large, "Taken")[2:] == (needed, target, 0)
        assert vault(large) == (locked - needed, debt - principal // RAY)
        sold, paid = sold + needed, paid + target
        # So the sale has made the vault safe, until the price falls further.
        with reverts("liquidation_engine: safe vault"):
            liquidate_vault(large)
    # The borrower has lost 13% and what the taker earned, and keeps the rest.
    assert vault(large) == (20 * WAD - sold, 0)
    assert large.read("WETH.balanceOf", "taker") == sold
    assert large.read("Stablecoin.balanceOf", "taker") == 40_000 * WAD - paid
    assert large.read("VaultEngine.buffer_of", WETH) == (paid - 25_000 * WAD) * RAY


def test_a_rest_under_the_floor_goes_with_the_last_part(large):
    large.do("VaultEngine.set_auction_limit", WETH, 23_001, sender="admin")
    liquidate_vault(large)
    # 1,999 would be left: the limit is passed by less than the floor.
    assert get_only_event_values(large, "Liquidated", "LiquidationEngine")[3:5] == (20 * WAD, 25_000 * RAD)
    assert vault(large) == (0, 0)
    assert large.read("VaultEngine.in_auction_of", WETH) == 25_000 * RAD


def test_a_rest_at_the_floor_stays(large):
    large.do("VaultEngine.set_auction_limit", WETH, 23_000, sender="admin")
    liquidate_vault(large)
    assert vault(large) == (20 * WAD * 2 // 25, 2_000 * WAD)


def test_no_part_is_under_the_floor(large):
    large.do("VaultEngine.set_auction_limit", WETH, 11_999, sender="admin")
    large.do("VaultEngine.set_debt_floor", WETH, 12_000, sender="admin")
    with reverts("liquidation_engine: part too low"):
        liquidate_vault(large)
    large.do("VaultEngine.set_auction_limit", WETH, 12_000, sender="admin")
    liquidate_vault(large)
    assert large.read("VaultEngine.in_auction_of", WETH) == 12_000 * RAD


def test_the_global_limit_is_shared(large):
    large.do("VaultEngine.set_global_auction_limit", 12_000, sender="admin")
    liquidate_vault(large)
    assert large.read("VaultEngine.in_auction_of", WETH) == 10_000 * RAD
    assert large.get_or_renew_risk_price("WBTC") == 60_000 * RAY
    large.borrow("neighbour", "WBTC", WAD, 30_000 * WAD)
    large.post_price("WBTC", 40_000 * RAY)
    auction = liquidate_vault(large, "neighbour", WBTC)
    # Of the smallest part a unit less would be under the floor.
    unit = 30_000 * RAD // 10**8
    assert (
        2_000 * RAD <= get_only_event_values(large, "Liquidated", "LiquidationEngine")[4] < 2_000 * RAD + unit
    )
    with reverts("liquidation_engine: no room"):
        liquidate_vault(large, "neighbour", WBTC)
    # A sale makes room for both.
    take_collateral(large, auction)
    assert large.read("VaultEngine.in_auction_of", WBTC) == 0
    liquidate_vault(large, "neighbour", WBTC)
    assert (
        2_000 * RAD <= get_only_event_values(large, "Liquidated", "LiquidationEngine")[4] < 2_000 * RAD + unit
    )
