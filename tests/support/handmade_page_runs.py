"""Small hand-made runs with inputs that a page must survive: hostile names, dust, no rows, huge numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.simulation.loss_totals import add_loss_totals
from backstop.simulation.run_directory import Run

START = 1_583_971_200
HOURS = 6
TITLE = '<script>document.title = "taken"</script> & "quotes"'
NAME = "a-keeper-with-a-name-that-is-far-too-long-for-any-column-of-a-telephone"


def build_handmade_crash_run() -> Run:
    """Losses through every stage, bids near zero, an auction still open, symbols that are no words."""
    created = 5_672_123 * RAD + 1
    covered = [("buffer", 450_000 * RAD), ("reserve", 7), ("savings", 900_000 * RAD + RAY)]
    outstanding = created - sum(amount for _, amount in covered)
    summary = _build_handmade_run_summary(
        TITLE, [_build_type("ETH", 144), _build_type("</script>", 3)], created, covered, outstanding
    )
    summary = add_loss_totals(summary | {"margin": _build_margin_summary()})
    times = [START + 600 * i for i in range(HOURS * 6)]
    state = [
        {
            "timestamp": at,
            "collateral_type": number,
            "symbol": symbol,
            "market_price_ray": str((200 - i) * RAY),
            "pool_price_ray": str((199 - i) * RAY),
            "current_ray": str((200 - i // 6 * 6) * RAY),
            "next_ray": str((200 - i) * RAY),
            "locked_wad": str(10**6 * WAD),
            "performing_rad": str((10**8 - i) * RAD),
            "in_auction_rad": str(i * RAD),
            "deficit_rad": str(i * 1000 * RAD),
            "buffer_rad": "0",
            "ratio_bps": 20_000 - i * 100 if i else None,
            "unsafe_vaults": i,
        }
        for i, at in enumerate(times)
        for number, symbol in enumerate(("ETH", "</script>"))
    ]
    frames = {
        "state": pd.DataFrame(state),
        "system": pd.DataFrame([_build_system_row(at, i) for i, at in enumerate(times)]),
        "auctions": pd.DataFrame([_build_auction_row(i) for i in range(30)]),
        "takes": pd.DataFrame([_build_take_row(i) for i in range(40)]),
        "waterfall": pd.DataFrame(
            [
                _build_posting_row("recognised", "", created),
                *(_build_posting_row("covered", stage, amount) for stage, amount in covered),
            ]
        ),
    }
    kinds = ("clawed_back", "insured", "taken", "left", "posted", "cut")
    frames["margin_payments"] = pd.DataFrame([_build_payment(i, kinds[i % 6]) for i in range(40)])
    return Run(path=Path(), summary=summary, meta=_build_meta(), frames=frames)


def build_calm_run() -> Run:
    """Nothing happened: no auction, no loss, a single type, tables without rows."""
    summary = _build_handmade_run_summary("A calm day", [_build_type("ETH", 0)], 0, [("buffer", 0)], 0)
    summary["paid_by"] = [{"group": group, "wad": "0"} for group in ("borrowers", "protocol")]
    summary = add_loss_totals(summary)
    summary["keepers"] = []
    summary["actions"] = {"sent": 0, "succeeded": 0, "reverted": {}, "dropped": 0}
    frames = {"system": pd.DataFrame([_build_system_row(START, 0), _build_system_row(START + 600, 0)])}
    return Run(path=Path(), summary=summary, meta=_build_meta(), frames=frames)


def _build_handmade_run_summary(
    title: str,
    types: list[dict[str, Any]],
    created_loss: int,
    covered_by_stage: list[tuple[str, int]],
    outstanding_loss: int,
) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "scenario": "sample",
        "title": title,
        "description": "What happened, & <b>why</b>.",
        "facts": ["Prices of the day (a source)."],
        "assumptions": ["The book is drawn by lot."],
        "outages": [{"from": START + 3600, "to": START + 9000, "keepers": ["taker"]}],
        "completed": True,
        "seed": 7,
        "started_at": START,
        "ended_at": START + HOURS * 3600,
        "steps": 12_345,
        "fields_compared": 9_876_543_210,
        "differences": 0,
        "actions": {
            "sent": 5120,
            "succeeded": 4801,
            "reverted": {"price_feed: too early": 4, "": 1},
            "dropped": 255,
        },
        "collateral_types": types,
        "losses": {
            "created_rad": str(created_loss),
            "recovered_rad": "0",
            "covered": [{"stage": stage, "rad": str(amount)} for stage, amount in covered_by_stage],
            "outstanding_rad": str(outstanding_loss),
        },
        "paid_by": [
            {"group": "borrowers", "wad": str(8_300_000 * WAD + 1)},
            {"group": "protocol", "wad": str(450_000 * WAD)},
            {"group": "savers", "wad": str(900_000 * WAD)},
            {"group": "holders", "wad": str(outstanding_loss // RAY)},
        ],
        "keepers": [
            _build_keeper_profit_row("reporter-1", -(31 * WAD + 5)),
            _build_keeper_profit_row(NAME, 123_456_789_012 * WAD),
            _build_keeper_profit_row("idle", 0),
        ],
        "ledger": {
            "supply_wad": str(2**255 // 10**30),
            "reserve_rad": "0",
            "buffers_rad": "1",
            "performing_rad": str(10**8 * RAD),
            "in_auction_rad": "0",
            "deficit_rad": str(outstanding_loss),
            "balance_gap_rad": "0",
        },
        "state_hash": "0x" + "ab" * 32,
    }


def _build_margin_summary() -> dict[str, Any]:
    """More closings and cycles than the page shows, a loss that is not all paid, hostile names."""
    paid = dict.fromkeys(("clawed_back_wad", "insured_wad", "posted_wad", "cut_wad"), str(7 * WAD + 1))
    closing = {"market": "</script>", "lots": 2**62, "whole_lots": 2**62 + 1}
    cycle = {"market": "</script>", "side": "long", "gained_wad": str(10**9 * WAD), "borne_wad": str(WAD)}
    return {
        "policy": "ranked",
        "accounts": 10_000,
        "liquidations": 12,
        "bankruptcies": 44,
        "seized": 44,
        "relieved": 3,
        "deleveraged": 30,
        "loss_wad": str(10**9 * WAD + 44),
        **paid,
        "taken_wad": str(9 * 10**8 * WAD),
        "forgone_wad": "0",
        "pending_wad": "0",
        "unpaid_wad": "5",
        "left_alone_wad": "1",
        "left_lots": {"</script>": 3},
        "closings": [closing | {"at": 60 * i, "accounts": i} for i in range(30)],
        "cycles": [cycle | {"at": 60 * i, "cycle": i} for i in range(30)],
        "payers": [{"account": name, "paid_wad": str(WAD)} for name in (NAME, "<b>")],
    }


def _build_payment(i: int, kind: str) -> dict[str, Any]:
    return {
        "step": i,
        "timestamp": START + 400 * i,
        "kind": kind,
        "payer": None,
        "payer_name": None,
        "paid_wad": str(i * 10**9 * WAD),
    }


def _build_type(symbol: str, liquidations: int) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "liquidation_ratio_bps": 15_000,
        "opened_vaults": 200,
        "liquidations": liquidations,
        "auctions": {"started": liquidations, "resets": 2, "cleared": liquidations, "closed": 0},
        "worst_price_ray": str(8_612 * RAY // 100),
        "final_price_ray": str(121 * RAY),
        "debt_rad": str(1_234_567 * RAD),
        "deficit_rad": "0",
        "buffer_rad": "12",
    }


def _build_keeper_profit_row(name: str, profit: int) -> dict[str, Any]:
    return {
        "name": name,
        "role": "taker",
        "sent": 300,
        "included": 211,
        "failed": 12,
        "profit_wad": str(profit),
        "gas_cost_wad": str(31 * WAD),
    }


def _build_meta() -> dict[str, Any]:
    return {
        "schema_version": 1,
        "host": "revm",
        "created": "2025-01-02T03:04:05+00:00",
        "seconds": "31.4",
        "versions": {"backstop": "0.1.0", "vyper": "0.4.3"},
        "command": "ape run simulate --scenario sample --seed 7 --host revm",
        "run_dir": "runs/sample-7-revm",
    }


def _build_system_row(at: int, i: int) -> dict[str, Any]:
    return {
        "timestamp": at,
        "supply_wad": str(10**8 * WAD),
        "reserve_rad": str(max(0, 500 - 20 * i) * 1000 * RAD),
        "buffers_rad": str(max(0, 900 - 60 * i) * 1000 * RAD),
        "savings_wad": str(3_000_000 * WAD),
        "gas_price_wei": str((20 + 7 * i % 90) * 10**9),
        "pending": i,
        "open_auctions": i % 5,
    }


def _build_auction_row(i: int) -> dict[str, Any]:
    return {
        "auction_id": i + 1,
        "collateral_type": i % 2,
        "symbol": ("ETH", "</script>")[i % 2],
        "owner": f"0x{i:040x}",
        "started_at": START + 300 * i,
        "ended_at": None if i == 29 else START + 300 * i + 900,
        "lot_wad": str(100 * WAD),
        "sold_wad": str(90 * WAD),
        "returned_wad": str(10 * WAD),
        "principal_rad": str((10_000 + i) * RAD),
        "target_rad": str((11_300 + i) * RAD),
        "raised_wad": str(9_000 * WAD),
        "principal_lost_rad": str(max(0, 1_000 - 50 * i) * RAD),
        "resets": i % 3,
        "ended_by": "open" if i == 29 else "cleared",
    }


def _build_take_row(i: int) -> dict[str, Any]:
    price = [1, 90 * RAY, 70 * RAY, 185 * RAY][i % 4]
    return {
        "step": i,
        "timestamp": START + 300 * i,
        "auction_id": i % 30 + 1,
        "symbol": ("ETH", "</script>")[i % 2],
        "taker": f"0x{i:040x}",
        "taker_name": NAME,
        "slice_wad": str((i + 1) * WAD),
        "paid_wad": str((i + 1) * price * WAD // RAY),
        "price_ray": str(price),
        "market_price_ray": str(180 * RAY),
    }


def _build_posting_row(kind: str, stage: str, amount: int) -> dict[str, Any]:
    return {
        "step": 1,
        "timestamp": START + 7200,
        "collateral_type": 0,
        "symbol": "ETH",
        "epoch": 18333,
        "kind": kind,
        "stage": stage,
        "amount_rad": str(amount),
    }
