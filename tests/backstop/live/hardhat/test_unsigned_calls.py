"""Blocks in which Hardhat impersonates an account without a signature, as 2.29.1 and 3.18.0 return them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from backstop.live.node.storage_proofs import UnprovenError
from backstop.live.node.transaction_and_receipt_roots import check_roots, check_senders
from tests.support.checkout_paths import DATA

Told = Mapping[str, Any]

RECORDED: list[Told] = json.loads((DATA / "hardhat" / "unsigned_calls.json").read_text())
"""Legacy, with a list of slots, and with EIP-1559's fees, of either version."""

each_block = pytest.mark.parametrize(
    "told",
    RECORDED,
    ids=[f"{each['client']} type {each['block']['transactions'][0]['type']}" for each in RECORDED],
)


@each_block
def test_they_count_on_a_test_chain_alone(told: Told) -> None:
    (sent,) = told["block"]["transactions"]
    check_roots(told["block"], told["receipts"])
    check_senders(told["block"], [sent["to"]], unsigned=True)
    with pytest.raises(UnprovenError, match=f"{sent['from']} did not sign"):
        check_senders(told["block"], [sent["to"]])


@each_block
@pytest.mark.parametrize(
    "change",
    [
        lambda sent: sent | {"from": "0x" + "78" * 20},
        lambda sent: sent | {"r": "0x" + "78" * 20},
        lambda sent: sent | {"s": "0x" + "78" * 20},
    ],
    ids=["another sender", "another r", "another s"],
)
def test_whom_it_plays_is_in_the_hash(told: Told, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    (sent,) = told["block"]["transactions"]
    lie = {**told["block"], "transactions": [change(sent)]}
    with pytest.raises(UnprovenError):
        check_senders(lie, [sent["to"]], unsigned=True)
    if lie["transactions"][0]["from"] == sent["from"]:
        with pytest.raises(UnprovenError, match="are not those that its hash stands for"):
            check_roots(lie, told["receipts"])
