"""Shared parts of the commands: options, errors as one line, signals, progress, the table at the end.

Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import functools
import json
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from difflib import get_close_matches
from itertools import zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

import click

from backstop.cli.old_names import warn_old_name
from backstop.errors import BackstopError, refuse_url_as_local_path
from backstop.files.installation import (
    CONTRACTS,
    format_command_as_started,
    refuse_other_checkout,
    translate_missing_extra_errors,
)
from backstop.files.object_store_mirror import SCHEME, StoreAddress
from backstop.files.output_directories import (
    OutputDirectory,
    hash_program_and_contract_sources,
    hash_value_repr,
)
from backstop.hosts.host_registry import HOSTS
from backstop.model.arithmetic import BASIS_POINTS, RAD, WAD
from backstop.simulation.discount_sale_totals import sum_discount_sales
from backstop.simulation.loss_bearers import MARGIN_GROUPS, NOBODY
from backstop.simulation.loss_totals import POSTED, build_model_chain_agreement_texts, compute_loss_totals
from backstop.simulation.stability_pool_totals import sum_stability_pool_figures

if TYPE_CHECKING:
    from rich.console import Console

    from backstop.simulation.progress_and_interruption import Progress
    from backstop.simulation.scenario import Scenario
    from backstop.studies.comparison.run_comparison_lines import Line

P = ParamSpec("P")
T = TypeVar("T")

RUNS = Path("runs")


class Command(click.Command):
    """Click command that accepts old option names and shows help for the way it was started."""

    def __init__(
        self, *args: Any, old_options: Mapping[str, str] = MappingProxyType({}), **given: Any
    ) -> None:
        super().__init__(*args, **given)
        self.old_options = old_options

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [self._translate_old_option(each) for each in args])

    def _translate_old_option(self, argument: str) -> str:
        old, sign, value = argument.partition("=")
        if old not in self.old_options:
            return argument
        warn_old_name("option", old, self.old_options[old])
        return f"{self.old_options[old]}{sign}{value}"

    def get_help(self, ctx: click.Context) -> str:
        return super().get_help(ctx).replace("ape run ", format_command_as_started(""))


# ---------------------------------------------------------------------- options


class LongChoice(click.Choice):
    """Click choice with many values; messages name the command that lists them, not the values."""

    def __init__(self, choices: Sequence[str], listed_by: str) -> None:
        super().__init__(choices)
        self.listed_by = listed_by

    def get_missing_message(self, *args: Any, **given: Any) -> str:
        return f"`{format_command_as_started(self.listed_by)}` lists the values."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            close = get_close_matches(str(value), self.choices, 1) or self.choices[:1]
            self.fail(
                f"{value!r} is unknown; expected one of {len(self.choices)} values, as {close[0]!r}; "
                f"`{format_command_as_started(self.listed_by)}` lists them",
                param,
                ctx,
            )


def scenario_option(command: Callable[P, T]) -> Callable[P, T]:
    """Add the option --scenario NAME|FILE to a command."""
    return click.option(
        "--scenario",
        "scenario_name",
        default="black-thursday",
        show_default=True,
        metavar="NAME|FILE",
        help="Scenario of the library, or a YAML file.",
    )(command)


def episode_option(command: Callable[P, T]) -> Callable[P, T]:
    """Add the option --episode NAME to a command."""
    return click.option(
        "--episode",
        default=None,
        metavar="NAME",
        help="Past crash whose prices, gas prices and outages replace the scenario's: "
        "march-2020, may-2021, june-2022, november-2022, march-2023 or october-2025; the "
        "same as SCENARIO@NAME.  [default: none]",
    )(command)


def host_option(command: Callable[P, T]) -> Callable[P, T]:
    """Add the option --host to a command; the value `model` means to run without a chain."""
    return click.option(
        "--host",
        type=click.Choice((*HOSTS, "model")),
        default="anvil",
        show_default=True,
        help="Throw-away chain that runs in lockstep with the model; 'model' runs the model alone.",
    )(command)


def seed_option(command: Callable[P, T]) -> Callable[P, T]:
    """Add the option --seed N to a command."""
    return click.option(
        "--seed",
        type=click.IntRange(0, 2**63 - 1),
        default=1,
        show_default=True,
        help="Seed of all random draws; equal seeds give equal results.",
    )(command)


def workers_options(command: Callable[P, T], default: int | None = 1) -> Callable[P, T]:
    """Add the options --workers N and --dask ADDRESS to a command.

    With `default` None the number of workers is the number of processors.
    """
    count = click.option(
        "--workers",
        type=click.IntRange(1, 256),
        default=default,
        show_default="processors of the machine" if default is None else True,
        help="Number of worker processes.",
    )
    dask = click.option(
        "--dask",
        metavar="ADDRESS",
        default=None,
        help="Address of a Dask scheduler whose workers take the place of local processes.  [default: none]",
    )
    return count(dask(command))


class _FolderOrStore(click.Path):
    """Click parameter type for a folder, or for the address of a folder in an object store."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str) or not value.startswith(SCHEME):
            return super().convert(value, param, ctx)
        try:
            return StoreAddress.parse_address(value)
        except BackstopError as error:
            raise click.ClickException(f"--out: {error}") from None


