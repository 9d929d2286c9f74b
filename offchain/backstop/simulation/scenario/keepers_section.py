"""The section `keepers`: groups of keepers, their options, and the plans of guardians and attackers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from backstop.deployment.contracts_by_parameter_name import POOLS
from backstop.deployment.parameter_dataclasses import Parameters
from backstop.keepers.all_role_names import ROLES
from backstop.keepers.keeper_group_settings import (
    MOVES,
    OF_COLLATERAL,
    AttackMove,
    GasPolicy,
    GuardianInstruction,
    KeeperGroup,
    Outage,
)
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS
from backstop.model.interfaces import CAUTION, EMERGENCY
from backstop.simulation.scenario import quantity_units
from backstop.simulation.scenario.scenario_records import BLOCK_GAS, DAY, LONGEST
from backstop.simulation.scenario.stochastic_sections import read_random_keeper_outages
from backstop.simulation.scenario.yaml_document_reader import Field, Section

MODES = {"caution": CAUTION, "emergency": EMERGENCY}


def read_keepers(field: Field, duration: int, symbols: tuple[str, ...]) -> tuple[KeeperGroup, ...]:
    """Read the groups of keepers; exactly one of them must be the reporters."""
    groups = tuple(
        _read_group(name, entry, duration, symbols) for name, entry in field.read_mapping_entries().items()
    )
    for role in ("reporter", "flash_taker"):
        if sum(group.role == role for group in groups) > 1:
            field.raise_error(f"has more than one group with the role {role}")
    if not any(group.role == "reporter" for group in groups):
        field.raise_error("has no group with the role reporter")
    return groups


def check_bridges_match_facilitators(
    field: Field, keepers: tuple[KeeperGroup, ...], parameters: Parameters
) -> None:
    """Check that bridge keepers are their facilitators' minters, and announced losses name a facilitator.

    Raises BackstopError at the group that does not match.
    """
    named = {facilitator.name: facilitator for facilitator in parameters.facilitators}
    for group in keepers:
        entry = field.read_mapping_entries()[group.name]
        for name in (group.facilitator, *(each.announce for each in group.schedule)):
            if name and name not in named:
                entry.raise_error(f"facilitator {name!r} is unknown; expected one of parameters.facilitators")
        if group.role == "bridge" and group.list_keeper_names() != (named[group.facilitator].minter,):
            entry.raise_error(
                f"the bridge of {group.facilitator} is called {named[group.facilitator].minter!r}"
            )


_OPTIONS: dict[str, tuple[str, ...]] = {
    "reporter": ("deviation", "heartbeat", "noise", "refuses_at"),
    "poker": (),
    "accruer": ("heartbeat",),
    "liquidator": ("minimum_profit", "most"),
    "flash_taker": ("minimum_profit", "most", "strategy"),
    "bidder": ("takes_at", "capital", "minimum_profit", "most", "strategy"),
    "crank": ("most",),
    "coverer": ("heartbeat",),
    "recap_bidder": ("takes_at", "capital", "minimum_profit", "strategy"),
    "surplus_bidder": ("capital", "minimum_profit"),
    "treasurer": ("heartbeat",),
    "recogniser": ("deviation", "most"),
    "ceilings": (),
    "breaker": (),
    "guardian": ("schedule",),
    "caller": ("most",),
    "owners": ("capital", "answers", "most"),
    "debtor": ("capital", "answers", "instalments", "most"),
    "borrower": ("collateral", "capital", "each", "ratio", "heartbeat", "pays"),
    "exploiter": ("collateral", "capital", "each", "ratio", "minimum_profit"),
    "bridge": ("facilitator", "capital", "each", "heartbeat"),
    "settler": ("most",),
    "member": ("pool", "capital", "leaves_at", "runs"),
    "attacker": ("pool", "stake", "capital", "collateral", "each", "ratio", "most", "plan"),
    "margin_crank": ("call_gas", "deviation", "most"),
    "backstop_keeper": ("minimum_profit", "most"),
    "margin_liquidator": ("capital", "minimum_profit", "most", "relieves"),
    "pool_buyer": ("capital", "premium", "minimum_profit", "most"),
    "deleverager": ("call_gas", "most"),
    "matcher": ("orders", "most"),
}


def get_role_options(role: str) -> tuple[str, ...]:
    """Return the names of a role's options, without those that every role has."""
    return _OPTIONS[role]


