"""Outcome of each vault and member, and the cost of each step by party: rows for a run's page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from backstop.deployment.contracts_by_parameter_name import POOLS
from backstop.model.arithmetic import RAY
from backstop.report.run_frames import get_table, list_records
from backstop.report.run_table_rows import AuctionRow
from backstop.simulation.loss_bearers import PAYERS
from backstop.simulation.run_directory import Run

_STAGE_OF = {contract: stage for stage, (contract, *_) in POOLS.items()}

_WHAT = {
    "recognised": "bad debt",
    "covered": "paid",
    "reserved": "set aside",
    "released": "given back",
    "recovered": "recovered",
    "carried": "carried on",
}
"""Names of the waterfall's postings in the table of steps."""

REWARD = "bad debt: a keeper's reward"
"""Name of the same posting of a reward: a loss where no buffer is left to pay it."""


class VaultRow(NamedTuple):
    """Row of the page's table of liquidated vaults, one per owner and collateral type."""

    anchor: str
    symbol: str
    owner: str
    first_at: int
    liquidations: int
    debt_rad: int
    sold_wad: int  # worth of what was sold, at the market price of each purchase
    raised_wad: int
    owner_lost_wad: int
    left_rad: int  # bad debt, which others pay
    end_step: int | None  # of the last auction; None while one is open


class LossStep(NamedTuple):
    """Amount that one step of the run cost a party, or that a party paid."""

    anchor: str
    step: int
    at: int
    what: str
    who: str
    vault: str  # address of the vault's row, if a vault's owner is who
    auction: int | None
    symbol: str
    amount_rad: int


class BadDebtCauses(NamedTuple):
    """Bad debt of a run divided by cause [rad]; the parts add up to the total."""

    auctions: int  # that did not raise their debt
    rewards: int  # of keepers, where no buffer was left to pay them
    elsewhere: int  # without an auction, as of a bridge
    sales: int = 0  # at a fixed discount, that did not repay theirs
    pools: int = 0  # stability pools, that did not repay all of theirs


class MemberRow(NamedTuple):
    """Row of the page's table of pool members, in the pool's asset."""

    anchor: str
    name: str
    pool: str
    stage: str  # that pays with the pool's money; empty if none does
    asset: str
    deposit_wad: int
    end_wad: int
    left_at: int | None

    @property
    def change_wad(self) -> int:
        """Final balance minus deposit [wad]; negative for a loss."""
        return self.end_wad - self.deposit_wad


def list_vaults(auctions: Iterable[AuctionRow]) -> list[VaultRow]:
    """Return the rows of auctioned vaults, the largest loss of owner and others first."""
    found: dict[tuple[str, str], list[AuctionRow]] = {}
    for row in auctions:
        found.setdefault((row.symbol, row.owner), []).append(row)
    rows = [_build_auctioned_vault_row(own) for own in found.values()]
    return sorted(rows, key=lambda row: (-row.owner_lost_wad * RAY - row.left_rad, row.anchor))


def _build_auctioned_vault_row(auction_rows: Sequence[AuctionRow]) -> VaultRow:
    steps = [row.end_step for row in auction_rows]
    return VaultRow(
        anchor=auction_rows[0].vault_row_anchor,
        symbol=auction_rows[0].symbol,
        owner=auction_rows[0].owner,
        first_at=min(row.started_at for row in auction_rows),
        liquidations=len(auction_rows),
        debt_rad=sum(row.principal_rad for row in auction_rows),
        sold_wad=sum(row.worth_wad for row in auction_rows),
        raised_wad=sum(row.raised_wad for row in auction_rows),
        owner_lost_wad=sum(row.owner_lost_wad for row in auction_rows),
        left_rad=sum(row.lost_rad for row in auction_rows),
        end_step=None if None in steps else max(step for step in steps if step is not None),
    )


def list_step_costs(run: Run, auctions: Sequence[AuctionRow]) -> list[LossStep]:
    """Return the costs and payments of all steps, in order: cheap sales, bad debt, payers.

    The owner's cost of an auction counts at its end, so open auctions are not included.
    """
    rows = [
        *_iter_cheap_sale_loss_steps(auctions),
        *_iter_waterfall_loss_steps(run, auctions),
        *_iter_margin_payment_steps(run),
    ]
    rows.sort(key=lambda row: row.step)
    return [row._replace(anchor=f"loss-{place}") for place, row in enumerate(rows, start=1)]


