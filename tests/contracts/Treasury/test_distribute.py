"""distribute: claims first, then the reserve's target, then the pools, and the rest is for sale."""

from backstop.model.arithmetic import RAY, WAD
from tests.support.equity_steps import read_last_call_events
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import cut_batch, lose_new_vault, request_all_shares
from tests.support.settlement_steps import start_settlement

NAME = "Treasury"


def surplus(protocol):
    reserve = protocol.read("VaultEngine.reserve") // RAY
    return max(0, reserve - protocol.read(f"{NAME}.target") * WAD)


def distribute(protocol):
    return protocol.do(f"{NAME}.distribute", sender="stranger")


def test_shares_what_is_above_the_target(treasury):
    reserve, new = treasury.read("VaultEngine.reserve"), surplus(treasury)
    assert new > 4 * WAD
    held = treasury.read("Stablecoin.balanceOf", "Savings")
    supply = treasury.read("Stablecoin.totalSupply")
    share = new * 2_500 // 10_000
    assert distribute(treasury) == share
    assert treasury.read("VaultEngine.reserve") == reserve - share * RAY
    assert treasury.read("Stablecoin.balanceOf", "Savings") == held + share
    assert treasury.read("Stablecoin.totalSupply") == supply + share
    assert treasury.read(f"{NAME}.for_sale") == new - share == surplus(treasury)
    assert read_last_call_events(treasury, "IncomeShared", NAME) == [(treasury.address("Savings"), share)]
    assert read_last_call_events(treasury, "SurplusOffered", NAME) == [(new - share, new - share)]
    # Nothing stays with it.
    assert treasury.read("Stablecoin.balanceOf", NAME) == 0
    assert treasury.read("Stablecoin.allowance", NAME, "Savings") == 0


def test_income_vests(treasury):
    assets = treasury.read("Savings.totalAssets")
    share = distribute(treasury)
    assert treasury.read("Savings.totalAssets") == assets
    assert treasury.read("Savings.unvested") == share


def test_what_is_for_sale_is_not_shared_again(offering):
    offering.do("Treasury.set_shares", (2_500,), sender="admin")
    for_sale = offering.read(f"{NAME}.for_sale")
    assert distribute(offering) == 0
    assert offering.read(f"{NAME}.for_sale") == for_sale
    assert not read_last_call_events(offering, "IncomeShared", NAME)


def test_new_income_is(offering):
    for_sale = offering.read(f"{NAME}.for_sale")
    offering.do("Treasury.set_shares", (2_500,), sender="admin")
    offering.do("Treasury.set_target", 900, sender="admin")
    assert distribute(offering) == 25 * WAD
    assert offering.read(f"{NAME}.for_sale") == for_sale + 75 * WAD


def test_a_reserve_under_its_target_keeps_all(treasury):
    treasury.do("Treasury.set_target", 10**9, sender="admin")
    reserve = treasury.read("VaultEngine.reserve")
    assert distribute(treasury) == 0
    assert treasury.read("VaultEngine.reserve") == reserve
    assert treasury.read(f"{NAME}.for_sale") == 0


def test_a_pool_without_members_gets_nothing(treasury):
    request_all_shares(treasury, "saver")
    cut_batch(treasury)
    new = surplus(treasury)
    assert distribute(treasury) == 0
    assert treasury.read(f"{NAME}.for_sale") == new


def test_all_of_it_for_savers(treasury):
    treasury.do("Treasury.set_shares", (10_000,), sender="admin")
    new = surplus(treasury)
    assert distribute(treasury) == new
    assert treasury.read(f"{NAME}.for_sale") == 0 == surplus(treasury)


def test_none_of_it(treasury):
    treasury.do("Treasury.set_shares", (0,), sender="admin")
    assert distribute(treasury) == 0
    assert treasury.read(f"{NAME}.for_sale") == surplus(treasury)


def test_not_while_a_loss_is_open(treasury):
    lose_new_vault(treasury, "WBTC")
    with reverts("loss_waterfall: losses pending"):
        distribute(treasury)
    while treasury.read("LossWaterfall.pending_total"):
        treasury.do("LossWaterfall.cover", 1, sender="stranger")
    distribute(treasury)


def test_what_the_reserve_has_lost_since_is_not_for_sale(offering):
    for_sale = offering.read(f"{NAME}.for_sale")
    offering.do("Treasury.set_target", 1_500, sender="admin")
    assert offering.read(f"{NAME}.for_sale") == for_sale - 500 * WAD
    distribute(offering)
    offering.do("Treasury.set_shares", (2_500,), sender="admin")
    # What comes back is shared as new.
    offering.do("Treasury.set_target", 1_000, sender="admin")
    assert distribute(offering) == 125 * WAD
    assert offering.read(f"{NAME}.for_sale") == for_sale - 125 * WAD


def test_not_in_settlement(treasury):
    start_settlement(treasury)
    with reverts("loss_waterfall: losses pending"):
        distribute(treasury)
