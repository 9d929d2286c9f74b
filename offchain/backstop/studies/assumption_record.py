"""Assumptions of a study, flat: every default, template value and parameter that moves its answer.

`assumptions.json` has a line for each, `name: value unit`, sorted by name. Names are paths into the scenario;
omitted values are there with their defaults. Long series (books, histories) are there as sums and a digest.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from backstop.errors import BackstopError
from backstop.files.atomic_files import read_versioned_json, write_files
from backstop.files.output_directories import hash_value_repr
from backstop.keepers.keeper_group_settings import KeeperGroup
from backstop.model.arithmetic import RAY, WAD, rpow
from backstop.simulation.scenario import Scenario, build_vault_book
from backstop.simulation.scenario.collateral_section import CURVES
from backstop.simulation.scenario.draw_scenario import set_depths_from_debts
from backstop.simulation.scenario.keepers_section import get_role_options
from backstop.simulation.scenario.parameters_yaml_writer import (
    format_decimal,
    format_exact_stablecoin,
    format_exact_usd_price,
)
from backstop.simulation.scenario.scenario_records import RUN_ON

FILE = "assumptions.json"
SCHEMA_VERSION = 1

MOST_ENTRIES = 12
"""Entries of a series that are written one by one; a longer one is its length and a digest."""

NONE = "none"
"""Value of a missing assumption."""

_YEAR = 365 * 86_400
LEFT_OUT = {
    "Scenario": "name title description facts assumptions unsafe source published_gas "
    "opening vaults generated book_total",
    "PricePath": "published",
}
"""Fields that change nothing in a scenario, by record, and those of its book, which is told apart."""

OF_EVERY_ROLE = ("role", "count", "gas", "latency", "outages", "fails", "most", "deviation", "heartbeat")
"""Fields of a keeper group that are listed for every role: some roles go by their defaults."""

MOST_RECORDS = 64
"""Records of a list that are written one by one."""

_BY_UNIT = {
    "s": (
        "start duration block_time opened_before aftermath price_interval epoch_length cap_delay period "
        "tail step max_age stale_after window grace dead_after flow_window call_grace call_valid cooldown "
        "vesting delay ttl silence calm_period interval bucket quiet mark_age notice quote_time "
        "retraction every recovery reversion lasts latency heartbeat lag at end runs leaves_from asks "
        "ends leaves takes_out times within entry_delay"
    ),
    "bps": (
        "gas_share scarcity liquidation_ratio initial_ratio buffer_share redistribution_cap cusp buf chip "
        "deviation fee of_vaults of_type call_ratio cap_bps income_share floor fall auctions "
        "caution_margin emergency_factor discount ratio premium fee_share band maker_fee taker_fee "
        "divergence initial maintenance haircut max_funding of_accounts of_market insured leverage spread "
        "share tolerance debt_to_depth noise takes_at leaves_at answers relieves factor shifts longs "
        "shorts large dodgers falls factors large_factor distances sizes least base_bonus "
        "max_bonus full_bonus_health max_discount cursor target_health close_factor whole_close_health "
        "reward debt_share"
    ),
    "bps a year": "growth curve",
    "stablecoin": (
        "global_debt_ceiling global_auction_limit debt_ceiling debt_floor auction_limit tip flow_cap line "
        "surplus_lot target bound losses gap max_line cap insurance_target third_bond dust limit "
        "small_position"
    ),
    "wad": (
        "depth members reserve insurance pool_money money capital minimum_profit stake each debt notional "
        "cash large_debt amount"
    ),
    "ray": "opened_at growth_anchor conversion_price refuses_at price points",
    "factor": "cut",
    "gas": "block_gas call_gas",
    "wei": "gas_prices fixed",
    "billionths": "correlation mean deviation fall alpha beta idle chances ways",
    "billionths a year": "drift volatility",
    "fee": "stability_fee pays",
    "": (
        "decimals reporters quorum confirmations speed epochs instalments buckets open_limit degrees run "
        "coin_decimals vaults count most lots force_mode supply mint_cap has_accounts dodges by owner_key"
    ),
}
_UNITS = {name: unit for unit, names in _BY_UNIT.items() for name in names.split()} | {
    # Where a name has another unit than elsewhere.
    "AuctionParameters.penalty": "bps",
    "StabilityPoolParameters.penalty": "bps",
    "AuctionParameters.curve": "curve",
    "FeedParameters.deviation": "bps",
    "KeeperGroup.deviation": "bps",
    "BreakerParameters.fall": "bps",
    "DepthAfterFall.fall": "bps",
    "DepthAfterFall.depth": "bps",
    "GasPolicy.cap": "wei",
    "Outage.start": "s",
    "PerpetualParameters.lot": "wad of the asset",
    "PricePath.volatility": "bps for the root of an hour",
    "StageParameters.cap_absolute": "rad",
    "MarginPairs.times": "",
}


def get_unit(record: str, field: str) -> str | None:
    """Return the unit of a record's field, for example "bps"; None if the field has none."""
    return _UNITS.get(f"{record}.{field}", _UNITS.get(field))


