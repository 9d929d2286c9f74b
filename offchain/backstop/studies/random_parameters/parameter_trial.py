"""One random setting: the verdict of the rules, and random steps and checks if they accept it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from backstop.deployment.parameter_dataclasses import Parameters
from backstop.deployment.parameter_rules import DOUBTFUL, REFUSED, check_parameters
from backstop.proof.fuzz.campaign_counts import CampaignCounts
from backstop.proof.fuzz.fuzz_run import derive_run_seed
from backstop.proof.fuzz.run_series_with_kept_traces import RunExecutor
from backstop.studies.random_parameters.parameter_sampling import draw_valid_parameters
from backstop.studies.random_parameters.timeliness_checks import iter_timeliness_failures

CHECK_EVERY = 100
"""Steps between two comparisons of the whole state."""


def draw_numbered_setting(seed: int, number: int) -> Parameters:
    """Return the random parameters with this number in the campaign of a seed."""
    return draw_valid_parameters(Random(derive_run_seed(seed, number)))


def judge_and_play_random_setting(
    number: int, seed: int, steps: int, host: str, contracts: str, out: str
) -> dict[str, Any]:
    """Check random parameters by the rules, and run random steps on accepted parameters.

    The result is plain data: rules that refuse or doubt the setting, steps, missed duties, and a failure.
    """
    parameters = draw_numbered_setting(seed, number)
    findings = check_parameters(parameters)
    result: dict[str, Any] = {
        verdict: list(dict.fromkeys(found.rule.name for found in findings if found.rule.verdict == verdict))
        for verdict in (REFUSED, DOUBTFUL)
    }
    if result[REFUSED]:
        return result | {"why": next(str(found) for found in findings if found.rule.verdict == REFUSED)}
    played = _get_player(Path(out), host, seed, contracts).play_run(number, steps, parameters)
    result["steps"] = CampaignCounts.from_json(played["tally"]).steps
    result["unanswered"] = list(iter_timeliness_failures(parameters))
    return result | ({"failure": played["failure"]} if "failure" in played else {})


@cache
def _get_player(out: Path, host: str, seed: int, contracts: str) -> RunExecutor:
    """Return this process's cached runner of random steps, which stores traces of failures only."""
    return RunExecutor(out, host, seed, CHECK_EVERY, contracts, keeps_news=False)
