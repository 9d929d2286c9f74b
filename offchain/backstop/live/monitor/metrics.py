"""Metrics for Prometheus. Its numbers are floats, with 15 digits; exact ones are in `mirror --out`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder

from backstop.files.installation import __version__
from backstop.live.monitor.health_conditions import (
    build_health_report,
    find_health_issues,
    report_liveness,
    report_readiness,
)
from backstop.live.monitor.http_server import Answer, Request, Route
from backstop.live.monitor.status_facts_and_board import LATENCIES, ChainStatus, KeeperWork, StatusBoard
from backstop.model.arithmetic import BASIS_POINTS
from backstop.report.amounts import UNITS
from backstop.report.exact_amount_markup import get_figure_unit

_WAD = UNITS["wad"]
_SIDES = {
    "owes": ("supply_wad", "reserve_rad", "buffers_rad"),
    "owns": ("performing_rad", "in_auction_rad", "deficit_rad", "settled_rad"),
}
_COVERAGE = ("collateral_rad", "backed_rad", "short_rad", "reserved_rad", "to_cover_rad", "uncovered_rad")
_RATIOS = ("collateral_bps", "backing_bps", "coverage_bps")
_OF_TYPES = {
    "price": ("price_ray", "The feed's current price."),
    "vaults": ("vaults", "Vaults with debt."),
    "unsafe_vaults": ("unsafe_vaults", "Vaults under the liquidation ratio."),
    "debt": ("performing_rad", "Debt of vaults, stablecoins."),
    "losses": ("deficit_rad", "Losses booked and not covered, stablecoins."),
    "short": ("short_rad", "Debt that collateral does not carry, stablecoins."),
}
_OPEN = {
    "auctions": "Open auctions of collateral.",
    "sales": "Open sales of equity.",
    "calls": "Margin calls neither met nor over.",
    "flags": "Vaults and workouts whose debt is in doubt.",
}


class _Collector:
    """Prometheus collector that builds the metrics of the newest status when they are requested."""

    def __init__(self, board: StatusBoard, command: str, stale: float) -> None:
        self.board = board
        self.command = command
        self.stale = stale

    def collect(self) -> Iterator[Metric]:
        board, facts = self.board, self.board.facts
        about = {"command": self.command, "version": __version__}
        up = not board.gone and facts is not None
        yield _build_gauge("node_up", "Whether the node could be asked at the last look.", float(up))
        since = time.monotonic() - board.looked_at
        yield _build_gauge("look_age_seconds", "Seconds since the chain was last looked at.", since)
        yield _build_gauge(
            "ready", "Whether /readyz says so.", float(report_readiness(board, self.stale)["ok"])
        )
        rows = [(each, 1.0) for each in find_health_issues(board, self.stale)]
        yield _build_labelled_gauge(
            "trouble", "1 while something is wrong, by its code.", ("code", "subject"), rows
        )
        if facts is None:
            yield InfoMetricFamily("backstop", "What runs.", about)
            return
        about |= {"chain_id": str(facts.chain_id), "engine": facts.engine, "node": facts.node}
        yield InfoMetricFamily("backstop", "What runs, on which chain, by the node in use.", about)
        yield from _iter_chain_metrics(facts)
        if facts.statement is not None:
            yield from _iter_statement_metrics(facts.statement)
        if facts.queue is not None:
            yield from _iter_deleveraging_queue_metrics(facts.queue)
        if facts.work is not None:
            yield from _iter_work_metrics(facts.work)


def _iter_chain_metrics(facts: ChainStatus) -> Iterator[Metric]:
    yield _build_gauge("block", "The last block followed.", facts.block)
    yield _build_gauge(
        "lag_blocks", "Blocks that the node has and that are not followed yet.", facts.head - facts.block
    )
    yield _build_gauge("block_timestamp_seconds", "The last block's time.", facts.timestamp)
    age = time.monotonic() - facts.block_at
    yield _build_gauge("block_age_seconds", "Seconds since the last block was first seen.", age)
    yield CounterMetricFamily("backstop_differences", "Places where model and chain differed.", facts.found)
    yield _build_gauge("unsettled", "Slots whose word is in doubt: nothing is sent.", facts.unsettled)
    yield CounterMetricFamily("backstop_lies", "Words that nodes told and something refuted.", facts.lies)
    yield CounterMetricFamily(
        "backstop_fields_compared", "Comparisons of model and chain.", facts.fields_compared
    )


def _iter_statement_metrics(statement: Mapping) -> Iterator[Metric]:
    sheet, coverage = statement["balance_sheet"], statement["coverage"]
    yield _build_labelled_gauge(
        "balance_sheet",
        "The ledger's balance sheet, stablecoins.",
        ("side", "account"),
        [
            ((side, _strip_unit_from_figure_name(each)), _convert_amount(sheet, each))
            for side, names in _SIDES.items()
            for each in names
        ],
    )
    gap = int(sheet["liabilities_rad"]) - int(sheet["claims_on_others_rad"])
    yield _build_gauge("balance_gap_rad", "What the two sides differ by: always 0.", gap)
    amounts = [((_strip_unit_from_figure_name(each),), _convert_amount(coverage, each)) for each in _COVERAGE]
    yield _build_labelled_gauge("coverage", "The statement's coverage, stablecoins.", ("figure",), amounts)
    ratios = [
        ((_strip_unit_from_figure_name(each),), coverage[each] / BASIS_POINTS)
        for each in _RATIOS
        if coverage[each] is not None
    ]
    yield _build_labelled_gauge(
        "ratio", "The statement's ratios; one of nothing is left out.", ("figure",), ratios
    )
    types = statement["collateral_types"]
    for name, (each, text) in _OF_TYPES.items():
        yield _build_labelled_gauge(
            name, text, ("collateral",), [((row["symbol"],), _convert_amount(row, each)) for row in types]
        )
    fresh = [((row["symbol"],), float(row["fresh"])) for row in types]
    yield _build_labelled_gauge("price_fresh", "Whether the feed's price is fresh.", ("collateral",), fresh)
    for each, text in _OPEN.items():
        yield _build_gauge(f"open_{each}", text, len(statement[each]))
    for each, text in (("capacity_rad", "What a stage has"), ("would_pay_rad", "What it would pay now")):
        rows = [((row["stage"],), _convert_amount(row, each)) for row in statement["stages"]]
        yield _build_labelled_gauge(
            f"stage_{_strip_unit_from_figure_name(each)}", f"{text}, stablecoins.", ("stage",), rows
        )
    if (margin := statement["margin"]) is not None:
        figures = ("held", "unpaid", "insurance", "payable", "unvested")
        amounts = [((each,), _convert_amount(margin, f"{each}_wad")) for each in figures]
        jumps = ("shortfall", "two_largest", "asked")
        amounts += [((each,), _convert_amount(margin["stress"], f"{each}_wad")) for each in jumps]
        yield _build_labelled_gauge(
            "margin", "The margin market's books and insurance, stablecoins.", ("figure",), amounts
        )
    mode = "settlement" if statement["settling"] else statement["mode"]
    rows = [((each,), float(each == mode)) for each in ("normal", "caution", "emergency", "settlement")]
    yield _build_labelled_gauge("mode", "1 for the protocol's mode.", ("mode",), rows)


def _iter_deleveraging_queue_metrics(queue: Mapping) -> Iterator[Metric]:
    """Yield metrics of the auto-deleveraging queue: accounts and lots by side and rank.

    Ranks are six, so each metric has at most twelve series per market.
    """
    sides = [((each["market"], each["side"]), each) for each in queue["sides"]]
    for name, text in (("accounts", "Accounts with lots"), ("lots", "Lots of accounts")):
        rows = [((*key, str(row["light"])), row[name]) for key, each in sides for row in each["lights"]]
        said = f"{text}, by their place in the deleveraging queue: 5 is the first fifth of the lots, 0 none."
        yield _build_labelled_gauge(f"deleveraging_{name}", said, ("market", "side", "light"), rows)
    due = [(key, each["unassigned_lots"]) for key, each in sides]
    said = "Lots of a side that are to be closed, as no account holds so many of the other side."
    yield _build_labelled_gauge("deleveraging_due_lots", said, ("market", "side"), due)


def _iter_work_metrics(work: KeeperWork) -> Iterator[Metric]:
    done = CounterMetricFamily(
        "backstop_transactions", "Transactions by what became of them.", labels=("keeper", "result")
    )
    for key, count in sorted(work.counts.items()):
        done.add_metric(key, count)
    yield done
    yield CounterMetricFamily("backstop_gas_paid_coins", "Coins paid for gas.", work.gas_paid / _WAD)
    ends, total, buckets = [*map(str, LATENCIES), "+Inf"], 0, []
    for end, count in zip(ends, work.answered, strict=True):
        total += count
        buckets.append((end, total))
    yield HistogramMetricFamily(
        "backstop_first_transaction_seconds",
        "From the look that found a block to the first transaction sent for it.",
        buckets,
        work.answered_in,
    )
    yield _build_gauge(
        "failures_in_a_row", "Transactions that failed since one succeeded.", work.failures_in_a_row
    )
    yield _build_labelled_gauge(
        "role_stopped", "1 where a role is stopped.", ("role", "cause"), [(k, 1.0) for k in work.stopped]
    )
    for name, text in (("used", "What of a budget is used."), ("limit", "A budget.")):
        rows = [(key, pair[name == "limit"] / _WAD) for key, pair in work.budgets.items()]
        yield _build_labelled_gauge(
            f"budget_{name}", f"{text[:-1]}, whole coins or tokens.", ("role", "budget"), rows
        )
    pending = [((account,), count) for account, count in work.pending.items()]
    yield _build_labelled_gauge("pending_transactions", "Signed and not mined.", ("account",), pending)
    oldest = [((account,), seconds) for account, seconds in work.oldest.items()]
    yield _build_labelled_gauge(
        "oldest_pending_seconds", "Since the oldest of them was signed.", ("account",), oldest
    )
    for name, amounts in (("capital", work.capital), ("reserved", work.reserved)):
        text = {"capital": "What an account has.", "reserved": "What of it is under way."}[name]
        yield _build_labelled_gauge(
            name, text, ("account", "token"), [(key, wad / _WAD) for key, wad in amounts.items()]
        )


def _build_gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"backstop_{name}", text, value)


def _build_labelled_gauge(
    name: str, text: str, labels: tuple[str, ...], rows: Iterable[tuple[tuple[str, ...], float]]
) -> Metric:
    family = GaugeMetricFamily(f"backstop_{name}", text, labels=labels)
    for key, value in rows:
        family.add_metric(key, value)
    return family


def _convert_amount(figures: Mapping, name: str) -> float:
    """Return a figure in whole stablecoins, or in its own unit if it is no amount."""
    return int(figures[name]) / UNITS[get_figure_unit(name)]


def _strip_unit_from_figure_name(figure_name: str) -> str:
    """Return a figure's name without its unit, such as `short` for `short_rad`."""
    unit = get_figure_unit(figure_name)
    return figure_name if unit == "count" else figure_name.removesuffix(f"_{unit}")


def build_metrics_and_health_routes(board: StatusBoard, command: str, stale: float) -> dict[str, Route]:
    """Return the HTTP routes `/metrics`, `/health`, `/livez` and `/readyz`.

    `command` names the process. `stale` is the time without a new block that counts as an issue [seconds].
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(board, command, stale))
    ProcessCollector(registry=registry)

    def metrics(request: Request) -> Answer:
        encode, kind = choose_encoder(request.accept)
        return Answer([encode(registry)], kind)

    def told(judge: Callable[[StatusBoard, float], dict[str, Any]]) -> Route:
        def answer(_request: Request) -> Answer:
            content = judge(board, stale)
            body = json.dumps(content).encode() + b"\n"
            return Answer([body], "application/json", 200 if content["ok"] else 503)

        return answer

    return {
        "/metrics": metrics,
        "/health": told(build_health_report),
        "/livez": told(report_liveness),
        "/readyz": told(report_readiness),
    }
