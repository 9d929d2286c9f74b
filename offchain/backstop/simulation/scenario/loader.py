"""The reading of a scenario: from its file to a Scenario. docs/do/scenarios.md describes every field."""

from __future__ import annotations

import re
from pathlib import Path

from backstop.simulation.scenario import units
from backstop.simulation.scenario.backstop import backstop_money_of, pool_members_of
from backstop.simulation.scenario.book import fitted
from backstop.simulation.scenario.chance import correlation_of, faults_of, spike_of
from backstop.simulation.scenario.collateral import symbols_of
from backstop.simulation.scenario.document import Field, Section
from backstop.simulation.scenario.drawn import EQUITY
from backstop.simulation.scenario.file import read_scenario
from backstop.simulation.scenario.fit import refuse_misfits, refuse_needless, unsafe_of
from backstop.simulation.scenario.keepers import check_domains, keepers_of
from backstop.simulation.scenario.margin import insurance_of, margin_book_of
from backstop.simulation.scenario.opening import members_of, opening_of, vault_book_of
from backstop.simulation.scenario.outside import by_symbol, market_of, price_path_of, series_of
from backstop.simulation.scenario.parameters import parameters_of
from backstop.simulation.scenario.schema import DAY, LONGEST, Fact, MarginBook, Scenario
from backstop.simulation.scenario.shocks import lay_over

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
)


def load_scenario(name_or_file: str | Path, *, fitting: bool = True) -> Scenario:
    """Load a scenario by its name in the library, or from a file.

    With `fitting` its parameters fit each other, but for what it says under `unsafe`, which they do break.
    """
    top, name = read_scenario(name_or_file)
    if not fitting:
        return _read(top, name)
    scenario = scenario_of(top, name)
    if scenario.unsafe:
        refuse_needless(scenario, top.entries()["unsafe"].entries())
    return scenario


def scenario_of(top: Field, name: str, *, anew: bool = False) -> Scenario:
    """Read a scenario out of its file, checked; `anew` leaves out a state that it opens with.

    What a study makes of a file may mend what that breaks on purpose: only `load_scenario` insists on it.
    """
    scenario = _read(top, name, anew=anew)
    refuse_misfits(scenario, top.entries()["parameters"])
    return scenario


