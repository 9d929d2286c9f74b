"""A long campaign of random steps, model against chain."""

from collections.abc import Callable, Iterator
from math import inf
from pathlib import Path
from time import monotonic

import click

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
from backstop.errors import BackstopError
from backstop.files.installation import CONTRACTS, format_command_as_started
from backstop.files.output_directories import hash_value_repr
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.host_registry import HOSTS
from backstop.parallel.dask_workers import build_cluster_workers
from backstop.proof.fuzz.campaign_console_output import print_campaign
from backstop.proof.fuzz.decision_coverage import write_decision_coverage
from backstop.proof.fuzz.fuzz_campaign import Campaign, CampaignProgress, CampaignSettings
from backstop.proof.fuzz.planted_faults import read_faults_yaml, result_lines
from backstop.proof.fuzz.progress_text import ProgressFormatter
from backstop.proof.fuzz.shrunk_failures import ShrunkFailure, shrink_file
from backstop.proof.fuzz.trace_coverage_process import CoverageProcess

# The share of --seconds in which runs are played; the rest is for shrinking and covering.
PLAYING = 0.8
# As a shell tells an interrupt.
INTERRUPTED = 130

ENDLESS = 2**63
"""Steps of a campaign that only time ends."""

RUN_BY = ("backstop.proof.fuzz.fuzz_worker", "backstop.proof.fuzz.trace_coverage_process")
"""Inputs that a folder resumes with as long as they are unchanged."""


