"""Lies of a node about the chain's state: proofs, balances, fees, gas, outcomes, finality, logs.

Each is a fault of the proxy, as those of `lies_about_sending`, and is judged by the work of keepers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backstop.live.chaos.byzantine_proxy import Fault, RpcExchange

_GWEI = 10**9
_BEHIND_FOR = 4


def _answer_as_lagging_backend(talk: RpcExchange) -> None:
    """Answer every second exchange like a backend that lacks the newest block, for a while."""
    kept = talk.kept
    for call, answer in zip(talk.asked, talk.told, strict=True):
        if call["method"] == "eth_getBlockByNumber" and call["params"][0] == "latest":
            newest = int(answer["result"]["number"], 16)
            if newest != kept.get("head"):
                kept["head"], kept["turn"] = newest, 0
    kept["turn"] = kept.get("turn", 0) + 1
    head = kept.get("head")
    if head is None or kept["turn"] > _BEHIND_FOR or kept["turn"] % 2:
        return
    for call, answer in zip(talk.asked, talk.told, strict=True):
        if hex(head) not in call["params"]:
            continue
        if call["method"] in ("eth_getBlockByNumber", "eth_getBlockReceipts"):
            answer["result"] = None
        else:
            answer.pop("result", None)
            told = f"BlockOutOfRangeError: block height is {head - 1} but requested was {head}"
            answer["error"] = {"code": -32602, "message": told}


def _tell_no_coins(talk: RpcExchange) -> None:
    talk.change_results("eth_getBalance", lambda params, result: "0x0")


def _build_base_fee_fault(fee: int) -> Callable[[RpcExchange], None]:
    """Return a fault that reports the base fee `fee` [wei] in the newest block and the fee history."""

    def of_block(params: Any, block: dict[str, Any]) -> dict[str, Any]:
        if params[0] not in ("latest", "pending"):
            return block
        return block | {"baseFeePerGas": hex(fee)}

    def of_history(params: Any, history: dict[str, Any]) -> dict[str, Any]:
        return history | {"baseFeePerGas": [hex(fee) for _ in history["baseFeePerGas"]]}

    def tell_other_fees(talk: RpcExchange) -> None:
        talk.change_results("eth_getBlockByNumber", of_block)
        talk.change_results("eth_feeHistory", of_history)

    return tell_other_fees


def _revert_each_call(talk: RpcExchange) -> None:
    """Answer each dry run of a call with a revert; a call without a sender is answered truly."""
    for call, answer in zip(talk.asked, talk.told, strict=True):
        if call["method"] in ("eth_call", "eth_estimateGas") and "from" in call["params"][0]:
            answer.pop("result", None)
            answer["error"] = {"code": 3, "message": "execution reverted", "data": "0x"}


def _build_gas_fault(gas: int) -> Callable[[RpcExchange], None]:
    return lambda talk: talk.change_results("eth_estimateGas", lambda params, result: hex(gas))


def _know_no_transaction(talk: RpcExchange) -> None:
    talk.change_results("eth_getTransactionByHash", lambda params, result: None)


def _break_account_proofs(talk: RpcExchange) -> None:
    """Report one transaction too many for each account, with account proofs that are corrupted."""

    def break_proof(params: Any, proof: dict[str, Any]) -> dict[str, Any]:
        return proof | {"accountProof": [node[:-2] + "00" for node in proof["accountProof"]]}

    talk.change_results("eth_getTransactionCount", lambda params, count: hex(int(count, 16) + 1))
    talk.change_results("eth_getProof", break_proof)


def _refuse_account_proofs(talk: RpcExchange) -> None:
    """Report one transaction too few for each account, and refuse account proofs."""
    talk.change_results("eth_getTransactionCount", lambda params, count: hex(max(int(count, 16) - 1, 0)))
    talk.refuse_method("eth_getProof", -32601, "the method eth_getProof does not exist")


def _go_back_and_forth(talk: RpcExchange) -> None:
    """Report the previous block as the newest one at every third request."""
    for call, answer in zip(talk.asked, talk.told, strict=True):
        if call["method"] != "eth_getBlockByNumber" or call["params"][0] != "latest":
            continue
        kept, told = talk.kept, answer["result"]
        before = kept.get("newest", told)
        kept["turn"] = (kept.get("turn", 0) + 1) % 3
        if told["number"] != before["number"]:
            kept["older"] = before
        kept["newest"] = told
        if kept["turn"] == 0 and "older" in kept:
            answer["result"] = kept["older"]


def _hide_code(talk: RpcExchange) -> None:
    talk.change_results("eth_getCode", lambda params, code: "0x")


OF_STATE = (
    Fault(
        "a block behind",
        "every second answer is of a backend that gets blocks later",
        _answer_as_lagging_backend,
        stays=True,
        works=True,
    ),
    Fault("no coins", "no account has coins", _tell_no_coins, stays=True, works=True),
    Fault(
        "dear gas",
        "the newest base fee is 1,000 gwei",
        _build_base_fee_fault(1_000 * _GWEI),
        stays=True,
        works=True,
    ),
    Fault("free gas", "the newest base fee is 0", _build_base_fee_fault(0), stays=True, works=True),
    Fault("reverts", "each call that is tried reverts", _revert_each_call),
    Fault("little gas", "each call takes 21,000 gas", _build_gas_fault(21_000)),
    Fault("much gas", "each call takes 25,000,000 gas", _build_gas_fault(25_000_000)),
    Fault("nothing known", "no transaction is known", _know_no_transaction, stays=True, works=True),
    Fault("false account proofs", "one transaction more, and broken proofs", _break_account_proofs),
    Fault("no account proofs", "one transaction less, and proofs are refused", _refuse_account_proofs),
    Fault(
        "back and forth",
        "every third time the newest block is the one before",
        _go_back_and_forth,
        stays=True,
        works=True,
    ),
    Fault("no code", "no contract has code", _hide_code, stays=True, works=True),
)
"""Lies about the chain's state."""
