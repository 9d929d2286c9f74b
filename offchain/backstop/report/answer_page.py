"""Page of an answered question: the answer, the owners of the losses, its table.

A proposal has its own page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from backstop.errors import BackstopError
from backstop.files.atomic_files import write_files
from backstop.model.arithmetic import BASIS_POINTS
from backstop.report import risk_answer_charts
from backstop.report.amounts import format_percent
from backstop.report.chart_parts import Chart
from backstop.report.exact_amount_markup import SummaryFigures
from backstop.report.frame_console_table import get_column_unit
from backstop.report.page_links import REPORT
from backstop.report.rendering import render_template
from backstop.report.run_table_rows import FIRST_ROWS
from backstop.report.study_file_reader import read_study_files
from backstop.report.summary_panel import LossStrip, build_strip
from backstop.simulation.loss_bearers import ALL_GROUPS
from backstop.studies.risk_questions.episode_outcomes import STILL
from backstop.studies.risk_questions.largest_owners_debt_and_loss_shares import OTHERS


class QuestionPage(NamedTuple):
    """Page layout of a risk question: heading, table title, explanation of units, chart, loss strips."""

    heading: str
    table: str
    counts: str
    chart: Callable[[Mapping[str, Any]], Chart]
    strips: Callable[[Mapping[str, Any]], list[LossStrip | None]]


class AnswerColumn(NamedTuple):
    """Column of an answer's table: name, title, unit, and whether cells have a confidence interval."""

    name: str
    title: str
    unit: str
    bounded: bool

    @property
    def low_column_name(self) -> str:
        """Name of the column with the lower end of the interval."""
        return self._get_end_name("low")

    @property
    def high_column_name(self) -> str:
        """Name of the column with the upper end of the interval."""
        return self._get_end_name("high")

    def _get_end_name(self, which: str) -> str:
        return f"{self.name.removesuffix(f'_{self.unit}')}_{which}_{self.unit}"


def write_answer_page(answer_folder: Path) -> Path:
    """Write the page `report.html` of an answered risk question, and return its path.

    Raises BackstopError if another page shows this question.
    """
    summary, meta = read_study_files(answer_folder, "answer", ("summary.json", "meta.json"))
    name = str(summary.get("question"))
    if name not in QUESTIONS:
        raise BackstopError(f"{answer_folder} answers the question {name}, which has another page")
    asked, rows = QUESTIONS[name], summary["tables"][name]
    text = render_template(
        "answer.html",
        summary,
        [asked.chart(summary)],
        meta=meta,
        asked=asked,
        strips=[each for each in asked.strips(summary) if each],
        columns=build_answer_columns_with_intervals(summary["columns"][name]),
        numbered=list(enumerate(rows)),
        others=[
            (
                each,
                OTHER_TABLES[each],
                list(enumerate(found)),
                build_answer_columns_with_intervals(summary["columns"][each]),
            )
            for each, found in summary["tables"].items()
            if each != name
        ],
        first_rows=FIRST_ROWS,
        answers={name: Markup("{}").format(compose_heading(summary))},
    )
    write_files(answer_folder, {REPORT: text})
    return answer_folder / REPORT


def build_answer_columns_with_intervals(column_names: Sequence[str]) -> list[AnswerColumn]:
    """Return a table's columns, each combined with the two columns of its confidence interval."""
    found = []
    for name in column_names:
        unit = get_column_unit(name)
        base = name.removesuffix(f"_{unit}") if unit else name
        if base.endswith(("_low", "_high")):
            continue
        bounded = f"{base}_low_{unit}" in column_names
        found.append(AnswerColumn(name, base.replace("_", " "), unit, bounded))
    return found


def compose_finding(summary: Mapping[str, Any]) -> Markup:
    """Return the answer to the question as one HTML sentence."""
    return Markup("{}").format(summary["sentence"])


def compose_heading(summary: Mapping[str, Any]) -> Markup:
    """Return the short answer in the table's heading, composed from the table's figures."""
    name, numbers = summary["question"], SummaryFigures(summary)
    rows = summary["tables"][name]
    if name == "falls":
        last = len(rows) - 1
        return Markup("{} of debt at a fall of {}").format(
            numbers.render_figure(f"tables.falls.{last}.debt_wad"),
            format_percent(rows[last]["fall_bps"], BASIS_POINTS, 0),
        )
    if name == "at-risk":
        return Markup("{} on average").format(numbers.render_figure("tables.at-risk.0.mean_micro"))
    if name == "payers":
        most = max(range(len(rows)), key=lambda i: rows[i]["mean_micro"])
        if not rows[most]["mean_micro"]:
            return Markup("No payer, under any rules")
        return Markup("{}: {} under {}, more than anybody elsewhere").format(
            ALL_GROUPS[rows[most]["payer"]].label.partition(":")[0],
            numbers.render_figure(f"tables.payers.{most}.mean_micro"),
            rows[most]["preset"],
        )
    if name == "owners":
        named = [i for i, row in enumerate(rows) if row["owner"] != OTHERS]
        return Markup("{} of the debt").format(
            numbers.render_figure(f"tables.owners.{named[-1]}.debt_so_far_bps")
        )
    if name == "history":
        sure = [row for row in rows if row["within"]]
        return Markup("{} of {} figures of history within the paths").format(
            sum(row["within"] == "yes" for row in sure), len(sure)
        )
    if name == "episodes":
        place = max(
            (i for i, row in enumerate(rows) if row["case"] == STILL), key=lambda i: rows[i]["bad_debt_micro"]
        )
        return Markup("{} at most, {}").format(
            numbers.render_figure(f"tables.episodes.{place}.bad_debt_micro"), rows[place]["episode"]
        )
    within = sum(row["within_the_limit"] == "yes" for row in rows)
    return Markup("{} of {} sizes surely within the limit").format(within, len(rows))


