"""cash: each collateral by itself, in parts or at once, rounded down to the token's unit."""

from dataclasses import replace

import pytest

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.model.arithmetic import RAY, WAD
from backstop.proof.local_protocol import PRICES
from tests.support.auction_steps import WBTC, WETH, XAU, get_only_event_values, read_stablecoins
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import settle_protocol

CALL = "Settlement.cash"
SYMBOLS = ("WETH", "WBTC", "XAU")


@pytest.fixture
def redeemed(fixed):
    """The holder has put everything into the bag."""
    fixed.do("Settlement.redeem", read_stablecoins(fixed, "holder"), sender="holder")
    return fixed


@pytest.mark.parametrize("c", range(3), ids=SYMBOLS)
def test_pays_the_share_to_the_unit(redeemed, c):
    bag, share = redeemed.read("Settlement.bag_of", "holder"), redeemed.read("Settlement.share_of", c)
    unit, pool = redeemed.read("VaultEngine.unit_of", c), redeemed.read("VaultEngine.salvage_of", c)
    paid = redeemed.do(CALL, c, bag, sender="holder")
    assert paid == bag * share // RAY // unit * unit > 0
    assert redeemed.read(f"{SYMBOLS[c]}.balanceOf", "holder") == paid // unit
    assert redeemed.read("VaultEngine.salvage_of", c) == pool - paid
    assert get_only_event_values(redeemed, "Cashed", "Settlement") == (
        c,
        redeemed.address("holder"),
        bag,
        paid,
    )
    assert redeemed.read("Settlement.cashed_of", c, "holder") == bag


def test_each_type_has_its_own_count(redeemed):
    bag = redeemed.read("Settlement.bag_of", "holder")
    for c in range(3):
        redeemed.do(CALL, c, bag, sender="holder")
        with reverts("settlement: not in the bag"):
            redeemed.do(CALL, c, 1, sender="holder")


@pytest.mark.parametrize("c", range(3), ids=SYMBOLS)
def test_in_parts_it_is_the_same(redeemed, c):
    bag, share = redeemed.read("Settlement.bag_of", "holder"), redeemed.read("Settlement.share_of", c)
    unit = redeemed.read("VaultEngine.unit_of", c)
    # The second part alone is worth less than a unit of gold.
    parts = [bag // 3, WAD // 10**4, 1]
    parts.append(bag - sum(parts))
    paid = [redeemed.do(CALL, c, part, sender="holder") for part in parts]
    assert sum(paid) == bag * share // RAY // unit * unit


def test_a_part_of_less_than_a_unit_moves_nothing(redeemed):
    assert redeemed.do(CALL, XAU, 1, sender="holder") == 0
    assert [log.event for log in redeemed.last.logs] == ["Cashed"]
    assert redeemed.read("Settlement.cashed_of", XAU, "holder") == 1


def test_what_is_redeemed_later_can_be_cashed_later(fixed):
    fixed.do("Settlement.redeem", WAD, sender="holder")
    fixed.do(CALL, WETH, WAD, sender="holder")
    with reverts("settlement: not in the bag"):
        fixed.do(CALL, WETH, 1, sender="holder")
    fixed.do("Settlement.redeem", WAD, sender="holder")
    fixed.do(CALL, WETH, WAD, sender="holder")


def test_only_from_ones_own_bag(redeemed):
    for who in ("stranger", "borrower", "admin"):
        with reverts("settlement: not in the bag"):
            redeemed.do(CALL, WETH, 1, sender=who)


def test_not_of_an_unknown_type(redeemed):
    with reverts("terms: unknown type"):
        redeemed.do(CALL, 3, WAD, sender="holder")


def test_an_absurd_amount(redeemed):
    with reverts("settlement: not in the bag"):
        redeemed.do(CALL, WETH, 2**256 - 1, sender="holder")
    redeemed.do(CALL, WETH, 1, sender="holder")
    with reverts(""):
        redeemed.do(CALL, WETH, 2**256 - 1, sender="holder")


def test_a_token_that_does_not_move_holds_up_nobody_but_itself(new_protocol):
    plain = build_standard_parameters()
    types = tuple(
        replace(each, token="ReturnsFalseToken") if each.symbol == "WBTC" else each
        for each in plain.collateral_types
    )
    protocol = new_protocol(replace(plain, collateral_types=types))
    for symbol, price in PRICES.items():
        protocol.post_price(symbol, price)
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    protocol.borrow("neighbour", "WBTC", 3 * WAD // 10, 9_000 * WAD)
    settle_protocol(protocol)
    protocol.do("WBTC.freeze", True, sender="admin")
    bag = read_stablecoins(protocol, "borrower")
    protocol.do("Settlement.redeem", bag, sender="borrower")
    with reverts("terms: push failed"):
        protocol.do(CALL, WBTC, bag, sender="borrower")
    assert protocol.do(CALL, WETH, bag, sender="borrower") > 0
    protocol.do("WBTC.freeze", False, sender="admin")
    assert protocol.do(CALL, WBTC, bag, sender="borrower") > 0