def list_assumptions(scenario: Scenario, seed: int) -> dict[str, str]:
    """Return what a scenario assumes: values with their units as text, by name.

    `seed` draws the vaults and the depths of markets.
    """
    found = dict(_iter_record("", scenario))
    found["duration_after_the_end"] = f"{RUN_ON} s"
    if scenario.opening is not None:
        return found | {"vault_book.state": hash_value_repr(scenario.opening)}
    for symbol, market in set_depths_from_debts(scenario, seed).markets.items():
        found[f"markets.{symbol}.depth"] = format_exact_stablecoin(market.depth)
    return found | dict(_iter_book(scenario, seed))


def list_study_assumptions(scenario: Scenario, seed: int, engine: str, paths: int) -> dict[str, str]:
    """Return the assumptions of a study: the scenario's, and seed, engine and number of paths."""
    how = {"study.seed": str(seed), "study.engine": engine, "study.paths": str(paths)}
    return list_assumptions(scenario, seed) | how


def list_stress_options(
    levels: Iterable[int], contract_paths: int, driver_paths: int, shift_percent: int | None = None
) -> dict[str, str]:
    """Return the further options of a stress study by name.

    `levels` are in basis points. `contract_paths` and `driver_paths` are numbers of paths, and
    `shift_percent` is the shift of prices.
    """
    return {
        "study.levels": ", ".join(f"{level / 100:g}%" for level in levels),
        "study.paths_on_the_contracts": str(contract_paths),
        "study.shift": "none" if shift_percent is None else f"{shift_percent}%",
        "study.paths_of_drivers": str(driver_paths),
    }


def _iter_book(scenario: Scenario, seed: int) -> Iterator[tuple[str, str]]:
    """Yield the totals of the vaults by type, and a hash of the vaults."""
    vaults = build_vault_book(scenario, seed, scenario.first_prices)
    for symbol in scenario.symbols:
        own = [vault for vault in vaults if vault.symbol == symbol]
        yield f"vault_book.{symbol}.vaults", str(len(own))
        yield f"vault_book.{symbol}.debt", format_exact_stablecoin(sum(vault.debt for vault in own))
        locked = format_decimal(sum(vault.locked for vault in own), WAD)
        yield f"vault_book.{symbol}.collateral", f"{locked} {symbol}"
        yield f"vault_book.{symbol}.content", hash_value_repr(own)
    for symbol, book in scenario.generated.items():
        yield from _iter_record(f"vault_book.generated.{symbol}.", book)


def _iter_record(before: str, record: Any) -> Iterator[tuple[str, str]]:
    """Yield (dotted path, value) for the fields of a record and of the records inside it.

    `before` is the prefix of the paths.
    """
    if isinstance(record, tuple):
        names: Iterable[str] = type(record)._fields  # type: ignore[attr-defined]
    else:
        names = (field.name for field in dataclasses.fields(record))
    kind = type(record).__name__
    left_out = LEFT_OUT.get(kind, "").split()
    if isinstance(record, KeeperGroup):
        left_out = _list_idle_options(record)
    for name in names:
        if name in left_out:
            continue
        unit = get_unit(kind, name) or ""
        if kind == "FeedFault" and name == "by":
            unit = "s" if record.kind == "delayed" else "bps"
        yield from _iter_value(f"{before}{name}", getattr(record, name), unit)


def _list_idle_options(group: KeeperGroup) -> list[str]:
    """Return the options that the group's role does not use and that keep their default."""
    used = {*OF_EVERY_ROLE, *get_role_options(group.role)}
    return [
        field.name
        for field in dataclasses.fields(group)
        if field.name not in used and getattr(group, field.name) == field.default
    ]


