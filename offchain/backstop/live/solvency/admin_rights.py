"""Admin rights over a deployment and their notice periods, from the contracts' storage alone.

Roles cannot be listed on a chain: the statement has the roles that the mirror has seen granted.
"""

from __future__ import annotations

from typing import Any

from backstop.hosts.model_system import ModelSystem
from backstop.model.roles import CEILINGS, GUARDIAN, MINTER, SHORTFALL, STAGE, Administered
from backstop.model.timelock import Timelock

_NOBODY = "0x" + "00" * 20
_ROLES = {
    CEILINGS: "CEILINGS",
    GUARDIAN: "GUARDIAN",
    MINTER: "MINTER",
    SHORTFALL: "SHORTFALL",
    STAGE: "STAGE",
}


def build_admin_rights_statement(model: ModelSystem) -> dict[str, Any]:
    """Return the admin and roles of each contract, and the terms and proposals of each timelock."""
    contracts = model.world.contracts.values()
    return {
        "contracts": [
            _describe_contract_admin(model, each) for each in contracts if isinstance(each, Administered)
        ],
        "timelocks": [
            _build_timelock_statement(model, each) for each in contracts if isinstance(each, Timelock)
        ],
    }


def _describe_contract_admin(model: ModelSystem, contract: Administered) -> dict[str, Any]:
    """Return the admin, the pending admin and the roles of a contract.

    `announced` is the timelock's notice period for functions without a delay of their own [seconds]; 0 if the
    admin is no timelock.
    """
    admin = contract.admin(_NOBODY)
    timelock = model.world.addresses.get(admin)
    held = [(role, who) for (role, who), holds in contract.roles.items() if holds and role in _ROLES]
    return {
        "contract": contract.label,
        "admin": admin,
        "pending_admin": contract.pending_admin(_NOBODY),
        "announced": timelock.longest if isinstance(timelock, Timelock) else 0,
        "roles": [{"role": _ROLES[role], "account": who} for role, who in sorted(held)],
    }


def _build_timelock_statement(model: ModelSystem, timelock: Timelock) -> dict[str, Any]:
    """Return a timelock's governor, the functions with a shorter delay, and the open proposals."""
    names = {each.address: each.label for each in model.world.contracts.values()}
    shorter = {key: delay for key, delay in timelock.delays.items() if delay}
    proposals = [
        (proposal_id, timelock.proposal_of(_NOBODY, proposal_id))
        for proposal_id in timelock.open_proposals(_NOBODY)
    ]
    return {
        "timelock": timelock.label,
        "governor": timelock.governor(_NOBODY),
        "guardian": timelock.guardian(_NOBODY),
        "longest": timelock.longest,
        "window": timelock.window,
        "shorter": [
            {"contract": names.get(target, target), "selector": f"0x{selector:08x}", "delay": delay}
            for (target, selector), delay in sorted(shorter.items())
        ],
        "proposals": [
            {"id": "0x" + proposal_id.hex(), "ready_at": found.ready_at, "expires_at": found.expires_at}
            for proposal_id, found in sorted(proposals, key=lambda each: each[1].ready_at)
        ],
    }
