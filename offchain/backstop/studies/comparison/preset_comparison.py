"""Comparison of presets on one crash: payers of the loss, duration, and depositors that withdrew in time.

Presets have the same prices, vaults, markets, gas and keepers. They differ only in the terms of loss and, if
they are whole systems, of sales. After the scenario's end prices stand still for a while, so that late
payments show.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from backstop.deployment.contracts_by_parameter_name import POOLS
from backstop.errors import BackstopError
from backstop.files.atomic_files import write_files
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY
from backstop.simulation.loss_bearers import GROUPS, PAYERS, get_loss_bearer
from backstop.simulation.loss_totals import sum_unpaid_margin_loss
from backstop.simulation.progress_and_interruption import Progress
from backstop.simulation.run_directory import transpose_table_rows
from backstop.simulation.scenario import Scenario
from backstop.simulation.simulator import RunResult, simulate
from backstop.studies.comparison.discount_sale_figures import (
    collect_discount_sale_figures,
    list_discount_sale_line_specs,
    list_unbooked_debt_line_specs,
    sum_unbooked_debt,
)
from backstop.studies.comparison.naive_rule_cost import list_party_gains_naive_over_ours
from backstop.studies.comparison.presets import NAIVE_RULES, Preset, apply_preset
from backstop.studies.comparison.run_comparison_lines import Line, as_csv, read_figure
from backstop.studies.comparison.stability_pool_figures import (
    collect_stability_pool_figures,
    list_stability_pool_line_specs,
)

SCHEMA_VERSION = 2
DEALING = (
    "seize_insolvent",
    "update_and_seize",
    "advance_cycle",
    "update_account",
    "post_shortfall",
    "submit",
    "execute",
    "share",
)
"""Calls that handle insolvent accounts: their gas is the gas of a policy."""

DAY = 86_400


def list_comparison_line_specs(comparison: Mapping[str, Any]) -> list[Line]:
    """Return all table lines of a comparison: on vaults, and on the margin market if there is one."""
    return [*list_vault_line_specs(comparison), *list_margin_figure_line_specs(comparison)]


def list_vault_line_specs(comparison: Mapping[str, Any]) -> list[Line]:
    """Return the table lines on vaults that have a figure in at least one run.

    A group that is in no preset's waterfall has no line.
    """
    asked = {
        entry["group"] for row in comparison["presets"] for entry in row["loss_paid_by"] if entry["present"]
    }
    paid = [
        Line("  outstanding" if name == "holders" else f"  paid by {name}", f"loss_paid_by.{i}.rad", "rad")
        for i, name in enumerate(GROUPS)
        if name in asked
    ]
    ran = {
        i: race["pool"]
        for row in comparison["presets"]
        for i, race in enumerate(row["exit_race"])
        if race["leaver"]
    }
    found = [
        Line("debt sent to auction", "debt_rad", "rad"),
        Line("  recovered by auctions", "recovered_rad", "rad"),
        *list_discount_sale_line_specs(comparison),
        *list_stability_pool_line_specs(comparison),
        Line("loss created", "created_rad", "rad"),
        *paid,
        Line("  recovered without a stage", "recovered_later_rad", "rad"),
        *list_unbooked_debt_line_specs(comparison),
        Line("settlement began after", "settlement_after_seconds", "seconds"),
        Line("  lost by holders", "lost_in_settlement_rad", "rad"),
        Line("  a coin brings", "coin_worth_bps", "bps"),
        Line("borrowers' cheap sales", "sold_cheaply_wad", "wad"),
        Line("keepers' profit", "keepers_profit_wad", "wad"),
        Line("time to cover", "covered_after_seconds", "seconds"),
        Line("a coin of loss was open for", "mean_wait_seconds", "seconds"),
        *(Line(f"won by leaving {ran[i]}", f"exit_race.{i}.gain_wad", "wad") for i in sorted(ran)),
        Line("claims issued", "claims_issued_wad", "wad"),
        Line("  repaid from income", "claims_repaid_wad", "wad"),
    ]
    # Lines without a figure in any preset are left out.
    return [
        each
        for each in found
        if any(read_figure(row, each.figure) is not None for row in comparison["presets"])
    ]


def list_margin_figure_line_specs(comparison: Mapping[str, Any]) -> list[Line]:
    """Return the table lines on the margin market; empty if no run has one."""
    if not any(row["margin"] for row in comparison["presets"]):
        return []

    def of_margin(title: str, figure: str, unit: str = "wad") -> Line:
        return Line(title, f"margin.{figure}", unit)

    return [
        of_margin("lost by insolvent accounts", "loss_wad"),
        *(of_margin(f"  paid by {name}", f"{kind}_wad") for kind, name in PAYERS.items()),
        of_margin("  not paid", "not_paid_wad"),
        of_margin("owed by accounts left alone", "left_alone_wad"),
        of_margin("largest share of a gain taken", "most_taken_bps", "bps"),
        of_margin("positions taken over", "liquidations", "count"),
        of_margin("accounts with seized positions", "seized", "count"),
        of_margin("accounts closed against these", "closed", "count"),
        of_margin("  of positions, closed", "closed_wad"),
        of_margin("  beyond the unassigned lots", "excess_wad"),
        of_margin("  beyond it by whole positions", "greedy_excess_wad"),
        of_margin("gas of dealing with debtors", "gas", "count"),
        of_margin("losses final after", "final_after_seconds", "seconds"),
        *(_list_margin_evasion_line_specs() if _list_evasion_runs(comparison) else []),
    ]


def _list_margin_evasion_line_specs() -> list[Line]:
    """Return the table lines on winners that evade ADL, compared with the same run without evasion."""
    found = [
        ("winners that evade", "dodgers", "count"),
        ("  calls tried", "tried", "count"),
        ("  calls that succeeded", "went", "count"),
        ("  fees that they paid", "fees_wad", "wad"),
        ("lost by insolvent accounts, if they evade", "loss_wad", "wad"),
        ("borne by their gains, if they do nothing", "idle_borne_wad", "wad"),
        ("  if they evade", "borne_wad", "wad"),
        ("of all that gains bore, if they do nothing", "idle_part_bps", "bps"),
        ("  if they evade", "part_bps", "bps"),
        ("closed of their positions, if they do nothing", "idle_closed_wad", "wad"),
        ("  if they evade", "closed_wad", "wad"),
        ("have more by evading, fees paid", "won_wad", "wad"),
    ]
    return [Line(title, f"margin.dodging.{figure}", unit) for title, figure, unit in found]


# ------------------------------------------------------------------------- runs


def compare(
    scenario: str,
    presets: Sequence[Preset],
    host: str,
    seed: int,
    out: Path,
    *,
    aftermath: int = 30 * DAY,
    dodgers: int = 0,
    command: str = "",
    progress: Progress = lambda done, total, text: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Run a scenario under each preset, and return a comparison of the payers of the losses.

    A preset with naive rules is run again for each naive rule, with our rule in its place.

    - `scenario`: name or file.
    - `presets`: presets from `load_presets`.
    - `host`: chain for the contracts: "revm", "py-evm", "anvil" or "hardhat".
    - `seed`: seed of all draws.
    - `out`: folder for a run directory per run, compare.json and compare.csv.
    - `aftermath`: seconds with constant prices after the scenario's end, in which late payments show.
    - `dodgers`: share [basis points] of the winners in a margin market that evade ADL in a further run of
      each preset. It needs a scenario with a margin market.
    - `command`: command line that the run directories record.
    - `progress`: function that is called with done, total and text.
    - `stop`: function that returns True to interrupt.

    The result is the content of compare.json:

    - `presets`: a row for each preset, with its losses, `loss_paid_by` (payments by group), sales, times,
      `exit_race` (gain of leavers over stayers), claims and `margin`.
    - `naive`: cost of each naive rule by party (`preset`, `rule`, `parties`).
    - `scenario`, `title`, `description`, `seed`, `host`, `started_at`, `ended_at`, `aftermath_seconds`:
      the input.
    """
    # All of them are read before anything runs.
    laid = [
        [
            with_margin_winner_evaders(apply_preset(preset, scenario, excluded_naive_rule=rule), dodgers)
            for rule in ("", *preset.naive_rules)
        ]
        for preset in presets
    ]

    def run(each: Scenario, name: str) -> RunResult:
        return simulate(
            each,
            host,
            seed,
            out / name,
            command=command,
            aftermath=aftermath,
            progress=lambda done, total, text: progress(done, total, f"{name}: {text}"),
            stop=stop,
        )

    rows, naive = [], []
    for preset, (own, *with_ours) in zip(presets, laid, strict=True):
        result = run(own, preset.name)
        row = build_preset_row(preset, result)
        if dodgers:
            row["margin"]["dodging"] = compare_margin_winner_evasion(
                result, run(enable_winner_evasion(own), f"{preset.name}-dodged")
            )
        rows.append(row)
        for rule, each in zip(preset.naive_rules, with_ours, strict=True):
            beside = run(each, f"{preset.name}-without-{rule}")
            naive.append(compute_naive_rule_cost(rule, row, result, build_preset_row(preset, beside), beside))
    first = laid[0][0]
    comparison = {
        "schema_version": SCHEMA_VERSION,
        "scenario": first.name,
        "title": first.title,
        "description": first.description,
        "seed": seed,
        "host": host,
        "started_at": first.start,
        "ended_at": first.start + first.duration,
        "aftermath_seconds": aftermath,
        "presets": rows,
        "naive": naive,
    }
    write_comparison_files(comparison, out)
    return comparison