def split_bad_debt(
    created_rad: int,
    auctions: Iterable[AuctionRow],
    steps: Iterable[LossStep],
    sales_rad: int,
    pools_rad: int,
) -> BadDebtCauses:
    """Return a run's bad debt by cause: auctions, keepers' rewards, other, discount sales, pools [rad]."""
    lost = sum(row.lost_rad for row in auctions)
    rewards = sum(row.amount_rad for row in steps if row.what == REWARD)
    return BadDebtCauses(
        lost, rewards, created_rad - lost - rewards - sales_rad - pools_rad, sales_rad, pools_rad
    )


def _iter_cheap_sale_loss_steps(auctions: Sequence[AuctionRow]) -> Iterable[LossStep]:
    for row in auctions:
        if row.owner_lost_wad and row.end_step is not None:
            at, lost = row.started_at + row.seconds, row.owner_lost_wad * RAY
            yield _build_auction_loss_step(row, row.end_step, at, "cheap sale", lost)


def _build_auction_loss_step(
    auction_row: AuctionRow, step: int, timestamp: int, description: str, amount_rad: int
) -> LossStep:
    return LossStep(
        "",
        step,
        timestamp,
        description,
        auction_row.owner,
        auction_row.vault_row_anchor,
        auction_row.id,
        auction_row.symbol,
        amount_rad,
    )


def _iter_waterfall_loss_steps(run: Run, auctions: Sequence[AuctionRow]) -> Iterable[LossStep]:
    """Yield the loss waterfall's postings; bad debt of a single auction is assigned to its vault."""
    by_id = {row.id: row for row in auctions}
    at_step: dict[int, set[int]] = {}
    for auction in auctions:
        for step in auction.steps:
            at_step.setdefault(step, set()).add(auction.id)
    for each in list_records(get_table(run, "waterfall")):
        step, at, amount = int(each["step"]), int(each["timestamp"]), int(each["amount_rad"])
        what, symbol = _WHAT[each["kind"]], str(each["symbol"])
        own = at_step.get(step, set()) if each["kind"] == "recognised" else set()
        row = by_id[next(iter(own))] if len(own) == 1 else None
        if row is not None:
            ended = (row.end_step, row.lost_rad) == (step, amount)
            yield _build_auction_loss_step(row, step, at, what if ended else REWARD, amount)
        else:
            yield LossStep("", step, at, what, str(each["stage"] or ""), "", None, symbol, amount)


def _iter_margin_payment_steps(run: Run) -> Iterable[LossStep]:
    """Yield the payments for losses of insolvent accounts in the margin market."""
    for each in list_records(get_table(run, "margin_payments")):
        who = next((str(each[name]) for name in ("payer_name", "payer") if _is_given(each.get(name))), "")
        kind = str(each["kind"])
        what = f"paid by {PAYERS[kind]}" if kind in PAYERS else "left unpaid"
        paid = int(each["paid_wad"]) * RAY
        yield LossStep("", int(each["step"]), int(each["timestamp"]), what, who, "", None, "", paid)


def _is_given(value: Any) -> bool:
    return value is not None and not pd.isna(value) and value != ""


def select_largest_loss_steps(loss_steps: Sequence[LossStep], count: int) -> list[LossStep]:
    """Return the `count` largest amounts, in the order of steps."""
    chosen = sorted(loss_steps, key=lambda row: -row.amount_rad)[:count]
    return sorted(chosen, key=lambda row: (row.step, int(row.anchor.rpartition("-")[2])))


def list_members(summary: Mapping[str, Any]) -> list[MemberRow]:
    """Return the rows of all pool members, in the order of the scenario."""
    return [
        MemberRow(
            anchor=f"member-{place}",
            name=str(each["name"]),
            pool=str(each["pool"]),
            stage=_STAGE_OF.get(str(each["pool"]), ""),
            asset=str(each["asset"]),
            deposit_wad=int(each["deposit_wad"]),
            end_wad=int(each["end_wad"]),
            left_at=None if each["left_at"] is None else int(each["left_at"]),
        )
        for place, each in enumerate(summary.get("members", ()), start=1)
    ]
