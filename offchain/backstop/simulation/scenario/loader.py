"""From a scenario file to a Scenario. docs/do/scenarios.md describes every field."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from backstop.deployment import (
    EXPONENTIAL,
    LINEAR,
    POOLS,
    STAGES,
    STAIRSTEP,
    AuctionParameters,
    AutoCeilingParameters,
    BreakerParameters,
    CollateralParameters,
    DomainParameters,
    EquityParameters,
    FeedParameters,
    GuardsParameters,
    MarketParameters,
    Parameters,
    PolicyParameters,
    PoolParameters,
    SettlementParameters,
    StageParameters,
    TreasuryParameters,
    WorkoutParameters,
    parameters_from_json,
)
from backstop.errors import BackstopError, refuse_url
from backstop.files import read_json
from backstop.hosts.words import State
from backstop.keepers.group import (
    MOVES,
    OF_COLLATERAL,
    ROLES,
    GasPolicy,
    KeeperGroup,
    Move,
    Order,
    Outage,
    Series,
)
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, RAY
from backstop.model.risk_policy import CAUTION, EMERGENCY
from backstop.simulation.scenario import units
from backstop.simulation.scenario.book import read_book
from backstop.simulation.scenario.chance import correlation_of, fails_of, faults_of, model_of, spike_of
from backstop.simulation.scenario.document import Field, Section, merge, read_document, without_nulls
from backstop.simulation.scenario.drawn import EQUITY
from backstop.simulation.scenario.margin import brackets_of, insurance_of, margin_book_of, margin_of
from backstop.simulation.scenario.schema import (
    BLOCK_GAS,
    Fact,
    GeneratedBook,
    MarginBook,
    MarketDepth,
    Opening,
    PricePath,
    Scenario,
    Vault,
)
from backstop.simulation.scenario.shocks import lay_over

SCHEMA_VERSION = 1
OPENING_VERSION = 1
LIBRARY = Path(__file__).parent / "library"
CURVES = {"linear": LINEAR, "stairstep": STAIRSTEP, "exponential": EXPONENTIAL}
# The scripted stage is for tests of the contracts.
_STAGES = tuple(name for name in STAGES if name != "scripted")
_OF_EQUITY = ("staked_equity", "minted_equity")
MODES = {"caution": CAUTION, "emergency": EMERGENCY}
# Parts of a deployment that are left out unless they have their section.
_PARTS = ("guards", "domains", "margin")
# Sections that mean something by their order.
ORDERS = ("parameters.waterfall",)
# Sections with an entry for each collateral type, or pair of these, of which a file may take types out.
_BY_SYMBOL = (
    *("prices", "feed_prices", "feed_faults", "correlation", "markets"),
    *("vault_book.generated", "vault_book.opened_at", "margin_book.pairs"),
    *("parameters.guards.ceilings", "parameters.guards.workouts", "parameters.margin.markets"),
)
LONGEST = 31 * 86_400
DAY = 86_400

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
)


def scenario_names() -> list[str]:
    """The scenarios that come with the package."""
    return sorted(path.stem for path in LIBRARY.glob("*.yaml"))


def load_scenario(name_or_file: str | Path) -> Scenario:
    """A scenario by its name in the library, or from a file."""
    return scenario_of(*read_scenario(name_or_file))


def read_scenario(name_or_file: str | Path) -> tuple[Field, str]:
    """The file of a scenario together with what it extends, not checked yet, and the scenario's name."""
    path = _find(str(name_or_file))
    return _read(path), path.stem


def _find(name: str, beside: Path | None = None) -> Path:
    refuse_url(name, _no_scenario)
    path = Path(name) if beside is None else beside / name
    listed = LIBRARY / f"{name}.yaml"
    if path.suffix not in (".yaml", ".yml") and "/" not in name and listed.is_file():
        return listed
    if path.is_dir():
        _no_scenario(f"{name!r} is a directory: give a .yaml file in it")
    if path.suffix in (".yaml", ".yml"):
        if path.is_file():
            return path
        _no_scenario(f"there is no scenario file {path}")
    if path.is_file():
        _no_scenario(f"{name!r} is no scenario file: its name has to end in .yaml or .yml")
    _no_scenario(
        f"there is no scenario {name!r}; there are {', '.join(scenario_names())}, or give a .yaml file"
    )


def _no_scenario(problem: str) -> NoReturn:
    raise BackstopError(problem)


def _read(path: Path) -> Field:
    """A file together with what it extends."""
    documents = [read_document(path)]
    seen = {path.resolve()}
    while (base := documents[-1].entries().pop("extends", None)) is not None and not base.null:
        try:
            parent = _find(base.text, base.file.parent if base.text.endswith((".yaml", ".yml")) else None)
        except BackstopError as error:
            base.fail(str(error))
        if parent.resolve() in seen:
            base.fail(f"{base.text!r} extends this file in turn")
        seen.add(parent.resolve())
        documents.append(read_document(parent))
    # From the base on, so that every file finds whole what it changes.
    whole = documents.pop()
    for document in reversed(documents):
        whole = _without_types(merge(whole, document, ORDERS), document)
    return without_nulls(whole, keep=("tries",))


