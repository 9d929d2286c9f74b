"""Command that measures speed: fuzz campaign, vault index, live keeper, large books, stress studies."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from os import getloadavg
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from backstop.cli.command_helpers import RUNS, Command, LongChoice, handle_errors, show_progress_bar
from backstop.errors import BackstopError
from backstop.files.atomic_files import write_json
from benchmarks.speed import (
    csv_import_to_page_speed,
    day_cost_by_book_size,
    fuzz_speed,
    keeper_speed,
    large_import_speed,
    vault_index_speed,
)

if TYPE_CHECKING:
    from backstop.studies.stress.engine_agreement import Agreement

SCENARIOS = 200
DISCOUNT_SCENARIOS = 60
POOL_SCENARIOS = 30
PARTS = (
    "all",
    "fuzz",
    "keeper",
    "book",
    "stress",
    "cluster",
    "agreement",
    "discounts",
    "pools",
    "files",
    "large-files",
    "pages",
    "clients",
)

Cells = tuple[str, ...]


@click.command(
    cls=Command,
    short_help="Measure speed, compared with calls by Ape and web3.py",
    epilog="""\b
Examples:
  ape run bench
  ape run bench --part fuzz --vaults 100000
  ape run bench --part book --vaults 10000
  ape run bench --part stress
""",
)
@click.option(
    "--part",
    metavar="PART",
    type=LongChoice(PARTS, "bench --help"),
    default="all",
    show_default=True,
    help="Part to measure; `ape run bench --help` lists them.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=RUNS,
    show_default=True,
    help="Folder of the results, a file for each part.",
)
@click.option(
    "--vaults",
    type=click.IntRange(1_000),
    help="Number of vaults to index (fuzz), keep (keeper), open (book) or import (large-files).  "
    f"[default: {vault_index_speed.VAULTS:,}, {keeper_speed.VAULTS:,}, "
    f"{day_cost_by_book_size.VAULTS:,}, {large_import_speed.POSITIONS:,}]",
)
@handle_errors
def cli(part: str, out: Path, vaults: int | None) -> None:
    """Measure the speed of Backstop, compared with the usual ways to do the same.

    \b
    PART is one of:
      fuzz         fuzz campaign and vault index
      keeper       start and answers of a live keeper
      book         a day with few vaults and with many
      stress       stress studies
      cluster      paths an hour on processes and on Dask
      agreement    errors of the fast engine against the exact engine
      discounts    the same, for discount sales
      pools        the same, for stability pools
      files        import of two files, up to the first page
      large-files  the same, for 150,000 positions
      pages        opening of report pages
      clients      faults and speed of web3.py and of the own RPC client
      all          every part

    Writes bench.json and bench-PART.json into --out. An idle machine gives the best figures.

    Exit codes: 0 on success, 1 if the fast engine is further from the exact one than stated or on an error, 2
    on invalid options.
    """
    console = Console(width=None if sys.stdout.isatty() else 130)
    if part in ("all", "fuzz"):
        _bench_fuzz_and_index(console, out / "bench.json", vaults or vault_index_speed.VAULTS)
    if part in ("all", "keeper"):
        _bench_keeper_speed(console, out / "bench-keeper.json", vaults or keeper_speed.VAULTS)
    if part in ("all", "book"):
        _bench_day_with_large_book(console, out / "bench-book.json", vaults or day_cost_by_book_size.VAULTS)
    if part in ("all", "stress"):
        _bench_stress_engines(console, out / "bench-stress.json")
    if part in ("all", "cluster"):
        _bench_cluster(console, out / "bench-cluster.json")
    if part in ("all", "agreement"):
        _bench_engine_agreement(console, out / "bench-agreement.json")
    if part in ("all", "discounts"):
        _bench_discount_agreement(console, out / "bench-discounts.json")
    if part in ("all", "pools"):
        _bench_pool_agreement(console, out / "bench-pools.json")
    if part in ("all", "files"):
        _bench_import(console, out)
    if part in ("all", "large-files"):
        _bench_large_import(console, out / "bench-large-files.json", vaults or large_import_speed.POSITIONS)
    if part in ("all", "pages"):
        _bench_pages(console, out / "bench-pages.json")
    if part in ("all", "clients"):
        _bench_clients(console, out / "bench-clients.json")


def _bench_fuzz_and_index(console: Console, output_path: Path, vault_count: int) -> None:
    campaign = fuzz_speed.record_timed_campaign_on_revm()
    table = Table("way", "steps", "steps/s", f"times {fuzz_speed.YARDSTICK.split(' on ')[0]}")
    speeds = []
    for speed in fuzz_speed.measure_fuzz_speeds(campaign):
        speeds.append(speed)
        ratio = f"{speed.rate / speeds[0].rate:,.1f}"
        table.add_row(speed.way, f"{speed.steps:,}", f"{speed.rate:,.0f}", ratio)
    console.print(table)
    parts = fuzz_speed.measure_seconds_by_part(campaign)
    table = Table("part of the campaign in process", "share", "µs a step")
    for name, seconds in parts.items():
        micros = seconds / campaign.speed.steps * 1e6
        table.add_row(name, f"{seconds / campaign.speed.seconds:.0%}", f"{micros:.1f}")
    console.print(table)
    console.print(
        "mix: "
        + ", ".join(f"{move} {n / campaign.speed.steps:.1%}" for move, n in campaign.mix.most_common()),
        highlight=False,
    )
    table, rows = Table(f"{vault_count:,} vaults", "way", "", "times the first"), []
    for row in vault_index_speed.measure_index(vault_count, lambda text: print(text, file=sys.stderr)):
        rows.append(row)
        table.add_row(*row)
    console.print(table)
    fuzz_speed.write_fuzz_speed_json(campaign, speeds, parts, rows, output_path)
    console.print(f"written {output_path}", highlight=False)


def _bench_keeper_speed(console: Console, output_path: Path, vault_count: int) -> None:
    table, rows = Table(f"{vault_count:,} vaults", "way", "", "times the first"), []
    for row in keeper_speed.measure_keeper(vault_count, lambda text: print(text, file=sys.stderr)):
        rows.append(row)
        table.add_row(*row)
    console.print(table)
    write_json({"schema_version": 1, "keeper": [row._asdict() for row in rows]}, output_path)
    console.print(f"written {output_path}", highlight=False)


def _bench_day_with_large_book(console: Console, result_file: Path, vault_count: int) -> None:
    heads = ("host", "vaults", "opening, CPU s", "actions", "CPU ms each", "times", "whole day, s", "MB")
    table, costs = Table(*heads), list[day_cost_by_book_size.DayCost]()
    for cost in day_cost_by_book_size.measure_books(vault_count, lambda text: print(text, file=sys.stderr)):
        costs.append(cost)
        # Its own book goes first on each host.
        first = next(each for each in costs if each.host == cost.host)
        step = (
            f"{cost.cpu_seconds_per_action * 1e3:,.2f}",
            f"{cost.cpu_seconds_per_action / first.cpu_seconds_per_action:,.2f}",
        )
        took = f"{cost.seconds:,.0f}", f"{cost.memory / 1e6:,.0f}"
        table.add_row(
            cost.host, f"{cost.vaults:,}", f"{cost.opening:,.1f}", f"{cost.actions:,}", *step, *took
        )
    console.print(table)
    day_cost_by_book_size.write_day_costs_json(costs, result_file)
    console.print(f"written {result_file}", highlight=False)


def _bench_stress_engines(console: Console, output_path: Path) -> None:
    # Numba takes seconds to load, and the other parts do without it.
    from benchmarks.speed.contract_call_speed import CallSpeed, measure_call_speeds
    from benchmarks.speed.stress_speed import (
        StressDay,
        StressSpeed,
        measure_book_growth,
        measure_engines,
        measure_study_lengths,
        write_results,
    )

    day = StressDay.load_severe_scenario()
    called, rows = list[CallSpeed](), list[Cells]()
    for each in measure_call_speeds(day.scenario, day.seed):
        called.append(each)
        times, cheaper = (
            f"{each.rate / called[0].rate:,.1f}",
            f"{called[0].cpu_seconds_per_call / each.cpu_seconds_per_call:,.1f}",
        )
        rows.append(
            (each.way, f"{each.rate:,.0f}", times, f"{each.cpu_seconds_per_call * 1e3:,.3f}", cheaper)
        )
    number = f"{called[0].calls:,} actions of one path"
    _print_markdown(console, number, ("way", "calls a second", "times", "CPU ms a call", "times"), rows)
    speeds, rows = list[StressSpeed](), []
    for speed in measure_engines(day, called[0]):
        speeds.append(speed)
        took = (
            f"{speed.paths:,}",
            f"{speed.seconds:,.2f}",
            f"{speed.cpu:,.2f}",
            f"{speed.vault_steps_per_second:,.0f}",
        )
        rows.append(
            (
                speed.way,
                *took,
                f"{speed.vault_steps_per_cpu_second / speeds[0].vault_steps_per_cpu_second:,.0f}",
            )
        )
    sold = f"{speeds[-1].liquidated:.0%} of {day.vaults:,} vaults are liquidated on the average path"
    _print_markdown(console, sold, ("way", "paths", "s", "CPU s", "vault-steps/s", "times"), rows)
    for kind, clock, cpu in (
        (
            "exact",
            called[-1].rate / called[-2].rate,
            called[-2].cpu_seconds_per_call / called[-1].cpu_seconds_per_call,
        ),
        (
            "fast",
            speeds[-1].vault_steps_per_second / speeds[-2].vault_steps_per_second,
            speeds[-1].vault_steps_per_cpu_second / speeds[-2].vault_steps_per_cpu_second,
        ),
    ):
        text = (
            f"{kind} engine, 2 workers: {clock:.2f} times 1 by the clock, {cpu:.2f} by a CPU second of each"
        )
        console.print(text, highlight=False)
    exact = called[-1].calls // called[0].calls / called[-1].seconds
    console.print(f"exact engine, 2 workers: {exact:.2f} of these paths a second", highlight=False)
    larger, longer = list(measure_book_growth(day)), list(measure_study_lengths(day))
    rows = [
        (speed.way, f"{speed.liquidated * speed.vaults:,.0f}", f"{speed.cpu / speed.paths * 1e3:,.2f}")
        for speed in (*larger, *longer)
    ]
    last = f"{longer[-1].paths:,} paths of {day.vaults:,} vaults took {longer[-1].seconds:,.0f} seconds"
    _print_markdown(console, last, ("fast engine", "liquidations a path", "CPU ms a path"), rows)
    write_results(called, speeds, larger, longer, output_path)
    console.print(f"written {output_path}", highlight=False)


def _bench_cluster(console: Console, path: Path) -> None:
    # Numba takes seconds to load, and the other parts do without it.
    from benchmarks.speed.dask_cluster_speed import (
        PathRate,
        compute_chunk_seconds,
        measure_chunk_cost,
        measure_paths_per_hour,
        write_path_rates_json,
    )
    from benchmarks.speed.stress_speed import StressDay

    day, found, rows = StressDay.load_severe_scenario(), list[PathRate](), list[Cells]()
    for each in measure_paths_per_hour(day, lambda text: click.echo(text, err=True)):
        found.append(each)
        one = next(first for first in found if first.engine == each.engine)
        ratio = f"{each.an_hour / one.an_hour:,.2f}"
        took = f"{each.paths:,}", f"{each.seconds:,.1f}", f"{each.an_hour:,.0f}", ratio
        rows.append((each.engine, each.way, f"{each.workers}", *took))
    heads = "engine", "on", "workers", "paths", "s", "paths an hour", "times"
    _print_markdown(console, "paths an hour, once started", heads, rows)
    costs = measure_chunk_cost(day)
    passing, writing = (f"{each * 1e3:.2f} ms" for each in costs)
    text = f"a chunk costs {passing} to be passed on, {writing} to be written"
    console.print(text, highlight=False)
    for name, seconds in compute_chunk_seconds(found).items():
        most = costs.compute_max_busy_workers(seconds)
        text = f"{name} engine: {seconds:.2f} s a chunk, so one scheduler keeps {most:,} such workers busy"
        console.print(text, highlight=False)
    write_path_rates_json(found, costs, path)
    console.print(f"written {path}", highlight=False)


def _bench_pages(console: Console, path: Path) -> None:
    from benchmarks.speed import page_speed

    heads = ("page", "MB", "written, s", "loaded, ms", "drawn, ms", "sorted, ms", "searched, ms")
    table, openings = Table(*heads), list[page_speed.PageTimes]()
    for each in page_speed.measure_page_writing_and_opening(
        page_speed.FILLS, page_speed.PATHS, lambda text: print(text, file=sys.stderr)
    ):
        openings.append(each)
        took = (f"{value:,.0f}" for value in (each.loaded, each.drawn, each.sorted, each.searched))
        table.add_row(each.page, f"{each.size / 1e6:,.2f}", f"{each.wrote:,.1f}", *took)
    console.print(table)
    page_speed.write_results(openings, path)
    console.print(f"written {path}", highlight=False)


def _bench_clients(console: Console, path: Path) -> None:
    from backstop.simulation.scenario import load_scenario
    from benchmarks.speed import rpc_client_faults, rpc_client_speed

    scenario, rows = load_scenario(rpc_client_faults.SCENARIO), list[Cells]()
    with show_progress_bar() as progress:
        verdicts = list(
            rpc_client_faults.judge_clients(
                scenario,
                rpc_client_faults.JUDGED,
                lambda done, total: progress(done, total, "faults"),
            )
        )
    for each in verdicts:
        detail = f": {each.web3_detail}" if each.web3_detail else ""
        rows.append((each.fault, each.what, each.web3 + detail.replace("|", " "), each.own))
    _print_markdown(
        console,
        rpc_client_faults.count_verdicts(verdicts),
        ("fault", "the node", "web3.py", "own client"),
        rows,
    )
    speeds = list(rpc_client_speed.measure_client_speeds(scenario))
    rows = [
        (
            each.question,
            *(f"{seconds * 1e3:,.1f}" for seconds in (each.web3, each.own)),
            f"{each.web3 / each.own:,.1f}",
            f"{each.web3_cpu / each.own_cpu:,.1f}",
        )
        for each in speeds
    ]
    heads = ("asked", "web3.py, ms", "own client, ms", "times", "times of CPU")
    _print_markdown(console, f"load {getloadavg()[0]:.1f} over the last minute", heads, rows)
    faults, asked = ([each._asdict() for each in found] for found in (verdicts, speeds))
    write_json({"schema_version": 1, "faults": faults, "speeds": asked}, path)
    console.print(f"written {path}", highlight=False)


def _print_markdown(console: Console, above: str, heads: Cells, rows: Sequence[Cells]) -> None:
    """Print a text and a Markdown table, in the layout of docs/explanation/study-speed.md.

    The output can replace the table on that page.
    """
    lines = [" | ".join(cells) for cells in (heads, *rows)]
    lines[1:1] = ["|".join(["---"] * len(heads))]
    text = "\n".join(f"|{line}|" if line.startswith("---") else f"| {line} |" for line in lines)
    console.print(f"{above}\n\n{text}\n", highlight=False, markup=False, soft_wrap=True)


def _bench_engine_agreement(console: Console, path: Path) -> None:
    # Numba takes seconds to load, and the other parts do without it.
    from backstop.parallel.unordered_job_workers import build_process_workers
    from backstop.studies.stress import engine_agreement, interval_coverage

    with show_progress_bar() as progress:
        off = engine_agreement.measure_agreement(
            SCENARIOS, 5, workers=build_process_workers(2), progress=progress
        )
        large = interval_coverage.sample_bad_debt_on_both_engines(
            5_000, workers=build_process_workers(2), progress=progress
        )
    sure = interval_coverage.measure_coverage(*large, studies=300)
    _print_engine_agreement_table(console, f"{SCENARIOS} scenarios, 5 paths each", off)
    figures = "paths", "studies", "holds, exact", "holds, fast", "fast engine off by"
    rows = [
        (
            *(each.figure, f"{each.paths:,}", f"{each.studies}"),
            *(f"{each.exact:.0%}", f"{each.fast:.0%}", f"{each.error:+.2%}"),
        )
        for each in sure
    ]
    _print_markdown(console, "", ("interval of 95%", *figures), rows)
    content = {"agreement": [row._asdict() for row in off], "coverage": [each._asdict() for each in sure]}
    write_json({"schema_version": 1, **content}, path)
    console.print(f"written {path}", highlight=False)
    _require_engines_to_agree(off)


def _bench_discount_agreement(console: Console, path: Path) -> None:
    # Numba takes seconds to load, and the other parts do without it.
    from backstop.parallel.unordered_job_workers import build_process_workers
    from backstop.studies.stress import engine_agreement

    scenarios = list(engine_agreement.random_discount_scenarios(DISCOUNT_SCENARIOS, 1))
    with show_progress_bar() as progress:
        off = engine_agreement.compare_engines(scenarios, 5, 1, build_process_workers(2), progress)
    title = f"{DISCOUNT_SCENARIOS} scenarios with discounts, 5 paths each"
    _print_engine_agreement_table(console, title, off)
    write_json({"schema_version": 1, "agreement": [row._asdict() for row in off]}, path)
    console.print(f"written {path}", highlight=False)
    _require_engines_to_agree(off)


def _bench_pool_agreement(console: Console, path: Path) -> None:
    # Numba takes seconds to load, and the other parts do without it.
    from backstop.parallel.unordered_job_workers import build_process_workers
    from backstop.studies.stress import engine_agreement

    found = {}
    for kind in engine_agreement.POOL_KINDS:
        scenarios = list(engine_agreement.random_pool_scenarios(kind, POOL_SCENARIOS, 1))
        with show_progress_bar() as progress:
            off = engine_agreement.compare_engines(scenarios, 5, 1, build_process_workers(2), progress)
        found[kind] = off
    off = engine_agreement.join_agreements(list(found.values()))
    title = f"{POOL_SCENARIOS * len(found)} scenarios with stability pools, 5 paths each"
    _print_engine_agreement_table(console, title, off)
    rows = [
        (
            f"{kind}: {row.column}",
            f"{row.exact / 10**6:,.1f}",
            f"{row.bias:+.2%}",
            f"{row.error:.2%}",
            f"{row.equal:.0%}",
        )
        for kind, each in found.items()
        for row in each
        if row.column in ("liquidated_debt", "bad_debt", "unsold", "covered")
    ]
    kinds = f"{POOL_SCENARIOS} scenarios of each kind"
    _print_markdown(console, "", (kinds, "exact mean", "means apart", "error", "equal"), rows)
    by_kind = [{"kind": kind} | row._asdict() for kind, each in found.items() for row in each]
    agreement = [row._asdict() for row in off]
    write_json({"schema_version": 1, "agreement": agreement, "by_kind": by_kind}, path)
    console.print(f"written {path}", highlight=False)
    _require_engines_to_agree(off)


def _bench_import(console: Console, out: Path) -> None:
    # Numba takes seconds to load, and the other parts do without it.
    from backstop.parallel.unordered_job_workers import build_process_workers
    from backstop.simulation.scenario import load_scenario
    from backstop.studies.stress import engine_agreement

    with tempfile.TemporaryDirectory(prefix="backstop-files-") as name:
        folder = Path(name)
        csv_import_to_page_speed.write_position_and_hourly_price_csvs(folder)
        took = list(csv_import_to_page_speed.measure_import_and_stress(folder))
        day = load_scenario(folder / "mine" / "scenario.yaml")
        with show_progress_bar() as progress:
            off = engine_agreement.compare_engines(
                [day], csv_import_to_page_speed.AGAIN, 1, build_process_workers(2), progress, chunk=5
            )
    rows = [(each.command, f"{each.seconds:,.1f}", f"{each.cpu:,.1f}") for each in took]
    _print_markdown(
        console, f"{csv_import_to_page_speed.POSITIONS:,} positions", ("from files", "s", "CPU s"), rows
    )
    _print_engine_agreement_table(console, f"a book from files, {csv_import_to_page_speed.AGAIN} paths", off)
    path = out / "bench-files.json"
    content = {"commands": [each._asdict() for each in took], "agreement": [each._asdict() for each in off]}
    write_json({"schema_version": 1, **content}, path)
    console.print(f"written {path}", highlight=False)
    _require_engines_to_agree(off)


def _bench_large_import(console: Console, path: Path, positions: int) -> None:
    with tempfile.TemporaryDirectory(prefix="backstop-files-") as name:
        folder = Path(name)
        large_import_speed.write_large_files(folder, positions)
        took, rows = list[csv_import_to_page_speed.CommandTime](), list[Cells]()
        for each, study in zip(
            large_import_speed.measure_large_import(folder), (None, "short", "scenario", "crash"), strict=True
        ):
            took.append(each)
            sold = "" if study is None else f"{large_import_speed.count_liquidations(folder / study):,}"
            spent = f"{each.seconds:,.0f}", f"{each.cpu:,.0f}", f"{each.memory / 1e6:,.0f}"
            rows.append((each.command, sold, *spent))
    load = f"{positions:,} positions; load {getloadavg()[1]:.1f} over the last five minutes"
    _print_markdown(console, load, ("command", "liquidations a path", "s", "CPU s", "MB"), rows)
    write_json({"schema_version": 1, "commands": [each._asdict() for each in took]}, path)
    console.print(f"written {path}", highlight=False)


def _print_engine_agreement_table(console: Console, title: str, agreements: Sequence[Agreement]) -> None:
    heads = "exact mean", "fast mean", "means apart", "error", "stated", "largest", "equal"
    rows = list[Cells]()
    for row in agreements:
        unit = 1 if row.is_count_column else 10**6
        means = f"{row.exact / unit:,.1f}", f"{row.fast / unit:,.1f}", f"{row.bias:+.2%}"
        stated = f"{row.bound:.1%}" + ("" if row.holds else " FAILS")
        rows.append((row.column, *means, f"{row.error:.2%}", stated, f"{row.most:.0%}", f"{row.equal:.0%}"))
    _print_markdown(console, "", (title, *heads), rows)


def _require_engines_to_agree(agreements: Sequence[Agreement]) -> None:
    if not all(row.holds for row in agreements):
        raise BackstopError("the fast engine is further from the exact one than it is stated to be")
