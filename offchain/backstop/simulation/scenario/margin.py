"""The sections of a scenario about the margin market: its parameters, and the accounts of its book."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from backstop.deployment.contract_names import MARGIN_POLICIES
from backstop.deployment.deployment_parameters import MarginParameters, PerpetualParameters
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.simulation.scenario import units
from backstop.simulation.scenario.backstop import backstop_of
from backstop.simulation.scenario.document import Field
from backstop.simulation.scenario.schema import (
    Delisting,
    MarginAccount,
    MarginBook,
    MarginPairs,
    MarginPosition,
    MarginTrade,
)

_BRACKETS = 2
# No market lists less margin than this, so nobody has more leverage.
_MOST_LEVERAGE = BASIS_POINTS * BASIS_POINTS // bounds.MIN_MARGIN

_TERMS: dict[str, tuple[Callable[[str], int], int, int]] = {
    "fee_share": (units.basis_points, 0, BASIS_POINTS),
    "bucket": (units.seconds, bounds.MIN_BUCKET, bounds.MAX_BUCKET),
    "buckets": (units.count, 1, bounds.MAX_BUCKETS),
    "cap": (units.whole_stablecoin, 0, bounds.MAX_GLOBAL_DEBT_CEILING),
    "income_share": (units.basis_points, 0, BASIS_POINTS),
    "insurance_target": (units.whole_stablecoin, 0, bounds.MAX_GLOBAL_DEBT_CEILING),
    "window": (units.seconds, bounds.MIN_CYCLE, bounds.MAX_CYCLE),
    "quiet": (units.seconds, 0, bounds.MAX_CYCLE),
    "mark_age": (units.seconds, 1, bounds.MAX_MARK_AGE),
    "band": (units.basis_points, 0, bounds.MAX_BAND),
    "maker_fee": (units.basis_points, 0, bounds.MAX_TRADE_FEE),
    "taker_fee": (units.basis_points, 0, bounds.MAX_TRADE_FEE),
    "divergence": (units.basis_points, 0, bounds.MAX_DIVERGENCE),
    "third_bond": (units.whole_stablecoin, 0, bounds.MAX_THIRD_BOND // WAD),
}
"""How each figure of the market as a whole is read, and its bounds."""

_OF_MARKET: dict[str, tuple[Callable[[str], int], int, int]] = {
    "discount": (units.basis_points, 0, bounds.MAX_LIQUIDATION_DISCOUNT),
    "haircut": (units.basis_points, bounds.MIN_HAIRCUT, BASIS_POINTS),
    "max_funding": (units.basis_points, 0, bounds.MAX_FUNDING),
    "open_limit": (units.lots, 0, bounds.MAX_OPEN_LOTS),
    "dust": (units.whole_stablecoin, 0, bounds.MAX_DEBT_FLOOR),
    "insured": (units.basis_points, 0, BASIS_POINTS),
}
"""The same of one perpetual market, but for its lot, its margins and brackets."""


# ------------------------------------------------------------------- parameters


def margin_of(
    field: Field, symbols: Sequence[str], domains: Sequence[str], has_treasury: bool
) -> MarginParameters:
    """Read the margin market, with a perpetual market for each symbol that is named."""
    section = field.section(("markets",), ("domain", "policy", "insurance", "backstop", *_TERMS))
    found: dict[str, Any] = {name: section[name].between(*_TERMS[name]) for name in _TERMS if name in section}
    if "policy" in section:
        found["policy"] = section["policy"].choice(MARGIN_POLICIES)
    if found.get("quiet", 0) > found.get("window", MarginParameters.window):
        section["quiet"].fail("must not be above `window`")
    for name in ("income_share", "insurance_target"):
        if name in section and not has_treasury:
            section[name].fail("needs the section parameters.equity: without it no treasury is deployed")
    if "backstop" in section:
        found["backstop"] = backstop_of(section["backstop"])
    if "domain" in section:
        if section["domain"].text not in domains:
            section["domain"].fail(f"there is no domain {section['domain'].text!r} in parameters.domains")
        found["domain"] = section["domain"].text
    entries = section["markets"].entries()
    if not 1 <= len(entries) <= bounds.MAX_MARGIN_MARKETS:
        section["markets"].fail(f"must have 1 to {bounds.MAX_MARGIN_MARKETS} entries")
    for symbol, entry in entries.items():
        if symbol not in symbols:
            entry.fail(f"{symbol!r} is not one of: {', '.join(symbols)}")
    markets = tuple(_market(symbol, entry) for symbol, entry in entries.items())
    return MarginParameters(markets, **found)


def insurance_of(field: Field | None) -> int:
    """Read what is paid into the fund of a margin market at the opening, wad; 0 without one."""
    entry = None if field is None else field.entries().get("insurance")
    return 0 if entry is None else entry.between(units.stablecoin, 0, 10**27)


def _market(symbol: str, field: Field) -> PerpetualParameters:
    section = field.section(("lot",), ("initial", "maintenance", "of_accounts", "of_market", *_OF_MARKET))
    found: dict[str, Any] = {
        name: section[name].between(*_OF_MARKET[name]) for name in _OF_MARKET if name in section
    }
    initial = PerpetualParameters.initial
    if "initial" in section:
        initial = section["initial"].between(units.basis_points, bounds.MIN_MARGIN + 1, bounds.MAX_MARGIN)
    maintenance = PerpetualParameters.maintenance
    if "maintenance" in section:
        # Between the two lies what a liquidation brings an account back to.
        maintenance = section["maintenance"].between(units.basis_points, bounds.MIN_MARGIN, initial - 1)
    elif maintenance >= initial:
        section["initial"].fail(f"must be above `maintenance`: {maintenance} basis points without it")
    for name in ("of_accounts", "of_market"):
        if name in section:
            found[name] = brackets_of(section[name], bounds.MAX_MARGIN)
    lot = section["lot"].between(partial(units.coins, symbol), 1, bounds.MAX_LOT)
    most = bounds.MAX_OPEN // lot
    if found.setdefault("open_limit", min(PerpetualParameters.open_limit, most)) > most:
        section["open_limit"].fail(
            f"may be {most:,} lots of this size at most: {bounds.MAX_OPEN // WAD:,} {symbol}"
        )
    return PerpetualParameters(
        symbol=symbol,
        lot=lot,
        initial=initial,
        maintenance=maintenance,
        **found,
    )


def brackets_of(field: Field, most: int) -> tuple[tuple[int, int], ...]:
    """Read up to two brackets, whose margins (basis points) are at most so much together."""
    items = field.items()
    if len(items) > _BRACKETS:
        field.fail(f"has {len(items)} brackets: there may be {_BRACKETS}")
    found, total = [], 0
    for item in items:
        section = item.section(("above", "margin"))
        above = section["above"].between(units.whole_stablecoin, 0, bounds.MAX_DEBT_CEILING)
        margin = section["margin"].between(units.basis_points, 1, most - total)
        found.append((above, margin))
        total += margin
    return (*found, *[(0, 0)] * (_BRACKETS - len(found)))


# ------------------------------------------------------------------------- book


def margin_book_of(field: Field, margin: MarginParameters | None, duration: int) -> MarginBook:
    """Read accounts that are drawn by lot, and those that are given one by one."""
    section = field.section((), ("pairs", "accounts", "trades", "delistings", "leaves", "dodgers"))
    if margin is None:
        field.fail("needs the section parameters.margin: without it there is no margin market")
    if not section.entries:
        field.fail("needs `pairs` or `accounts`")
    lots = {market.symbol: market.lot for market in margin.markets}
    pairs, accounts, trades = (section.get(name) for name in ("pairs", "accounts", "trades"))
    book = MarginBook(
        {} if pairs is None else {name: _pairs(name, each, lots) for name, each in pairs.entries().items()},
        () if accounts is None else _accounts(accounts, lots, duration),
        delistings=_delistings(section["delistings"], lots, duration) if "delistings" in section else (),
        dodgers=section["dodgers"].between(units.basis_points, 0, BASIS_POINTS)
        if "dodgers" in section
        else 0,
        leaves=section["leaves"].between(units.clock, 0, duration) if "leaves" in section else None,
    )
    if trades is None:
        return book
    most = max((each.count for each in book.pairs.values()), default=0)
    names = {each.name for each in book.accounts}
    names |= {f"{side}_{i + 1}" for side in ("long", "short") for i in range(most)}
    found = [_trade(each, lots, names, duration) for each in trades.items()]
    return replace(book, trades=tuple(sorted(found, key=lambda each: each.at)))


def _delistings(field: Field, lots: dict[str, int], duration: int) -> tuple[Delisting, ...]:
    """Read a list of `{market: ALT, at: 01:00, ends: 74:00}`."""
    found = []
    for each in field.items():
        section = each.section(("market", "at", "ends"))
        _listed(section["market"].text, section["market"], lots)
        at = section["at"].between(units.clock, 0, duration)
        ends = section["ends"].between(units.clock, 0, at + bounds.MAX_NOTICE)
        if ends < at + bounds.MIN_NOTICE:
            section["ends"].fail(f"must be {bounds.MIN_NOTICE // 86_400} days after `at`, or later")
        found.append(Delisting(at, section["market"].text, ends))
    return tuple(found)


def _trade(field: Field, lots: dict[str, int], names: set[str], duration: int) -> MarginTrade:
    """Read `{at: 02:00, market: BTC, long: whale, short: desk, size: 2 BTC}`."""
    section = field.section(("at", "market", "long", "short", "size"))
    symbol, size = section["market"].text, section["size"]
    _listed(symbol, section["market"], lots)
    for side in ("long", "short"):
        if section[side].text not in names:
            section[side].fail(f"there is no account {section[side].text!r} in this book")
    if section["long"].text == section["short"].text:
        section["short"].fail("nobody trades with itself")
    amount = size.read(partial(units.coins, symbol))
    if amount == 0 or amount % lots[symbol]:
        size.fail(f"{size.text!r} is not a whole number of lots, or none")
    at = section["at"].between(units.clock, 0, duration)
    return MarginTrade(at, symbol, section["long"].text, section["short"].text, amount // lots[symbol])


def _pairs(symbol: str, field: Field, lots: dict[str, int]) -> MarginPairs:
    _listed(symbol, field, lots)
    section = field.section(("count", "notional", "leverage"), ("short_leverage", "spread", "large"))
    longs = _leverage(section["leverage"])
    share, times = 0, 1
    if "large" in section:
        large = section["large"].section(("share", "times"))
        share = large["share"].between(units.basis_points, 0, BASIS_POINTS)
        times = large["times"].between(units.count, 1, 1_000)
    notional = section["notional"].section(("from", "to"))
    least = notional["from"].between(units.stablecoin, 10**18, 10**27)
    return MarginPairs(
        count=section["count"].between(units.count, 1, 100_000),
        notional=(least, notional["to"].between(units.stablecoin, least, 10**27)),
        longs=longs,
        shorts=_leverage(section["short_leverage"]) if "short_leverage" in section else longs,
        spread=section["spread"].between(units.basis_points, 0, 9_000) if "spread" in section else 0,
        large=share,
        times=times,
    )


def _leverage(field: Field) -> tuple[int, int]:
    """Read a range of notional over equity, basis points."""
    section = field.section(("from", "to"))
    lowest = section["from"].between(units.basis_points, 1, _MOST_LEVERAGE)
    return lowest, section["to"].between(units.basis_points, lowest, _MOST_LEVERAGE)


def _accounts(field: Field, lots: dict[str, int], duration: int) -> tuple[MarginAccount, ...]:
    found = tuple(_account(name, entry, lots, duration) for name, entry in field.entries().items())
    sums: dict[tuple[str, int | None], int] = {}
    for each in (position for account in found for position in account.positions):
        sums[each.symbol, each.price] = sums.get((each.symbol, each.price), 0) + each.lots
    for (symbol, price), lots_over in sums.items():
        if lots_over:
            at = "the opening price" if price is None else "one price"
            field.fail(f"sizes in {symbol} at {at} add up to {lots_over} lots: each long has its short")
    return found


def _account(name: str, field: Field, lots: dict[str, int], duration: int) -> MarginAccount:
    if re.fullmatch(r"[a-z][a-z0-9_]{0,30}", name) is None:
        field.fail(f"{name!r} is not a name: small letters, digits and _")
    if re.fullmatch(r"(long|short)_\d+", name):
        field.fail(f"{name!r} is what an account of `pairs` is called")
    section = field.section(("cash",), ("positions", "takes_out"))
    takes_out = section.get("takes_out")
    positions = {} if "positions" not in section else section["positions"].entries()
    return MarginAccount(
        name,
        section["cash"].between(units.stablecoin, 0, 10**27),
        tuple(_position(symbol, entry, lots) for symbol, entry in positions.items()),
        None if takes_out is None else takes_out.between(units.clock, 0, duration),
    )


def _position(symbol: str, field: Field, lots: dict[str, int]) -> MarginPosition:
    """Read `-12 BTC`, at the opening price, or `{size: -12 BTC, price: 120_000 USD}`."""
    _listed(symbol, field, lots)
    size, price = field, None
    if isinstance(field.value, dict):
        section = field.section(("size", "price"))
        size, price = section["size"], section["price"].between(units.price, 1, bounds.MAX_PRICE)
    amount = size.read(partial(units.signed_coins, symbol))
    if amount == 0 or amount % lots[symbol]:
        size.fail(f"{size.text!r} is not a whole number of lots, or none")
    return MarginPosition(symbol, amount // lots[symbol], price)


def _listed(symbol: str, field: Field, lots: dict[str, int]) -> None:
    if symbol not in lots:
        field.fail(f"{symbol!r} is not one of the markets: {', '.join(lots)}")
