"""Kinds of folders that have a page: how each is known, written anew, and what it found, in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from backstop.errors import BackstopError
from backstop.report import (
    answer_page,
    attack_page,
    compare_page,
    deleverage_page,
    first_screen,
    guards_page,
    hunt_page,
    proposal_page,
    run_page,
    straddle_page,
    stress_page,
    sweep_page,
)
from backstop.report.links import PATHS, REPORT
from backstop.report.verdict import verdict
from backstop.simulation.headline import completed
from backstop.studies.stress.parameter_sweep import STUDIES


class Kind(NamedTuple):
    """Kind of a folder: the file that only such a folder has, its summary, its page, and what it found."""

    name: str
    mark: str
    summary: str
    page: str
    write: Callable[[Path], Path]
    finding: Callable[[Mapping[str, Any]], Markup]


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BackstopError(f"{path} cannot be read: {error}") from None


def _run(summary: Mapping[str, Any]) -> Markup:
    return verdict(completed(summary))


def _proposal(summary: Mapping[str, Any]) -> Markup:
    return Markup("{}").format(summary["sentence"])


KINDS = (
    Kind("study", "study.json", "summary.json", REPORT, stress_page.write_page, first_screen.studied),
    Kind("sweep", "sweep.json", "summary.json", REPORT, sweep_page.write_page, first_screen.swept),
    Kind("search", "attack.json", "summary.json", REPORT, attack_page.write_page, first_screen.searched),
    Kind("proposal", "figures.csv", "summary.json", REPORT, proposal_page.write_page, _proposal),
    *(
        Kind("answer", f"{name}.csv", "summary.json", REPORT, answer_page.write_page, answer_page.finding)
        for name in answer_page.QUESTIONS
    ),
    Kind(
        *("comparison", "compare.json", "compare.json", compare_page.FILE),
        lambda folder: compare_page.write_page(_read(folder / "compare.json"), folder),
        first_screen.compared,
    ),
    Kind(
        *("guards", "guards.json", "guards.json", guards_page.FILE),
        lambda folder: guards_page.write_page(_read(folder / "guards.json"), folder),
        lambda comparison: Markup(" ").join(
            first_screen.guarded(each, k, comparison) for k, each in enumerate(comparison["scenarios"])
        ),
    ),
    Kind(
        *("straddle", straddle_page.FILE, straddle_page.FILE, REPORT),
        straddle_page.write_page,
        straddle_page.paired,
    ),
    Kind(
        *("deleveraging", deleverage_page.FILE, deleverage_page.FILE, REPORT),
        deleverage_page.write_page,
        deleverage_page.deleveraged,
    ),
    Kind("hunt", hunt_page.FILE, hunt_page.FILE, REPORT, hunt_page.write_page, hunt_page.hunted),
    Kind("run", "trace.json", "summary.json", REPORT, run_page.write_report, _run),
)
"""All kinds; the first whose file is there is the folder's."""


def kind_of(directory: Path) -> Kind | None:
    """Return the kind of a folder; None if nothing here has a page for it."""
    return next((kind for kind in KINDS if (directory / kind.mark).is_file()), None)


def write_page(directory: str | Path) -> Path:
    """Write the page of a folder, and anew the page of what it is part of, so that this one leads here."""
    directory = Path(directory)
    kind = kind_of(directory)
    page = (kind.write if kind else run_page.write_report)(directory)
    refresh_above(directory)
    return page


def refresh_above(directory: Path) -> None:
    """Write anew the page of the whole that a run or study is part of, if it has one."""
    directory = directory.resolve()
    parts = {"study": PATHS, "sweep": STUDIES}  # folders of a whole for its parts
    for folder in (directory.parent, directory.parent.parent):
        kind = kind_of(folder)
        if kind is None or not (folder / kind.page).is_file():
            continue
        whole = kind.name in ("comparison", "guards", "search")
        if whole or directory.parent.name == parts.get(kind.name):
            kind.write(folder)
            return


def summary_of(directory: Path, kind: Kind) -> Mapping[str, Any]:
    """Read the summary of a folder; raise BackstopError where it is not whole."""
    found: Mapping[str, Any] = _read(directory / kind.summary)
    return found
