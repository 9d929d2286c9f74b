"""The deleveraging queue of a real chain: the command, its metrics, and the live page."""

from __future__ import annotations

import dataclasses
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from click.testing import CliRunner, Result

from backstop.cli import adl
from backstop.deployment.deployment_file import deployment_to_json
from backstop.deployment.devnet_trader_signatures import get_trader_account
from backstop.deployment.planned_contracts import plan_deployment
from backstop.hosts.artifacts import Artifacts
from backstop.live.monitor import metrics, page_routes
from backstop.live.monitor.http_server import Answer, Request
from backstop.live.monitor.page_sections import PageSections
from backstop.live.monitor.status_facts_and_board import StatusBoard
from backstop.live.monitor.status_publisher import StatusPublisher
from backstop.live.node.signers import Signers
from backstop.live.operate.resumable_deployment import deploy_live
from backstop.live.solvency.adl_queue_figures import ORDERS, build_deleveraging_queue_figures
from backstop.model.arithmetic import WAD
from backstop.simulation.scenario import load_scenario
from tests.support.deployment_after_price_crash import DeploymentAfterPriceCrash
from tests.support.devnet_process import SMALL, Devnet
from tests.support.many_vaults_devnet import ManyVaultsDevnet
from tests.support.perpetual_test_market import build_cycle_market_parameters, deploy_perpetuals_on_model
from tests.support.ranked_shorts import open_shorts_and_drop

FIRST = [get_trader_account(name) for name in ("other", "small", "large")]


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeploymentAfterPriceCrash]:
    """Three shorts of very different leverage have gained 4 a lot of a long, in the open cycle."""
    folder = tmp_path_factory.mktemp("queue")
    devnet = Devnet()
    try:
        file = folder / "deployment.json"
        parameters = build_cycle_market_parameters(third_bond=WAD, policy="ranked")
        deployment = deploy_live(devnet.node, parameters, file, Signers(test_accounts=True))
        open_shorts_and_drop(ManyVaultsDevnet(devnet, deployment, Artifacts()))
        yield DeploymentAfterPriceCrash(devnet, deployment, file)
    finally:
        devnet.process.stop_process()


@pytest.fixture(scope="module")
def board(market: DeploymentAfterPriceCrash) -> StatusBoard:
    """Return the status board of an observer with a page."""
    put = StatusBoard()
    StatusPublisher(put, print, 0, scene=PageSections(market.deployment)).publish_block(
        market.open_mirror_at_block(), 0
    )
    return put


def run(market: DeploymentAfterPriceCrash, *args: str) -> Result:
    where = ("--network", market.devnet.url, "--deployment", str(market.file))
    return CliRunner(mix_stderr=False).invoke(adl.cli, [*where, *args])


def test_the_command_prints_each_side(market: DeploymentAfterPriceCrash) -> None:
    result = run(market)
    assert result.exit_code == 0, result.stderr
    said = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert (
        re.fullmatch(r"block \d+, .*; policy ranked, open cycle 1", said[0]) and said[1] == ORDERS["ranked"]
    )
    assert "WETH short: 1,000 lots of 3 accounts at 16.00 a lot; 0 to be closed" in said
    assert f"1 {FIRST[0]} 200 800.00 1,797.00 44.5% 0.0% ●●●●●" in said
    assert f"2 {FIRST[1]} 300 1,200.00 2,697.00 44.5% 20.0% ●●●●○" in said
    assert f"3 {FIRST[2]} 500 2,000.00 21,997.00 9.1% 50.0% ●●●○○" in said
    # The long has only lost.
    assert f"- {get_trader_account('long')} 1,000 0.00 5,997.00 0.0% - ○○○○○" in said
    short = [
        " ".join(line.split()) for line in run(market, "--rows", "1", "--side", "short").stdout.splitlines()
    ]
    assert short[-1] == "2 more accounts: --rows shows more, --json all"
    assert not any(line.startswith("WETH long") for line in short)


