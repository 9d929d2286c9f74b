"""Proposals of a ratio: owners that respond, lent debt against lost debt, and rules that refuse."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import backstop
from backstop.cli.ask import cli
from backstop.errors import BackstopError
from backstop.model.arithmetic import WAD

TERMS = "parameters.collateral_types.ETH"
LOWER = {f"{TERMS}.liquidation_ratio": "120%", f"{TERMS}.initial_ratio": "125%"}
REFUSED = {f"{TERMS}.liquidation_ratio": "112%"}


def ask(known, changes, **more):
    return backstop.proposal(known, changes, 20, level=5_000, sensitivity=False, **more)


def test_owners_who_keep_their_distance_draw_a_quarter_more(known) -> None:
    """ETH owes 400,000 at 150%, and 500,000 at 120%; BTC's 100,000 stay."""
    found = ask(known, LOWER, owners="distance")
    rows = found.usage.set_index("setting")
    assert rows["debt_wad"]["now"] == 500_000 * WAD and rows["debt_wad"]["proposed"] == 600_000 * WAD
    assert rows["of_ceiling_bps"]["now"] == 500_000 * 10_000 // 3_000_000
    assert list(rows["efficient"][:2]) == ["yes", "yes"] and "revenue_wad" not in rows
    assert found.measure == "debt" and "no debt pays a stability fee" in found.measure_says
    assert found.verdict == "raises it" and found.owners == "distance"
    assert not any("stands still" in line for line in found.besides)
    # The liquidation ratio alone: the initial one of 155% keeps anna, at 160%, from drawing a quarter more.
    alone = rows["debt_wad"][f"{TERMS}.liquidation_ratio=120%"]
    assert alone == (375_000 + 100_000) * WAD + 160_000 * WAD * 100 // 155
    shortfall = found.figures[(found.figures["figure"] == "shortfall") & (found.figures["of"] == "all")].iloc[
        0
    ]
    assert rows["shortfall_micro"]["now"] == shortfall["now_micro"]
    assert rows["shortfall_micro"]["proposed"] == shortfall["proposed_micro"]


def test_a_book_that_stands_still_says_so(known) -> None:
    found = ask(known, LOWER)
    assert set(found.usage["debt_wad"]) == {500_000 * WAD} and set(found.usage["efficient"]) == {"–"}
    told = "The ratio of ETH changes and the book stands still: the same owners hold as much collateral"
    assert sum(line.startswith(told) for line in found.besides) == 1
    other = ask(known, {"keepers.desk.takes_at": "60%"})
    assert list(other.usage["efficient"]) == ["yes", "no"]
    assert not any("stands still" in line for line in other.besides)


def test_owners_who_keep_their_leverage_draw_no_more(known) -> None:
    found = ask(known, LOWER, owners="leverage")
    assert set(found.usage["debt_wad"]) == {500_000 * WAD}
    assert any("stands still" in line for line in found.besides)
    higher = {f"{TERMS}.liquidation_ratio": "180%", f"{TERMS}.initial_ratio": "200%"}
    # Anna, at 160%, repays to 200%; bert is there.
    lent = ask(known, higher, owners="leverage").usage.set_index("setting")["debt_wad"]
    assert lent["proposed"] == 480_000 * WAD


def test_fees_make_revenue_of_debt(known) -> None:
    found = ask(known, {f"{TERMS}.stability_fee": "5% a year"})
    rows = found.usage.set_index("setting")
    assert found.measure == "revenue" and rows["revenue_wad"]["now"] == 0
    assert rows["revenue_wad"]["proposed"] == pytest.approx(0.05 * 400_000 * WAD, rel=1e-6)


