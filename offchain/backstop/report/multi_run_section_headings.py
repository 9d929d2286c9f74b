"""Headings of pages over several runs: the finding of each section, in a few words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from backstop.model.arithmetic import BASIS_POINTS
from backstop.report.amounts import format_percent
from backstop.report.exact_amount_markup import SummaryFigures, render_amount, render_count, render_duration
from backstop.report.summary_panel import LossStrip, build_preset_loss_strips, find_least_bad_debt_index
from backstop.report.tornado_chart import list_axis_shortfall_ranges
from backstop.simulation.loss_bearers import ALL_GROUPS


def compose_study_headings(summary: Mapping[str, Any], lowest_ratio: int | None) -> dict[str, Markup]:
    """Return the short result of each section of a study's page, by section name.

    `lowest_ratio` is the largest of the lowest collateral ratios of paths with bad debt [basis points], or
    None.
    """
    numbers, groups = SummaryFigures(summary), summary["groups"]
    paid = [int(each["paid"]["mean"]["value_micro"]) for each in groups]
    most = max(range(len(paid)), key=lambda i: paid[i], default=None)
    answers = {
        "losses": Markup("{} on average, on {} of paths").format(
            numbers.render_figure("bad_debt.mean.value_micro"),
            numbers.render_figure("bad_debt.chance.value_bps"),
        ),
        "mirror": _describe_exact_rerun_differences(summary),
    }
    if summary.get("prices"):
        fell, symbol = min((min(each["worst_millionths"]), each["symbol"]) for each in summary["prices"])
        answers["prices"] = Markup("On the worst path {} falls to {} of its price").format(
            symbol, format_percent(fell, 10**6)
        )
    if not summary["bad_debt"]["largest_micro"]:
        answers["losses"] = Markup("Nothing, on any path")
    if most is not None and paid[most]:
        answers["paid"] = Markup("{} most: {} on average").format(
            _get_bearer_group_label(groups[most]["group"]),
            numbers.render_figure(f"groups.{most}.paid.mean.value_micro"),
        )
    if lowest_ratio is not None:
        answers["falls"] = Markup("When all collateral is worth less than {} of all debt").format(
            format_percent(lowest_ratio, BASIS_POINTS)
        )
    return answers


def _describe_exact_rerun_differences(summary: Mapping[str, Any]) -> Markup:
    again = summary["confirmed"]
    if summary["engine"] == "exact":
        return Markup("Every path ran on the contracts")
    if not again:
        return Markup("No path was run again on the contracts")
    most = max(abs(each["exact_micro"] - each["engine_micro"]) for each in again)
    return Markup("{} run again on the contracts: at most {} apart").format(
        render_count(len(again), "path"), render_amount(most, "micro")
    )


def compose_sweep_headings(summary: Mapping[str, Any]) -> dict[str, Markup]:
    """Return the short result of each section of a parameter sweep's page, by section name."""
    numbers, points = SummaryFigures(summary), summary["points"]
    risks = [point["shortfall"]["value_micro"] for point in points]
    low, high = risks.index(min(risks)), risks.index(max(risks))
    within = sum(risk <= summary["limit_micro"] for risk in risks)
    kept = sum(point["front"] for point in points)
    drivers = list_axis_shortfall_ranges(summary)
    return {
        "what-drives-it": Markup("{} most").format(drivers[0][0]) if drivers else Markup(""),
        "gain": Markup("{} of {} beaten by no other").format(
            render_amount(kept, "count"), render_count(len(points), "setting")
        ),
        "usage": Markup("{} of {} efficient").format(
            render_amount(sum(point.get("efficient", False) for point in points), "count"),
            render_count(len(points), "setting"),
        ),
        "maps": Markup("From {} with {} to {} with {}").format(
            numbers.render_figure(f"points.{low}.shortfall.value_micro"),
            _describe_setting(summary, low),
            numbers.render_figure(f"points.{high}.shortfall.value_micro"),
            _describe_setting(summary, high),
        ),
        "settings": Markup("{} of {} within the limit").format(
            render_amount(within, "count"), render_count(len(points), "setting")
        ),
        "mirror": Markup("All settings met the same {}").format(render_count(summary["paths"], "path")),
    }


def _describe_setting(summary: Mapping[str, Any], place: int) -> str:
    values = summary["points"][place]["values"]
    return ", ".join(f"{axis['name']} {values[axis['name']]}" for axis in summary["axes"])


