"""Trials of calls before they are sent: many in one exchange with the node, each behind those before it.

A node that does not know `eth_simulateV1` is asked call by call, as for a few.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from itertools import takewhile
from typing import Any

from backstop.hosts.host_interface import CALL_GAS, RawResult
from backstop.hosts.rpc_client import NodeRefusedError, RpcError
from backstop.keepers.call_costs import find_call_gas
from backstop.keepers.keeper_role_register import Intent
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.transaction_journal import Entry
from backstop.system import Action, Outcome

MOST_TRIED = 64
"""Calls of one exchange."""
# Fewer cost less one by one than behind all that is under way.
_WORTH_IT = 4
# Seconds until a node that refused is asked again.
_AGAIN = 60.0
# Calls about one vault or lot each, which a thousand of may be due at once. Others go by marks of the second
# in which they are mined, or by the call before: each is tried when it is sent.
_TOGETHER = {
    ("LiquidationEngine", "liquidate"),
    ("LiquidationEngine", "liquidate_and_buy"),
    ("LiquidationEngine", "call"),
    ("LiquidationEngine", "flag"),
    ("CollateralAuction", "take"),
    ("FlashTaker", "take_and_sell"),
    ("FlashTaker", "liquidate_and_sell"),
}
# A block of the trial's own has room for whatever is tried.
_ROOM = 10**10
_UNLISTED_GAS = 1_000_000  # of a call that no job stands for
# What it takes at most beyond its job; what needs more is tried alone, with all that a transaction may have.
_TIMES_JOB, _MORE = 2, 200_000


class CallTrials:
    """Dry runs of calls in the next block, many in one `eth_simulateV1` request to the node.

    Calls of one request are executed in order, so a result holds only while all calls before it are sent.
    Without `eth_simulateV1` each call is tried in a request of its own.
    """

    def __init__(self, system: LiveSystem) -> None:
        self._system = system
        self._foreseen: dict[tuple[Hashable, ...], tuple[Outcome, int]] = {}
        self._alone = 0
        """So many calls are tried one by one before the next are tried ahead."""
        self._asked_again_at = 0.0

    def begin_look(self) -> None:
        """Discard all stored results; they belong to an earlier round of the keeper loop."""
        self._foreseen.clear()
        self._alone = 0

    def try_call(
        self, intent: Intent, following: Sequence[Intent], under_way: Sequence[tuple[str, Entry]], now: int
    ) -> tuple[Outcome, int]:
        """Return the outcome and the gas of a call in the next block; try the following calls after it.

        `under_way` holds the pending transactions with their senders, which are executed first. `now` is the
        timestamp of the next block. A call that fails in a trial of many calls is tried again alone, and the
        result of that trial counts.
        """
        if intent.about not in self._foreseen and self._alone == 0:
            together = list(takewhile(_is_tried_together, [intent, *following][:MOST_TRIED]))
            if len(together) >= _WORTH_IT:
                self._try_ahead(together, under_way, now)
        found = self._foreseen.pop(intent.about, None)
        if found is not None and found[0].ok:
            return found
        self._alone = max(0, self._alone - 1)
        return self._system.dry_run_with_gas(intent.action)

    def forget_following(self) -> None:
        """Discard the stored results of later calls, because the call before them was not sent.

        The calls with discarded results are then tried one by one.
        """
        self._alone = len(self._foreseen)
        self._foreseen.clear()

    def _try_ahead(self, intents: Sequence[Intent], under_way: Sequence[tuple[str, Entry]], now: int) -> None:
        self._foreseen.clear()
        if time.monotonic() < self._asked_again_at:
            return
        before = [_describe_call(sender, entry.to, entry.data, entry.gas) for sender, entry in under_way]
        wanted = [self._describe_action(each.action) for each in intents]
        number = self._system.next_block_number
        block = {"time": hex(now), "number": hex(number), "gasLimit": hex(_ROOM)}
        calls = {"blockOverrides": block, "calls": [*before, *wanted]}
        try:
            [simulated] = self._system.node.request(
                "eth_simulateV1", {"blockStateCalls": [calls], "validation": False}, hex(number - 1)
            )
        except NodeRefusedError:  # it has too much to do
            raise
        except RpcError:
            self._asked_again_at = time.monotonic() + _AGAIN
            return
        results = simulated["calls"][len(before) :]
        for intent, result in zip(intents, results, strict=True):
            self._foreseen[intent.about] = self._read_result(intent.action, result)

    def _describe_action(self, action: Action) -> dict[str, str]:
        to, data = self._system.encode_call(action)
        job = find_call_gas(action.contract, action.method) or _UNLISTED_GAS
        gas = min(job * _TIMES_JOB + _MORE, CALL_GAS)
        return _describe_call(action.sender, to, "0x" + data.hex(), gas)

    def _read_result(self, action: Action, result: dict[str, Any]) -> tuple[Outcome, int]:
        if result["status"] != "0x1":
            return Outcome("", None, ()), 0
        function = self._system.chain.get_function(action.contract, action.method, len(action.args))
        raw = RawResult(True, bytes.fromhex(result["returnData"][2:]), (), int(result["gasUsed"], 16))
        return self._system.chain.decode_outcome_or_revert(function, raw), raw.gas


def _is_tried_together(intent: Intent) -> bool:
    return (intent.action.contract, intent.action.method) in _TOGETHER


def _describe_call(sender: str, to: str, data: str, gas: int) -> dict[str, str]:
    return {"from": sender, "to": to, "data": data, "gas": hex(gas)}
