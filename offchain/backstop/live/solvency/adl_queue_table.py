"""The deleveraging queue as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from backstop.keepers.deleveraging_queue import LIGHTS
from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.model.ranked_deleveraging import SCALE
from backstop.report.amounts import format_fixed, format_percent
from backstop.report.figure_markup import pluralise_noun

HEADS = ("place", "account", "lots", "gained", "worth", "score", "before it", "lights")


def format_lights(light: int) -> str:
    """Return five signs, so many of them full."""
    return "●" * light + "○" * (LIGHTS - light)


def format_score(row: Mapping[str, Any]) -> str:
    """Return a score in per cent; an account that owed has none, and comes first."""
    if int(row["worth_wad"]) <= 0 and row["place"]:
        return "owes"
    return format_percent(int(row["score"]), SCALE)


def format_side_title(side: Mapping[str, Any]) -> str:
    """Return a line about a side of a market."""
    price = f"{format_fixed(int(side['mark_wad']), WAD)} a lot" + (
        "" if side["has_price"] else ", the last mark"
    )
    return (
        f"{side['market']} {side['side']}: {side['lots']:,} lots of {side['holders']:,} "
        f"{pluralise_noun(side['holders'], 'account')} at {price}; "
        f"{side['unassigned_lots']:,} to be closed"
    )


def iter_account_rows(accounts: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each account."""
    for row in accounts:
        yield (
            "-" if row["place"] is None else f"{row['place']:,}",
            row["owner"],
            f"{row['lots']:,}",
            format_fixed(int(row["gain_wad"]), WAD),
            format_fixed(int(row["worth_wad"]), WAD),
            format_score(row),
            "-" if row["place"] is None else format_percent(row["before_bps"], BASIS_POINTS),
            format_lights(row["light"]),
        )