def _without_types(whole: Field, change: Field) -> Field:
    """The file without what it says of collateral types that a change removes, but what the change says."""
    types = _at(change, "parameters.collateral_types")
    gone = {symbol for symbol, entry in types.items() if entry.null}
    for place in _BY_SYMBOL if gone else ():
        entries, said = _at(whole, place), _at(change, place)
        for name in set(entries) - set(said):
            if name in gone or (place == "correlation" and gone & set(name.split("/"))):
                del entries[name]
    return whole


def _at(document: Field, path: str) -> dict[str, Field]:
    """The entries of a section; none if there is no such section."""
    for name in path.split("."):
        if not isinstance(document.value, dict) or name not in document.value:
            return {}
        document = document.value[name]
    return document.value if isinstance(document.value, dict) else {}


def scenario_of(top: Field, name: str, *, anew: bool = False) -> Scenario:
    """A scenario out of its file, checked; `anew` leaves out a state that it opens with."""
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
    symbols = tuple(_symbols(section["parameters"]))
    keepers = _keepers(section["keepers"], duration, symbols)
    reporters = sum(group.count for group in keepers if group.role == "reporter")
    parameters = _parameters(section["parameters"], section["markets"], reporters)
    prices = {
        symbol: _price_path(entry, duration, block_time)
        for symbol, entry in _by_symbol(section["prices"], symbols).items()
    }
    feed_prices = {}
    if "feed_prices" in section:
        for symbol, entry in section["feed_prices"].entries().items():
            if symbol not in symbols:
                entry.fail(f"{symbol!r} is not one of: {', '.join(symbols)}")
            feed_prices[symbol] = _price_path(entry, duration, block_time)
            if feed_prices[symbol].model is not None:
                entry.fail("has no model of its own: say under `feed_faults` what goes wrong with a source")
    _check_domains(section["keepers"], keepers, parameters)
    if parameters.equity is not None and "equity_price" not in section:
        top.fail("'equity_price' is missing: the parameters have equity")
    if section["gas_token"].text not in symbols:
        section["gas_token"].fail(f"{section['gas_token'].text!r} is not one of: {', '.join(symbols)}")
    equity_price = None
    if "equity_price" in section:
        equity_price = _price_path(section["equity_price"], duration, block_time)
    correlation = {}
    if "correlation" in section:
        known = prices if equity_price is None else prices | {EQUITY: equity_price}
        correlation = correlation_of(section["correlation"], known)
    vaults, generated, book_total, opened_at = _vault_book(section["vault_book"], symbols)
    markets = {
        symbol: _market(entry, block_time)
        for symbol, entry in _by_symbol(section["markets"], symbols).items()
    }
    congestion = section["congestion"].section(("block_gas", "gas_prices", "protocol_share"), ("spikes",))
    gas_prices, published_gas = _series(congestion["gas_prices"], units.gas_price)
    share, _ = _series(congestion["protocol_share"], units.basis_points)
    return Scenario(
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
        vaults=vaults,
        generated=generated,
        markets=markets,
        members=_members(section["members"]),
        keepers=keepers,
        gas_prices=gas_prices,
        gas_share=share,
        block_gas=congestion["block_gas"].between(units.gas, 1_000_000, 10**10),
        published_gas=published_gas,
        feed_prices=feed_prices,
        opened_at=opened_at,
        opening=(
            _opening(section["opening"], parameters, start) if "opening" in section and not anew else None
        ),
        book_total=book_total,
        correlation=correlation,
        faults=faults_of(section["feed_faults"], symbols) if "feed_faults" in section else {},
        spike=spike_of(congestion["spikes"]) if "spikes" in congestion else None,
        scarcity=section["scarcity"].between(units.basis_points, 0, 100_000) if "scarcity" in section else 0,
        insurance=insurance_of(section["parameters"].entries().get("margin")),
        margin_book=(
            margin_book_of(section["margin_book"], parameters.margin, duration)
            if "margin_book" in section
            else MarginBook()
        ),
        aftermath=section["aftermath"].between(units.seconds, 0, LONGEST) if "aftermath" in section else 0,
    )


def _opening(field: Field, parameters: Parameters, start: int) -> Opening:
    """The state that a live deployment had; it belongs to these very parameters."""
    file = field.section(("file",))["file"]
    path = file.beside()
    mend = "take out `opening` to open the vault book anew"
    try:
        content = read_json(path, "state", OPENING_VERSION, "export it again", "export it again")
        of = parameters_from_json(content["parameters"])
        timestamp, words = content["timestamp"], content["words"]
    except BackstopError as error:
        file.fail(str(error))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        file.fail(f"{file.text} is not a whole state ({error!r}): export it again")
    if of != parameters:
        field.fail(f"is a state of other parameters than these: {mend}")
    if timestamp != start:
        field.fail(f"is a state of another time than `start`: {mend}")
    return Opening(timestamp, State(words))


def _symbols(parameters: Field) -> list[str]:
    types = parameters.entries().get("collateral_types")
    found: dict[str, str] = {}
    for symbol, entry in ({} if types is None else types.entries()).items():
        if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,31}", symbol) is None:
            entry.fail(
                f"{symbol!r} is not a symbol: up to 32 letters, digits and . - _ +, a letter or digit first"
            )
        if symbol == EQUITY:
            entry.fail(f"{symbol!r} is what the protocol's own equity is called: give another symbol")
        # Names of files and owners are made of symbols, and some file systems know no capitals.
        taken = found.setdefault(symbol.lower(), symbol)
        if taken != symbol:
            entry.fail(f"{symbol!r} and {taken!r} differ in capitals alone: give each type its own symbol")
    return list(found.values())


