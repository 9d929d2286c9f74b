"""The reading of a scenario: from its file to a Scenario (docs/reference/scenarios.md)."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from backstop.simulation.scenario import quantity_units
from backstop.simulation.scenario.collateral_section import read_symbols
from backstop.simulation.scenario.draw_scenario import EQUITY
from backstop.simulation.scenario.keepers_section import check_bridges_match_facilitators, read_keepers
from backstop.simulation.scenario.liquidity_vault_section import (
    read_pool_market_maker_deposit,
    read_pool_members,
)
from backstop.simulation.scenario.margin_sections import read_initial_insurance, read_margin_book
from backstop.simulation.scenario.named_shocks import overlay_scenario_with_named_shocks
from backstop.simulation.scenario.opening_section import (
    read_accounts,
    read_assets,
    read_exported_state,
    read_member_deposits_by_pool,
    read_reserve,
    read_vault_book_and_prices,
)
from backstop.simulation.scenario.owners_section import read_owner_behavior
from backstop.simulation.scenario.parameter_misfit_refusal import (
    read_unsafe_rules,
    refuse_broken_rules,
    refuse_unbroken_unsafe_rules,
)
from backstop.simulation.scenario.parameters_section import read_parameters
from backstop.simulation.scenario.price_and_depth_sections import (
    build_type_price,
    read_market_depth,
    read_price_path,
    read_series,
    read_symbol_entries,
)
from backstop.simulation.scenario.scenario_library import read_unchecked_scenario_fields
from backstop.simulation.scenario.scenario_records import (
    DAY,
    LONGEST,
    MarginBook,
    Scenario,
    SourcedFact,
)
from backstop.simulation.scenario.stability_pool_section import read_stability_pool_members
from backstop.simulation.scenario.stochastic_sections import (
    read_feed_faults,
    read_pair_correlations,
    read_random_gas_spike_terms,
)
from backstop.simulation.scenario.vault_books import repair_scenario_vaults
from backstop.simulation.scenario.yaml_document_reader import Field, Section

SCHEMA_VERSION = 1

# What a comparison of guards calls its other runs.
RESERVED_TRIES = ("off", "all")

_REQUIRED = (
    "schema_version",
    "title",
    "description",
    "facts",
    "assumptions",
    "start",
    "duration",
    "block_time",
    "opened_before",
    "parameters",
    "prices",
    "gas_token",
    "vault_book",
    "markets",
    "members",
    "keepers",
    "congestion",
)

_OPTIONAL = (
    "equity_price",
    "feed_prices",
    "tries",
    "opening",
    "correlation",
    "feed_faults",
    "scarcity",
    "margin_book",
    "aftermath",
    "unsafe",
    "starting_balances",
    "assets",
    "owners",
)


def load_scenario(name_or_file: str | Path, *, fitting: bool = True) -> Scenario:
    """Load a scenario by its name in the library, or from a file.

    With `fitting`, raises BackstopError if parameters break a rule that `unsafe` does not list, or if they
    break no rule that it lists.
    """
    top, name = read_unchecked_scenario_fields(name_or_file)
    if not fitting:
        return _parse_scenario_sections(top, name)
    scenario = parse_scenario(top, name)
    if scenario.unsafe:
        refuse_unbroken_unsafe_rules(scenario, top.read_mapping_entries()["unsafe"].read_mapping_entries())
    return replace(scenario, source=str(name_or_file))


def parse_scenario(
    scenario_field: Field, name: str, *, drops_opening_state: bool = False, with_book: bool = True
) -> Scenario:
    """Parse a scenario's document and check that its parameters fit each other.

    `drops_opening_state` ignores an exported state with which the scenario opens. Without `with_book` the
    vaults of a book file are left out, for studies that replace them. Rules listed under `unsafe` may be
    unbroken here, since a study may change the document.
    """
    scenario = _parse_scenario_sections(
        scenario_field, name, drops_opening_state=drops_opening_state, with_book=with_book
    )
    refuse_broken_rules(scenario, scenario_field.read_mapping_entries()["parameters"])
    return scenario


def _parse_scenario_sections(
    scenario_field: Field, name: str, *, drops_opening_state: bool = False, with_book: bool = True
) -> Scenario:
    scenario_field = overlay_scenario_with_named_shocks(scenario_field)
    version = scenario_field.read_mapping_entries().get("schema_version")
    if version is not None and version.read_value(quantity_units.read_whole_number) != SCHEMA_VERSION:
        version.raise_error(f"is version {version.text}, this program reads {SCHEMA_VERSION}")
    section = scenario_field.read_section(_REQUIRED, _OPTIONAL)
    if "tries" in section:
        read_guard_variants(section["tries"])

    block_time = section["block_time"].read_bounded(quantity_units.read_seconds, 1, 3_600)
    duration = section["duration"].read_bounded(quantity_units.read_seconds, block_time, LONGEST)
    if duration % block_time:
        section["duration"].raise_error(f"{section['duration'].text!r} is not a whole number of blocks")
    start = section["start"].read_value(quantity_units.read_moment)
    if start % DAY and "opening" not in section:
        section["start"].raise_error("must be midnight UTC: the times of the file count from there")

    # The keys of the section are read before the section: keepers may name a collateral type.
    symbols = tuple(read_symbols(section["parameters"]))
    keepers = read_keepers(section["keepers"], duration, symbols)
    reporters = sum(group.count for group in keepers if group.role == "reporter")
    parameters = read_parameters(section["parameters"], section["markets"], reporters)
    if parameters.block_time not in (0, block_time):
        counted = section["parameters"].read_mapping_entries()["block_time"]
        counted.raise_error(
            f"{counted.text!r} is not the scenario's block_time, by which auctions would count blocks"
        )
    assets = read_assets(section["assets"], symbols) if "assets" in section else {}
    names = tuple(dict.fromkeys(name for each in assets.values() for name in each if name))
    prices = {
        name: read_price_path(entry, duration, block_time)
        for name, entry in read_symbol_entries(section["prices"], names or symbols).items()
    }
    asset_prices = prices if assets else {}
    if assets:
        prices = {symbol: build_type_price(each, asset_prices) for symbol, each in assets.items()}
    feed_prices = {}
    if "feed_prices" in section:
        for symbol, entry in section["feed_prices"].read_mapping_entries().items():
            if symbol not in symbols:
                entry.raise_error(f"{symbol!r} is not one of: {', '.join(symbols)}")
            feed_prices[symbol] = read_price_path(entry, duration, block_time)
            if feed_prices[symbol].model is not None:
                entry.raise_error(
                    "has no model of its own: say under `feed_faults` what goes wrong with a source"
                )
    check_bridges_match_facilitators(section["keepers"], keepers, parameters)
    if parameters.equity is not None and "equity_price" not in section:
        scenario_field.raise_error("'equity_price' is missing: the parameters have equity")
    if section["gas_token"].text not in symbols:
        section["gas_token"].raise_error(f"{section['gas_token'].text!r} is not one of: {', '.join(symbols)}")
    equity_price = None
    if "equity_price" in section:
        equity_price = read_price_path(section["equity_price"], duration, block_time)
    correlation = {}
    if "correlation" in section:
        known = (asset_prices or prices) | ({} if equity_price is None else {EQUITY: equity_price})
        correlation = read_pair_correlations(section["correlation"], known)
    book, generated, book_total, opened_at = read_vault_book_and_prices(section["vault_book"], symbols)
    markets = {
        symbol: read_market_depth(entry, block_time)
        for symbol, entry in read_symbol_entries(section["markets"], symbols).items()
    }
    congestion = section["congestion"].read_section(
        ("block_gas", "gas_prices", "protocol_share"), ("spikes",)
    )
    if "starting_balances" in section and "opening" in section and not drops_opening_state:
        section["starting_balances"].raise_error("is of a book that is opened, and `opening` is a state")
    opened_before = section["opened_before"].read_bounded(quantity_units.read_seconds, 2 * DAY, 365 * DAY)
    gas_prices, published_gas = read_series(congestion["gas_prices"], quantity_units.read_gas_price)
    share, _ = read_series(congestion["protocol_share"], quantity_units.read_basis_points)
    scenario = Scenario(
        name=name,
        title=_read_text_joined_into_one_line(section["title"]),
        description=_read_text_joined_into_one_line(section["description"]),
        facts=tuple(_read_sourced_fact(item) for item in section["facts"].read_items()),
        assumptions=tuple(
            _read_text_joined_into_one_line(item) for item in section["assumptions"].read_items()
        ),
        start=start,
        duration=duration,
        block_time=block_time,
        opened_before=opened_before,
        parameters=parameters,
        prices=prices,
        equity_price=equity_price,
        gas_token=section["gas_token"].text,
        vaults=(),
        generated=generated,
        markets=markets,
        members=read_member_deposits_by_pool(section["members"]),
        keepers=keepers,
        gas_prices=gas_prices,
        gas_share=share,
        block_gas=congestion["block_gas"].read_bounded(quantity_units.read_gas, 1_000_000, 10**10),
        published_gas=published_gas,
        feed_prices=feed_prices,
        opened_at=opened_at,
        opening=(
            read_exported_state(section["opening"], parameters, start)
            if "opening" in section and not drops_opening_state
            else None
        ),
        book_total=book_total,
        correlation=correlation,
        faults=read_feed_faults(section["feed_faults"], symbols) if "feed_faults" in section else {},
        spike=read_random_gas_spike_terms(congestion["spikes"]) if "spikes" in congestion else None,
        scarcity=section["scarcity"].read_bounded(quantity_units.read_basis_points, 0, 100_000)
        if "scarcity" in section
        else 0,
        assets=assets,
        asset_prices=asset_prices,
        has_accounts=read_accounts(section["vault_book"]),
        reserve=read_reserve(section["starting_balances"]) if "starting_balances" in section else 0,
        insurance=read_initial_insurance(section["parameters"].read_mapping_entries().get("margin")),
        pool_money=read_pool_market_maker_deposit(section["parameters"].read_mapping_entries().get("margin")),
        pool_members=read_pool_members(section["parameters"].read_mapping_entries().get("margin"), duration),
        stability_pool_members=read_stability_pool_members(
            section["parameters"],
            {each.symbol: each.stability_pool for each in parameters.collateral_types},
            opened_before,
            duration,
        ),
        margin_book=(
            read_margin_book(section["margin_book"], parameters.margin, duration)
            if "margin_book" in section
            else MarginBook()
        ),
        aftermath=section["aftermath"].read_bounded(quantity_units.read_seconds, 0, LONGEST)
        if "aftermath" in section
        else 0,
        owners=read_owner_behavior(section["owners"], block_time) if "owners" in section else None,
        unsafe=read_unsafe_rules(section["unsafe"]) if "unsafe" in section else {},
    )
    if book is None or scenario.opening is not None or not with_book:
        return scenario
    return repair_scenario_vaults(scenario, book)


def read_guard_variants(field: Field) -> dict[str, Section]:
    """Read the section `tries`: guards that a comparison turns on, each with its changes."""
    found = {}
    for name, entry in field.read_mapping_entries().items():
        if re.fullmatch(r"[a-z][a-z0-9-]{0,30}", name) is None or name in RESERVED_TRIES:
            entry.raise_error(
                f"{name!r} is not a guard's name: small letters, digits and -, and not 'off' or 'all'"
            )
        found[name] = entry.read_section(("title",), ("parameters", "keepers", "unsafe"))
        _read_text_joined_into_one_line(found[name]["title"])
        if "parameters" not in found[name] and "keepers" not in found[name]:
            entry.raise_error("changes neither `parameters` nor `keepers`")
    if not found:
        field.raise_error("names no guard")
    return found


def _read_sourced_fact(field: Field) -> SourcedFact:
    section = field.read_section(("fact", "source"))
    return SourcedFact(
        _read_text_joined_into_one_line(section["fact"]), _read_text_joined_into_one_line(section["source"])
    )


def _read_text_joined_into_one_line(field: Field) -> str:
    """Read a text, joined to one line; an empty text is an error."""
    text = " ".join(field.text.split())
    if not text:
        field.raise_error("is empty")
    return text
