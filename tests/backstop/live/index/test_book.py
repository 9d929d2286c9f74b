"""Vaults in order next to a live mirror, and the file that a keeper resumes from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backstop.cli.keeper import cli
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.world_storage_json import encode_nonzero_storage_words
from backstop.keepers.keeper_view import KeeperView
from backstop.live.index import IndexFollower, UnusableSnapshotError
from backstop.live.mirror.chain_mirror import ReorgError
from backstop.live.node.signers import Signers
from backstop.live.operate.live_system import LiveSystem, market_view
from tests.support.many_vaults_devnet import ManyVaultsDevnet

BRIEF = "tests/backstop/live/index/test_book.py::test_it_finds_what_a_look_at_all_vaults_finds"

pytestmark = pytest.mark.anvil

Open = Callable[..., LiveSystem]


@pytest.fixture
def begin(town: ManyVaultsDevnet) -> Open:
    """Return a function that opens a keeper's system afresh each time; `said` receives its start-up lines."""

    def open_it(snapshot: Path | None = None, said: list[str] | None = None, **options: Any) -> LiveSystem:
        return LiveSystem(
            town.devnet.node,
            town.deployment,
            Signers(test_accounts=True),
            artifacts=town.artifacts,
            snapshot=snapshot,
            say=(said if said is not None else []).append,
            **options,
        )

    return open_it


def follow(system: LiveSystem) -> None:
    try:
        system.follow_chain()
    except ReorgError:
        system.resync_and_describe_reorg()


def found(view: KeeperView) -> list[list[object]]:
    """Everything that is looked for among all vaults."""
    return [
        [look(c) for c in view.types]
        for look in (
            view.list_unsafe_vaults,
            view.list_callable_vaults,
            view.list_margin_calls,
            view.list_vaults_spared_by_halt,
            view.list_restructurable_vaults,
        )
    ]


def test_it_finds_what_a_look_at_all_vaults_finds(town: ManyVaultsDevnet, begin: Open) -> None:
    """Through price drops, margin calls that are met and that expire, and reorganisations."""
    system, seen = begin(), set[int]()

    def compare() -> None:
        follow(system)
        view = market_view(system.mirror, system.timestamp, finder=system.book.index)
        tables = {name: each.tables for name, each in system.mirror.model.world.contracts.items()}
        plain = KeeperView(
            tables, view.addresses, view.timestamp, view.outside, town.deployment.parameters, number=1
        )
        assert found(view) == found(plain)
        seen.update(i for i, each in enumerate(found(view)) if any(each))

    borrower, saver = get_account("borrower"), get_account("saver")
    compare()
    town.post_prices(1_470)  # under the call ratio
    compare()
    for owner in (borrower, saver):
        town.call_and_return_revert_reason("LiquidationEngine.call", 0, owner, sender="caller")
    compare()
    assert (
        town.call_and_return_revert_reason(
            "VaultEngine.deposit_and_draw", 0, saver, 0, 0, saver, sender="saver"
        )
        is None
    )
    compare()
    town.send_node_request("anvil_reorg", 2, [])
    compare()
    town.pass_time(3_700)
    compare()
    town.post_prices(1_100)
    compare()
    assert (
        town.call_and_return_revert_reason("LiquidationEngine.liquidate", 0, borrower, saver, sender="saver")
        is None
    )
    compare()
    assert seen == {0, 1, 2}
    assert system.book.index.get_vault(0, borrower).normalized_debt == 0


