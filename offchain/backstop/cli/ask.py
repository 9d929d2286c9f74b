"""Questions about a book, each answered in one sentence and a table."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import click

from backstop.cli.command_helpers import (
    RUNS,
    Command,
    build_scenario_record_inputs,
    episode_option,
    format_repeat_command,
    handle_errors,
    handle_stop_signals,
    json_option,
    open_output,
    output_options,
    seed_option,
    show_progress_bar,
)
from backstop.cli.import_options import parse_name_values, write_table_faults_csv
from backstop.cli.old_names import translate_old_presets
from backstop.errors import BackstopError
from backstop.studies.borrower_response import RESPONSES, STILL
from backstop.studies.stress.engines import ENGINES

_NAMES = ("at-risk", "falls", "proposal", "payers", "owners", "ceiling", "history", "episodes")
_ALWAYS = ("question", "scenario", "episode", "seed", "out", "fresh", "as_json")
_EVENT_FIELDS = {
    "columns": "--column",
    "fixed": "--fixed",
    "decimals": "--decimals",
    "only": "--only",
    "rename": "--rename",
}


@click.command(
    cls=Command,
    short_help="Answer a question about a scenario: proposals, ceilings, payers, price drops",
    epilog="""\b
Examples:
  ape run ask falls runs/laws/scenario.yaml
  ape run ask at-risk runs/laws/scenario.yaml --paths 5000
  ape run ask proposal runs/laws/scenario.yaml --set parameters.collateral_types.WETH.auction.step='60 s'
  ape run ask proposal runs/laws/scenario.yaml --proposed lower.yaml --owners distance
  ape run ask payers runs/laws/scenario.yaml --presets maker,backstop --paths 20
  ape run ask owners runs/laws/scenario.yaml --largest 5
  ape run ask ceiling runs/laws/scenario.yaml --symbol WETH --limit 100000
  ape run ask history runs/week/react.yaml --events events.csv
  ape run ask episodes runs/laws/scenario.yaml
  ape run ask history runs/week/react.yaml --events may.csv --like mine.yaml --rename WETH=ETH
