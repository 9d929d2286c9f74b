"""Many random settings on several processes, kept on disk, taken up again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from backstop.errors import BackstopError
from backstop.files.atomic_files import read_versioned_json, write_json
from backstop.parallel.worker_backend_selection import select_workers
from backstop.studies.random_parameters.parameter_trial import judge_and_play_random_setting

SCHEMA_VERSION = 1
FILE = "settings.json"
SAVE_EVERY = 20
"""Settings between two writes; settings after the last write are run again."""


class ParameterCampaign:
    """Numbered random settings of a campaign with their results, stored in a folder."""

    def __init__(self, out: Path, seed: int, steps: int, host: str, contracts: Path) -> None:
        self.file = out / FILE
        self.shared: dict[str, Any] = {
            "seed": seed,
            "steps": steps,
            "host": host,
            "contracts": str(contracts),
            "out": str(out),
        }
        self.results: dict[int, dict[str, Any]] = {}
        if self.file.exists():
            self._load_results()

    def run_and_save_trials(
        self, settings: int, workers: int, stopped: Callable[[], bool], show: Callable[[int], None]
    ) -> None:
        """Run the trials of all missing settings below a number, until stopped.

        Results are stored every SAVE_EVERY settings and at the end.
        """
        todo = (n for n in range(settings) if n not in self.results)
        show(len(self.results))
        if stopped():
            return
        try:
            with closing(select_workers(workers, None)(_run_numbered_trial, self.shared, todo)) as results:
                for done in results:
                    if done is not None:
                        number, result = done
                        self.results[number] = result
                        if len(self.results) % SAVE_EVERY == 0:
                            self.save_results()
                        show(len(self.results))
                    if stopped():
                        return
        finally:
            self.save_results()

    @property
    def accepted_count(self) -> int:
        """Number of settings that no rule refuses."""
        return sum(not result["refused"] for result in self.results.values())

    @property
    def steps(self) -> int:
        """Number of random steps that were run in all settings."""
        return sum(result.get("steps", 0) for result in self.results.values())

    @property
    def failures_by_number(self) -> dict[int, dict[str, str]]:
        """Failures of accepted settings by number: kind, text, and file of the trace."""
        results = sorted(self.results.items())
        return {number: result["failure"] for number, result in results if "failure" in result}

    @property
    def missed_duties_by_setting(self) -> dict[int, list[str]]:
        """Duties that accepted settings do not fulfil in time, by number of the setting."""
        return {n: found for n, each in sorted(self.results.items()) if (found := each.get("unanswered"))}

    def count_settings_by_broken_rule(self, verdict: str) -> Counter[str]:
        """Return the number of settings that break each rule with this verdict."""
        return Counter(name for result in self.results.values() for name in result[verdict])

    def save_results(self) -> None:
        """Write all results to the folder atomically."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        settings = {str(number): result for number, result in sorted(self.results.items())}
        write_json({"schema_version": SCHEMA_VERSION, "settings": settings}, self.file)

    def _load_results(self) -> None:
        content = read_versioned_json(
            self.file, "campaign of settings", SCHEMA_VERSION, "check --out", "start again in another folder"
        )
        try:
            self.results = {int(number): result for number, result in content["settings"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BackstopError(
                f"{self.file} is not a valid campaign ({error!r}): start again in another folder"
            ) from None


def _run_numbered_trial(shared: Mapping[str, Any], number: int) -> dict[str, Any]:
    return judge_and_play_random_setting(number, **shared)
