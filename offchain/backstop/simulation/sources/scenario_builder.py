"""The scenario file of a book and prices of one's own: whole and readable, so that it can be changed.

All that the two files do not say is the template's, in proportion to the book, and named as assumed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backstop.errors import BackstopError
from backstop.files.atomic_files import write_files
from backstop.model.arithmetic import WAD
from backstop.model.bounds import (
    MAX_COLLATERAL_TYPES,
    MAX_DEBT_CEILING,
    MAX_GLOBAL_DEBT_CEILING,
    MAX_RATIO,
)
from backstop.simulation.scenario import Scenario, load_scenario, quantity_units
from backstop.simulation.scenario.book_repairs import TREATMENTS
from backstop.simulation.scenario.isolated_prints import list_isolated_prints
from backstop.simulation.scenario.parameters_yaml_writer import format_decimal, format_exact_usd_price
from backstop.simulation.scenario.scenario_records import DAY, LONGEST, TypeAssets
from backstop.simulation.sources.book_reader import VaultBook
from backstop.simulation.sources.calibration_results import CalibratedValues
from backstop.simulation.sources.imported_collateral_types import describe_excess_types
from backstop.simulation.sources.price_reader import PriceHistory
from backstop.simulation.sources.type_liquidation_terms import (
    ROOM,
    TypeTerms,
    choose_type_terms,
    list_terms_assumptions,
)

ROWS: Mapping[str, str] = {
    "duplicate": "apart",
    "no_collateral": "liquidate",
    "under_water": "liquidate",
    "unsafe": "open",
    "between_ratios": "open",
    "under_floor": "merge",
}
"""Default treatments of rows that the contracts refuse: debt stays in the book if it can."""

USES = ("history", "replay", "measured")
"""The uses of prices."""

FLOOR = 2_000
TIP = 100
STEP = 90  # seconds of an auction's step, as of Maker's ETH-A
RESERVE = 100
"""One in so many stablecoins of the debt is the reserve's at the start, unless it is said."""
_BLOCK = 60
_VISIT = 300  # seconds between two visits of the world outside to a market
_LONG = 31 * DAY
_GAS_TOKENS = ("ETH", "WETH", "wstETH", "stETH", "weETH", "rETH", "cbETH")
# Parts of the book's debt: what members hold and keepers have adds up to a fifth of it.
_JUNIOR, _SAVINGS, _TRADING, _OPPORTUNIST = 50, 10, 100, 20
_UNDRAWN = 1  # percent of the debt that vaults need not draw for these to be parts of all of it
_EQUITY = 10**6  # tokens that are worth as much as the debt
_TEMPLATE = "template.yaml"


@dataclass(frozen=True)
class _CollateralTerms:
    """Terms of one collateral type for the scenario template."""

    symbol: str
    decimals: int
    ceiling: int
    limit: int
    ratio: str
    initial: str
    penalty: str


