"""fix: closed books, and each collateral's share of a stablecoin."""

from dataclasses import replace

import pytest

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import StageParameters
from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.proof.local_protocol import PRICES
from tests.support.auction_steps import WETH, get_only_event_values, start_auction
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import BUFFER, RESERVE, SAVINGS, deposit_savings, lose_new_vault
from tests.support.settlement_steps import (
    cover_and_fix_redemption_rates,
    cover_deficits_last_time,
    fix_prices,
    list_indebted_vaults,
    skim_vault_and_read_amounts,
    start_settlement,
    unwind_auctions,
)

CALL = "Settlement.fix_redemption_rates"


def test_what_is_settled_is_the_supply(skimmed):
    supply = skimmed.read("Stablecoin.totalSupply")
    assert skimmed.read("VaultEngine.reserve") > 0
    assert skimmed.read("VaultEngine.settled") > supply * RAY
    skimmed.do(CALL, sender="stranger")
    assert get_only_event_values(skimmed, "Fixed", "Settlement") == (supply,)
    assert skimmed.read("VaultEngine.settled") == supply * RAY
    assert skimmed.read("VaultEngine.reserve") == 0
    assert [skimmed.read("VaultEngine.buffer_of", c) for c in range(3)] == [0, 0, 0]
    assert skimmed.read("Settlement.progress_of").fixed_at == skimmed.timestamp
    assert skimmed.read("VaultEngine.in_settlement")


def test_shares_are_rounded_down(skimmed):
    supply = skimmed.read("Stablecoin.totalSupply")
    pools = [skimmed.read("VaultEngine.salvage_of", c) for c in range(3)]
    skimmed.do(CALL, sender="stranger")
    shares = [pool * RAY // supply for pool in pools]
    assert [skimmed.read("Settlement.share_of", c) for c in range(3)] == shares
    assert all(share * supply // RAY <= pool for share, pool in zip(shares, pools, strict=True))
    logged = [log.values for log in skimmed.last.logs if log.event == "ShareFixed"]
    assert logged == list(enumerate(shares))


def test_the_stages_bear_losses_first_whoever_calls(protocol):
    """Savers lose up to their cap before other holders lose anything."""
    deposit_savings(protocol, "saver", 3_000 * WAD)
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    protocol.post_price("WETH", 600 * RAY)
    start_settlement(protocol)
    fix_prices(protocol)
    for c, owner in list_indebted_vaults(protocol):
        skim_vault_and_read_amounts(protocol, c, owner)
    assert protocol.read("VaultEngine.deficit_of", WETH) > 6_000 * RAD
    with reverts("settlement: cover a last time"):
        protocol.do(CALL, sender="saver")
    assert [stage for _, _, stage, _ in cover_deficits_last_time(protocol)] == [BUFFER, RESERVE, SAVINGS]
    assert protocol.read("Savings.totalAssets") == 1_500 * WAD
    protocol.do(CALL, sender="saver")
    assert protocol.read("VaultEngine.deficit_of", WETH) == 0
    assert not protocol.read("VaultEngine.debts_of", WETH).distressed


def test_a_loss_from_before_is_shared_as_well(lent):
    lose_new_vault(lent)
    start_settlement(lent)
    unwind_auctions(lent)
    fix_prices(lent)
    for c, owner in list_indebted_vaults(lent):
        skim_vault_and_read_amounts(lent, c, owner)
    assert lent.read("VaultEngine.deficit_of", 2) > 0
    cover_and_fix_redemption_rates(lent)
    assert lent.read("VaultEngine.settled") == lent.read("Stablecoin.totalSupply") * RAY
    # Nothing is pending for those who are still in a pool.
    assert lent.read("LossWaterfall.losses_reaching", "Savings") == 0


def test_waits_for_every_vault(priced):
    skim_vault_and_read_amounts(priced, 0, "borrower")
    skim_vault_and_read_amounts(priced, 2, "third")
    with reverts("settlement: debts are left"):
        priced.do(CALL, sender="stranger")
    skim_vault_and_read_amounts(priced, 1, "neighbour")
    priced.do(CALL, sender="stranger")


def test_waits_for_every_auction(protocol):
    start_auction(protocol)
    start_settlement(protocol)
    fix_prices(protocol)
    cover_deficits_last_time(protocol)
    with reverts("settlement: debts are left"):
        protocol.do(CALL, sender="stranger")


def test_waits_for_salvage_on_sale(protocol):
    lose_new_vault(protocol)
    protocol.do("CollateralAuction.sell_salvage", 2, sender="stranger")
    start_settlement(protocol)
    fix_prices(protocol)
    with reverts("settlement: salvage on sale"):
        protocol.do(CALL, sender="stranger")
    unwind_auctions(protocol)
    for c, owner in list_indebted_vaults(protocol):
        skim_vault_and_read_amounts(protocol, c, owner)
    cover_and_fix_redemption_rates(protocol)


def test_waits_for_the_auctions_of_stages(new_protocol):
    protocol = new_protocol(replace(build_standard_parameters(), stages=(StageParameters("scripted"),)))
    for symbol, price in PRICES.items():
        protocol.post_price(symbol, price)
    lose_new_vault(protocol)
    protocol.do("ScriptedStage.claim", 1_000 * RAD, 0, 1_000 * RAD, sender="stranger")
    protocol.do("LossWaterfall.cover", 2, sender="stranger")
    protocol.do("ScriptedStage.claim", 0, 0, 0, sender="stranger")
    assert protocol.read("LossWaterfall.reserved_of", 2) == 1_000 * RAD
    start_settlement(protocol)
    with reverts("settlement: stages are busy"):
        protocol.do(CALL, sender="stranger")


def test_once(fixed):
    with reverts("settlement: is fixed"):
        fixed.do(CALL, sender="stranger")


@pytest.mark.parametrize("sender", ["stranger", "admin"])
def test_not_before_settlement(protocol, sender):
    with reverts("settlement: not begun"):
        protocol.do(CALL, sender=sender)


def test_a_protocol_that_nobody_used(protocol):
    start_settlement(protocol)
    protocol.do(CALL, sender="stranger")
    assert get_only_event_values(protocol, "Fixed", "Settlement") == (0,)
    assert [log for log in protocol.last.logs if log.event == "ShareFixed"] == []
    protocol.do("Settlement.redeem", 0, sender="stranger")
    assert protocol.do("Settlement.cash", WETH, 0, sender="stranger") == 0
