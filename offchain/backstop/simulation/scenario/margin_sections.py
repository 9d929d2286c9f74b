"""The sections of a scenario about the margin market: its parameters, and the accounts of its book."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from backstop.deployment.contracts_by_parameter_name import MARGIN_POLICIES
from backstop.deployment.parameter_dataclasses import MarginParameters, PerpetualParameters
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.simulation.scenario import quantity_units
from backstop.simulation.scenario.liquidity_vault_section import read_backstop_pool
from backstop.simulation.scenario.scenario_records import (
    Delisting,
    MarginAccount,
    MarginBook,
    MarginPairs,
    MarginPosition,
    MarginTrade,
)
from backstop.simulation.scenario.yaml_document_reader import Field

_BRACKETS = 2
# No market lists less margin than this, so nobody has more leverage.
_MOST_LEVERAGE = BASIS_POINTS * BASIS_POINTS // bounds.MIN_MARGIN

_TERMS: dict[str, tuple[Callable[[str], int], int, int]] = {
    "fee_share": (quantity_units.read_basis_points, 0, BASIS_POINTS),
    "bucket": (quantity_units.read_seconds, bounds.MIN_BUCKET, bounds.MAX_BUCKET),
    "buckets": (quantity_units.read_whole_number, 1, bounds.MAX_BUCKETS),
    "cap": (quantity_units.read_whole_stablecoin_count, 0, bounds.MAX_GLOBAL_DEBT_CEILING),
    "income_share": (quantity_units.read_basis_points, 0, BASIS_POINTS),
    "insurance_target": (quantity_units.read_whole_stablecoin_count, 0, bounds.MAX_GLOBAL_DEBT_CEILING),
    "window": (quantity_units.read_seconds, bounds.MIN_CYCLE, bounds.MAX_CYCLE),
    "quiet": (quantity_units.read_seconds, 0, bounds.MAX_CYCLE),
    "mark_age": (quantity_units.read_seconds, 1, bounds.MAX_MARK_AGE),
    "band": (quantity_units.read_basis_points, 0, bounds.MAX_BAND),
    "maker_fee": (quantity_units.read_basis_points, 0, bounds.MAX_TRADE_FEE),
    "taker_fee": (quantity_units.read_basis_points, 0, bounds.MAX_TRADE_FEE),
    "divergence": (quantity_units.read_basis_points, 0, bounds.MAX_DIVERGENCE),
    "third_bond": (quantity_units.read_whole_stablecoin_count, 0, bounds.MAX_THIRD_BOND // WAD),
}
"""How each figure of the market as a whole is read, and its bounds."""

_OF_MARKET: dict[str, tuple[Callable[[str], int], int, int]] = {
    "discount": (quantity_units.read_basis_points, 0, bounds.MAX_LIQUIDATION_DISCOUNT),
    "haircut": (quantity_units.read_basis_points, bounds.MIN_HAIRCUT, BASIS_POINTS),
    "max_funding": (quantity_units.read_basis_points, 0, bounds.MAX_FUNDING),
    "open_limit": (quantity_units.read_lots, 0, bounds.MAX_OPEN_LOTS),
    "dust": (quantity_units.read_whole_stablecoin_count, 0, bounds.MAX_DEBT_FLOOR),
    "insured": (quantity_units.read_basis_points, 0, BASIS_POINTS),
}
"""The same of one perpetual market, but for its lot, its margins and brackets."""


# ------------------------------------------------------------------- parameters


def read_margin_market(
    field: Field, symbols: Sequence[str], facilitators: Sequence[str], has_treasury: bool
) -> MarginParameters:
    """Read the parameters of the margin market, with a perpetual market for each named symbol."""
    section = field.read_section(("markets",), ("facilitator", "policy", "insurance", "backstop", *_TERMS))
    found: dict[str, Any] = {
        name: section[name].read_bounded(*_TERMS[name]) for name in _TERMS if name in section
    }
    if "policy" in section:
        found["policy"] = section["policy"].read_choice(MARGIN_POLICIES)
    if found.get("quiet", 0) > found.get("window", MarginParameters.window):
        section["quiet"].raise_error("must not be above `window`")
    for name in ("income_share", "insurance_target"):
        if name in section and not has_treasury:
            section[name].raise_error(
                "needs the section parameters.equity: without it no treasury is deployed"
            )
    if "backstop" in section:
        found["backstop"] = read_backstop_pool(section["backstop"])
    if "facilitator" in section:
        if section["facilitator"].text not in facilitators:
            section["facilitator"].raise_error(
                f"facilitator {section['facilitator'].text!r} is unknown; expected one of "
                "parameters.facilitators"
            )
        found["facilitator"] = section["facilitator"].text
    entries = section["markets"].read_mapping_entries()
    if not 1 <= len(entries) <= bounds.MAX_MARGIN_MARKETS:
        section["markets"].raise_error(f"must have 1 to {bounds.MAX_MARGIN_MARKETS} entries")
    for symbol, entry in entries.items():
        if symbol not in symbols:
            entry.raise_error(f"{symbol!r} is not one of: {', '.join(symbols)}")
    markets = tuple(_read_market(symbol, entry) for symbol, entry in entries.items())
    return MarginParameters(markets, **found)


def read_initial_insurance(field: Field | None) -> int:
    """Read the insurance fund's deposit at the opening of the margin market [wad]; 0 if none is given."""
    entry = None if field is None else field.read_mapping_entries().get("insurance")
    return 0 if entry is None else entry.read_bounded(quantity_units.read_stablecoin, 0, 10**27)