def _read_group(name: str, field: Field, duration: int, symbols: tuple[str, ...]) -> KeeperGroup:
    """Read one group of keepers; its role decides which options are allowed."""
    if re.fullmatch(r"[a-z][a-z0-9_]{0,30}", name) is None:
        field.raise_error(f"{name!r} is not a name: small letters, digits and _")
    role = field.read_mapping_entries().get("role")
    if role is None:
        field.raise_error("'role' is missing")
    known = _OPTIONS[role.read_choice(ROLES)]
    section = field.read_section(("role", "gas_price"), ("count", "latency", "outages", "fails", *known))

    def given(option: str, reader: Callable[[str], int], least: int, most: int, default: int) -> int:
        entry = section.get(option)
        return default if entry is None else entry.read_bounded(reader, least, most)

    if role.text == "reporter":
        count = given("count", quantity_units.read_whole_number, bounds.MIN_QUORUM, bounds.MAX_REPORTERS, 3)
        if name != "reporter":
            field.raise_error("the group of reporters is called 'reporter'")
    else:
        count = given("count", quantity_units.read_whole_number, 1, 100, 1)
    if role.text == "flash_taker" and (name != "taker" or count != 1):
        field.raise_error("the flash taker is one keeper and called 'taker': its contract knows one owner")
    if role.text == "backstop_keeper" and (name, count) != (role.text, 1):
        field.raise_error("the pool's keeper is one keeper and called 'backstop_keeper': it may take risk")
    drawn = {}
    if role.text in ("borrower", "exploiter") or (role.text == "attacker" and "collateral" in section):
        drawn = _read_borrowing_options(field, section, symbols)
    if role.text == "bridge":
        drawn = _read_bridge_keeper_options(field, section)
    if role.text == "guardian" and "schedule" not in section:
        field.raise_error("'schedule' is missing: a guardian needs it")
    if role.text == "matcher" and "orders" not in section:
        field.raise_error("'orders' is missing: a matcher needs it")
    outages, schedule, pays, plan = (section.get(name) for name in ("outages", "schedule", "pays", "plan"))
    pool = section["pool"].read_choice(tuple(POOLS)) if "pool" in section else "savings"
    if role.text == "attacker" and pool == "staked_equity":
        section["pool"].raise_error("an attacker has stablecoins: junior, senior or savings")
    money = (
        quantity_units.read_equity_as_wad
        if role.text == "surplus_bidder"
        else quantity_units.get_pool_amount_reader(pool)
    )
    return KeeperGroup(
        name=name,
        role=role.text,
        count=count,
        gas=_read_gas_policy(section["gas_price"]),
        capital=given("capital", money, 0, 10**27, 0),
        minimum_profit=given("minimum_profit", quantity_units.read_stablecoin, 0, 10**24, 0),
        latency=given("latency", quantity_units.read_seconds, 0, 3_600, 0),
        outages=()
        if outages is None
        else tuple(_read_outage(item, duration) for item in outages.read_items()),
        deviation=given("deviation", quantity_units.read_basis_points, 1, 10_000, 100),
        heartbeat=given("heartbeat", quantity_units.read_seconds, 1, 7 * DAY, 3_600),
        noise=given("noise", quantity_units.read_basis_points, 0, 1_000, 0),
        takes_at=given("takes_at", quantity_units.read_basis_points, 1, 10_000, 10_000),
        most=given("most", quantity_units.read_whole_number, 1, 100, 5),
        pool=pool,
        stake=given("stake", quantity_units.read_stablecoin, 0, 10**27, 0),
        leaves_at=given("leaves_at", quantity_units.read_basis_points, 0, 10_000, 0),
        refuses_at=given("refuses_at", quantity_units.read_price_as_ray, 1, bounds.MAX_PRICE, 0),
        strategy=section["strategy"].text if "strategy" in section else "",
        answers=given("answers", quantity_units.read_basis_points, 0, 10_000, 10_000),
        instalments=given("instalments", quantity_units.read_whole_number, 1, bounds.MAX_INSTALMENTS, 4),
        pays=None
        if pays is None
        else pays.read_bounded(quantity_units.read_yearly_rate, 0, bounds.MAX_STABILITY_FEE),
        schedule=()
        if schedule is None
        else tuple(_read_guardian_instruction(i, symbols) for i in schedule.read_items()),
        plan=() if plan is None else _read_attack_moves(plan, "collateral" in section),
        fails=read_random_keeper_outages(section["fails"]) if "fails" in section else None,
        runs=given("runs", quantity_units.read_seconds, 60, 365 * DAY, 0),
        premium=given("premium", quantity_units.read_basis_points, 0, BASIS_POINTS, 0),
        relieves=given("relieves", quantity_units.read_basis_points, 0, 100_000, 0),
        call_gas=given("call_gas", quantity_units.read_gas, 100_000, BLOCK_GAS, KeeperGroup.call_gas),
        orders=str(section["orders"].find_local_file()) if "orders" in section else "",
        **drawn,
    )


