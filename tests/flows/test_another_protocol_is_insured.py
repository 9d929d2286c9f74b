"""A protocol that exists already: its liquidation falls short, our waterfall covers that in its own coin."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.roles import GUARDIAN, MINTER
from tests.support.adapter_steps import ADAPTER, DELAY, deploy_protocol_with_adapter
from tests.support.revert_setter_and_source_helpers import reverts

K = 1_000 * WAD
DOLLARS = "Dollars.Adapter"


@pytest.fixture
def lender(new_protocol):
    """It lends 150,000 dollars against 225 ether at 1,000; 100,000 are brought in, a pool has 60,000."""
    protocol = deploy_protocol_with_adapter(new_protocol)
    coin = protocol.lockstep.create_contract("Token", "Dollars", "Dollar", "USDY", 18)
    ether = protocol.lockstep.create_contract("Token", "Ether", "Ether", "ETH", 18)
    lender = protocol.lockstep.create_contract(
        "OtherLender", "OtherLender", coin, ether, protocol.address("owner")
    )
    # What somebody does who insures a protocol: create the adapter, and make it the facilitator's bridge.
    wiring = [protocol.address(name) for name in ("Lender", "VaultEngine", "Stablecoin")]
    protocol.lockstep.create_contract("CoinAdapter", DOLLARS, coin, lender, *wiring, 0)
    protocol.do("Lender.revoke_role", MINTER, ADAPTER, sender="admin")
    protocol.do("Lender.grant_role", MINTER, DOLLARS, sender="admin")
    protocol.do("Lender.grant_role", GUARDIAN, DOLLARS, sender="admin")
    protocol.do("OtherLender.set_adapter", DOLLARS, sender="owner")

    protocol.do("OtherLender.set_price", 1_000, sender="owner")
    protocol.do("Ether.mint", "borrower", 225 * WAD, sender="borrower")
    protocol.do("Ether.approve", "OtherLender", MAX_UINT256, sender="borrower")
    protocol.do("OtherLender.borrow", 225 * WAD, 150 * K, sender="borrower")
    for who, amount in (("member", 60 * K), ("holder", 40 * K), ("buyer", 50 * K)):
        protocol.do("Dollars.transfer", who, amount, sender="borrower")
    for who, amount in (("member", 60 * K), ("holder", 40 * K)):
        protocol.do("Dollars.approve", DOLLARS, MAX_UINT256, sender=who)
        protocol.do(f"{DOLLARS}.deposit", amount, who, sender=who)
    protocol.do("Stablecoin.approve", "Senior", MAX_UINT256, sender="member")
    protocol.do("Senior.deposit", 60 * K, "member", sender="member")
    return protocol


def test_a_shortfall_is_paid_in_its_own_coin(lender):
    # Ether falls to 500: 225 of it bring 112,500 of 150,000, and the liquidation reports the rest.
    lender.do("OtherLender.set_price", 500, sender="owner")
    lender.do("Dollars.mint", "buyer", 100 * K, sender="buyer")
    lender.do("Dollars.approve", "OtherLender", MAX_UINT256, sender="buyer")
    lender.do("OtherLender.liquidate", "borrower", sender="buyer")
    assert lender.read("OtherLender.bad_debt") == 37_500 * WAD
    # No member leaves ahead of it, from that call on.
    assert lender.read("Senior.pending_losses") == 37_500 * WAD

    lender.advance(DELAY)
    lender.do("Lender.realise_loss", sender="stranger")
    lender.do("LossWaterfall.cover", 0, sender="stranger")
    assert lender.do(f"{DOLLARS}.pay_protocol", sender="stranger") == 37_500 * WAD
    assert lender.do("OtherLender.heal", sender="stranger") == 37_500 * WAD
    assert lender.read("OtherLender.bad_debt") == 0
    assert lender.read("Senior.totalAssets") == 22_500 * WAD

    # Who is no member has lost nothing.
    lender.do("Stablecoin.approve", DOLLARS, MAX_UINT256, sender="holder")
    lender.do(f"{DOLLARS}.withdraw", 40 * K, "holder", sender="holder")
    assert lender.read("Dollars.balanceOf", "holder") == 40 * K
    assert lender.read("Dollars.balanceOf", DOLLARS) == 22_500 * WAD


def test_what_its_contract_refuses(lender):
    with reverts("other_lender: is covered"):
        lender.do("OtherLender.liquidate", "borrower", sender="buyer")
    with reverts("other_lender: too much debt"):
        lender.do("OtherLender.borrow", 0, 1, sender="borrower")
    for call in ("set_price", "set_adapter"):
        with reverts("other_lender: not owner"):
            lender.do(f"OtherLender.{call}", 1 if call == "set_price" else "holder", sender="holder")
