"""Search for exploits: profit that a few accounts extract, unequal treatment, calls that are blocked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from backstop.cli.command_helpers import (
    RUNS,
    Command,
    contracts_folder_option,
    format_repeat_command,
    handle_errors,
    handle_stop_signals,
    json_option,
    open_output,
    output_options,
    seed_option,
    show_progress_bar,
    workers_options,
)
from backstop.cli.old_names import OLD_ALARMS, warn_old_name
from backstop.errors import BackstopError
from backstop.files.installation import require_checkout
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.host_registry import HOSTS
from backstop.parallel.worker_backend_selection import select_workers
from backstop.report.hunt_page import write_page
from backstop.studies.exploit_search.case_alarms import ALARMS, SearchEffort
from backstop.studies.exploit_search.exploit_reports import (
    ExploitReport,
    list_shortest_reports_by_kind,
    replay_and_count_report_steps,
)
from backstop.studies.exploit_search.plan_search import FIRST, LATER
from backstop.studies.exploit_search.search_campaign import SearchCampaign

INTERRUPTED = 130

RUN_BY = ("backstop.studies.exploit_search.search_campaign",)
"""Inputs that a folder resumes with as long as they are unchanged."""


class AlarmChoice(click.Choice):
    """Click choice of alarms of the attack search, which also accepts their old names."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        new = OLD_ALARMS.get(value, value)
        if new != value:
            warn_old_name("alarm", value, new)
        return super().convert(new, param, ctx)


@click.command(
    cls=Command,
    short_help="Search for exploits: extracted profit, broken symmetry, blocked calls",
    old_options={"--old-rule": "--reverted-fix", "--best": "--max-findings"},
    epilog="""\b
Examples:
  ape run hunt --cases 200 --workers 2
  ape run hunt --cases 20 --alarm liveness --alarm symmetry --seed 7
  ape run hunt --cases 10 --reverted-fix test_dust_keeps_a_stage
""",
)
@click.option(
    "--cases",
    type=click.IntRange(1, 10**6),
    default=20,
    show_default=True,
    help="Cases in all, counting those of an earlier run.",
)
@click.option(
    "--plans",
    type=click.IntRange(1),
    default=FIRST + LATER,
    show_default=True,
    help="Plans of the coalition in each case; the first quarter is random.",
)
@click.option(
    "--trials",
    type=click.IntRange(1),
    default=40,
    show_default=True,
    help="Trials in each case for alarms that need no plan.",
)
@click.option(
    "--alarm",
    "alarms",
    type=AlarmChoice(ALARMS),
    multiple=True,
    help="Alarm to search for; repeatable.  [default: all]",
)
@click.option(
    "--max-findings",
    "best",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="Largest number of findings to print for each alarm.",
)
@click.option(
    "--reverted-fix",
    "rules",
    multiple=True,
    metavar="NAME",
    help="Fix to revert in a copy, to see whether the search finds its exploit; repeatable.  [default: none]",
)
@seed_option
@workers_options
@click.option(
    "--host",
    type=click.Choice(HOSTS),
    default="revm",
    show_default=True,
    help="Throw-away chain on which each finding is replayed in lockstep with the model.",
)
@output_options("Folder of the search.", "runs/hunt-<seed>", store=True)
@contracts_folder_option
@json_option
@handle_errors
def cli(
    cases: int,
    plans: int,
    trials: int,
    alarms: tuple[str, ...],
    best: int,
    rules: tuple[str, ...],
    seed: int,
    workers: int,
    dask: str | None,
    host: str,
    out: Path | None,
    fresh: bool,
    contracts: Path,
    as_json: bool,
) -> None:
    """Search random deployments and markets for exploits, and print the shortest finding of each kind.

    \b
    extraction  three accounts act together and gain the losses of others,
                compared with honest keepers and the same balances
    symmetry    two equal accounts end unequal after an irrelevant difference
    liveness    a call that must succeed fails
    delay       spam delays a payment that is due
    margin      one owner of several accounts takes from others in the margin market
    accounting  a call changes balances that it must not, or a payment does not arrive

    With --reverted-fix an old, wrong rule is restored, and the search must find an exploit that the present
    rules do not allow at even half its size, in four times as many cases. The same command resumes an
    interrupted search; more --cases extend it.

    Writes hunt.json and report.html; with --reverted-fix hunted.json.

    Exit codes: 0 if nothing is found, 1 with a finding or on an error, 2 on invalid options, 130 on an
    interruption before any finding. With --reverted-fix 0 if each exploit is found, 1 if not.
    """
    if rules:
        _search_reverted_fixes(
            rules, cases, alarms or ALARMS, seed, out or RUNS / "reverted-fixes", fresh, as_json
        )
        return
    out = out or RUNS / f"hunt-{seed}"
    effort = SearchEffort(
        tuple(each for each in ALARMS if each in (alarms or ALARMS)),
        *_split_random_and_bred_plans(plans),
        trials,
    )
    inputs = {"seed": seed, "plans": plans, "trials": trials, "alarms": " and ".join(effort.alarms)}
    output = open_output(out, "hunt", inputs, {"cases": cases}, contracts=contracts, fresh=fresh, runs=RUN_BY)
    campaign = SearchCampaign(out, seed)
    with handle_stop_signals() as stopped, show_progress_bar() as bar:
        campaign.search_missing_cases_and_save(
            cases,
            select_workers(workers, dask),
            stopped,
            lambda n: bar(n, cases, f"{n} of {cases} cases"),
            effort,
        )
        done = len(campaign.found) >= cases
        stories = list_shortest_reports_by_kind(campaign.found.values())
        artifacts = Artifacts(contracts)
        told = [each for alarm in ALARMS for each in [s for s in stories if s.alarm == alarm][:best]]
        steps = [None if stopped() else replay_and_count_report_steps(each, host, artifacts) for each in told]
    page = write_page(out) if campaign.file.exists() else None
    if as_json:
        click.echo(json.dumps([_build_json(each) for each in stories], indent=2))
    else:
        for each, agreed in zip(told, steps, strict=True):
            _print_finding(each, agreed, host)
        counts = " ".join(f"{alarm}={sum(s.alarm == alarm for s in stories)}" for alarm in effort.alarms)
        click.echo(f"cases={len(campaign.found)} stories={len(stories)} {counts}")
        if page is not None:
            click.echo(f"report     {page}")
    if done:
        output.mark_finished()
    else:
        again = format_repeat_command("hunt", cases=cases, plans=plans, trials=trials, seed=seed, out=out)
        click.echo(" ".join([f"go on with: {again}", *(f"--alarm {each}" for each in alarms)]), err=True)
    raise SystemExit(1 if stories else 0 if done else INTERRUPTED)