def _read_borrowing_options(field: Field, section: Section, symbols: tuple[str, ...]) -> dict[str, Any]:
    """Read a borrowing keeper's collateral type, amount of each draw, and collateral ratio."""
    role = field.read_mapping_entries()["role"].text
    who = "a borrower" if role == "borrower" else f"an {role}"
    for name in ("collateral", "each", "ratio", *(() if role == "attacker" else ("capital",))):
        if name not in section:
            field.raise_error(f"{name!r} is missing: {who} needs it")
    return {
        "collateral": section["collateral"].read_choice(symbols),
        "each": section["each"].read_bounded(quantity_units.read_stablecoin, 10**18, 10**27),
        "ratio": section["ratio"].read_bounded(
            quantity_units.read_basis_points, bounds.MIN_RATIO, bounds.MAX_RATIO
        ),
    }


def _read_bridge_keeper_options(field: Field, section: Section) -> dict[str, Any]:
    """Read a bridge keeper's facilitator and the amount of each draw."""
    for name in ("facilitator", "capital", "each"):
        if name not in section:
            field.raise_error(f"{name!r} is missing: a bridge needs it")
    return {
        "facilitator": section["facilitator"].text,
        "each": section["each"].read_bounded(quantity_units.read_stablecoin, 10**18, 10**27),
    }


def _read_gas_policy(field: Field) -> GasPolicy:
    if isinstance(field.value, str):
        return GasPolicy(fixed=field.read_bounded(quantity_units.read_gas_price, 1, 10**15))
    section = field.read_section(("follow",), ("lag", "cap"))
    cap, lag = section.get("cap"), section.get("lag")
    return GasPolicy(
        factor=section["follow"].read_bounded(quantity_units.read_basis_points, 1, 100_000),
        lag=0 if lag is None else lag.read_bounded(quantity_units.read_seconds, 0, DAY),
        cap=None if cap is None else cap.read_bounded(quantity_units.read_gas_price, 1, 10**15),
    )


def _read_outage(field: Field, duration: int) -> Outage:
    section = field.read_section(("from", "to"))
    start = section["from"].read_bounded(quantity_units.read_multiday_clock, 0, duration)
    return Outage(start, section["to"].read_bounded(quantity_units.read_multiday_clock, start, 10 * LONGEST))


def _read_guardian_instruction(field: Field, symbols: tuple[str, ...]) -> GuardianInstruction:
    section = field.read_section(("at",), ("halt", "force_mode", "announce"))
    if sum(name in section for name in ("halt", "force_mode", "announce")) != 1:
        field.raise_error("needs one of `halt`, `force_mode` and `announce`")
    at = section["at"].read_bounded(quantity_units.read_multiday_clock, 0, LONGEST)
    if "halt" in section:
        return GuardianInstruction(at, halt=section["halt"].read_choice(symbols))
    if "announce" in section:
        return GuardianInstruction(at, announce=section["announce"].text)
    return GuardianInstruction(at, force_mode=MODES[section["force_mode"].read_choice(tuple(MODES))])


def _read_attack_moves(field: Field, has_collateral: bool) -> tuple[AttackMove, ...]:
    """Read an attacker's moves, and return them in order of time."""
    found = []
    for item in field.read_items():
        section = item.read_section(("at", "do"), ("share",))
        do = section["do"].read_choice(MOVES)
        if do in OF_COLLATERAL and not has_collateral:
            section["do"].raise_error(f"{do!r} needs a `collateral`")
        share = (
            section["share"].read_bounded(quantity_units.read_basis_points, 1, BASIS_POINTS)
            if "share" in section
            else None
        )
        found.append(
            AttackMove(
                section["at"].read_bounded(quantity_units.read_multiday_clock, 0, LONGEST),
                do,
                BASIS_POINTS if share is None else share,
            )
        )
    return tuple(sorted(found, key=lambda move: move.at))