def with_margin_winner_evaders(scenario: Scenario, evader_share_bps: int) -> Scenario:
    """Return the scenario with a share [bps] of its winners selected as evaders, still inactive.

    The evaders stay inactive until `enable_winner_evasion`. Raises BackstopError if the scenario has no
    margin market.
    """
    if not evader_share_bps:
        return scenario
    if scenario.parameters.margin is None:
        raise BackstopError(
            f"--evaders: {scenario.name!r} has no margin market; expected a scenario with one"
        )
    return replace(
        scenario, margin_book=replace(scenario.margin_book, dodgers=evader_share_bps, dodges=False)
    )


def enable_winner_evasion(scenario: Scenario) -> Scenario:
    """Return the scenario in which the selected winners evade ADL."""
    return replace(scenario, margin_book=replace(scenario.margin_book, dodges=True))


def compare_margin_winner_evasion(idle_run: RunResult, evading_run: RunResult) -> dict[str, Any]:
    """Return the results of winners that evade ADL, beside a run in which the same winners are idle."""
    before, after = idle_run.summary["margin"]["dodgers"], evading_run.summary["margin"]["dodgers"]
    return {
        **after,
        "idle_borne_wad": before["borne_wad"],
        "idle_closed_wad": before["closed_wad"],
        "idle_part_bps": _compute_evaders_borne_share_bps(idle_run),
        "part_bps": _compute_evaders_borne_share_bps(evading_run),
        "loss_wad": evading_run.summary["margin"]["loss_wad"],
        "won_wad": str(int(after["have_wad"]) - int(before["have_wad"])),
        **{
            name: evading_run.summary[name]
            for name in ("steps", "fields_compared", "differences", "state_hash")
        },
    }


