"""A margin market on a real chain: mirrored, audited with its proofs, begun a simulation with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backstop.cli import audit as audit_script
from backstop.cli import export as export_script
from backstop.deployment.devnet_trader_signatures import get_trader_account, sign_order
from backstop.deployment.parameter_dataclasses import BackstopParameters, Parameters
from backstop.deployment.planned_contracts import plan_deployment
from backstop.errors import BackstopError
from backstop.hosts import abi_codec
from backstop.hosts.artifacts import Artifacts
from backstop.live.monitor.metrics import _iter_statement_metrics
from backstop.live.node.signers import Signers
from backstop.live.node.storage_proofs import UnprovenError
from backstop.live.operate.resumable_deployment import deploy_live
from backstop.live.solvency.independent_witness import compare_audit_with_web3
from backstop.live.solvency.proven_statement import build_proven_statement, recompute_audit_from_proofs
from backstop.live.solvency.solvency_statement import build_statement
from backstop.live.solvency.web3_reader import open_web3
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.margin_orders import Order
from backstop.simulation.deployment_session import open_deployment_session
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import Simulation, simulate
from tests.support.deployment_after_price_crash import DeploymentAfterPriceCrash
from tests.support.devnet_process import Devnet
from tests.support.many_vaults_devnet import ManyVaultsDevnet
from tests.support.perpetual_test_market import build_cycle_market_parameters
from tests.support.uncached_artifacts import build_uncached_artifacts

LOTS, PRICE = 1_000, 20 * WAD


def parameters() -> Parameters:
    """Return parameters with a pool that has no depositor yet."""
    found = build_cycle_market_parameters(third_bond=WAD)
    assert found.margin is not None
    return replace(found, margin=replace(found.margin, backstop=BackstopParameters()))


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeploymentAfterPriceCrash]:
    """A long of 1,000 lots at 20 with 3,000 of margin, seized at 16 and booked in the pending cycle."""
    folder = tmp_path_factory.mktemp("by_cycle")
    devnet = Devnet()
    try:
        file = folder / "deployment.json"
        deployment = deploy_live(devnet.node, parameters(), file, Signers(test_accounts=True))
        crash(ManyVaultsDevnet(devnet, deployment, Artifacts()))
        yield DeploymentAfterPriceCrash(devnet, deployment, file)
    finally:
        devnet.process.stop_process()


def crash(town: ManyVaultsDevnet) -> None:

    def do(sender: str, call: str, *args: Any) -> None:
        assert town.call_and_return_revert_reason(call, *args, sender=sender) is None, call

    def mark(dollars: int) -> None:
        for i in range(3):
            do(f"reporter_{i + 1}", "PriceFeed.report_range", 0, *(dollars * RAY,) * 3, 0)
        do("saver", "PerpetualMarket.accrue", 0)

    at = town.deployment.addresses
    town.post_prices(2_000, 30_000, 3_000)
    town.open_vault("saver", 100, 50_000)
    for spender in ("PerpetualMarket", "MarginFund"):
        do("saver", "Stablecoin.approve", at[spender], MAX_UINT256)
    do("saver", "MarginFund.insure", 500 * WAD)
    for name, amount in (("long", 3_000), ("short", 10_000)):
        do("saver", "PerpetualMarket.deposit", get_trader_account(name), amount * WAD)
    mark(2_000)
    orders: list[Any] = []
    for name, size in (("long", LOTS), ("short", -LOTS)):
        order = Order(get_trader_account(name), 0, size, PRICE, MAX_UINT256, 0)
        orders += [order, sign_order(name, order, town.deployment.chain_id, at["MarginOrders"])]
    do("matcher", "MarginOrders.fill", *orders, LOTS)
    mark(1_600)
    town.pass_time(1_800)
    do("saver", "PerpetualMarket.advance_cycle")
    mark(1_600)
    do("saver", "PerpetualMarket.seize_insolvent", get_trader_account("long"))


@pytest.fixture(scope="module")
def content(market: DeploymentAfterPriceCrash) -> dict[str, Any]:
    return json.loads(json.dumps(build_proven_statement(market.open_mirror_at_block())))


def test_the_statement_says_what_insurance_has(
    market: DeploymentAfterPriceCrash, content: dict[str, Any]
) -> None:
    """The debtor lacks 1,001 with its bond, of which nothing is paid before the cycle is final."""
    said = content["statement"]["margin"]
    chain = market.open_mirror_at_block().model.view
    assert said["policy"] == "by-cycle"
    assert int(said["held_wad"]) == chain("PerpetualMarket", "held") == 13_000 * WAD
    assert int(said["insurance_wad"]) == chain("MarginFund", "insurance_of").amount == 500 * WAD
    assert said["payable_wad"] == said["insurance_wad"]
    assert (said["unpaid_wad"], said["short_wad"], said["gap_wad"]) == ("0", "0", "0")
    # The short's, and a third of the long's, for whoever has its lots taken over.
    assert int(said["bonds_wad"]) == 4 * WAD
    assert content["mirror"]["differences"] == 0


def test_the_statement_says_what_a_jump_would_cost(
    market: DeploymentAfterPriceCrash, content: dict[str, Any]
) -> None:
    """The debtor owes the same at any price: unassigned lots have no gains or losses."""
    said = content["statement"]["margin"]["stress"]
    # Nobody has traded in the other market.
    assert [each["jump"] for each in said["jumps"]] == ["WETH up", "WETH down"]
    assert {each["shortfall_wad"] for each in said["jumps"]} == {str(1_003 * WAD)}
    assert said["jumps"][-1]["gaps_bps"] == {"WETH": -2_000}
    assert said["largest"] == [{"owner": get_trader_account("long"), "shortfall_wad": str(1_003 * WAD)}]
    assert (said["covered"], said["two_covered"], said["asked_wad"]) == (False, False, "0")
    pool = content["statement"]["margin"]["pool"]
    assert pool["is_idle"] and pool["value_wad"] == "0"
    assert [each["limit_wad"] for each in pool["markets"]] == [str(250_000 * WAD)] * 2
    other = build_statement(market.open_mirror_at_block().model, market.deployment, 500)["margin"]["stress"]
    assert other["jumps"][0]["gaps_bps"] == {"WETH": 500}


@pytest.mark.deep(
    brief="tests/backstop/live/solvency/test_by_cycle.py::test_the_statement_says_what_insurance_has"
)
def test_the_command_tells_of_it(market: DeploymentAfterPriceCrash, tmp_path: Path) -> None:
    where = ("--network", market.devnet.url, "--deployment", str(market.file), "--out", str(tmp_path / "x"))
    result = CliRunner(mix_stderr=False).invoke(audit_script.cli, [*where])
    assert result.exit_code == 0, result.stderr
    said = " ".join(result.stdout.split())
    assert "margin market (by-cycle): 13,000 held, 0 unpaid; insurance 500, of which 500 now" in said
    assert "the worst jump (WETH up) is NOT covered: accounts would lack 1,003 of 500 that insurance" in said
    assert f"{get_trader_account('long')} 1,003" in said
    gap = CliRunner(mix_stderr=False).invoke(
        audit_script.cli, [*where[:-1], str(tmp_path / "y"), "--price-jump", "100"]
    )
    assert "WETH up 1.0% 1 1,003 1,003" in " ".join(gap.stdout.split())
    content = json.loads((tmp_path / "y" / "audit.json").read_text())
    recompute_audit_from_proofs(content, content["block"]["hash"], Artifacts())
    for wrong in (101, None, "100"):
        with pytest.raises(BackstopError):
            recompute_audit_from_proofs(content | {"gap_bps": wrong}, content["block"]["hash"], Artifacts())


def test_it_is_proven(content: dict[str, Any]) -> None:
    recompute_audit_from_proofs(content, content["block"]["hash"], Artifacts())
    wrong = json.loads(json.dumps(content))
    wrong["statement"]["margin"]["insurance_wad"] = str(501 * WAD)
    with pytest.raises(UnprovenError, match=r"margin\.insurance_wad is"):
        recompute_audit_from_proofs(wrong, content["block"]["hash"], Artifacts())


def test_metrics_have_it(content: dict[str, Any]) -> None:
    found = {each.name: each for each in _iter_statement_metrics(content["statement"])}
    figures = {each.labels["figure"]: each.value for each in found["backstop_margin"].samples}
    books = {"held": 13_000, "unpaid": 0, "insurance": 500, "payable": 500, "unvested": 0}
    assert figures == books | {"shortfall": 1_003, "two_largest": 1_003, "asked": 0}


def test_the_market_has_no_power_and_its_fund_only_that_to_post(content: dict[str, Any]) -> None:
    powers = {each["contract"]: each for each in content["statement"]["powers"]["contracts"]}
    assert not {"PerpetualMarket", "PerpetualTrading", "MarginOrders"} & powers.keys()
    at = plan_deployment(parameters()).addresses["MarginFund"]
    assert [each["role"] for each in powers["Perpetuals"]["roles"] if each["account"] == at] == ["SHORTFALL"]


@pytest.mark.deep(brief="tests/backstop/live/solvency/test_export.py::test_a_run_begins_as_the_chain_is")
@pytest.mark.parametrize("host", ["model", "revm"])
def test_it_becomes_a_scenario(market: DeploymentAfterPriceCrash, tmp_path: Path, host: str) -> None:
    """That begins as the chain is, and in which a keeper sees the loss through."""
    where = ("--network", market.devnet.url, "--deployment", str(market.file), "--out", str(tmp_path / "x"))
    result = CliRunner(mix_stderr=False).invoke(export_script.cli, [*where, "--duration", "45 min"])
    assert result.exit_code == 0, result.stderr
    scenario = load_scenario(tmp_path / "x" / "scenario.yaml")
    assert scenario.opening is not None
    with open_deployment_session(scenario, host, 1) as session:
        simulation = Simulation(scenario, session, 1)
        simulation.restore_storage_state(scenario.opening.state)
        figures = build_statement(session.model, plan_deployment(scenario.parameters))
    assert figures == build_statement(market.open_mirror_at_block().model, market.deployment)
    summary = simulate(scenario, host, 1).summary
    assert summary["completed"] and summary["differences"] == 0
    # The pending cycle becomes final: its loss is borne by insurance, and by the short.
    assert [each["side"] for each in summary["margin"]["cycles"]] == ["short"]
    assert int(summary["margin"]["insured_wad"]) == 500 * WAD


def test_a_witness_reads_the_same_and_tells_a_lost_sign(
    market: DeploymentAfterPriceCrash, content: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The short's lots are less than nothing, which a codec without signs does not say."""
    node, w3 = market.devnet.node, open_web3(market.devnet.url)
    assert compare_audit_with_web3(content, node, w3, Artifacts()).differences == ()
    monkeypatch.setattr(abi_codec, "_make_int_codec", abi_codec._make_uint_codec)
    unsigned = build_uncached_artifacts(["PerpetualMarket"])
    found = compare_audit_with_web3(content, node, w3, unsigned).differences
    view = f"PerpetualMarket.holdings_of({get_trader_account('short')}): "
    (line,) = (each for each in found if each.startswith(view))
    witness, own = line.removeprefix(view).split(" by web3.py, ")
    assert f"-{LOTS}, " in witness and f"{2**256 - LOTS}, " in own and own.endswith(" by the own client")
