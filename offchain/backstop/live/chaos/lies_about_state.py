"""Lies of a node about the chain's state: proofs, balances, fees, gas, outcomes, finality, logs.

Each is a fault of the proxy, as those of `lies_about_sending`, and is judged by the work of keepers.
"""

from __future__ import annotations

from backstop.live.chaos.byzantine_proxy import Fault, RpcExchange

_GWEI = 10**9
_FAR = 1 << 90
_BEHIND_FOR = 12


def _answer_a_block_behind(talk: RpcExchange) -> None:
    """Answer every second exchange as a backend does that gets each block later, for a while."""
    kept = talk.kept
    for call, answer in zip(talk.asked, talk.told, strict=True):
        if call["method"] == "eth_getBlockByNumber" and call["params"][0] == "latest":
            head = int(answer["result"]["number"], 16)
            if head != kept.get("head"):
                kept["head"], kept["turn"] = head, 0
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


OF_STATE = (
    Fault(
        "a block behind",
        "every second answer is of a backend that gets blocks later",
        _answer_a_block_behind,
        works=True,
    ),
)
"""Lies about the chain's state."""