# ------------------------------------------------------------------- parameters


def _parameters(field: Field, markets: Field, reporters: int) -> Parameters:
    section = field.section(
        (
            "global_debt_ceiling",
            "global_auction_limit",
            "epoch_length",
            "waterfall",
            "collateral_types",
        ),
        (
            "cap_delay",
            "mark_discount",
            "pools",
            "equity",
            "treasury",
            "settlement",
            "guards",
            "domains",
            "margin",
        ),
    )
    types = section["collateral_types"].entries()
    if not 1 <= len(types) <= bounds.MAX_COLLATERAL_TYPES:
        section["collateral_types"].fail(f"must have 1 to {bounds.MAX_COLLATERAL_TYPES} entries")
    fees = {
        symbol: entry.entries()["fee"].between(units.basis_points, 0, 9_999)
        for symbol, entry in markets.entries().items()
        if isinstance(entry.value, dict) and "fee" in entry.value
    }
    waterfall = section["waterfall"].section((), _STAGES)
    if not section["waterfall"].entries():
        section["waterfall"].fail("needs at least one stage")
    optional: dict[str, Any] = {"equity": None}
    if "cap_delay" in section:
        optional["cap_delay"] = section["cap_delay"].between(units.seconds, 1, bounds.MAX_CAP_DELAY)
    if "equity" in section:
        optional["equity"] = _equity(section["equity"], reporters)
    for name in waterfall:
        if name in _OF_EQUITY and "equity" not in section:
            waterfall[name].fail("needs the section parameters.equity")
    if "treasury" in section:
        optional["treasury"] = _treasury(section["treasury"], "equity" in section)
    if "settlement" in section:
        optional["settlement"] = _settlement(section["settlement"])
    if "pools" in section:
        cap_delay = optional.get("cap_delay", Parameters.cap_delay)
        optional |= _pools(section["pools"], cap_delay, "equity" in section)
    if "mark_discount" in section:
        optional["mark_discount"] = section["mark_discount"].between(
            units.basis_points, 0, bounds.MAX_MARK_DISCOUNT
        )
    listed = tuple(
        _collateral(symbol, entry, fees.get(symbol, 0), reporters) for symbol, entry in types.items()
    )
    if "domains" in section:
        optional["domains"] = _domains(section["domains"], len(types))
    if "margin" in section:
        domains = [domain.name for domain in optional.get("domains", ())]
        optional["margin"] = margin_of(section["margin"], tuple(types), domains, "equity" in section)
    if "guards" in section:
        optional["guards"] = _guards(section["guards"], tuple(types))
    elif any(domain.flow_cap for domain in optional.get("domains", ())) or any(
        each.policy != PolicyParameters() for each in listed
    ):
        optional["guards"] = GuardsParameters()
    return Parameters(
        collateral_types=listed,
        global_debt_ceiling=section["global_debt_ceiling"].between(
            units.whole_stablecoin, 0, bounds.MAX_GLOBAL_DEBT_CEILING
        ),
        global_auction_limit=section["global_auction_limit"].between(
            units.whole_stablecoin, 0, bounds.MAX_GLOBAL_DEBT_CEILING
        ),
        epoch_length=section["epoch_length"].between(units.seconds, bounds.MIN_EPOCH, bounds.MAX_EPOCH),
        stages=tuple(_stage(name, waterfall[name]) for name in waterfall),
        **optional,
    )


def _pools(field: Field, cap_delay: int, has_treasury: bool) -> dict[str, PoolParameters]:
    section = field.section((), tuple(POOLS))
    pools = {name: _pool(section[name], name, cap_delay, has_treasury) for name in section}
    if sum(pool.income_share for pool in pools.values()) > BASIS_POINTS:
        field.fail("have more than 100% of income_share together")
    return pools


def _pool(field: Field, name: str, cap_delay: int, has_treasury: bool) -> PoolParameters:
    section = field.section(("cooldown", "window"), ("vesting", "income_share"))
    # Members can leave before new caps count.
    most = min(bounds.MAX_COOLDOWN, cap_delay - 1)
    cooldown = section["cooldown"].between(units.seconds, 0, most)
    least, most = (bounds.MIN_EXIT_WINDOW, bounds.MAX_EXIT_WINDOW) if cooldown else (0, 0)
    optional = {}
    if "vesting" in section:
        optional["vesting"] = section["vesting"].between(
            units.seconds, bounds.MIN_VESTING, bounds.MAX_VESTING
        )
    if "income_share" in section:
        share = section["income_share"]
        if name == "staked_equity":
            share.fail("income is stablecoin, and this pool holds equity")
        if not has_treasury:
            share.fail("needs the section parameters.equity: without it no treasury is deployed")
        optional["income_share"] = share.between(units.basis_points, 0, BASIS_POINTS)
    return PoolParameters(cooldown, section["window"].between(units.seconds, least, most), **optional)


