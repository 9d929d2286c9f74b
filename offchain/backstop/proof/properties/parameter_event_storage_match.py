"""The property of announcements, of one successful step: a parameter that an event tells of is stored."""

from __future__ import annotations

from typing import Any

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property

# Where the vault engine keeps a parameter: the table's path, the field of its record.
_OF_TYPES = {
    "liquidation_ratio": ("terms.of_types", "liquidation_ratio"),
    "initial_ratio": ("terms.of_types", "initial_ratio"),
    "debt_ceiling": ("terms.of_types", "debt_ceiling"),
    "debt_floor": ("terms.of_types", "debt_floor"),
    "stability_fee": ("ledger.income", "stability_fee"),
    "buffer_share": ("ledger.debts", "buffer_share"),
    "auction_limit": ("ledger.auctions", "limit"),
    "redistribution_cap": ("ledger.redistributions", "cap"),
}
_OF_ALL = {
    "global_debt_ceiling": ("ledger.system", "global_debt_ceiling"),
    "global_auction_limit": ("terms.global_auction_limit", ""),
}


@transition_property(79, events=["*.ParameterChanged"])
def parameter_event_matches_storage(step: Transition, changes: Changes) -> None:
    """Check that storage holds the value of each ParameterChanged event (property 79).

    If a parameter has several events in one step, the last one counts. Raises PropertyViolationError
    otherwise.
    """
    told = [log for log in step.outcome.logs if log.event == "ParameterChanged"]
    last = {(log.contract, *log.values[:2]): log for log in told}
    for log in last.values():
        c, name, value = log.values
        if log.contract == "VaultEngine" and name in _OF_TYPES:
            path, field = _OF_TYPES[name]
            found: Any = getattr(step.read_post_state(log.contract, path, c), field)
        elif log.contract == "VaultEngine" and name in _OF_ALL:
            path, field = _OF_ALL[name]
            found = step.read_post_state(log.contract, path)
            found = getattr(found, field) if field else found
        elif log.contract == "CollateralAuction":
            found = getattr(step.read_post_state(log.contract, "terms", c), name)
        else:
            continue
        if found != value:
            raise PropertyViolationError(
                f"{log.contract} announces {name} of {value} for type {c}, and has {found}"
            )