""",
)
@click.argument("question", type=click.Choice(_NAMES))
@click.argument("scenario", metavar="SCENARIO")
@episode_option
@click.option(
    "--paths",
    type=click.IntRange(2, 10_000_000),
    default=None,
    help="Number of paths.  [default: 1000; payers 50, history 200, episodes 100]",
)
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default=None,
    help="Engine of the paths: 'fast' approximates, 'exact' runs the contracts in process, 'model' "
    "runs the reference model alone.  [default: fast; payers model]",
)
@click.option(
    "--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Number of worker processes."
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="FIELD=VALUE",
    help="proposal: new value of a field of the scenario; repeatable.  [default: none]",
)
@click.option(
    "--proposed",
    default=None,
    metavar="NAME|FILE",
    help="proposal: scenario with the proposed values.  [default: none]",
)
@click.option(
    "--level",
    type=click.FloatRange(50, 99.9),
    default=95,
    show_default=True,
    metavar="PERCENT",
    help="proposal, ceiling: level of the expected shortfall, in percent.",
)
@click.option(
    "--owners",
    type=click.Choice(RESPONSES),
    default=STILL,
    show_default=True,
    help="proposal: response of owners to another liquidation ratio: 'still' keeps the book, "
    "'distance' keeps each vault's distance from liquidation, 'leverage' keeps its debt.",
)
@click.option(
    "--presets", default="all", show_default=True, metavar="NAME|FILE,...", callback=translate_old_presets,
    help="payers: presets of the library or YAML files to compare, with commas between them.",
)  # fmt: skip
@click.option(
    "--symbol",
    default=None,
    help="ceiling, history: collateral to examine, required with `ceiling`.  [default: the "
    "scenario's only one]",
)
@click.option(
    "--events", multiple=True, metavar="FILE|ADDRESS",
    help="history: file or address (s3://...) of events of the same owners; repeatable.  [default: "
         "none]",
)  # fmt: skip
@click.option(
    "--like", default="events", show_default=True, metavar="NAME|FILE",
    help="history: mapping of columns of the events, a name or a YAML file with `form: events`.",
)  # fmt: skip
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="FIELD=COLUMN",
    help="history: column of the events that holds a field; repeatable.  [default: the mapping's]",
)
@click.option(
    "--fixed",
    multiple=True,
    metavar="FIELD=CELL",
    help="history: value of an event field in all rows; repeatable.  [default: none]",
)
@click.option(
    "--decimals",
    multiple=True,
    metavar="FIELD=N|COLUMN",
    help="history: decimals of an integer event field, a number or a column; repeatable.  [default: "
    "the mapping's]",
)
@click.option(
    "--only",
    multiple=True,
    metavar="COLUMN=CELL[|CELL]",
    help="history: values that a column of events must have, else the row is left out; repeatable.  "
    "[default: all rows]",
)
@click.option(
    "--rename",
    multiple=True,
    metavar="SYMBOL=SYMBOL",
    help="history: new symbol of a token in the events; repeatable.  [default: none]",
)
@click.option(
    "--floats",
    is_flag=True,
    help="history: accept floats in the events; collateral is rounded down, debt up.",
)
@click.option(
    "--faults", "faults_file", type=click.Path(dir_okay=False, path_type=Path), default=None,
    help="history: CSV file to write with every faulty row of events.  [default: none]",
)  # fmt: skip
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=None,
    help="ceiling: limit of the expected shortfall, in stablecoins; required with `ceiling`.  "
    "[default: none]",
)
@click.option(
    "--largest",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="owners: number of largest owners to list.",
)
@click.option(
    "--worst",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="owners: number of worst paths whose losses `lost` adds up.",
)
@click.option(
    "--by",
    type=click.Choice(("debt", "lost")),
    default="debt",
    show_default=True,
    help="owners: order by 'debt', or by 'lost', the bad debt of their vaults on the worst paths.",
)
@click.option(
    "--fall",
    "falls",
    type=click.IntRange(0, 99),
    multiple=True,
    help="falls: price drop in percent; repeatable.  [default: 5 to 60, in steps of 5]",
)
@seed_option
@output_options("Folder of the answer.", "runs/ask-<question>-<scenario>-<seed>")
@json_option
@handle_errors
def cli(
    question: str, scenario: str, seed: int, out: Path | None, fresh: bool, as_json: bool, **given: Any
) -> None:
    """Answer a question about the vaults of a scenario with a sentence and tables.

    \b
    at-risk   bad debt and its probability
    falls     debt that each price drop makes liquidatable
    proposal  effect of changed parameters, and its certainty
    payers    payers of losses under the rules of other systems
    owners    share of the largest owners in debt and losses
    ceiling   debt ceiling of a collateral type for a given shortfall
    history   outcome of a past period, model beside record, with owners that react
    episodes  losses of the book in six past crashes

    Reads SCENARIO, most often from `import` or `calibrate`. Writes summary.json, assumptions.json, meta.json,
    tables in CSV, and report.html.

    Exit codes: 0 on success, 1 on an error or an interruption, 2 on invalid options.
    """
    from backstop.report import answer_page, proposal_page
    from backstop.report.frame_console_table import print_answer, write_answer_files
    from backstop.simulation.run_metadata import build_run_metadata
    from backstop.simulation.scenario import load_scenario
    from backstop.simulation.scenario.scenario_library import join_episode
    from backstop.simulation.sources.table_reader import TableFaultsError
    from backstop.studies.assumption_record import write_assumptions
    from backstop.studies.risk_questions import episode_outcomes, history_comparison, payers_by_system
    from backstop.studies.risk_questions.path_runner import PATHS, PathRunner
    from backstop.studies.risk_questions.question_answers import (
        OPTIONS,
        answer_question,
        list_question_assumptions,
    )

    _check_no_other_options(question, OPTIONS[question])
    fewer = {
        "payers": payers_by_system.PATHS,
        "history": history_comparison.PATHS,
        "episodes": episode_outcomes.PATHS,
    }
    paths = given["paths"] or fewer.get(question, PATHS)
    engine = given["engine"] or ("model" if question == "payers" else "fast")
    scenario = join_episode(scenario, given.pop("episode"))
    day = load_scenario(scenario)
    apart = ("paths", "engine", "workers", "faults_file")
    options = {name: given[name] for name in OPTIONS[question] if name not in apart}
    if "falls" in options:
        options["falls"] = list(options["falls"])
    if "changes" in options:
        options["changes"] = parse_name_values("--set", options["changes"])
    if question == "history":
        options["events"] = list(options["events"])
        for name, option in _EVENT_FIELDS.items():
            options[name] = parse_name_values(option, options[name])
    if "level" in options:
        options["level"] = round(100 * options["level"])
    directory = out or RUNS / f"ask-{question}-{day.name}-{seed}"
    inputs = {**build_scenario_record_inputs(day), "question": question, "seed": seed}
    if question != "falls":
        inputs |= {"paths": paths, "engine": engine}
    if options.get("proposed") is not None:
        other = build_scenario_record_inputs(load_scenario(options["proposed"]))
        inputs |= {f"proposed {name}": each for name, each in other.items()}
    contents = [Path(each) for each in options.get("events", ()) if Path(each).is_file()]
    if contents:
        inputs["content of the events"] = [sha256(each.read_bytes()).hexdigest() for each in contents]
    began = time.monotonic()
    with handle_stop_signals() as stop, show_progress_bar() as progress:
        run = PathRunner(paths, seed, engine, given["workers"], progress, stop)
        output = open_output(directory, "ask", inputs | options, fresh=fresh)
        if output.finished:
            summary = output.read_result()
        else:
            try:
                summary = answer_question(question, scenario, run, options)
            except TableFaultsError as error:
                write_table_faults_csv(error, given["faults_file"])
                raise
            write_assumptions(directory, "ask", list_question_assumptions(scenario, question, run, options))
            command = _build_repeat_command(question, scenario, paths, engine, seed, given)
            write_answer_files(
                directory, summary, build_run_metadata(engine, command, directory, time.monotonic() - began)
            )
            write_page = proposal_page.write_page if question == "proposal" else answer_page.write_answer_page
            write_page(directory)
            output.mark_finished()
    if as_json:
        click.echo(json.dumps({**summary, "out": str(directory)}, indent=2, sort_keys=True))
        return
    print_answer(summary, directory)


def _check_no_other_options(question: str, options: tuple[str, ...]) -> None:
    """Raise BackstopError if an option was given that the question does not use."""
    context = click.get_current_context()
    for each in context.command.params:
        if each.name is None or each.name in (*_ALWAYS, *options):
            continue
        if context.get_parameter_source(each.name) is click.core.ParameterSource.COMMANDLINE:
            raise BackstopError(f"{each.opts[0]}: not an option of the question {question}; leave it out")


def _build_repeat_command(
    question: str, scenario: str, paths: int, engine: str, seed: int, given: Mapping[str, Any]
) -> str:
    """Return the shell command that answers the same question again, with all given options."""
    line = format_repeat_command(f"ask {question} {scenario}", seed=seed)
    if question != "falls":
        line = format_repeat_command(f"ask {question} {scenario}", paths=paths, engine=engine, seed=seed)
    words: list[tuple[str, ...]] = [("--set", each) for each in given["changes"]]
    words += [("--fall", str(each)) for each in given["falls"]]
    for name in ("proposed", "symbol", "limit"):
        words += [(f"--{name}", str(given[name]))] if given[name] is not None else []
    if question in ("proposal", "ceiling"):
        words.append(("--level", f"{given['level']:g}"))
    if given["owners"] != STILL:
        words.append(("--owners", given["owners"]))
    words += [("--events", each) for each in given["events"]]
    if question == "history" and given["like"] != "events":
        words.append(("--like", given["like"]))
    for name, option in _EVENT_FIELDS.items():
        words += [(option, each) for each in given[name]]
    if given["floats"]:
        words.append(("--floats",))
    if question == "payers":
        words.append(("--presets", given["presets"]))
    if question == "owners":
        words += [("--largest", str(given["largest"])), ("--worst", str(given["worst"]))]
        words.append(("--by", given["by"]))
    return " ".join([line, *(shlex.join(each) for each in words)])