def compose_comparison_headings(comparison: Mapping[str, Any]) -> dict[str, Markup]:
    """Return the short result of each section of a preset comparison's page, by section name."""
    presets, strips = comparison["presets"], build_preset_loss_strips(comparison)
    answers = {"mirror": _describe_model_chain_agreement([*presets, *comparison["naive"]])}
    answers |= {"presets": Markup("{} to bear one crash").format(render_count(len(presets), "way"))}
    if strips:
        answers["paid"] = _describe_largest_loss(strips)
    else:
        answers["paid"] = Markup("No payer, under any preset")
    waits = [(row["mean_wait_seconds"], row["title"]) for row in presets if row.get("mean_wait_seconds")]
    if waits:
        seconds, title = max(waits)
        answers["time"] = Markup("Longest under {}: {} on average").format(title, render_duration(seconds))
    gains = [
        (int(race["gain_wad"]), race["pool"], row["title"])
        for row in presets
        for race in row["exit_race"]
        if race.get("gain_wad") is not None
    ]
    if gains and max(gains)[0] > 0:
        gain, pool, title = max(gains)
        answers["race"] = Markup("Most in {} under {}: {}").format(pool, title, render_amount(gain, "wad"))
    elif gains:
        answers["race"] = Markup("Nothing, under any preset")
    costs = [(int(p["gain_wad"]), p["party"], each) for each in comparison["naive"] for p in each["parties"]]
    if costs:
        gain, party, cost = max(costs, key=lambda each: each[0])
        answers["naive"] = Markup("{} has {} more under {}").format(
            party, render_amount(gain, "wad"), cost["title"].lower()
        )
    margins = [row for row in presets if row["margin"]]
    if margins:
        worst = max(margins, key=lambda row: int(row["margin"]["not_paid_wad"]))
        left = int(worst["margin"]["not_paid_wad"])
        answers["margin"] = (
            Markup("Most is left unpaid under {}: {}").format(worst["title"], render_amount(left, "wad"))
            if left
            else Markup("Everything was paid")
        )
    return answers


def _describe_largest_loss(strips: Sequence[LossStrip]) -> Markup:
    most = max(strips, key=lambda each: each.total_rad)
    name = max(most.shares, key=lambda each: each.value).label.partition(":")[0]
    # Who reads the page sees no more digits than these.
    alike = sum(each.rendered_total.striptags() == most.rendered_total.striptags() for each in strips)
    where = Markup("Most is lost under {}").format(most.title if alike == 1 else f"{alike} presets")
    if len(strips) == alike > 1:
        where = Markup("As much is lost under every preset")
    return where + Markup(", most of it by {}").format(name[:1].lower() + name[1:])


def compose_guards_headings(comparison: Mapping[str, Any]) -> dict[str, Markup]:
    """Return the short result of each section of a guards comparison's page, by section name.

    For each crash it is the bad debt that the best guard saves.
    """
    numbers = SummaryFigures(comparison)
    answers = {
        "mirror": _describe_model_chain_agreement(
            [row for each in comparison["scenarios"] for row in each["runs"]]
        )
    }
    for k, each in enumerate(comparison["scenarios"]):
        best = find_least_bad_debt_index(each)
        if int(each["runs"][0]["bad_debt_rad"]) == 0:
            answers[f"scenario-{k}"] = Markup("Nothing to save")
        elif best == 0:
            answers[f"scenario-{k}"] = Markup("No guard saves anything")
        else:
            answers[f"scenario-{k}"] = Markup("“{}” saves {} of {}").format(
                each["runs"][best]["title"],
                numbers.render_figure(f"scenarios.{k}.runs.{best}.saved_rad"),
                numbers.render_figure(f"scenarios.{k}.runs.0.bad_debt_rad"),
            )
    return answers


def _describe_model_chain_agreement(checked_runs: Sequence[Mapping[str, Any]]) -> Markup:
    if not any(row["fields_compared"] for row in checked_runs):
        return Markup("The model ran alone")
    return Markup("Model and chain {}").format(
        "differ" if any(row["differences"] for row in checked_runs) else "agree"
    )