@click.command(
    cls=Command,
    short_help="Fuzz the contracts against the model with random steps",
    epilog="""\b
Examples:
  ape run fuzz --steps 1000000 --seed 1
  ape run fuzz --seconds 28800 --workers 2 --seed 7 --out runs/overnight
""",
)
@click.option(
    "--steps",
    type=click.IntRange(1),
    help="Random steps in all, counting those of an earlier run.  [default: 100000, or no end with "
    "--seconds]",
)
@click.option(
    "--seconds",
    type=click.FloatRange(1),
    help="Time limit in seconds, including the coverage of kept traces.  [default: none]",
)
@seed_option
@workers_options
@click.option(
    "--host",
    type=click.Choice(HOSTS),
    default="revm",
    show_default=True,
    help="Throw-away chain that runs the contracts.",
)
@click.option(
    "--check-every",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Steps between two comparisons of all state.",
)
@output_options("Folder of the campaign.", "runs/fuzz-<seed>-<host>", store=True)
@click.option("--promises", is_flag=True, help="Assert also the promises that the present rules do not keep.")
@click.option(
    "--planted",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML file of planted faults that need two predicates at once; prints the reported faults "
    "with their steps.  [default: none]",
)
@click.option(
    "--unsteered", is_flag=True, help="Draw moves without preference for states that were not reached yet."
)
@click.option("--keep-going", is_flag=True, help="Continue after the first failure.")
@contracts_folder_option
@json_option
@handle_errors
def cli(
    steps,
    seconds,
    seed,
    workers,
    dask,
    host,
    check_every,
    out,
    fresh,
    promises,
    planted,
    unsteered,
    keep_going,
    contracts,
    as_json,
):
    """Run random steps on fresh deployments, compare model and chain, and keep traces that reach new states.

    Every step compares outcome, revert reason, return value, events, written slots and the step's properties;
    every --check-every steps all state and its properties; every run of 2,000 steps the whole storage. A
    failure is shrunk and becomes a test file. The same command resumes an interrupted campaign; more --steps
    or --seconds extend it.

    Writes traces, coverage.json and failures into --out.

    Exit codes: 0 without a failure, 1 with a failure or on an error, 2 on invalid options, 130 on an
    interruption before any failure.
    """
    if steps is None and seconds is None:
        steps = 100_000
    out = out or RUNS / f"fuzz-{seed}-{host}{'-promises' if promises else ''}"
    if dask is not None and planted is not None:
        raise BackstopError(
            "--planted: given with --dask, whose workers lack the file; expected one of the two"
        )
    if dask is not None and contracts != CONTRACTS:
        raise BackstopError(
            "--contracts: given with --dask, whose workers have their own; expected one of the two"
        )
    artifacts = Artifacts(contracts)
    # Runs elsewhere would wait for the rounds that they learn from.
    steered = not unsteered and dask is None
    faults = read_faults_yaml(planted) if planted else []
    file = str(planted.resolve()) if planted else None
    settings = CampaignSettings(seed, steps, host, check_every, str(contracts), promises, steered, file)
    inputs = {
        **{"seed": seed, "host": host, "check-every": check_every, "promises": promises},
        "steered": steered,
        "planted faults": hash_value_repr(faults) if faults else None,
    }
    asked = {"steps": ENDLESS if steps is None else steps}
    output = open_output(out, "fuzz", inputs, asked, contracts=artifacts.root, fresh=fresh, runs=RUN_BY)
    campaign = Campaign.load_or_start(settings, out)
    deadline = inf
    with (
        handle_stop_signals("stopping, what was done is kept ...") as stopped,
        show_progress_bar(shows_counts=False) as bar,
    ):

        def has_ended() -> bool:
            return stopped() or monotonic() > deadline

        with CoverageProcess(artifacts, has_ended) as coverer:
            bar(0, 1, "compiling")
            if not coverer.request_plain_compilation():  # before the workers ask for it
                raise BackstopError("stopped while the contracts were compiled; no results")
            clock = ProgressFormatter(steps, seconds)
            if seconds is not None:
                deadline = clock.began + seconds
            playing = None if seconds is None else seconds * PLAYING
            spread = None if dask is None else build_cluster_workers(dask)
            progress = campaign.play_runs(
                workers,
                playing,
                keep_going,
                stopped,
                lambda p: bar(*clock.compute_progress_and_text(p)),
                spread,
            )
            findings = list(_shrink_failures(progress, out, artifacts, has_ended))
            covered = None
            if not progress.failures:
                bar(0, 1, "compiling with marks")
                kept = [out / name for name in progress.corpus]
                covered = coverer.cover_traces(
                    kept, lambda n: bar(n, len(kept), f"covering {n} of {len(kept)} traces")
                )
            surveyed = coverer.request_marked_compilation()
    if covered is not None:
        write_decision_coverage(covered.coverage, out / "coverage.json")
    for line in result_lines(faults, progress.reported) if faults else ():
        click.echo(line, err=as_json)
    print_campaign(progress, findings, covered, artifacts, surveyed, as_json)
    all_covered = covered is not None and covered.traces == covered.of
    if not progress.failures and not all_covered:
        click.echo("there was no time to cover all kept traces: the same command goes on with them", err=True)
    if steps is not None and not progress.failures:
        if progress.tally.steps < steps:
            again = format_repeat_command(
                "fuzz",
                steps=steps,
                seed=seed,
                host=host,
                promises=promises,
                planted=planted,
                unsteered=unsteered,
                out=out,
            )
            click.echo(f"go on with: {again}", err=True)
        elif all_covered:
            output.mark_finished()
    raise SystemExit(1 if progress.failures else INTERRUPTED if stopped() else 0)


def _shrink_failures(
    progress: CampaignProgress, out: Path, artifacts: Artifacts, has_ended: Callable[[], bool]
) -> Iterator[ShrunkFailure]:
    """Yield each failure with its trace reduced to a minimal failing one, while there is time.

    A failure that cannot be reduced is printed to stderr instead.
    """
    for failure in progress.failures:
        trace = out / failure["trace"]
        reason = f"{format_command_as_started('shrink')} does it"
        if not has_ended():
            try:
                yield shrink_file(trace, artifacts, has_ended)
                continue
            except BackstopError as error:  # only one host may show it
                reason = str(error)
        click.echo(f"{failure['text']}\n{trace} is not shrunk: {reason}", err=True)
