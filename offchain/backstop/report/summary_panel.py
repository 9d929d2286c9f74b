"""First screen of a page: the total loss and its payers, from the figures of the tables below."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY
from backstop.report import amounts
from backstop.report.attack_console_output import WANTED, get_maximised_figure_wad
from backstop.report.exact_amount_markup import SummaryFigures, get_figure_unit, render_amount, render_count
from backstop.simulation.loss_bearers import ALL_GROUPS, MARGIN_GROUPS
from backstop.studies.comparison.discount_sale_figures import has_sales_at_once

_TOGETHER = "\u00a0"
_TO_RAD = {"rad": 1, "wad": RAY, "micro": RAD // 10**6}


UNBOOKED = "Not booked yet: owed beyond collateral at the last price"
"""Label of the unbooked loss of a comparison's runs with sales at once."""

_NOTHING = {
    "loss": "Every loss was covered, on every path",
    "bad-debt": "No path had bad debt",
    "gain": "Hostile members gained nothing",
}
"""Finding of a search without a hit."""


class LossShare(NamedTuple):
    """Part of a loss strip: its label, its colour, its rendered figure, and its value [rad]."""

    label: str
    color: str
    figure: Markup
    value: int

    @property
    def short_label(self) -> str:
        """Label without its explanation, except for labels of unpaid losses."""
        return self.label if self.label.startswith("Not yet covered:") else self.label.partition(":")[0]


class LossStrip(NamedTuple):
    """Bar that divides a total loss into its parts, with a title."""

    title: str
    shares: list[LossShare]

    @property
    def total_rad(self) -> int:
        """Sum of the parts [rad]."""
        return sum(share.value for share in self.shares)

    @property
    def rendered_total(self) -> Markup:
        """Sum of the parts as HTML."""
        return render_amount(self.total_rad, "rad")

    @property
    def drawable_total_rad(self) -> int:
        """Sum of the parts above 0 [rad]; gains cannot be drawn."""
        return sum(max(0, share.value) for share in self.shares)

    def format_share_percent(self, share: LossShare) -> str:
        """Return a part as a percentage of the drawable total; `a gain` if it is below 0."""
        return amounts.format_percent(share.value, self.drawable_total_rad) if share.value >= 0 else "a gain"

    def compute_bar_length_bps(self, share: LossShare) -> int:
        """Return the length of a part in ten thousandths of the strip; 0 for a gain."""
        return max(0, share.value) * 10_000 // self.drawable_total_rad if self.drawable_total_rad else 0


def build_strip(
    summary: Mapping[str, Any], title: str, parts: Sequence[tuple[str, str, Sequence[str]]]
) -> LossStrip | None:
    """Return a strip of parts, each given as label, colour and summary paths; None if it would be empty.

    A part with several paths is their sum. Parts of 0 are left out.
    """
    numbers = SummaryFigures(summary)
    shares = []
    for label, color, paths in parts:
        value = sum(numbers.get_value(path) * _TO_RAD[get_figure_unit(path)] for path in paths)
        if value:
            figure = numbers.render_figure(paths[0]) if len(paths) == 1 else render_amount(value, "rad")
            shares.append(LossShare(label, color, figure, value))
    found = LossStrip(title, shares)
    return found if found.drawable_total_rad else None


def build_run_loss_strip(summary: Mapping[str, Any]) -> LossStrip | None:
    """Return the strip of a run's total loss by bearer, for vaults and margin market together."""
    parts = [
        (ALL_GROUPS[entry["group"]].label, entry["group"], [f"paid_by.{i}.wad"])
        for i, entry in enumerate(summary["paid_by"])
    ]
    return build_strip(summary, "lost in all", parts)


def build_group_strip(summary: Mapping[str, Any], title: str, figure: str) -> LossStrip | None:
    """Return the strip of a summary's groups, each with its figure at the path `figure`."""
    parts = [
        (ALL_GROUPS[entry["group"]].label, entry["group"], [f"groups.{i}.{figure}"])
        for i, entry in enumerate(summary["groups"])
    ]
    return build_strip(summary, title, parts)


