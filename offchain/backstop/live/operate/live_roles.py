"""The roles that a live keeper may have, and the keepers that they stand for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from backstop.deployment.planned_contracts import Deployment
from backstop.errors import BackstopError, describe_choices
from backstop.files.installation import format_command_as_started
from backstop.keepers.keeper_group_settings import GasPolicy, KeeperGroup
from backstop.keepers.keeper_role_register import Keeper
from backstop.model.arithmetic import WAD

Option = int | str | tuple[str, ...]
"""A setting of a role."""

ROLES: dict[str, tuple[str, ...]] = {
    "reporter": ("reporter",),
    "poker": ("poker",),
    "accruer": ("accruer",),
    "liquidator": ("liquidator",),
    "taker": ("flash_taker",),
    "bidder": ("bidder",),
    "crank": ("crank", "coverer"),
    "recogniser": ("recogniser",),
    "recap_bidder": ("recap_bidder",),
    "surplus_bidder": ("surplus_bidder",),
    "treasurer": ("treasurer",),
    "ceilings": ("ceilings",),
    "breaker": ("breaker",),
    "caller": ("caller",),
    "settler": ("settler",),
    "margin_crank": ("margin_crank",),
    "margin_liquidator": ("margin_liquidator",),
    "backstop_keeper": ("backstop_keeper",),
    "pool_buyer": ("pool_buyer",),
    "deleverager": ("deleverager",),
    "matcher": ("matcher",),
    "debtor": ("debtor",),
    "bridge": ("bridge",),
}
"""Roles that `--roles` accepts. `crank` ends auctions and has losses paid."""


MOST_CALLS = 100_000
"""Calls of a keeper for one block, if its settings say nothing else: more than a block has gas for."""


PRIVATE = ("debtor", "bridge")
"""Roles that act on behalf of another account: `all` leaves them out."""


def describe_unknown_role(role: str, known_roles: Iterable[str]) -> str:
    """Return the error message for an unknown role, with the known roles to choose from."""
    listed_by = f"`{format_command_as_started('schema keeper')}`"
    return f"role {role!r} is unknown; {describe_choices(role, known_roles, listed_by)}"


def get_role_name(group: KeeperGroup) -> str:
    """Return the name that `--roles` uses for a keeper group, such as "taker" for a flash_taker."""
    return next(name for name, played in ROLES.items() if group.role in played)


def build_keepers(
    deployment: Deployment,
    roles: list[str],
    minimum_profit: int = WAD,
    options: Mapping[str, Mapping[str, Option]] | None = None,
) -> list[Keeper]:
    """Return the keepers that play the given roles, with the accounts of the deployment.

    The role `all` stands for all roles except those that act for another account. `minimum_profit` is in wad.
    `options` holds further settings by role. Raise BackstopError for an unknown role.
    """
    found: list[Keeper] = []
    everybody = [role for role in ROLES if role not in PRIVATE] if "all" in roles else []
    for role in dict.fromkeys([*everybody, *(role for role in roles if role != "all")]):
        if role not in ROLES:
            raise BackstopError(describe_unknown_role(role, (*ROLES, "all")))
        for each in ROLES[role]:
            name = "taker" if each == "flash_taker" else each
            count = 1
            if each == "reporter":
                count = max(t.feed.reporters for t in deployment.parameters.collateral_types)
            settings: dict[str, Any] = {
                "minimum_profit": minimum_profit,
                "most": MOST_CALLS,
                **(options or {}).get(role, {}),
            }
            group = KeeperGroup(name, each, count, GasPolicy(), **settings)
            if each == "bridge":
                found.append(_build_facilitator_minter_keeper(deployment, group))
                continue
            found += [
                Keeper(name, deployment.get_account(name), group, i, buys_best_first=each == "bidder")
                for i, name in enumerate(group.list_keeper_names())
            ]
    return found


def _build_facilitator_minter_keeper(deployment: Deployment, group: KeeperGroup) -> Keeper:
    """Return a keeper that acts as the minter of a facilitator (debt of a bridge).

    The minter's account receives the stablecoin that the keeper draws, unless the group names another
    receiver. Raise BackstopError if the facilitator is unknown or ambiguous.
    """
    minters = {each.name: each.minter for each in deployment.parameters.facilitators}
    name = group.facilitator or (min(minters) if len(minters) == 1 else "")
    if name not in minters:
        there = f"there are {', '.join(minters)}" if minters else "the deployment has none"
        raise BackstopError(f"a bridge needs its facilitator, not {name!r}: {there}")
    address = deployment.get_account(minters[name])
    return Keeper(
        group.name, address, dataclasses.replace(group, facilitator=name, to=group.to or address), 0
    )