def test_json_has_all_of_one_account(market: DeploymentAfterPriceCrash) -> None:
    result = run(market, "--json", "--rows", "1", "--account", FIRST[2].upper().replace("0X", "0x"))
    content = json.loads(result.stdout)
    (row,) = [row for side in content["sides"] for row in side["accounts"]]
    assert row == {
        "place": 3,
        "owner": FIRST[2],
        "lots": 500,
        "gain_wad": str(2_000 * WAD),
        "worth_wad": str(21_997 * WAD),
        "score": str(2_000 * 10**9 // 21_997),
        "lots_before": 500,
        "before_bps": 5_000,
        "light": 3,
    }
    assert (content["policy"], content["cycle"], content["is_pending"]) == ("ranked", 1, False)
    assert content["block"]["number"] == market.devnet.node.get_head().number


def test_a_pending_cycle_in_which_no_account_gained_has_no_places(market: DeploymentAfterPriceCrash) -> None:
    content = json.loads(run(market, "--json", "--pending", "--market", "WETH").stdout)
    assert (content["cycle"], content["is_pending"]) == (0, True)
    assert [row["place"] for side in content["sides"] for row in side["accounts"]] == [None] * 4


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (("--market", "DOGE"), "--market DOGE: unknown; expected one of WETH, WBTC"),
        (("--account", "0x12"), "--account 0x12: invalid; expected an address of 0x and 40 digits"),
        (("--block", "999999"), "the chain has no block 999999 yet: it is at "),
    ],
)
def test_bad_input_is_one_line(market: DeploymentAfterPriceCrash, args: tuple[str, str], line: str) -> None:
    result = run(market, *args)
    assert result.exit_code == 1 and result.stdout == ""
    (said,) = [each for each in result.stderr.splitlines() if each.strip()]
    assert said.startswith(f"Error: {line}")


def test_an_account_without_lots_is_said_to_have_none(market: DeploymentAfterPriceCrash) -> None:
    result = run(market, "--account", "0x" + "00" * 20)
    assert result.exit_code == 0 and result.stdout.splitlines()[-1] == f"0x{'00' * 20} has no lots there"


def test_a_deployment_without_a_margin_market_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "deployment.json"
    file.write_text(json.dumps(deployment_to_json(plan_deployment(load_scenario(SMALL).parameters))))
    result = CliRunner(mix_stderr=False).invoke(adl.cli, ["--deployment", str(file)])
    assert result.exit_code == 1
    assert result.stderr == f"Error: {file}: no margin market; expected a deployment with one\n"


# ------------------------------------------------------------------------ metrics and page


def queue_section(board: StatusBoard) -> str:
    """Return the section of the live page."""
    answer = cast(
        "Answer", page_routes.build_page_and_event_routes(board, 0)["/"](Request("", threading.Event()))
    )
    html = b"".join(answer.parts).decode()
    return html.partition('<section id="queue">')[2].partition("</section>")[0]


def samples(board: StatusBoard) -> dict[tuple[str, ...], float]:
    """Return the values of the queue's metrics, by name and labels."""
    families = metrics._Collector(board, "mirror", 0).collect()
    return {
        (each.name, *each.labels.values()): each.value
        for family in families
        if "deleveraging" in family.name
        for each in family.samples
    }


def test_metrics_count_accounts_and_lots_by_light(board: StatusBoard) -> None:
    found = samples(board)
    lots = {light: found["backstop_deleveraging_lots", "WETH", "short", str(light)] for light in range(6)}
    assert lots == {5: 200, 4: 300, 3: 500, 2: 0, 1: 0, 0: 0}
    counts = [found["backstop_deleveraging_accounts", "WETH", "short", str(light)] for light in range(6)]
    assert counts == [0, 0, 0, 1, 1, 1]
    assert found["backstop_deleveraging_lots", "WETH", "long", "0"] == 1_000
    assert found["backstop_deleveraging_due_lots", "WETH", "short"] == 0
    # Two markets with two sides, by six lights twice and once without: as many whoever trades.
    assert len(found) == 2 * 2 * (2 * 6 + 1)


