"""A table of the statement for a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from backstop.live.solvency.price_jump_and_backstop_pool_tables import (
    describe_if_insurance_covers_worst_jump,
    iter_margin_table_headers_and_rows,
)
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, WAD
from backstop.report.amounts import format_compact, format_fixed, format_moment, format_percent
from backstop.report.debt_maturity import list_audit_maturities

_VAULTS = 10


def print_statement(statement: dict[str, Any], block: dict[str, Any]) -> None:
    """Print the solvency statement of a block as tables on stdout, in whole stablecoins."""
    console = Console(file=sys.stdout, highlight=False, width=120)
    sheet, coverage = statement["balance_sheet"], statement["coverage"]
    console.print(
        f"block {block['number']}, {format_moment(block['timestamp'])}, {statement['mode']}", style="bold"
    )
    lines = [
        (
            "stablecoin",
            _format_whole_coins(sheet["supply_wad"], WAD),
            "performing debt",
            _format_whole_coins(sheet["performing_rad"]),
        ),
        (
            "reserve",
            _format_whole_coins(sheet["reserve_rad"]),
            "under auction",
            _format_whole_coins(sheet["in_auction_rad"]),
        ),
        (
            "buffers",
            _format_whole_coins(sheet["buffers_rad"]),
            "losses outstanding",
            _format_whole_coins(sheet["deficit_rad"]),
        ),
        (
            "owed",
            _format_whole_coins(sheet["liabilities_rad"]),
            "owned",
            _format_whole_coins(sheet["claims_on_others_rad"]),
        ),
    ]
    _print_table(console, ("", "owes", "", "owns"), lines)
    lines = [
        (
            "collateral",
            _format_whole_coins(coverage["collateral_rad"]),
            _format_bps_as_percent(coverage["collateral_bps"]),
            "of debt",
        ),
        (
            "debt that it carries",
            _format_whole_coins(coverage["backed_rad"]),
            _format_bps_as_percent(coverage["backing_bps"]),
            "of stablecoin",
        ),
        (
            "to cover",
            _format_whole_coins(coverage["to_cover_rad"]),
            _format_bps_as_percent(coverage["coverage_bps"]),
            "by the stages",
        ),
    ]
    _print_table(console, ("coverage", "", "", ""), lines)
    _print_table(
        console,
        ("type", "price", "vaults", "unsafe", "debt", "auctions", "losses", "short", "collateral", "of debt"),
        [
            (
                row["symbol"],
                format_compact(int(row["price_ray"]), RAY) + ("" if row["fresh"] else " stale"),
                row["vaults"],
                row["unsafe_vaults"],
                _format_whole_coins(row["performing_rad"]),
                _format_whole_coins(row["in_auction_rad"]),
                _format_whole_coins(row["deficit_rad"]),
                _format_whole_coins(row["short_rad"]),
                _format_bps_as_percent(row["collateral_bps"]),
                _format_bps_as_percent(row["of_debt_bps"]),
            )
            for row in statement["collateral_types"]
        ],
    )
    _print_table(
        console,
        (
            "stage",
            "has",
            *(f"for {row['symbol']}" for row in statement["collateral_types"]),
            "would pay",
            "owes",
        ),
        [
            (
                row["stage"].replace("_", " "),
                _format_whole_coins(row["capacity_rad"]),
                *("selling" if rad is None else _format_whole_coins(rad) for rad in row["payable_rad"]),
                _format_whole_coins(row["would_pay_rad"]),
                _format_whole_coins(row["owed_rad"]),
            )
            for row in statement["stages"]
        ],
    )
    _print_table(
        console,
        ("stage left out", "owes"),
        [
            (row["stage"].replace("_", " "), _format_whole_coins(row["owed_rad"]))
            for row in statement["stages_left_out"]
        ],
    )
    for line in _describe_policy_and_announcements(statement):
        console.print(line)
    pools = {row["pool"]: row for row in statement["pools"]}
    for row in statement["claims"]:
        pools[row["series"].removesuffix(".Claims")]["claims_wad"] = row["outstanding_wad"]
    _print_table(
        console,
        ("pool", "assets", "not vested", "losses to come", "claims"),
        [
            (
                name,
                *(
                    "-" if row.get(figure) is None else _format_whole_coins(row[figure], WAD)
                    for figure in ("assets_wad", "unvested_wad", "pending_losses_wad", "claims_wad")
                ),
            )
            for name, row in pools.items()
        ],
    )
    _print_table(
        console,
        ("facilitator", "owes", "of its line", "lost", "announced", "booked from"),
        [
            (
                row["symbol"],
                _format_whole_coins(row["debt_rad"]),
                _format_whole_coins(row["line_rad"]),
                _format_whole_coins(row["lost_wad"], WAD),
                _format_whole_coins(row["announced_wad"], WAD),
                "-" if row["ready_at"] is None else format_moment(row["ready_at"]),
            )
            for row in statement["facilitators"]
        ],
    )
    _print_table(
        console,
        ("workout", "owner", "type", "principal", "left to pay", "next due", "standing", "short"),
        [
            (
                row["id"],
                row["owner"],
                row["symbol"],
                _format_whole_coins(row["principal_rad"]),
                _format_whole_coins(row["left_wad"], WAD),
                format_moment(row["due_at"]),
                "good" if row["good_standing"] else "broken",
                _format_whole_coins(row["short_rad"]),
            )
            for row in statement["workouts"]
        ],
    )
    _print_table(
        console,
        ("due", "debt"),
        [(each.title, _format_whole_coins(str(each.due))) for each in list_audit_maturities(statement)],
    )
    concentration = statement["concentration"]
    largest = ", ".join(
        f"{row['owners']}: {_format_bps_as_percent(row['bps'])}" for row in concentration["largest"]
    )
    console.print(
        f"owners with debt {concentration['owners']}; the largest {largest}; "
        f"Herfindahl {_format_bps_as_percent(concentration['herfindahl_bps'])}"
    )
    _print_table(
        console,
        ("largest vaults", "type", "debt", "collateral", "short"),
        [
            (
                row["owner"],
                row["symbol"],
                _format_whole_coins(row["debt_rad"]),
                _format_bps_as_percent(row["collateral_bps"]),
                _format_whole_coins(row["short_rad"]),
            )
            for row in statement["vaults"][:_VAULTS]
        ],
    )
    counts = {name: len(statement[name]) for name in ("auctions", "sales", "workouts", "calls", "flags")}
    console.print(
        f"open: {counts['auctions']} auctions of collateral, {counts['sales']} of equity, "
        f"{counts['workouts']} workouts, {counts['calls']} margin calls, {counts['flags']} flags"
    )
    if (margin := statement["margin"]) is not None:
        has = {
            name: _format_whole_coins(amount, WAD) for name, amount in margin.items() if name.endswith("_wad")
        }
        console.print(
            f"margin market ({margin['policy']}): {has['held_wad']} held, {has['unpaid_wad']} unpaid; "
            f"insurance {has['insurance_wad']}, of which {has['payable_wad']} now; "
            f"profits not vested {has['unvested_wad']}"
        )
        console.print(describe_if_insurance_covers_worst_jump(margin))
        for heads, rows in iter_margin_table_headers_and_rows(margin):
            _print_table(console, heads, rows)
    _print_powers(console, statement["powers"])


def _describe_policy_and_announcements(statement: dict[str, Any]) -> list[str]:
    """Return lines on announced changes, and on the risk policy if it is not the deployed one."""
    found, policy, pending = [], statement["risk_policy"], statement["pending"]
    if policy is not None and not policy["deployed"]:
        found.append(f"risk policy: {policy['address']}, a {policy['kind']} that came later")
    if pending["stages"] is not None:
        stages = pending["stages"]
        found.append(
            f"other stages are announced: {stages['hash']}, from {format_moment(stages['ready_at'])}"
        )
    if pending["settlement_from"] is not None:
        found.append(f"settlement is announced: from {format_moment(pending['settlement_from'])}")
    for each in pending["delistings"]:
        how = "has ended, delisted" if each["ended"] else "is delisted: settled from"
        found.append(f"perpetual market {each['market']} {how} {format_moment(each['ends_at'])}")
    return found


def _print_powers(console: Console, powers: dict[str, Any]) -> None:
    """Print admins, roles and timelock proposals; each role has a row, so that no name is cut off."""
    console.print()
    contracts = powers["contracts"]
    rows = [
        (each["contract"], each["admin"], _format_duration(each["announced"]) or "at once")
        for each in contracts
    ]
    _print_table(console, ("contract", "admin", "announced"), rows)
    granted = [
        (each["contract"], role["role"], role["account"]) for each in contracts for role in each["roles"]
    ]
    _print_table(console, ("contract", "role", "account"), granted)
    for each in powers["timelocks"]:
        console.print(
            f"{each['timelock']}: {each['governor']} proposes, {each['guardian']} cancels and forbids new "
            f"risk; to be executed within {_format_duration(each['window'])}"
        )
        shorter = [
            (row["contract"], row["selector"], _format_duration(row["delay"])) for row in each["shorter"]
        ]
        _print_table(console, ("waits for less", "function", ""), shorter)
        waiting = [
            (row["id"], format_moment(row["ready_at"]), format_moment(row["expires_at"]))
            for row in each["proposals"]
        ]
        _print_table(console, ("proposed", "from", "until"), waiting)


def _format_duration(seconds: int) -> str:
    """Return a duration in days, hours or seconds as text; "" for 0."""
    for unit, name in ((86_400, "d"), (3_600, "h")):
        if seconds and seconds % unit == 0:
            return f"{seconds // unit} {name}"
    return f"{seconds} s" if seconds else ""


def _print_table(console: Console, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    if not rows:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, head in enumerate(heads):
        table.add_column(head, justify="left" if i == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)
    console.print()


def _format_whole_coins(amount: str, units_per_coin: int = RAD) -> str:
    return format_fixed(int(amount), units_per_coin, 0)


def _format_bps_as_percent(basis_points: int | None) -> str:
    return "-" if basis_points is None else format_percent(basis_points, BASIS_POINTS)
