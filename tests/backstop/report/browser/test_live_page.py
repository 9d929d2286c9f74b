"""The live page in a reader's browser, in short: blocks come, then the node goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from backstop.hosts.free_ports import find_free_non_ephemeral_port
from backstop.live.node.signers import Signers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.resumable_deployment import deploy_live
from backstop.report.live_page import SECTIONS
from backstop.simulation.scenario import load_scenario
from tests.support.devnet_process import SMALL, Devnet
from tests.support.live_page_browser import (
    LivePageBrowser,
    start_mirror_process,
    stop_all,
    wait_until_page_address_printed,
)
from tests.support.vault_auctions_after_price_drop import (
    liquidate_borrower_and_advance_time,
    open_vaults_and_drop_price,
)

pytestmark = [pytest.mark.browser, pytest.mark.anvil]

WIDTH = 400


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Return the browser's observations, and the true values."""
    folder, port = tmp_path_factory.mktemp("watched"), find_free_non_ephemeral_port()
    devnet, file, said = Devnet(), folder / "deployment.json", folder / "said"
    deployment = deploy_live(devnet.node, load_scenario(SMALL).parameters, file, Signers(test_accounts=True))
    system = LiveSystem(devnet.node, deployment, Signers(test_accounts=True), impersonate=True)
    open_vaults_and_drop_price(system)
    mirror, reader = start_mirror_process(devnet.url, file, port, said), None
    try:
        wait_until_page_address_printed(mirror, said)
        reader = LivePageBrowser(f"http://127.0.0.1:{port}/", folder, (WIDTH,))
        first = devnet.node.get_head().number
        reader.wait_until_page_shows_block(first)
        liquidate_borrower_and_advance_time(system)
        last = devnet.node.get_head().number
        reader.wait_until_page_shows_block(last)
        supply = system.view("Stablecoin", "totalSupply")
        devnet.process.stop_process()
        reader.wait_until_page_shows(lambda note: "is gone" in note["verdict"])
        yield {"first": first, "last": last, "supply": supply} | reader.finish_and_get_observations()
    finally:
        stop_all(mirror, reader, devnet)


@pytest.mark.deep(
    brief="tests/backstop/report/browser/test_report.py::test_opens_without_an_error_and_without_a_request"
)
def test_it_shows_each_block(watched: dict[str, Any]) -> None:
    shown = [note["block"] for note in watched["notes"] if note["block"]]
    assert shown == sorted(shown) and (shown[0], shown[-1]) == (watched["first"], watched["last"])
    agree = "✓ Model and chain agree, and the mirror follows the chain."
    verdicts = list(dict.fromkeys(note["verdict"] for note in watched["notes"] if note["block"]))
    assert verdicts[0] == agree and verdicts[-1].startswith("✗ the node at http://127.0.0.1:")
    assert watched["problems"] == []


@pytest.mark.deep(
    brief="tests/backstop/report/browser/test_report.py::test_opens_without_an_error_and_without_a_request"
)
def test_it_shows_what_is_to_anybody(watched: dict[str, Any]) -> None:
    light, dark = watched["looks"]
    assert light["background"] != dark["background"]
    for look in (light, dark):
        assert look["figures"]["balance_sheet.supply_wad"] == str(watched["supply"])
        sections = look["sections"]
        assert set(sections) == set(SECTIONS) - {"verdict", "now", "figures"}
        assert "running" in sections["auctions"] and "0 differences" in sections["mirror"]
        assert "LiquidationEngine.liquidate(" in sections["actions"]
        assert look["scrollWidth"] <= look["clientWidth"] == look["width"] == WIDTH, look["wide"]
        assert look["unnamed"] == [] and look["status"] == ["verdict", "link"]