def test_the_page_shows_each_account(board: StatusBoard) -> None:
    section = queue_section(board)
    text = " ".join(re.sub("<[^>]+>", " ", section).split())
    assert "1 account in the first fifth of a side" in text
    assert [owner for owner in re.findall("0x[0-9a-f]{40}", section)] == [get_trader_account("long"), *FIRST]
    assert re.findall("<i[^>]*>", section) == ["<i>"] * 5 + [
        '<i class="on">' if light < lights else "<i>" for lights in (5, 4, 3) for light in range(5)
    ]
    assert f"{FIRST[0]} WETH short 1 5 200 800 1.80k 44.5% 0.0%" in text
    assert f"{FIRST[2]} WETH short 3 3 500 2.00k 22.0k 9.1% 50.0%" in text
    assert f"{get_trader_account('long')} WETH long – 0 1,000 0 6.00k 0.0% –" in text


def test_the_page_lists_the_first_and_counts_all(
    market: DeploymentAfterPriceCrash, board: StatusBoard
) -> None:
    model, deployment = market.open_mirror_at_block().model, market.deployment
    short, first = (
        build_deleveraging_queue_figures(model, deployment, account_limit=most) for most in (None, 2)
    )
    assert short is not None and first is not None
    whole, cut = short["sides"][1], first["sides"][1]
    assert len(whole["accounts"]) == 3 and cut == {**whole, "accounts": whole["accounts"][:2]}
    assert board.facts is not None
    other = StatusBoard()
    other.publish_status(dataclasses.replace(board.facts, queue=first))
    html = queue_section(other)
    assert "The first 2 of " in html and "accounts of WETH short; the command" in html
    assert FIRST[1] in html and FIRST[2] not in html and "The first" not in queue_section(board)


@pytest.mark.parametrize("policy", ["shared", "by-cycle"])
def test_the_page_says_how_other_policies_close(board: StatusBoard, policy: str) -> None:
    assert board.facts is not None
    other = StatusBoard()
    queue = build_deleveraging_queue_figures(
        deploy_perpetuals_on_model(deleveraging_policy=policy).model,
        plan_deployment(build_cycle_market_parameters(policy=policy)),
    )
    other.publish_status(dataclasses.replace(board.facts, queue=queue))
    html = queue_section(other)
    assert ORDERS[policy] in html and "No account comes before another" in html and "<table" not in html
    other.publish_status(dataclasses.replace(board.facts, queue=None))
    assert queue_section(other).strip() == ""


def test_no_keeper_ends_for_want_of_a_queue(market: DeploymentAfterPriceCrash) -> None:
    """Here the model has fees that the market does not hold, so that a roll reverts."""
    mirror, put, said = market.open_mirror_at_block(), StatusBoard(), list[str]()
    house = mirror.model.world.contracts["PerpetualMarket"]
    house.tables["cycle_book.fees"][()] = house.tables["cycle_losses.held"][()] = 10**30
    observer = StatusPublisher(put, said.append, 0)
    for _ in range(2):
        observer.publish_block(mirror, 0, ["a difference"])
    assert put.facts is not None and put.facts.queue is None and samples(put) == {}
    (line,) = said
    assert line.startswith("there are no figures of the deleveraging queue: the open cycle cannot end: erc20")


# ------------------------------------------------------------------------- other policies


@pytest.mark.parametrize("policy", ["shared", "by-cycle"])
def test_other_policies_have_no_queue_and_say_how_they_close(policy: str) -> None:
    made = deploy_perpetuals_on_model(deleveraging_policy=policy)
    found = build_deleveraging_queue_figures(
        made.model, plan_deployment(build_cycle_market_parameters(policy=policy))
    )
    assert found is not None and found["sides"] == [] and found["markets"] == ["WETH", "WBTC"]
    assert found["order"] == ORDERS[policy] and found["order"].startswith("There is no queue: ")
    assert list(metrics._iter_deleveraging_queue_metrics(found)) and not [
        s for m in metrics._iter_deleveraging_queue_metrics(found) for s in m.samples
    ]
