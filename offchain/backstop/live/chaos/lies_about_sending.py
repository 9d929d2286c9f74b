"""Lies of a node about sent transactions: refusals, nonces, receipts.

Each is a fault of the proxy. The expected result is judged by the work of keepers: see `work_trials`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backstop.live.chaos.byzantine_proxy import Fault, RpcExchange

_SEND = "eth_sendRawTransaction"


def _build_refusal(message: str) -> Callable[[RpcExchange], None]:
    return lambda talk: talk.refuse_method(_SEND, -32_000, message)


def _build_nonce_fault(more: int) -> Callable[[RpcExchange], None]:
    def add_to_count(params: Any, count: str) -> str:
        return hex(max(int(count, 16) + more, 0))

    return lambda talk: talk.change_results("eth_getTransactionCount", add_to_count)


def _hide_receipts(talk: RpcExchange) -> None:
    talk.change_results("eth_getTransactionReceipt", lambda params, receipt: None)


def _refuse_each(name: str, message: str) -> Fault:
    return Fault(name, f"each transaction is refused: {message}", _build_refusal(message), swallows=_SEND)


OF_SENDING = (
    _refuse_each("nonce too low", "nonce too low"),
    _refuse_each("underpriced", "replacement transaction underpriced"),
    _refuse_each("insufficient funds", "insufficient funds for gas * price + value"),
    _refuse_each("already known", "already known"),
    Fault("nonce ahead", "an account has sent one transaction more", _build_nonce_fault(1)),
    Fault("nonce far ahead", "an account has sent 17 transactions more", _build_nonce_fault(17)),
    Fault("nonce behind", "an account has sent one transaction less", _build_nonce_fault(-1)),
    Fault("null receipts", "no transaction has a receipt", _hide_receipts, stays=True, works=True),
)
"""Lies about sent transactions."""
