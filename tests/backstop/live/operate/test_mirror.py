"""The mirror of a live chain: through reorganisations, against tampered storage, from a checkpoint on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from backstop.deployment.planned_contracts import Deployment
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.rpc_client import NodeClient, NodeUnavailableError
from backstop.hosts.world_storage_json import encode_nonzero_storage_words
from backstop.live.mirror.chain_mirror import Mirror, ReorgError
from backstop.live.node.live_host import LiveHost
from backstop.live.node.signers import Signers
from backstop.live.operate.live_system import LiveSystem
from backstop.model.arithmetic import WAD
from backstop.system import Action
from tests.support.devnet_process import Devnet

BRIEF = "tests/backstop/live/operate/test_mirror.py::test_it_goes_back_to_where_the_chain_forked"


@pytest.fixture
def follow(attach: Callable[..., LiveSystem]) -> Callable[..., Mirror]:
    """Begins a mirror of its own, which keeps so many blocks."""

    def begin(depth: int = 8) -> Mirror:
        system = attach()
        host = LiveHost(system.node, Signers(test_accounts=False))
        mirror = Mirror(system.node, host, system.chain, system.deployment, depth=depth)
        mirror.sync_to_head()
        return mirror

    return begin


def mint(system: LiveSystem, amount: int, who: str = "borrower") -> None:
    """One block with one transaction of the deployment."""
    assert system.apply(Action("ETH", "mint", (get_account(who), amount), get_account("borrower"))).ok


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize("lost", [1, 3])
def test_it_goes_back_to_where_the_chain_forked(
    lost: int, attach: Callable[..., LiveSystem], follow: Callable[..., Mirror], devnet: Devnet
) -> None:
    system = attach()
    for i in range(4):
        mint(system, (i + 1) * WAD)
    mirror = follow()
    mirror.sync_to_head()
    before = mirror.block
    devnet.node.request("anvil_reorg", lost, [])
    with pytest.raises(ReorgError, match="no longer part"):
        mirror.sync_to_head()
    assert mirror.roll_back_after_reorg() == f"{lost} taken back" and mirror.block == before - lost
    mirror.sync_to_head()
    mirror.compare_all_known_slots()
    kept = sum(range(1, 5 - lost)) * WAD
    assert mirror.model.view("ETH", "balanceOf", get_account("borrower")) == kept
    assert mirror.differences == [] and {seen.block for seen in mirror.seen} <= set(range(before - lost + 1))
    # What it holds is what a mirror that never saw the other blocks holds.
    assert encode_nonzero_storage_words(mirror.model.world) == encode_nonzero_storage_words(
        follow().model.world
    )


@pytest.mark.deep(brief=BRIEF)
def test_a_reorganisation_deeper_than_it_keeps_starts_anew(
    attach: Callable[..., LiveSystem], follow: Callable[..., Mirror], devnet: Devnet
) -> None:
    system = attach()
    for _ in range(4):
        mint(system, WAD)
    mirror = follow(depth=2)
    devnet.node.request("anvil_reorg", 3, [])
    with pytest.raises(ReorgError):
        mirror.sync_to_head()
    assert (
        mirror.roll_back_after_reorg() == "following again from the start"
        and mirror.block == mirror.deployment.block
    )
    mirror.sync_to_head()
    mirror.compare_all_known_slots()
    assert mirror.model.view("ETH", "balanceOf", get_account("borrower")) == WAD
    assert mirror.differences == []


def test_a_block_and_its_receipts_are_of_one_chain(
    attach: Callable[..., LiveSystem],
    follow: Callable[..., Mirror],
    devnet: Devnet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system, mirror = attach(), follow()
    mint(system, WAD)
    ask = mirror.node.client.call_method_in_batches

    def asked(method: str, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The chain is reorganised between the two questions."""
        if method == "eth_getBlockReceipts":
            monkeypatch.undo()
            devnet.node.request("anvil_reorg", 1, [])
        return ask(method, calls)

    monkeypatch.setattr(mirror.node.client, "call_method_in_batches", asked)
    with pytest.raises(NodeUnavailableError, match="went back while it was read"):
        mirror.sync_to_head()
    mirror.sync_to_head()
    mirror.compare_all_known_slots()
    assert mirror.hash == devnet.node.get_head().hash and mirror.differences == []
    assert mirror.model.view("ETH", "balanceOf", get_account("borrower")) == 0