def _treasury(field: Field, has_equity: bool) -> TreasuryParameters:
    if not has_equity:
        field.fail("needs the section parameters.equity: without it no treasury is deployed")
    target = field.section(("target",))["target"]
    return TreasuryParameters(target.between(units.whole_stablecoin, 0, bounds.MAX_GLOBAL_DEBT_CEILING))


def _settlement(field: Field) -> SettlementParameters:
    section = field.section(("delay", "bound", "epochs"))
    return SettlementParameters(
        delay=section["delay"].between(
            units.seconds, bounds.MIN_SETTLEMENT_DELAY, bounds.MAX_SETTLEMENT_DELAY
        ),
        bound=section["bound"].between(units.whole_stablecoin, 0, bounds.MAX_GLOBAL_DEBT_CEILING),
        epochs=section["epochs"].between(units.count, 1, bounds.MAX_SETTLEMENT_EPOCHS),
    )


def _equity(field: Field, reporters: int) -> EquityParameters:
    section = field.section(
        ("supply", "mint_cap", "buf", "floor", "duration", "surplus_lot", "feed"), ("conversion_price",)
    )
    conversion = section.get("conversion_price")
    return EquityParameters(
        supply=section["supply"].between(units.whole_equity, 0, bounds.MAX_EQUITY_SUPPLY),
        mint_cap=section["mint_cap"].between(units.whole_equity, 0, bounds.MAX_MINT_CAP),
        buf=section["buf"].between(units.basis_points, bounds.MIN_BUF, bounds.MAX_BUF),
        floor=section["floor"].between(units.basis_points, bounds.MIN_FLOOR, bounds.MAX_FLOOR),
        duration=section["duration"].between(units.seconds, bounds.MIN_DURATION, bounds.MAX_DURATION),
        surplus_lot=section["surplus_lot"].between(units.whole_stablecoin, 1, bounds.MAX_SURPLUS_LOT),
        conversion_price=(0 if conversion is None else conversion.between(units.price, 1, bounds.MAX_PRICE)),
        feed=_feed(section["feed"], reporters),
    )


def _stage(name: str, field: Field) -> StageParameters:
    section = field.section(("share",), ("amount",))
    amount = section.get("amount")
    return StageParameters(
        name,
        cap_absolute=None if amount is None else amount.between(units.stablecoin, 0, 10**30) * RAY,
        cap_bps=section["share"].between(units.basis_points, 0, 10_000),
    )


def _collateral(symbol: str, field: Field, market_fee: int, reporters: int) -> CollateralParameters:
    section = field.section(
        (
            "decimals",
            "debt_ceiling",
            "debt_floor",
            "liquidation_ratio",
            "initial_ratio",
            "stability_fee",
            "buffer_share",
            "auction_limit",
            "auction",
            "feed",
        ),
        ("token", "redistribution_cap", "policy"),
    )
    ceiling = section["debt_ceiling"]
    limit = section["auction_limit"]
    ratio = section["liquidation_ratio"].between(units.basis_points, bounds.MIN_RATIO, bounds.MAX_RATIO)
    initial = section["initial_ratio"].between(units.basis_points, ratio, bounds.MAX_RATIO)
    token, passed_on = section.get("token"), section.get("redistribution_cap")
    policy = PolicyParameters()
    if "policy" in section:
        policy = _policy(section["policy"], ratio, initial)
    return CollateralParameters(
        symbol=symbol,
        decimals=section["decimals"].between(units.count, 0, 18),
        debt_ceiling=ceiling.between(units.whole_stablecoin, 0, bounds.MAX_DEBT_CEILING),
        debt_floor=section["debt_floor"].between(units.whole_stablecoin, 0, bounds.MAX_DEBT_FLOOR),
        liquidation_ratio=ratio,
        initial_ratio=initial,
        stability_fee=section["stability_fee"].between(units.yearly_rate, 0, bounds.MAX_STABILITY_FEE),
        buffer_share=section["buffer_share"].between(units.basis_points, 0, bounds.MAX_BUFFER_SHARE),
        auction_limit=limit.between(units.whole_stablecoin, 0, bounds.MAX_DEBT_CEILING),
        redistribution_cap=500 if passed_on is None else passed_on.between(units.basis_points, 0, 10_000),
        token="Token" if token is None else token.choice(("Token", "SilentToken", "FalseToken")),
        auction=_auction(section["auction"]),
        feed=_feed(section["feed"], reporters),
        market=MarketParameters(market_fee),
        policy=policy,
    )


# ------------------------------------------------------------------------ guards


def _policy(field: Field, ratio: int, initial: int) -> PolicyParameters:
    """What new risk of a type has to meet; calls lie between its two ratios."""
    section = field.section((), ("of_vaults", "of_type", "flow", "growth", "fee", "calls"))
    found: dict[str, Any] = {}
    for name in ("of_vaults", "of_type"):
        if name in section:
            found[name] = brackets_of(section[name], bounds.MAX_ADD_ON)
    if "flow" in section:
        found |= _flow(section["flow"])
    if "growth" in section:
        growth = section["growth"].section(("anchor", "rate"))
        found["growth_anchor"] = growth["anchor"].between(units.price, 1, bounds.MAX_PRICE)
        found["growth"] = growth["rate"].between(units.yearly_basis_points, 0, bounds.MAX_GROWTH)
    if "fee" in section:
        found |= _fee_curve(section["fee"])
    if "calls" in section:
        calls = section["calls"].section(("ratio",), ("grace", "valid"))
        found["call_ratio"] = calls["ratio"].between(units.basis_points, ratio, initial)
        for name in ("grace", "valid"):
            if name in calls:
                found[f"call_{name}"] = calls[name].between(
                    units.seconds, bounds.MIN_CALL_TIME, bounds.MAX_CALL_TIME
                )
    return PolicyParameters(**found)