def output_options(
    what: str, default: str = "", *, store: bool = False
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Return a decorator that adds the options --out DIR and --fresh to a command.

    The command opens the folder with `open_output`. With `store` it may be in an object store; the command
    then gets a local mirror folder. `what` begins the help text.
    """
    shown = f"  [default: {default}]" if default else ""
    where = "s3://BUCKET/PREFIX is a folder of an object store. " if store else ""
    kind = _FolderOrStore if store else click.Path

    def add(command: Callable[P, T]) -> Callable[P, T]:
        out = click.option(
            "--out",
            type=kind(file_okay=False, path_type=Path),
            default=None,
            help=f"{what} {where}A finished result of the same command is shown, an unfinished one resumed, "
            f"any other refused.{shown}",
        )
        return out(fresh_option(command))

    return add


def fresh_option(command: Callable[P, T]) -> Callable[P, T]:
    """Add the option --fresh, which replaces an earlier result, to a command."""
    return click.option("--fresh", is_flag=True, help="Replace an earlier result of Backstop at --out.")(
        command
    )


def json_option(command: Callable[P, T]) -> Callable[P, T]:
    """Add the option --json, which prints JSON instead of a table, to a command."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")(command)


def contracts_folder_option(command: Callable[P, T]) -> Callable[P, T]:
    """Add the option --contracts DIR, the folder of the Vyper sources, to a command."""
    return click.option(
        "--contracts",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        default=CONTRACTS,
        help="Folder called 'contracts' with the Vyper sources.  [default: those of this installation]",
    )(command)


def open_output(
    path: Path,
    command: str,
    inputs: Mapping[str, Any],
    asked: Mapping[str, int] | None = None,
    *,
    contracts: Path = CONTRACTS,
    fresh: bool = False,
    runs: Sequence[str] = (),
) -> OutputDirectory:
    """Open a command's output folder, new or to be resumed; print a note if it has a finished result.

    `inputs` and `asked` identify the result, together with a hash of contracts and program. `runs` are the
    modules that the hash covers. Edits of modules that these do not import do not count.
    """
    made_by = hash_program_and_contract_sources(contracts, *runs)
    output = OutputDirectory.open_directory(path, command, {**inputs, "program": made_by}, asked, fresh=fresh)
    if output.finished:
        click.echo(f"{path} was there already: --fresh makes it again", err=True)
    return output


def build_scenario_record_inputs(scenario: Scenario) -> dict[str, Any]:
    """Return the scenario's name and content hash, which identify results in an output folder."""
    return {"scenario": scenario.name, "content of the scenario": hash_value_repr(scenario)}


def get_run_directory(out: Path | None, scenario: str, seed: int, host: str, path: int | None = None) -> Path:
    """Return the output directory of a run: `out`, or a default name from the run's inputs."""
    return out or RUNS / (f"{scenario}-{seed}-{host}" if path is None else f"{scenario}-{seed}-{path}-{host}")


# ------------------------------------------------------------ errors and signals


