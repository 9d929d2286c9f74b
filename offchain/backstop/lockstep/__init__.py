"""Lockstep: contracts against a Python model, for any project.

A test file declares a `Campaign`; the pytest plugin plays it. docs/how-to/lockstep.md has a whole file.
Names are imported at their first use: the plugin is loaded in every project that has Backstop installed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backstop.contract_base import (
        ZERO_ADDRESS,
        Contract,
        RevertError,
        World,
        declare_constant_view,
        declare_record_slot_bit_widths,
        external,
        immutable,
        require,
        view,
    )
    from backstop.lockstep.campaign import (
        MAX_UINT256,
        Call,
        Campaign,
        Deployment,
        Draw,
        Wait,
        account,
        action,
        at,
        check_uint,
        custom_error,
        invariant,
    )
    from backstop.lockstep.campaign_run import run_campaign

_OF_MODELS = (
    "ZERO_ADDRESS",
    "Contract",
    "RevertError",
    "World",
    "declare_constant_view",
    "declare_record_slot_bit_widths",
    "external",
    "immutable",
    "require",
    "view",
)

__all__ = [
    "MAX_UINT256",
    "ZERO_ADDRESS",
    "Call",
    "Campaign",
    "Contract",
    "Deployment",
    "Draw",
    "RevertError",
    "Wait",
    "World",
    "account",
    "action",
    "at",
    "check_uint",
    "custom_error",
    "declare_constant_view",
    "declare_record_slot_bit_widths",
    "external",
    "immutable",
    "invariant",
    "require",
    "run_campaign",
    "view",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _OF_MODELS:
        module = "backstop.contract_base"
    else:
        module = "backstop.lockstep." + ("campaign_run" if name == "run_campaign" else "campaign")
    return getattr(import_module(module), name)
