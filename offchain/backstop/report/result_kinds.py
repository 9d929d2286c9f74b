"""Kinds of folders that have a page: the mark, the writer and the one-sentence finding of each."""

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
    calibration_page,
    deleverage_page,
    guards_page,
    hunt_page,
    import_page,
    preset_comparison_page,
    proposal_page,
    reproductions_page,
    run_page,
    self_hedge_page,
    stress_page,
    summary_panel,
    sweep_page,
    system_comparison_page,
)
from backstop.report.loss_sentence import compose_loss_sentence
from backstop.report.page_links import PATHS, REPORT
from backstop.simulation.loss_totals import add_loss_totals
from backstop.studies.stress.parameter_sweep import STUDIES


class ResultKind(NamedTuple):
    """Kind of a result folder: the file that marks it, its summary, its page, and its main result."""

    name: str
    mark: str
    summary: str
    page: str
    write: Callable[[Path], Path]
    finding: Callable[[Mapping[str, Any]], Markup]


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BackstopError(f"{path} cannot be read: {error}") from None


def _compose_run_loss_sentence(summary: Mapping[str, Any]) -> Markup:
    return compose_loss_sentence(add_loss_totals(summary))


def _compose_proposal_answer(summary: Mapping[str, Any]) -> Markup:
    return Markup("{}").format(summary["sentence"])


KINDS = (
    ResultKind(
        "study",
        "study.json",
        "summary.json",
        REPORT,
        stress_page.write_stress_page,
        summary_panel.compose_study_finding,
    ),
    ResultKind(
        "sweep",
        "sweep.json",
        "summary.json",
        REPORT,
        sweep_page.write_sweep_page,
        summary_panel.compose_sweep_finding,
    ),
    ResultKind(
        "search",
        "attack.json",
        "summary.json",
        REPORT,
        attack_page.write_page,
        summary_panel.compose_search_finding,
    ),
    ResultKind(
        "proposal", "figures.csv", "summary.json", REPORT, proposal_page.write_page, _compose_proposal_answer
    ),
    *(
        ResultKind(
            "answer",
            f"{name}.csv",
            "summary.json",
            REPORT,
            answer_page.write_answer_page,
            answer_page.compose_finding,
        )
        for name in answer_page.QUESTIONS
    ),
    ResultKind(
        *("comparison", "compare.json", "compare.json", preset_comparison_page.FILE),
        lambda folder: preset_comparison_page.write_page(_read_json(folder / "compare.json"), folder),
        summary_panel.compose_comparison_finding,
    ),
    ResultKind(
        *("systems", "systems.json", "systems.json", system_comparison_page.FILE),
        lambda folder: system_comparison_page.write_page(_read_json(folder / "systems.json"), folder),
        system_comparison_page.compose_finding,
    ),
    ResultKind(
        *("reproductions", reproductions_page.RESULT, reproductions_page.RESULT, reproductions_page.FILE),
        lambda folder: reproductions_page.write_page_of_summary(
            _read_json(folder / reproductions_page.RESULT), folder
        ),
        reproductions_page.compose_finding,
    ),
    ResultKind(
        *("guards", "guards.json", "guards.json", guards_page.FILE),
        lambda folder: guards_page.write_page(_read_json(folder / "guards.json"), folder),
        lambda comparison: Markup(" ").join(
            summary_panel.compose_guards_finding(each, k, comparison)
            for k, each in enumerate(comparison["scenarios"])
        ),
    ),
    ResultKind(
        *("self-hedge", self_hedge_page.FILE, self_hedge_page.FILE, REPORT),
        self_hedge_page.write_page,
        self_hedge_page.compose_finding,
    ),
    ResultKind(
        *("deleveraging", deleverage_page.FILE, deleverage_page.FILE, REPORT),
        deleverage_page.write_page,
        deleverage_page.compose_finding,
    ),
    ResultKind(
        "hunt",
        hunt_page.FILE,
        hunt_page.FILE,
        REPORT,
        hunt_page.write_page,
        hunt_page.compose_hunt_result_sentence,
    ),
    ResultKind(
        *("calibration", calibration_page.FILE, calibration_page.FILE, REPORT),
        calibration_page.write_page,
        calibration_page.compose_finding,
    ),
    ResultKind(
        *("import", import_page.FILE, import_page.FILE, REPORT),
        import_page.write_page,
        import_page.compose_finding,
    ),
    ResultKind(
        "run", "trace.json", "summary.json", REPORT, run_page.write_run_page, _compose_run_loss_sentence
    ),
)
"""All kinds; the first one with its file in the folder is the folder's."""


def find_result_kind(directory: Path) -> ResultKind | None:
    """Return the kind of a result folder; None if it is not a known one."""
    return next((kind for kind in KINDS if (directory / kind.mark).is_file()), None)


def write_page(directory: str | Path) -> Path:
    """Write the page of a result folder, and return its path.

    The page of the study that contains the folder is written again, so that it has a link.
    """
    directory = Path(directory)
    kind = find_result_kind(directory)
    page = (kind.write if kind else run_page.write_run_page)(directory)
    refresh_containing_study_page(directory)
    return page


def refresh_containing_study_page(part_folder: Path) -> None:
    """Write again the page of the study or comparison that contains this folder, if it has one."""
    part_folder = part_folder.resolve()
    parts = {"study": PATHS, "sweep": STUDIES}  # folders of a whole for its parts
    for folder in (part_folder.parent, part_folder.parent.parent):
        kind = find_result_kind(folder)
        if kind is None or not (folder / kind.page).is_file():
            continue
        whole = kind.name in ("comparison", "guards", "search")
        if whole or part_folder.parent.name == parts.get(kind.name):
            kind.write(folder)
            return


def read_result_summary(directory: Path, result_kind: ResultKind) -> Mapping[str, Any]:
    """Return the summary of a result folder; raise BackstopError if it cannot be read."""
    found: Mapping[str, Any] = _read_json(directory / result_kind.summary)
    return found
