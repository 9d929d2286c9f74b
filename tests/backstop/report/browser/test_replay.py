"""The slider over a run's moments, as a reader moves it."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstop.report.replay_slider import collect_replay
from backstop.report.run_page import write_page
from tests.support import handmade_page_runs
from tests.support.browser_user import run_visits

BRIEF = "tests/backstop/report/browser/test_report.py::test_opens_without_an_error_and_without_a_request"
pytestmark = [pytest.mark.browser, pytest.mark.deep(brief=BRIEF)]

TEXT = "document.getElementById('replay').innerText"
LINE = "document.getElementById('replay-chart').layout.shapes[0].x0"


def test_one_slider_moves_all_by_keyboard_and_by_itself(tmp_path: Path) -> None:
    told = collect_replay(handmade_page_runs.build_handmade_crash_run())
    assert told is not None
    last = len(told["times"]) - 1
    steps = [
        {"read": LINE},
        {"read": "document.getElementById('replay-at').focus()"},
        {"press": "Home"},
        {"press": "ArrowRight", "times": 12},
        {"read": TEXT},
        {"read": "document.activeElement.getAttribute('aria-valuetext')"},
        {"read": LINE},
        {"press": "End"},
        {"read": TEXT},
        {"read": "document.querySelector('#replay-auctions a').hash"},
        {"click": "#replay-play"},
        {"until": "Number(document.getElementById('replay-at').value) === 3"},
        {"click": "#replay-play"},
        {"read": "document.getElementById('replay-play').innerText"},
        {"read": "document.querySelectorAll('#replay script').length"},
        {"read": "document.querySelectorAll('#replay input').length"},
        {"axe": True},
    ]
    page = str(write_page(handmade_page_runs.build_handmade_crash_run(), tmp_path / "report.html"))
    for width in (1400, 360):
        (visit,) = run_visits([{"page": page, "width": width, "scheme": "dark", "steps": steps}])
        assert visit["problems"] == []
        start, _, _, _, twelfth, said, moved, _, end, link, _, _, _, paused, scripts, sliders, faults = visit[
            "gave"
        ]
        assert start == told["times"][told["peak"]] and moved == told["times"][12]
        assert said == "12 Mar 02:00 UTC" and said in twelfth
        for part in (
            told["types"][0]["market"][12],
            "</script>",
            "5.67M lost so far",
            "450k",
            handmade_page_runs.NAME,
        ):
            assert part in twelfth
        assert told["types"][1]["market"][last] in end and link == "#auction-30" and "1 open" in end
        assert paused == "Play" and scripts == 0 and sliders == 1 and faults == []