def _read(top: Field, name: str, *, anew: bool = False) -> Scenario:
    top = lay_over(top)
    version = top.entries().get("schema_version")
    if version is not None and version.read(units.count) != SCHEMA_VERSION:
        version.fail(f"is version {version.text}, this program reads {SCHEMA_VERSION}")
    section = top.section(_REQUIRED, _OPTIONAL)
    if "tries" in section:
        tries_of(section["tries"])

    block_time = section["block_time"].between(units.seconds, 1, 3_600)
    duration = section["duration"].between(units.seconds, block_time, LONGEST)
    if duration % block_time:
        section["duration"].fail(f"{section['duration'].text!r} is not a whole number of blocks")
    start = section["start"].read(units.moment)
    if start % DAY and "opening" not in section:
        section["start"].fail("must be midnight UTC: the times of the file count from there")

    # The keys of the section are read before the section: keepers may name a collateral type.
    symbols = tuple(symbols_of(section["parameters"]))
    keepers = keepers_of(section["keepers"], duration, symbols)
    reporters = sum(group.count for group in keepers if group.role == "reporter")
    parameters = parameters_of(section["parameters"], section["markets"], reporters)
    if parameters.block_time not in (0, block_time):
        counted = section["parameters"].entries()["block_time"]
        counted.fail(
            f"{counted.text!r} is not the scenario's block_time, by which auctions would count blocks"
        )
    prices = {
        symbol: price_path_of(entry, duration, block_time)
        for symbol, entry in by_symbol(section["prices"], symbols).items()
    }
    feed_prices = {}
    if "feed_prices" in section:
        for symbol, entry in section["feed_prices"].entries().items():
            if symbol not in symbols:
                entry.fail(f"{symbol!r} is not one of: {', '.join(symbols)}")
            feed_prices[symbol] = price_path_of(entry, duration, block_time)
            if feed_prices[symbol].model is not None:
                entry.fail("has no model of its own: say under `feed_faults` what goes wrong with a source")
    check_domains(section["keepers"], keepers, parameters)
    if parameters.equity is not None and "equity_price" not in section:
        top.fail("'equity_price' is missing: the parameters have equity")
    if section["gas_token"].text not in symbols:
        section["gas_token"].fail(f"{section['gas_token'].text!r} is not one of: {', '.join(symbols)}")
    equity_price = None
    if "equity_price" in section:
        equity_price = price_path_of(section["equity_price"], duration, block_time)
    correlation = {}
    if "correlation" in section:
        known = prices if equity_price is None else prices | {EQUITY: equity_price}
        correlation = correlation_of(section["correlation"], known)
    book, generated, book_total, opened_at = vault_book_of(section["vault_book"], symbols)
    markets = {
        symbol: market_of(entry, block_time)
        for symbol, entry in by_symbol(section["markets"], symbols).items()
    }
    congestion = section["congestion"].section(("block_gas", "gas_prices", "protocol_share"), ("spikes",))
    gas_prices, published_gas = series_of(congestion["gas_prices"], units.gas_price)
    share, _ = series_of(congestion["protocol_share"], units.basis_points)
    scenario = Scenario(
        name=name,
        title=_line(section["title"]),
        description=_line(section["description"]),
        facts=tuple(_fact(item) for item in section["facts"].items()),
        assumptions=tuple(_line(item) for item in section["assumptions"].items()),
        start=start,
        duration=duration,
        block_time=block_time,
        opened_before=section["opened_before"].between(units.seconds, 2 * DAY, 365 * DAY),
        parameters=parameters,
        prices=prices,
        equity_price=equity_price,
        gas_token=section["gas_token"].text,
        vaults=(),
        generated=generated,
        markets=markets,
        members=members_of(section["members"]),
        keepers=keepers,
        gas_prices=gas_prices,
        gas_share=share,
        block_gas=congestion["block_gas"].between(units.gas, 1_000_000, 10**10),
        published_gas=published_gas,
        feed_prices=feed_prices,
        opened_at=opened_at,
        opening=(
            opening_of(section["opening"], parameters, start) if "opening" in section and not anew else None
        ),
        book_total=book_total,
        correlation=correlation,
        faults=faults_of(section["feed_faults"], symbols) if "feed_faults" in section else {},
        spike=spike_of(congestion["spikes"]) if "spikes" in congestion else None,
        scarcity=section["scarcity"].between(units.basis_points, 0, 100_000) if "scarcity" in section else 0,
        insurance=insurance_of(section["parameters"].entries().get("margin")),
        pool_money=backstop_money_of(section["parameters"].entries().get("margin")),
        pool_members=pool_members_of(section["parameters"].entries().get("margin"), duration),
        margin_book=(
            margin_book_of(section["margin_book"], parameters.margin, duration)
            if "margin_book" in section
            else MarginBook()
        ),
        aftermath=section["aftermath"].between(units.seconds, 0, LONGEST) if "aftermath" in section else 0,
        unsafe=unsafe_of(section["unsafe"]) if "unsafe" in section else {},
    )
    return scenario if book is None or scenario.opening is not None else fitted(scenario, book)


def tries_of(field: Field) -> dict[str, Section]:
    """Read the guards that a comparison turns on, one by one: each with what it changes of the file."""
    found = {}
    for name, entry in field.entries().items():
        if re.fullmatch(r"[a-z][a-z0-9-]{0,30}", name) is None or name in RESERVED_TRIES:
            entry.fail(f"{name!r} is not a guard's name: small letters, digits and -, and not 'off' or 'all'")
        found[name] = entry.section(("title",), ("parameters", "keepers", "unsafe"))
        _line(found[name]["title"])
        if "parameters" not in found[name] and "keepers" not in found[name]:
            entry.fail("changes neither `parameters` nor `keepers`")
    if not found:
        field.fail("names no guard")
    return found


def _fact(field: Field) -> Fact:
    section = field.section(("fact", "source"))
    return Fact(_line(section["fact"]), _line(section["source"]))


def _line(field: Field) -> str:
    """Read text, joined to one line."""
    text = " ".join(field.text.split())
    if not text:
        field.fail("is empty")
    return text
