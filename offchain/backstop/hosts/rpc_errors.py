"""Errors between this program and a node: the call's own answer, the node's failure, no answer."""

from __future__ import annotations

import re
from typing import Any

from backstop.errors import BackstopError

# Code 3 is a revert's, -32015 a failure of the EVM, the others are methods and parameters that a node does
# not know. What is asked too often is never the call's fault, whatever the words.
_OF_THE_CALL = (3, -32015, -32601, -32602, -32004)
_TOO_MUCH = (429, -32005)
# What the EVM says of a call that fails. All nodes would say so, by other codes.
_FAILED = (
    *("revert", "invalid opcode", "invalidfeopcode", "evm error", "out of gas", "gas required exceeds"),
    *("invalid jump", "stack underflow", "stack limit", "write protection", "code size", "intrinsic gas"),
    *("insufficient funds", "insufficient balance"),
)
# What a pool says of a transaction that it does not take.
_NOT_TAKEN = (
    *("nonce", "already", "known transaction", "underpriced", "gas", "fee", "chain id", "chainid"),
    *("signature", "sender", "oversized", "transaction type"),
)
# What a node says of a block that it has not got.
_LACKS_BLOCK = ("outofrange", "header not found", "unknown block", "block not found")
_SENDS = ("eth_sendRawTransaction", "eth_sendTransaction")
_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})*")


class RpcError(BackstopError):
    """Error answer of a node to an RPC call; `data` is the error's data in hex, or ""."""

    def __init__(self, method: str, error: dict[str, Any]) -> None:
        self.method = method
        self.code = error.get("code")
        self.reason = format_one_line(str(error.get("message", "")))
        data = error.get("data")
        if isinstance(data, dict):
            data = data.get("data")
        self.data = data if isinstance(data, str) and _HEX.fullmatch(data) else ""
        super().__init__(f"the node refused {method}: {self.reason}")

    @property
    def of_the_call(self) -> bool:
        """True if the error is caused by the call itself, such as a revert or an unknown method.

        Every node would give the same answer.
        """
        if self.code in _TOO_MUCH:
            return False
        words = self.reason.lower()
        if self.data or any(each in words for each in _FAILED):
            return True
        if self.method in _SENDS and any(each in words for each in _NOT_TAKEN):
            return True
        if self.method == "eth_simulateV1":  # a node may know it in part: calls are tried one by one then
            return True
        if self.method == "eth_getBlockByNumber" and "pending" in words:  # it makes none
            return True
        # Some say by the code of a wrong parameter that they have not got as far as that block.
        return self.code in _OF_THE_CALL and "outofrange" not in words and "header not found" not in words


class NodeUnavailableError(BackstopError):
    """Error: the node does not answer, or cannot answer now."""

    retry_after = 0.0
    """Seconds that the node wants to be left alone, as far as it says."""
    lacks_block = False
    """Whether the node has not got a block that it told of, as one of several backends, for a moment."""


class NodeRefusedError(RpcError, NodeUnavailableError):
    """Error answer caused by the node, not by the call, such as a rate limit.

    Another node, or the same node later, may answer.
    """

    def __init__(self, where: str, method: str, error: dict[str, Any], retry_after: float) -> None:
        super().__init__(method, error)
        self.retry_after = retry_after
        words = self.reason.lower()
        self.lacks_block = any(each in words for each in _LACKS_BLOCK)
        later = f"; it asks for {retry_after:.0f} s" if retry_after else ""
        self.args = (f"the node at {where} refused {method}: {self.reason}{later}",)


class NotANodeError(NodeUnavailableError):
    """Error: the server answers, but not as an Ethereum node; for example a gateway's error page."""


class MalformedAnswerError(NodeUnavailableError):
    """Error: an answer has a wrong type, length, block or number of parts."""

    def __init__(self, where: str, method: str, what: str) -> None:
        super().__init__(f"the node at {where} answers {method} wrongly: {format_one_line(what)}")


def format_one_line(text: str, most: int = 500) -> str:
    """Return a node's message on one line without control characters, cut to `most` characters."""
    plain = "".join(each if each.isprintable() else " " for each in text[: 2 * most]).strip()
    return plain if len(plain) <= most else plain[:most] + "..."
