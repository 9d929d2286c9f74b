"""Page of the study of self-made pairs: what one owner, long against short, earns by a market's terms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from backstop.files.atomic_files import write_files
from backstop.report.amounts import percent
from backstop.report.finished import read_finished
from backstop.report.named_bars import axis
from backstop.report.numbers import Numbers, amount, counted
from backstop.report.plotting import Chart, Key, titled
from backstop.report.rendering import render
from backstop.report.straddle_table import KINDS
from backstop.studies.self_hedge.self_hedge_summary import FILE

MILLIONTHS = 10**6  # shares of notional are in these

_NAMED = {"blind": "every so many minutes", "chosen": "at chosen moments"}


def write_page(directory: Path) -> Path:
    """Write report.html into the folder of a finished study of pairs."""
    summary, meta = read_finished(directory, "study of pairs", (FILE, "meta.json"))
    rows = list(enumerate(summary["rows"]))
    text = render(
        "straddle.html",
        summary,
        [shares(summary)],
        meta=meta,
        finding=paired(summary),
        first=totals(summary),
        answers=answers(summary),
        days=[(i, row["series"]) for i, row in rows if row["group"] == "library" and row["series"]],
        settings=[(i, name_of(row)) for i, row in rows if not row["series"]],
        kinds=[(kind, _NAMED[kind]) for kind in KINDS],
        share=lambda millionths: percent(millionths, MILLIONTHS, 2),
    )
    write_files(directory, {"report.html": text})
    return directory / "report.html"


def name_of(row: Mapping[str, Any]) -> str:
    """Return a setting's name."""
    return "the library's terms" if row["group"] == "library" else f"{row['group']}: {row['told']}"


def totals(summary: Mapping[str, Any]) -> dict[str, int]:
    """Sum the library's pairs over both kinds of moments: how many, failed, earned, and the best [wad]."""
    own = [row for row in summary["rows"] if row["group"] == "library" and not row["series"]]
    gains = [row[kind] for row in own for kind in KINDS]
    found = {name: sum(each[name] for each in gains) for name in ("pairs", "failed", "earned")}
    return found | {"most_wad": max(int(each["most_wad"]) for each in gains)}


def paired(summary: Mapping[str, Any]) -> Markup:
    """Compose the finding: whether a pair pays at the library's terms."""
    first = totals(summary)
    pairs, best = counted(first["pairs"], "pair"), amount(abs(first["most_wad"]), "wad")
    if first["earned"]:
        return Markup("{} of {} at the library's terms earned, {} stablecoins at most.").format(
            amount(first["earned"], "count"), pairs, best
        )
    return Markup("None of {} at the library's terms earned: the best lost {} stablecoins.").format(
        pairs, best
    )


def answers(summary: Mapping[str, Any]) -> dict[str, Markup]:
    """Compose the answers of the page, by section."""
    rows = [row for row in summary["rows"] if not row["series"]]
    days = [row for row in summary["rows"] if row["group"] == "library" and row["series"]]
    best = max(rows, key=lambda row: max(row[kind]["most_share"] for kind in KINDS))
    best_share = max(best[kind]["most_share"] for kind in KINDS)
    kindest = max(days, key=lambda row: int(row["chosen"]["mean_wad"]))
    moves = [
        (move, int(window), series)
        for series, by_window in summary["largest_moves_bps"].items()
        for window, move in by_window.items()
    ]
    shortest = min(window for _, window, _ in moves)
    move, _, series = max(each for each in moves if each[1] == shortest)
    numbers = Numbers(summary)
    earning = sum(any(row[kind]["earned"] for kind in KINDS) for row in rows)
    return {
        "days": Markup("On average {} at chosen moments of {}").format(
            numbers.figure(f"rows.{summary['rows'].index(kindest)}.chosen.mean_wad"), kindest["series"]
        ),
        "settings": Markup("Some pair earns at {} of {}; most, {}, at {}").format(
            amount(earning, "count"),
            counted(len(rows), "setting"),
            percent(best_share, MILLIONTHS, 2),
            name_of(best),
        )
        if earning
        else Markup("No pair earns at any of {}").format(counted(len(rows), "setting")),
        "moves": Markup("{} in {} seconds, of {}").format(percent(move, 10_000, 2), shortest, series),
        "mirror": Markup("The pair is played on the model of the contracts"),
    }


def shares(summary: Mapping[str, Any]) -> Chart:
    """Draw what pairs gain by each setting: the average and the best at chosen moments."""
    rows = [row for row in summary["rows"] if not row["series"]]
    names = [name_of(row) for row in rows]
    groups = [("average", "@first", "mean_share"), ("the best", "@loss", "most_share")]
    figure = {
        "data": [
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": [row["chosen"][figure] / MILLIONTHS for row in rows],
                "y": list(range(len(rows))),
                "customdata": [percent(row["chosen"][figure], MILLIONTHS, 2) for row in rows],
                "marker": {"color": color, "size": 9},
                "hovertemplate": f"{name}: %{{customdata}}<extra></extra>",
            }
            for name, color, figure in groups
        ],
        "layout": {
            "height": 90 + 30 * len(rows),
            "hovermode": "closest",
            "xaxis": {
                "tickformat": ".1~%",
                "showgrid": True,
                "zeroline": True,
                "zerolinecolor": "@muted",
                "title": titled("gain at chosen moments, %"),
            },
            "yaxis": axis(names),
        },
    }
    told = "; ".join(
        f"{name} {percent(row['chosen']['most_share'], MILLIONTHS, 2)}"
        for name, row in zip(names, rows, strict=True)
    )
    legend = tuple(Key(name, color, "dots") for name, color, _ in groups)
    return Chart(
        "gains", "What pairs gain", f"The best pair at chosen moments by setting: {told}.", figure, legend
    )