def build_preset_loss_strips(comparison: Mapping[str, Any]) -> list[LossStrip]:
    """Return a strip of the total loss by bearer for each preset of a comparison."""
    found = []
    for k, row in enumerate(comparison["presets"]):
        parts = [
            (ALL_GROUPS[entry["group"]].label, entry["group"], [f"presets.{k}.loss_paid_by.{i}.rad"])
            for i, entry in enumerate(row["loss_paid_by"])
        ]
        for _, group, paths in parts:
            if group == "borrowers":  # as on the page of the run itself
                paths.append(f"presets.{k}.sold_cheaply_wad")
        if has_sales_at_once(comparison):
            parts.append((UNBOOKED, "unpaid", [f"presets.{k}.unbooked_rad"]))
        if row["margin"]:
            at = f"presets.{k}.margin"
            parts += [
                (group.label, name, [f"{at}.{kind}_wad" for kind in group.stages or ("not_paid",)])
                for name, group in MARGIN_GROUPS.items()
            ]
        found.append(build_strip(comparison, row["title"], parts))
    return [each for each in found if each is not None]


def build_guard_bad_debt_strips(
    scenario_result: Mapping[str, Any], scenario_index: int, comparison: Mapping[str, Any]
) -> Iterator[LossStrip]:
    """Yield the strips of bad debt in a crash: without guards, and with the best guard."""
    for k in dict.fromkeys((0, find_least_bad_debt_index(scenario_result))):
        at = f"scenarios.{scenario_index}.runs.{k}"
        parts = [
            ("Recognised", "holders", [f"{at}.recognised_rad"]),
            ("Not sold yet: what could not be repaid at the last price", "unpaid", [f"{at}.underwater_rad"]),
        ]
        found = build_strip(comparison, scenario_result["runs"][k]["title"], parts)
        if found is not None:
            yield found


def find_least_bad_debt_index(scenario_result: Mapping[str, Any]) -> int:
    """Return the index of the run with the least bad debt, the first of equals."""
    return min(
        range(len(scenario_result["runs"])), key=lambda k: int(scenario_result["runs"][k]["bad_debt_rad"])
    )


def build_loss_payers_strip(statement: Mapping[str, Any]) -> LossStrip | None:
    """Return the strip of an audit's uncovered loss by payer if it were realised now."""
    parts = [
        (row["stage"].replace("_", " "), row["stage"], [f"stages.{i}.would_pay_rad"])
        for i, row in enumerate(statement["stages"])
    ]
    parts.append(("Not covered", "holders", ["coverage.uncovered_rad"]))
    return build_strip(statement, "to cover", parts)


def compose_comparison_finding(comparison: Mapping[str, Any]) -> Markup:
    """Return a sentence on the presets with the most and the least unpaid loss."""
    strips = build_preset_loss_strips(comparison)
    if not strips:
        return Markup("No preset was left with a loss.")
    nobody = {ALL_GROUPS["holders"].label, ALL_GROUPS["unpaid"].label, UNBOOKED}
    unpaid = [
        (sum(share.value for share in each.shares if share.label in nobody), each.title, each.total_rad)
        for each in strips
    ]
    low, high = min(unpaid), max(unpaid)
    nothing = sum(left == 0 for left, _, _ in unpaid)

    def render_preset(found: tuple[int, str, int]) -> Markup:
        return Markup("{}, {} of {} lost").format(
            found[1], render_amount(found[0], "rad"), render_amount(found[2], "rad")
        )

    if high[0] == 0:
        return Markup("Under every preset all of the loss is covered.")
    if low[0] == high[0]:
        return Markup("Not yet covered, under every preset alike: {}.").format(render_preset(low))
    if nothing:
        return Markup("The loss not yet covered is most under {}; under {} of {} it is nothing.").format(
            render_preset(high), render_amount(nothing, "count"), render_count(len(unpaid), "preset")
        )
    return Markup("The loss not yet covered is least under {}, and most under {}.").format(
        render_preset(low), render_preset(high)
    )


