"""Page of a crash that nobody liquidates: what deleveraging takes, of whom, in which calls."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from backstop.files.whole import write_files
from backstop.model.arithmetic import WAD
from backstop.report import amounts
from backstop.report.amounts import percent
from backstop.report.finished import read_finished
from backstop.report.first_screen import Strip, strip
from backstop.report.named_bars import Part, stacked
from backstop.report.numbers import Numbers, amount, counted
from backstop.report.plotting import Chart, Key
from backstop.report.rendering import render
from backstop.report.run_tables import FIRST_ROWS, MOST_ROWS
from backstop.studies.deleveraging.summary import FILE

MINIMAL = "minimal"  # what the market takes: the parts of positions that pay for the loss, and no more


def write_page(directory: Path) -> Path:
    """Write report.html into the folder of a finished crash."""
    summary, meta = read_finished(directory, "crash", (FILE, "meta.json"))
    freezes = sorted(enumerate(summary["freezes"]), key=lambda each: (-int(each[1]["loss_wad"]), each[0]))
    text = render(
        "deleverage.html",
        summary,
        [chart for chart in (policies(summary),) if chart],
        meta=meta,
        finding=deleveraged(summary),
        strip=whole(summary),
        answers=answers(summary),
        order=[place for place, _ in freezes[:MOST_ROWS]],
        most_rows=FIRST_ROWS,
    )
    write_files(directory, {"report.html": text})
    return directory / "report.html"


def whole(summary: Mapping[str, Any]) -> Strip | None:
    """Build the strip: who paid what accounts owed beyond their margins."""
    return strip(
        summary,
        "owed beyond margins",
        [
            ("Insurance: the margin market's fund", "insurance", ["insured_wad"]),
            (
                "Traders who had gained: parts of their positions closed against them",
                "winners",
                ["taken_wad"],
            ),
            ("The protocol: posted to the waterfall", "protocol", ["posted_wad"]),
            ("Nobody yet: owed by accounts of the margin market", "unpaid", ["unpaid_wad"]),
        ],
    )


def deleveraged(summary: Mapping[str, Any]) -> Markup:
    """Compose the finding: what was taken of whom, and what nobody paid."""
    if not summary["freezes"]:
        return Markup("No account came to owe more than it had: nobody was deleveraged.")
    numbers = Numbers(summary)
    left = int(summary["posted_wad"]) + int(summary["unpaid_wad"])
    return Markup("{} deleveraged: those who had gained gave up {}, insurance paid {}, {}.").format(
        _were(len(summary["freezes"])),
        numbers.figure("taken_wad"),
        numbers.figure("insured_wad"),
        Markup("and {} is left to the protocol").format(amount(left, "wad"))
        if left
        else "and nothing is left",
    )


def _were(count: int) -> Markup:
    return counted(count, "position") + (" was" if count == 1 else " were")


def answers(summary: Mapping[str, Any]) -> dict[str, Markup]:
    """Compose the answers of the page, by section."""
    found = {"mirror": Markup("Model and chain agree on every field")}
    if summary["policies"]:
        greedy = int(summary["policies"][0]["taken_wad"])
        taken = int(summary["taken_wad"])
        found["policies"] = Markup("A greedy engine takes {}, {} more than needed").format(
            amount(greedy, "wad"), amount(greedy - taken, "wad")
        )
        worst = max(summary["freezes"], key=lambda each: int(each["loss_wad"]))
        found["freezes"] = Markup("The largest loss of one is {}, of {}").format(
            amount(worst["loss_wad"], "wad"), counted(worst["lots"], "lot")
        )
    largest = summary["largest"]
    if largest is not None:
        found["gas"] = Markup("The largest takes {}, each at most {} of a block").format(
            counted(largest["submit"] + largest["execute"], "call"),
            percent(largest["most_gas"], summary["block_gas"]),
        )
    return found


def policies(summary: Mapping[str, Any]) -> Chart | None:
    """Draw what each policy takes: the loss that has to be paid, and what is beyond it."""
    if not summary["policies"]:
        return None
    needed = int(summary["taken_wad"])
    names = [row["policy"] for row in summary["policies"]] + [MINIMAL]
    taken = [int(row["taken_wad"]) for row in summary["policies"]] + [needed]
    parts = [
        Part("needed", "@first", [min(each, needed) for each in taken]),
        Part("beyond", "@loss", [max(0, each - needed) for each in taken]),
    ]
    told = "; ".join(f"{name} {amounts.compact(each, WAD)}" for name, each in zip(names, taken, strict=True))
    legend = tuple(Key(part.name, part.color, "area") for part in parts)
    return Chart("taken", "What each policy takes", f"Taken: {told}.", stacked(names, parts, WAD), legend)
