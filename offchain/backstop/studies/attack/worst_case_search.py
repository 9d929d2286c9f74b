"""Search in a folder of its own: stored after each generation, resumable.

    attack.json     settings that define the search
    progress.json   what was learned up to the last finished generation
    worst.yaml      the worst found, as a scenario
    worst/          its run on a chain
    summary.json    what was found
    meta.json       when, how long, with which versions

Equal searches have equal files, with however many interruptions, but for meta.json and the time of the run in
worst/.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backstop.errors import BackstopError
from backstop.files.atomic_files import read_versioned_json, write_files, write_json
from backstop.files.output_directories import hash_value_repr, refuse_other
from backstop.simulation.progress_and_interruption import Progress, RunInterruptedError
from backstop.simulation.scenario import Scenario
from backstop.studies.attack.adversary_budget import Budget
from backstop.studies.attack.candidate_evaluation import CandidateOutcome, CandidateRunner, Score
from backstop.studies.attack.cma_es import SearchDistribution, sort_by_score
from backstop.studies.attack.search_space import AttackCandidate, SearchSpace

SCHEMA_VERSION = 2
METHODS = ("evolution", "random")


@dataclass(frozen=True)
class Task:
    """Definition of a search for the worst case: scenario, budget, goal, seed and method."""

    scenario: Scenario
    budget: Budget
    goal: str
    seed: int
    path: int
    method: str
    population: int
    engine: str

    def build_settings_record(self) -> dict[str, Any]:
        """Return the content of attack.json, which must be equal for a search to be resumed."""
        return {
            "schema_version": SCHEMA_VERSION,
            "scenario": self.scenario.name,
            "budget": self.budget.name,
            "goal": self.goal,
            "seed": self.seed,
            "path": self.path,
            "method": self.method,
            "population": self.population,
            "engine": self.engine,
            "content of scenario and budget": hash_value_repr(self),
        }


class WorstCaseSearch:
    """Search for the worst choice of an adversary, stored in a folder after each generation."""

    def __init__(self, task: Task, out: Path) -> None:
        self.task = task
        self.out = out
        self.space = SearchSpace(task.scenario, task.budget, task.seed, task.path)
        if not self.space.names:
            raise BackstopError(
                f"the budget {task.budget.name} leaves nothing to choose in {task.scenario.name}"
            )
        if task.goal == "gain" and not self.space.attackers:
            raise BackstopError(
                f"--goal gain: neither {task.budget.name} nor {task.scenario.name} has hostile members; "
                "expected some"
            )
        self.trials = CandidateRunner(task.scenario, task.seed, on_bytecode=task.engine == "exact")
        self.cloud = SearchDistribution.create_standard_normal(len(self.space.names))
        self.best: list[float] = []
        self.best_score: Score = ()
        self.history: list[dict[str, Any]] = []

    @classmethod
    def open_or_resume(cls, task: Task, out: Path) -> WorstCaseSearch:
        """Create a search's folder, or reopen it with the stored progress.

        Raises BackstopError if the folder holds another search.
        """
        search = cls(task, out)
        search.prepare_or_resume_folder()
        return search

    def prepare_or_resume_folder(self) -> None:
        """Write attack.json; if it exists, check it and load the stored progress.

        Raises BackstopError if it describes another search, or if the folder cannot be written.
        """
        file = self.out / "attack.json"
        if not file.exists():
            try:
                self.out.mkdir(parents=True, exist_ok=True)
                write_json(self.task.build_settings_record(), file)
            except OSError as error:
                raise BackstopError(f"{self.out} cannot be written: {error.strerror or error}") from None
            return
        there = read_versioned_json(file, "search", SCHEMA_VERSION, "check --out", "start in another folder")
        refuse_other(self.out, there, self.task.build_settings_record())
        self._load_progress()

    def _load_progress(self) -> None:
        file = self.out / "progress.json"
        if not file.exists():
            return
        kept = read_versioned_json(file, "search", SCHEMA_VERSION, "check --out", "start in another folder")
        try:
            self.cloud = SearchDistribution.from_json(kept["cloud"])
            self.best, self.best_score = kept["best"], tuple(kept["score"])
            self.history = kept["history"]
        except (KeyError, TypeError) as error:
            raise BackstopError(f"{file} is not whole ({error!r}): start in another folder") from None

    def run_generations(
        self,
        generations: int,
        progress: Progress = lambda done, total, text: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> tuple[AttackCandidate, CandidateOutcome]:
        """Run the search up to `generations` in total, and return the worst choice with its outcome.

        Raises RunInterruptedError if `stop` returns True before the end. Finished generations are kept.
        """
        population = self.task.population
        while len(self.history) < generations:
            points = self.cloud.draw_points(population, self.task.seed)
            scores: list[Score] = []
            for point in points:
                if stop():
                    done = len(self.history)
                    raise RunInterruptedError(
                        f"stopped; {done} of {generations} generations are kept, the same command goes on"
                    )
                trial = self.trials.measure_candidate_outcome(
                    self.space.build_candidate(point), self.task.goal
                )
                scores.append(trial.compute_score(self.task.goal))
                done = len(self.history) * population + len(scores)
                progress(
                    done,
                    generations * population,
                    f"worst {self._find_best_stablecoin_figure_so_far(scores):,}",
                )
            self._record_generation(points.tolist(), scores)
            if self.task.method == "evolution":
                self.cloud.update_distribution(sort_by_score(points, scores))
            else:
                self.cloud.generation += 1
            self._save_progress()
        choice = self.space.build_candidate(self.best)
        return choice, self.trials.measure_candidate_outcome(choice, self.task.goal)

    def write_summary_and_meta(self, summary: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
        """Write summary.json and meta.json to the search's folder."""
        files = {"summary.json": summary, "meta.json": meta}
        write_files(
            self.out,
            {name: json.dumps(each, indent=2, sort_keys=True) + "\n" for name, each in files.items()},
        )

    def _find_best_stablecoin_figure_so_far(self, generation_scores: list[Score]) -> int:
        """Return the goal's figure of the best choice so far [whole stablecoins]."""
        return max([self.best_score, *generation_scores])[0] // 10**18

    def _record_generation(self, points: list[list[float]], scores: list[Score]) -> None:
        best = max(range(len(scores)), key=lambda i: scores[i])
        if scores[best] > self.best_score:
            self.best, self.best_score = points[best], scores[best]
        middle = sorted(score[0] for score in scores)[len(scores) // 2]
        self.history.append(
            {
                "best_wad": str(scores[best][0]),
                "middle_wad": str(middle),
                "so_far_wad": str(self.best_score[0]),
            }
        )

    def _save_progress(self) -> None:
        kept = {
            "schema_version": SCHEMA_VERSION,
            "cloud": self.cloud.as_json(),
            "best": self.best,
            "score": self.best_score,
            "history": self.history,
        }
        write_files(self.out, {"progress.json": json.dumps(kept) + "\n"})