def test_a_block_that_goes_while_its_state_is_read_is_no_missing_state(
    attach: Callable[..., LiveSystem],
    follow: Callable[..., Mirror],
    devnet: Devnet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system, mirror = attach(), follow()
    mint(system, WAD)
    read = mirror.host.read_slots

    def asked(*args: Any) -> list[int]:
        """The chain is shorter by then."""
        monkeypatch.undo()
        devnet.node.request("anvil_rollback", 1)
        return read(*args)

    monkeypatch.setattr(mirror.host, "read_slots", asked)
    with pytest.raises(ReorgError, match="no longer part"):
        mirror.sync_to_head()
    assert mirror.roll_back_after_reorg() == "1 taken back"
    mirror.compare_all_known_slots()
    assert mirror.differences == []


@pytest.mark.deep(brief=BRIEF)
@pytest.mark.parametrize("change", ["anvil_rollback", "anvil_reorg"])
def test_a_chain_may_go_back_while_its_history_is_read(
    change: str, attach: Callable[..., LiveSystem], devnet: Devnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = attach()
    for _ in range(3):
        mint(system, WAD)
    ask = NodeClient.call_method_in_batches

    def asked(self: NodeClient, method: str, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The newest blocks are others by the time of the first question for blocks, or of receipts."""
        if method == ("eth_getBlockReceipts" if change == "anvil_reorg" else "eth_getBlockByNumber"):
            monkeypatch.undo()
            devnet.node.request(change, 2, *([[]] if change == "anvil_reorg" else []))
        return ask(self, method, calls)

    monkeypatch.setattr(NodeClient, "call_method_in_batches", asked)
    opened = attach()
    assert opened.mirror.hash == devnet.node.get_head().hash and opened.mirror.differences == []
    assert opened.mirror.model.view("ETH", "balanceOf", get_account("borrower")) == WAD


def test_memory_does_not_grow(attach: Callable[..., LiveSystem], follow: Callable[..., Mirror]) -> None:
    system, mirror = attach(), follow(depth=4)
    sizes = []
    for _ in range(12):
        mint(system, WAD)
        mirror.sync_to_head()
        mirror.seen.clear()
        sizes.append((len(mirror.model.world.journal), len(mirror._past.blocks), len(mirror.steps)))
    assert sizes[6:] == [sizes[6]] * 6 and sizes[6][1:] == (5, 0)


def test_a_history_is_left_when_told_to(devnet: Devnet, deployment: Deployment) -> None:
    """Between two blocks, and in one line."""
    asked = iter([False, False, True, True])
    with pytest.raises(BackstopError, match=r"^stopped at block 2, before anything was done$"):
        LiveSystem(devnet.node, deployment, Signers(test_accounts=True), stop=lambda: next(asked))


def test_replay_equals_following(
    attach: Callable[..., LiveSystem], follow: Callable[..., Mirror], devnet: Devnet
) -> None:
    system, live = attach(), follow()
    for i in range(3):
        mint(system, WAD * i)
        live.sync_to_head()
    replayed = follow()
    assert (replayed.block, replayed.hash) == (live.block, live.hash)
    assert encode_nonzero_storage_words(replayed.model.world) == encode_nonzero_storage_words(
        live.model.world
    )
    assert replayed.differences == live.differences == []


def test_a_tampered_slot_is_named(
    attach: Callable[..., LiveSystem], follow: Callable[..., Mirror], devnet: Devnet, deployment: Deployment
) -> None:
    mirror = follow()
    slot = mirror.chain.compute_slot("VaultEngine", "terms.of_types", 0)
    engine, node = deployment.addresses["VaultEngine"], devnet.node
    word = int(node.request("eth_getStorageAt", engine, hex(slot), "latest"), 16)
    ratio = mirror.model.world.contracts["VaultEngine"].tables["terms.of_types"][0].liquidation_ratio
    node.request("anvil_setStorageAt", engine, f"{slot:#066x}", f"{word + (1 << 212):#066x}")
    node.request("evm_mine")
    mirror.sync_to_head()
    mirror.compare_all_known_slots()
    (difference,) = mirror.differences
    assert difference == (
        f"block {mirror.block}: VaultEngine terms.of_types[0].liquidation_ratio: "
        f"model {ratio}, chain {ratio + 1}"
    )
    # Reported once: the chain counts from then on.
    mirror.compare_all_known_slots()
    assert len(mirror.differences) == 1


def test_it_goes_on_from_a_state(attach: Callable[..., LiveSystem], follow: Callable[..., Mirror]) -> None:
    system, first = attach(), follow()
    mint(system, WAD)
    first.sync_to_head()
    state = first.export_state()
    mint(system, WAD)
    second = follow()
    second._start_empty_model()
    assert second.restore_state(state) and second.block == first.block
    second.sync_to_head()
    second.compare_all_known_slots()
    assert second.differences == [] and len(second.seen) == 1
    assert encode_nonzero_storage_words(second.model.world) == encode_nonzero_storage_words(
        follow().model.world
    )
    # From a chain that it does not share a block with there is no way.
    lost = [{**each, "hash": "0x" + "00" * 32} for each in state["kept"]]
    assert not second.restore_state({**state, "kept": lost})


@pytest.mark.deep(brief="tests/backstop/live/operate/test_mirror.py::test_it_goes_on_from_a_state")
def test_it_goes_back_from_a_state(
    attach: Callable[..., LiveSystem], follow: Callable[..., Mirror], devnet: Devnet
) -> None:
    """The chain was reorganised while no mirror followed it."""
    system, first = attach(), follow()
    for i in range(4):
        mint(system, (i + 1) * WAD)
        first.sync_to_head()
    state = json.loads(json.dumps(first.export_state()))
    devnet.node.request("anvil_reorg", 3, [])
    second = follow()
    assert second.restore_state(state) and second.block == first.block - 3
    second.sync_to_head()
    second.compare_all_known_slots()
    assert second.differences == []
    assert encode_nonzero_storage_words(second.model.world) == encode_nonzero_storage_words(
        follow().model.world
    )


def test_what_may_have_changed_is_noted(
    attach: Callable[..., LiveSystem], follow: Callable[..., Mirror], devnet: Devnet
) -> None:
    system, mirror = attach(), follow()
    before = encode_nonzero_storage_words(mirror.model.world)
    mirror.touched_slots.clear()
    mint(system, WAD)
    mirror.sync_to_head()
    assert ("ETH", "balanceOf", get_account("borrower")) in mirror.touched_slots
    mirror.touched_slots.clear()
    devnet.node.request("anvil_reorg", 1, [])
    mirror.roll_back_after_reorg()
    assert ("ETH", "balanceOf", get_account("borrower")) in mirror.touched_slots
    assert encode_nonzero_storage_words(mirror.model.world) == before
