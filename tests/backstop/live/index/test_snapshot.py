"""An index on disk: its restored state, its refused files, and that a kill leaves no partial file."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.planned_contracts import Deployment, plan_deployment
from backstop.errors import BackstopError
from backstop.live.index import (
    BlockChanges,
    IndexSnapshot,
    MarginCalled,
    PricingConditions,
    UnusableSnapshotError,
    VaultChanged,
    VaultIndex,
)
from backstop.live.index.collateral_type_vaults import VaultRecord
from backstop.model.arithmetic import RAY, WAD
from backstop.model.interfaces import CallTerms

DEPLOYMENT = plan_deployment(build_standard_parameters())
AT = PricingConditions(2_000 * RAY, RAY, 1_000, 15_000, calls=CallTerms(21_000, 100, 100))
VAULTS = 3_000


def owner(number: int) -> bytes:
    return number.to_bytes(20, "big")


def an_index(vaults: int = VAULTS) -> VaultIndex:
    """Two types, some vaults called, a block that can be taken back."""
    index = VaultIndex(10, "ten")
    # Worth twice their debts; one in ten as much as its debt.
    changes = [
        VaultChanged(n % 2, owner(n), n * WAD // (1 if n % 10 else 2), n * 1_000 * WAD) for n in range(vaults)
    ]
    index.apply(BlockChanges(11, "eleven", "ten", changes), final=True)
    index.apply(
        BlockChanges(
            12, "twelve", "eleven", [VaultChanged(0, owner(2), 7 * WAD, 0), MarginCalled(1, owner(1), 9)]
        )
    )
    return index


def records(index: VaultIndex) -> dict[tuple[int, bytes], VaultRecord]:
    return {
        (c, vaults.owners.get_address(row)): vaults.get_record(row)
        for c, vaults in index.types.items()
        for row in range(len(vaults))
    }


def refused(path: Path, deployment: Deployment = DEPLOYMENT) -> str:
    """The line with which it is refused; it offers to start from nothing, and that works."""
    with pytest.raises(UnusableSnapshotError) as caught:
        IndexSnapshot(path, deployment).load_index()
    line = str(caught.value)
    assert "\n" not in line and line.endswith("start from nothing with --cold, or name another file")
    IndexSnapshot(path, deployment).save_index(an_index())
    loaded = IndexSnapshot(path, deployment).load_index()
    assert loaded is not None and records(loaded) == records(an_index())
    return line


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "vaults.db"


def test_an_index_comes_back_with_its_way_back(path: Path) -> None:
    index, snapshot = an_index(), IndexSnapshot(path, DEPLOYMENT)
    assert snapshot.load_index() is None
    snapshot.save_index(index)
    again = IndexSnapshot(path, DEPLOYMENT).load_index()
    assert again is not None
    assert (again.number, again.hash, len(again)) == (12, "twelve", VAULTS)
    assert records(again) == records(index)
    assert [again.get_normalized_debt(c) for c in (0, 1)] == [index.get_normalized_debt(c) for c in (0, 1)]
    # Whoever was called may have met the call since.
    assert again.list_vaults_with_unconfirmed_calls() == [(1, "0x" + owner(1).hex())]
    for each in (index, again):
        for c, called in each.list_vaults_with_unconfirmed_calls():
            each.set_confirmed_call_time(c, called, 900)
        assert [vault.owner for vault in each.find_unsafe(1, AT)] == ["0x" + owner(1).hex()]
    assert again.find_unsafe(0, AT) == index.find_unsafe(0, AT)
    assert len(again.find_unsafe(0, AT)) == VAULTS // 10 - 1
    assert index.roll_back_last_block() and again.roll_back_last_block()
    assert records(again) == records(index)
    assert not again.roll_back_last_block()


def test_a_save_writes_what_has_changed(path: Path) -> None:
    index, snapshot = an_index(), IndexSnapshot(path, DEPLOYMENT)
    snapshot.save_index(index)
    for number in range(13, 16):
        changes = [
            VaultChanged(0, owner(number), number, number),
            VaultChanged(1, owner(VAULTS + number), 1, 1),
        ]
        index.apply(BlockChanges(number, str(number), index.hash, changes))
        assert sum(sum(vaults.touched) for vaults in index.types.values()) == 2
        snapshot.save_index(index)
        loaded = IndexSnapshot(path, DEPLOYMENT).load_index()
        assert loaded is not None and records(loaded) == records(index) and loaded.number == number
    index.roll_back_last_block()
    snapshot.save_index(index)
    loaded = IndexSnapshot(path, DEPLOYMENT).load_index()
    assert loaded is not None and records(loaded) == records(index) and loaded.number == 14


def test_two_processes_may_share_a_file(path: Path) -> None:
    first, second = IndexSnapshot(path, DEPLOYMENT), IndexSnapshot(path, DEPLOYMENT)
    ours, theirs = an_index(), an_index()
    first.save_index(ours)
    theirs.apply(BlockChanges(13, "13", "twelve", [VaultChanged(0, owner(4), 1, 1)]))
    second.save_index(theirs)
    # The change of block 13 is not ours to keep.
    ours.apply(BlockChanges(13, "thirteen", "twelve", [VaultChanged(0, owner(6), 2, 2)]))
    first.save_index(ours)
    loaded = IndexSnapshot(path, DEPLOYMENT).load_index()
    assert loaded is not None and loaded.hash == "thirteen" and records(loaded) == records(ours)


def test_other_chains_and_deployments_are_refused(path: Path) -> None:
    IndexSnapshot(path, DEPLOYMENT).save_index(an_index())
    elsewhere = plan_deployment(build_standard_parameters(), chain_id=5)
    assert "is of chain 31337, not of chain 5" in refused(path, elsewhere)
    assert "is of chain 5, not of chain 31337" in refused(path)
    assert "is of another deployment" in refused(
        path, plan_deployment(build_standard_parameters(), first_nonce=1)
    )
    assert "is of another deployment" in refused(path, dataclasses.replace(DEPLOYMENT, block=7))


def test_later_schemas_are_refused(path: Path) -> None:
    IndexSnapshot(path, DEPLOYMENT).save_index(an_index())
    with sqlite3.connect(path) as file:
        file.execute("PRAGMA user_version = 2")
    file.close()
    assert "has schema version 2, this program reads 1" in refused(path)


@pytest.mark.parametrize("kept", (3, 10, 25, 50, 75, 99))
def test_half_a_file_is_refused(path: Path, kept: int) -> None:
    IndexSnapshot(path, DEPLOYMENT).save_index(an_index())
    os.truncate(path, path.stat().st_size * kept // 100)
    assert "is not a valid snapshot" in refused(path)


def test_missing_vaults_are_noticed(path: Path) -> None:
    for what in ("row = 7", f"row = {VAULTS // 2 - 1} AND collateral_type = 1"):
        IndexSnapshot(path, DEPLOYMENT).save_index(an_index())
        with sqlite3.connect(path) as file:
            file.execute(f"DELETE FROM vaults WHERE {what}")
        file.close()
        assert "is not a valid snapshot" in refused(path)


def test_other_files_are_left_alone(path: Path) -> None:
    path.parent.mkdir()
    for make in (lambda: path.write_text('{"a deployment": "file"}' * 100), lambda: _other_database(path)):
        make()
        before = path.read_bytes()
        with pytest.raises(UnusableSnapshotError):
            IndexSnapshot(path, DEPLOYMENT).load_index()
        with pytest.raises(BackstopError, match="is not a snapshot of an index and stays as it is"):
            IndexSnapshot(path, DEPLOYMENT).save_index(an_index())
        assert path.read_bytes() == before
        path.unlink()
    with pytest.raises(BackstopError, match="cannot be written"):
        IndexSnapshot(path.parent, DEPLOYMENT).save_index(an_index())


def _other_database(path: Path) -> None:
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE accounts (name TEXT)")
    file.close()


def _save_for_ever(path: Path) -> None:
    """Every vault has as much locked as the number of the block that the index is at."""
    snapshot = IndexSnapshot(path, DEPLOYMENT)
    index = snapshot.load_index() or VaultIndex(0, "0")
    while True:
        number = index.number + 1
        changes = [VaultChanged(0, owner(n), number, number) for n in range(VAULTS)]
        index.apply(BlockChanges(number, str(number), index.hash, changes))
        snapshot.save_index(index)


@pytest.mark.deep(brief="tests/backstop/live/index/test_snapshot.py::test_half_a_file_is_refused")
def test_a_kill_at_any_moment_leaves_a_whole_snapshot(path: Path) -> None:
    reached = attempts = 0
    while reached < 5:
        attempts += 1
        child = os.fork()
        if child == 0:
            try:
                _save_for_ever(path)
            finally:
                os._exit(1)
        time.sleep(0.005 * attempts)
        os.kill(child, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        # As a copy: loading repairs the file, and the next process has to cope with it as it is.
        copy = path.with_name("copy.db")
        for suffix in ("", "-journal"):
            if path.with_name(path.name + suffix).exists():
                shutil.copyfile(path.with_name(path.name + suffix), copy.with_name(copy.name + suffix))
        index = IndexSnapshot(copy, DEPLOYMENT).load_index()
        for each in path.parent.glob("copy.db*"):
            each.unlink()
        if index is not None:
            assert index.number >= reached
            reached = index.number
            assert set(records(index).values()) == {VaultRecord(reached, reached)} and len(index) == VAULTS
