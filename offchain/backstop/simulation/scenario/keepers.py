"""The section `keepers`: groups of them, what each group may be told, and what guardians and attackers do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from backstop.deployment.contract_names import POOLS
from backstop.deployment.deployment_parameters import Parameters
from backstop.keepers.keeper_group import (
    MOVES,
    OF_COLLATERAL,
    AttackMove,
    GasPolicy,
    GuardianInstruction,
    KeeperGroup,
    Outage,
)
from backstop.keepers.role_registry import ROLES
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS
from backstop.model.interfaces import CAUTION, EMERGENCY
from backstop.simulation.scenario import units
from backstop.simulation.scenario.chance import fails_of
from backstop.simulation.scenario.document import Field, Section
from backstop.simulation.scenario.schema import BLOCK_GAS, DAY, LONGEST

MODES = {"caution": CAUTION, "emergency": EMERGENCY}


def keepers_of(field: Field, duration: int, symbols: tuple[str, ...]) -> tuple[KeeperGroup, ...]:
    """Read the groups of keepers; one of them are the reporters."""
    groups = tuple(_group(name, entry, duration, symbols) for name, entry in field.entries().items())
    for role in ("reporter", "flash_taker"):
        if sum(group.role == role for group in groups) > 1:
            field.fail(f"has more than one group with the role {role}")
    if not any(group.role == "reporter" for group in groups):
        field.fail("has no group with the role reporter")
    return groups


def check_domains(field: Field, keepers: tuple[KeeperGroup, ...], parameters: Parameters) -> None:
    """Fail unless bridges are the minters of their domains, and announced losses name a domain."""
    named = {domain.name: domain for domain in parameters.domains}
    for group in keepers:
        entry = field.entries()[group.name]
        for name in (group.domain, *(each.announce for each in group.schedule)):
            if name and name not in named:
                entry.fail(f"there is no domain {name!r} in parameters.domains")
        if group.role == "bridge" and group.list_keeper_names() != (named[group.domain].minter,):
            entry.fail(f"the bridge of {group.domain} is called {named[group.domain].minter!r}")


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
    "bridge": ("domain", "capital", "each", "heartbeat"),
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


def _group(name: str, field: Field, duration: int, symbols: tuple[str, ...]) -> KeeperGroup:
    """Read one group: its role decides which options it may have."""
    if re.fullmatch(r"[a-z][a-z0-9_]{0,30}", name) is None:
        field.fail(f"{name!r} is not a name: small letters, digits and _")
    role = field.entries().get("role")
    if role is None:
        field.fail("'role' is missing")
    known = _OPTIONS[role.choice(ROLES)]
    section = field.section(("role", "gas_price"), ("count", "latency", "outages", "fails", *known))

    def given(option: str, reader: Callable[[str], int], least: int, most: int, default: int) -> int:
        entry = section.get(option)
        return default if entry is None else entry.between(reader, least, most)

    if role.text == "reporter":
        count = given("count", units.count, bounds.MIN_QUORUM, bounds.MAX_REPORTERS, 3)
        if name != "reporter":
            field.fail("the group of reporters is called 'reporter'")
    else:
        count = given("count", units.count, 1, 100, 1)
    if role.text == "flash_taker" and (name != "taker" or count != 1):
        field.fail("the flash taker is one keeper and called 'taker': its contract knows one owner")
    if role.text == "backstop_keeper" and (name, count) != (role.text, 1):
        field.fail("the pool's keeper is one keeper and called 'backstop_keeper': it may take risk")
    drawn = {}
    if role.text in ("borrower", "exploiter") or (role.text == "attacker" and "collateral" in section):
        drawn = _drawn(field, section, symbols)
    if role.text == "bridge":
        drawn = _of_domain(field, section)
    if role.text == "guardian" and "schedule" not in section:
        field.fail("'schedule' is missing: a guardian needs it")
    if role.text == "matcher" and "orders" not in section:
        field.fail("'orders' is missing: a matcher needs it")
    outages, schedule, pays, plan = (section.get(name) for name in ("outages", "schedule", "pays", "plan"))
    pool = section["pool"].choice(tuple(POOLS)) if "pool" in section else "savings"
    if role.text == "attacker" and pool == "staked_equity":
        section["pool"].fail("an attacker has stablecoins: junior, senior or savings")
    money = units.equity if role.text == "surplus_bidder" else units.of_pool(pool)
    return KeeperGroup(
        name=name,
        role=role.text,
        count=count,
        gas=_gas_policy(section["gas_price"]),
        capital=given("capital", money, 0, 10**27, 0),
        minimum_profit=given("minimum_profit", units.stablecoin, 0, 10**24, 0),
        latency=given("latency", units.seconds, 0, 3_600, 0),
        outages=() if outages is None else tuple(_outage(item, duration) for item in outages.items()),
        deviation=given("deviation", units.basis_points, 1, 10_000, 100),
        heartbeat=given("heartbeat", units.seconds, 1, 7 * DAY, 3_600),
        noise=given("noise", units.basis_points, 0, 1_000, 0),
        takes_at=given("takes_at", units.basis_points, 1, 10_000, 10_000),
        most=given("most", units.count, 1, 100, 5),
        pool=pool,
        stake=given("stake", units.stablecoin, 0, 10**27, 0),
        leaves_at=given("leaves_at", units.basis_points, 0, 10_000, 0),
        refuses_at=given("refuses_at", units.price, 1, bounds.MAX_PRICE, 0),
        strategy=section["strategy"].text if "strategy" in section else "",
        answers=given("answers", units.basis_points, 0, 10_000, 10_000),
        instalments=given("instalments", units.count, 1, bounds.MAX_INSTALMENTS, 4),
        pays=None if pays is None else pays.between(units.yearly_rate, 0, bounds.MAX_STABILITY_FEE),
        schedule=() if schedule is None else tuple(_instruction(i, symbols) for i in schedule.items()),
        plan=() if plan is None else _plan(plan, "collateral" in section),
        fails=fails_of(section["fails"]) if "fails" in section else None,
        runs=given("runs", units.seconds, 60, 365 * DAY, 0),
        premium=given("premium", units.basis_points, 0, BASIS_POINTS, 0),
        relieves=given("relieves", units.basis_points, 0, 100_000, 0),
        call_gas=given("call_gas", units.gas, 100_000, BLOCK_GAS, KeeperGroup.call_gas),
        orders=str(section["orders"].beside()) if "orders" in section else "",
        **drawn,
    )


def _drawn(field: Field, section: Section, symbols: tuple[str, ...]) -> dict[str, Any]:
    """Read what a keeper that draws locks, how much it draws at once, and at which ratio."""
    role = field.entries()["role"].text
    who = "a borrower" if role == "borrower" else f"an {role}"
    for name in ("collateral", "each", "ratio", *(() if role == "attacker" else ("capital",))):
        if name not in section:
            field.fail(f"{name!r} is missing: {who} needs it")
    return {
        "collateral": section["collateral"].choice(symbols),
        "each": section["each"].between(units.stablecoin, 10**18, 10**27),
        "ratio": section["ratio"].between(units.basis_points, bounds.MIN_RATIO, bounds.MAX_RATIO),
    }


def _of_domain(field: Field, section: Section) -> dict[str, Any]:
    """Read which domain a bridge draws for, and how much at once."""
    for name in ("domain", "capital", "each"):
        if name not in section:
            field.fail(f"{name!r} is missing: a bridge needs it")
    return {
        "domain": section["domain"].text,
        "each": section["each"].between(units.stablecoin, 10**18, 10**27),
    }


def _gas_policy(field: Field) -> GasPolicy:
    if isinstance(field.value, str):
        return GasPolicy(fixed=field.between(units.gas_price, 1, 10**15))
    section = field.section(("follow",), ("lag", "cap"))
    cap, lag = section.get("cap"), section.get("lag")
    return GasPolicy(
        factor=section["follow"].between(units.basis_points, 1, 100_000),
        lag=0 if lag is None else lag.between(units.seconds, 0, DAY),
        cap=None if cap is None else cap.between(units.gas_price, 1, 10**15),
    )


def _outage(field: Field, duration: int) -> Outage:
    section = field.section(("from", "to"))
    start = section["from"].between(units.clock, 0, duration)
    return Outage(start, section["to"].between(units.clock, start, 10 * LONGEST))


def _instruction(field: Field, symbols: tuple[str, ...]) -> GuardianInstruction:
    section = field.section(("at",), ("halt", "raise_to", "announce"))
    if sum(name in section for name in ("halt", "raise_to", "announce")) != 1:
        field.fail("needs one of `halt`, `raise_to` and `announce`")
    at = section["at"].between(units.clock, 0, LONGEST)
    if "halt" in section:
        return GuardianInstruction(at, halt=section["halt"].choice(symbols))
    if "announce" in section:
        return GuardianInstruction(at, announce=section["announce"].text)
    return GuardianInstruction(at, raise_to=MODES[section["raise_to"].choice(tuple(MODES))])


def _plan(field: Field, borrows: bool) -> tuple[AttackMove, ...]:
    """Read an attacker's moves; return the first one first."""
    found = []
    for item in field.items():
        section = item.section(("at", "do"), ("share",))
        do = section["do"].choice(MOVES)
        if do in OF_COLLATERAL and not borrows:
            section["do"].fail(f"{do!r} needs a `collateral`")
        share = section["share"].between(units.basis_points, 1, BASIS_POINTS) if "share" in section else None
        found.append(
            AttackMove(
                section["at"].between(units.clock, 0, LONGEST), do, BASIS_POINTS if share is None else share
            )
        )
    return tuple(sorted(found, key=lambda move: move.at))
