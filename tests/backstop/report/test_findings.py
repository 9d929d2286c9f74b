"""Findings of pages over several runs: equal results are not ranked, and costs stand beside savings."""

from __future__ import annotations

import re
from typing import Any

import pytest
from markupsafe import Markup

from backstop.model.arithmetic import RAD, WAD
from backstop.report.compare_charts import build_early_leaver_gain_chart
from backstop.report.multi_run_section_headings import compose_comparison_headings
from backstop.report.rendering import build_template_environment
from backstop.report.summary_panel import (
    build_preset_loss_strips,
    compose_comparison_finding,
    compose_guards_finding,
    compose_search_finding,
)

POOL_STAGES = {
    "Junior": "junior",
    "Senior": "senior",
    "Savings": "savings",
    "StakedEquity": "staked_equity",
}


def text(markup: Markup) -> str:
    return re.sub(r"<[^>]+>", "", markup)


def preset(title: str, unpaid: int, savers: int) -> dict[str, Any]:
    paid = [{"group": "savers", "rad": str(savers * RAD)}, {"group": "holders", "rad": str(unpaid * RAD)}]
    rest: dict[str, Any] = {"exit_race": [], "fields_compared": 0, "differences": 0}
    return {"title": title, "loss_paid_by": paid, "margin": None, **rest}


def comparison(*presets: dict[str, Any]) -> dict[str, Any]:
    return {"presets": list(presets), "naive": []}


@pytest.mark.parametrize(
    ("presets", "said"),
    [
        (
            [preset("A", 5, 2), preset("B", 0, 7), preset("C", 0, 9)],
            "The loss not yet covered is most under A, 5 of 7 lost; under 2 of 3 presets it is nothing.",
        ),
        (
            [preset("A", 5, 2), preset("B", 1, 7)],
            "The loss not yet covered is least under B, 1 of 8 lost, and most under A, 5 of 7 lost.",
        ),
        ([preset("A", 0, 2), preset("B", 0, 7)], "Under every preset all of the loss is covered."),
    ],
)
def test_presets_that_leave_nothing_are_counted(presets: list[dict[str, Any]], said: str) -> None:
    assert text(compose_comparison_finding(comparison(*presets))) == said


def test_no_preset_is_called_worst_where_all_lose_as_much() -> None:
    same = comparison(preset("A", 0, 7), preset("B", 2, 5))
    assert (
        text(compose_comparison_headings(same)["paid"])
        == "As much is lost under every preset, most of it by savers"
    )
    worst = comparison(preset("A", 0, 7), preset("B", 2, 6))
    assert text(compose_comparison_headings(worst)["paid"]) == "Most is lost under B, most of it by savers"
    two = comparison(preset("A", 0, 7), preset("B", 2, 6), preset("C", 0, 8))
    assert (
        text(compose_comparison_headings(two)["paid"]) == "Most is lost under 2 presets, most of it by savers"
    )
    shown = comparison(preset("A", 0, 7_000_001), preset("B", 0, 7_000_002), preset("C", 0, 8_000_000))
    assert text(compose_comparison_headings(shown)["paid"]) == "Most is lost under C, most of it by savers"
    same = comparison(preset("A", 0, 7_000_001), preset("B", 0, 7_000_002))
    assert (
        text(compose_comparison_headings(same)["paid"])
        == "As much is lost under every preset, most of it by savers"
    )


def test_a_guard_that_costs_is_named_beside_the_one_that_saves() -> None:
    def crash(*debts: int) -> dict[str, Any]:
        names = ("No guard", "A halt", "A price that waits")
        runs = [
            {"title": name, "bad_debt_rad": str(debt * RAD)} for name, debt in zip(names, debts, strict=True)
        ]
        return {"title": "A wick", "runs": runs}

    def said(*debts: int) -> str:
        return text(compose_guards_finding(crash(*debts), 0, {"scenarios": [crash(*debts)]}))

    saves = "A wick: 359 of bad debt without guards, 2 with “A halt”"
    assert said(359, 2, 414) == f"{saves}; “A price that waits” adds 55."
    assert said(359, 2, 359) == f"{saves}."


@pytest.mark.parametrize(
    ("goal", "said"),
    [
        ("loss", "Every loss was covered, on every path, within “One day”."),
        ("bad-debt", "No path had bad debt, within “One day”."),
        ("gain", "Hostile members gained nothing, within “One day”."),
    ],
)
def test_a_search_that_found_nothing_says_so(goal: str, said: str) -> None:
    found = {"loss_wad": "0", "bad_debt_wad": "0", "gain_wad": "0"}
    assert (
        text(compose_search_finding({"goal": goal, "found": found, "budget": {"title": "One day"}})) == said
    )
    more = {name: str(7 * WAD) for name in found}
    assert "7" in text(compose_search_finding({"goal": goal, "found": more, "budget": {"title": "One day"}}))


def test_strips_beside_each_other_have_one_scale() -> None:
    strips = build_preset_loss_strips(comparison(preset("A", 0, 400), preset("B", 0, 100)))
    longest = max(each.drawable_total_rad for each in strips)
    macro = '{% import "parts.html" as parts with context %}{{ parts.strip(it, true, longest) }}'
    drawn = [
        build_template_environment().from_string(macro).render(it=each, longest=longest) for each in strips
    ]
    assert [re.findall(r'style="width: (\d+)%"', each) for each in drawn] == [["100"], ["25"]]


@pytest.mark.parametrize("pool", POOL_STAGES)
def test_a_pool_has_the_colour_of_its_stage_where_its_members_race(pool: str) -> None:
    race = {"pool": pool, "gain_wad": "1", "gain_bps": 1}
    chart = build_early_leaver_gain_chart({"presets": [{"title": "one", "exit_race": [race]}]})
    assert chart is not None
    assert chart.figure["data"][0]["marker"]["color"] == chart.legend[0].color == f"@{POOL_STAGES[pool]}"