def write_scenario(
    book: VaultBook,
    prices: PriceHistory,
    out: str | Path,
    *,
    use: str = "history",
    duration: str | None = None,
    block_time: str | None = None,
    ratios: Mapping[str, str] | None = None,
    floor: int = FLOOR,
    total: int | None = None,
    rows: Mapping[str, str] | None = None,
    gas_token: str | None = None,
    reserve: int | None = None,
    pools: Mapping[str, int] | None = None,
    outages: bool = False,
    measured: CalibratedValues | None = None,
) -> Scenario:
    """Write `scenario.yaml`, `book.csv` and `prices.csv` to a folder, and return the loaded scenario.

    `use` decides how prices are used. `history` draws each day by a bootstrap from past days, from the last
    price on. `replay` takes the prices as they are, from the midnight before the first. `measured` draws days
    from the calibrated models in `measured`, with markets of the measured depth.

    `ratios` are liquidation ratios by symbol (`{"wstETH": "125%"}`); they precede those of the book, of the
    known system (`liquidation_terms.yaml`), and 150%. `floor` is the debt floor and `total` the debt to scale
    to, in whole stablecoins. `rows` sets how to treat rows that the contracts would refuse. `reserve` and
    `pools` (junior, savings) are balances at the start in whole stablecoins. With `outages` keepers fail at
    random times.
    """
    writing = _ScenarioBuilder(book, prices, use, block_time, duration, measured)
    settled = {**ROWS, **(rows or {})}
    for kind, how in settled.items():
        if how not in TREATMENTS.get(kind, ()):
            known = ", ".join(TREATMENTS.get(kind, TREATMENTS))
            raise BackstopError(
                f"rows: {f'{kind}: {how}' if kind in TREATMENTS else kind!r} is not one of: {known}"
            )

    def render_scenario(drawn: int | None) -> str:
        values = writing.build_values(ratios or {}, floor, total, settled, gas_token, drawn)
        values |= writing.build_balances(values, reserve, pools or {}) | {"outages": outages}
        values["assumptions"] += [
            _quote_text(line)
            for line in _list_balance_assumptions(values, reserve is None, pools or {}, outages)
        ]
        return _render_scenario_yaml(values)

    files = {
        "book.csv": writing.book.to_csv(),
        "prices.csv": writing.prices.to_csv(writing.begin, writing.every),
        "scenario.yaml": render_scenario(None),
    }
    # What does not load is not left behind.
    with tempfile.TemporaryDirectory(prefix="backstop-scenario-") as temporary:
        write_files(Path(temporary), files)
        scenario = load_scenario(Path(temporary) / "scenario.yaml")
        drawn = sum(vault.debt for vault in scenario.vaults or ()) // WAD
        if drawn * 100 < (100 - _UNDRAWN) * writing.sum_whole_debt(total):
            files["scenario.yaml"] = render_scenario(drawn)
            write_files(Path(temporary), files)
            scenario = load_scenario(Path(temporary) / "scenario.yaml")
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_files(folder, files)
    except OSError as error:
        raise BackstopError(f"{folder} cannot be written: {error.strerror or error}") from None
    return replace(scenario, name=folder.resolve().name, source=str(folder / "scenario.yaml"))