def handle_errors(command: Callable[P, T]) -> Callable[P, T]:
    """Return the command wrapped so that a BackstopError becomes one line on stderr and exit code 1.

    The same holds for a URL given as a path, a missing optional extra and the package of another checkout.
    Addresses of object stores become local mirror folders.
    """

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            refuse_other_checkout()
            for option, value in kwargs.items():
                if isinstance(value, Path):
                    refuse_url_as_local_path(str(value), functools.partial(_raise_option_error, option))
            with translate_missing_extra_errors(), ExitStack() as stack:
                for option, value in kwargs.items():
                    if isinstance(value, StoreAddress):
                        kwargs[option] = stack.enter_context(value.mirror_folder(RUNS))
                return command(*args, **kwargs)
        except BackstopError as error:
            raise click.ClickException(str(error)) from None

    return wrapped


def _raise_option_error(option: str, problem: str) -> NoReturn:
    raise BackstopError(f"--{option.replace('_', '-')}: {problem}")


@contextmanager
def handle_stop_signals(
    text: str = "stopping, results so far are kept ...",
) -> Iterator[Callable[[], bool]]:
    """Return a context manager that turns SIGINT and SIGTERM into a request to stop.

    It yields a function that returns whether a stop was requested. A second signal exits at once. The
    handlers are set here because importing ape breaks KeyboardInterrupt.
    """
    asked = False

    def ask(number: int, _frame: object) -> None:
        nonlocal asked
        if asked:
            sys.exit(128 + number)
        asked = True
        print(text, file=sys.stderr, flush=True)

    old = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


# ------------------------------------------------------------------------- runs


def run_once(
    scenario: Scenario,
    host: str,
    seed: int,
    directory: Path,
    path: int | None = None,
    *,
    fresh: bool,
    command: str,
    progress: Progress,
    stop: Callable[[], bool],
) -> dict[str, Any]:
    """Simulate a scenario into its run directory and return the summary.

    A finished result of the same inputs is returned without a new run. `stop` interrupts the run with
    RunInterruptedError.
    """
    from backstop.report.result_kinds import refresh_containing_study_page
    from backstop.report.run_page import write_run_page
    from backstop.simulation.progress_and_interruption import RunInterruptedError
    from backstop.simulation.simulator import simulate

    inputs = {**build_scenario_record_inputs(scenario), "seed": seed, "host": host, "path": path}
    output = open_output(directory, "simulate", inputs, fresh=fresh)
    if not output.finished:
        try:
            simulate(
                *(scenario, host, seed, directory),
                path=path,
                command=command,
                spool=True,
                progress=progress,
                stop=stop,
            )
        except RunInterruptedError as interrupted:
            raise RunInterruptedError(f"{interrupted}; what there is so far is in {directory}") from None
        write_run_page(directory)
        output.mark_finished()
        refresh_containing_study_page(directory)
    summary: dict[str, Any] = output.read_result()
    return summary


# ----------------------------------------------------------------------- output


