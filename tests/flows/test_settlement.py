"""The last resort: a crash that ends the protocol, and all holders of stablecoin are paid alike."""

from random import Random

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.auction_steps import WBTC, WETH, XAU, liquidate_vault, take_collateral
from tests.support.saver_steps import (
    BUFFER,
    RESERVE,
    SAVINGS,
    deposit_savings,
    redeem_all_shares,
    request_all_shares,
)
from tests.support.settlement_steps import (
    cover_and_fix_redemption_rates,
    cover_deficits_last_time,
    fix_prices,
    list_indebted_vaults,
    list_open_auction_ids,
    list_stablecoin_balances_by_holder,
    skim_vault_and_read_amounts,
    start_settlement,
    unwind_auctions,
)

SYMBOLS = ("WETH", "WBTC", "XAU")


@pytest.fixture
def crashed(protocol):
    """Twenty-odd vaults, savers, fees; ether falls by half, some auctions run, one of them half sold."""
    deposit_savings(protocol, "saver", 6_000 * WAD)
    deposit_savings(protocol, "neighbour", 3_000 * WAD)
    protocol.earn_fees("XAU")
    protocol.give_stablecoin("taker", 20_000 * WAD)
    for i in range(8):
        protocol.borrow(f"ether_{i}", "WETH", (10 + i) * WAD, (12_000 + 1_000 * i) * WAD + i)
        protocol.borrow(f"bitcoin_{i}", "WBTC", WAD // 2 + i * 10**11, (15_000 + 7 * i) * WAD + 1)
        protocol.borrow(f"gold_{i}", "XAU", 5 * WAD, (8_000 + 17 * i) * WAD - 1)
    for i in range(8):
        protocol.do("Stablecoin.transfer", f"holder_{i % 3}", (3_000 + i) * WAD + 7, sender=f"ether_{i}")
    protocol.post_price("WETH", 900 * RAY)
    auctions = [liquidate_vault(protocol, f"ether_{i}") for i in range(4)]
    take_collateral(protocol, auctions[0], 5 * WAD)
    protocol.advance(1_800)
    take_collateral(protocol, auctions[1], 6 * WAD)
    return protocol


def finish(protocol, order: Random) -> int:
    """Unwind, fix prices, skim every vault in an order, a day between some of the calls; the supply."""
    start_settlement(protocol)
    assert len(list_open_auction_ids(protocol)) == 4
    unwind_auctions(protocol)
    fix_prices(protocol)
    vaults = list_indebted_vaults(protocol)
    order.shuffle(vaults)
    for part in (vaults[:9], vaults[9:10], vaults[10:]):
        for c, owner in part:
            skim_vault_and_read_amounts(protocol, c, owner)
        protocol.advance(86_400)
    cover_and_fix_redemption_rates(protocol)
    assert list_indebted_vaults(protocol) == []
    return int(protocol.read("Stablecoin.totalSupply"))


def cash_all(protocol, who: str) -> tuple[int, ...]:
    """Redeem all that a holder has, and cash it; wad of each collateral."""
    amount = protocol.read("Stablecoin.balanceOf", who)
    protocol.do("Settlement.redeem", amount, sender=who)
    return tuple(int(protocol.do("Settlement.cash", c, amount, sender=who)) for c in range(3))


@pytest.mark.parametrize("seed", [1, 2])
def test_first_and_last_are_paid_alike_and_the_last_is_paid(crashed, seed):
    order = Random(seed)
    supply = finish(crashed, order)
    pools = [crashed.read("VaultEngine.salvage_of", c) for c in range(3)]
    units = [crashed.read("VaultEngine.unit_of", c) for c in range(3)]
    # The savers' pool is a holder like others, and they are its owners.
    for who in ("saver", "neighbour"):
        request_all_shares(crashed, who)
    crashed.advance(crashed.parameters.savings.cooldown)
    for who in ("saver", "neighbour"):
        redeem_all_shares(crashed, who)
    everybody = [
        who for who in list_stablecoin_balances_by_holder(crashed) if who != crashed.address("Savings")
    ]
    order.shuffle(everybody)
    paid = [0, 0, 0]
    for who in everybody:
        amount = crashed.read("Stablecoin.balanceOf", who)
        got = cash_all(crashed, who)
        for c in range(3):
            exact = amount * pools[c] // supply
            # To the unit, whether first or last; a share of a stablecoin is rounded down to a ray.
            assert exact - 2 * units[c] < got[c] <= exact
            paid[c] += got[c]
    kept = crashed.read("Stablecoin.totalSupply")
    assert kept == crashed.read("Savings.totalAssets") == crashed.read("Stablecoin.balanceOf", "Savings")
    for c, symbol in enumerate(SYMBOLS):
        left = crashed.read("VaultEngine.salvage_of", c)
        assert left == pools[c] - paid[c] >= 0
        # All that stays is dust, and what the pool itself has kept is worth.
        assert left <= (len(everybody) + 1) * units[c] + kept * pools[c] // supply
        assert crashed.read(f"{symbol}.balanceOf", "VaultEngine") * units[c] >= left


def test_the_order_of_skimming_makes_no_difference(crashed):
    outcomes = []
    for seed in range(3):
        with crashed.lockstep.fork_state() as both:
            assert both is crashed.lockstep
            supply = finish(crashed, Random(seed))
            shares = [crashed.read("Settlement.share_of", c) for c in range(3)]
            outcomes.append((supply, shares, crashed.read("Savings.totalAssets")))
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_owners_keep_what_their_debt_did_not_need(crashed):
    finish(crashed, Random(3))
    for c, symbol in ((WBTC, "bitcoin"), (XAU, "gold")):
        for i in range(8):
            who = f"{symbol}_{i}"
            vault = crashed.read("VaultEngine.vault", c, who)
            assert vault.normalized_debt == 0 < vault.locked_collateral
            args = c, who, 0, vault.locked_collateral, who
            crashed.do("VaultEngine.repay_and_withdraw", *args, sender=who)
    # Those whose ether is worth less than their debt have nothing left.
    assert crashed.read("VaultEngine.vault", WETH, "ether_5").locked_collateral == 0


def test_savers_lose_before_other_holders_do(crashed):
    saved = crashed.read("Savings.totalAssets")
    start_settlement(crashed)
    unwind_auctions(crashed)
    fix_prices(crashed)
    for c, owner in list_indebted_vaults(crashed):
        skim_vault_and_read_amounts(crashed, c, owner)
    deficit = crashed.read("VaultEngine.deficit_of", WETH)
    assert deficit > 0
    covered = {stage: amount for _, _, stage, amount in cover_deficits_last_time(crashed)}
    assert list(covered) == [BUFFER, RESERVE, SAVINGS]
    assert crashed.read("Savings.totalAssets") == saved - -(-covered[SAVINGS] // RAY)


def test_holders_get_what_backs_them(crashed):
    """All taken collateral, at final prices, equals the settled amount: less than one for one."""
    supply = finish(crashed, Random(4))
    worth = 0
    for c in range(3):
        price = crashed.read("Settlement.final_price_of", c)[1]
        worth += crashed.read("VaultEngine.salvage_of", c) * price
    assert 0.7 < worth / (supply * RAY) < 1
