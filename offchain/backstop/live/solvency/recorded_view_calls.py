"""View calls that a model makes while figures are computed, and their answers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from backstop.contract_base import Contract, RevertError, World

ViewCall = tuple[str, str, tuple[Any, ...]]
"""A contract's name, a view's, and its arguments."""


def start_recording_view_calls(world: World) -> dict[ViewCall, Any]:
    """Record all view calls that the model's contracts answer from now on; return the growing record.

    Each call maps to its value, or to the RevertError that ended it. Views of a copy of a contract are not
    recorded, since the chain has no such answers.
    """
    calls: dict[ViewCall, Any] = {}
    for contract in world.contracts.values():
        kind = type(contract)
        views = {
            name: _wrap_view(method, calls)
            for name in dir(kind)
            if getattr(method := getattr(kind, name), "abi", None) == "view"
        }
        contract.__class__ = type(kind.__name__, (kind,), views)
    return calls


def _wrap_view(method: Callable[..., Any], calls: dict[ViewCall, Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def ask_view(contract: Contract, sender: str, *args: Any, **named: Any) -> Any:
        told: Any
        try:
            told = method(contract, sender, *args, **named)
        except RevertError as error:
            told = error
        if not named and contract.world.contracts.get(contract.label) is contract:
            calls[contract.label, method.__name__, args] = told
        if isinstance(told, RevertError):
            raise told
        return told

    return ask_view
