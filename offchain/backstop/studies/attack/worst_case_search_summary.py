"""Summary of a search: summary.json."""

from __future__ import annotations

from typing import Any

import numpy as np

from backstop.keepers.call_costs import convert_gas_to_stablecoin
from backstop.model.arithmetic import BASIS_POINTS, RAY
from backstop.simulation.scenario import Scenario
from backstop.simulation.scenario.draw_scenario import PathDraw, convert_ticks_to_rays, draw_path_outcomes
from backstop.simulation.scenario.quantity_units import format_duration_text
from backstop.simulation.simulator import RunResult
from backstop.studies.attack.candidate_evaluation import CandidateOutcome
from backstop.studies.attack.search_space import AttackCandidate
from backstop.studies.attack.worst_case_search import WorstCaseSearch

SCHEMA_VERSION = 1

FAN_PATHS = 200
FAN = (1, 5, 25, 50, 75, 95, 99)
"""Percentiles of the price at each block, over FAN_PATHS paths as chance draws them."""

WINDOWS = (3_600, 86_400)
"""Windows in which the deepest fall is reported [seconds]."""


def build_summary(
    search: WorstCaseSearch,
    choice: AttackCandidate,
    trial: CandidateOutcome,
    replayed: RunResult,
    host: str,
    replay: str,
) -> dict[str, Any]:
    """Return the content of summary.json: the adversary's choices, their outcome, and the replay.

    Amounts in wad are texts.
    """
    task, budget, scenario = search.task, search.task.budget, search.task.scenario
    fan = [draw_path_outcomes(scenario, task.seed, path) for path in range(FAN_PATHS)]
    run = replayed.summary
    return {
        "schema_version": SCHEMA_VERSION,
        "scenario": scenario.name,
        "title": scenario.title,
        "started_at": scenario.start,
        "ended_at": scenario.start + scenario.duration,
        "block_seconds": scenario.block_time,
        "goal": task.goal,
        "method": task.method,
        "engine": task.engine,
        "seed": task.seed,
        "path": task.path,
        "budget": {
            "name": budget.name,
            "title": budget.title,
            "description": budget.description,
            "facts": [f"{fact.statement} ({fact.source})" for fact in budget.facts],
            "one_in": budget.one_in,
            "radius_micro": round(budget.max_distance_in_standard_deviations * 10**6),
            "limits": list(_build_adversary_budget_limit_rows(search)),
        },
        "generations": len(search.history),
        "population": task.population,
        "trials": len(search.history) * task.population,
        "dimensions": list(search.space.names),
        "history": search.history,
        "chosen": choice.as_json(),
        "deviations_micro": round(choice.deviations * 10**6),
        "events": list_attack_events(choice),
        "filling_wad": str(_compute_block_filling_gas_cost(choice)),
        "falls": [_compute_deepest_falls(choice.scenario, symbol) for symbol in scenario.symbols],
        "found": trial.as_json(),
        "groups": run["paid_by"],
        "members": run["members"],
        "prices": [
            _collect_worst_path_and_price_fan(choice.scenario, fan, symbol) for symbol in scenario.symbols
        ],
        "replay": {
            "host": host,
            "command": replay,
            "steps": run["steps"],
            "fields_compared": run["fields_compared"],
            "differences": run["differences"],
            "state_hash": run["state_hash"],
        },
        "facts": run["facts"],
        "assumptions": run["assumptions"],
    }


def _build_adversary_budget_limit_rows(search: WorstCaseSearch) -> list[dict[str, Any]]:
    """Return a row of text for each limit of the budget that applies to this scenario."""
    budget, found = search.task.budget, []
    if search.space.driven:
        found.append(
            {
                "what": "prices",
                "limit": f"one path in {budget.one_in:,}, "
                f"{budget.max_distance_in_standard_deviations:.2f} deviations",
            }
        )
        if budget.jumps:
            found.append({"what": "jumps", "limit": f"{budget.jumps} of each price that has them"})
    if budget.outages and budget.keepers:
        names = ", ".join(budget.keepers)
        found.append(
            {"what": "outages", "limit": f"{format_duration_text(budget.outages)} of each of {names}"}
        )
    if budget.feeds:
        found.append({"what": "sources stuck", "limit": f"{format_duration_text(budget.feeds)} each"})
    if (full := budget.congestion) is not None:
        found.append(
            {
                "what": "full blocks",
                "limit": f"{format_duration_text(full.lasts)} at {full.factor / BASIS_POINTS:g} "
                "times the gas "
                "price "
                f"and {full.share / BASIS_POINTS:.0%} of the share",
            }
        )
    for group in search.space.attackers:
        money = f"{group.capital // 10**18:,} stablecoins, {group.stake // 10**18:,} staked in {group.pool}"
        credit = f", up to {group.each // 10**18:,} drawn on {group.collateral}" if group.collateral else ""
        found.append({"what": group.name, "limit": money + credit})
    return found


