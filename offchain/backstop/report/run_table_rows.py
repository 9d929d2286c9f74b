"""Tables of one run's page: exact integers in, rows for the template out."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pandas as pd

from backstop.model.arithmetic import RAY
from backstop.report.run_frames import (
    find_cheapest_take_and_market_price,
    get_table,
    list_records,
    list_take_and_market_prices,
)
from backstop.simulation.run_directory import Run

FIRST_ROWS = 12  # of a long table, which a page shows before it is asked for more
MOST_ROWS = 300  # of such a table that a page has

_ENDS = ("AuctionEnded", "AuctionClosed", "AuctionUnwound")


class AuctionRow(NamedTuple):
    """Row of the page's table of auctions."""

    id: int
    symbol: str
    owner: str
    started_at: int
    seconds: int
    principal_rad: int
    raised_wad: int
    worth_wad: int  # what was sold, at the market price of each fill
    lost_rad: int  # of an unwound one nothing: its debt went back to its vault
    resets: int
    ended_by: str
    takes: int
    owner_lost_wad: int  # worth sold beyond the debt that it stood for
    steps: tuple[int, ...]  # at which anything happened to it
    end_step: int | None  # of the action that ended it

    @property
    def vault_row_anchor(self) -> str:
        """HTML anchor of the row of the auctioned vault."""
        plain = "".join(letter if letter.isalnum() else "-" for letter in self.symbol)
        return f"vault-{plain}-{self.owner}"


class Purchase(NamedTuple):
    """Row of the page's table of purchases; the worth is at the market price of that moment."""

    step: int
    auction: int
    at: int
    buyer: str
    symbol: str
    bought_wad: int
    worth_wad: int
    paid_wad: int


class FillCounts(NamedTuple):
    """Counts of purchases by price; `lowest` is the cheapest one's price and market price [ray]."""

    purchases: int
    under_half: int
    near_zero: int
    lowest: tuple[int, int]


def list_auctions(run: Run) -> list[AuctionRow]:
    """Return the rows of all auctions: largest losses first, then largest debts."""
    frame = get_table(run, "auctions")
    if frame.empty:
        return []
    worth: dict[int, int] = {}
    takes: dict[int, int] = {}
    for take in list_records(get_table(run, "takes")):
        at_market = int(take["slice_wad"]) * int(take["market_price_ray"]) // RAY
        worth[int(take["auction_id"])] = worth.get(int(take["auction_id"]), 0) + at_market
        takes[int(take["auction_id"])] = takes.get(int(take["auction_id"]), 0) + 1
    ends: dict[int, int] = {}
    steps: dict[int, list[int]] = {}
    for step, auction, over in list_auction_steps_and_ends(run):
        steps.setdefault(auction, []).append(step)
        if over:
            ends[auction] = step
    rows = [
        AuctionRow(
            id=int(row["auction_id"]),
            symbol=str(row["symbol"]),
            owner=str(row["owner"]),
            started_at=int(row["started_at"]),
            seconds=_get_auction_end_time(row["ended_at"], run) - int(row["started_at"]),
            principal_rad=int(row["principal_rad"]),
            raised_wad=int(row["raised_wad"]),
            worth_wad=worth.get(int(row["auction_id"]), 0),
            lost_rad=0 if row["ended_by"] == "unwound" else int(row["principal_lost_rad"]),
            resets=int(row["resets"]),
            ended_by=str(row["ended_by"]),
            takes=takes.get(int(row["auction_id"]), 0),
            owner_lost_wad=max(0, worth.get(int(row["auction_id"]), 0) - int(row["principal_rad"]) // RAY),
            steps=tuple(steps.get(int(row["auction_id"]), ())),
            end_step=ends.get(int(row["auction_id"])),
        )
        for row in list_records(frame)
    ]
    return sorted(rows, key=lambda row: (-row.lost_rad, -row.principal_rad, row.id))


def list_auction_steps_and_ends(run: Run) -> list[tuple[int, int, bool]]:
    """Return the step, the auction id and whether it ended, for each event of an auction."""
    frame = get_table(run, "events")
    if frame.empty:
        return []
    own = list_records(frame[frame["contract"] == "CollateralAuction"])
    return [(int(row["step"]), int(json.loads(row["values"])[0]), row["event"] in _ENDS) for row in own]


def list_largest_purchases(run: Run) -> list[Purchase]:
    """Return the rows of the largest purchases by market value, at most the page's maximum."""
    found = [
        Purchase(
            step=int(take["step"]),
            auction=int(take["auction_id"]),
            at=int(take["timestamp"]),
            buyer=str(take["taker_name"] or take["taker"]),
            symbol=str(take["symbol"]),
            bought_wad=int(take["slice_wad"]),
            worth_wad=int(take["slice_wad"]) * int(take["market_price_ray"]) // RAY,
            paid_wad=int(take["paid_wad"]),
        )
        for take in list_records(get_table(run, "takes"))
    ]
    return sorted(found, key=lambda row: (-row.worth_wad, row.step, row.auction))[:MOST_ROWS]


def count_takes_by_discount(run: Run) -> FillCounts | None:
    """Return the counts of purchases by price relative to the market; None without purchases."""
    frame = get_table(run, "takes")
    pairs = list_take_and_market_prices(frame) if len(frame) else []
    if not pairs:
        return None
    return FillCounts(
        purchases=len(pairs),
        under_half=sum(2 * price < market for price, market in pairs),
        near_zero=sum(10 * price < market for price, market in pairs),
        lowest=find_cheapest_take_and_market_price(frame),
    )


def list_keeper_indices_by_profit(summary: dict[str, Any]) -> list[int]:
    """Return the keepers' positions in the summary, the highest profit first."""
    keepers = summary["keepers"]
    return sorted(range(len(keepers)), key=lambda i: (-int(keepers[i]["profit_wad"]), i))


def count_revert_reasons(summary: dict[str, Any]) -> list[tuple[str, int]]:
    """Return pairs of revert reason and count, the most frequent first."""
    reverted = summary["actions"]["reverted"]
    return sorted(reverted.items(), key=lambda entry: (-entry[1], entry[0]))


def _get_auction_end_time(ended_at: Any, run: Run) -> int:
    return int(run.summary["ended_at"]) if ended_at is None or pd.isna(ended_at) else int(ended_at)
