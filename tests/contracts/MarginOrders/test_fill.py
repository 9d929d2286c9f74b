"""fill: only trades that two accounts have signed."""

import pytest

from backstop.deployment.devnet_trader_signatures import (
    derive_trader_key,
    get_trader_account,
    sign_digest,
    sign_order,
)
from backstop.evm_crypto import keccak256
from backstop.hosts.host_interface import CHAIN_ID
from backstop.model.account_owner import derive_account
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.margin_orders import order_digest
from backstop.model.signature_check import IS_VALID
from tests.support.auction_steps import get_only_event_values
from tests.support.margin_order_steps import BTC, ETH, build_order, build_signed_order
from tests.support.perpetual_protocol_steps import read_size, sum_margin_equity_of_named_accounts
from tests.support.revert_setter_and_source_helpers import reverts

PRICE = 20 * WAD


def match(protocol, one, other, lots, sender="matcher"):
    protocol.do("MarginOrders.fill", *one, *other, lots, sender=sender)


@pytest.fixture
def orders(margin):
    """To buy 100 and to sell 60 lots."""
    buy, sell = build_order("maker", ETH, 100, PRICE), build_order("taker", ETH, -60, PRICE)
    return build_signed_order(margin, "maker", buy), build_signed_order(margin, "taker", sell)


def test_parts_of_orders_at_the_makers_price(margin, orders):
    buy, sell = orders
    match(margin, buy, sell, 25)
    match(margin, buy, sell, 35)
    digests = [margin.read("MarginOrders.digest_of", each[0]) for each in orders]
    assert get_only_event_values(margin, "Filled", "MarginOrders") == (
        get_trader_account("maker"),
        get_trader_account("taker"),
        ETH,
        35,
        PRICE,
        *digests,
    )
    assert [margin.read("MarginOrders.filled", digest) for digest in digests] == [60, 60]
    with reverts("margin_orders: not so much left"):
        match(margin, buy, sell, 1)
    match(margin, buy, build_signed_order(margin, "third", build_order("third", ETH, -60, PRICE)), 40)
    assert read_size(margin, "maker") == 100


def test_the_digest_is_that_of_eip_712(margin, orders):
    buy = orders[0][0]
    assert margin.read("MarginOrders.digest_of", buy) == order_digest(
        buy, CHAIN_ID, margin.address("MarginOrders")
    )
    fields = margin.read("MarginOrders.eip712Domain")
    assert fields[1:5] == ("Backstop Margin", "1", CHAIN_ID, margin.address("MarginOrders"))


def pair(margin, buyers, sellers, buyer=1, seller=2):
    """Orders of 10 lots at two limits, signed at two times [ns]: the maker's to buy, the taker's to sell."""
    buy = build_order("maker", ETH, 10, buyers, nonce=buyer)
    sell = build_order("taker", ETH, -10, sellers, nonce=seller)
    return build_signed_order(margin, "maker", buy), build_signed_order(margin, "taker", sell)


def test_orders_that_do_not_meet(margin):
    buy, sell = pair(margin, PRICE, PRICE + 5)
    with reverts("margin_orders: taker's limit"):
        match(margin, buy, sell, 10)
    with reverts("margin_orders: taker's limit"):
        match(margin, sell, buy, 10)


@pytest.mark.parametrize(("buyer", "seller", "price"), [(1, 2, PRICE), (2, 1, PRICE - 7), (0, 1, PRICE)])
def test_what_is_offered_too_much_stays_with_who_came_later(margin, buyer, seller, price):
    """Every matcher and every order of fills gives a lot one price: the limit that was signed first."""
    buy, sell = pair(margin, PRICE, PRICE - 7, buyer, seller)
    first, second = (buy, sell) if buyer < seller else (sell, buy)
    with reverts("margin_orders: taker was first"):
        match(margin, second, first, 10)
    match(margin, first, second, 10)
    assert get_only_event_values(margin, "Filled", "MarginOrders")[4] == price
    # The seller pays for the premium that a price above the mark would be.
    assert sum_margin_equity_of_named_accounts(margin, "maker") - 10_000 * WAD in range(
        10 * (PRICE - price) - 9, 10 * (PRICE - price) + 1
    )
    assert sum_margin_equity_of_named_accounts(margin, "maker", "taker") - 20_000 * WAD in range(-9, 1)


def test_of_one_time_neither_is_first(margin):
    """So they meet at one limit only, where the price is the same for either order of names."""
    buy, sell = pair(margin, PRICE, PRICE - 7, 5, 5)
    for pairs in ((buy, sell), (sell, buy)):
        with reverts("margin_orders: taker was first"):
            match(margin, *pairs, 10)
    buy, sell = pair(margin, PRICE, PRICE, 5, 5)
    match(margin, buy, sell, 5)
    match(margin, sell, buy, 5)
    assert read_size(margin, "maker") == 10


