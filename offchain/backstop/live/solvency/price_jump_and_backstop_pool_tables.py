"""Rows of the statement's tables on the margin market: losses after jumps, and the backstop pool."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.report.amounts import format_fixed, format_moment, format_percent

Rows = tuple[Sequence[str], list[tuple[Any, ...]]]


def describe_if_insurance_covers_worst_jump(margin: Mapping[str, Any]) -> str:
    """Return a sentence on whether insurance covers the worst price jump, with the amounts."""
    stress, pool = margin["stress"], margin["pool"]
    says = "is covered" if stress["covered"] else "is NOT covered"
    two = "are" if stress["two_covered"] else "are NOT"
    has = "" if pool is None else f"; the backstop pool has {_format_coins(pool['value_wad'])}"
    return (
        f"the worst jump ({stress['worst'] or 'none costs anything'}) {says}: accounts would lack "
        f"{_format_coins(stress['shortfall_wad'])} of {_format_coins(margin['payable_wad'])} that insurance "
        f"may pay; the two largest {two}: {_format_coins(stress['two_largest_wad'])}{has}"
    )


def iter_margin_table_headers_and_rows(margin_statement: Mapping[str, Any]) -> Iterator[Rows]:
    """Yield the column heads and the rows of each table of the margin market's statement.

    The tables are price jumps, the largest shortfalls, and the backstop pool.
    """
    stress = margin_statement["stress"]
    yield (
        ("prices jump", "by", "accounts that owe", "lacking", "of the two largest"),
        [
            (
                row["jump"],
                ", ".join(
                    dict.fromkeys(format_percent(abs(gap), BASIS_POINTS) for gap in row["gaps_bps"].values())
                ),
                row["accounts"],
                _format_coins(row["shortfall_wad"]),
                _format_coins(row["two_largest_wad"]),
            )
            for row in stress["jumps"]
        ],
    )
    yield (
        ("would lack most", "lacking"),
        [(row["owner"], _format_coins(row["shortfall_wad"])) for row in stress["largest"]],
    )
    if (pool := margin_statement["pool"]) is not None:
        yield from _iter_pool_table_headers_and_rows(pool)


def _iter_pool_table_headers_and_rows(pool_statement: Mapping[str, Any]) -> Iterator[Rows]:
    open_ends = {
        "lots": str(sum(1 for row in pool_statement["markets"] if row["lots"])) + " markets",
        "gains not final": _format_coins(pool_statement["unfinal_wad"]),
        "bond": _format_coins(pool_statement["bond_wad"]),
        "debt": _format_coins(pool_statement["debt_wad"]),
    }
    asks = any(row["lots"] for row in pool_statement["markets"])
    kept = [
        f"{name} {said}"
        for name, said in open_ends.items()
        if (asks if name == "lots" else said != _format_coins("0"))
    ]
    yield (
        ("backstop pool", "members' value", "used", "of", "crumbs, shares"),
        [
            (
                "at rest"
                if pool_statement["is_idle"]
                else f"at work: {', '.join(kept) or 'less than a coin'}",
                _format_coins(pool_statement["value_wad"]),
                _format_coins(pool_statement["used_wad"]),
                _format_coins(pool_statement["usable_wad"]),
                pool_statement["crumbs_shares"],
            )
        ],
    )
    yield (
        ("pool in market", "lots", "used", "limit", "quoted lots", "until"),
        [
            (
                row["market"],
                row["lots"],
                _format_coins(row["used_wad"]),
                _format_coins(row["limit_wad"]),
                row["quoted_lots"],
                "-" if row["quoted_until"] is None else format_moment(row["quoted_until"]),
            )
            for row in pool_statement["markets"]
        ],
    )
    yield (
        ("pool's batch", "worth now", "due at rest from", "pool only reduces from"),
        [
            (
                row["batch"],
                _format_coins(row["worth_wad"]),
                format_moment(row["due_at"]),
                format_moment(row["reduces_from"]),
            )
            for row in pool_statement["batches"]
        ],
    )


def _format_coins(amount: str) -> str:
    return format_fixed(int(amount), WAD, 0)