def _build_lacking_collateral_strips(summary: Mapping[str, Any]) -> list[LossStrip | None]:
    """Return the strip of missing collateral after the largest fall of all prices, by collateral type.

    If the parts by type do not add up to the total, the strip has one part. This happens if an account with
    several collaterals is unsafe by the fall of each.
    """
    rows = summary["tables"]["falls"]
    fall = rows[-1]["fall_bps"]
    alone = [place for place, row in enumerate(rows) if row["fall_bps"] == fall and row["falling"] != "all"]
    parts = [(rows[place]["falling"], "", [f"tables.falls.{place}.missing_wad"]) for place in alone]
    if sum(int(rows[place]["missing_wad"]) for place in alone) != int(rows[-1]["missing_wad"]):
        parts = [("all prices", "", [f"tables.falls.{len(rows) - 1}.missing_wad"])]
    title = f"lacking after a fall of {format_percent(fall, BASIS_POINTS, 0)}"
    return [build_strip(summary, title, _color_parts(parts))]


def _build_average_type_bad_debt_strip(summary: Mapping[str, Any]) -> list[LossStrip | None]:
    """Return the strip of average bad debt by collateral type."""
    seen: dict[str, int] = {}
    for place, row in enumerate(summary["tables"]["at-risk"]):
        if row["of"] not in ("all", "outstanding", "unsold"):
            seen.setdefault(row["of"], place)
    parts = [(of, "", [f"tables.at-risk.{place}.mean_micro"]) for of, place in seen.items()]
    return [build_strip(summary, "bad debt on average", _color_parts(parts))]


def _build_payer_strips(summary: Mapping[str, Any]) -> list[LossStrip | None]:
    """Return a strip of each group's average payment for every preset."""
    rows = summary["tables"]["payers"]
    return [
        build_strip(
            summary,
            preset,
            [
                (ALL_GROUPS[row["payer"]].label, row["payer"], [f"tables.payers.{place}.mean_micro"])
                for place, row in enumerate(rows)
                if row["preset"] == preset
            ],
        )
        for preset in dict.fromkeys(row["preset"] for row in rows)
    ]


def _build_owner_loss_strips(summary: Mapping[str, Any]) -> list[LossStrip | None]:
    """Return the strip of the owners' losses on the worst paths."""
    parts = [
        (row["owner"], "", [f"tables.owners.{place}.lost_rad"])
        for place, row in enumerate(summary["tables"]["owners"])
    ]
    return [build_strip(summary, "lost on the worst paths", _color_parts(parts))]


def _color_parts(parts: Sequence[tuple[str, str, Sequence[str]]]) -> list[tuple[str, str, Sequence[str]]]:
    """Return the parts with series colours assigned in order."""
    series = ("first", "second", "third", "fourth")
    return [(label, series[i % len(series)], paths) for i, (label, _, paths) in enumerate(parts)]


OTHER_TABLES: Mapping[str, str] = {
    "days": "From the start to the end of each day",
    "vaults": "By vault, the largest debt first: the acts of its owner, and the outcome of the paths",
}
"""Headings of tables besides that of the question's name."""

QUESTIONS: Mapping[str, QuestionPage] = {
    "falls": QuestionPage(
        "What may be liquidated when prices fall?",
        "By type and fall",
        "Vaults that are unsafe by the contracts' own comparison when one price, or all of them, fall at "
        "once by so much: their debt, the worth of their collateral then, and the shortfall, vault by "
        "vault, before the cost of any auction.",
        risk_answer_charts.build_price_fall_debt_chart,
        _build_lacking_collateral_strips,
    ),
    "at-risk": QuestionPage(
        "How much bad debt, how likely?",
        "Of all types and of each",
        "Chance, average and tail of bad debt. Value at risk is the loss that so many paths do not exceed, "
        "expected shortfall the average of the others; intervals are of 95%, a question mark is an end "
        "that so few paths do not bound.",
        risk_answer_charts.build_expected_shortfall_chart,
        _build_average_type_bad_debt_strip,
    ),
    "payers": QuestionPage(
        "Which groups pay, under which rules?",
        "By rules and payer",
        "Average payment of each group over the same paths, its share of all bad debt, and how often it "
        "pays. Loss that was not covered when a path ended counts as the holders'.",
        risk_answer_charts.draw_payers,
        _build_payer_strips,
    ),
    "owners": QuestionPage(
        "Whose are the debt and the losses?",
        "The largest owners",
        "Debt at the opening, and losses of the owner's vaults on the worst paths, run again exactly.",
        risk_answer_charts.build_owner_share_chart,
        _build_owner_loss_strips,
    ),
    "history": QuestionPage(
        "What did this period do to the book?",
        "By figure",
        "The record of events, the book without reactions, and owners that react: the average of the "
        "paths, and the range of 95% of them. A factor is how many times history a figure is.",
        risk_answer_charts.draw_history,
        lambda summary: [],
    ),
    "episodes": QuestionPage(
        "What would past crashes do to this book?",
        "By episode and case",
        "Prices, gas prices and outages of each episode on this book, its markets and its keepers: averages "
        "of the paths, with intervals of 95%, and the bad debt of the worst path. Paths differ in what lies "
        "between published prices, in random draws, and in the acts of owners.",
        risk_answer_charts.draw_episodes,
        lambda summary: [],
    ),
    "ceiling": QuestionPage(
        "How large may the debt become?",
        "Sizes that were tried",
        "The expected shortfall of the type's own bad debt by the size of its debt, with intervals of 95%.",
        risk_answer_charts.draw_ceiling,
        lambda summary: [],
    ),
}
"""Questions that this page answers, by name."""