def _fee_curve(field: Field) -> dict[str, Any]:
    """The file gives the fee at three points, the protocol keeps slopes."""
    section = field.section(("idle", "at_kink", "full", "kink", "line"), ("speed",))
    idle = section["idle"].between(units.yearly_basis_points, 0, 2**14 - 1)
    at_kink = section["at_kink"].between(units.yearly_basis_points, idle, idle + 2**14 - 1)
    full = section["full"].between(units.yearly_basis_points, at_kink, bounds.MAX_CURVE)
    kink = section["kink"].between(units.basis_points, 1, BASIS_POINTS - 1)
    speed = section.get("speed")
    return {
        "curve": (idle, at_kink - idle, full - at_kink, kink),
        "line": section["line"].between(units.whole_stablecoin, 1, bounds.MAX_DEBT_CEILING),
        "speed": 0 if speed is None else speed.between(units.count, 0, bounds.MAX_FEE_SPEED),
    }


def _guards(field: Field, symbols: tuple[str, ...]) -> GuardsParameters:
    section = field.section((), ("ceilings", "breaker", "workouts", "caution_margin", "emergency_factor"))
    found: dict[str, Any] = {}
    if "ceilings" in section:
        found["ceilings"] = _ceilings(section["ceilings"], symbols)
    if "breaker" in section:
        found["breaker"] = _breaker(section["breaker"])
    if "workouts" in section:
        if "breaker" not in section:
            section["workouts"].fail("workouts need a `breaker`: vaults enter in caution")
        found["workouts"] = _workouts(section["workouts"], symbols)
    if "caution_margin" in section:
        found["caution_margin"] = section["caution_margin"].between(units.basis_points, 0, bounds.MAX_ADD_ON)
    if "emergency_factor" in section:
        found["emergency_factor"] = section["emergency_factor"].between(
            units.basis_points, bounds.MIN_LIMITS_FACTOR, bounds.MAX_LIMITS_FACTOR
        )
    return GuardsParameters(**found)


def _domains(field: Field, before: int) -> tuple[DomainParameters, ...]:
    """Bridges that draw here for somewhere else, by name; their types follow the others."""
    entries = field.entries()
    if before + len(entries) > bounds.MAX_COLLATERAL_TYPES:
        field.fail(f"are too many: there may be {bounds.MAX_COLLATERAL_TYPES} types, domains included")
    return tuple(_domain(name, entry) for name, entry in entries.items())


def _domain(name: str, field: Field) -> DomainParameters:
    if re.fullmatch(r"[A-Z][A-Za-z0-9]{1,11}", name) is None:
        field.fail(f"{name!r} is not a name: 2 to 12 letters and digits, a capital first")
    section = field.section(("line", "delay"), ("minter", "flow"))
    found: dict[str, Any] = {}
    if "minter" in section:
        found["minter"] = section["minter"].text
    if "flow" in section:
        found |= _flow(section["flow"])
    return DomainParameters(
        name=name,
        line=section["line"].between(units.whole_stablecoin, 0, bounds.MAX_DEBT_CEILING),
        delay=section["delay"].between(units.seconds, bounds.MIN_LOSS_DELAY, bounds.MAX_LOSS_DELAY),
        **found,
    )


def _flow(field: Field) -> dict[str, Any]:
    section = field.section(("cap", "window"))
    return {
        "flow_cap": section["cap"].between(units.whole_stablecoin, 1, bounds.MAX_DEBT_CEILING),
        "flow_window": section["window"].between(
            units.seconds, bounds.MIN_FLOW_WINDOW, bounds.MAX_FLOW_WINDOW
        ),
    }


def _ceilings(field: Field, symbols: tuple[str, ...]) -> tuple[AutoCeilingParameters, ...]:
    """By type up to the last that is named; a highest line of 0 leaves a type alone."""
    alone = AutoCeilingParameters(gap=1, max_line=0, ttl=bounds.MIN_CEILING_TTL)
    found = [alone] * len(symbols)
    for symbol, entry in field.entries().items():
        if symbol not in symbols:
            entry.fail(f"{symbol!r} is not one of: {', '.join(symbols)}")
        section = entry.section(("gap", "max_line", "ttl"))
        found[symbols.index(symbol)] = AutoCeilingParameters(
            gap=section["gap"].between(units.whole_stablecoin, 1, bounds.MAX_DEBT_CEILING),
            max_line=section["max_line"].between(units.whole_stablecoin, 1, bounds.MAX_DEBT_CEILING),
            ttl=section["ttl"].between(units.seconds, bounds.MIN_CEILING_TTL, bounds.MAX_CEILING_TTL),
        )
    while found and found[-1] == alone:
        found.pop()
    return tuple(found)