def compose_search_section_headings(summary: Mapping[str, Any]) -> dict[str, Markup]:
    """Return the short result of each section of an attack search's page, by section name."""
    falls = [
        (within["fall_bps"], within["seconds"], fall["symbol"])
        for fall in summary["falls"]
        for within in fall["within"]
    ]
    lost = [int(each["wad"]) for each in summary["groups"]]
    most = max(range(len(lost)), key=lambda i: lost[i], default=None)
    answers = {
        "search": Markup("The worst of {}").format(render_count(summary["trials"], "path")),
        "loss": Markup("No loss"),
    }
    if falls:
        fall, _, symbol = max(falls)
        answers["path"] = Markup("{} falls by {}").format(symbol, format_percent(fall, BASIS_POINTS))
    if most is not None and lost[most]:
        answers["loss"] = Markup("{} most: {}").format(
            _get_bearer_group_label(summary["groups"][most]["group"]), render_amount(lost[most], "wad")
        )
    answers["budget"] = (
        Markup("{} of {} standard deviations that the budget allows").format(
            render_amount(summary["deviations_micro"], "micro"),
            render_amount(summary["budget"]["radius_micro"], "micro"),
        )
        if summary["chosen"]["pushes"]
        else Markup("Prices are given, and stay")
    )
    replay = summary["replay"]
    answers["mirror"] = Markup(
        "The worst path ran on the model alone"
        if not replay["fields_compared"]
        else "Model and chain agree on the worst path"
        if not replay["differences"]
        else "Model and chain differ on the worst path"
    )
    return answers


def compose_proposal_section_headings(summary: Mapping[str, Any]) -> dict[str, Markup]:
    """Return the short result of each section of a proposal's page, by section name."""
    whole, worlds = summary["tables"]["figures"][0], summary["tables"]["sensitivity"]
    answers = {"figures-by-collateral": Markup("All together: {}").format(whole["verdict"])}
    if rows := summary["tables"].get("usage"):
        answers["trade-off-of-settings"] = Markup("Debt of {} now, {} as proposed").format(
            *(render_amount(rows[i]["debt_wad"], "wad") for i in range(2))
        )
    if worlds:
        same = sum(row["verdict"] == whole["verdict"] for row in worlds)
        answers["sensitivity"] = Markup("{} in {} of {}").format(
            "It does" if same == len(worlds) else "The same answer",
            render_amount(same, "count"),
            render_count(len(worlds), "world"),
        )
    return answers


def compose_audit_headings(statement: Mapping[str, Any], differences: int) -> dict[str, Markup]:
    """Return the short result of each section of an audit's page, by section name.

    `differences` is the number of differences between model and chain.
    """
    numbers, types = SummaryFigures(statement), statement["collateral_types"]
    uncovered = int(statement["coverage"]["uncovered_rad"])
    debts = [int(row["performing_rad"]) for row in types]
    most = max(range(len(debts)), key=lambda i: debts[i], default=None)
    largest = [row for row in statement["concentration"]["largest"] if row["bps"] is not None]
    workouts = statement["workouts"]
    answers = {
        "sheet": Markup("{} on both sides").format(numbers.render_figure("balance_sheet.liabilities_rad")),
        "types": Markup("Nothing is owed"),
        "exposures": Markup("No vault has debt"),
        "workouts": Markup("{} of {} in good standing").format(
            render_amount(sum(bool(row["good_standing"]) for row in workouts), "count"),
            render_count(len(workouts), "workout"),
        ),
        "facilitators": Markup("{} owed by {}").format(
            render_amount(sum(int(row["debt_rad"]) for row in statement["facilitators"]), "rad"),
            render_count(len(statement["facilitators"]), "facilitator"),
        ),
        "losses": Markup("No stage would pay {}").format(numbers.render_figure("coverage.uncovered_rad"))
        if uncovered
        else Markup("The stages would pay all of it"),
        "mirror": Markup("Model and chain agree; work it out yourself")
        if not differences
        else Markup("Model and chain differ"),
    }
    if most is not None and debts[most]:
        answers["types"] = Markup("Most is owed against {}: {}").format(
            types[most]["symbol"], numbers.render_figure(f"collateral_types.{most}.performing_rad")
        )
    if largest:
        answers["exposures"] = Markup("{} owe {} of all debt").format(
            Markup("The {} largest owners").format(largest[-1]["owners"])
            if largest[-1]["owners"] > 1
            else "The largest owner",
            render_amount(largest[-1]["bps"], "bps"),
        )
    return answers


def _get_bearer_group_label(bearer_group: str) -> str:
    return ALL_GROUPS[bearer_group].label.partition(":")[0]
