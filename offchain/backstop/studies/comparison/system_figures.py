"""Figures of a run by which systems are compared: the loss, its bearers, and the cost of liquidations."""

from __future__ import annotations

from typing import Any

from backstop.model.arithmetic import RAD, RAY
from backstop.simulation.loss_bearers import get_loss_bearer
from backstop.simulation.run_directory import transpose_table_rows
from backstop.simulation.simulator import RunResult
from backstop.simulation.stability_pool_totals import sum_stability_pool_figures
from backstop.studies.comparison.discount_sale_figures import sum_unbooked_debt
from backstop.studies.comparison.run_comparison_lines import Line

FIGURES = (
    Line("bad debt", "bad_debt_rad", "rad"),
    Line("borrowers' loss", "borrower_loss_wad", "wad"),
    Line("over-liquidation", "over_liquidated_rad", "rad"),
    Line("liquidators' profit", "liquidator_profit_wad", "wad"),
    Line("liquidations", "liquidations", "count"),
    Line("time until solvent", "insolvent_seconds", "seconds"),
    Line("gas spent", "gas_cost_wad", "wad"),
)
"""The figures of a comparison, in the order of its rows."""

MEANINGS = {
    "bad_debt_rad": "Losses that were booked, debt beyond its collateral's worth at the end, and the "
    "payments of a stability pool beyond the worth of the collateral that its members got, at the market.",
    "borrower_loss_wad": "Collateral that liquidations took, at the market's price, beyond the debt that "
    "they closed: penalties, bonuses and cheap sales.",
    "over_liquidated_rad": "Debt that liquidations closed beyond the least repayment that brings the vault "
    "back to its liquidation ratio, at the feed's price and without a bonus.",
    "liquidator_profit_wad": "Profit of liquidators, flash takers and bidders after gas; collateral that "
    "they kept counts at the market's price of the purchase.",
    "liquidations": "Auctions started, sales at a discount and offsets by a stability pool.",
    "insolvent_seconds": "Time from the first block to the last in which debt is beyond its collateral's "
    "worth at the market, or a booked loss is not paid.",
    "gas_cost_wad": "Gas of all keepers' transactions, at the gas price and the ether price of their blocks.",
}

LIQUIDATORS = ("liquidator", "flash_taker", "bidder")
"""Roles of keepers that profit from liquidations."""

POOL_MEMBERS, UNBOOKED, RECOVERED = "stability pools", "not booked", "recovered later"
PAYER_TITLES = {
    "borrowers": "other borrowers, by redistribution",
    POOL_MEMBERS: "members of stability pools",
    "protocol": "the protocol's own funds",
    "junior": "the junior pool, stakers",
    "equity": "equity",
    "senior": "the senior pool",
    "members": "unvested income of pools",
    "savers": "savers, lenders",
    "holders": "outstanding: paid by no stage",
    UNBOOKED: "not booked: debt beyond its collateral",
    RECOVERED: "recovered without a stage",
}
"""Titles of the bearers of bad debt, in the order of a table; their amounts add up to the bad debt."""


def collect_system_figures(result: RunResult) -> dict[str, Any]:
    """Return a run's figures for the comparison of systems, as text.

    `borne` has the amount that each group bears [rad].
    """
    summary = result.summary
    losses, types = summary["losses"], summary["collateral_types"]
    unbooked = sum_unbooked_debt(summary)
    member_loss = int((sum_stability_pool_figures(summary) or {}).get("member_loss_wad", 0)) * RAY
    borne = dict.fromkeys(PAYER_TITLES, 0)
    for entry in losses["covered"]:
        borne[get_loss_bearer(entry["stage"])] += int(entry["rad"])
    borne["holders"] = int(losses["outstanding_rad"])
    borne |= {POOL_MEMBERS: member_loss, UNBOOKED: unbooked, RECOVERED: int(losses["recovered_rad"])}
    seconds, is_solvent = measure_insolvency(result)
    sold_cheaply = next(int(each["wad"]) for each in summary["paid_by"] if each["group"] == "borrowers")
    return {
        "bad_debt_rad": str(int(losses["created_rad"]) + unbooked + member_loss),
        # What was passed on to other borrowers is bad debt, and in `borne`.
        "borrower_loss_wad": str(sold_cheaply - borne["borrowers"] // RAY),
        "over_liquidated_rad": str(sum(int(each["over_liquidated_rad"]) for each in types)),
        "liquidator_profit_wad": str(
            sum(int(each["profit_wad"]) for each in summary["keepers"] if each["role"] in LIQUIDATORS)
        ),
        "liquidations": sum(each["liquidations"] for each in types),
        "insolvent_seconds": seconds,
        "is_solvent_at_end": is_solvent,
        "gas_cost_wad": str(sum(int(each["gas_cost_wad"]) for each in summary["keepers"])),
        "borne": {name: str(amount) for name, amount in borne.items()},
        **{name: summary[name] for name in ("steps", "fields_compared", "differences", "state_hash")},
    }


def measure_insolvency(result: RunResult) -> tuple[int, bool]:
    """Return how long a run was insolvent [seconds], and whether it is solvent at the end.

    The time is from the first insolvent block to the end of the last. A shortfall below one coin counts as
    none, as some stages round their payments down.
    """
    system = transpose_table_rows(result.tables, "system")
    times = system["timestamp"]
    short = [i for i, amount in enumerate(system["shortfall_rad"]) if amount >= RAD]
    if not short:
        return 0, True
    after = short[-1] + 1
    return times[min(after, len(times) - 1)] - times[short[0]], after < len(times)
