"""Traders of devnets and tests: their keys follow from their names, and they sign fast.

A signature's nonce is always 1, its point the generator: it costs one multiplication and reveals the key,
which is public anyway. No account with money may sign like this.

A name that ends in "#1" to "#255" stands for one of the trader's other accounts, which have the same key.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from backstop.deployment.role_accounts import ACCOUNTS
from backstop.evm_crypto import GENERATOR, ORDER, keccak256, recover_signer_or_none
from backstop.model.account_owner import derive_account
from backstop.model.margin_orders import Order, order_digest
from backstop.model.signed_reports import SignedReport, Span, report_digest

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

_R, _PARITY = GENERATOR[0], GENERATOR[1] & 1


@cache
def derive_trader_key(name: str) -> int:
    """Return the private key of a test trader, derived from the name."""
    person = strip_account_number(name)
    return int.from_bytes(keccak256(f"backstop trader: {person}".encode()), "big") % (ORDER - 1) + 1


def strip_account_number(numbered_name: str) -> str:
    """Return a trader's name without the "#N" of a sub-account."""
    return numbered_name.partition("#")[0]


@cache
def get_trader_account(name: str) -> str:
    """Return the address of a test trader, or of a sub-account for a name that ends in "#N"."""
    person, _, number = name.partition("#")
    if number:
        return derive_account(get_trader_account(person), int(number))
    digest = keccak256(name.encode())
    signature = sign_digest(derive_trader_key(name), digest)
    r, s, v = (int.from_bytes(part, "big") for part in (signature[:32], signature[32:64], signature[64:]))
    signer = recover_signer_or_none(digest, v, r, s)
    assert signer is not None
    return signer


def sign_digest(key: int, digest: bytes, *, low: bool = True) -> bytes:
    """Return the 65-byte signature of a digest, with a constant nonce that reveals the key.

    Two signatures of a digest are valid. Return the one with the lower `s`, or the other one if `low` is
    False.
    """
    half = (int.from_bytes(digest, "big") + _R * key) % ORDER
    parity = _PARITY
    if (half <= ORDER // 2) != low:
        half, parity = ORDER - half, 1 - parity
    return _R.to_bytes(32, "big") + half.to_bytes(32, "big") + bytes([27 + parity])


def sign_order(name: str, order: Order, chain_id: int, contract: str) -> bytes:
    """Return a test trader's signature of a margin order for a contract."""
    return sign_digest(derive_trader_key(name), order_digest(order, chain_id, contract))


def sign_report(
    address: str,
    market: int,
    price: int,
    signed_at: int,
    chain_id: int,
    feed: str,
    span: Span | None = None,
) -> SignedReport:
    """Return a price report [ray] signed by a reporter with a public test key.

    Without a range the report says that the price has never changed.
    """
    low, high, since = span or Span(price, price, 0)
    content = market, price, low, high, since, signed_at
    key = int.from_bytes(test_key(address), "big")
    return SignedReport(*content, sign_digest(key, report_digest(content, chain_id, feed)))


MNEMONIC = "test test test test test test test test test test test junk"


@cache
def test_key(address: str) -> bytes:
    """Return the private key of an account of the public test mnemonic."""
    return bytes(devnet_account(list(ACCOUNTS.values()).index(address)).key)


def devnet_account(index: int) -> LocalAccount:
    """Return the account with an index of the public test mnemonic that local nodes share."""
    from eth_account import Account  # on demand: it takes a third of a second to start

    Account.enable_unaudited_hdwallet_features()
    account: LocalAccount = Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}")
    return account
