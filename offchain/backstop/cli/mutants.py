"""Put small faults into the contracts and see whether the tests find them."""

from __future__ import annotations

import json
from dataclasses import asdict
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
  ape run mutants --pairs
  ape run mutants --pair upper-median --steps 5000
""",
)
@click.option("--contract", "only", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
@click.option(
    "--sample", type=click.IntRange(1), default=60, show_default=True, help="Mutants of each contract."
)
@click.option("--all", "everything", is_flag=True, help="All mutants, not a sample.")
@click.option("--pairs", is_flag=True, help="Wrong rules that contract and model share: who notices?")
@click.option("--pair", "names", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
@click.option(
    "--steps", type=click.IntRange(1), default=40_000, show_default=True, help="Random steps for each pair."
)
@seed_option
@click.option(
    "--workers", type=click.IntRange(1), default=2, show_default=True, help="Processes; pairs take one."
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of the results; after an edit of the contracts all are tried again.  "
    "[default: runs/mutants.json, runs/pairs.json]",
)
@fresh_option
@json_option
@handle_errors
def cli(
    only: tuple[str, ...],
    sample: int,
    everything: bool,
    pairs: bool,
    names: tuple[str, ...],
    steps: int,
    seed: int,
    workers: int,
    out: Path | None,
    fresh: bool,
    as_json: bool,
) -> None:
    """Try a sample of mutants of each contract: the contract with one small fault.

    Each meets the unit tests, flows, exploits and a bounded campaign on revm. Results are kept after each
    mutant, and the same command goes on. Fails if the tests kill less than 95% on a contract, or if more
    than 5% are argued to be equivalent.

    With --pairs the fault is in contract and model alike, and only what looks at neither notices it:
    properties in a campaign of random steps. Fails if the two differ. See docs/know/mutants.md.
    """
    need_checkout("mutants")
    if pairs or names:
        _try_pairs(only, names, steps, seed, out or RUNS / "pairs.json", fresh, as_json)
        return
    from backstop.proof.mutation.equivalent import read_equivalent
    from backstop.proof.mutation.mutants import FILES
    from backstop.proof.mutation.results import Results
    from backstop.proof.mutation.score import complaints, table
    from backstop.proof.mutation.trials import Trials

    argued = read_equivalent()
    results = Results(out or RUNS / "mutants.json", fresh)
    trials = Trials(only or FILES, results, None if everything else sample, seed, argued)
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


def _try_pairs(
    contracts: tuple[str, ...],
    names: tuple[str, ...],
    steps: int,
    seed: int,
    out: Path,
    fresh: bool,
    as_json: bool,
) -> None:
    from backstop.proof.mutation.mutants import files_of
    from backstop.proof.mutation.pair_trials import PairResults, complaints, table, total, tried
    from backstop.proof.mutation.pairs import chosen, read_pairs

    wanted = chosen(read_pairs(), names, [file for name in contracts for file in files_of(name)])
    done = []
    with stoppable("stopping, results are kept ...") as stop, progress_bar() as bar:
        bar(0, len(wanted), "compiling")
        for pair, result in tried(wanted, PairResults(out, fresh), steps, seed, stop):
            done.append((pair, result))
            bar(len(done), len(wanted), pair.name)
    if as_json:
        print(json.dumps([{"pair": pair.name, **asdict(result)} for pair, result in done], indent=2))
    else:
        console = Console(highlight=False)
        console.print(table(done))
        console.print(total(done))
    if len(done) < len(wanted):
        raise BackstopError("stopped: these are the results so far; the same command goes on")
    if wrong := list(complaints(done)):
        raise BackstopError("; ".join(wrong))