def test_first_is_who_signed_first_at_one_limit_too(margin):
    buy, sell = pair(margin, PRICE, PRICE, 6, 5)
    with reverts("margin_orders: taker was first"):
        match(margin, buy, sell, 10)
    match(margin, sell, buy, 10)


def test_nobody_comes_later_than_now(margin):
    """An order that says so waits for its second, where it would have a better price than its own."""
    soon = (margin.timestamp + 2) * 10**9 + 999_999_999
    buy, sell = pair(margin, PRICE, PRICE - 7, 1, soon)
    with reverts("margin_orders: not signed yet"):
        match(margin, buy, sell, 10)
    margin.advance(1)
    with reverts("margin_orders: not signed yet"):
        match(margin, buy, sell, 10)
    margin.advance(1)
    match(margin, buy, sell, 10)
    buy, sell = pair(margin, PRICE, PRICE, 2, 2**256 - 1)
    match(margin, buy, sell, 10)


@pytest.mark.parametrize("lots", [0, 61, 2**255, MAX_UINT256])
def test_no_other_lots(margin, orders, lots):
    with reverts("margin_orders: not so much left"):
        match(margin, orders[0], orders[1], lots)


def test_two_accounts_on_two_sides_of_one_market(margin, orders):
    buy = orders[0]
    with reverts("margin_orders: same account"):
        match(margin, buy, build_signed_order(margin, "maker", build_order("maker", ETH, -60, PRICE)), 1)
    with reverts("margin_orders: same side"):
        match(margin, buy, build_signed_order(margin, "taker", build_order("taker", ETH, 60, PRICE)), 1)
    with reverts("margin_orders: other market"):
        match(margin, buy, build_signed_order(margin, "taker", build_order("taker", BTC, -60, PRICE)), 1)


@pytest.mark.parametrize("reduces", ["maker", "taker"])
def test_each_order_says_for_itself_that_it_only_reduces(margin, orders, reduces):
    """The account that holds the position may close it; the other account's order would open another."""
    match(margin, orders[0], orders[1], 60)
    sides = {"maker": ("maker", -60), "taker": ("third", 60)}
    if reduces == "taker":
        sides = {"maker": ("third", 60), "taker": ("maker", -60)}

    def fill_back(only):
        one, other = [
            build_signed_order(
                margin, name, build_order(name, ETH, size, PRICE, nonce=1, reduce_only=side == only)
            )
            for side, (name, size) in sides.items()
        ]
        match(margin, one, other, 60)

    with reverts("trading: would not reduce"):
        fill_back("taker" if reduces == "maker" else "maker")
    fill_back(reduces)
    assert read_size(margin, "maker") == 0


def test_its_own_signature(margin, orders):
    (buy, _), sell = orders
    contract = margin.address("MarginOrders")
    with reverts("margin_orders: not its signer"):
        match(margin, (buy, sign_order("taker", buy, CHAIN_ID, contract)), sell, 1)
    with reverts("margin_orders: not its signer"):
        match(margin, (buy._replace(size=101), orders[0][1]), sell, 1)


def test_another_chain_or_contract_is_another_order(margin, orders):
    """A signature is not worth anything at a fork of the chain, nor at another deployment."""
    (buy, _), sell = orders
    for chain, contract in ((CHAIN_ID + 1, "MarginOrders"), (CHAIN_ID, "PerpetualMarket")):
        wrong = sign_order("maker", buy, chain, margin.address(contract))
        with reverts("margin_orders: not its signer"):
            match(margin, (buy, wrong), sell, 1)


def test_the_form_of_a_signature(margin, orders):
    (buy, good), sell = orders
    for short in (b"", good[:64], good[:32]):
        with reverts("margin_orders: not its signer"):
            match(margin, (buy, short), sell, 1)
    for v in (0, 26, 29):
        with reverts("margin_orders: not its signer"):
            match(margin, (buy, good[:64] + bytes([v])), sell, 1)
    digest = order_digest(buy, CHAIN_ID, margin.address("MarginOrders"))
    with reverts("margin_orders: not its signer"):
        match(margin, (buy, sign_digest(derive_trader_key("maker"), digest, low=False)), sell, 1)
    # Whoever signs like this has the address that no signature has.
    zero = buy._replace(account="0x" + "00" * 20)
    with reverts("margin_orders: not its signer"):
        match(margin, (zero, keccak256(b"r") + bytes(31) + b"\x01" + b"\x1d"), sell, 1)


def test_until_it_expires(margin):
    now = margin.timestamp
    buy = build_signed_order(margin, "maker", build_order("maker", ETH, 10, PRICE, expiry=now))
    sell = build_signed_order(margin, "taker", build_order("taker", ETH, -10, PRICE, expiry=now + 5))
    match(margin, buy, sell, 1)
    margin.advance(1)
    with reverts("margin_orders: expired"):
        match(margin, buy, sell, 1)


