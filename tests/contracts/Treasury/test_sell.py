"""sell: the surplus auction pays out the buyer's purchase."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.equity_steps import read_last_call_events
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import lose_new_vault

NAME = "Treasury"
AUCTION = "seller"


@pytest.mark.parametrize("sender", ["stranger", "admin", "seller"])
def test_only_the_auction(offering, sender):
    with reverts("treasury: not surplus auction"):
        offering.do(f"{NAME}.sell", 1, "stranger", sender=sender)


def test_pays_out(selling):
    for_sale, reserve = selling.read(f"{NAME}.for_sale"), selling.read("VaultEngine.reserve")
    selling.do(f"{NAME}.sell", 10 * WAD, "buyer", sender=AUCTION)
    assert selling.read("Stablecoin.balanceOf", "buyer") == 10 * WAD
    assert selling.read(f"{NAME}.for_sale") == for_sale - 10 * WAD
    assert selling.read("VaultEngine.reserve") == reserve - 10 * WAD * RAY
    assert read_last_call_events(selling, "SurplusSold", NAME) == [(selling.address("buyer"), 10 * WAD)]


def test_all_of_it_and_no_more(selling):
    for_sale = selling.read(f"{NAME}.for_sale")
    with reverts("treasury: not for sale"):
        selling.do(f"{NAME}.sell", for_sale + 1, "buyer", sender=AUCTION)
    selling.do(f"{NAME}.sell", for_sale, "buyer", sender=AUCTION)
    assert selling.read(f"{NAME}.for_sale") == 0
    assert selling.read("VaultEngine.reserve") // RAY == 1_000 * WAD
    with reverts("treasury: not for sale"):
        selling.do(f"{NAME}.sell", 1, "buyer", sender=AUCTION)


def test_not_what_the_reserve_has_lost_since(selling):
    for_sale = selling.read(f"{NAME}.for_sale")
    selling.do("Treasury.set_target", 1_500, sender="admin")
    with reverts("treasury: not for sale"):
        selling.do(f"{NAME}.sell", for_sale - 500 * WAD + 1, "buyer", sender=AUCTION)
    selling.do(f"{NAME}.sell", for_sale - 500 * WAD, "buyer", sender=AUCTION)


def test_not_while_a_loss_is_open(selling):
    lose_new_vault(selling, "WBTC")
    with reverts("loss_waterfall: losses pending"):
        selling.do(f"{NAME}.sell", 1, "buyer", sender=AUCTION)