def _workouts(field: Field, symbols: tuple[str, ...]) -> tuple[WorkoutParameters, ...]:
    """By type up to the last that is named; a cap of 0 leaves a type without."""
    none = WorkoutParameters()
    found = [none] * len(symbols)
    readers: dict[str, tuple[Callable[[str], int], int, int]] = {
        "discount": (units.basis_points, 0, bounds.MAX_WORKOUT_DISCOUNT),
        "ratio": (units.basis_points, bounds.MIN_RATIO, bounds.MAX_RATIO),
        "premium": (units.basis_points, 0, bounds.MAX_PREMIUM),
        "instalments": (units.count, 1, bounds.MAX_INSTALMENTS),
        "interval": (units.seconds, bounds.MIN_INTERVAL, bounds.MAX_INTERVAL),
        "period": (units.seconds, 0, bounds.MAX_WORKOUT_PERIOD),
        "cap": (units.whole_stablecoin, 1, bounds.MAX_DEBT_CEILING),
    }
    for symbol, entry in field.entries().items():
        if symbol not in symbols:
            entry.fail(f"{symbol!r} is not one of: {', '.join(symbols)}")
        section = entry.section(("cap",), tuple(name for name in readers if name != "cap"))
        given = {name: section[name].between(*readers[name]) for name in readers if name in section}
        terms = WorkoutParameters(**given)
        highest = BASIS_POINTS * BASIS_POINTS // (BASIS_POINTS - terms.discount)
        if terms.ratio > highest:
            entry.fail(f"the ratio is above what entry asks for, {highest} basis points")
        found[symbols.index(symbol)] = terms
    while found and found[-1] == none:
        found.pop()
    return tuple(found)


def _breaker(field: Field) -> BreakerParameters:
    """A trigger that is not named is off, and so is a level of it that is not."""
    triggers: dict[str, tuple[Callable[[str], int], int]] = {
        "losses": (units.whole_stablecoin, bounds.MAX_GLOBAL_DEBT_CEILING),
        "fall": (units.basis_points, BASIS_POINTS),
        "silence": (units.seconds, bounds.MAX_SILENCE),
        "auctions": (units.basis_points, BASIS_POINTS),
    }
    section = field.section(("calm_period",), tuple(triggers))
    found = {}
    for name, (reader, most) in triggers.items():
        caution = emergency = 0
        if name in section:
            levels = section[name].section((), ("caution", "emergency"))
            if "caution" in levels:
                caution = levels["caution"].between(reader, 1, most)
            if "emergency" in levels:
                emergency = levels["emergency"].between(reader, max(1, caution), most)
        found[name] = (caution, emergency)
    calm = section["calm_period"].between(units.seconds, bounds.MIN_CALM_PERIOD, bounds.MAX_CALM_PERIOD)
    return BreakerParameters(calm_period=calm, **found)


def tries_of(field: Field) -> dict[str, Section]:
    """The guards that a comparison turns on, one by one: each with what it changes of the file."""
    found = {}
    for name, entry in field.entries().items():
        if re.fullmatch(r"[a-z][a-z0-9-]{0,30}", name) is None or name in RESERVED_TRIES:
            entry.fail(f"{name!r} is not a guard's name: small letters, digits and -, and not 'off' or 'all'")
        found[name] = entry.section(("title",), ("parameters", "keepers"))
        _line(found[name]["title"])
        if "parameters" not in found[name] and "keepers" not in found[name]:
            entry.fail("changes neither `parameters` nor `keepers`")
    if not found:
        field.fail("names no guard")
    return found


def _auction(field: Field) -> AuctionParameters:
    section = field.section(
        ("curve", "buf", "cusp", "tail", "penalty", "tip", "chip"), ("step", "cut", "length")
    )
    curve = section["curve"].choice(tuple(CURVES))
    needed = {"linear": ("length",), "stairstep": ("step", "cut"), "exponential": ("cut",)}[curve]
    for name in ("step", "cut", "length"):
        entry = section.get(name)
        if entry is None and name in needed:
            field.fail(f"{name!r} is missing: a {curve} curve needs it")
        if entry is not None and name not in needed:
            entry.fail(f"a {curve} curve has no {name!r}")
    period, cut = 1, RAY // 2
    for name in ("step", "length"):
        if name in section:
            period = section[name].between(units.seconds, bounds.MIN_PERIOD, bounds.MAX_PERIOD)
    if "cut" in section:
        cut = section["cut"].between(units.ray_ratio, bounds.MIN_CUT, bounds.MAX_CUT)
    return AuctionParameters(
        curve=CURVES[curve],
        period=period,
        cut=cut,
        tail=section["tail"].between(units.seconds, bounds.MIN_TAIL, bounds.MAX_TAIL),
        cusp=section["cusp"].between(units.basis_points, bounds.MIN_CUSP, bounds.MAX_CUSP),
        buf=section["buf"].between(units.basis_points, bounds.MIN_BUF, bounds.MAX_BUF),
        # The file gives what is added to the debt, the protocol keeps the factor.
        penalty=section["penalty"].between(units.basis_points, 0, bounds.MAX_PENALTY - 10_000) + 10_000,
        tip=section["tip"].between(units.whole_stablecoin, 0, bounds.MAX_TIP),
        chip=section["chip"].between(units.basis_points, 0, bounds.MAX_CHIP),
    )