def test_a_proposal_that_breaks_a_rule_is_refused_by_its_name(known, tmp_path) -> None:
    told = (
        r"the proposal is refused, it breaks the rule penalty: ETH: auction\.penalty 113%, liquidation_ratio"
    )
    for owners in ("still", "distance"):
        with pytest.raises(BackstopError, match=told):
            ask(known, REFUSED, owners=owners)
    file = tmp_path / "lower.yaml"
    file.write_text(
        f"extends: {known}\nparameters: {{collateral_types: {{ETH: {{liquidation_ratio: 112%}}}}}}\n"
    )
    with pytest.raises(BackstopError, match=rf"^lower\.yaml:2: {told}"):
        ask(known, file)
    args = ["proposal", str(known), "--set", f"{TERMS}.liquidation_ratio=112%", "--paths", "200"]
    result = CliRunner(mix_stderr=False).invoke(cli, [*args, "--out", str(tmp_path / "out")])
    assert result.exit_code == 1 and result.stderr.count("\n") == 1 and "the rule penalty" in result.stderr
    # With a lower penalty it fits; alone it does not, which is said.
    found = ask(known, REFUSED | {f"{TERMS}.auction.penalty": "5%"}, owners="distance")
    assert list(found.alone["change"]) == [f"{TERMS}.auction.penalty"]
    (line,) = (each for each in found.besides if each.startswith("Alone, "))
    assert line.startswith(
        f"Alone, {TERMS}.liquidation_ratio=112% is refused, it breaks the rule penalty: ETH"
    )


def test_another_book_and_owners_who_respond_contradict_each_other(known, tmp_path) -> None:
    with pytest.raises(BackstopError, match="the proposal changes `vault_book`, and so do owners"):
        ask(known, {"vault_book.total": "450_000 stablecoin"}, owners="distance")
    half = ask(known, {"vault_book.total": "450_000 stablecoin"})
    assert list(half.usage["debt_wad"]) == [500_000 * WAD, 450_000 * WAD]
    folder = Path(known).parent
    file = folder / "halved.yaml"
    file.write_text(f"extends: {Path(known).name}\nvault_book: {{total: 450_000 stablecoin}}\n")
    with pytest.raises(BackstopError, match="the proposal changes `vault_book`"):
        ask(known, file, owners="distance")
    lower = "parameters: {collateral_types: {ETH: {liquidation_ratio: 120%}}}\n"
    file.write_text(f"extends: {Path(known).name}\n{lower}")
    found = ask(known, file, owners="distance")
    assert list(found.usage["setting"]) == ["now", "proposed"]
    assert found.usage["debt_wad"][1] > found.usage["debt_wad"][0]
    with pytest.raises(BackstopError, match="owners: 'brave' is not one of: still, distance, leverage"):
        ask(known, LOWER, owners="brave")


def test_short_steps_that_are_allowed_are_told(known, tmp_path) -> None:
    slow = tmp_path / "slow.yaml"
    slow.write_text(f"extends: {known}\nblock_time: 5 min\nunsafe: {{short-step: it is quick}}\n")
    found = ask(slow, {"keepers.desk.takes_at": "60%"})
    assert any(
        line.startswith("Auctions of ETH step every 90 s, and blocks are of 300 s") for line in found.besides
    )
    assert not any("step every" in line for line in ask(known, {"keepers.desk.takes_at": "60%"}).besides)
    with pytest.raises(BackstopError, match="it breaks the rule penalty"):
        ask(slow, REFUSED)


def test_the_command_prints_and_writes_what_is_lent(known, tmp_path) -> None:
    args = ["proposal", str(known), "--paths", "20", "--level", "50", "--owners", "distance"]
    for name, value in LOWER.items():
        args += ["--set", f"{name}={value}"]
    result = CliRunner(mix_stderr=False).invoke(cli, [*args, "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.stderr
    assert "Lending against expected shortfall by setting" in result.stdout
    assert "no debt pays a stability fee" in result.stdout
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    with (tmp_path / "out" / "usage.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["debt_wad"] for row in rows] == [row["debt_wad"] for row in summary["tables"]["usage"]]
    assert [row["efficient"] for row in rows[:2]] == ["yes", "yes"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert 'id="trade-off"' in page
    assert "Debt of 500k now, 600k as proposed" in re.sub(r"<[^>]+>", "", page)
    command = json.loads((tmp_path / "out" / "meta.json").read_text())["command"]
    assert command.endswith("--level 50 --owners distance")
