"""A full disk, and a log without a reader: only expendable data is lost."""

from __future__ import annotations

import resource
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from backstop.deployment.planned_contracts import Deployment
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.live.mirror.chain_mirror import open_mirror
from backstop.live.node.signers import Signers
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.mirror_loop import MirrorLoop
from backstop.live.operate.outbox import CallRequest, Outbox, TransactionRules
from backstop.live.operate.transaction_journal import Attempt, Entry, Journal
from tests.support.condition_wait import wait_until_true
from tests.support.devnet_process import Devnet

BRIEF = "tests/backstop/live/operate/test_full_disk.py::test_what_the_journal_cannot_keep_is_not_sent"

ACCRUER = get_account("accruer")


@contextmanager
def full(left: int) -> Iterator[None]:
    """No file may become larger than this, as on a disk that has no more room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (left, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def entry(nonce: int) -> Entry:
    made = Entry(nonce, "bidder", "take", (), "0x1", "0x", 100)
    made.attempts.append(Attempt(hex(nonce + 1), "0x", 5, 1))
    return made


def test_a_journal_has_whole_lines_whatever_did_not_fit(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 1, "0x12345678", "0xabc")
    journal.lock_and_read_file()
    journal.put_entry(entry(0))
    assert journal.path is not None
    with full(journal.path.stat().st_size + 20):
        with pytest.raises(BackstopError, match=r"the journal .* cannot be written: "):
            journal.put_entry(entry(1))
        journal.entries[0].block = 7
        journal.note_outcome(journal.entries[0])  # the chain tells it again
    assert [each.nonce for each in journal.entries] == [0]
    journal.put_entry(entry(1))
    assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()} == {0o600}
    journal.close()
    again = Journal(tmp_path, 1, "0x12345678", "0xabc")
    again.lock_and_read_file()
    assert [(each.nonce, each.block) for each in again.entries] == [(0, 7), (1, None)]
    again.close()


def test_what_the_journal_cannot_keep_is_not_sent(attach: Callable[..., LiveSystem], tmp_path: Path) -> None:
    system, said = attach(), list[str]()
    system.node.request("evm_setAutomine", False)
    journal = Journal(tmp_path / "kept", 31_337, "0x12345678", ACCRUER)
    box = Outbox(
        system.node, system.host.signers, ACCRUER, journal, TransactionRules(replace_after=0.0), said.append
    )
    call, fees = (
        CallRequest("accruer", "accrue", ("accrue", 0), ACCRUER, "0x", 60_000),
        system.node.offer_fees(),
    )
    assert journal.path is not None
    with full(journal.path.stat().st_size + 20):
        with pytest.raises(BackstopError, match="cannot be written"):
            box.send_call(call, fees)
        box.push_waiting(fees, lambda entry, block: True)
        assert box.waiting == [] and system.node.get_nonce(ACCRUER) == system.node.get_nonce(
            ACCRUER, "latest"
        )
    box.send_call(call, fees)
    system.node.request("evm_mine")
    assert [each.entry.nonce for each in box.collect_mined(system.node.get_head().number)] == [0]
    journal.close()


def test_a_keeper_goes_on_without_its_snapshot(
    devnet: Devnet, deployment: Deployment, tmp_path: Path, said: list[str]
) -> None:
    file = tmp_path / "kept" / "snapshot.db"
    system = LiveSystem(devnet.node, deployment, Signers(test_accounts=True), snapshot=file)
    loop = KeeperLoop(system, build_keepers(deployment, ["accruer"]), said.append)
    with full(100):
        for _ in range(2):
            loop._saved_at = 0.0
            loop.run_round()
    assert len([line for line in said if "cannot be written" in line]) == 1
    assert said[0].startswith(str(file)) and said[0].endswith(": it goes on without")
    loop.close()
    assert file.exists()


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_full_disk.py::test_what_the_journal_cannot_keep_is_not_sent"
)
def test_a_mirror_goes_on_without_its_checkpoint(
    devnet: Devnet, deployment: Deployment, tmp_path: Path
) -> None:
    said, file = list[str](), tmp_path / "checkpoint.json"
    loop = MirrorLoop(open_mirror(devnet.node, deployment), lambda text: None, said.append, checkpoint=file)
    with full(100):
        loop.run(once=True)
        loop.run(once=True)
    assert len(said) == 1 and said[0].startswith(f"{file} cannot be written: ")
    assert not file.exists()
    loop.run(once=True)
    assert file.exists()


@pytest.mark.deep(brief=BRIEF)
def test_a_keeper_outlives_whoever_reads_its_log(
    devnet: Devnet, deployment: Deployment, tmp_path: Path
) -> None:
    flags = ["--network", devnet.url, "--deployment", str(tmp_path / "deployment.json"), "--roles", "accruer"]
    keeper = subprocess.Popen(
        [sys.executable, "-c", "from backstop.cli.keeper import cli; cli()", *flags],
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )

    def sent() -> int:
        return devnet.node.get_nonce(ACCRUER, "latest")

    def sent_more_than(before: int) -> bool:
        return sent() > before

    try:
        assert keeper.stderr is not None
        assert b"watching" in keeper.stderr.readline()
        keeper.stderr.close()
        before = sent()
        for _ in range(2):  # each charges fees, and says so
            devnet.node.request("anvil_setTime", devnet.node.get_head().timestamp + 10_000)
            devnet.node.request("evm_mine")
            wait_until_true(partial(sent_more_than, before), keeper)
            before = sent()
        keeper.terminate()
        assert keeper.wait(60) == 0
    finally:
        keeper.kill()
        keeper.wait()
