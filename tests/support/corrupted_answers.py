"""A node with corrupted answers: a real node's answer, with something wrong in it."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from random import Random
from typing import Any

from backstop.hosts.rpc_transport import NO_HEADERS, Transport, TransportAnswer

JUNK: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 2**70, "", "0x", "0xzz", "0x1", "0x0", "latest", "execution reverted"),
    *("0x" + "f" * 64, "0x" + "f" * 65, "0x" + "0" * 200, "0x" + "ab" * 20, "\x1b[2J\n", "\ud800", [], {}),
    *([[]], [{}], [None], {"error": None}, {"message": 5}, {"code": 3, "message": [], "data": "0xq"}),
    *({"code": 3, "data": "0x08c379a0"}, {"code": 3, "message": "revert", "data": "0x08c379a0" + "f" * 64}),
)


class RecordingTransport:
    """Asks a node, and remembers what it said."""

    def __init__(self, asked: Transport) -> None:
        self._asked = asked
        self.said: dict[str, dict[str, Any]] = {}

    def send_request(self, request: bytes, headers: Mapping[str, str] = NO_HEADERS) -> TransportAnswer:
        answer = self._asked.send_request(request, headers)
        calls, answers = map(_as_list, (json.loads(request), json.loads(answer.body)))
        for call, told in zip(calls, sorted(answers, key=lambda each: each["id"]), strict=True):
            self.said[_build_json_rpc_call_key(call)] = {
                name: told[name] for name in ("result", "error") if name in told
            }
        return answer

    def close(self) -> None:
        self._asked.close()


class CorruptingTransport:
    """Says again what was remembered, with one thing or several wrong in each answer."""

    def __init__(self, said: dict[str, dict[str, Any]], random: Random) -> None:
        self._said = said
        self.random = random
        self.left = 1
        """Answers that are still spoiled; the others are as they were."""

    def send_request(self, request: bytes, headers: Mapping[str, str] = NO_HEADERS) -> TransportAnswer:
        calls = json.loads(request)
        told: Any = [
            {"id": call["id"], "jsonrpc": "2.0", **self._find_recorded_answer(call)}
            for call in _as_list(calls)
        ]
        told = told if isinstance(calls, list) else told[0]
        if self.left <= 0:
            return TransportAnswer(json.dumps(told).encode())
        self.left -= 1
        random, told = self.random, copy.deepcopy(told)
        for _ in range(random.choice((1, 1, 1, 2, 5))):
            told = corrupt_value(told, random)
        body = json.dumps(told).encode()
        kind = random.randrange(40)
        if kind == 0:
            body = body[: random.randrange(len(body) + 1)]
        elif kind == 1:
            at = random.randrange(len(body) + 1)
            body = body[:at] + random.randbytes(random.randrange(1, 5)) + body[at + random.randrange(3) :]
        elif kind == 2:
            body = b"[" * 10_000 + body
        return TransportAnswer(body, random.choice((200, 200, 200, 200, 500)))

    def _find_recorded_answer(self, call: dict[str, Any]) -> dict[str, Any]:
        """Return the recorded answer; None where only a corrupted answer names the object."""
        return self._said.get(_build_json_rpc_call_key(call), {"result": None})

    def close(self) -> None:
        pass


def corrupt_value(value: Any, random: Random) -> Any:
    """Return a value with one thing in it wrong; it may be changed in place."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        name = random.choice(list(value))
        kind = random.randrange(8)
        if kind == 0:
            del value[name]
        elif kind == 1:
            value[random.choice(list(value))] = value[name]
        else:
            value[name] = corrupt_value(value[name], random)
        return value
    if isinstance(value, list) and value and random.random() < 0.9:
        at = random.randrange(len(value))
        kind = random.randrange(10)
        if kind == 0:
            del value[at]
        elif kind == 1:
            value.insert(at, copy.deepcopy(random.choice(value)))
        elif kind == 2:
            random.shuffle(value)
        else:
            value[at] = corrupt_value(value[at], random)
        return value
    if isinstance(value, str) and value and random.random() < 0.6:
        at = random.randrange(len(value))
        return value[:at] + random.choice(("", "0", "f", "g", "00", "-", " ")) + value[at + 1 :]
    return copy.deepcopy(random.choice(JUNK))


def _build_json_rpc_call_key(call: dict[str, Any]) -> str:
    return json.dumps([call["method"], call["params"]])


def _as_list(one_or_more: Any) -> list[Any]:
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]
