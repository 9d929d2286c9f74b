"""Page of a crash of a perpetual market: who paid, what it cost and how long it took."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from backstop.files.atomic_files import write_files
from backstop.report import amounts
from backstop.report.deleverage_table import PAID, per_account
from backstop.report.finished import read_finished
from backstop.report.first_screen import Strip, strip
from backstop.report.named_bars import Part, stacked
from backstop.report.numbers import Numbers, amount, counted, duration
from backstop.report.plotting import Chart, Key, color, titled
from backstop.report.rendering import render
from backstop.studies.auto_deleveraging.adl_summary import FILE, WORK

_COLORS = {
    "insurance": "insurance",
    "winners": "winners",
    "unvested": "clawback",
    "later": "later_gains",
    "protocol": "protocol",
    "nobody": "unpaid",
}


def write_page(directory: Path) -> Path:
    """Write report.html into the folder of a finished crash."""
    summary, meta = read_finished(directory, "crash", (FILE, "meta.json"))
    text = render(
        "deleverage.html",
        summary,
        [blocks(summary)],
        meta=meta,
        finding=deleveraged(summary),
        strip=whole(summary),
        answers=answers(summary),
        duration=duration,
    )
    write_files(directory, {"report.html": text})
    return directory / "report.html"


def whole(summary: Mapping[str, Any]) -> Strip | None:
    """Build the strip: who paid what accounts owed beyond their margins."""
    parts = [(name[0].upper() + name[1:], _COLORS[key], [f"{key}_wad"]) for key, name in PAID.items()]
    return strip(summary, "owed beyond margins", parts)


def deleveraged(summary: Mapping[str, Any]) -> Markup:
    """Compose the finding: who bore what, and how fast it was over."""
    numbers = Numbers(summary)
    return Markup("{} owed {} beyond what they had: insurance paid {}, those who had gained {}, {}.").format(
        counted(summary["insolvent"], "account"),
        numbers.figure("owed_wad"),
        numbers.figure("insurance_wad"),
        numbers.figure("winners_wad"),
        Markup("and {} is paid by nobody yet").format(numbers.figure("nobody_wad"))
        if int(summary["nobody_wad"])
        else Markup("each {} of its gain").format(amount(summary["most_taken_bps"], "bps")),
    )


def answers(summary: Mapping[str, Any]) -> dict[str, Markup]:
    """Compose the answers of the page, by section."""
    most = max(row["most"] for row in per_account(summary))
    found = {
        "cost": Markup("At most {} gas, whoever owes").format(amount(most, "count")),
        "time": Markup("{} of 30M gas").format(counted(summary["work_blocks"], "block")),
        "mirror": Markup("Model and chain agree on every field"),
    }
    if summary["closings"]:
        beyond = sum(row["excess"] for row in summary["closings"])
        found["closings"] = Markup("{} beyond what was nobody's").format(counted(beyond, "lot"))
    if summary["dodging"]:
        found["dodging"] = Markup("They bear {} less than their gains have to").format(
            amount(summary["dodging"]["escaped_wad"], "wad")
        )
    return found


def blocks(summary: Mapping[str, Any]) -> Chart:
    """Draw how many blocks each phase took that deals with an insolvency."""
    rows = [row for row in summary["phases"] if row["phase"] in WORK]
    parts = [Part(row["phase"], color(i), [row["blocks"]]) for i, row in enumerate(rows)]
    figure = stacked([summary["policy"]], parts, 1)
    figure["layout"]["xaxis"]["title"] = titled("blocks")
    told = "; ".join(f"{row['phase']} {amounts.exact(row['blocks'], 1)}" for row in rows)
    legend = tuple(Key(part.name, part.color, "area") for part in parts)
    return Chart("blocks", "Blocks of 30M gas", f"Blocks: {told}.", figure, legend)