def _search_reverted_fixes(
    names: Sequence[str],
    cases: int,
    alarms: Sequence[str],
    seed: int,
    out: Path,
    fresh: bool,
    as_json: bool,
) -> None:
    """Search for attacks with each fix reverted, and print the results.

    Raises BackstopError unless an attack is found for each.
    """
    require_checkout("hunt --reverted-fix")
    from backstop.proof.reverted_fixes import build_mutant_pair_from_patch, list_reverted_fixes
    from backstop.studies.exploit_search_score.mutant_search_trials import (
        FindingStore,
        MutantSearchTrials,
        build_mutant_detection_table,
        format_found_mutants_count,
    )

    wanted = [build_mutant_pair_from_patch(name) for name in list_reverted_fixes(names)]
    done = []
    with handle_stop_signals("stopping, results are kept ...") as stop, show_progress_bar() as bar:
        trials = MutantSearchTrials(
            wanted, FindingStore(out / "hunted.json", fresh), cases, seed, alarms, stop
        )
        unchanged = trials.search_without_mutants(lambda n: bar(n, len(trials.more), "the present rules"))
        for verdict in trials.iter_mutant_verdicts(unchanged):
            done.append(verdict)
            bar(len(done), len(wanted), verdict.pair.name)
    if as_json:
        click.echo(json.dumps([each.to_finding_json() for each in done], indent=2))
    else:
        console = Console(highlight=False)
        console.print(build_mutant_detection_table(done))
        console.print(format_found_mutants_count(done))
    if len(done) < len(wanted):
        raise BackstopError("stopped: these are the results so far; the same command goes on")
    if missed := [each.pair.name for each in done if each.found is None]:
        raise BackstopError(f"no exploit found under {', '.join(missed)}; expected one under each")


def _split_random_and_bred_plans(plan_count: int) -> tuple[int, int]:
    """Return how many attack plans are drawn at random, and how many are bred from good ones.

    A quarter is random, rounded down, and one at least.
    """
    first = max(1, plan_count // 4)
    return first, plan_count - first


def _print_finding(story: ExploitReport, steps: int | None, host: str) -> None:
    click.echo(f"{story.alarm}: {story.kind} ({story.cases} of the cases; this is {story.seed})")
    click.echo(f"  {story.says}")
    for line in story.lines:
        click.echo(f"    {line}")
    if steps is not None:
        click.echo(f"  replayed on {host}: {steps:,} steps, no difference between model and contracts")
    click.echo()


def _build_json(story: ExploitReport) -> dict[str, object]:
    names = ("alarm", "kind", "cases", "seed", "says", "lines")
    return {name: getattr(story, name) for name in names} | {"size": str(story.size)}