def list_attack_events(candidate: AttackCandidate) -> list[dict[str, Any]]:
    """Return the adversary's choices in order of time: `at`, `until` [seconds] and `what`.

    `until` is None for an event without duration.
    """
    found: list[tuple[int, int | None, str]] = []
    for jump in candidate.jumps:
        found.append((jump.at, None, f"{jump.symbol} jumps, {jump.deviations:+.2f} deviations"))
    if candidate.crash is not None:
        found.append((candidate.crash.at, None, f"the crash, {candidate.crash.deviations:+.2f} deviations"))
    down: dict[tuple[int, int], list[str]] = {}
    for name, span in candidate.outages.items():
        down.setdefault((span.start, span.end), []).append(name)
    found += [(start, end, f"{', '.join(names)} down") for (start, end), names in down.items()]
    found += [(span.start, span.end, f"source of {symbol} stuck") for symbol, span in candidate.feeds.items()]
    if candidate.congestion is not None:
        found.append((candidate.congestion.start, candidate.congestion.end, "blocks full"))
    for name, plan in candidate.plans.items():
        for move in plan:
            share = "" if move.share == BASIS_POINTS else f" {move.share / 100:g}%"
            found.append((move.at, None, f"{name}: {move.do.replace('_', ' ')}{share}"))
    found.sort(key=lambda event: event[0])
    return [{"at": at, "until": until, "what": what} for at, until, what in found]


def _compute_block_filling_gas_cost(attack_candidate: AttackCandidate) -> int:
    """Return the cost of all gas in the full blocks except the protocol's share [wad]."""
    scenario, span = attack_candidate.scenario, attack_candidate.congestion
    if span is None:
        return 0
    ether, cost = scenario.prices[scenario.gas_token].points, 0
    for at in range(0, scenario.duration + 1, scenario.block_time):
        if span.start <= at < span.end:
            gas = scenario.block_gas * (BASIS_POINTS - scenario.gas_share.get_value(at)) // BASIS_POINTS
            cost += convert_gas_to_stablecoin(gas, scenario.gas_prices.get_value(at), ether[at])
    return cost


def _compute_deepest_falls(scenario: Scenario, symbol: str) -> dict[str, Any]:
    """Return the largest drop of a price within each window [bps]."""
    points = scenario.prices[symbol].points
    prices = np.array([points[at] // (RAY // 10**9) for at in sorted(points)], dtype=np.float64)
    found = []
    for window in sorted({min(window, scenario.duration) for window in WINDOWS}):
        blocks = max(1, window // scenario.block_time)
        lowest = min(float(prices[i : i + blocks + 1].min() / prices[i]) for i in range(len(prices)))
        found.append({"seconds": window, "fall_bps": round((1 - lowest) * BASIS_POINTS)})
    return {"symbol": symbol, "within": found}


def _collect_worst_path_and_price_fan(
    scenario: Scenario, drawn_paths: list[PathDraw], symbol: str
) -> dict[str, Any]:
    """Return a price's worst path, the prices of its source, and quantiles over random paths.

    Prices have six significant digits.
    """
    drawn = np.array(
        [[value / RAY for value in convert_ticks_to_rays(each.prices[symbol])] for each in drawn_paths]
    )
    quantiles = np.percentile(drawn, FAN, axis=0)
    source = scenario.feed_prices.get(symbol)

    def digits(values: Any) -> list[float]:
        return [float(f"{float(value):.6g}") for value in values]

    points = scenario.prices[symbol].points
    times = sorted(points)
    return {
        "symbol": symbol,
        "times": times,
        "worst": digits(points[at] / RAY for at in times),
        "source": None if source is None else digits(source.points[at] / RAY for at in times),
        "fan": {str(level): digits(row) for level, row in zip(FAN, quantiles, strict=True)},
    }