def _iter_value(name: str, value: Any, unit: str) -> Iterator[tuple[str, str]]:
    if dataclasses.is_dataclass(value) or hasattr(value, "_fields"):
        if hasattr(value, "times") and hasattr(value, "values"):
            value = dict(zip(value.times, value.values, strict=True))
        else:
            yield from _iter_record(f"{name}.", value)
            return
    if isinstance(value, Mapping):
        yield from _iter_entries(name, [(_name_key(key), each) for key, each in value.items()], unit)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield from _iter_entries(name, [(_name_entry(i, each), each) for i, each in enumerate(value)], unit)
    else:
        yield name, _format_value(value, unit)


def _iter_entries(name: str, entries: Sequence[tuple[str, Any]], unit: str) -> Iterator[tuple[str, str]]:
    is_record = bool(entries) and dataclasses.is_dataclass(entries[0][1])
    if not entries:
        yield name, NONE
    elif len(entries) > (MOST_RECORDS if is_record else MOST_ENTRIES):
        yield name, f"{len(entries)} entries, {hash_value_repr(entries)}"
    else:
        if is_record:  # their order counts, as that of the waterfall's stages
            yield name, ", ".join(key for key, _ in entries)
        for key, each in entries:
            yield from _iter_value(f"{name}.{key}", each, unit)


def _name_key(key: Any) -> str:
    """Return the name of a mapping's entry: `ETH/WBTC` for a pair, `300 s` for a time, else the key."""
    if isinstance(key, tuple):
        return "/".join(map(str, key))
    return f"{key} s" if isinstance(key, int) else str(key)


def _name_entry(place: int, entry: Any) -> str:
    """Return the name of a list's entry: its symbol or name, or else its number from 1."""
    own = getattr(entry, "symbol", None) or getattr(entry, "name", None)
    return str(own or place + 1)


def _format_value(value: Any, unit: str) -> str:
    """Return a value as exact text in a unit that people use."""
    if value is None or value == "":
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int):
        return str(value)
    if unit == "wad":
        return format_exact_stablecoin(value)
    if unit == "ray":
        return format_exact_usd_price(value)
    if unit == "factor":
        return f"{format_decimal(value, RAY)} x"
    if unit == "rad":
        return format_exact_stablecoin(value // RAY)
    if unit == "wad of the asset":
        return format_decimal(value, WAD)
    if unit == "curve":
        return next(name for name, number in CURVES.items() if number == value)
    if unit == "fee":
        yearly = ((rpow(RAY + value, _YEAR) - RAY) * 100 + 5 * 10**20) // 10**21  # to the nearest
        return f"{value} ray a second ({format_decimal(yearly, 10**6)}% a year)"
    if unit.startswith("bps"):
        return f"{_format_percent(value, 100)}{unit.removeprefix('bps')}"
    if unit.startswith("billionths"):
        return f"{_format_percent(value, 10**7)}{unit.removeprefix('billionths')}"
    return f"{value} {unit}".rstrip()


def _format_percent(value: int, unit: int) -> str:
    return f"{'-' if value < 0 else ''}{format_decimal(abs(value), unit)}%"


# ------------------------------------------------------------------------ files


def write_assumptions(folder: Path, command: str, found: Mapping[str, str]) -> None:
    """Write the assumptions of a command's study to assumptions.json in its folder, sorted by name."""
    content = {"schema_version": SCHEMA_VERSION, "command": command, "assumptions": dict(found)}
    write_files(folder, {FILE: json.dumps(content, indent=2, sort_keys=True) + "\n"})


def read_assumptions(folder: Path) -> dict[str, str]:
    """Read the assumptions from a study's folder or file.

    Raises BackstopError if the file is missing or invalid.
    """
    file = folder / FILE if folder.is_dir() else folder
    again = "run the command that made the folder once more, with --fresh"
    content = read_versioned_json(file, "record of assumptions", SCHEMA_VERSION, again, again)
    found = content.get("assumptions")
    if not isinstance(found, dict):
        raise BackstopError(f"{file} has no object `assumptions`: {again}")
    for name, value in found.items():
        if not isinstance(value, str):
            raise BackstopError(f"{file}: {name} is {value!r}, not a text: {again}")
    return found


def join_assumptions(lists: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Join the assumptions of several settings; values that differ are joined as `130% | 145%`."""
    found = {}
    for name in sorted({name for each in lists for name in each}):
        found[name] = " | ".join(dict.fromkeys(each.get(name, NONE) for each in lists))
    return found


def compare_assumptions(one: Mapping[str, str], other: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return (name, first value, second value) of each assumption that differs, sorted by name."""
    return [
        (name, one.get(name, NONE), other.get(name, NONE))
        for name in sorted({*one, *other})
        if one.get(name, NONE) != other.get(name, NONE)
    ]
