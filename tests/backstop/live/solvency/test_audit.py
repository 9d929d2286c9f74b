"""An audit's figures, and that no other figures can be proven."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backstop.cli.audit import cli
from backstop.deployment.deployment_file import deployment_from_json
from backstop.deployment.model_and_chain_deployment import create_model
from backstop.errors import BackstopError
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.world_storage_json import load_words
from backstop.live.node.storage_proofs import UnprovenError
from backstop.live.solvency.proven_statement import build_proven_statement, recompute_audit_from_proofs
from backstop.live.solvency.solvency_statement import build_statement
from backstop.model.arithmetic import RAY
from tests.support.deployment_after_price_crash import DeploymentAfterPriceCrash

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def content(crashed: DeploymentAfterPriceCrash) -> dict[str, Any]:
    return json.loads(json.dumps(build_proven_statement(crashed.open_mirror_at_block())))


def check(content: dict[str, Any]) -> None:
    recompute_audit_from_proofs(content, content["block"]["hash"], Artifacts())


def test_the_statement_is_the_models(crashed: DeploymentAfterPriceCrash, content: dict[str, Any]) -> None:
    mirror = crashed.open_mirror_at_block()
    assert content["statement"] == build_statement(mirror.model, crashed.deployment)
    view, figures = mirror.model.view, content["statement"]
    sheet = figures["balance_sheet"]
    assert sheet["supply_wad"] == str(view("Stablecoin", "totalSupply"))
    assert sheet["reserve_rad"] == str(view("VaultEngine", "reserve"))
    assert sheet["liabilities_rad"] == sheet["claims_on_others_rad"]
    for c, row in enumerate(figures["collateral_types"]):
        assert row["deficit_rad"] == str(view("VaultEngine", "deficit_of", c))
        assert row["in_auction_rad"] == str(view("VaultEngine", "in_auction_of", c))
        booked = view("VaultEngine", "deficit_of", c)
        assert row["doubt_rad"] == str(booked + view("LiquidationEngine", "debt_at_risk_of", c))
    assert set(figures["checks"].values()) == {"0"}
    assert content["mirror"]["differences"] == 0


def test_it_is_a_crash_that_it_describes(content: dict[str, Any]) -> None:
    """The other tests rely on this crash: it contains auctions, flags, losses, claims and sales."""
    figures = content["statement"]
    assert figures["auctions"] and figures["flags"] and figures["vaults"]
    coverage = figures["coverage"]
    assert 0 < int(coverage["short_rad"]) <= int(coverage["to_cover_rad"])
    assert any(int(row["outstanding_wad"]) for row in figures["claims"])


def test_shares_add_up(content: dict[str, Any]) -> None:
    figures = content["statement"]
    debts = [int(row["debt_rad"]) for row in figures["vaults"]]
    total = sum(debts)
    assert total == int(figures["balance_sheet"]["performing_rad"]) == int(figures["maturity"][-1]["rad"])
    assert debts == sorted(debts, reverse=True)
    one, five, ten = (row["bps"] for row in figures["concentration"]["largest"])
    assert one == max(debts) * 10_000 // total <= five <= ten <= 10_000
    herfindahl = figures["concentration"]["herfindahl_bps"]
    assert herfindahl == sum(debt * debt for debt in debts) * 10_000 // total**2
    would = sum(int(row["would_pay_rad"]) for row in figures["stages"])
    coverage = figures["coverage"]
    assert would + int(coverage["uncovered_rad"]) <= int(coverage["to_cover_rad"]) + RAY


def test_an_older_block_has_its_own_figures(
    crashed: DeploymentAfterPriceCrash, content: dict[str, Any]
) -> None:
    block = content["block"]["number"] - 200
    older = build_proven_statement(crashed.open_mirror_at_block(block))
    check(older)
    assert older["block"]["number"] == block
    assert older["statement"] != content["statement"]


def _supply(content: dict[str, Any]) -> None:
    content["statement"]["balance_sheet"]["supply_wad"] += "0"


def _word(content: dict[str, Any]) -> None:
    content["evidence"]["slots"]["Stablecoin"]["erc20.totalSupply"][""] = "0x1"


def _less(content: dict[str, Any]) -> None:
    slots = content["evidence"]["slots"]["VaultEngine"]["ledger.deficit"]
    del slots[next(iter(slots))]


def _vault(content: dict[str, Any]) -> None:
    """A vault is left out, in the figures too."""
    slots = content["evidence"]["slots"]["VaultEngine"]["vaults"]
    row = content["statement"]["vaults"][-1]
    symbols = [each["symbol"] for each in content["statement"]["collateral_types"]]
    del slots[f"{symbols.index(row['symbol'])}/{row['owner']}"]
    content["statement"]["vaults"].pop()


def _node(content: dict[str, Any]) -> None:
    content["evidence"]["nodes"].pop()


def _spoiled(content: dict[str, Any]) -> None:
    node = content["evidence"]["nodes"][-1]
    content["evidence"]["nodes"][-1] = node[:-2] + ("00" if node[-2:] != "00" else "01")


def _time(content: dict[str, Any]) -> None:
    content["block"]["timestamp"] += 1


def _header(content: dict[str, Any]) -> None:
    header = content["evidence"]["header"]
    content["evidence"]["header"] = header[:200] + "0" * 64 + header[264:]


def _extra(content: dict[str, Any]) -> None:
    content["statement"]["profit_rad"] = "1"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (_supply, r"balance_sheet.supply_wad is '\d+' by the block's state, the file says"),
        (_word, r"Stablecoin erc20.totalSupply is 0x\w+ in the block's state, the file says 0x1"),
        (_less, r"VaultEngine ledger.deficit\[\d\] is needed, and not proven"),
        (_vault, "by the block's state, the file says|leaves something out"),
        (_node, "no proof leads to"),
        (_spoiled, "no proof leads to"),
        (_time, "another block, or another time, than its header"),
        (_header, "the header is not that of block 0x"),
        (_extra, "by the block's state, the file says"),
    ],
)
def test_a_tampered_file_is_refused(change: Change, line: str, content: dict[str, Any]) -> None:
    changed = copy.deepcopy(content)
    change(changed)
    with pytest.raises(UnprovenError, match=line):
        check(changed)


def test_a_vault_that_is_left_out_everywhere_is_missed(content: dict[str, Any]) -> None:
    """Figures made anew from fewer slots: the ledger's own total tells."""
    changed = copy.deepcopy(content)
    vaults = changed["evidence"]["slots"]["VaultEngine"]["vaults"]
    row = changed["statement"]["vaults"][0]
    del vaults[next(key for key in vaults if key.endswith(row["owner"]))]
    deployment = deployment_from_json(changed["deployment"])
    model = create_model(deployment, changed["block"]["timestamp"])
    load_words(model.world, changed["evidence"]["slots"])
    changed["statement"] = build_statement(model, deployment)
    with pytest.raises(UnprovenError, match=r"leaves something out: \{'vaults_gap_rad': '\d+'\}"):
        check(changed)


