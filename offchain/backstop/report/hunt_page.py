"""Page of a hunt: the findings of its alarms, one story of each kind, and its course."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from backstop.files.atomic_files import write_files
from backstop.files.installation import format_command_as_started
from backstop.files.output_directories import read_record
from backstop.report.exact_amount_markup import render_amount, render_count
from backstop.report.page_links import REPORT
from backstop.report.rendering import render_template
from backstop.report.study_file_reader import read_study_files
from backstop.studies.exploit_search.case_alarms import ALARMS
from backstop.studies.exploit_search.exploit_reports import ExploitReport, list_shortest_reports_by_kind
from backstop.studies.exploit_search.search_campaign import FILE, parse_case_results_by_number

MOST_STORIES = 100

ABOUT = {
    "extraction": "Three accounts act together and gain the losses of others.",
    "symmetry": "Two equal accounts end unequal after an irrelevant difference.",
    "liveness": "A call that must succeed fails.",
    "margin": "One owner of several accounts takes from others in the margin market.",
    "accounting": "A call changes balances that it must not, or a payment does not arrive.",
}
"""Trigger of each alarm."""


def write_page(directory: Path) -> Path:
    """Write the page `report.html` of an exploit hunt, with the cases searched so far."""
    (content,) = read_study_files(directory, "hunt", (FILE,))
    stories = list_largest_story_per_kind(content)
    summary = {"seed": content["seed"], "cases": len(content["cases"])}
    summary["stories"] = [_to_record(each) for each in stories[:MOST_STORIES]]
    text = render_template(
        "hunt.html",
        summary,
        [],
        finding=compose_hunt_result_sentence(content),
        counts={alarm: sum(each.alarm == alarm for each in stories) for alarm in ALARMS},
        found=len(stories),
        about=ABOUT,
        answers=_compose_headings(stories),
        again=_format_repeat_command(directory, content),
    )
    write_files(directory, {REPORT: text})
    return directory / REPORT


def list_largest_story_per_kind(hunt_content: Mapping[str, Any]) -> list[ExploitReport]:
    """Return one exploit report of each kind that the hunt found.

    The largest gain comes first, then the shortest report.
    """
    return sorted(
        list_shortest_reports_by_kind(parse_case_results_by_number(hunt_content).values()),
        key=lambda each: (-each.size, len(each.lines), each.kind),
    )


def compose_hunt_result_sentence(hunt_content: Mapping[str, Any]) -> Markup:
    """Return the hunt's main result: how many kinds of exploits each alarm found."""
    stories, cases = (
        list_largest_story_per_kind(hunt_content),
        render_count(len(hunt_content["cases"]), "case"),
    )
    if not stories:
        return Markup("Nothing was found in {}.").format(cases)
    by_alarm = {alarm: sum(each.alarm == alarm for each in stories) for alarm in ALARMS}
    parts = Markup(", ").join(
        Markup("{} {}").format(render_amount(count, "count"), alarm)
        for alarm, count in by_alarm.items()
        if count
    )
    largest = max(each.size for each in stories)
    worth = (
        Markup("; the largest is worth {}").format(render_amount(largest, "wad")) if largest else Markup("")
    )
    return Markup("{} in {}: {}{}.").format(render_count(len(stories), "story"), cases, parts, worth)


def _compose_headings(exploit_reports: list[ExploitReport]) -> dict[str, Markup]:
    if not exploit_reports:
        return {"stories": Markup("Nothing"), "mirror": Markup("The same command searches on")}
    first = exploit_reports[0]
    return {
        "stories": Markup("The largest is of {}: {}").format(first.alarm, first.kind),
        "how": Markup("In {}, the shortest").format(
            render_count(min(len(each.lines) for each in exploit_reports), "line")
        ),
        "mirror": Markup("The same command plays what it tells again on the contracts"),
    }


def _to_record(story: ExploitReport) -> dict[str, Any]:
    kept = story._asdict()
    del kept["source"]
    return {**kept, "size_wad": str(kept.pop("size")), "lines": list(story.lines)}


def _format_repeat_command(directory: Path, hunt_content: Mapping[str, Any]) -> str:
    inputs = read_record(directory).get("inputs", {})
    words = ["hunt", "--cases", str(len(hunt_content["cases"]))]
    for name in ("plans", "trials"):
        words += [f"--{name}", str(inputs[name])] if name in inputs else []
    for alarm in str(inputs.get("alarms", "")).split(" and "):
        words += (
            ["--alarm", alarm] if alarm and len(str(inputs["alarms"]).split(" and ")) < len(ALARMS) else []
        )
    return format_command_as_started(
        shlex.join([*words, "--seed", str(hunt_content["seed"]), "--out", str(directory)])
    )