def compose_guards_finding(
    scenario_result: Mapping[str, Any], scenario_index: int, comparison: Mapping[str, Any]
) -> Markup:
    """Return a sentence on the bad debt of one crash: without guards, and with the best guard."""
    numbers = SummaryFigures(comparison)
    best = find_least_bad_debt_index(scenario_result)
    bare = numbers.render_figure(f"scenarios.{scenario_index}.runs.0.bad_debt_rad")
    if int(scenario_result["runs"][0]["bad_debt_rad"]) == 0:
        return Markup("{}: no bad debt without guards, and so nothing to save.").format(
            scenario_result["title"]
        )
    if best == 0:
        return Markup("{}: {} of bad debt, which no guard makes less.").format(scenario_result["title"], bare)
    figure = numbers.render_figure(f"scenarios.{scenario_index}.runs.{best}.bad_debt_rad")
    text = Markup("{}: {} of bad debt without guards, {} with “{}”").format(
        scenario_result["title"], bare, figure, scenario_result["runs"][best]["title"]
    )
    worst = max(scenario_result["runs"], key=lambda row: int(row["bad_debt_rad"]))
    more = int(worst["bad_debt_rad"]) - int(scenario_result["runs"][0]["bad_debt_rad"])
    return text + (
        Markup("; “{}” adds {}.").format(worst["title"], render_amount(more, "rad")) if more > 0 else "."
    )


def compose_study_finding(summary: Mapping[str, Any]) -> Markup:
    """Return a sentence on how often paths have bad debt, and how much the worst paths have."""
    numbers, bad_debt = SummaryFigures(summary), summary["bad_debt"]
    if bad_debt["largest_micro"] == 0:
        return Markup("No path had any bad debt.")
    worst = amounts.format_percent(BASIS_POINTS - bad_debt["levels"][0]["level_bps"], BASIS_POINTS, 0)
    return Markup(
        "{} of paths have bad debt. In the worst {} it is {} stablecoins on average, {} on the worst of all."
    ).format(
        numbers.render_figure("bad_debt.chance.value_bps"),
        worst,
        numbers.render_figure("bad_debt.levels.0.shortfall.value_micro"),
        numbers.render_figure("bad_debt.largest_micro"),
    )


def compose_sweep_finding(summary: Mapping[str, Any]) -> Markup:
    """Return a sentence on the setting with the largest gain within the limit of shortfall."""
    limit = SummaryFigures(summary).render_figure("limit_micro")
    if withheld := summary.get("withheld"):
        return Markup("{}").format(withheld)
    if summary["recommended"] is None:
        return Markup("No setting keeps its expected shortfall to {} stablecoins.").format(limit)
    values = summary["points"][summary["recommended"]["point"]]["values"]
    # A figure and its unit stay on one line.
    setting = "; ".join(
        f"{axis['title']} {values[axis['name']].replace(' ', _TOGETHER)}" for axis in summary["axes"]
    )
    return Markup("{}: the most {} with an expected shortfall of at most {}.").format(
        setting, summary["gain"], limit
    )


def compose_search_finding(summary: Mapping[str, Any]) -> Markup:
    """Return a sentence on the worst case that an attack search found within its budget."""
    if int(get_maximised_figure_wad(summary)) <= 0:
        return Markup("{}, within “{}”.").format(_NOTHING[summary["goal"]], summary["budget"]["title"])
    return Markup("{} stablecoins {}, within “{}”.").format(
        render_amount(get_maximised_figure_wad(summary), "wad"),
        WANTED[summary["goal"]],
        summary["budget"]["title"],
    )
