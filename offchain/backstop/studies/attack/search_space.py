"""Space of an adversary's choices, in which random paths are standard normal.

Sizes are paid for: the distance of all draws behind prices from their mean is at most the budget's radius,
and a point beyond is pulled back to it. Times are free, as none is likelier than another: the normal
distribution turns a number into a share of the time. Free as well are the durations that the budget limits,
and whether and when a hostile depositor makes a move.

The rest is that of one path of the scenario: the noise of prices within a span, and the chi-squared factors
of Student's tails. The scenario's random outages, full blocks, faults and runs do not happen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np

from backstop.keepers.keeper_group_settings import IN_POOL, AttackMove, KeeperGroup, Outage
from backstop.model.arithmetic import BASIS_POINTS
from backstop.randomness import derive_path_seed
from backstop.simulation.scenario.deterministic_float import compute_norm
from backstop.simulation.scenario.draw_scenario import (
    EQUITY,
    TickPrices,
    apply_draw,
    draw_outcomes_from_streams,
    repeat_last_price,
    scale_step_series,
)
from backstop.simulation.scenario.scenario_random_processes import PriceModel
from backstop.simulation.scenario.scenario_records import Scenario
from backstop.studies.attack.adversary_budget import Budget
from backstop.studies.attack.adversary_chosen_draws import AdversaryChosenStreams, PriceJump

_NORMAL = NormalDist()
_DRIVEN = ("brownian", "garch", "peg")
"""Kinds of price models with moves from normal numbers."""

WITH_SHARE = ("enter", "donate", "draw", "buy")
"""Moves for which less than everything may be better."""

NEVER = 1 / 3
"""Probability that a move is not made, before anything is learned."""


@dataclass(frozen=True)
class AttackCandidate:
    """One choice of an adversary, with the scenario that results from it."""

    scenario: Scenario
    deviations: float  # of the draws behind prices from their mean, all together
    pushes: dict[str, list[float]]  # by symbol, for each span, in standard deviations
    jumps: tuple[PriceJump, ...]
    crash: PriceJump | None
    outages: dict[str, Outage]  # by group of keepers
    feeds: dict[str, Outage]  # by symbol
    congestion: Outage | None
    plans: dict[str, tuple[AttackMove, ...]]  # by attacker

    def as_json(self) -> dict[str, Any]:
        """Return the choice for JSON."""
        return {
            "deviations": round(self.deviations, 6),
            "pushes": {symbol: [round(x, 6) for x in each] for symbol, each in self.pushes.items()},
            "jumps": [_jump_as_json(each) for each in self.jumps],
            "crash": None if self.crash is None else _jump_as_json(self.crash),
            "outages": {name: _span_as_json_dict(each) for name, each in self.outages.items()},
            "feeds": {symbol: _span_as_json_dict(each) for symbol, each in self.feeds.items()},
            "congestion": None if self.congestion is None else _span_as_json_dict(self.congestion),
            "plans": {
                name: [{"at": move.at, "do": move.do, "share_bps": move.share} for move in plan]
                for name, plan in self.plans.items()
            },
        }

    def build_scenario_without_attack_moves(self) -> Scenario:
        """Return the scenario of the same path with hostile depositors that do nothing."""
        return _with_plans(self.scenario, dict.fromkeys(self.plans, ()))


class SearchSpace:
    """All choices of an adversary on one path of a scenario, within a budget."""

    def __init__(self, scenario: Scenario, budget: Budget, seed: int, path: int) -> None:
        self.scenario = scenario
        self.budget = budget
        self.seed = seed
        self.path = path
        paths = dict(scenario.prices)
        if scenario.equity_price is not None and scenario.parameters.equity is not None:
            paths[EQUITY] = scenario.equity_price
        models = {symbol: path.model for symbol, path in paths.items() if path.model is not None}
        self._models: dict[str, PriceModel] = models if budget.one_in > 1 else {}
        self.driven = [symbol for symbol, model in self._models.items() if model.kind in _DRIVEN]
        self._spans = min(budget.spans, scenario.blocks)
        self.attackers = [group for group in scenario.keepers if group.role == "attacker"]
        # Random outages, runs, spikes and faults are off.
        keepers = tuple(replace(group, fails=None, runs=0) for group in scenario.keepers)
        self._calm = replace(scenario, keepers=keepers, spike=None, faults={})
        self.names = tuple(name for name, _ in self._iter_dimension_budget_flags())
        self._paid = np.array([paid for _, paid in self._iter_dimension_budget_flags()], dtype=bool)

    def _iter_dimension_budget_flags(self) -> Iterator[tuple[str, bool]]:
        """Yield the name of each coordinate of a point, and whether it counts against the price budget."""
        for symbol in self.driven:
            yield from ((f"{symbol} span {i + 1}", True) for i in range(self._spans))
        for symbol in self._list_jump_symbols():
            for i in range(self.budget.jumps):
                yield f"{symbol} jump {i + 1} at", False
                yield f"{symbol} jump {i + 1} size", True
        if self._has_crash():
            yield "crash at", False
            yield "crash depth", True
        limited = [f"outage of {'/'.join(groups)}" for groups in self._group_keepers_by_outage_cause()]
        limited += [f"{symbol} feed" for symbol in self.scenario.symbols if self.budget.feeds]
        limited += ["full blocks"] if self.budget.congestion is not None else []
        for name in limited:
            yield f"{name} from", False
            yield f"{name} for", False
        for group in self.attackers:
            for do in self._list_possible_attack_moves(group):
                yield f"{group.name} {do} at", False
                if do in WITH_SHARE:
                    yield f"{group.name} {do} share", False

    def _list_jump_symbols(self) -> list[str]:
        jumps = {symbol: self._models[symbol].jumps for symbol in self.driven}
        # Those with a cause are several prices' at once, and come as they are drawn.
        return [symbol for symbol, each in jumps.items() if each is not None and not each.cause]

    def _has_crash(self) -> bool:
        return any(model.crash is not None for model in self._models.values())

    def _group_keepers_by_outage_cause(self) -> list[tuple[str, ...]]:
        """Return groups of keepers that share a cause of outages, and so are down together."""
        if not self.budget.outages:
            return []
        found: dict[str, list[str]] = {}
        for group in self.scenario.keepers:
            if group.name in self.budget.keepers:
                cause = "" if group.fails is None else group.fails.cause
                found.setdefault(cause or f" {group.name}", []).append(group.name)
        return [tuple(names) for names in found.values()]

    def _list_possible_attack_moves(self, attacker_group: KeeperGroup) -> list[str]:
        """Return the moves that a hostile depositor can make.

        Requests are for pools with a cooldown.
        """
        waits = getattr(self.scenario.parameters, attacker_group.pool).cooldown != 0
        useless = () if waits else ("ask",)
        return [
            do
            for do in self.budget.moves
            if do not in useless and (do in IN_POOL or attacker_group.collateral)
        ]

    # ------------------------------------------------------------------- choice

    def build_candidate(self, point: Sequence[float]) -> AttackCandidate:
        """Return the choice that a point of the search space stands for.

        A point beyond the budget's distance is pulled back to it.
        """
        values = np.array(point, dtype=np.float64)
        deviations = compute_norm(values[self._paid])
        if deviations > self.budget.max_distance_in_standard_deviations:
            values[self._paid] *= self.budget.max_distance_in_standard_deviations / deviations
            deviations = self.budget.max_distance_in_standard_deviations
        rest = iter(values.tolist())
        pushes = {symbol: [next(rest) for _ in range(self._spans)] for symbol in self.driven}
        jumps = tuple(
            self._read_price_jump(symbol, rest)
            for symbol in self._list_jump_symbols()
            for _ in range(self.budget.jumps)
        )
        crash = self._read_price_jump("", rest) if self._has_crash() else None
        seed = derive_path_seed(self.seed, self.path)
        streams = AdversaryChosenStreams(seed, self.scenario, self.driven, pushes, jumps, crash)
        chosen = draw_outcomes_from_streams(self._calm, streams)

        outages: dict[str, Outage] = {}
        for groups in self._group_keepers_by_outage_cause():
            outage = self._build_outage(next(rest), next(rest), self.budget.outages)
            outages |= dict.fromkeys(groups, outage) if outage is not None else {}
        feeds: dict[str, Outage] = {}
        sources: dict[str, TickPrices] = dict(chosen.sources)
        for symbol in self.scenario.symbols if self.budget.feeds else ():
            outage = self._build_outage(next(rest), next(rest), self.budget.feeds)
            if outage is not None:
                feeds[symbol] = outage
                seen = sources.get(symbol, chosen.prices[symbol])
                sources[symbol] = repeat_last_price(seen, seen, outage, self.scenario.block_time)
        gas_prices, gas_share, full = chosen.gas_prices, chosen.gas_share, None
        if (terms := self.budget.congestion) is not None:
            full = self._build_outage(next(rest), next(rest), terms.lasts)
            spans = () if full is None else (full,)
            gas_prices = scale_step_series(gas_prices, terms.factor, spans)
            gas_share = scale_step_series(gas_share, terms.share, spans)
        plans = {group.name: self._build_attack_plan(group, rest) for group in self.attackers}
        down = {
            name: (*spans, *([outages[name]] if name in outages else []))
            for name, spans in chosen.outages.items()
        }
        chosen = replace(chosen, sources=sources, outages=down, gas_prices=gas_prices, gas_share=gas_share)
        scenario = _with_plans(apply_draw(self._calm, chosen, self.seed), plans)
        return AttackCandidate(scenario, deviations, pushes, jumps, crash, outages, feeds, full, plans)

    def _read_price_jump(self, symbol: str, remaining_coordinates: Iterator[float]) -> PriceJump:
        """Read time and size of a jump from the next two coordinates.

        The first possible time is the first block after the start.
        """
        return PriceJump(
            symbol,
            (1 + self._to_block_number(next(remaining_coordinates))) * self.scenario.block_time,
            next(remaining_coordinates),
        )

    def _to_block_number(self, value: float) -> int:
        return min(int(_compute_normal_cdf(value) * self.scenario.blocks), self.scenario.blocks - 1)

    def _build_outage(self, start: float, lasts: float, most: int) -> Outage | None:
        """Return an outage of whole blocks that ends with the scenario at the latest.

        None if it is empty. `start` and `lasts` are coordinates, `most` is the longest duration [seconds].
        """
        block_time, first = self.scenario.block_time, self._to_block_number(start)
        last = min(first + round(_compute_normal_cdf(lasts) * most / block_time), self.scenario.blocks + 1)
        return Outage(first * block_time, last * block_time) if last > first else None

    def _build_attack_plan(
        self, attacker_group: KeeperGroup, remaining_coordinates: Iterator[float]
    ) -> tuple[AttackMove, ...]:
        """Return a hostile depositor's moves in order of time, from the next coordinates."""
        found, block_time = [], self.scenario.block_time
        for do in self._list_possible_attack_moves(attacker_group):
            when = _compute_normal_cdf(next(remaining_coordinates))
            share = (
                max(1, round(_compute_normal_cdf(next(remaining_coordinates)) * BASIS_POINTS))
                if do in WITH_SHARE
                else BASIS_POINTS
            )
            if when >= NEVER:
                block = int((when - NEVER) / (1 - NEVER) * (self.scenario.blocks - 1))
                found.append(AttackMove(block * block_time, do, share))
        return tuple(sorted(found, key=lambda move: move.at))


def _compute_normal_cdf(value: float) -> float:
    return _NORMAL.cdf(value)


def _jump_as_json(fall: PriceJump) -> dict[str, Any]:
    return {**fall._asdict(), "deviations": round(fall.deviations, 6)}


def _span_as_json_dict(outage: Outage) -> dict[str, int]:
    return {"from": outage.start, "to": outage.end}


def _with_plans(scenario: Scenario, plans: dict[str, tuple[AttackMove, ...]]) -> Scenario:
    keepers = (replace(each, plan=plans.get(each.name, each.plan)) for each in scenario.keepers)
    return replace(scenario, keepers=tuple(keepers))
