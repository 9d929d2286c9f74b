"""A stand-in for a Web3Signer: it keeps the protocol, and signs with a key of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from email.message import Message
from typing import Any

from eth_account import Account

from tests.support.background_threads import BackgroundServer

CHAIN = 31_337


class Web3SignerStub:
    """Serves on a port of this machine.

    `change` may change the signed payload, `answer` every answer; `refuses` is the answer instead.
    """

    def __init__(self) -> None:
        self.key = Account.create()
        self.address = self.key.address.lower()
        self.asked: list[dict[str, Any]] = []
        self.change: Callable[[dict[str, Any]], dict[str, Any]] = lambda transaction: transaction
        self.refuses = ""
        self.answer = self.answer_documented_call
        self.server = BackgroundServer.build_post_server(self._answer_post)
        self.url = self.server.url

    def _answer_post(self, body: bytes, headers: Message) -> dict[str, Any]:
        call = json.loads(body)
        return {"jsonrpc": "2.0", "id": call["id"], **self.answer(call)}

    def answer_documented_call(self, call: dict[str, Any]) -> dict[str, Any]:
        """As Web3Signer's documents state it."""
        if self.refuses:
            return {"error": {"code": -32000, "message": self.refuses}}
        if call["method"] == "eth_accounts":
            return {"result": [self.address]}
        if call["method"] != "eth_signTransaction":
            return {"error": {"code": -32601, "message": "Method not found"}}
        (asked,) = call["params"]
        self.asked.append(asked)
        if asked["from"].lower() != self.address:
            return {"error": {"code": -32000, "message": "From address does not match an available account"}}
        numbers = ("nonce", "value", "gas", "maxFeePerGas", "maxPriorityFeePerGas")
        transaction = {name: int(asked[name], 16) for name in numbers}
        transaction |= {"type": 2, "chainId": CHAIN, "to": asked["to"], "data": asked["data"]}
        signed = Account.sign_transaction(self.change(transaction), self.key.key)
        return {"result": "0x" + bytes(signed.raw_transaction).hex()}