def _read_market(symbol: str, field: Field) -> PerpetualParameters:
    section = field.read_section(
        ("lot",), ("initial", "maintenance", "of_accounts", "of_market", *_OF_MARKET)
    )
    found: dict[str, Any] = {
        name: section[name].read_bounded(*_OF_MARKET[name]) for name in _OF_MARKET if name in section
    }
    initial = PerpetualParameters.initial
    if "initial" in section:
        initial = section["initial"].read_bounded(
            quantity_units.read_basis_points, bounds.MIN_MARGIN + 1, bounds.MAX_MARGIN
        )
    maintenance = PerpetualParameters.maintenance
    if "maintenance" in section:
        # Between the two lies what a liquidation brings an account back to.
        maintenance = section["maintenance"].read_bounded(
            quantity_units.read_basis_points, bounds.MIN_MARGIN, initial - 1
        )
    elif maintenance >= initial:
        section["initial"].raise_error(f"must be above `maintenance`: {maintenance} basis points without it")
    for name in ("of_accounts", "of_market"):
        if name in section:
            found[name] = read_margin_brackets(section[name], bounds.MAX_MARGIN)
    lot = section["lot"].read_bounded(partial(quantity_units.read_coins_as_wad, symbol), 1, bounds.MAX_LOT)
    most = bounds.MAX_OPEN // lot
    if found.setdefault("open_limit", min(PerpetualParameters.open_limit, most)) > most:
        section["open_limit"].raise_error(
            f"may be {most:,} lots of this size at most: {bounds.MAX_OPEN // WAD:,} {symbol}"
        )
    return PerpetualParameters(
        symbol=symbol,
        lot=lot,
        initial=initial,
        maintenance=maintenance,
        **found,
    )


def read_margin_brackets(field: Field, max_total_margin: int) -> tuple[tuple[int, int], ...]:
    """Read up to two brackets of notional, each with an additional margin [basis points].

    All margins together must not exceed `max_total_margin`.
    """
    items = field.read_items()
    if len(items) > _BRACKETS:
        field.raise_error(f"has {len(items)} brackets: there may be {_BRACKETS}")
    found, total = [], 0
    for item in items:
        section = item.read_section(("above", "margin"))
        above = section["above"].read_bounded(
            quantity_units.read_whole_stablecoin_count, 0, bounds.MAX_DEBT_CEILING
        )
        margin = section["margin"].read_bounded(quantity_units.read_basis_points, 1, max_total_margin - total)
        found.append((above, margin))
        total += margin
    return (*found, *[(0, 0)] * (_BRACKETS - len(found)))


