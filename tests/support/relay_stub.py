"""A stand-in for a relay: it keeps the protocol, and has its bundles mined by an Anvil."""

from __future__ import annotations

import json
from email.message import Message
from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct
from eth_hash.auto import keccak

from backstop.live.node.rpc_node import Node
from tests.support.background_threads import BackgroundServer


class RelayStub:
    """Serves on a port of this machine, beside a node.

    `refuses` is its answer instead of accepting anything.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.taken: list[tuple[str, int, int]] = []
        """Raw transactions, and the first and the last block that may have each."""
        self.refuses = ""
        self.lies = False
        self.unsigned = 0
        self.server = BackgroundServer.build_post_server(self._answer_signed_post)
        self.url = self.server.url

    def _answer_signed_post(self, body: bytes, headers: Message) -> dict[str, Any]:
        call = json.loads(body)
        if _has_valid_relay_signature(body, headers.get("X-Flashbots-Signature", "")):
            told = self.answer_call(call)
        else:
            self.unsigned += 1
            told = {"error": {"code": -32600, "message": "signature is wrong"}}
        return {"jsonrpc": "2.0", "id": call["id"], **told}

    def answer_call(self, call: dict[str, Any]) -> dict[str, Any]:
        """As Flashbots documents it."""
        if self.refuses:
            return {"error": {"code": -32000, "message": self.refuses}}
        (asked,) = call["params"]
        if call["method"] == "eth_sendBundle":
            (raw,), block = asked["txs"], int(asked["blockNumber"], 16)
            self.taken.append((raw, block, block))
            return {"result": {"bundleHash": _hash_transaction(raw)}}
        assert call["method"] == "eth_sendPrivateTransaction"
        self.taken.append((asked["tx"], 0, int(asked["maxBlockNumber"], 16)))
        return {"result": _hash_transaction(asked["tx"][:-2] if self.lies else asked["tx"])}

    def mine_block(self, includes: bool = True) -> int:
        """Mine a block, with its due bundles if it `includes` anything; return its number."""
        next_block = self.node.get_head().number + 1
        for raw, first, last in self.taken if includes else ():
            if first <= next_block <= last:
                self.node.request("eth_sendRawTransaction", raw)
        self.node.request("evm_mine")
        return next_block


def _hash_transaction(raw: str) -> str:
    return "0x" + keccak(bytes.fromhex(raw[2:])).hex()


def _has_valid_relay_signature(body: bytes, signature_header: str) -> bool:
    address, _, signature = signature_header.partition(":")
    message = encode_defunct(text="0x" + keccak(body).hex())
    return bool(signature) and Account.recover_message(message, signature=signature) == address
