"""Names that would be something else, such as markup or script; and words that pages explain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backstop.report import index_page
from backstop.report.run_page import write_page
from tests.support import handmade_page_runs
from tests.support.browser_user import run_visits

BRIEF = "tests/backstop/report/browser/test_report.py::test_names_the_run_and_runs_nothing_of_it"
pytestmark = [pytest.mark.browser, pytest.mark.deep(brief=BRIEF)]

HOSTILE = (
    "<img src=x onerror=\"document.title='taken'\">",
    "javascript:alert(1)//'\"`",
    "\u202eright to left\u2066 and not closed",
    "long-" * 40,
)
TIP = "document.getElementById('tip').hidden ? '' : document.getElementById('tip').textContent"
# What of the page reaches beyond its right edge, but for what scrolls in a table.
CLIPPED = """[...document.querySelectorAll('main *')]
  .filter((each) => !each.closest('.table, .js-plotly-plot, [hidden]'))
  .filter((each) => each.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map((each) => each.outerHTML.slice(0, 80))"""
BUYERS = """[...new Set([...document.querySelectorAll('#purchases td[data-label=Buyer]')]
  .map((each) => each.textContent))]"""


def hostile(page: Path) -> str:
    """The page of a run in which every name is hostile."""
    run = handmade_page_runs.build_handmade_crash_run()
    summary = json.loads(json.dumps(run.summary))
    summary["title"], summary["scenario"] = HOSTILE[0], HOSTILE[3]
    for i, keeper in enumerate([*summary["keepers"], *summary["collateral_types"]]):
        keeper["name" if "name" in keeper else "symbol"] = HOSTILE[i % 4]
    frames = dict(run.frames)
    frames["takes"] = frames["takes"].assign(taker_name=[HOSTILE[i % 4] for i in range(40)])
    frames["auctions"] = frames["auctions"].assign(
        symbol=[HOSTILE[i % 4] for i in range(30)], owner=HOSTILE[2]
    )
    return str(write_page(type(run)(path=run.path, summary=summary, meta=run.meta, frames=frames), page))


def test_hostile_names_are_text_at_every_width(tmp_path: Path) -> None:
    page = hostile(tmp_path / "report.html")
    steps: list[dict[str, Any]] = [
        {"read": "document.title"},
        {"read": BUYERS},
        {"read": "document.querySelectorAll('main img').length"},
        {"read": CLIPPED},
        {"read": "document.documentElement.scrollWidth - document.documentElement.clientWidth"},
        {"save": "#purchases .csv"},
        {"axe": True},
    ]
    widths = (360, 768, 1400, 2560)
    seen = run_visits([{"page": page, "width": width, "steps": steps, "scheme": "dark"} for width in widths])
    for visit in seen:
        title, names, images, clipped, wider, saved, faults = visit["gave"]
        assert title == f"{HOSTILE[0]} · Backstop" and set(names) == set(HOSTILE) and images == 0
        assert visit["problems"] == [] and faults == [] and clipped == [] and wider <= 0, visit["width"]
        assert "\n=" not in saved["text"]


def test_the_index_in_a_browser(tmp_path: Path) -> None:
    for i, title in enumerate(HOSTILE):
        folder = tmp_path / f"run-{i}"
        folder.mkdir()
        (folder / "trace.json").write_text("{}")
        (folder / "summary.json").write_text(
            json.dumps(handmade_page_runs.build_handmade_crash_run().summary | {"title": title})
        )
    page = str(index_page.write_index_page(tmp_path))
    steps = [{"axe": True}, {"read": CLIPPED}, {"read": "document.querySelectorAll('#all tbody tr').length"}]
    schemes = [(width, scheme) for width in (360, 768, 1400) for scheme in ("light", "dark")]
    for visit in run_visits(
        [{"page": page, "width": width, "scheme": scheme, "steps": steps} for width, scheme in schemes]
    ):
        assert visit["gave"] == [[], [], 4] and visit["problems"] == []


def test_a_word_is_explained_by_tap_and_by_keyboard(tmp_path: Path) -> None:
    page = str(write_page(handmade_page_runs.build_handmade_crash_run(), tmp_path / "report.html"))
    word = "#losses p .word"
    tips = "[...document.querySelectorAll('#losses .word')].map((each) => each.dataset.tip)"
    steps = [
        {"click": word},
        {"read": TIP},
        {"press": "Escape"},
        {"read": TIP},
        {"read": "document.querySelector('#losses h2 a').focus()"},
        {"press": "Tab"},
        {"read": TIP},
        {"read": "document.activeElement.getAttribute('aria-describedby')"},
        {"read": f"{tips}.length - new Set({tips}).size"},
    ]
    for width in (360, 1400):
        (visit,) = run_visits([{"page": page, "width": width, "steps": steps}])
        assert visit["problems"] == []
        gave = visit["gave"]
        assert gave[1].startswith("A stage of the waterfall is one payer") and gave[3] == ""
        assert gave[6] == gave[1] and gave[7] == "tip" and gave[8] == 0
