"""How fast pages are written and open: a run's with many fills, a study's of many paths.

The run is a whole day with repeated tables, each time with auctions and steps of their own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pandas as pd

from backstop.errors import BackstopError
from backstop.files.atomic_files import write_json
from backstop.files.installation import CHECKOUT
from backstop.report import run_page, stress_page
from backstop.simulation.run_directory import Run, load_run
from backstop.simulation.run_metadata import build_run_metadata
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import simulate
from backstop.studies.stress.engines import Task
from backstop.studies.stress.resumable_path_study import Study
from backstop.studies.stress.stress_summary import build_stress_summary

SCENARIO, STUDIED = "black-thursday", "stress-day"
FILLS, PATHS = 100_000, 10_000
OPENED = 3  # times, of which the median counts
DRIVER = Path(__file__).with_name("open_pages.mjs")
TIMEOUT = 600  # seconds


class PageTimes(NamedTuple):
    """Size of a page, and the time to write [seconds], load, draw, sort and search it [ms].

    `drawn` is the time for its charts; `sorted` and `searched` are for one of its tables.
    """

    page: str
    size: int  # bytes
    wrote: float
    loaded: float
    drawn: float
    sorted: float
    searched: float


def measure_page_writing_and_opening(
    fill_count: int, path_count: int, say: Callable[[str], None]
) -> Iterator[PageTimes]:
    """Yield the size and times of each page, written and then opened in headless Chromium.

    Raises BackstopError if the browser does not start. `say` receives progress messages.
    """
    with tempfile.TemporaryDirectory() as folder:
        for place, (name, write) in enumerate(_list_page_writers(fill_count, path_count)):
            out = Path(folder) / str(place)
            out.mkdir()
            say(f"{name}: writing")
            write(out)  # with all that is read and made once
            began = time.monotonic()
            page = write(out)
            wrote = time.monotonic() - began
            say(f"{name}: opening")
            yield PageTimes(name, page.stat().st_size, wrote, *measure_median_page_times(page))


def _list_page_writers(fill_count: int, path_count: int) -> list[tuple[str, Callable[[Path], Path]]]:
    return [
        ("a day, as it is", lambda out: run_page.write_page(_simulate_or_load_day(out), out / "report.html")),
        (
            f"{fill_count:,} fills",
            lambda out: run_page.write_page(
                build_run_repeated_to_fill_count(_simulate_or_load_day(out), fill_count), out / "report.html"
            ),
        ),
        (f"{path_count:,} paths", lambda out: _write_study_page(out, path_count)),
    ]


def _simulate_or_load_day(output_folder: Path) -> Run:
    if not (output_folder / "summary.json").exists():
        simulate(load_scenario(SCENARIO), "model", out=output_folder)
    return load_run(output_folder)


def build_run_repeated_to_fill_count(run: Run, fill_count: int) -> Run:
    """Return the run with its tables repeated until it has `fill_count` purchases in auctions.

    Each copy has new auction numbers and later steps.
    """
    times = -(-fill_count // len(run.frames["takes"]))
    step = int(run.frames["actions"]["step"].max())
    auction = int(run.frames["auctions"]["auction_id"].max())
    frames = dict(run.frames)
    for name in ("takes", "auctions", "waterfall", "events"):
        copies = []
        for turn in range(times):
            copy = run.frames[name].copy()
            if "step" in copy:
                copy["step"] += turn * step
            if "auction_id" in copy:
                copy["auction_id"] += turn * auction
            if name == "events":
                copy = copy[copy["contract"] == "CollateralAuction"].copy()
                copy["values"] = [
                    _shift_first_json_value(values, turn * auction) for values in copy["values"]
                ]
            copies.append(copy)
        frames[name] = pd.concat(copies, ignore_index=True)
    return Run(path=run.path, summary=run.summary, meta=run.meta, frames=frames)


def _shift_first_json_value(json_values: str, offset: int) -> str:
    first, *rest = json.loads(json_values)
    return json.dumps([first + offset, *rest])


def _write_study_page(out: Path, paths: int) -> Path:
    if not (out / "summary.json").exists():
        task = Task(load_scenario(STUDIED), 1, "fast")
        study = Study.open_or_resume(task, paths, out)
        rows = study.run_missing_paths()
        study.write_results(
            build_stress_summary(task, STUDIED, rows, [], None), build_run_metadata("fast", "bench", out, 0)
        )
    return stress_page.write_stress_page(out)


def measure_median_page_times(page: Path) -> tuple[float, float, float, float]:
    """Open a page three times, and return the median times [ms]: loaded, drawn, sorted, searched.

    Raises BackstopError if Node.js is missing or the browser fails.
    """
    node = shutil.which("node")
    if node is None or CHECKOUT is None:
        raise BackstopError("pages are opened in a checkout with node: `make testtools` installs it")
    words = [node, str(DRIVER), str(page), str(OPENED)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if done.returncode:
        raise BackstopError((done.stderr.strip().splitlines() or ["the browser ended"])[0])
    rows = json.loads(done.stdout)
    loaded, drawn, ordered, found = (
        median(row[name] for row in rows) for name in ("loaded", "drawn", "sorted", "searched")
    )
    return loaded, drawn, ordered, found


def write_results(openings: list[PageTimes], path: Path) -> None:
    """Write the size and times of all pages to a JSON file."""
    write_json({"schema_version": 1, "pages": [each._asdict() for each in openings]}, path)