def _feed(field: Field, reporters: int) -> FeedParameters:
    guards = {
        "deviation": (units.basis_points, 0, bounds.MAX_DEVIATION),
        "confirmations": (units.count, bounds.MIN_CONFIRMATIONS, bounds.MAX_CONFIRMATIONS),
        "grace": (units.seconds, 0, bounds.MAX_GRACE),
        "dead_after": (units.seconds, 0, bounds.MAX_DEAD_AFTER),
    }
    section = field.section(("quorum", "step", "max_age", "stale_after", "window"), tuple(guards))
    step = section["step"].between(units.seconds, bounds.MIN_STEP, bounds.MAX_STEP)
    return FeedParameters(
        reporters=reporters,
        quorum=section["quorum"].between(units.count, bounds.MIN_QUORUM, reporters),
        step=step,
        max_age=section["max_age"].between(units.seconds, 1, bounds.MAX_REPORT_AGE),
        stale_after=section["stale_after"].between(units.seconds, step, bounds.MAX_STALE_AFTER),
        window=section["window"].between(units.seconds, bounds.MIN_WINDOW, bounds.MAX_WINDOW),
        **{name: section[name].between(*limits) for name, limits in guards.items() if name in section},
    )


# ------------------------------------------------------------------- the world


def _by_symbol(field: Field, symbols: tuple[str, ...]) -> dict[str, Field]:
    """One entry for each collateral type, in their order."""
    section = field.section(symbols)
    return {symbol: section[symbol] for symbol in symbols}


def _series(field: Field, reader: Callable[[str], int]) -> tuple[Series, frozenset[int]]:
    """`published` and `assumed` entries of time: value; the published times."""
    values, published = _timed(field, reader)
    if min(values) != 0:
        field.fail("has no value for 00:00")
    times = sorted(values)
    return Series(tuple(times), tuple(values[time] for time in times)), published


def _timed(field: Field, reader: Callable[[str], int]) -> tuple[dict[int, int], frozenset[int]]:
    section = field.section((), ("published", "assumed", "volatility"))
    values: dict[int, int] = {}
    given: dict[int, Field] = {}
    published: set[int] = set()
    for label in ("published", "assumed"):
        for text, entry in section[label].entries().items() if label in section else ():
            try:
                time = units.clock(text)
            except ValueError as error:
                entry.fail(str(error))
            if time in values:
                first = given[time]
                where = f"{first.file.name}:{first.line}"
                under = first.path.split(".")[-2]
                entry.fail(f"this time is under `{under}` too ({where}): remove one, there with `null`")
            given[time] = entry
            values[time] = entry.read(reader)
            if label == "published":
                published.add(time)
    if not values:
        field.fail("needs `published` or `assumed` entries")
    return values, frozenset(published)


def _price_path(field: Field, duration: int, block_time: int) -> PricePath:
    if "model" in field.entries():
        for name in ("published", "assumed", "volatility"):
            if name in field.entries():
                field.either("model", name)
        return model_of(field.section(("model",))["model"], block_time)
    points, published = _timed(field, units.price)
    volatility = field.entries().get("volatility")
    if 0 not in points:
        field.fail("has no price at 00:00")
    if max(points) < duration:
        field.fail("has no price at the end of the scenario or after it")
    for time in points:
        if time % block_time:
            field.fail(f"has a price at {time} seconds, which is not a block's time")
    if volatility is None:
        field.fail("'volatility' is missing")
    return PricePath(points, published, volatility.between(units.basis_points, 0, 5_000))


def _vault_book(
    field: Field, symbols: tuple[str, ...]
) -> tuple[tuple[Vault, ...], dict[str, GeneratedBook], int, dict[str, int]]:
    """Vaults given one by one, those to be drawn by lot, the debt that all are scaled to (0 leaves it), and
    the prices of their opening if not the first."""
    section = field.section((), ("file", "generated", "total", "opened_at"))
    total = section["total"].between(units.stablecoin, 10**18, 10**28) if "total" in section else 0
    opened_at = {}
    if "opened_at" in section:
        prices = _by_symbol(section["opened_at"], symbols)
        opened_at = {
            symbol: entry.between(units.price, 1, bounds.MAX_PRICE) for symbol, entry in prices.items()
        }
    if field.either("file", "generated") == "file":
        file = section["file"]
        return read_book(file.beside(), symbols, file.fail), {}, total, opened_at
    entries = section["generated"].entries()
    for symbol, entry in entries.items():
        if symbol not in symbols:
            entry.fail(f"{symbol!r} is not one of: {', '.join(symbols)}")
    return (), {symbol: _generated(entry) for symbol, entry in entries.items()}, total, opened_at


def _generated(field: Field) -> GeneratedBook:
    section = field.section(("vaults", "debt", "ratio"))
    return GeneratedBook(
        vaults=section["vaults"].between(units.count, 1, 1_000_000),
        debt=_range(section["debt"], units.stablecoin, 10**18, 10**27),
        ratio=_range(section["ratio"], units.basis_points, 10_000, 1_000_000),
    )


