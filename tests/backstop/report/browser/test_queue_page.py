"""The deleveraging queue on the live page, in a reader's browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from backstop.deployment.devnet_trader_signatures import get_trader_account
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.free_ports import find_free_non_ephemeral_port
from backstop.live.node.signers import Signers
from backstop.live.operate.resumable_deployment import deploy_live
from backstop.model.arithmetic import WAD
from tests.support.devnet_process import Devnet
from tests.support.live_page_browser import (
    LivePageBrowser,
    start_mirror_process,
    stop_all,
    wait_until_page_address_printed,
)
from tests.support.many_vaults_devnet import ManyVaultsDevnet
from tests.support.perpetual_test_market import build_cycle_market_parameters
from tests.support.ranked_shorts import open_shorts_and_drop

pytestmark = [
    pytest.mark.browser,
    pytest.mark.anvil,
    pytest.mark.deep(brief="tests/backstop/live/solvency/test_queue.py::test_the_page_shows_each_account"),
]

WIDTHS = (1280, 400)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Return the browser's observations of a mirror's page."""
    folder, port = tmp_path_factory.mktemp("queue"), find_free_non_ephemeral_port()
    devnet, file, said = Devnet(), folder / "deployment.json", folder / "said"
    parameters = build_cycle_market_parameters(third_bond=WAD, policy="ranked")
    deployment = deploy_live(devnet.node, parameters, file, Signers(test_accounts=True))
    open_shorts_and_drop(ManyVaultsDevnet(devnet, deployment, Artifacts()))
    mirror, reader = start_mirror_process(devnet.url, file, port, said), None
    try:
        wait_until_page_address_printed(mirror, said)
        reader = LivePageBrowser(f"http://127.0.0.1:{port}/", folder, WIDTHS, axe=True)
        reader.wait_until_page_shows_block(devnet.node.get_head().number)
        yield reader.finish_and_get_observations()
    finally:
        stop_all(mirror, reader, devnet)


def test_each_account_has_its_place_and_lights(seen: dict[str, Any]) -> None:
    for look in seen["looks"]:
        text = " ".join(look["sections"]["queue"].split())
        assert "1 account in the first fifth of a side" in text
        for name in ("other", "small", "large", "long"):
            assert get_trader_account(name) in text
        shown = [look["figures"][f"queue.sides.1.accounts.{i}.light"] for i in range(3)]
        assert shown == ["5", "4", "3"] and look["figures"]["queue.sides.0.accounts.0.light"] == "0"
        assert look["figures"]["queue.sides.1.lights.0.lots"] == "200"
        assert look["figures"]["queue.sides.1.accounts.1.gain_wad"] == str(1_200 * WAD)


def test_it_fits_and_everybody_can_read_it(seen: dict[str, Any]) -> None:
    assert seen["problems"] == [] and len(seen["looks"]) == 2 * len(WIDTHS)
    for look in seen["looks"]:
        assert look["scrollWidth"] <= look["clientWidth"] == look["width"], look["wide"]
        assert look["unnamed"] == []
        assert look["faults"] == []
