"""Reporters that sign instead of sending, and a poker that submits their signed reports."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.live.operate.keeper_settings import KeeperSettings, read_yaml_keeper_settings_by_name
from backstop.live.operate.keeper_setup import build_caught_up_keeper_loop
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.report_sources import PolledAddress
from backstop.model.arithmetic import RAY
from tests.support.condition_wait import wait_until_true
from tests.support.devnet_process import Devnet

ETH = 0


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Discard the message."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address at which a plain web server has the test's folder."""
    handler = functools.partial(Quiet, directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_what_is_signed_here_is_brought_there(
    fallen: LiveSystem, fallen_devnet: Devnet, tmp_path: Path, served: str
) -> None:
    """Reporters without coins sign into a file that is served; a poker elsewhere brings it."""
    here, there = tmp_path / "here.yaml", tmp_path / "there.yaml"
    here.write_text("schema_version: 1\nroles:\n  reporter: {signs: reports.jsonl, heartbeat: 30 s}\n")
    there.write_text(f"schema_version: 1\nroles:\n  poker: {{reports: [{served}/reports.jsonl]}}\n")
    said: list[str] = []

    def settings(file: Path) -> KeeperSettings:
        return KeeperSettings(
            networks=(fallen_devnet.url,),
            deployment=tmp_path / "deployment.json",
            **read_yaml_keeper_settings_by_name(file) | {"journal": tmp_path / "journal"},
        )

    fallen.advance(7 * 3_600)  # nobody's reports count any more
    for i in range(4):
        fallen_devnet.node.request("anvil_setBalance", get_account(f"reporter_{i + 1}"), "0x0")
    fallen_devnet.node.request("evm_mine")
    signers = build_caught_up_keeper_loop(settings(here), said.append)
    signers.run_round()
    assert sum(" signed" in line for line in said) == 4, said
    count = len(said)
    signers.run_round()
    assert len(said) == count  # once a heartbeat

    poker = build_caught_up_keeper_loop(settings(there), said.append)
    try:

        def stepped() -> bool:
            poker.run_round()
            return poker.tally.counts["poker", "done"] > 0 and poker.pending_transaction_count == 0

        wait_until_true(lambda: stepped() and poker.system.view("PriceFeed", "prices_of", ETH)[1] != 0)
    finally:
        poker.close()
        signers.close()
    done = [line.split(" done")[0] for line in said if " done in block" in line]
    assert done[0] == "poker: PriceFeed.submit_signed_reports(reports)" and "poker: PriceFeed.poke(0)" in done
    assert poker.tally.failed_transaction_count == 0 and poker.system.mirror.differences == []
    report = fallen.view("PriceFeed", "report_of", ETH, get_account("reporter_1"))
    assert report[0] == 150 * RAY
    fallen.compare_state()


def test_settings_name_files_and_addresses(tmp_path: Path) -> None:
    file = tmp_path / "keeper.yaml"
    roles = "  reporter: {signs: out/mine.jsonl}\n  poker: {reports: [a.jsonl, 'https://x.org/r']}\n"
    file.write_text("schema_version: 1\nroles:\n" + roles)
    found = read_yaml_keeper_settings_by_name(file)["options"]
    assert found["reporter"]["signs"] == str(tmp_path / "out" / "mine.jsonl")
    assert found["poker"]["reports"] == (str(tmp_path / "a.jsonl"), "https://x.org/r")
    file.write_text("schema_version: 1\nroles:\n  poker: {reports: 'ftp://x.org/r'}\n")
    with pytest.raises(BackstopError, match=r"keeper.yaml:3: .*ftp:// is not supported"):
        read_yaml_keeper_settings_by_name(file)


def test_an_address_that_does_not_answer_is_told(served: str, tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"x")
    (tmp_path / "long").write_bytes(b"x" * 100_000)

    def asked(path: str) -> Callable[[], bytes]:
        found = PolledAddress(served + path)
        try:
            wait_until_true(lambda: bool(found._found or found._problem))
        finally:
            found.close()
        return found

    assert asked("/there")() == b"x"
    assert len(asked("/long")()) > 64_000
    with pytest.raises(BackstopError, match="status 404"):
        asked("/missing")()
