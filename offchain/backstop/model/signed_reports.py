"""Reports of prices that a reporter signs (EIP-712), and anybody brings."""

from __future__ import annotations

from typing import NamedTuple

from backstop.model.erc20 import domain_separator, words
from backstop.model.signatures import ORDER, ecrecover, keccak256
from backstop.model.state import require

DOMAIN_NAME, DOMAIN_VERSION = "Backstop Prices", "1"
_REPORT_TYPE = keccak256(b"Report(uint256 market,uint256 price,uint256 signedAt)")


class SignedReport(NamedTuple):
    """A price [ray] of a market as of a second, and its reporter's signature of that: r, s, v."""

    market: int
    price: int
    signed_at: int
    signature: bytes


def report_digest(market: int, price: int, signed_at: int, chain_id: int, feed: str) -> bytes:
    """Return the digest that a reporter signs."""
    domain = domain_separator(DOMAIN_NAME, DOMAIN_VERSION, chain_id, feed)
    content = words(_REPORT_TYPE, market, price, signed_at)
    return keccak256(b"\x19\x01" + domain + keccak256(content))


def signer_of(report: SignedReport, chain_id: int, feed: str) -> str:
    """Return who signed a report; revert for what is no signature."""
    signature = report.signature
    require(len(signature) == 65, "price_feed: bad signature")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    require(s <= ORDER // 2, "ecdsa: invalid signature `s` value")
    digest = report_digest(report.market, report.price, report.signed_at, chain_id, feed)
    signer = ecrecover(digest, signature[64], r, s)
    require(signer is not None, "ecdsa: invalid signature")
    assert signer is not None
    return signer
