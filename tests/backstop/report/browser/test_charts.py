"""A reader's actions on the charts of a page: save, read, and choose the time that all of them show."""

from __future__ import annotations

import base64
import colorsys
import re
from pathlib import Path

import pytest

from backstop.report.rendering import read_inline_file
from backstop.report.run_page import write_page
from backstop.simulation.loss_bearers import GROUPS, MARGIN_GROUPS
from tests.support import handmade_page_runs
from tests.support.browser_user import run_visits

BRIEF = "tests/backstop/report/browser/test_report.py::test_opens_without_an_error_and_without_a_request"
pytestmark = pytest.mark.browser
TIMED = "['price-0', 'debt-1', 'network', 'cushions']"
RANGES = f"{TIMED}.map((id) => document.getElementById(id).layout.xaxis.range)"


@pytest.mark.deep(brief=BRIEF)
def test_each_is_saved_read_and_zoomed_with_the_others(tmp_path: Path) -> None:
    page = str(write_page(handmade_page_runs.build_handmade_crash_run(), tmp_path / "report.html"))
    data = "document.querySelector('#losses .data')"
    start, end = (
        handmade_page_runs.START * 1000,
        (handmade_page_runs.START + handmade_page_runs.HOURS * 3600) * 1000,
    )
    slid, hour = start + (end - start) // 20, [start + 3_600_000, start + 7_200_000]
    drag = "{'xaxis.range[0]': '2020-03-12 01:00', 'xaxis.range[1]': '2020-03-12 02:00'}"
    without = (
        "[...document.querySelectorAll('figure.chart')].filter((each) => !each.querySelector('.data, .png'))"
    )
    steps = [
        {"save": "#losses .png"},
        {"read": f"{data}.open = true"},
        {"until": f"{data}.querySelector('tbody')"},
        {"read": f"[...{data}.querySelectorAll('tbody tr')].map((row) => row.innerText)"},
        {"save": "#losses .data .csv"},
        {"read": f"{without}.length"},
        {"read": "document.querySelector('#crash .span input').focus()"},
        {"press": "ArrowRight", "times": 10},
        {"until": f"{RANGES}.every(([low, high]) => low === {slid} && high === {end})"},
        {"read": "document.activeElement.getAttribute('aria-valuetext')"},
        {"read": f"void Plotly.relayout('cushions', {drag})"},
        {"until": f"{RANGES}.slice(0, 3).every((range) => String(range) === '{hour[0]},{hour[1]}')"},
        {"axe": True},
    ]
    (visit,) = run_visits([{"page": page, "steps": steps}])
    assert visit["problems"] == []
    picture, _, _, rows, saved, bare, _, _, _, told, _, _, faults = visit["gave"]
    assert picture["name"] == "the-loss-waterfall.png"
    assert base64.b64decode(picture["text"]).startswith(b"\x89PNG")
    assert rows[0] == "losses\tcreated\t5,672,123.00" and len(rows) == 5
    assert saved["text"].splitlines()[0] == "Series,Of,stablecoins"
    assert bare == 0 and told == "2020-03-12 00:18" and faults == []


def test_a_group_has_one_hue_in_all_charts_and_no_other_groups() -> None:
    """The stages of a group are shades of its colour, light and dark; greys are of no hue."""
    light, dark = re.findall(r":root \{(.*?)\n\s*\}", str(read_inline_file("page.css")), re.DOTALL)[:2]
    for scheme in (light, dark):
        shades = dict(re.findall(r"--([a-z_]+): #([0-9a-f]{6});", scheme))
        for name, group in GROUPS.items():
            for stage in group.stages:
                assert apart(shades[stage], shades[name]) < 25, (name, stage)
        groups = [*GROUPS, *MARGIN_GROUPS]
        assert len({shades[name] for name in groups}) == len(groups)


def apart(one: str, other: str) -> float:
    """Degrees between two hues; 0 where either is grey."""
    (a, dull, _), (b, grey, _) = (
        colorsys.rgb_to_hsv(*(int(color[i : i + 2], 16) / 255 for i in (0, 2, 4))) for color in (one, other)
    )
    turn = abs(a - b) * 360
    return 0 if min(dull, grey) < 0.15 else min(turn, 360 - turn)