@pytest.mark.deep(
    brief="tests/backstop/live/index/test_book.py::test_it_finds_what_a_look_at_all_vaults_finds"
)
def test_it_goes_on_from_its_file(town: ManyVaultsDevnet, begin: Open, tmp_path: Path) -> None:
    file, said = tmp_path / "kept" / "vaults.db", list[str]()
    first = begin(file)
    first.book.save_state()
    saved_at = first.mirror.block
    town.open_vault("taker", 50, 20_000)
    # What is written is what has changed.
    first.follow_chain()
    first.book.save_state()
    town.open_vault("liquidator", 50, 20_000)

    second = begin(file, said)
    assert said == [f"going on after block {saved_at + 3}"]
    plain = begin()
    assert encode_nonzero_storage_words(second.mirror.model.world) == encode_nonzero_storage_words(
        plain.mirror.model.world
    )
    assert second.book.index.get_normalized_debt(0) == plain.book.index.get_normalized_debt(0)
    # What was followed is not followed again: all slots are compared, once.
    second.mirror.chain.track_world_slots(second.mirror.model.world)
    slots = sum(place.fields for place in second.mirror.chain.places)
    assert second.mirror.fields_compared < slots + plain.mirror.fields_compared / 10
    second.compare_state()
    # The chain is reorganised before its eyes: what is no longer so goes from the file.
    second.book.save_state()
    town.send_node_request("anvil_reorg", 2, [])
    follow(second)
    second.book.save_state()
    kept = begin(file, said)
    assert said[-1] == f"going on after block {second.mirror.block}"
    assert encode_nonzero_storage_words(kept.mirror.model.world) == encode_nonzero_storage_words(
        second.mirror.model.world
    )
    # And while nobody looks.
    town.send_node_request("anvil_reorg", 4, [])
    third = begin(file, said)
    assert said[-1] == f"going on after block {saved_at + 2}"
    plain = begin()
    assert encode_nonzero_storage_words(third.mirror.model.world) == encode_nonzero_storage_words(
        plain.mirror.model.world
    )
    third.compare_state()
    begin(file, said, cold=True)
    assert len(said) == 3


@pytest.mark.deep(brief=BRIEF)
def test_the_file_is_a_snapshot_of_the_index(town: ManyVaultsDevnet, begin: Open, tmp_path: Path) -> None:
    """Each resumes from the file that the other has saved, and also handles a reorg."""
    file, said = tmp_path / "vaults.db", list[str]()
    assert (
        town.call_and_return_revert_reason(
            "LiquidationEngine.call", 0, get_account("borrower"), sender="caller"
        )
        is not None
    )
    town.post_prices(1_470)
    assert (
        town.call_and_return_revert_reason(
            "LiquidationEngine.call", 0, get_account("borrower"), sender="caller"
        )
        is None
    )
    begin(file).book.save_state()
    town.send_node_request("anvil_reorg", 1, [])
    follower = town.build_index_follower(snapshot=file, say=said.append)
    follower.sync_to_head()
    assert said[0].startswith("the chain was reorganised: back from block")
    assert follower.list_sample_differences(10) == [] and len(follower.index) == 2
    follower.save_snapshot()
    town.open_vault("taker", 50, 20_000)
    keeper = begin(file, said)
    assert said[-1].startswith("going on after block")
    keeper.book.save_state()
    again = town.build_index_follower(snapshot=file)
    assert again.index.number == keeper.mirror.block and len(again.index) == 3
    again.sync_to_head()
    assert again.list_sample_differences(10) == []
    # One that only the index has written is no start for a keeper, and is kept as well.
    other = tmp_path / "other.db"
    cold = IndexFollower(town.node, town.deployment, artifacts=town.artifacts, snapshot=other)
    cold.sync_to_head()
    cold.save_snapshot()
    begin(other, said).book.save_state()
    begin(other, said)
    assert said[-1] == f"going on after block {keeper.mirror.block}"


def test_another_deployments_file_is_refused(town: ManyVaultsDevnet, begin: Open, tmp_path: Path) -> None:
    file = tmp_path / "vaults.db"
    file.write_text("not a database, but longer than the head of one" * 9)
    with pytest.raises(UnusableSnapshotError, match="start from nothing with --cold, or name another file"):
        begin(file)
    with pytest.raises(BackstopError, match="is not a snapshot of an index and stays as it is"):
        begin(file, cold=True).book.save_state()


@pytest.mark.deep(brief=BRIEF)
def test_the_command_goes_on(town: ManyVaultsDevnet, town_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "keeper.yaml"
    file.write_text(
        f"schema_version: 1\nnetwork: {town.devnet.url}\nroles: [crank]\nsnapshot: kept/vaults.db\n"
        f"deployment: {town_folder / 'deployment.json'}\njournal: kept\n"
    )
    flags = ["--config", str(file), "--once", "--dry-run"]
    first = CliRunner(mix_stderr=False).invoke(cli, flags)
    assert first.exit_code == 0 and "going on" not in first.stderr, first.stderr
    assert (tmp_path / "kept" / "vaults.db").exists()
    block = town.node.get_head().number
    town.open_vault("taker", 50, 20_000)
    assert f"going on after block {block}" in CliRunner(mix_stderr=False).invoke(cli, flags).stderr
    assert "going on" not in CliRunner(mix_stderr=False).invoke(cli, [*flags, "--cold"]).stderr
