"""Page of a hunt: what its alarms found, one story of each kind, and how each goes."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from backstop.files.atomic_files import write_files
from backstop.files.installation import format_command
from backstop.files.output_directories import read_record
from backstop.report.figure_markup import render_amount, render_count
from backstop.report.page_links import REPORT
from backstop.report.rendering import render_template
from backstop.report.study_files import read_study_files
from backstop.studies.exploit_search.case_alarms import ALARMS
from backstop.studies.exploit_search.exploit_reports import ExploitReport, group_findings
from backstop.studies.exploit_search.search_campaign import FILE, parse_results

MOST_STORIES = 100

ABOUT = {
    "extraction": "Three accounts gain by acting together what others lose.",
    "symmetry": "Two who were alike do not end alike, though only something differs that must not matter.",
    "liveness": "A call that must succeed does not.",
    "margin": "One owner of several accounts takes from others in the margin market.",
    "accounting": "A call moves what is not its affair, or what is owed does not arrive.",
}
"""What each alarm is rung by."""


def write_page(directory: Path) -> Path:
    """Write report.html into the folder of a hunt, of the cases that are searched so far."""
    (content,) = read_study_files(directory, "hunt", (FILE,))
    stories = select_largest_findings(content)
    summary = {"seed": content["seed"], "cases": len(content["cases"])}
    summary["stories"] = [_to_record(each) for each in stories[:MOST_STORIES]]
    text = render_template(
        "hunt.html",
        summary,
        [],
        finding=compose_finding(content),
        counts={alarm: sum(each.alarm == alarm for each in stories) for alarm in ALARMS},
        found=len(stories),
        about=ABOUT,
        answers=_compose_headings(stories),
        again=_build_command(directory, content),
    )
    write_files(directory, {REPORT: text})
    return directory / REPORT


def select_largest_findings(content: Mapping[str, Any]) -> list[ExploitReport]:
    """Return one story of each kind that a hunt found, the largest first, then the shortest."""
    return sorted(
        group_findings(parse_results(content).values()),
        key=lambda each: (-each.size, len(each.lines), each.kind),
    )


def compose_finding(content: Mapping[str, Any]) -> Markup:
    """Compose the finding of a hunt: how many kinds of stories each alarm found."""
    stories, cases = select_largest_findings(content), render_count(len(content["cases"]), "case")
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


def _compose_headings(stories: list[ExploitReport]) -> dict[str, Markup]:
    if not stories:
        return {"stories": Markup("Nothing"), "mirror": Markup("The same command searches on")}
    first = stories[0]
    return {
        "stories": Markup("The largest is of {}: {}").format(first.alarm, first.kind),
        "how": Markup("In {}, the shortest").format(
            render_count(min(len(each.lines) for each in stories), "line")
        ),
        "mirror": Markup("The same command plays what it tells again on the contracts"),
    }


def _to_record(story: ExploitReport) -> dict[str, Any]:
    kept = story._asdict()
    del kept["source"]
    return {**kept, "size_wad": str(kept.pop("size")), "lines": list(story.lines)}


def _build_command(directory: Path, content: Mapping[str, Any]) -> str:
    inputs = read_record(directory).get("inputs", {})
    words = ["hunt", "--cases", str(len(content["cases"]))]
    for name in ("plans", "trials"):
        words += [f"--{name}", str(inputs[name])] if name in inputs else []
    for alarm in str(inputs.get("alarms", "")).split(" and "):
        words += (
            ["--alarm", alarm] if alarm and len(str(inputs["alarms"]).split(" and ")) < len(ALARMS) else []
        )
    return format_command(shlex.join([*words, "--seed", str(content["seed"]), "--out", str(directory)]))
