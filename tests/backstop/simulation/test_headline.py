"""The first screen is the sum of its details, on the terminal and on the page, for every kind of run."""

from __future__ import annotations

import re
from typing import Any

import pytest

from backstop.cli.command_helpers import print_run_summary
from backstop.model.arithmetic import RAD, RAY
from backstop.report.run_page import render_page
from backstop.simulation.loss_totals import (
    add_loss_totals,
    build_model_chain_agreement_texts,
    compute_loss_totals,
)
from backstop.simulation.run_directory import Run, load_run
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import simulate
from tests.support.checkout_paths import DATA

TESTS = DATA
# Bad debt of vaults alone; of a margin market, some of it posted; of vaults, beside margins left alone.
KINDS = {"vaults": "runs/small.yaml", "margin": "compare/crowded.yaml", "mixed": "runs/margin.yaml"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Run]:
    found = {}
    for kind, file in KINDS.items():
        out = tmp_path_factory.mktemp(kind)
        simulate(load_scenario(TESTS / file), "model", 1, out)
        found[kind] = load_run(out)
    return found


def screen(summary: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Return the table on the terminal: the text of each line, by its title."""
    print_run_summary(summary, None, None, False)
    found = [re.split(r"  +", line.strip(), maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    return {entry[0]: entry[1].strip() for entry in found if len(entry) == 2}


def head(run: Run) -> str:
    """Return the page's text above its first section."""
    html = render_page(run)
    text = re.sub(r"<[^>]+>", " ", html[html.index('class="verdict">') + 16 : html.index("</header>")])
    return re.sub(r"\s+", " ", text)


def figure(run: Run, path: str) -> str:
    """A figure above the page's first section, by its path in the summary."""
    html = render_page(run)
    (found, *_) = re.findall(rf'<data value="(\d+)"[^>]*data-path="{path}"', html[: html.index("</header>")])
    return str(found)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_lost_is_what_was_paid_and_what_nobody_paid(runs, kind) -> None:
    summary = runs[kind].summary
    found, losses, margin = compute_loss_totals(summary), summary["losses"], summary["margin"]
    assert found.lost == found.recovered + sum(amount for _, amount in found.paid) + found.unpaid > 0
    assert summary["totals"]["lost_rad"] == str(found.lost)
    assert int(summary["totals"]["paid_rad"]) + found.unpaid == found.lost
    beyond = 0 if margin is None else int(margin["loss_wad"]) - int(margin["posted_wad"])
    assert found.lost == int(losses["created_rad"]) + beyond * RAY
    # The groups of people come to the same, but for what borrowers lost in sales, and a wei of rounding each.
    by_group = {entry["group"]: int(entry["wad"]) for entry in summary["paid_by"]}
    bearing = sum(by_group.values()) - by_group["borrowers"]
    assert abs(bearing * RAY - found.lost) < len(by_group) * RAY


@pytest.mark.parametrize("kind", KINDS)
def test_the_terminal_says_it(runs, kind, capsys) -> None:
    summary = runs[kind].summary
    lines = screen(summary, capsys)
    lost, unpaid = ("bad debt created", "outstanding")
    if kind != "vaults":
        lost, unpaid = ("losses", "unpaid")
    total = int(summary["totals"]["lost_rad"])
    assert lines[lost] == f"{(total + RAD // 2) // RAD:,} stablecoins".replace(" ", "  ")
    parts = [line for title, line in lines.items() if title.startswith("paid by ") or title == unpaid]
    assert abs(sum(int(part.replace(",", "")) for part in parts) * RAD - total) < len(parts) * RAD


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_says_it(runs, kind) -> None:
    run = runs[kind]
    for name in ("lost_rad", "unpaid_rad"):
        path = {"lost_rad": "losses.created_rad", "unpaid_rad": "losses.outstanding_rad"}[name]
        assert figure(run, path if kind == "vaults" else f"totals.{name}") == run.summary["totals"][name]
    assert figure(run, "totals.paid_rad") == run.summary["totals"]["paid_rad"]


def test_margin_losses_are_in_the_first_sentence(runs) -> None:
    """Not "no bad debt" above a table of the parties that paid for it."""
    text = head(runs["margin"])
    assert "no bad debt" not in text
    for piece in ("insurance paid 100", "gave up 5.54k", "5.64k owed beyond margins"):
        assert piece in text


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_alone_is_compared_with_nothing(runs, kind, capsys) -> None:
    assert "not compared" in screen(runs[kind].summary, capsys)["model against chain"]
    assert "0 differences" not in screen(runs[kind].summary, capsys)["model against chain"]
    assert "– nothing was compared" in head(runs[kind])
    assert build_model_chain_agreement_texts(0, 0) == ("not compared", "on the model alone")


def test_a_run_on_a_chain_says_how_much_was_compared(small_run, capsys) -> None:
    summary = load_run(small_run).summary
    said = screen(summary, capsys)["model against chain"]
    assert said.startswith("0 differences") and f"{summary['fields_compared']:,} fields compared" in said


def test_a_run_from_before_there_were_totals_is_completed(runs) -> None:
    """Its page is drawn as any other run's."""
    for run in runs.values():
        old = {name: value for name, value in run.summary.items() if name != "totals"}
        old["paid_by"] = [
            each for each in old["paid_by"] if each["group"] not in ("insurance", "winners", "unpaid")
        ]
        assert add_loss_totals(old) == run.summary
