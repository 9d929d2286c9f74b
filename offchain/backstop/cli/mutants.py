"""Put small faults into the contracts and see whether the tests find them."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console

from backstop.cli.common import (
    RUNS,
    Command,
    fresh_option,
    handle_errors,
    json_option,
    progress_bar,
    seed_option,
    stoppable,
)
from backstop.errors import BackstopError
from backstop.files.installation import need_checkout


@click.command(
    cls=Command,
    short_help="See whether the tests find faults in the contracts",
    epilog="""\b
Examples:
  ape run mutants
  ape run mutants --contract Pool --sample 20
  ape run mutants --all
""",
)
@click.option("--contract", "only", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
@click.option(
    "--sample", type=click.IntRange(1), default=60, show_default=True, help="Mutants of each contract."
)
@click.option("--all", "everything", is_flag=True, help="All mutants, not a sample.")
@seed_option
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Processes.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=RUNS / "mutants.json",
    show_default=True,
    help="File of the results; after an edit of the contracts all mutants are tried again.",
)
@fresh_option
@json_option
@handle_errors
def cli(
    only: tuple[str, ...],
    sample: int,
    everything: bool,
    seed: int,
    workers: int,
    out: Path,
    fresh: bool,
    as_json: bool,
) -> None:
    """Try a sample of mutants of each contract: the contract with one small fault.

    Each meets the unit tests, flows, exploits and a bounded campaign on revm. Results are kept after each
    mutant, and the same command goes on. Fails if the tests kill less than 95% on a contract, or if more
    than 5% are argued to be equivalent. See docs/know/mutants.md.
    """
    need_checkout("mutants")
    from backstop.proof.mutation.equivalent import read_equivalent
    from backstop.proof.mutation.mutants import FILES
    from backstop.proof.mutation.results import Results
    from backstop.proof.mutation.score import complaints, table
    from backstop.proof.mutation.trials import Trials

    argued = read_equivalent()
    trials = Trials(only or FILES, Results(out, fresh), None if everything else sample, seed, argued)
    with stoppable("stopping after the present mutants, results are kept ...") as stop, progress_bar() as bar:

        def show(contract, mutant, result):
            bar(sum(score.mutants for score in trials.scores.values()), trials.expected, contract)

        done = trials.run(workers, stop, show)
    scores = trials.scores.values()
    if as_json:
        print(json.dumps([score.to_json(argued) for score in scores], indent=2))
    else:
        for score in scores:
            for mutant in score.survived:
                print(f"survived: {mutant.operator} in {mutant.function}\n{mutant.diff()}\n")
        Console(highlight=False).print(table(scores))
    if not done:
        raise BackstopError("stopped: these are the results so far; the same command goes on")
    if wrong := list(complaints(scores, argued)):
        raise BackstopError("; ".join(wrong))