class _ScenarioBuilder:
    """Builder of a scenario file from one vault book and one price history."""

    def __init__(
        self,
        book: VaultBook,
        prices: PriceHistory,
        use: str,
        block_time: str | None,
        duration: str | None,
        measured: CalibratedValues | None,
    ) -> None:
        if use not in USES:
            raise BackstopError(f"use: {use!r} is not one of: {', '.join(USES)}")
        if (use == "measured") != (measured is not None):
            raise BackstopError("use: 'measured' goes with what a calibration measured, and only that does")
        self.book, left_out = _remove_debtless_types(book)
        self.symbols = self.book.symbols
        self.assets = {symbol: book.assets.get(symbol, TypeAssets(symbol)) for symbol in self.symbols}
        if len(self.symbols) > MAX_COLLATERAL_TYPES:
            excess = describe_excess_types(self._sum_debts(None), self.assets, book.has_accounts)
            raise BackstopError(f"{book.name}: {excess}")
        self.prices = prices.select_assets(self.assets.values())
        self.replay = use == "replay"
        self.measured = measured
        self.notes = [*book.told, *left_out, *prices.told]
        self.every = self.prices.every
        # Blocks of a scenario are of a minute, or an hour where a replay has months of them.
        span = self.prices.last_common_time - self.prices.first_common_time
        usual = _find_divisor(self.every, 3_600 if self.replay and span > _LONG else _BLOCK)
        self.block = _read_seconds("block_time", block_time) or usual
        if self.block % self.every and self.every % self.block:
            raise BackstopError(
                f"block_time: {self.block} s and the {self.every} s between prices: one must be a multiple "
                "of the other"
            )
        # A replay begins at midnight, from where the times of a scenario's file count. Prices that lie
        # between its rows would come late by up to one: then it has a row for each block.
        self.begin = (
            self.prices.first_common_time // DAY * DAY if self.replay else self.prices.first_common_time
        )
        if self.replay and not self.prices.is_on_grid(self.begin):
            self.every = min(self.every, self.block)
        held = (self.prices.last_common_time - self.begin) // self.every * self.every
        whole = min(held, LONGEST) // self.block * self.block
        self.duration = _read_seconds("duration", duration) or (whole if self.replay else DAY)
        if self.replay and not 0 < self.duration <= whole:
            there = quantity_units.format_duration_text(whole)
            raise BackstopError(
                f"duration: {prices.name} can be replayed for {there}, not {duration or 'at all'}"
            )
        if use == "history" and held < 2 * max(self.every, self.block):
            raise BackstopError(f"{prices.name}: has prices for fewer than two blocks: too few to draw from")

    def build_values(
        self,
        ratios: Mapping[str, str],
        floor: int,
        total: int | None,
        rows: Mapping[str, str],
        gas_token: str | None,
        drawn: int | None = None,
    ) -> dict[str, Any]:
        """Return the values for the scenario template.

        Capital is in proportion to the `drawn` debt [whole stablecoins], or to all debt if it is None.
        """
        for symbol in (*ratios, *([gas_token] if gas_token else [])):
            if symbol not in self.symbols:
                raise BackstopError(f"{symbol!r} is not one of the book's: {', '.join(self.symbols)}")
        debts = self._sum_debts(total)
        coins = _compute_whole_debts(debts)
        terms = choose_type_terms(self.book, ratios)
        types = [self._build_type(symbol, coins[symbol], terms[symbol], floor) for symbol in self.symbols]
        owed = sum(coins.values()) if drawn is None else drawn
        gas = gas_token or next((each for each in _GAS_TOKENS if each in self.symbols), self.symbols[0])
        recovery = _format_time(max(self.visit, 4 * _VISIT))
        prices = self.prices
        run = max(
            self.block,
            min(DAY, (prices.last_common_time - prices.first_common_time) // 4 // self.block * self.block),
        )
        return {
            "written_by": _join_lines(f"Written of {self.book.name} and {prices.name} by Backstop."),
            "title": _quote_text(f"{self.book.name} at the prices of {prices.name}"),
            "description": _join_lines(self._describe_imported_scenario()),
            "assumptions": [
                _quote_text(line) for line in self._list_import_assumptions(gas, terms, recovery)
            ],
            "start": datetime.fromtimestamp(self._compute_start(), UTC).strftime("%Y-%m-%dT%H:%MZ"),
            "duration": _format_time(self.duration),
            "block_time": _format_time(self.block),
            "types": types,
            "assets": self.assets if any(each != (name, "") for name, each in self.assets.items()) else {},
            "quotes": {
                name: format_exact_usd_price(price)
                for name, price in self.prices.last_prices_by_symbol.items()
            },
            "accounts": "pooled" if self.book.has_accounts else "apart",
            "global_ceiling": min(MAX_GLOBAL_DEBT_CEILING, sum(each.ceiling for each in types)),
            "global_limit": max(10 * floor, owed // 8),
            "floor": floor,
            "tip": min(TIP, floor // 20),
            "replay": self.replay,
            "measured": self.measured and self._share_measured(debts),
            "every": _format_time(self.every),
            "kept_prints": self._list_assets_with_prints(),
            "run": _format_time(run),
            "gas_token": gas,
            "total": total,
            "rows": rows,
            "visit_seconds": self.visit,
            "visits": _format_time(self.visit),
            "recovery": recovery,
            "step": _format_time(STEP),
            "short_step": _describe_short_step(self.block),
            "owed": owed,
            "undrawn_of": 0 if drawn is None else sum(coins.values()),
            "desk": max(1, owed // _TRADING),
            "opportunist": max(1, owed // _OPPORTUNIST),
            "equity": format_decimal(max(10_000, owed), _EQUITY),
            "block_gas": max(1_000_000, 30_000_000 * self.block // 12),
        }

    def _sum_debts(self, total: int | None) -> dict[str, int]:
        """Return the debt of each type [wad], scaled to `total` whole stablecoins if given."""
        debts = dict.fromkeys(self.symbols, 0)
        for _, vault in self.book.rows:
            debts[vault.symbol] += vault.debt
        if total is None:
            return debts
        whole = sum(debts.values())
        return {symbol: debt * total * WAD // whole for symbol, debt in debts.items()}

    def _list_assets_with_prints(self) -> list[str]:
        """Return the assets with isolated prints in the written prices, which the scenario must keep.

        The user has already judged the prints of the original file; a crash of minutes may be one row of
        `prices.csv`.
        """
        times = range(self.begin, self.prices.last_common_time + 1, self.every)
        return [
            symbol
            for symbol, series in self.prices.series.items()
            if list_isolated_prints([series.get_price(time) for time in times])
        ]

    def sum_whole_debt(self, total: int | None) -> int:
        """Return the book's debt in whole stablecoins, rounded up for each type."""
        return sum(_compute_whole_debts(self._sum_debts(total)).values())

    @property
    def visit(self) -> int:
        """Interval at which arbitrage restores the markets [seconds]: whole blocks, at least five minutes."""
        return -(-_VISIT // self.block) * self.block

    def build_balances(
        self,
        values: Mapping[str, Any],
        reserve: int | None,
        pools: Mapping[str, int],
    ) -> dict[str, Any]:
        """Return the starting balances of reserve and pools in whole stablecoins, given or by default.

        Raises BackstopError for an unknown pool, or a balance above the drawn debt.
        """
        for pool in pools:
            if pool not in ("junior", "savings"):
                raise BackstopError(f"pools: {pool!r} is not one of: junior, savings")
        owed = int(values["owed"])
        for name, amount in {"reserve": reserve, **pools}.items():
            if amount is not None and not 0 <= amount <= owed:
                raise BackstopError(
                    f"{name}: {amount:,} stablecoins, and the book has drawn {owed:,}: a balance is "
                    "a part of these"
                )
        return {
            "reserve": owed // RESERVE if reserve is None else reserve,
            "junior": pools.get("junior", max(1, owed // _JUNIOR)),
            "savings": pools.get("savings", max(1, owed // _SAVINGS)),
        }

    def _share_measured(self, debts: Mapping[str, int]) -> CalibratedValues:
        """Return the calibrated values with each collateral's depth divided among its types by debt."""
        assert self.measured is not None
        markets = {}
        for symbol, assets in self.assets.items():
            market = self.measured.markets.get(assets.collateral)
            if market is not None:
                sharing = (each for each in self.symbols if self.assets[each].collateral == assets.collateral)
                whole = max(1, sum(debts[each] for each in sharing))
                markets[symbol] = replace(market, depth=max(1, market.depth * debts[symbol] // whole))
        return replace(self.measured, markets=markets)

    def _compute_start(self) -> int:
        """Return the scenario's start: that of the replayed prices, or the midnight after the history."""
        return self.begin if self.replay else -(-self.prices.last_common_time // DAY) * DAY

    def _build_type(self, symbol: str, owed: int, terms: TypeTerms, floor: int) -> _CollateralTerms:
        if owed > MAX_DEBT_CEILING:
            raise BackstopError(
                f"{self.book.name}: its {symbol} vaults owe {owed:,} stablecoins, and a type may owe "
                f"{MAX_DEBT_CEILING:,}: scale the book by a `total`"
            )
        return _CollateralTerms(
            symbol=symbol,
            decimals=self.book.decimals[symbol],
            ceiling=min(MAX_DEBT_CEILING, 2 * owed + 1_000_000),
            limit=max(10 * floor, owed // 10),
            ratio=f"{format_decimal(terms.ratio, 100)}%",
            initial=f"{format_decimal(min(MAX_RATIO, terms.ratio + ROOM), 100)}%",
            penalty=f"{format_decimal(terms.penalty, 100)}%",
        )

    def _list_asset_assumptions(self) -> list[str]:
        """Return the assumptions on types with a debt asset and on types that share a collateral."""
        lines = [
            f"Debts of {symbol} are of {each.debt}: its price is {each.collateral} over {each.debt}, and its "
            "debts and losses are in dollars of the opening."
            for symbol, each in self.assets.items()
            if each.debt
        ]
        sharing = [each.collateral for each in self.assets.values()]
        for collateral in dict.fromkeys(sharing):
            if sharing.count(collateral) > 1:
                types = [symbol for symbol, each in self.assets.items() if each.collateral == collateral]
                lines.append(
                    f"{', '.join(types)} are sold on markets of their own, whose depths add up to that of "
                    f"{collateral}."
                )
        return lines

    def _describe_imported_scenario(self) -> str:
        if self.replay:
            return (
                f"The positions of {self.book.name}, opened at the first price, and the prices of "
                f"{self.prices.name} as they are."
            )
        drawn = "from its history, runs of all assets together"
        if self.measured is not None:
            drawn = "by laws that were measured in it"
        return (
            f"The positions of {self.book.name}, opened at the last price of {self.prices.name}, and days "
            f"drawn {drawn}."
        )

    def _list_import_assumptions(
        self, gas_token: str, terms: Mapping[str, TypeTerms], recovery: str
    ) -> list[str]:
        measured = self.measured or CalibratedValues({})
        guessed = [
            symbol for symbol in self.symbols if self.assets[symbol].collateral not in measured.markets
        ]
        of = f" of {', '.join(guessed)}" if measured.markets else ""
        return [
            *self.notes,
            *measured.assumptions,
            *(
                []
                if self.measured
                else [
                    f"A price holds till the next, {quantity_units.format_duration_text(self.every)} later."
                ]
            ),
            "All debt is the protocol's stablecoin, which counts as one dollar, and pays no stability fee.",
            *list_terms_assumptions(self.book, terms),
            *self._list_asset_assumptions(),
            "Buyers of auctions have 8% of the debt.",
            *(
                [
                    f"Markets{of} are as deep as a fifth of each type's debt (markets.TYPE.debt_to_depth), "
                    f"and their recovery is {recovery} (markets.TYPE.recovery)."
                ]
                if guessed
                else []
            ),
            f"Gas is paid in {gas_token}, at 25 gwei.",
            "Equity, where a preset has it: a million tokens are worth the debt at first.",
            "Keepers, auctions, floors and limits are the template's.",
        ]


def _compute_whole_debts(debts: Mapping[str, int]) -> dict[str, int]:
    """Return debts [wad] in whole stablecoins, rounded up, at least 1 for each type."""
    return {symbol: max(1, -(-debt // WAD)) for symbol, debt in debts.items()}


def _find_divisor(number: int, most: int) -> int:
    """Return the largest divisor of a number that is at most `most`."""
    return next(each for each in range(min(number, most), 0, -1) if number % each == 0)


def _describe_short_step(block: int) -> str:
    """Return the reason why an auction step is shorter than a block; empty if it is not."""
    if block <= STEP:
        return ""
    return _quote_text(
        f"Blocks are of {quantity_units.format_duration_text(block)}: in each of them an "
        "auction's price falls by "
        "several steps, and shortfalls are too high."
    )


def _list_balance_assumptions(
    values: Mapping[str, Any], is_guessed: bool, pools: Mapping[str, int], outages: bool
) -> list[str]:
    """Return the assumptions on starting balances and on keepers' outages."""
    held = f"{values['reserve']:,} stablecoins"
    guessed = [
        text for name, text in (("junior", "2% (junior)"), ("savings", "10% (savings)")) if name not in pools
    ]
    undrawn = values["undrawn_of"]
    return [
        *(
            [
                f"Reserve, pools and keepers' capital are parts of the {values['owed']:,} stablecoins that "
                f"vaults draw, of {undrawn:,} in the book."
            ]
            if undrawn
            else []
        ),
        f"The reserve begins with {held}: 1% of the debt."
        if is_guessed
        else f"The reserve begins with {held}.",
        "Buffers of types begin with nothing.",
        *([f"Members of pools hold {' and '.join(guessed)} of the debt."] if guessed else []),
        "Keepers fail now and then: liquidators and takers for 2 hours every 2 days, bidders every 3 days."
        if outages
        else "Keepers do not fail.",
    ]


def _remove_debtless_types(book: VaultBook) -> tuple[VaultBook, list[str]]:
    """Return the book without collateral types that have no debt, and a note on these.

    Raises BackstopError if no vault has debt.
    """
    owing = {vault.symbol for _, vault in book.rows if vault.debt}
    if not owing:
        raise BackstopError(f"{book.name}: no vault has debt; expected one with debt")
    idle = [symbol for symbol in book.symbols if symbol not in owing]
    if not idle:
        return book, []
    rows = tuple(row for row in book.rows if row.vault.symbol in owing)
    kept = replace(book, rows=rows)
    return kept, [f"Nobody owes anything against {', '.join(idle)}: left out."]


def _render_scenario_yaml(template_values: Mapping[str, Any]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__package__, "."), undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters |= {"coins": "{:_}".format, "time": _format_time, "quoted": _quote_text}
    return environment.get_template(_TEMPLATE).render(template_values)


def _read_seconds(name: str, text: str | None) -> int:
    """Read an optional duration [seconds]; 0 if it is None."""
    if text is None:
        return 0
    try:
        return quantity_units.read_seconds(text)
    except ValueError as error:
        raise BackstopError(f"{name}: {error}") from None


def _format_time(seconds: int) -> str:
    """Format seconds in the largest unit (d, h, min, s) that gives a whole number."""
    for unit, length in (("d", DAY), ("h", 3_600), ("min", 60)):
        if seconds % length == 0:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _quote_text(text: str) -> str:
    """Return a text as a quoted YAML scalar on one line."""
    return json.dumps(_join_lines(text), ensure_ascii=False)


def _join_lines(text: str) -> str:
    return " ".join(text.split())
