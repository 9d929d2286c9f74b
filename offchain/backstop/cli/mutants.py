"""Put small faults into the contracts and see whether the tests find them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from backstop.cli.command_helpers import (
    RUNS,
    Command,
    fresh_option,
    handle_errors,
    handle_stop_signals,
    json_option,
    seed_option,
    show_progress_bar,
)
from backstop.errors import BackstopError
from backstop.files.installation import require_checkout

if TYPE_CHECKING:
    from backstop.proof.mutation.correlated_mutants import CorrelatedMutant


@click.command(
    cls=Command,
    short_help="Measure whether the tests detect faults in the contracts",
    epilog="""\b
Examples:
  ape run mutants
  ape run mutants --contract Pool --sample 20
  ape run mutants --all
  ape run mutants --pairs
  ape run mutants --pair upper-median --steps 5000
  ape run mutants --pairs --by hunt --seed 3
  ape run mutants --draw 30 --seed 4201 --out tests/backstop/proof/mutation/draws/practice_4201.yaml
  ape run mutants --since HEAD~5 --sample 10 --seed 3
  ape run mutants --from tests/backstop/proof/mutation/pairs/practice/seed_4201.yaml --steps 150000
""",
)
@click.option(
    "--contract",
    "only",
    multiple=True,
    metavar="NAME",
    help="Contract whose mutants or pairs to test; repeatable.  [default: all]",
)
@click.option(
    "--sample",
    type=click.IntRange(1),
    default=60,
    show_default=True,
    help="Mutants of each contract, drawn by --seed.",
)
@click.option("--all", "everything", is_flag=True, help="Test all mutants instead of a sample.")
@click.option("--pairs", is_flag=True, help="Test faults that contract and model share.")
@click.option(
    "--pair", "names", multiple=True, metavar="NAME", help="Pair to test; repeatable.  [default: all]"
)
@click.option(
    "--from",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML file of pairs to test instead of the project's.  [default: none]",
)
@click.option(
    "--draw",
    type=click.IntRange(1, 1_000),
    metavar="N",
    help="Number of new pairs to draw mutants for by --seed, into --out, before any of them is "
    "tested.  [default: none]",
)
@click.option(
    "--since",
    metavar="COMMIT",
    help="Commit since which changed lines get --sample mutants, put before a campaign.  [default: none]",
)
@click.option(
    "--steps",
    type=click.IntRange(1),
    default=40_000,
    show_default=True,
    help="Random steps for each trial of --pairs and --since.",
)
@click.option(
    "--by",
    type=click.Choice(("properties", "hunt")),
    default="properties",
    show_default=True,
    help="Detector of the pairs: 'properties' in a campaign of random steps, or the 'hunt' for "
    "exploits, which has pairs of its own.",
)
@click.option(
    "--cases",
    type=click.IntRange(1, 10**6),
    default=20,
    show_default=True,
    help="Cases of the hunt for each pair; four times as many for the present rules.",
)
@seed_option
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Number of worker processes; pairs use one.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of the results; a change of the contracts tests all mutants again.  [default: "
    "runs/mutants.json, runs/pairs.json or runs/hunted.json]",
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
    file: Path | None,
    draw: int | None,
    since: str | None,
    steps: int,
    by: str,
    cases: int,
    seed: int,
    workers: int,
    out: Path | None,
    fresh: bool,
    as_json: bool,
) -> None:
    """Test mutants of the contracts (copies with one small fault each) against the tests.

    Each mutant runs through the unit tests, flows, exploits and a bounded campaign on revm. Results are kept
    after each mutant; the same command resumes.

    With --draw mutants are only drawn, for new pairs whose model side is written by hand. With --since a
    campaign of --steps random steps tests --sample mutants of changed lines. With --pairs contract and model
    have the same fault, which only properties or the hunt can detect. docs/explanation/mutants.md explains
    the rules.

    Writes the results to --out.

    Exit codes: 0 on success, 2 on invalid options; 1 if the tests kill less than 95% of a contract's mutants,
    if more than 5% are argued to be equivalent, if contract and model of a pair differ, if the hunt finds a
    harmless pair, or on an error or an interruption.
    """
    require_checkout("mutants")
    if draw is not None:
        _draw_mutants(draw, seed, out)
        return
    if since is not None:
        _try_changed_lines(since, sample, steps, seed)
        return
    if by == "hunt":
        _hunt_correlated_mutants(only, names, file, cases, seed, out or RUNS / "hunted.json", fresh, as_json)
        return
    if pairs or names or file is not None:
        _try_correlated_mutants(only, names, file, steps, seed, out or RUNS / "pairs.json", fresh, as_json)
        return
    from backstop.proof.mutation.contract_mutants import FILES
    from backstop.proof.mutation.contract_scores import build_score_terminal_table, iter_score_complaints
    from backstop.proof.mutation.equivalent_mutants import read_equivalence_arguments
    from backstop.proof.mutation.mutant_results import MutantResultStore
    from backstop.proof.mutation.mutant_runs import MutantRuns

    argued = read_equivalence_arguments()
    results = MutantResultStore(out or RUNS / "mutants.json", fresh)
    trials = MutantRuns(only or FILES, results, None if everything else sample, seed, argued)
    with (
        handle_stop_signals("stopping after the present mutants, results are kept ...") as stop,
        show_progress_bar() as bar,
    ):

        def show(contract, mutant, result):
            bar(
                sum(score.mutant_count for score in trials.scores.values()),
                trials.expected_mutant_count,
                contract,
            )

        done = trials.try_mutants_and_report_completion(workers, stop, show)
    scores = trials.scores.values()
    if as_json:
        print(json.dumps([score.to_json(argued) for score in scores], indent=2))
    else:
        for score in scores:
            for mutant in score.survived:
                print(f"survived: {mutant.operator} in {mutant.function}\n{mutant.make_diff()}\n")
        Console(highlight=False).print(build_score_terminal_table(scores))
    _require_complete_without_complaints(done, iter_score_complaints(scores, argued))


def _try_correlated_mutants(
    contracts: tuple[str, ...],
    mutant_names: tuple[str, ...],
    mutant_file: Path | None,
    steps: int,
    seed: int,
    out: Path,
    fresh: bool,
    as_json: bool,
) -> None:
    from backstop.proof.mutation.correlated_mutant_runs import (
        MutantPairResultStore,
        build_mutant_pair_console_table,
        format_noticed_pair_count,
        iter_invalid_mutant_pair_violations,
        try_mutant_pairs,
    )
    from backstop.proof.mutation.correlated_mutants import (
        HUNTED,
        read_mutant_pair_file,
        read_mutant_pairs_from_yaml_files,
    )

    known = (
        read_mutant_pair_file(mutant_file)
        if mutant_file is not None
        else [
            *read_mutant_pairs_from_yaml_files(),
            *(read_mutant_pairs_from_yaml_files(HUNTED) if mutant_names else ()),
        ]
    )
    wanted = _select_correlated_mutants(known, contracts, mutant_names)
    done = []
    with handle_stop_signals("stopping, results are kept ...") as stop, show_progress_bar() as bar:
        bar(0, len(wanted), "compiling")
        for pair, result in try_mutant_pairs(wanted, MutantPairResultStore(out, fresh), steps, seed, stop):
            done.append((pair, result))
            bar(len(done), len(wanted), pair.name)
    content = [{"pair": pair.name, **asdict(result)} for pair, result in done]
    _print_results(content, (build_mutant_pair_console_table(done), format_noticed_pair_count(done)), as_json)
    _require_complete_without_complaints(len(done) == len(wanted), iter_invalid_mutant_pair_violations(done))


def _try_changed_lines(revision: str, count: int, steps: int, seed: int) -> None:
    from backstop.proof.mutation.changed_line_mutants import (
        list_results,
        read_changed_lines,
        shuffle_mutants_of_lines,
        try_mutants,
    )

    mutants = shuffle_mutants_of_lines(read_changed_lines(revision), seed)
    count, done = min(count, len(mutants)), []
    with handle_stop_signals("stopping ...") as stop, show_progress_bar() as bar:
        bar(0, count, "compiling")
        for mutant, word in try_mutants(mutants, count, steps, seed, stop):
            done.append((mutant, word))
            bar(len(done), count, mutant.function)
    for line in list_results(done):
        print(line)
    _require_complete_without_complaints(len(done) == count, ())


def _draw_mutants(count: int, seed: int, out: Path | None) -> None:
    from backstop.proof.mutation.correlated_mutant_draw import draw_mutants, read_drawn_mutant_ids, write_draw

    if out is None:
        raise BackstopError("--draw: no file to write; expected --out FILE")
    drawn = draw_mutants(count, seed, read_drawn_mutant_ids())
    write_draw(drawn, count, seed, out)
    print(f"drew {len(drawn)} mutants for {count} pairs into {out}; commit it before any of them is tried")


def _hunt_correlated_mutants(
    contracts: tuple[str, ...],
    mutant_names: tuple[str, ...],
    mutant_file: Path | None,
    cases: int,
    seed: int,
    out: Path,
    fresh: bool,
    as_json: bool,
) -> None:
    from backstop.proof.mutation.correlated_mutants import (
        HUNTED,
        read_mutant_pair_file,
        read_mutant_pairs_from_yaml_files,
    )
    from backstop.studies.exploit_search_score.mutant_search_trials import (
        FindingStore,
        MutantSearchTrials,
        build_mutant_detection_table,
        format_found_mutants_count,
        iter_harmless_mutant_detection_violations,
    )

    known = (
        read_mutant_pair_file(mutant_file)
        if mutant_file is not None
        else [
            *read_mutant_pairs_from_yaml_files(HUNTED),
            *(read_mutant_pairs_from_yaml_files() if mutant_names else ()),
        ]
    )
    wanted = _select_correlated_mutants(known, contracts, mutant_names)
    done = []
    with handle_stop_signals("stopping, results are kept ...") as stop, show_progress_bar() as bar:
        trials = MutantSearchTrials(wanted, FindingStore(out, fresh), cases, seed, stopped=stop)
        unchanged = trials.search_without_mutants(lambda n: bar(n, len(trials.more), "the unchanged rules"))
        for verdict in trials.iter_mutant_verdicts(unchanged):
            done.append(verdict)
            bar(len(done), len(wanted), verdict.pair.name)
    _print_results(
        [each.to_finding_json() for each in done],
        (build_mutant_detection_table(done), format_found_mutants_count(done)),
        as_json,
    )
    _require_complete_without_complaints(
        len(done) == len(wanted), iter_harmless_mutant_detection_violations(done)
    )


def _select_correlated_mutants(
    correlated_mutants: Iterable[CorrelatedMutant], contracts: Iterable[str], mutant_names: Sequence[str]
) -> list[CorrelatedMutant]:
    """Return the mutant pairs with these names or in these contracts, or all if neither is given.

    A mutant pair is the same mistake in contract and model.
    """
    from backstop.proof.mutation.contract_mutants import list_own_files
    from backstop.proof.mutation.correlated_mutants import select_correlated_mutants

    return select_correlated_mutants(
        correlated_mutants, mutant_names, [file for name in contracts for file in list_own_files(name)]
    )


def _print_results(content: list[Any], tables: Iterable[Any], as_json: bool) -> None:
    """Print results as JSON or as tables on stdout."""
    if as_json:
        print(json.dumps(content, indent=2))
        return
    console = Console(highlight=False)
    for each in tables:
        console.print(each)


def _require_complete_without_complaints(is_complete: bool, complaint_texts: Iterable[str]) -> None:
    """Raise BackstopError if the run was stopped early, or if there is a complaint about its results."""
    if not is_complete:
        raise BackstopError("stopped: these are the results so far; the same command goes on")
    if complaints := list(complaint_texts):
        raise BackstopError("; ".join(complaints))
