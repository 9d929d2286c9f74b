"""Unusual collateral tokens, from listing to settlement: the table of docs/reference/tokens.md."""

from dataclasses import replace

import pytest

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.model.arithmetic import RAY, WAD
from backstop.proof.local_protocol import PRICES
from backstop.proof.properties import PropertyViolationError
from tests.support.auction_steps import WBTC, WETH, liquidate_vault, read_stablecoins, take_collateral
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import settle_protocol

DEPOSIT, WITHDRAW = "VaultEngine.deposit_and_draw", "VaultEngine.repay_and_withdraw"


@pytest.fixture
def of(new_protocol):
    """Makes protocols with another token for their second type."""

    def make(kind, decimals=8, check_every=1):
        plain = build_standard_parameters()
        odd = replace(plain.collateral_types[WBTC], token=kind, decimals=decimals)
        made = new_protocol(replace(plain, collateral_types=(plain.collateral_types[WETH], odd)), check_every)
        for symbol in ("WETH", "WBTC"):
            made.post_price(symbol, PRICES[symbol])
        made.give_stablecoin("taker", 200_000 * WAD)
        return made

    return make


@pytest.fixture
def issued(of):
    """One with an issuer that can stop, block, refuse and take a fee; two vaults of two coins each."""
    protocol = of("BlocklistToken")
    for who in ("borrower", "neighbour"):
        protocol.borrow(who, "WBTC", 2 * WAD, 60_000 * WAD)
    return protocol


def auctioned(protocol, who="borrower"):
    """Drop the price of a vault's collateral and auction it; return the auction's id."""
    protocol.post_price("WBTC", 40_000 * RAY)
    return liquidate_vault(protocol, who, WBTC)


def listed(protocol, token):
    """List a token that has an admin."""
    unit = 10 ** protocol.read(f"{token}.decimals")
    protocol.do(f"{token}.mint", "admin", unit, sender="admin")
    protocol.do(f"{token}.approve", "VaultEngine", unit, sender="admin")
    return protocol.do("VaultEngine.add_collateral_type", token, 15_000, 17_000, sender="admin")