@contextmanager
def show_progress_bar(shows_counts: bool = True) -> Iterator[Callable[[int, int, str], None]]:
    """Return a context manager for a progress bar on stderr, if that is a terminal.

    It yields a function that takes (done, total, text). Without `shows_counts` the bar shows no numbers, and
    the text names them.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns: list[ProgressColumn] = [TextColumn("{task.description}"), BarColumn()]
    columns += [MofNCompleteColumn(), TimeRemainingColumn()] if shows_counts else []
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def show(done: int, total: int, text: str) -> None:
            bar.update(task, completed=done, total=total, description=text)

        yield show


def format_repeat_command(command: str, **options: Any) -> str:
    """Return the shell command that repeats a run, with the given options.

    Options that are None or False are left out.
    """
    words = format_command_as_started(command).split()
    for option, value in options.items():
        if value is True:
            words.append(f"--{option}")
        elif value is not None and value is not False:
            words += [f"--{option}", str(value)]
    return shlex.join(words)


def format_given_command(command: str) -> str:
    """Return the shell command that repeats the current command with its given options.

    The options --out, --fresh and --json are left out.
    """
    context = click.get_current_context()
    words = format_command_as_started(command).split()
    for each in context.command.params:
        source = context.get_parameter_source(each.name or "")
        if each.name in ("out", "fresh", "as_json") or source is not click.core.ParameterSource.COMMANDLINE:
            continue
        value = context.params[each.name or ""]
        if value is True:
            words.append(each.opts[0])
        else:
            for one in value if isinstance(value, tuple) else (value,):
                words += [each.opts[0], str(one)]
    return shlex.join(words)


def print_run_summary(
    run_summary: dict[str, Any], directory: Path | None, report: Path | None, as_json: bool
) -> None:
    """Print the summary of a run as a table or as JSON on stdout."""
    if as_json:
        print(
            json.dumps(
                {**run_summary, "run_dir": None if directory is None else str(directory)},
                indent=2,
                sort_keys=True,
            )
        )
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(file=sys.stdout, highlight=False)
    table = Table(
        title=run_summary["title"], title_justify="left", show_header=False, box=None, pad_edge=False
    )
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column()
    count = sum(entry["opened_vaults"] for entry in run_summary["collateral_types"])
    liquidations = sum(entry["liquidations"] for entry in run_summary["collateral_types"])
    table.add_row("vaults", f"{count:,}", "opened")
    table.add_row("liquidations", f"{liquidations:,}", "")
    sold = sum_discount_sales(run_summary)
    if sold.sales:
        repaid, bonus = (
            format_whole_coins(str(amount), unit)
            for amount, unit in ((sold.principal - sold.lost, RAD), (sold.bonus, WAD))
        )
        table.add_row("  sold at a discount", f"{sold.sales:,}", f"{repaid} repaid, a bonus of {bonus}")
    pools = sum_stability_pool_figures(run_summary)
    if pools is not None and pools["offsets"]:
        repaid, gain = (
            format_whole_coins(str(pools[name]), unit)
            for name, unit in (("repaid_rad", RAD), ("gain_wad", WAD))
        )
        said_of_members = f"{repaid} repaid, members gained {gain}"
        table.add_row("  by stability pools", f"{pools['offsets']:,}", said_of_members)
    for row in _iter_console_loss_rows(run_summary):
        table.add_row(*row)
    actions = run_summary["actions"]
    table.add_row("keepers' transactions", f"{actions['sent']:,}", f"{actions['succeeded']:,} succeeded")
    if owners := run_summary.get("owners"):  # there are none where they stand still
        table.add_row("owners' actions", f"{owners['actions']:,}", f"{owners['refused']:,} refused besides")
    said = build_model_chain_agreement_texts(run_summary["differences"], run_summary["fields_compared"])
    table.add_row("model against chain", said[0], f"{run_summary['steps']:,} steps, {said[1]}")
    console.print(table)
    console.print(f"state  {run_summary['state_hash']}", soft_wrap=True)
    if directory is not None:
        console.print(f"run    {directory}", soft_wrap=True)
    if report is not None:
        console.print(f"report {report}", soft_wrap=True)


def _iter_console_loss_rows(run_summary: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield table rows of losses: created, paid by each payer, and unpaid.

    Losses of vaults and of the margin market are both listed.
    """
    from backstop.report.amounts import format_duration_text

    head, margin = compute_loss_totals(run_summary), run_summary["margin"]
    bad_debt = format_whole_coins(run_summary["losses"]["created_rad"], RAD)
    if margin is None:
        yield "bad debt created", bad_debt, "stablecoins"
    else:
        yield "losses", format_whole_coins(str(head.lost), RAD), "stablecoins"
        yield "  bad debt created", bad_debt, ""
        yield (
            "  owed beyond margins",
            format_whole_coins(margin["loss_wad"], WAD),
            f"by {margin['bankruptcies']:,} accounts",
        )
        if int(margin[f"{POSTED}_wad"]):
            yield "  posted: in both", f"-{format_whole_coins(margin[f'{POSTED}_wad'], WAD)}", ""
    if head.recovered:
        yield "  recovered", format_whole_coins(str(head.recovered), RAD), ""
    for payer, amount in head.paid:
        yield f"  paid by {payer}", format_whole_coins(str(amount), RAD), ""
    yield (
        "  outstanding" if margin is None else "  unpaid",
        format_whole_coins(str(head.unpaid), RAD),
        "",
    )
    if int(run_summary["ledger"]["in_auction_rad"]):
        yield (
            "debt still at auction",
            format_whole_coins(run_summary["ledger"]["in_auction_rad"], RAD),
            "lost or not, not counted",
        )
    for entry in run_summary["paid_by"]:
        if entry["group"] not in MARGIN_GROUPS:  # they are lines of their own above
            label = NOBODY if entry["group"] == "holders" else f"lost by {entry['group']}"
            yield label, format_whole_coins(entry["wad"], WAD), ""
    if margin is not None and int(margin["left_alone_wad"]):
        yield (
            "owed at the last prices",
            format_whole_coins(margin["left_alone_wad"], WAD),
            "by accounts that no keeper dealt with",
        )
    for ended in (margin or {}).get("ended", ()):
        yield f"{ended['market']} ended", format_duration_text(ended["at"]), "after the start"
    if margin is not None and margin.get("ended"):
        yield "  taken out of accounts", format_whole_coins(margin["withdrawn_wad"], WAD), ""
        yield "  still in them", format_whole_coins(margin["inside_wad"], WAD), ""
    if margin is not None and margin.get("pool"):
        pool = margin["pool"]
        yield (
            "earned by the backstop pool" if int(pool["earned_wad"]) >= 0 else "lost by the backstop pool",
            format_whole_coins(str(abs(int(pool["earned_wad"]))), WAD),
            f"of {format_whole_coins(pool['paid_in_wad'], WAD)} that members put in",
        )
        yield "  paid to members that left", format_whole_coins(pool["paid_out_wad"], WAD), ""
        yield "  still in it", format_whole_coins(pool["left_wad"], WAD), ""


