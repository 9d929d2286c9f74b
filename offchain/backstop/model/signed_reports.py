"""Reports of prices that a reporter signs (EIP-712), and any account submits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from backstop.contract_base import require
from backstop.evm_crypto import ORDER, keccak256, recover_signer_or_none
from backstop.model.erc20 import domain_separator, encode_words

DOMAIN_NAME, DOMAIN_VERSION = "Backstop Prices", "1"
_REPORT_TYPE = keccak256(
    b"Report(uint256 market,uint256 price,uint256 low,uint256 high,uint256 since,uint256 signedAt)"
)


class Span(NamedTuple):
    """Range of prices [ray] since a time [seconds]."""

    low: int
    high: int
    since: int


class SignedReport(NamedTuple):
    """Price report of a market at a time, with its price range [ray] and the reporter's signature."""

    market: int
    price: int
    low: int
    high: int
    since: int
    signed_at: int
    signature: bytes


def report_digest(content: Sequence[Any], chain_id: int, feed: str) -> bytes:
    """Return the EIP-712 digest that a reporter signs, from the report's fields before the signature."""
    domain = domain_separator(DOMAIN_NAME, DOMAIN_VERSION, chain_id, feed)
    content = encode_words(_REPORT_TYPE, *content)
    return keccak256(b"\x19\x01" + domain + keccak256(content))


def recover_signer(report: SignedReport, chain_id: int, feed: str) -> str:
    """Return the address that signed a price report; raise RevertError if the signature is invalid."""
    signature = report.signature
    require(len(signature) == 65, "price_feed: bad signature")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    require(s <= ORDER // 2, "ecdsa: invalid signature `s` value")
    digest = report_digest(report[:-1], chain_id, feed)
    signer = recover_signer_or_none(digest, signature[64], r, s)
    require(signer is not None, "ecdsa: invalid signature")
    assert signer is not None
    return signer
