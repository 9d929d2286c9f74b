"""What a choice comes to: its path played on the contracts, with a simulation's keepers, and taken back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backstop.model.arithmetic import RAY
from backstop.simulation.run import Simulation
from backstop.simulation.scenario import Scenario
from backstop.simulation.summary import keeper_rows, underwater
from backstop.studies.attack.space import Choice
from backstop.studies.stress.exact import Exact

GOALS = ("loss", "bad-debt", "gain")
"""What an adversary wants most of: what nobody has paid, what was lost at all, what hostile members gain."""

Score = tuple[int, ...]
"""Compared first to last, so that what does not yet lose anything still goes the right way."""


@dataclass(frozen=True)
class PathOutcome:
    """What a path came to. Money in wad, rounded down."""

    bad_debt: int  # recognised as lost
    covered: dict[str, int]  # of it, by stage
    outstanding: int  # of it, at the end
    underwater: int  # debt beyond what its collateral is worth at the end: not recognised yet
    liquidated: int  # principal that went into auctions
    fall: int  # of the lowest prices, summed over the types, ray of their first
    profits: dict[str, int]  # of attackers, after gas
    ends: dict[str, int]  # what members of pools have at the end

    @property
    def loss(self) -> int:
        """What nobody has paid."""
        return self.outstanding + self.underwater


@dataclass(frozen=True)
class Trial:
    """A choice with its outcome; and without the moves of hostile members, if their gain was asked for."""

    outcome: PathOutcome
    without: PathOutcome | None

    @property
    def gain(self) -> int:
        """What hostile members have more than if they had done nothing on the same path, wad."""
        if self.without is None:
            return 0
        return sum(self.outcome.profits.values()) - sum(self.without.profits.values())

    def score(self, goal: str) -> Score:
        """What an adversary with that goal compares."""
        found = self.outcome
        first = {"loss": found.loss, "bad-debt": found.bad_debt, "gain": self.gain}[goal]
        return first, found.bad_debt, found.liquidated, found.fall

    def told(self) -> dict[str, Any]:
        """What JSON can hold: wad as text."""
        return {"gain_wad": str(self.gain), **_told(self.outcome)} | (
            {} if self.without is None else {"without": _told(self.without)}
        )


class Trials(Exact):
    """Plays choices of one scenario, one after the other: what they come to does not depend on the order."""

    def trial(self, choice: Choice, goal: str) -> Trial:
        """A choice; for the goal `gain` also the same path on which hostile members do nothing."""
        outcome = self.outcome(choice.scenario)
        if goal != "gain":
            return Trial(outcome, None)
        moves = any(choice.plans.values())
        return Trial(outcome, self.outcome(choice.without_plans()) if moves else outcome)

    def outcome(self, scenario: Scenario) -> PathOutcome:
        """A scenario in which nothing is left to chance."""
        session = self._ready(scenario)
        with session.both.imagine() if session.both is not None else session.model.imagine():
            run = Simulation(scenario, session, self.seed)
            run.note_auctions()
            for state in run.keepers:
                state.opening = run.worth(state.keeper.address)
            run.run_blocks(lambda done, total, text: None, lambda: False)
            return outcome_of(run)


def outcome_of(run: Simulation) -> PathOutcome:
    """What a run came to."""
    view, recorder = run.view(), run.recorder
    firsts = [run.paths[symbol][0] for symbol in run.scenario.symbols]
    return PathOutcome(
        bad_debt=recorder.created // RAY,
        covered={stage: amount // RAY for stage, amount in recorder.covered.items()},
        outstanding=(sum(view.deficit(c) for c in view.types) + recorder.netted) // RAY,
        underwater=sum(underwater(view, c) for c in range(len(firsts))) // RAY,
        liquidated=sum(auction.principal for auction in recorder.auctions.values()) // RAY,
        fall=sum((first - recorder.worst[c]) * RAY // first for c, first in enumerate(firsts)),
        profits={
            row["name"]: int(row["profit_wad"]) for row in keeper_rows(run) if row["role"] == "attacker"
        },
        ends={each.name: run.worth(each.address) for each in run.members if each.pool in run.at},
    )


def _told(outcome: PathOutcome) -> dict[str, Any]:
    return {
        "bad_debt_wad": str(outcome.bad_debt),
        "covered": [{"stage": stage, "wad": str(amount)} for stage, amount in outcome.covered.items()],
        "outstanding_wad": str(outcome.outstanding),
        "underwater_wad": str(outcome.underwater),
        "loss_wad": str(outcome.loss),
        "liquidated_wad": str(outcome.liquidated),
        "profits": [{"name": name, "wad": str(amount)} for name, amount in outcome.profits.items()],
        "ends": [{"name": name, "wad": str(amount)} for name, amount in outcome.ends.items()],
    }