def print_comparison(comparison: dict[str, Any], directory: Path, as_json: bool) -> None:
    """Print a comparison of presets on stdout as a table or as JSON.

    The table has a row for each figure and a column for each preset.
    """
    if as_json:
        print(json.dumps({**comparison, "out": str(directory)}, indent=2, sort_keys=True))
        return
    from backstop.studies.comparison.preset_comparison import list_all_runs, list_comparison_line_specs

    presets = comparison["presets"]
    _print_side_by_side(comparison["title"], list_comparison_line_specs(comparison), presets, "preset")
    _print_naive_rule_costs(comparison["naive"])
    _print_model_agreement_and_files(list_all_runs(comparison), directory, "compare")


def print_system_comparison(comparison: dict[str, Any], directory: Path, as_json: bool) -> None:
    """Print a comparison of systems on stdout: figures, bearers of bad debt, causes of differences."""
    if as_json:
        print(json.dumps({**comparison, "out": str(directory)}, indent=2, sort_keys=True))
        return
    from rich.table import Table

    from backstop.studies.comparison.system_comparison import RESULT, list_payer_lines, name_cell
    from backstop.studies.comparison.system_figures import FIGURES

    names = [each["preset"] for each in comparison["systems"]]
    rows = [{**comparison["cells"][name_cell(name, name)], "preset": name} for name in names]
    _print_side_by_side(comparison["title"], [*FIGURES, *list_payer_lines(comparison)], rows, "preset")
    last = names[-1]
    table = Table(
        title=f"Cause of the bad debt beyond that of {last}", title_justify="left", box=None, pad_edge=False
    )
    for heading in ("system", "difference", "by its mechanism", "by its order of losses"):
        table.add_column(heading, justify="left" if heading == "system" else "right", no_wrap=True)
    for pair in comparison["pairs"]:
        if pair["second"] == last:
            found = pair["figures"]["bad_debt_rad"]
            by_mechanism, by_order = -int(found["by_mechanism"]), -int(found["by_order"])
            values = (by_mechanism + by_order, by_mechanism, by_order)
            table.add_row(pair["first"], *(format_figure(value, "rad") for value in values))
    print()
    wide_console(len(names)).print(table)
    _print_model_agreement_and_files([comparison], directory, Path(RESULT).stem, columns=len(names))


