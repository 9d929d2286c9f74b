"""The deleveraging queue as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from backstop.keepers.deleveraging_queue import LIGHTS
from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.model.ranked_deleveraging import SCALE
from backstop.report.amounts import format_fixed, format_percent
from backstop.report.exact_amount_markup import choose_noun_form

HEADS = ("place", "account", "lots", "gained", "worth", "score", "before it", "lights")


def format_deleveraging_lights(full_light_count: int) -> str:
    """Return a deleveraging rank as five lights, such as "●●●○○" for three full lights."""
    return "●" * full_light_count + "○" * (LIGHTS - full_light_count)


def format_deleveraging_score(account_row: Mapping[str, Any]) -> str:
    """Return an account's deleveraging score in per cent.

    The score of a ranked account with a worth of zero or less is "owes": it comes first.
    """
    if int(account_row["worth_wad"]) <= 0 and account_row["place"]:
        return "owes"
    return format_percent(int(account_row["score"]), SCALE)


def format_market_side_summary_line(side: Mapping[str, Any]) -> str:
    """Return a line on one side of a market: lots, accounts, price and lots to be closed."""
    price = f"{format_fixed(int(side['mark_wad']), WAD)} a lot" + (
        "" if side["has_price"] else ", the last mark"
    )
    return (
        f"{side['market']} {side['side']}: {side['lots']:,} lots of {side['holders']:,} "
        f"{choose_noun_form(side['holders'], 'account')} at {price}; "
        f"{side['unassigned_lots']:,} to be closed"
    )


def iter_deleveraging_queue_rows(accounts: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    """Yield the table row of each account in the deleveraging queue, as texts."""
    for row in accounts:
        yield (
            "-" if row["place"] is None else f"{row['place']:,}",
            row["owner"],
            f"{row['lots']:,}",
            format_fixed(int(row["gain_wad"]), WAD),
            format_fixed(int(row["worth_wad"]), WAD),
            format_deleveraging_score(row),
            "-" if row["place"] is None else format_percent(row["before_bps"], BASIS_POINTS),
            format_deleveraging_lights(row["light"]),
        )