# ------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (("stop", True), "token: stopped"),
        (("block", "VaultEngine", True), "token: receiver blocked"),
        (("block", "admin", True), "token: sender blocked"),
        (("upgrade", 1), "terms: inexact pull"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_does_not_move_exactly_is_not_listed(protocol, call, reason):
    token = protocol.deploy_token("BlocklistToken", "Issued", "ISS", 8)
    protocol.do(f"{token}.{call[0]}", *call[1:], sender="issuer")
    with reverts(reason):
        listed(protocol, token)


# ------------------------------------------------------------------------ harmless


def refuse_zero_transfers(protocol):
    protocol.do("WBTC.refuse_zero_transfers", True, sender="issuer")


@pytest.mark.parametrize(
    ("kind", "decimals", "before"),
    [("Token", 2, None), ("NoReturnToken", 8, None), ("BlocklistToken", 8, refuse_zero_transfers)],
    ids=["two decimals", "no return value", "refuses nothing"],
)
def test_a_whole_life(of, kind, decimals, before):
    """Deposit, draw, withdrawal, liquidation, auction, settlement: all tokens that go in come out."""
    protocol = of(kind, decimals)
    if before:
        before(protocol)
    for who in ("borrower", "neighbour"):
        protocol.borrow(who, "WBTC", 3 * WAD, 60_000 * WAD)
    protocol.do(WITHDRAW, WBTC, "borrower", 0, WAD, "borrower", sender="borrower")
    id = auctioned(protocol)
    take_collateral(protocol, id, WAD)
    take_collateral(protocol, id)
    settle_protocol(protocol)
    bag = read_stablecoins(protocol, "neighbour")
    protocol.do("Settlement.redeem", bag, sender="neighbour")
    assert protocol.do("Settlement.cash", WBTC, bag, sender="neighbour") > 0
    held = [protocol.read("WBTC.balanceOf", who) for who in ("borrower", "neighbour", "taker", "VaultEngine")]
    assert sum(held) == 6 * 10**decimals and min(held[:3]) > 0


def test_where_a_part_brings_nothing_nothing_is_moved(of):
    protocol = of("BlocklistToken")
    refuse_zero_transfers(protocol)
    protocol.borrow("borrower", "WBTC", 2 * WAD, 60_000 * WAD)
    settle_protocol(protocol)
    protocol.do("Settlement.redeem", WAD, sender="borrower")
    assert protocol.do("Settlement.cash", WBTC, 1, sender="borrower") == 0
    assert protocol.do("Settlement.cash", WBTC, WAD - 1, sender="borrower") > 0


# --------------------------------------------------------------------- coarse units


@pytest.fixture
def coins(of):
    """Two coins without decimals, worth 40,000 each, under auction for 67,800 at 48,000 a coin."""
    protocol = of("Token", 0)
    protocol.borrow("borrower", "WBTC", 2 * WAD, 60_000 * WAD)
    return protocol, auctioned(protocol)


def test_the_rest_of_a_target_under_the_price_of_a_unit_waits_until_the_price_is_there(coins):
    """A coin of 40,000 then goes for less than the 19,800 that are left; the rest is a deficit."""
    protocol, id = coins
    take_collateral(protocol, id, WAD)
    with reverts("dutch_auction: nothing taken"):
        take_collateral(protocol, id)
    protocol.advance(8_100)
    before = read_stablecoins(protocol, "taker")
    take_collateral(protocol, id)
    assert protocol.read("WBTC.balanceOf", "taker") == 2
    assert 19_000 * WAD < before - read_stablecoins(protocol, "taker") < 19_800 * WAD
    protocol.do("CollateralAuction.close", id, sender="stranger")
    assert protocol.read("VaultEngine.deficit_of", WBTC) > 0


# ---------------------------------------------------------------- the issuer's power


def test_while_it_is_stopped_its_collateral_stays_and_everything_else_goes_on(issued):
    issued.do("WBTC.stop", True, sender="issuer")
    with reverts("token: stopped"):
        issued.do(WITHDRAW, WBTC, "neighbour", 0, 10**10, "neighbour", sender="neighbour")
    id = auctioned(issued)  # moves no token
    with reverts("token: stopped"):
        take_collateral(issued, id)
    issued.do(WITHDRAW, WBTC, "neighbour", 1_000 * WAD, 0, "neighbour", sender="neighbour")
    issued.borrow("third", "WETH", 3 * WAD, 3_000 * WAD)
    issued.do("WBTC.stop", False, sender="issuer")
    take_collateral(issued, id)
    assert issued.read("WBTC.balanceOf", "taker") > 0


def test_an_auction_that_outlasts_the_stop_sells_lower_or_begins_again(issued):
    """A stop that outlasts the auction's tail costs time, and the price of then."""
    issued.do("WBTC.stop", True, sender="issuer")
    id = auctioned(issued)
    issued.advance(8_401)
    issued.post_price("WBTC", 40_000 * RAY)
    with reverts("collateral_auction: has value"):
        issued.do("CollateralAuction.close", id, sender="stranger")
    issued.do("CollateralAuction.reset", id, "keeper", sender="keeper")
    issued.do("WBTC.stop", False, sender="issuer")
    take_collateral(issued, id)


def test_a_blocked_account_names_another_receiver(issued):
    for who in ("borrower", "taker"):
        issued.do("WBTC.block", who, True, sender="issuer")
    with reverts("token: receiver blocked"):
        issued.do(WITHDRAW, WBTC, "borrower", 0, 10**10, "borrower", sender="borrower")
    issued.do(WITHDRAW, WBTC, "borrower", 0, 10**10, "elsewhere", sender="borrower")
    id = auctioned(issued)
    with reverts("token: receiver blocked"):
        take_collateral(issued, id)
    take_collateral(issued, id, receiver="elsewhere")
    assert issued.read("WBTC.balanceOf", "elsewhere") > 1


def test_a_blocked_holder_cannot_cash_and_others_can(issued):
    """Each redeemer alone is paid: only stablecoin that is not redeemed yet can go elsewhere."""
    settle_protocol(issued)
    for who in ("borrower", "neighbour"):
        issued.do("Settlement.redeem", 10_000 * WAD, sender=who)
    issued.do("WBTC.block", "borrower", True, sender="issuer")
    with reverts("token: receiver blocked"):
        issued.do("Settlement.cash", WBTC, 10_000 * WAD, sender="borrower")
    assert issued.do("Settlement.cash", WBTC, 10_000 * WAD, sender="neighbour") > 0


def test_where_the_protocol_is_blocked_only_that_collateral_is_stuck(issued):
    issued.do("WBTC.block", "VaultEngine", True, sender="issuer")
    with reverts("token: sender blocked"):
        issued.do(WITHDRAW, WBTC, "borrower", 0, 10**10, "elsewhere", sender="borrower")
    issued.mint_and_approve_collateral("WBTC", "third", WAD)
    with reverts("token: receiver blocked"):
        issued.do(DEPOSIT, WBTC, "third", WAD, 0, "third", sender="third")
    issued.borrow("third", "WETH", 3 * WAD, 3_000 * WAD)
    issued.do(WITHDRAW, WETH, "third", 0, WAD // 10, "third", sender="third")


def pay_in_after_the_upgrade(protocol):
    """Two coins of the neighbour's are there; of the borrower's two a part vanishes on the way."""
    protocol.borrow("neighbour", "WBTC", 2 * WAD, 0)
    protocol.do("WBTC.upgrade", 100, sender="issuer")
    protocol.borrow("borrower", "WBTC", 2 * WAD, 0)


@pytest.mark.diverges
def test_a_fee_that_comes_later_shows_in_property_201(of):
    told = "property 201 is violated: deposit_and_draw: the engine holds 198000000 more WBTC, and books 2000"
    with pytest.raises(PropertyViolationError, match=told):
        pay_in_after_the_upgrade(of("BlocklistToken"))


@pytest.mark.diverges
def test_a_fee_that_comes_later_shows_in_property_2(of):
    """Of all that is booked, where no step is asked about."""
    protocol = of("BlocklistToken")
    protocol.lockstep.step_check = None
    with pytest.raises(
        PropertyViolationError, match="property 2 is violated: WBTC: 400000000 booked, 398000000 held"
    ):
        pay_in_after_the_upgrade(protocol)


@pytest.mark.diverges
def test_a_fee_that_comes_later_is_not_noticed_on_chain(of):
    """Only the listing looks: more is booked than there is, and the last to leave finds too little."""
    protocol = of("BlocklistToken", check_every=0)
    protocol.lockstep.step_check = None
    pay_in_after_the_upgrade(protocol)
    assert protocol.read("VaultEngine.vault", WBTC, "borrower")[0] == 2 * WAD
    protocol.do(WITHDRAW, WBTC, "neighbour", 0, 2 * WAD, "neighbour", sender="neighbour")
    with reverts("token: insufficient balance"):
        protocol.do(WITHDRAW, WBTC, "borrower", 0, 2 * WAD, "borrower", sender="borrower")
