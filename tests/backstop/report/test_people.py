"""The outcome of each vault and depositor, and the cost of each step by role: all adds up, with links."""

from __future__ import annotations

import html
import re

import pytest

from backstop.model.arithmetic import RAY
from backstop.report import run_page, run_table_rows, vault_and_pool_member_loss_rows
from backstop.simulation.run_directory import Run, load_run
from backstop.simulation.simulator import simulate
from backstop.studies.comparison.presets import apply_preset, load_preset
from tests.support.checkout_paths import DATA


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small crash in which each pool loses and an owner sells cheaply."""
    out = tmp_path_factory.mktemp("people")
    simulate(apply_preset(load_preset("backstop"), DATA / "runs" / "small.yaml"), "model", out=out)
    return load_run(out)


@pytest.fixture(scope="module")
def page(run: Run) -> str:
    return run_page.render_page(run)


def steps_of(run: Run) -> list[vault_and_pool_member_loss_rows.LossStep]:
    return vault_and_pool_member_loss_rows.list_step_costs(run, run_table_rows.list_auctions(run))


def total(steps: list[vault_and_pool_member_loss_rows.LossStep], what: str, who: str | None = None) -> int:
    return sum(row.amount_rad for row in steps if row.what.startswith(what) and who in (None, row.who))


def test_the_steps_add_up_to_the_losses(run: Run) -> None:
    steps, losses = steps_of(run), run.summary["losses"]
    assert total(steps, "bad debt") == int(losses["created_rad"]) > 0
    for stage in losses["covered"]:
        assert total(steps, "paid", stage["stage"]) == int(stage["rad"])
    borrowers = next(int(each["wad"]) for each in run.summary["paid_by"] if each["group"] == "borrowers")
    assert total(steps, "cheap sale") // RAY == borrowers > 0
    assert [row.step for row in steps] == sorted(row.step for row in steps)


def test_the_vaults_add_up_to_their_auctions(run: Run) -> None:
    auctions = run_table_rows.list_auctions(run)
    vaults = vault_and_pool_member_loss_rows.list_vaults(auctions)
    assert sum(row.liquidations for row in vaults) == len(auctions) > 0
    assert sum(row.left_rad for row in vaults) == sum(row.lost_rad for row in auctions) > 0
    steps = steps_of(run)
    for row in vaults:
        own = [each for each in steps if each.vault == row.anchor]
        assert total(own, "cheap sale") == row.owner_lost_wad * RAY
        if own and row.end_step is not None:
            assert max(each.step for each in own if each.auction) <= row.end_step


def test_bad_debt_of_a_step_is_a_vaults(run: Run) -> None:
    """Each bad debt has the auction that left it, or the auction with a keeper paid from nothing."""
    bad = [row for row in steps_of(run) if row.what.startswith("bad debt")]
    assert all(row.auction and row.vault for row in bad)
    lost = {row.id: row.lost_rad for row in run_table_rows.list_auctions(run)}
    assert all(lost[row.auction or 0] == row.amount_rad for row in bad if row.what == "bad debt")


def test_a_member_has_what_the_summary_says(run: Run, page: str) -> None:
    rows = vault_and_pool_member_loss_rows.list_members(run.summary)
    assert [(row.name, row.deposit_wad, row.end_wad) for row in rows] == [
        (each["name"], int(each["deposit_wad"]), int(each["end_wad"])) for each in run.summary["members"]
    ]
    assert {row.stage for row in rows} == {"junior", "senior", "savings", "staked_equity"}
    assert all(f'id="{row.anchor}"' in page for row in rows)


def test_an_auction_leads_to_its_vault_and_that_to_its_auctions_and_steps(run: Run, page: str) -> None:
    worst = run_table_rows.list_auctions(run)[0]
    auction = row_of(page, f"auction-{worst.id}")
    assert f'href="#{worst.vault_row_anchor}"' in auction
    vault = row_of(page, worst.vault_row_anchor)
    searched = {html.unescape(each) for each in re.findall(r'data-search="([^"]+)"', vault)}
    short = f"{worst.owner[:10]}…"
    assert searched == {
        f"owner:{short} collateral:{worst.symbol}",
        f"account:{short} collateral:{worst.symbol}",
    }
    steps = re.findall(r'<tr id="loss-\d+">.*?</tr>', page, re.DOTALL)
    own = [each for each in steps if f'href="#{worst.vault_row_anchor}"' in each]
    assert own and any(f'href="#auction-{worst.id}"' in each for each in own)


def test_a_pool_that_paid_leads_to_its_members_and_back(run: Run, page: str) -> None:
    paid = {each["stage"] for each in run.summary["losses"]["covered"] if int(each["rad"])}
    pools = [row for row in vault_and_pool_member_loss_rows.list_members(run.summary) if row.stage in paid]
    assert pools
    for row in pools:
        assert f'<a href="#members" data-search="stage:{row.stage}">' in page
        assert f'data-search="account:{row.stage}"' in row_of(page, row.anchor)


def test_the_first_screen_leads_on(page: str) -> None:
    tour = page.partition("Next: ")[2].partition("</p>")[0]
    assert re.findall(r'href="#(\w+)"', tour) == ["replay", "losses", "members", "mirror"]


def test_every_link_within_the_page_has_its_target(page: str) -> None:
    targets = set(re.findall(r' id="([^"]+)"', page))
    links = {html.unescape(each) for each in re.findall(r'href="#([^"]+)"', page)}
    assert links and links <= targets


def row_of(page: str, anchor: str) -> str:
    start = page.index(f'<tr id="{anchor}">')
    return page[start : page.index("</tr>", start)]
