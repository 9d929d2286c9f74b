"""skim, net, redeem, pay_out, unwind, take_salvage: for one caller only, and no more than there is."""

from dataclasses import replace

import pytest

from backstop.deployment.planned_contracts import plan_deployment
from backstop.deployment.role_accounts import get_account
from backstop.model.arithmetic import RAY, WAD
from backstop.proof.local_protocol import PRICES
from tests.support.auction_steps import WETH
from tests.support.revert_setter_and_source_helpers import reverts

SETTLEMENT = {
    "skim": (WETH, "borrower", WAD, WAD * RAY),
    "net": (),
    "redeem": ("borrower", WAD),
    "pay_out": (WETH, WAD, "borrower"),
}
AUCTION = {"unwind": (WETH, "borrower", WAD, RAY), "take_salvage": (WETH, WAD)}


@pytest.fixture
def inside(new_protocol, monkeypatch):
    """A ledger with an account, `winder`, as its settlement and another as its treasury.

    One vault owes 5,000.
    """

    def rewired(*args):
        made = plan_deployment(*args)
        at = made.addresses
        accounts = {at["Settlement"]: get_account("winder"), at["Treasury"]: get_account("treasurer")}
        creations = (
            replace(each, args=tuple(accounts.get(arg, arg) for arg in each.args))
            if each.name == "VaultEngine"
            else each
            for each in made.creations
        )
        return replace(made, creations=tuple(creations))

    monkeypatch.setattr("backstop.deployment.model_and_chain_deployment.plan_deployment", rewired)
    made = new_protocol()
    # What an account may never do is what the properties of a step are about.
    made.lockstep.step_check = None
    for symbol, price in PRICES.items():
        made.post_price(symbol, price)
    made.borrow("borrower", "WETH", 10 * WAD, 5_000 * WAD)
    return made


@pytest.mark.parametrize("sender", ["stranger", "admin", "guardian", "borrower"])
@pytest.mark.parametrize("method", SETTLEMENT)
def test_settlement_alone(protocol, method, sender):
    with reverts("vault_engine: only settlement"):
        protocol.do(f"VaultEngine.{method}", *SETTLEMENT[method], sender=sender)


@pytest.mark.parametrize("sender", ["stranger", "admin", "guardian", "borrower"])
@pytest.mark.parametrize("method", AUCTION)
def test_the_auctions_alone(protocol, method, sender):
    with reverts("vault_engine: only auction"):
        protocol.do(f"VaultEngine.{method}", *AUCTION[method], sender=sender)


def test_no_more_than_is_locked_is_skimmed(inside):
    with reverts(""):
        inside.do("VaultEngine.skim", WETH, "borrower", 10 * WAD + 1, 0, sender="winder")


def test_no_more_than_the_salvage_is_paid_out(inside):
    inside.do("VaultEngine.skim", WETH, "borrower", 3 * WAD, 5_000 * WAD * RAY, sender="winder")
    with reverts(""):
        inside.do("VaultEngine.pay_out", WETH, 3 * WAD + 1, "holder", sender="winder")
    inside.do("VaultEngine.pay_out", WETH, 3 * WAD, "holder", sender="winder")
    assert inside.read("WETH.balanceOf", "holder") == 3 * WAD


def test_no_more_than_is_settled_is_redeemed(inside):
    with reverts(""):
        inside.do("VaultEngine.redeem", "borrower", 1, sender="winder")


def test_the_net_is_the_supply(inside):
    inside.do("VaultEngine.begin_settlement", sender="winder")
    inside.do("VaultEngine.skim", WETH, "borrower", 3 * WAD, 4_000 * WAD * RAY, sender="winder")
    assert inside.read("VaultEngine.settled") == 4_000 * WAD * RAY
    assert inside.do("VaultEngine.net", sender="winder") == 5_000 * WAD
    assert inside.read("VaultEngine.settled") == 5_000 * WAD * RAY
    assert inside.read("VaultEngine.deficit_of", WETH) == 0


def test_fees_of_up_to_a_year_are_charged_at_the_beginning(inside):
    before = inside.read("VaultEngine.reserve")
    inside.advance(86_400)
    inside.do("VaultEngine.begin_settlement", sender="winder")
    assert inside.read("VaultEngine.reserve") > before
    assert inside.read("VaultEngine.in_settlement")
    assert inside.read("VaultEngine.stability_fee_of", WETH) == 0


def test_the_reserve_is_not_spent_any_more(inside):
    inside.earn_fees("XAU")
    inside.do("VaultEngine.spend_reserve", WAD, "holder", sender="treasurer")
    inside.do("VaultEngine.begin_settlement", sender="winder")
    with reverts("ledger: in settlement"):
        inside.do("VaultEngine.spend_reserve", WAD, "holder", sender="treasurer")