def test_other_code_is_refused(content: dict[str, Any]) -> None:
    """The slots are the same, but the contracts of the deployment were built otherwise."""
    changed = copy.deepcopy(content)
    changed["deployment"]["parameters"]["savings"]["cooldown"] += 1
    changed["deployment"]["contracts"]["Savings"]["args"][7] += 1
    with pytest.raises(UnprovenError, match=r"the Savings at 0x\w{40} has other code than these sources"):
        check(changed)


# ------------------------------------------------------------------------ the command


def run(*flags: object) -> Any:
    return CliRunner(mix_stderr=False).invoke(cli, [str(flag) for flag in flags])


def test_the_command_writes_what_it_can_verify(crashed: DeploymentAfterPriceCrash, tmp_path: Path) -> None:
    out = tmp_path / "audit"
    where = ("--network", crashed.devnet.url, "--deployment", crashed.file)
    result = run(*where, "--out", out)
    assert result.exit_code == 0, result.stderr
    written = json.loads((out / "audit.json").read_text())
    page = (out / "audit.html").read_text()
    assert 'data-path="balance_sheet.supply_wad"' in page
    assert f'value="{written["statement"]["balance_sheet"]["supply_wad"]}"' in page
    *_, command = result.stdout.splitlines()
    assert command.startswith("verify it with: ape run audit --verify ") and command.split()[-1] in page
    result = run(*command.removeprefix("verify it with: ape run audit ").split())
    assert result.exit_code == 0 and "every figure follows" in result.stdout, result.stderr
    said = json.loads(run(*where, "--out", out, "--json").stdout)
    assert {name: said[name] for name in written["statement"]} == written["statement"]


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ((), "no --network"),
        (("--network", "http://127.0.0.1:1"), "no node answers at http://127.0.0.1:1"),
        (("--verify", "nowhere.json"), "--block-hash: missing with --verify"),
        (("--verify", "nowhere.json", "--block-hash", "0x12"), "audit nowhere.json not found"),
        (("--block-hash", "0x12"), "--block-hash: given without --verify"),
    ],
)
def test_bad_input_is_one_line(flags: tuple[str, ...], line: str) -> None:
    result = run(*flags)
    assert result.exit_code == 1 and result.stdout == ""
    assert result.stderr.startswith("Error: ") and line in result.stderr and result.stderr.count("\n") == 1


def test_blocks_that_cannot_be_audited_are_named(crashed: DeploymentAfterPriceCrash) -> None:
    where = ("--network", crashed.devnet.url, "--deployment", crashed.file)
    head = crashed.devnet.node.get_head().number
    assert (
        f"the chain has no block {head + 1} yet: it is at {head}" in run(*where, "--block", head + 1).stderr
    )
    before = crashed.deployment.block - 1
    if before >= 0:
        assert f"block {before} is before the deployment" in run(*where, "--block", before).stderr
    assert "the deployment was not complete" in run(*where, "--block", before + 5).stderr


def test_half_a_file_is_refused(content: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "audit.json"
    file.write_text(json.dumps(content)[:1_000])
    assert "is not a valid audit" in run("--verify", file, "--block-hash", "0x12").stderr
    with pytest.raises(BackstopError, match="this is not a valid audit"):
        check({key: value for key, value in content.items() if key != "evidence"})
