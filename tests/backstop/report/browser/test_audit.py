"""The page of an audit as a reader's browser shows it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from backstop.deployment.deployment_file import deployment_to_json
from backstop.deployment.planned_contracts import plan_deployment
from backstop.live.operate.scenario_driver import truncate_scenario
from backstop.live.solvency.solvency_statement import build_statement
from backstop.report.solvency_audit_page import render_solvency_audit_page
from backstop.simulation.deployment_session import open_deployment_session
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import Simulation
from backstop.studies.comparison.presets import apply_preset, load_preset
from tests.support.checkout_paths import DATA
from tests.support.chromium import collect_browser_page_facts
from tests.support.page_figure_summary_check import check_page_figures_against_summary

BRIEF = "tests/backstop/report/browser/test_report.py::test_opens_without_an_error_and_without_a_request"
pytestmark = [pytest.mark.browser, pytest.mark.deep(brief=BRIEF)]

TESTS = DATA
SMALL, STRAINED = TESTS / "runs" / "small.yaml", TESTS / "audit" / "strained.yaml"
WIDTHS = (1400, 768, 360)
SCHEMES = ("light", "dark")

Audited = tuple[dict[str, dict[str, Any]], list[Path]]
"""Statements by name, and their pages."""


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """Nothing has happened yet; the middle of the small crash; a workout and a bridge."""
    crash = truncate_scenario(apply_preset(load_preset("backstop"), SMALL), 4 * 3_600)
    plays = {"empty": (crash, False), "crash": (crash, True), "strained": (load_scenario(STRAINED), True)}
    folder, statements = tmp_path_factory.mktemp("audit"), {}
    for name, (scenario, played) in plays.items():
        deployment = plan_deployment(scenario.parameters)
        with open_deployment_session(scenario, "model", 1) as session:
            if played:
                Simulation(scenario, session, 1).run_scenario(lambda *_: None, lambda: False)
            statements[name] = build_statement(session.model, deployment)
            content = {
                "block": {"number": 829, "hash": "0x" + "ab" * 32, "timestamp": session.model.timestamp},
                "deployment": deployment_to_json(deployment),
                "statement": statements[name],
                "mirror": {"fields_compared": 123_456, "differences": 0},
            }
        text = render_solvency_audit_page(content, "ape run audit --verify audit.json --block-hash 0xab")
        (folder / f"{name}.html").write_text(text)
    return statements, [folder / f"{name}.html" for name in plays]


@pytest.fixture(scope="module")
def visits(audited: Audited) -> list[dict[str, Any]]:
    return collect_browser_page_facts(audited[1], WIDTHS, SCHEMES, axe=True)


def test_opens_without_an_error_and_without_a_request(visits: list[dict[str, Any]]) -> None:
    assert len(visits) == 3 * len(WIDTHS) * len(SCHEMES)
    for visit in visits:
        assert visit["problems"] == [] and visit["faults"] == []
        assert visit["requests"] == [Path(visit["path"]).as_uri()]
        assert visit["title"] == "Audit of block 829 · Backstop"


def test_draws_what_there_is(visits: list[dict[str, Any]]) -> None:
    for visit in visits:
        assert visit["untitled"] == []
        plots = [plot["id"] for plot in visit["plots"]]
        assert visit["drawn"] and plots == ([] if "empty" in visit["path"] else ["vaults", "stages"])
        assert all(plot["marks"] > 0 and plot["label"] for plot in visit["plots"])


def test_every_heading_answers_and_vaults_with_debt_are_counted(audited: Audited) -> None:
    for file in audited[1]:
        text = file.read_text()
        silent = re.findall(r'<h2 data-name="([^"]*)">(?!<small>)', text)
        indebted = sum(int(row["debt_rad"]) > 0 for row in audited[0][file.stem]["vaults"])
        assert silent == [], file.stem
        if indebted:
            assert re.search(rf">{indebted}</data> vaults? with debt", text), file.stem


def test_every_figure_equals_the_statements(audited: Audited, visits: list[dict[str, Any]]) -> None:
    for visit in visits:
        figures = audited[0][Path(visit["path"]).stem]
        wanted = {f"balance_sheet.{name}" for name in figures["balance_sheet"]}
        wanted |= {f"stages.{i}.would_pay_rad" for i in range(len(figures["stages"]))}
        wanted |= {f"collateral_types.{c}.short_rad" for c in range(len(figures["collateral_types"]))}
        wanted |= {f"workouts.{i}.left_wad" for i in range(len(figures["workouts"]))}
        wanted |= {f"facilitators.{i}.announced_wad" for i in range(len(figures["facilitators"]))}
        assert wanted <= check_page_figures_against_summary(visit, figures)
    assert audited[0]["strained"]["workouts"] and audited[0]["strained"]["facilitators"]


def test_fits_its_width(visits: list[dict[str, Any]]) -> None:
    for visit in visits:
        assert visit["scrollWidth"] <= visit["clientWidth"] == visit["width"], visit["wide"]
        if visit["width"] == 360:
            assert visit["wide"] == [], visit["path"]