def test_the_smallest_size_there_is(margin, orders):
    least = build_signed_order(margin, "taker", build_order("taker", ETH, -(2**255), PRICE))
    with reverts(""):
        match(margin, orders[0], least, 1)


@pytest.fixture
def wallet(margin):
    """An account that is a contract."""
    margin.lockstep.create_contract("Erc1271Wallet", "Erc1271Wallet")
    return margin.address("Erc1271Wallet")


def test_a_contract_signs_by_saying_so(margin, orders, wallet):
    """ERC-1271, for wallets of several keys: called at each fill, with any bytes as the signature."""
    buy = orders[0][0]._replace(account=wallet)
    digest = margin.read("MarginOrders.digest_of", buy)
    with reverts("erc1271_wallet: does not say"):
        margin.read("Erc1271Wallet.isValidSignature", digest, b"")
    for signature in (b"", orders[0][1], bytes(1_024)):
        with reverts("margin_orders: not its signer"):
            match(margin, (buy, signature), orders[1], 1)
    for nonsense in (IS_VALID[:4] + bytes(27) + b"\x01", bytes(28) + IS_VALID[:4], b"\xff" * 32):
        margin.do("Erc1271Wallet.answer", digest, nonsense, sender="stranger")
        with reverts("margin_orders: not its signer"):
            match(margin, (buy, b""), orders[1], 1)
    margin.do("Erc1271Wallet.answer", digest, IS_VALID, sender="stranger")
    for signature in (b"", orders[0][1], bytes(1_024)):
        with reverts("trading: initial margin"):  # it has no money yet
            match(margin, (buy, signature), orders[1], 1)
    margin.give_stablecoin("patron", 1_000 * WAD)
    margin.do("Stablecoin.approve", "PerpetualMarket", 1_000 * WAD, sender="patron")
    margin.do("PerpetualMarket.deposit", wallet, 1_000 * WAD, sender="patron")
    match(margin, (buy, bytes(325)), orders[1], 20)
    assert margin.read("MarginOrders.filled", digest) == 20
    margin.do("Erc1271Wallet.answer", digest, bytes(32), sender="stranger")
    with reverts("margin_orders: not its signer"):
        match(margin, (buy, bytes(325)), orders[1], 20)


def test_a_contract_that_cannot_say_so_has_not_signed(margin, orders):
    """Neither one without the function nor the market, which is in the middle of a call of its own."""
    for name in ("Stablecoin", "PerpetualMarket", "MarginOrders"):
        buy = orders[0][0]._replace(account=margin.address(name))
        with reverts("margin_orders: not its signer"):
            match(margin, (buy, orders[0][1]), orders[1], 1)


@pytest.mark.parametrize("number", [1, 64, 255])
def test_a_key_signs_for_all_accounts_of_its_address(margin, number):
    name = f"maker#{number}"
    margin.do(
        "PerpetualMarket.deposit", get_trader_account(name), 1_000 * WAD, sender=get_trader_account("rich")
    )
    buy, sell = build_order(name, ETH, 100, PRICE), build_order("taker", ETH, -100, PRICE)
    match(margin, build_signed_order(margin, name, buy), build_signed_order(margin, "taker", sell), 100)
    assert [read_size(margin, each) for each in (name, "maker", "taker")] == [100, 0, -100]
    assert sum_margin_equity_of_named_accounts(margin, "maker") == 10_000 * WAD


def test_two_accounts_of_one_address_may_trade(margin):
    margin.do(
        "PerpetualMarket.deposit",
        get_trader_account("maker#1"),
        1_000 * WAD,
        sender=get_trader_account("rich"),
    )
    buy, sell = build_order("maker#1", ETH, 100, PRICE), build_order("maker", ETH, -100, PRICE)
    match(margin, build_signed_order(margin, "maker", buy), build_signed_order(margin, "maker", sell), 100)
    assert [read_size(margin, each) for each in ("maker#1", "maker")] == [100, -100]
    with reverts("margin_orders: same account"):
        match(
            margin,
            build_signed_order(margin, "maker", buy),
            build_signed_order(margin, "maker", buy._replace(size=-100)),
            1,
        )


def test_a_contract_signs_for_no_account_but_its_own(margin, wallet):
    """An address without code returns no answer."""
    beside = derive_account(wallet, 1)
    sell = build_signed_order(margin, "taker", build_order("taker", ETH, -10, PRICE))
    margin.do(
        "Erc1271Wallet.answer", margin.read("MarginOrders.digest_of", of(beside)), IS_VALID, sender="stranger"
    )
    with reverts("margin_orders: not its signer"):
        match(margin, (of(beside), b""), sell, 10)


def of(account):
    """An order to buy of any account."""
    return build_order("maker", ETH, 10, PRICE)._replace(account=account)
