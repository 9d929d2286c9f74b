"""Vaults in order beside a live mirror, and the file that a keeper goes on from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backstop.cli.keeper import cli
from backstop.deployment.accounts import account
from backstop.errors import BackstopError
from backstop.hosts.words import words_of
from backstop.keepers.view import View
from backstop.live.follow.mirror import Reorganised
from backstop.live.index import Follower, UnusableSnapshot
from backstop.live.node.signers import Signers
from backstop.live.operate.system import LiveSystem, market_view
from tests.support.town import Town

BRIEF = "tests/backstop/live/index/test_book.py::test_it_finds_what_a_look_at_all_vaults_finds"

pytestmark = pytest.mark.anvil

Open = Callable[..., LiveSystem]


@pytest.fixture
def begin(town: Town) -> Open:
    """What a keeper looks at, each time anew; `said` hears how it starts."""

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
        system.follow()
    except Reorganised:
        system.restart()


def found(view: View) -> list[list[object]]:
    """Everything that is looked for among all vaults."""
    return [
        [look(c) for c in view.types]
        for look in (view.unsafe, view.callable, view.calls, view.spared, view.restructurable)
    ]


def test_it_finds_what_a_look_at_all_vaults_finds(town: Town, begin: Open) -> None:
    """Through falls of the price, calls that are met and run out, and reorganisations."""
    system, seen = begin(), set[int]()

    def compare() -> None:
        follow(system)
        view = market_view(system.mirror, system.timestamp, finder=system.book.index)
        tables = {name: each.tables for name, each in system.mirror.model.world.contracts.items()}
        plain = View(
            tables, view.addresses, view.timestamp, view.outside, town.deployment.parameters, number=1
        )
        assert found(view) == found(plain)
        seen.update(i for i, each in enumerate(found(view)) if any(each))

    borrower, saver = account("borrower"), account("saver")
    compare()
    town.post(1_470)  # under the call ratio
    compare()
    for owner in (borrower, saver):
        town.do("LiquidationEngine.call", 0, owner, sender="caller")
    compare()
    assert town.do("VaultEngine.deposit_and_draw", 0, saver, 0, 0, saver, sender="saver") is None
    compare()
    town.request("anvil_reorg", 2, [])
    compare()
    town.pass_time(3_700)
    compare()
    town.post(1_100)
    compare()
    assert town.do("LiquidationEngine.liquidate", 0, borrower, saver, sender="saver") is None
    compare()
    assert seen == {0, 1, 2}
    assert system.book.index.vault(0, borrower).normalized_debt == 0


@pytest.mark.deep(
    brief="tests/backstop/live/index/test_book.py::test_it_finds_what_a_look_at_all_vaults_finds"
)
def test_it_goes_on_from_its_file(town: Town, begin: Open, tmp_path: Path) -> None:
    file, said = tmp_path / "kept" / "vaults.db", list[str]()
    first = begin(file)
    first.book.save()
    saved_at = first.mirror.block
    town.open("taker", 50, 20_000)
    # What is written is what has changed.
    first.follow()
    first.book.save()
    town.open("liquidator", 50, 20_000)

    second = begin(file, said)
    assert said == [f"going on after block {saved_at + 3}"]
    plain = begin()
    assert words_of(second.mirror.model.world) == words_of(plain.mirror.model.world)
    assert second.book.index.normalized_debt(0) == plain.book.index.normalized_debt(0)
    # What was followed is not followed again: all slots are compared, once.
    second.mirror.chain.learn_world(second.mirror.model.world)
    slots = sum(place.fields for place in second.mirror.chain.places)
    assert second.mirror.fields_compared < slots + plain.mirror.fields_compared / 10
    second.check()
    # The chain is reorganised before its eyes: what is no longer so goes from the file.
    second.book.save()
    town.request("anvil_reorg", 2, [])
    follow(second)
    second.book.save()
    kept = begin(file, said)
    assert said[-1] == f"going on after block {second.mirror.block}"
    assert words_of(kept.mirror.model.world) == words_of(second.mirror.model.world)
    # And while nobody looks.
    town.request("anvil_reorg", 4, [])
    third = begin(file, said)
    assert said[-1] == f"going on after block {saved_at + 2}"
    plain = begin()
    assert words_of(third.mirror.model.world) == words_of(plain.mirror.model.world)
    third.check()
    begin(file, said, cold=True)
    assert len(said) == 3


@pytest.mark.deep(brief=BRIEF)
def test_the_file_is_a_snapshot_of_the_index(town: Town, begin: Open, tmp_path: Path) -> None:
    """Each goes on from what the other has saved, and finds its way back as well."""
    file, said = tmp_path / "vaults.db", list[str]()
    assert town.do("LiquidationEngine.call", 0, account("borrower"), sender="caller") is not None
    town.post(1_470)
    assert town.do("LiquidationEngine.call", 0, account("borrower"), sender="caller") is None
    begin(file).book.save()
    town.request("anvil_reorg", 1, [])
    follower = town.follower(snapshot=file, say=said.append)
    follower.catch_up()
    assert said[0].startswith("the chain was reorganised: back from block")
    assert follower.verify(10) == [] and len(follower.index) == 2
    follower.save()
    town.open("taker", 50, 20_000)
    keeper = begin(file, said)
    assert said[-1].startswith("going on after block")
    keeper.book.save()
    again = town.follower(snapshot=file)
    assert again.index.number == keeper.mirror.block and len(again.index) == 3
    again.catch_up()
    assert again.verify(10) == []
    # One that only the index has written is no start for a keeper, and is kept as well.
    other = tmp_path / "other.db"
    cold = Follower(town.node, town.deployment, artifacts=town.artifacts, snapshot=other)
    cold.catch_up()
    cold.save()
    begin(other, said).book.save()
    begin(other, said)
    assert said[-1] == f"going on after block {keeper.mirror.block}"


def test_another_deployments_file_is_refused(town: Town, begin: Open, tmp_path: Path) -> None:
    file = tmp_path / "vaults.db"
    file.write_text("not a database, but longer than the head of one" * 9)
    with pytest.raises(UnusableSnapshot, match="start from nothing with --cold, or name another file"):
        begin(file)
    with pytest.raises(BackstopError, match="is no snapshot of an index and stays as it is"):
        begin(file, cold=True).book.save()


@pytest.mark.deep(brief=BRIEF)
def test_the_command_goes_on(town: Town, town_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "keeper.yaml"
    file.write_text(
        f"schema_version: 1\nnetwork: {town.devnet.url}\nroles: [crank]\nsnapshot: kept/vaults.db\n"
        f"deployment: {town_folder / 'deployment.json'}\njournal: kept\n"
    )
    flags = ["--config", str(file), "--once", "--dry-run"]
    first = CliRunner(mix_stderr=False).invoke(cli, flags)
    assert first.exit_code == 0 and "going on" not in first.stderr, first.stderr
    assert (tmp_path / "kept" / "vaults.db").exists()
    block = town.node.head().number
    town.open("taker", 50, 20_000)
    assert f"going on after block {block}" in CliRunner(mix_stderr=False).invoke(cli, flags).stderr
    assert "going on" not in CliRunner(mix_stderr=False).invoke(cli, [*flags, "--cold"]).stderr
