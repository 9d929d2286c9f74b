"""The live page in a reader's browser: a crash runs on an Anvil, its mirror restarts, its node dies."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from backstop.hosts.free_ports import find_free_non_ephemeral_port
from backstop.keepers import all_role_names
from backstop.live.node.signers import Signers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.resumable_deployment import deploy_live
from backstop.live.operate.scenario_driver import drive_scenario, truncate_scenario
from backstop.report.live_page import SECTIONS
from backstop.studies.comparison.presets import apply_preset, load_preset
from tests.support.devnet_process import SMALL, Devnet
from tests.support.live_page_browser import (
    LivePageBrowser,
    start_mirror_process,
    stop_all,
    wait_until_page_address_printed,
)

BRIEF = "tests/backstop/report/browser/test_report.py::test_opens_without_an_error_and_without_a_request"
pytestmark = [pytest.mark.browser, pytest.mark.anvil, pytest.mark.deep(brief=BRIEF)]

WIDTHS = (1280, 400)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Return the browser's observations, and the true values."""
    folder, port = tmp_path_factory.mktemp("watched"), find_free_non_ephemeral_port()
    scenario = truncate_scenario(apply_preset(load_preset("backstop"), SMALL), 84 * 60)
    devnet, file = Devnet(), folder / "deployment.json"
    deployment = deploy_live(devnet.node, scenario.parameters, file, Signers(test_accounts=True))
    mirror, reader = start_mirror_process(devnet.url, file, port, folder / "said"), None
    try:
        wait_until_page_address_printed(mirror, folder / "said")
        reader = LivePageBrowser(f"http://127.0.0.1:{port}/", folder, WIDTHS, axe=True)
        reader.wait_until_page_shows(lambda note: note["block"] > 0)
        system = LiveSystem(devnet.node, deployment, Signers(test_accounts=True), impersonate=True)
        first = devnet.node.get_head().number
        drive_scenario(scenario, system, 1, None, speed=0.02, played=all_role_names.ROLES)
        last, supply = devnet.node.get_head().number, system.view("Stablecoin", "totalSupply")
        reader.wait_until_page_shows_block(last)
        for number in range(last + 1, last + 4):
            devnet.node.request("evm_mine")
            reader.wait_until_page_shows_block(number)
        found: dict[str, Any] = {"first": first, "last": last + 3, "supply": supply}
        # The mirror is restarted, and goes on where the chain is by then.
        mirror.send_signal(signal.SIGTERM)
        assert mirror.wait(60) == 0
        reader.wait_until_page_shows(lambda note: "does not answer" in note["link"])
        devnet.node.request("evm_mine")
        mirror = start_mirror_process(devnet.url, file, port, folder / "said")
        reader.wait_until_page_shows(lambda note: note["block"] == last + 4 and note["link"] == "")
        devnet.process.stop_process()
        reader.wait_until_page_shows(lambda note: "is gone" in note["verdict"])
        yield found | reader.finish_and_get_observations()
    finally:
        stop_all(mirror, reader, devnet)


def test_it_keeps_up(watched: dict[str, Any]) -> None:
    # None are shown until a mirror that was started anew has replayed them.
    shown = [note["block"] for note in watched["notes"] if note["block"]]
    assert shown == sorted(shown) and shown[-1] == watched["last"] + 1
    assert set(range(watched["last"] - 2, watched["last"] + 2)) <= set(shown)
    # In the crash, of many blocks a second, it may skip some.
    during = {number for number in shown if watched["first"] < number <= watched["last"] - 3}
    assert len(during) > 10


def test_it_says_how_it_is(watched: dict[str, Any]) -> None:
    agree = "✓ Model and chain agree, and the mirror follows the chain."
    verdicts = list(dict.fromkeys(note["verdict"] for note in watched["notes"]))
    assert agree in verdicts and verdicts[-1].startswith("✗ the node at http://127.0.0.1:")
    assert all(text == agree or text.startswith("✗ ") for text in verdicts if text)
    links = {note["link"] for note in watched["notes"]}
    assert links == {"", "The mirror does not answer: the page is out of date. Trying again."}


def test_it_asks_nobody_else(watched: dict[str, Any]) -> None:
    """And nothing goes wrong but for the mirror's absence."""
    assert {url.rpartition("/")[2] for url in watched["requests"]} == {"", "events"}
    assert len({url.split("/")[2] for url in watched["requests"]}) == 1
    assert all("ERR_CONNECTION_REFUSED" in text or "ERR_" in text for text in watched["problems"])
    assert not any(text.startswith("error:") for text in watched["problems"])


def test_it_shows_what_is(watched: dict[str, Any]) -> None:
    for look in watched["looks"]:
        assert look["figures"]["balance_sheet.supply_wad"] == str(watched["supply"])
        sections = look["sections"]
        assert set(sections) == set(SECTIONS) - {"verdict", "now", "figures"}
        assert "ETH" in sections["prices"] and "unsafe, under 100.0%" in sections["vaults"]
        assert "running" in sections["auctions"] and "0 differences" in sections["mirror"]
        assert "LiquidationEngine.liquidate(" in sections["actions"] and "done" in sections["actions"]
        # The mirror was started anew since, without a checkpoint.
        assert "liquidated for a debt of" in sections["history"] and " earned most: " in sections["keepers"]
        assert "makes" in sections["levels"] and "of debt unsafe" in sections["levels"]
        assert "junior" in sections["losses"] and "performing debt" in sections["sheet"]


def test_anybody_can_read_it(watched: dict[str, Any]) -> None:
    """Fits a phone; rows have names; changes are announced; dark where the reader wants it."""
    assert len(watched["looks"]) == 2 * len(WIDTHS)
    for look in watched["looks"]:
        assert look["scrollWidth"] <= look["clientWidth"] == look["width"], look["wide"]
        assert look["faults"] == [] and look["tables"] >= 6 and look["unnamed"] == []
        assert look["status"] == ["verdict", "link"]
        assert look["headings"][0] == f"Block {watched['last'] + 1}"
    light, dark = (
        {look["background"] for look in watched["looks"] if look["scheme"] == s} for s in ("light", "dark")
    )
    assert len(light) == len(dark) == 1 and light != dark