def _range(field: Field, reader: Callable[[str], int], least: int, most: int) -> tuple[int, int]:
    section = field.section(("from", "to"))
    lowest = section["from"].between(reader, least, most)
    return lowest, section["to"].between(reader, lowest, most)


def _market(field: Field, block_time: int) -> MarketDepth:
    section = field.section(("fee", "every", "recovery", "tolerance"), ("depth", "debt_to_depth"))
    every = section["every"].between(units.seconds, block_time, DAY)
    depth = debt_to_depth = 0
    if field.either("depth", "debt_to_depth") == "depth":
        depth = section["depth"].between(units.stablecoin, 10**18, 10**28)
    else:
        debt_to_depth = section["debt_to_depth"].between(units.basis_points, 1, 10_000_000)
    return MarketDepth(
        depth=depth,
        debt_to_depth=debt_to_depth,
        every=every,
        recovery=section["recovery"].between(units.seconds, every, 7 * DAY),
        tolerance=section["tolerance"].between(units.basis_points, 0, 5_000),
    )


def _members(field: Field) -> dict[str, dict[str, int]]:
    """Who has put what into which pool; a pool that is not deployed has none."""
    section = field.section((), tuple(POOLS))
    return {
        pool: {
            name: entry.between(_unit_of(pool), 1, 10**27) for name, entry in section[pool].entries().items()
        }
        for pool in section
    }


def _unit_of(pool: str) -> Callable[[str], int]:
    """Reads amounts of what a pool holds."""
    return units.equity if pool == "staked_equity" else units.stablecoin


# ---------------------------------------------------------------------- keepers


def _keepers(field: Field, duration: int, symbols: tuple[str, ...]) -> tuple[KeeperGroup, ...]:
    groups = tuple(_group(name, entry, duration, symbols) for name, entry in field.entries().items())
    for role in ("reporter", "flash_taker"):
        if sum(group.role == role for group in groups) > 1:
            field.fail(f"has more than one group with the role {role}")
    if not any(group.role == "reporter" for group in groups):
        field.fail("has no group with the role reporter")
    return groups


def _check_domains(field: Field, keepers: tuple[KeeperGroup, ...], parameters: Parameters) -> None:
    """A bridge is its domain's minter; who announces a loss names a domain."""
    named = {domain.name: domain for domain in parameters.domains}
    for group in keepers:
        entry = field.entries()[group.name]
        for name in (group.domain, *(order.announce for order in group.schedule)):
            if name and name not in named:
                entry.fail(f"there is no domain {name!r} in parameters.domains")
        if group.role == "bridge" and group.names() != (named[group.domain].minter,):
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
    "margin_liquidator": ("capital", "minimum_profit", "most"),
    "deleverager": ("call_gas", "most"),
    "matcher": ("orders", "most"),
}


def _group(name: str, field: Field, duration: int, symbols: tuple[str, ...]) -> KeeperGroup:
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
    money = units.equity if role.text == "surplus_bidder" else _unit_of(pool)
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
        schedule=() if schedule is None else tuple(_order(i, symbols) for i in schedule.items()),
        plan=() if plan is None else _plan(plan, "collateral" in section),
        fails=fails_of(section["fails"]) if "fails" in section else None,
        runs=given("runs", units.seconds, 60, 365 * DAY, 0),
        call_gas=given("call_gas", units.gas, 100_000, BLOCK_GAS, 10_000_000),
        orders=str(section["orders"].beside()) if "orders" in section else "",
        **drawn,
    )


def _drawn(field: Field, section: Section, symbols: tuple[str, ...]) -> dict[str, Any]:
    """What a keeper that draws locks, how much it draws at once, and at which ratio."""
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
    """Which domain a bridge draws for, and how much at once."""
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


def _order(field: Field, symbols: tuple[str, ...]) -> Order:
    section = field.section(("at",), ("halt", "raise_to", "announce"))
    if sum(name in section for name in ("halt", "raise_to", "announce")) != 1:
        field.fail("needs one of `halt`, `raise_to` and `announce`")
    at = section["at"].between(units.clock, 0, LONGEST)
    if "halt" in section:
        return Order(at, halt=section["halt"].choice(symbols))
    if "announce" in section:
        return Order(at, announce=section["announce"].text)
    return Order(at, raise_to=MODES[section["raise_to"].choice(tuple(MODES))])


def _plan(field: Field, borrows: bool) -> tuple[Move, ...]:
    """An attacker's moves, the first one first."""
    found = []
    for item in field.items():
        section = item.section(("at", "do"), ("share",))
        do = section["do"].choice(MOVES)
        if do in OF_COLLATERAL and not borrows:
            section["do"].fail(f"{do!r} needs a `collateral`")
        share = section["share"].between(units.basis_points, 1, BASIS_POINTS) if "share" in section else None
        found.append(
            Move(section["at"].between(units.clock, 0, LONGEST), do, BASIS_POINTS if share is None else share)
        )
    return tuple(sorted(found, key=lambda move: move.at))


# ------------------------------------------------------------------------- text


def _fact(field: Field) -> Fact:
    section = field.section(("fact", "source"))
    return Fact(_line(section["fact"]), _line(section["source"]))


def _line(field: Field) -> str:
    """Text on one line."""
    text = " ".join(field.text.split())
    if not text:
        field.fail("is empty")
    return text
