"""Troubles of providers, as faults of a ByzantineProxy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backstop.live.chaos.byzantine_proxy import ByzantineProxy, Fault, RpcExchange

ProxyPair = tuple[ByzantineProxy, ByzantineProxy]


def combine_faults(*faults: Fault) -> Fault:
    """One with all of these troubles, the first one first."""

    def change_answers(talk: RpcExchange) -> None:
        for each in faults:
            each.change(talk)

    return Fault(" and ".join(each.name for each in faults), "", change_answers)


def build_result_fault(change: Callable[[str, Any], Any]) -> Fault:
    """Tells other results of calls that come in no batch; `change` gets the method and the node's result."""

    def change_result(talk: RpcExchange) -> None:
        if not talk.batch and "result" in talk.told[0]:
            talk.told[0]["result"] = change(talk.asked[0]["method"], talk.told[0]["result"])

    return Fault("another result", "", change_result)


def build_error_fault(errors: dict[str, Any]) -> Fault:
    """Build a fault: the node carries out each request, but answers these methods with an error."""

    def change_answers(talk: RpcExchange) -> None:
        for method, error in errors.items():
            talk.set_error(method, error)

    return Fault("errors", "", change_answers)


def build_silent_fault(*methods: str) -> Fault:
    """Build a fault: the node carries out requests, but leaves these methods unanswered.

    Without any, none.
    """

    def change_answers(talk: RpcExchange) -> None:
        if not methods or any(call["method"] in methods for call in talk.asked):
            talk.closed.wait()
            raise ConnectionResetError

    return Fault("silent", "", change_answers)


def build_status_fault(status: int, retry_after: str) -> Fault:
    """Answers with another HTTP status, and asks for a pause."""

    def change_answers(talk: RpcExchange) -> None:
        talk.status, talk.headers = status, {"Retry-After": retry_after}

    return Fault("a status", "", change_answers)


def _reset_connection(talk: RpcExchange) -> None:
    raise ConnectionResetError


def _refuse_request(talk: RpcExchange) -> None:
    talk.told, talk.batch = [{"jsonrpc": "2.0", "id": 1, "error": _LIMIT}], False


def _send_page(talk: RpcExchange) -> None:
    page = b"<html>502</html>"
    talk.body, talk.length = lambda body: iter([page]), len(page)


_LIMIT = {"code": -32005, "message": "limit exceeded"}

HANGS_UP = Fault("hangs up", "", _reset_connection)
OVER_LIMIT = Fault("over limit", "one refusal, whatever was asked, a batch too", _refuse_request)
SENDS_PAGE = Fault("sends a page", "with HTTP 200", _send_page)