def _compute_evaders_borne_share_bps(result: RunResult) -> int | None:
    """Return the evaders' share of all losses that gains bear [bps]; None if gains bear none."""
    margin = result.summary["margin"]
    borne = sum(int(margin[f"{kind}_wad"]) for kind in ("taken", "cut"))
    return int(margin["dodgers"]["borne_wad"]) * BASIS_POINTS // borne if borne else None


def list_all_runs(comparison: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return all runs of a comparison, for the check that model and chain agreed in each."""
    return [*comparison["presets"], *comparison["naive"], *_list_evasion_runs(comparison)]


def _list_evasion_runs(comparison: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = [(row["margin"] or {}).get("dodging") for row in comparison["presets"]]
    return [each for each in found if each]


def compute_naive_rule_cost(
    rule: str,
    row: Mapping[str, Any],
    naive_result: RunResult,
    our_row: Mapping[str, Any],
    our_result: RunResult,
) -> dict[str, Any]:
    """Return the cost of a preset's naive rule by party, compared with a run under our rule."""
    return {
        "preset": row["preset"],
        "rule": rule,
        "title": NAIVE_RULES[rule],
        "parties": list_party_gains_naive_over_ours(row, our_row, naive_result.summary, our_result.summary),
        "steps": our_row["steps"],
        "fields_compared": our_row["fields_compared"],
        "differences": our_row["differences"],
        "state_hash": our_row["state_hash"],
    }


def build_preset_row(preset: Preset, result: RunResult) -> dict[str, Any]:
    """Return the figures of a run under a preset."""
    summary = result.summary
    losses, types = summary["losses"], summary["collateral_types"]
    covered = {entry["stage"]: int(entry["rad"]) for entry in losses["covered"]}
    outstanding = int(losses["outstanding_rad"])
    auctions = transpose_table_rows(result.tables, "auctions")
    debt = sum(auctions["principal_rad"])
    lost = sum(auctions["principal_lost_rad"])
    under_way = int(summary["ledger"]["in_auction_rad"])
    settlement = summary["settlement"] or {}
    # Settlement turns what is still open into the holders' loss.
    first, closed, wait = _measure_loss_times_and_mean_wait(
        result, settlement.get("fixed_at") or summary["ended_at"]
    )
    keepers = [entry for entry in summary["keepers"] if entry["role"] != "member"]
    paid_by = {entry["group"]: int(entry["wad"]) for entry in summary["paid_by"]}
    passed_on = covered.get("redistribution", 0) // RAY
    return {
        "preset": preset.name,
        "title": preset.title,
        "description": preset.description,
        "stages": list(covered),
        "liquidations": sum(entry["liquidations"] for entry in types),
        "debt_rad": str(debt),
        "recovered_rad": str(debt - lost - under_way),
        "sales": collect_discount_sale_figures(summary),
        "pools": collect_stability_pool_figures(summary),
        "created_rad": losses["created_rad"],
        "covered": losses["covered"],
        "loss_paid_by": [
            {
                "group": name,
                "present": name == "holders" or any(get_loss_bearer(stage) == name for stage in covered),
                "rad": str(
                    sum(amount for stage, amount in covered.items() if get_loss_bearer(stage) == name)
                    + (outstanding if name == "holders" else 0)
                ),
            }
            for name in GROUPS
        ],
        "outstanding_rad": losses["outstanding_rad"],
        "recovered_later_rad": losses["recovered_rad"],
        "unbooked_rad": str(sum_unbooked_debt(summary)),
        "sold_cheaply_wad": str(paid_by["borrowers"] - passed_on),
        "keepers_profit_wad": str(sum(int(entry["profit_wad"]) for entry in keepers)),
        "first_loss_at": first,
        "covered_after_seconds": _compute_delay(first, closed),
        "mean_wait_seconds": wait,
        "settlement_after_seconds": _compute_delay(first, settlement.get("begun_at")),
        "lost_in_settlement_rad": settlement.get("lost_rad"),
        "coin_worth_bps": _convert_ray_to_bps(settlement.get("coin_worth_ray")),
        "exit_race": list_leaver_gains_over_stayers(
            summary["members"], summary["equity"], summary["started_at"]
        ),
        "claims_issued_wad": _sum_claims(summary["claims"], "issued_wad"),
        "claims_repaid_wad": _sum_claims(summary["claims"], "repaid_wad"),
        "margin": collect_margin_figures(result),
        "steps": summary["steps"],
        "fields_compared": summary["fields_compared"],
        "differences": summary["differences"],
        "state_hash": summary["state_hash"],
    }


def collect_margin_figures(result: RunResult) -> dict[str, Any] | None:
    """Return the figures of a run's margin market; None without one.

    Positions count at the mark prices at which they were closed. `excess_wad` is the worth of lots that were
    closed although the other side had as many lots. It is computed from all position events. An engine that
    closes whole positions closes `greedy_excess_wad` more of the same accounts.
    """
    margin = result.summary["margin"]
    if margin is None:
        return None
    closings = transpose_table_rows(result.tables, "margin_closings")
    whole = zip(closings["whole_lots"], closings["lots"], closings["price_wei"], strict=True)
    actions = transpose_table_rows(result.tables, "actions")
    dealing = zip(actions["contract"], actions["method"], actions["gas"], strict=True)
    return {
        "policy": margin["policy"],
        "accounts": margin["accounts"],
        "liquidations": margin["liquidations"],
        "bankruptcies": margin["bankruptcies"],
        "seized": margin["seized"],
        "loss_wad": margin["loss_wad"],
        **{f"{kind}_wad": margin[f"{kind}_wad"] for kind in PAYERS},
        "not_paid_wad": str(sum_unpaid_margin_loss(margin)),
        "left_alone_wad": margin["left_alone_wad"],
        "most_taken_bps": max(map(_compute_gain_share_taken_bps, margin["cycles"]), default=0),
        "closed": margin["deleveraged"],
        "greedy_excess_wad": str(sum((all_of - lots) * price for all_of, lots, price in whole)),
        "gas": sum(
            gas or 0
            for contract, method, gas in dealing
            if contract in ("PerpetualMarket", "PerpetualCloser") and method in DEALING
        ),
        **_measure_forced_closes(result),
    }


def _compute_gain_share_taken_bps(cycle: Mapping[str, str]) -> int:
    """Return the share of a side's gains that losses took in a cycle [bps], rounded up."""
    return -(-int(cycle["borne_wad"]) * BASIS_POINTS // int(cycle["gained_wad"]))


def _measure_forced_closes(result: RunResult) -> dict[str, Any]:
    """Return the worth of forced closes and their excess [wad], and when all losses were final.

    The time counts from the first seizure [seconds].
    """
    sizes: dict[tuple[str, int], int] = {}
    lots: dict[int, list[int]] = {}
    closed = excess = facing = 0
    began = None
    started = result.summary["started_at"]
    final = [started + cycle["at"] for cycle in result.summary["margin"]["cycles"]]
    events = transpose_table_rows(result.tables, "events")
    for at, contract, event, values in zip(
        events["timestamp"], events["contract"], events["event"], events["values"], strict=True
    ):
        if (contract, event) == ("PerpetualMarket", "PositionChanged"):
            owner, m, size = values[0], values[1], int(values[2])
            old, sides = sizes.get((owner, m), 0), lots.setdefault(m, [0, 0])
            # How many lots of the side that this account was on have nobody on the other.
            facing = max(0, sides[old < 0] - sides[old >= 0])
            sides[old < 0] -= abs(old)
            sides[size < 0] += abs(size)
            sizes[owner, m] = size
        elif (contract, event) == ("PerpetualTrading", "Deleveraged"):
            gone, price = abs(int(values[2])), int(values[3])
            closed += gone * price
            excess += max(0, gone - facing) * price
        elif (contract, event) == ("PerpetualMarket", "Seized"):
            began = at if began is None else began
        elif (contract, event) == ("PerpetualMarket", "Rolled") and any(values[1:]):
            # Of a cycle whose losses insurance paid, all of them perhaps.
            final.append(at)
    return {
        "closed_wad": str(closed),
        "excess_wad": str(excess),
        "final_after_seconds": _compute_delay(began, max(final, default=None)),
    }


def _compute_delay(first: int | None, then: int | None) -> int | None:
    return None if first is None or then is None else then - first


def _convert_ray_to_bps(worth_ray: str | None) -> int | None:
    return None if worth_ray is None else int(worth_ray) * BASIS_POINTS // RAY


def _sum_claims(claims: Sequence[Mapping[str, str]], figure: str) -> str | None:
    return str(sum(int(series[figure]) for series in claims)) if claims else None


def _measure_loss_times_and_mean_wait(
    result: RunResult, end: int
) -> tuple[int | None, int | None, int | None]:
    """Return the times of the first loss and of the last payment, and a coin's mean wait [seconds].

    Open amounts below one coin count as paid, as some stages round their payments down. Losses that are open
    at the end wait until `end`.
    """
    flows = transpose_table_rows(result.tables, "waterfall")
    first, closed, created, left, since, weighted = None, None, 0, 0, 0, 0
    for at, kind, amount in zip(flows["timestamp"], flows["kind"], flows["amount_rad"], strict=True):
        if kind not in ("recognised", "covered", "recovered"):
            continue
        weighted += left * (at - since)
        since, before = at, left
        if kind == "recognised":
            first = at if first is None else first
            created += amount
            left += amount
        else:
            left -= amount
        closed = None if left >= RAD else at if closed is None or before >= RAD else closed
    weighted += left * max(0, end - since)
    return first, closed, weighted // created if created else None


def list_leaver_gains_over_stayers(
    members: Sequence[Mapping[str, Any]], equity_summary: Mapping[str, str] | None, start_time: int
) -> list[dict[str, Any]]:
    """Return, for each pool, the gain of a leaver over a stayer with an equal deposit.

    Amounts are in wad of stablecoin, with equity at its last price.
    """
    found = []
    for contract, _, _ in POOLS.values():
        inside = [member for member in members if member["pool"] == contract]
        price = int(equity_summary["price_ray"]) if contract == "StakedEquity" and equity_summary else RAY
        found.append({"pool": contract} | _compute_leaver_gain_over_stayer(inside, price, start_time))
    return found


def _compute_leaver_gain_over_stayer(
    pool_members: Sequence[Mapping[str, Any]], price: int, start_time: int
) -> dict[str, Any]:
    leaver = next((member for member in pool_members if member["leaves"]), None)
    stayer = next((member for member in pool_members if not member["leaves"]), None)
    if leaver is None or stayer is None:
        amounts = ("deposit_wad", "leaver_wad", "stayer_wad", "gain_wad", "gain_bps")
        return dict.fromkeys(("leaver", *amounts, "left_after_seconds"))
    put_in, has = int(leaver["deposit_wad"]), int(leaver["end_wad"])
    stayed = int(stayer["end_wad"]) * put_in // int(stayer["deposit_wad"])
    return {
        "leaver": leaver["name"],
        "deposit_wad": str(put_in * price // RAY),
        "leaver_wad": str(has * price // RAY),
        "stayer_wad": str(stayed * price // RAY),
        "gain_wad": str((has - stayed) * price // RAY),
        "gain_bps": (has - stayed) * BASIS_POINTS // put_in,
        "left_after_seconds": None if leaver["left_at"] is None else leaver["left_at"] - start_time,
    }


# ------------------------------------------------------------------------ files


def write_comparison_files(comparison: Mapping[str, Any], out: Path) -> None:
    """Write compare.json and compare.csv to a directory."""
    rows = (((row["preset"],), row) for row in comparison["presets"])
    files = {
        "compare.json": json.dumps(comparison, indent=2, sort_keys=True) + "\n",
        "compare.csv": as_csv(("preset",), list_comparison_line_specs(comparison), rows),
    }
    write_files(out, files)
