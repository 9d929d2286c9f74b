"""A long campaign of random steps, model against chain."""

import click

from offchain.chain.artifacts import Artifacts
from offchain.cli import (
    RUNS,
    command_line,
    contracts_option,
    handle_errors,
    json_option,
    open_output,
    output_options,
    progress_bar,
    seed_option,
    stoppable,
)
from offchain.errors import BackstopError
from offchain.fuzz.campaign import Campaign, Settings
from offchain.fuzz.findings import shrink_file
from offchain.fuzz.outcome import cover_corpus, print_outcome

ENDLESS = 2**63
"""Steps of a campaign that only time ends."""


@click.command(short_help="Random steps, model against chain")
@click.option(
    "--steps", type=click.IntRange(1), help="Steps in all.  [default: 100000, or no end with --seconds]"
)
@click.option("--seconds", type=click.FloatRange(1), help="Stop after so long.")
@seed_option
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option("--host", type=click.Choice(["revm", "anvil"]), default="revm", show_default=True)
@click.option(
    "--check-every",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Steps between two looks at all state.",
)
@output_options("Folder of the campaign.", "runs/fuzz-<seed>-<host>")
@click.option("--keep-going", is_flag=True, help="Do not stop at the first failure.")
@contracts_option
@json_option
@handle_errors
def cli(steps, seconds, seed, workers, host, check_every, out, fresh, keep_going, contracts, as_json):
    """Play random steps on fresh deployments, compare all there is to compare, keep what is worth it.

    Every step: outcome, revert reason, return value, events, each slot written, the step's properties.
    Every --check-every steps: all state and its properties. Every run of 2,000 steps: the whole storage.
    A failure is shrunk and becomes a test file. Interrupt it at any time: the same
    command goes on, with more --steps as with another --seconds.

    \b
      ape run fuzz --steps 1000000 --seed 1
      ape run fuzz --seconds 28800 --workers 2 --seed 7 --out runs/overnight
    """
    if steps is None and seconds is None:
        steps = 100_000
    out = out or RUNS / f"fuzz-{seed}-{host}"
    artifacts = Artifacts(contracts)
    artifacts.load()  # compiled once, before the workers ask for it
    settings = Settings(seed, steps, host, check_every, str(contracts))
    inputs = {"seed": seed, "host": host, "check-every": check_every}
    asked = {"steps": ENDLESS if steps is None else steps}
    output = open_output(out, "fuzz", inputs, asked, contracts=artifacts.root, fresh=fresh)
    campaign = Campaign.open(settings, out)
    with stoppable("stopping after the runs under way, what was done is kept ...") as stopped:
        with progress_bar() as bar:
            progress = campaign.run(
                workers,
                seconds,
                keep_going,
                stopped,
                lambda p: bar(p.tally.steps, steps or 0, f"{len(p.failures)} failures"),
            )
        findings = []
        for failure in progress.failures:
            try:
                findings.append(shrink_file(out / failure["trace"], artifacts, stopped))
            except BackstopError as error:  # only one host may show it
                click.echo(f"{failure['text']}\n{out / failure['trace']} is not shrunk: {error}", err=True)
        coverage = None if progress.failures else cover_corpus(progress, out, artifacts)
    print_outcome(progress, findings, coverage, artifacts, as_json)
    if steps is not None and not progress.failures:
        if progress.tally.steps >= steps:
            output.finish()
            return
        again = command_line("fuzz", steps=steps, seed=seed, host=host, out=out)
        click.echo(f"go on with: {again}", err=True)
    raise SystemExit(1 if progress.failures else 0)
