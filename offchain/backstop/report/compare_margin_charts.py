"""Charts of the margin market in a comparison: who paid, and what each way to deleverage takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backstop.model.arithmetic import WAD
from backstop.report import amounts
from backstop.report.margin_charts import COLORS
from backstop.report.named_bars import Part, axis, stacked
from backstop.report.plotting import Chart, Key, color, plotted, titled
from backstop.simulation.bearers import PAYERS
from backstop.studies.comparison.compare import WAYS


def margin_payers(comparison: Mapping[str, Any]) -> Chart | None:
    """Draw a bar for each preset, from the first payer to what nobody has paid."""
    rows = comparison["presets"]
    if not any(row["margin"] and int(row["margin"]["loss_wad"]) for row in rows):
        return None
    names = [row["title"] for row in rows]
    parts = [
        Part(name, COLORS.get(kind, "@outstanding"), [int(row["margin"][f"{kind}_wad"]) for row in rows])
        for kind, name in {**PAYERS, "not_paid": "not paid"}.items()
    ]
    parts = [part for part in parts if any(part.values)]
    told = [
        f"{names[i]}: {part.name} {amounts.compact(value, WAD)}"
        for part in parts
        for i, value in enumerate(part.values)
        if value
    ]
    legend = tuple(Key(part.name, part.color, "area") for part in parts)
    label = f"Who paid for the margin market's losses, by preset: {'; '.join(told)}."
    return Chart("margin-payers", "Who paid", label, stacked(names, parts, WAD), legend)


def margin_excess(comparison: Mapping[str, Any]) -> Chart | None:
    """Draw, for each preset and way to deleverage, what is taken beyond the least that is needed."""
    rows = comparison["presets"]
    if not any(row["margin"] and row["margin"]["freezes"] for row in rows):
        return None
    names = [row["title"] for row in rows]
    values = {way: [int(row["margin"][f"{way}_excess_wad"]) for row in rows] for way in WAYS}
    shades = {way: color(i) for i, way in enumerate(WAYS)}
    figure = {
        "data": [_bars(WAYS[way], shades[way], found) for way, found in values.items()],
        "layout": {
            "height": 90 + 76 * len(names),
            "barmode": "group",
            "bargap": 0.3,
            "hovermode": "closest",
            "xaxis": {
                "tickformat": "~s",
                # Leave room for the labels at the ends.
                "range": [0, max(1.25 * max(map(max, values.values())) / WAD, 1)],
                "showgrid": True,
                "zeroline": True,
                "zerolinecolor": "@faint",
                "title": titled("stablecoins"),
            },
            "yaxis": axis(names),
        },
    }
    told = [
        f"{names[i]}: {WAYS[way]} {amounts.compact(value, WAD)}"
        for way, found in values.items()
        for i, value in enumerate(found)
    ]
    legend = tuple(Key(name, shades[way], "area") for way, name in WAYS.items())
    label = f"Taken from gains beyond the least that closes the same positions: {'; '.join(told)}."
    return Chart("margin-excess", "Taken beyond the least", label, figure, legend)


def _bars(name: str, shade: str, values: Sequence[int]) -> dict[str, Any]:
    """Build the bars of one way to deleverage, each labelled at its end, as most of them are zero."""
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "x": plotted(values, WAD),
        "y": list(range(len(values))),
        "marker": {"color": shade},
        "text": [amounts.compact(value, WAD) for value in values],
        "textposition": "outside",
        "constraintext": "none",
        "textfont": {"size": 12, "color": "@ink"},
        "cliponaxis": False,
        "customdata": [amounts.fixed(value, WAD) for value in values],
        "hovertemplate": f"{name}: %{{customdata}}<extra></extra>",
    }