# ------------------------------------------------------------------------- book


def read_margin_book(field: Field, margin: MarginParameters | None, duration: int) -> MarginBook:
    """Read the margin market's opening accounts, given or drawn at random, and later trades."""
    section = field.read_section((), ("pairs", "accounts", "trades", "delistings", "leaves", "dodgers"))
    if margin is None:
        field.raise_error("needs the section parameters.margin: without it there is no margin market")
    if not section.fields_by_name:
        field.raise_error("needs `pairs` or `accounts`")
    lots = {market.symbol: market.lot for market in margin.markets}
    pairs, accounts, trades = (section.get(name) for name in ("pairs", "accounts", "trades"))
    book = MarginBook(
        {}
        if pairs is None
        else {name: _read_pairs(name, each, lots) for name, each in pairs.read_mapping_entries().items()},
        () if accounts is None else _read_accounts(accounts, lots, duration),
        delistings=_read_delistings(section["delistings"], lots, duration) if "delistings" in section else (),
        dodgers=section["dodgers"].read_bounded(quantity_units.read_basis_points, 0, BASIS_POINTS)
        if "dodgers" in section
        else 0,
        leaves=section["leaves"].read_bounded(quantity_units.read_multiday_clock, 0, duration)
        if "leaves" in section
        else None,
    )
    if trades is None:
        return book
    most = max((each.count for each in book.pairs.values()), default=0)
    names = {each.name for each in book.accounts}
    names |= {f"{side}_{i + 1}" for side in ("long", "short") for i in range(most)}
    found = [_read_trade(each, lots, names, duration) for each in trades.read_items()]
    return replace(book, trades=tuple(sorted(found, key=lambda each: each.at)))


def _read_delistings(field: Field, lots: dict[str, int], duration: int) -> tuple[Delisting, ...]:
    """Read delistings as a list of `{market: ALT, at: 01:00, ends: 74:00}`."""
    found = []
    for each in field.read_items():
        section = each.read_section(("market", "at", "ends"))
        _check_market_symbol(section["market"].text, section["market"], lots)
        at = section["at"].read_bounded(quantity_units.read_multiday_clock, 0, duration)
        ends = section["ends"].read_bounded(quantity_units.read_multiday_clock, 0, at + bounds.MAX_NOTICE)
        if ends < at + bounds.MIN_NOTICE:
            section["ends"].raise_error(f"must be {bounds.MIN_NOTICE // 86_400} days after `at`, or later")
        found.append(Delisting(at, section["market"].text, ends))
    return tuple(found)


