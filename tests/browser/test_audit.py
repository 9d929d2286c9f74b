"""The page of an audit as a reader's browser shows it."""

from __future__ import annotations

import json
from decimal import localcontext
from pathlib import Path
from typing import Any

import pytest

from offchain.audit.statement import statement
from offchain.deployment import deployment_to_json, plan
from offchain.live.crash import until
from offchain.model.arithmetic import BASIS_POINTS
from offchain.presets import lay_over, load_preset
from offchain.report.amounts import percent
from offchain.report.audit_page import page
from offchain.simulate import Simulation, open_session
from tests.browser.chromium import inspect
from tests.browser.test_report import check_figure, values_at

pytestmark = pytest.mark.browser

SMALL = Path(__file__).parents[1] / "runs" / "small.yaml"
WIDTHS = (1280, 768, 360)


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[Path]]:
    """The middle of the small crash, and a deployment in which nothing has happened yet."""
    scenario = until(lay_over(load_preset("backstop"), SMALL), 4 * 3_600)
    deployment = plan(scenario.parameters)
    folder, pages, statements = tmp_path_factory.mktemp("audit"), [], []
    with open_session(scenario, "model", 1) as session:
        for name in ("empty", "crash"):
            statements.append(statement(session.model, deployment))
            content = {
                "block": {"number": 829, "hash": "0x" + "ab" * 32, "timestamp": session.model.timestamp},
                "deployment": deployment_to_json(deployment),
                "statement": statements[-1],
                "mirror": {"fields_compared": 123_456, "differences": 0},
            }
            pages.append(folder / f"{name}.html")
            pages[-1].write_text(page(content, "ape run audit --verify audit.json --block-hash 0xab"))
            if name == "empty":
                Simulation(scenario, session, 1).run(lambda *_: None, lambda: False)
    return statements[1], pages


@pytest.fixture(scope="module")
def visits(audited: tuple[dict[str, Any], list[Path]]) -> list[dict[str, Any]]:
    return inspect(audited[1], WIDTHS)


def test_opens_without_an_error_and_without_a_request(visits: list[dict[str, Any]]) -> None:
    assert len(visits) == 2 * len(WIDTHS)
    for visit in visits:
        assert visit["problems"] == []
        assert visit["requests"] == [Path(visit["path"]).as_uri()]
        assert visit["title"] == "Audit of block 829 · Backstop"


def test_draws_what_there_is(visits: list[dict[str, Any]]) -> None:
    for visit in visits:
        plots = [plot["id"] for plot in visit["plots"]]
        assert visit["drawn"] and plots == (["vaults", "stages"] if "crash" in visit["path"] else [])
        assert all(plot["marks"] > 0 and plot["label"] for plot in visit["plots"])


def test_every_figure_equals_the_statements(
    audited: tuple[dict[str, Any], list[Path]], visits: list[dict[str, Any]]
) -> None:
    figures = audited[0]
    wanted = {f"balance_sheet.{name}" for name in figures["balance_sheet"]}
    wanted |= {f"stages.{i}.would_pay_rad" for i in range(len(figures["stages"]))}
    wanted |= {f"collateral_types.{c}.short_rad" for c in range(len(figures["collateral_types"]))}
    for visit in visits:
        if "crash" in visit["path"]:
            assert json.loads(visit["summary"]) == figures
            named = [figure for figure in visit["figures"] if figure["path"]]
            with localcontext(prec=100):
                for figure in named:
                    if figure["unit"] == "bps":
                        assert figure["text"] == percent(int(figure["value"]), BASIS_POINTS)
                        assert values_at(figure["path"].split("."), figures) == [int(figure["value"])]
                    else:
                        check_figure(figure, figures)
            assert wanted <= {figure["path"] for figure in named}


def test_fits_its_width(visits: list[dict[str, Any]]) -> None:
    for visit in visits:
        assert visit["scrollWidth"] <= visit["clientWidth"] == visit["width"], visit["wide"]
        if visit["width"] == 360:
            assert visit["wide"] == [], visit["path"]
