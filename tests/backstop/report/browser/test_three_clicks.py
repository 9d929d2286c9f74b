"""From the demo's page to the auction that lost most, its vault and the step that cost it: three clicks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backstop.cli.demo import SCENARIO
from backstop.report import run_table_rows
from backstop.report.run_page import write_run_page
from backstop.simulation.run_directory import load_run
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import simulate
from tests.support.browser_user import run_visits

BRIEF = "tests/backstop/report/browser/test_report.py::test_opens_without_an_error_and_without_a_request"
pytestmark = [pytest.mark.browser, pytest.mark.deep(brief=BRIEF)]

FOUND = "document.querySelector('.found')?.id"
# Whether what is found lies within the window, whole.
SEEN = (
    "(() => { const box = document.querySelector('.found').getBoundingClientRect();"
    " return box.top >= 0 && box.bottom <= innerHeight && box.left >= 0 && box.right <= innerWidth; })()"
)
STEPS = (
    "[...document.querySelectorAll('#steps tbody tr:not([hidden])')].map((row) => row.cells[0].textContent)"
)
FIRST = "document.querySelector('.next a').getBoundingClientRect().bottom <= innerHeight"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that `make demo` makes, on the model."""
    out = tmp_path_factory.mktemp("demo")
    simulate(load_scenario(SCENARIO), "model", out=out)
    write_run_page(out)
    return out


def test_the_auction_that_lost_most_its_vault_and_its_step(demo: Path) -> None:
    clicks: list[dict[str, Any]] = [
        {"read": FIRST},
        {"click": ".next a"},
        {"until": FOUND},
        {"read": FOUND},
        {"read": SEEN},
        {"click": ".found a[href^='#vault-']"},
        {"until": f"{FOUND}?.startsWith('vault-')"},
        {"read": FOUND},
        {"read": SEEN},
        {"click": ".found a[href='#steps']"},
        {"until": "location.hash === '#steps'"},
        {"read": STEPS},
        {"axe": True},
    ]
    worst = run_table_rows.list_auctions(load_run(demo))[0]
    assert worst.lost_rad > 0
    seen = run_visits(
        [{"page": str(demo / "report.html"), "width": width, "steps": clicks} for width in (1400, 400)]
    )
    for visit in seen:
        assert visit["problems"] == []
        first, _, _, auction, auction_seen, _, _, vault, vault_seen, _, _, steps, faults = visit["gave"]
        assert first, "the way begins on the first screen"
        assert (auction, vault) == (f"auction-{worst.id}", worst.vault_row_anchor)
        assert auction_seen and vault_seen
        assert {int(step) for step in steps} == {worst.end_step}
        assert faults == []