def _read_trade(field: Field, lots: dict[str, int], names: set[str], duration: int) -> MarginTrade:
    """Read one trade, as `{at: 02:00, market: BTC, long: whale, short: desk, size: 2 BTC}`."""
    section = field.read_section(("at", "market", "long", "short", "size"))
    symbol, size = section["market"].text, section["size"]
    _check_market_symbol(symbol, section["market"], lots)
    for side in ("long", "short"):
        if section[side].text not in names:
            section[side].raise_error(f"account {section[side].text!r} is unknown; expected one of this book")
    if section["long"].text == section["short"].text:
        section["short"].raise_error(f"{section['short'].text!r} is on both sides; expected two accounts")
    amount = size.read_value(partial(quantity_units.read_coins_as_wad, symbol))
    if amount == 0 or amount % lots[symbol]:
        size.raise_error(f"{size.text!r} is not a whole number of lots, or none")
    at = section["at"].read_bounded(quantity_units.read_multiday_clock, 0, duration)
    return MarginTrade(at, symbol, section["long"].text, section["short"].text, amount // lots[symbol])


def _read_pairs(symbol: str, field: Field, lots: dict[str, int]) -> MarginPairs:
    _check_market_symbol(symbol, field, lots)
    section = field.read_section(("count", "notional", "leverage"), ("short_leverage", "spread", "large"))
    longs = _read_leverage_range(section["leverage"])
    share, times = 0, 1
    if "large" in section:
        large = section["large"].read_section(("share", "times"))
        share = large["share"].read_bounded(quantity_units.read_basis_points, 0, BASIS_POINTS)
        times = large["times"].read_bounded(quantity_units.read_whole_number, 1, 1_000)
    notional = section["notional"].read_section(("from", "to"))
    least = notional["from"].read_bounded(quantity_units.read_stablecoin, 10**18, 10**27)
    return MarginPairs(
        count=section["count"].read_bounded(quantity_units.read_whole_number, 1, 100_000),
        notional=(least, notional["to"].read_bounded(quantity_units.read_stablecoin, least, 10**27)),
        longs=longs,
        shorts=_read_leverage_range(section["short_leverage"]) if "short_leverage" in section else longs,
        spread=section["spread"].read_bounded(quantity_units.read_basis_points, 0, 9_000)
        if "spread" in section
        else 0,
        large=share,
        times=times,
    )


def _read_leverage_range(field: Field) -> tuple[int, int]:
    """Read the lowest and highest leverage (notional over equity) [basis points]."""
    section = field.read_section(("from", "to"))
    lowest = section["from"].read_bounded(quantity_units.read_basis_points, 1, _MOST_LEVERAGE)
    return lowest, section["to"].read_bounded(quantity_units.read_basis_points, lowest, _MOST_LEVERAGE)


def _read_accounts(field: Field, lots: dict[str, int], duration: int) -> tuple[MarginAccount, ...]:
    found = tuple(
        _read_account(name, entry, lots, duration) for name, entry in field.read_mapping_entries().items()
    )
    sums: dict[tuple[str, int | None], int] = {}
    for each in (position for account in found for position in account.positions):
        sums[each.symbol, each.price] = sums.get((each.symbol, each.price), 0) + each.lots
    for (symbol, price), lots_over in sums.items():
        if lots_over:
            at = "the opening price" if price is None else "one price"
            field.raise_error(
                f"sizes in {symbol} at {at} add up to {lots_over} lots: each long has its short"
            )
    return found


def _read_account(name: str, field: Field, lots: dict[str, int], duration: int) -> MarginAccount:
    if re.fullmatch(r"[a-z][a-z0-9_]{0,30}", name) is None:
        field.raise_error(f"{name!r} is not a name: small letters, digits and _")
    if re.fullmatch(r"(long|short)_\d+", name):
        field.raise_error(f"{name!r} is what an account of `pairs` is called")
    section = field.read_section(("cash",), ("positions", "takes_out"))
    takes_out = section.get("takes_out")
    positions = {} if "positions" not in section else section["positions"].read_mapping_entries()
    return MarginAccount(
        name,
        section["cash"].read_bounded(quantity_units.read_stablecoin, 0, 10**27),
        tuple(_read_position(symbol, entry, lots) for symbol, entry in positions.items()),
        None
        if takes_out is None
        else takes_out.read_bounded(quantity_units.read_multiday_clock, 0, duration),
    )


def _read_position(symbol: str, field: Field, lots: dict[str, int]) -> MarginPosition:
    """Read a position as `-12 BTC`, or as `{size: -12 BTC, price: 120_000 USD}` with an own price."""
    _check_market_symbol(symbol, field, lots)
    size, price = field, None
    if isinstance(field.value, dict):
        section = field.read_section(("size", "price"))
        size, price = (
            section["size"],
            section["price"].read_bounded(quantity_units.read_price_as_ray, 1, bounds.MAX_PRICE),
        )
    amount = size.read_value(partial(quantity_units.read_signed_coins_as_wad, symbol))
    if amount == 0 or amount % lots[symbol]:
        size.raise_error(f"{size.text!r} is not a whole number of lots, or none")
    return MarginPosition(symbol, amount // lots[symbol], price)


def _check_market_symbol(symbol: str, field: Field, lots: dict[str, int]) -> None:
    if symbol not in lots:
        field.raise_error(f"{symbol!r} is not one of the markets: {', '.join(lots)}")