def _print_naive_rule_costs(rule_costs: Sequence[dict[str, Any]]) -> None:
    """Print a table of the accounts that gain and lose by each simpler rule of a preset.

    The comparison is with the rules of Backstop on the same prices.
    """
    if not rule_costs:
        return
    from rich.table import Table

    from backstop.studies.comparison.naive_rule_cost import list_gainers, list_payers

    title = "Naive rules, compared with ours on the same prices"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for heading in ("preset", "rule", "gainer", "gain", "payer", "loss"):
        table.add_column(heading, justify="right" if heading in ("gain", "loss") else "left", no_wrap=True)
    for cost in rule_costs:
        found = zip_longest(list_gainers(cost["parties"]), list_payers(cost["parties"]), fillvalue=("", None))
        first = cost["preset"], cost["title"]
        for gain, pays in list(found) or [(("none", None), ("none", None))]:
            cells = [
                text
                for name, amount in (gain, pays)
                for text in (name, "" if amount is None else format_figure(amount, "wad"))
            ]
            table.add_row(*first, *cells)
            first = "", ""
    print()
    wide_console(12).print(table)


def print_guards(comparison: dict[str, Any], directory: Path, as_json: bool) -> None:
    """Print a table for each scenario on stdout: a row for each figure, a column for each run.

    Each run has other guards (rules that prevent losses) turned on.
    """
    if as_json:
        print(json.dumps({**comparison, "out": str(directory)}, indent=2, sort_keys=True))
        return
    from backstop.studies.comparison.guard_comparison import list_nonzero_table_lines

    for each in comparison["scenarios"]:
        _print_side_by_side(each["title"], list_nonzero_table_lines(each), each["runs"], "guard")
        print()
    runs = [row for each in comparison["scenarios"] for row in each["runs"]]
    _print_model_agreement_and_files(runs, directory, "guards")


def _print_side_by_side(title: str, rows: Sequence[Line], runs: Sequence[dict[str, Any]], name: str) -> None:
    """Print a table with a row for each figure and a column for each run."""
    from rich.table import Table

    from backstop.studies.comparison.run_comparison_lines import read_figure

    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    for run in runs:
        table.add_column(run[name], justify="right", no_wrap=True)
    for line in rows:
        values = [read_figure(run, line.figure) for run in runs]
        table.add_row(
            line.title, *("-" if value is None else format_figure(value, line.unit) for value in values)
        )
    wide_console(len(runs)).print(table)


def _print_model_agreement_and_files(
    runs: Sequence[Mapping[str, Any]], directory: Path, file_stem: str, columns: int = 0
) -> None:
    """Print whether model and chain agreed, and the paths of the result files."""
    console = wide_console(columns or len(runs))
    differences = sum(run["differences"] for run in runs)
    compared = sum(run["fields_compared"] for run in runs)
    console.print(
        f"model against chain  {', '.join(build_model_chain_agreement_texts(differences, compared))}"
    )
    for ending in ("html", "csv", "json"):
        console.print(directory / f"{file_stem}.{ending}", soft_wrap=True)


def wide_console(columns: int) -> Console:
    """Return a console on stdout with a width for this number of columns, whatever the terminal.

    A pager or a file may be wider than the terminal.
    """
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False, width=40 + 16 * columns)


def format_figure(value: int, unit: str) -> str:
    """Return a figure as text: stablecoins, percent, count or duration, depending on its unit."""
    from backstop.report.amounts import format_duration_text, format_percent

    if unit == "bps":
        return format_percent(value, BASIS_POINTS)
    if unit == "count":
        return f"{value:,}"
    return (
        format_duration_text(value)
        if unit == "seconds"
        else format_whole_coins(str(value), RAD if unit == "rad" else WAD)
    )


def format_whole_coins(amount: str, units_per_coin: int) -> str:
    """Return an amount as text in whole stablecoins, rounded half up, with thousands separators."""
    return f"{(2 * int(amount) + units_per_coin) // (2 * units_per_coin):,}"
