"""Trial of a choice: its path is played on the contracts with a simulation's keepers, and undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backstop.model.arithmetic import RAY
from backstop.simulation.account_value import compute_total_account_worth
from backstop.simulation.book_opening import record_opening_auctions
from backstop.simulation.run_summary import list_keeper_rows
from backstop.simulation.scenario import Scenario
from backstop.simulation.simulator import Simulation
from backstop.simulation.unsafe_vault_figures import compute_debt_beyond_collateral
from backstop.studies.attack.search_space import AttackCandidate
from backstop.studies.stress.exact_bytecode_engine import ExactEngine

GOALS = ("loss", "bad-debt", "gain")
"""Goals of an adversary: most unpaid loss, most bad debt, or most gain of hostile depositors."""

Score = tuple[int, ...]
"""Figures compared first to last, which rank even choices that do not lose anything yet."""


@dataclass(frozen=True)
class PathOutcome:
    """Outcome of one path; amounts in wad, rounded down."""

    bad_debt: int  # recognised as lost
    covered: dict[str, int]  # paid of it, by stage
    outstanding: int  # unpaid of it at the end
    underwater: int  # debt beyond its collateral's worth at the end, not recognised yet
    liquidated: int  # principal that went into auctions, or was sold or offset at once
    fall: int  # of each type's lowest price below its first, summed, in ray of the first
    profits: dict[str, int]  # by attacker, after gas
    ends: dict[str, int]  # worth of each member of a pool at the end

    @property
    def unpaid_loss(self) -> int:
        """Loss that no stage has paid, with debt beyond its collateral's worth [wad]."""
        return self.outstanding + self.underwater


@dataclass(frozen=True)
class CandidateOutcome:
    """Outcome of an adversary's choice.

    `without` is the outcome of its path without hostile moves; None unless the goal is the gain.
    """

    outcome: PathOutcome
    without: PathOutcome | None

    @property
    def gain_over_doing_nothing(self) -> int:
        """Gain of hostile depositors compared with no moves on the same path [wad].

        0 if not measured.
        """
        if self.without is None:
            return 0
        return sum(self.outcome.profits.values()) - sum(self.without.profits.values())

    def compute_score(self, goal: str) -> Score:
        """Return the score of this outcome for a goal ("loss", "bad-debt" or "gain").

        A higher score is better for the adversary. The goal's figure comes first. Bad debt, liquidated debt
        and price drops decide between equal figures.
        """
        found = self.outcome
        first = {"loss": found.unpaid_loss, "bad-debt": found.bad_debt, "gain": self.gain_over_doing_nothing}[
            goal
        ]
        return first, found.bad_debt, found.liquidated, found.fall

    def as_json(self) -> dict[str, Any]:
        """Return the outcome for JSON, with amounts in wad as text."""
        return {"gain_wad": str(self.gain_over_doing_nothing), **_outcome_as_json(self.outcome)} | (
            {} if self.without is None else {"without": _outcome_as_json(self.without)}
        )


class CandidateRunner(ExactEngine):
    """Engine that runs an adversary's choices one after the other.

    Results do not depend on the order.
    """

    def measure_candidate_outcome(self, candidate: AttackCandidate, goal: str) -> CandidateOutcome:
        """Run an adversary's choice, and return its outcome.

        For the goal "gain", its path is also run with hostile depositors that do nothing.
        """
        outcome = self.play_scenario(candidate.scenario)
        if goal != "gain":
            return CandidateOutcome(outcome, None)
        moves = any(candidate.plans.values())
        return CandidateOutcome(
            outcome, self.play_scenario(candidate.build_scenario_without_attack_moves()) if moves else outcome
        )

    def play_scenario(self, scenario: Scenario) -> PathOutcome:
        """Run a scenario without random draws, and return its outcome."""
        session = self._get_session(scenario)
        with session.both.fork_state() if session.both is not None else session.model.fork_state():
            run = Simulation(scenario, session, self.seed)
            record_opening_auctions(run)
            for state in run.keepers:
                state.opening = compute_total_account_worth(run, state.keeper.address)
            run.run_blocks(lambda done, total, text: None, lambda: False)
            return collect_outcome(run)


def collect_outcome(run: Simulation) -> PathOutcome:
    """Return the outcome of a finished simulation."""
    view, recorder = run.build_keeper_view(), run.recorder
    firsts = [run.paths[symbol][0] for symbol in run.scenario.symbols]
    return PathOutcome(
        bad_debt=recorder.created // RAY,
        covered={stage: amount // RAY for stage, amount in recorder.covered.items()},
        outstanding=(sum(view.get_deficit(c) for c in view.types) + recorder.loss_borne_by_holders) // RAY,
        underwater=sum(compute_debt_beyond_collateral(view, c) for c in range(len(firsts))) // RAY,
        liquidated=(
            sum(auction.principal for auction in recorder.auctions.values())
            + sum(totals.principal for totals in recorder.discount_sales.values())
            + sum(totals.principal for totals in recorder.stability_pools.values())
        )
        // RAY,
        fall=sum((first - recorder.worst[c]) * RAY // first for c, first in enumerate(firsts)),
        profits={
            row["name"]: int(row["profit_wad"]) for row in list_keeper_rows(run) if row["role"] == "attacker"
        },
        ends={
            each.name: compute_total_account_worth(run, each.address)
            for each in run.members
            if each.pool in run.at
        },
    )


def _outcome_as_json(outcome: PathOutcome) -> dict[str, Any]:
    return {
        "bad_debt_wad": str(outcome.bad_debt),
        "covered": [{"stage": stage, "wad": str(amount)} for stage, amount in outcome.covered.items()],
        "outstanding_wad": str(outcome.outstanding),
        "underwater_wad": str(outcome.underwater),
        "loss_wad": str(outcome.unpaid_loss),
        "liquidated_wad": str(outcome.liquidated),
        "profits": [{"name": name, "wad": str(amount)} for name, amount in outcome.profits.items()],
        "ends": [{"name": name, "wad": str(amount)} for name, amount in outcome.ends.items()],
    }
