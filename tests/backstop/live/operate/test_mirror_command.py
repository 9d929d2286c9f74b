"""`ape run mirror`: its printed and written output, its resumption, and its end."""

from __future__ import annotations

import gc
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backstop.cli.mirror import cli
from backstop.deployment.planned_contracts import Deployment
from backstop.deployment.role_accounts import get_account
from backstop.hosts.world_storage_json import encode_nonzero_storage_words
from backstop.live.chaos.byzantine_proxy import FAULTS, ByzantineProxy, Fault, RpcExchange
from backstop.live.chaos.leak_detection import read_memory_and_descriptor_usage
from backstop.live.mirror.chain_mirror import open_mirror
from backstop.live.node.rpc_node import Head
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.mirror_loop import MirrorLoop
from backstop.live.operate.network_options import connect_node_with_failover
from backstop.model.arithmetic import WAD
from backstop.system import Action
from tests.support.devnet_process import Devnet
from tests.support.node_faults import ProxyPair

BRIEF = "tests/backstop/live/operate/test_mirror_command.py::test_of_two_nodes_one_may_be_wrong"

LONGER = pytest.mark.deep(
    brief="tests/backstop/live/operate/test_mirror_command.py::test_of_two_nodes_one_may_be_wrong"
)


@pytest.fixture
def run(devnet: Devnet, deployment: Deployment, tmp_path: Path) -> Callable[..., Any]:
    """Invoke the command, on the devnet or on another given node."""

    def invoke(*flags: object) -> Any:
        where = ["--deployment", str(tmp_path / "deployment.json")]
        where += [] if "--network" in flags else ["--network", devnet.url]
        return CliRunner(mix_stderr=False).invoke(cli, [*where, *map(str, flags)])

    return invoke


def mint(system: LiveSystem, amount: int = WAD) -> None:
    who = get_account("borrower")
    assert system.apply(Action("ETH", "mint", (who, amount), who)).ok


def open_and_follow(devnet: Devnet, deployment: Deployment) -> Any:
    """Return the chain's state, as seen by a mirror that asks the node itself."""
    mirror = open_mirror(devnet.node, deployment)
    mirror.replay_to_block(devnet.node.get_head().number)
    return mirror.model.world


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_once(run: Callable[..., Any], devnet: Devnet, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    result = run("--once", "--out", out)
    assert result.exit_code == 0, result.stderr
    head = devnet.node.get_head()
    assert result.stdout.startswith(f"block {head.number}, ") and "; 0 differences; " in result.stdout
    (record,) = lines(out)
    assert (record["block"], record["hash"], record["differences"]) == (head.number, head.hash, [])
    assert record["schema_version"] == 1 and record["fields_compared"] > 100
    run("--once", "--out", out)
    assert len(lines(out)) == 2


def test_a_tampered_slot_is_told_and_fails(
    run: Callable[..., Any], devnet: Devnet, deployment: Deployment, tmp_path: Path
) -> None:
    slot = open_mirror(devnet.node, deployment).chain.compute_slot("VaultEngine", "ledger.system", ())
    devnet.node.request(
        "anvil_setStorageAt", deployment.addresses["VaultEngine"], f"{slot:#066x}", f"{7:#066x}"
    )
    devnet.node.request("evm_mine")
    out = tmp_path / "out.jsonl"
    result = run("--once", "--out", out, "--checkpoint", tmp_path / "checkpoint.json")
    assert result.exit_code == 1
    told = f"block {devnet.node.get_head().number}: VaultEngine ledger.system.reserve: model 0, chain 7"
    assert told in result.stdout and any(told == each for each in lines(out)[0]["differences"])
    assert "Error: model and chain differed in " in result.stderr and result.stderr.count("\n") == 1
    # Whoever goes on from there does not forget.
    assert run("--once", "--checkpoint", tmp_path / "checkpoint.json").exit_code == 1


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize(
    "fault",
    [
        "silent",
        pytest.param("wrong words unproven", marks=LONGER),
        "no events",
        pytest.param("stale head", marks=LONGER),
    ],
)
def test_of_two_nodes_one_may_be_wrong(
    devnet: Devnet, deployment: Deployment, attach: Callable[..., LiveSystem], fault: str, said: list[str]
) -> None:
    """The wrong node is left in a line, no difference is reported, and later blocks are compared."""
    hostile, told = ByzantineProxy(devnet.port), list[str]()
    node = connect_node_with_failover([hostile.url, devnet.url], said.append, timeout=1.0)
    node.require_deployment(deployment)
    loop, system = MirrorLoop(open_mirror(node, deployment), told.append, said.append), attach()
    loop.run_round(None, lambda: False)
    assert node.url == hostile.url
    hostile.fault = next(each for each in FAULTS if each.name == fault)
    loop.run_round(None, lambda: False)  # a head that stays the newest is one that was
    for _ in range(5):
        mint(system)
    node._looked_at = 0.0
    head = devnet.node.get_head().number
    loop.run(patience=30, until=head, interval=0.01)
    assert (loop.mirror.block, loop.found, loop.mirror.unsettled_slots) == (head, 0, set())
    assert node.url == devnet.url and any(each.startswith(f"left the node at {hostile.url}") for each in said)
    assert encode_nonzero_storage_words(loop.mirror.model.world) == encode_nonzero_storage_words(
        open_and_follow(devnet, deployment)
    )
    hostile.close()


@pytest.mark.deep(brief=BRIEF)
def test_a_node_that_takes_over_may_be_behind(
    devnet: Devnet, deployment: Deployment, proxies: ProxyPair, said: list[str]
) -> None:
    """Nothing was reorganised, so nothing is taken back."""
    hostile = ByzantineProxy(devnet.port)
    node = connect_node_with_failover([proxies[0].url, hostile.url], said.append, timeout=2.0)
    node.require_deployment(deployment)
    loop = MirrorLoop(open_mirror(node, deployment), said.append, said.append)
    devnet.node.request("evm_mine")
    loop.run_round(None, lambda: False)
    head = devnet.node.get_head()
    before = devnet.node.request("eth_getBlockByNumber", hex(head.number - 1), False)

    def a_block_behind(talk: RpcExchange) -> None:
        for call, answer in zip(talk.asked, talk.told, strict=True):
            if call["method"] == "eth_blockNumber":
                answer["result"] = before["number"]
            elif call["method"] == "eth_getBlockByNumber" and answer["result"]["hash"] == head.hash:
                answer["result"] = before if call["params"][0] == "latest" else None

    hostile.fault = Fault("behind", "it has not got as far", a_block_behind)
    proxies[0].close()
    began = time.monotonic()

    def caught_up() -> bool:
        if time.monotonic() > began + 1.5:
            hostile.fault = None
        return time.monotonic() > began + 3.0

    loop.run(patience=5, interval=0.02, stop=caught_up)
    assert loop.mirror.block == head.number and node.url == hostile.url
    assert any("left the node at" in each for each in said)
    assert not any("taken back" in each for each in said), said
    hostile.close()


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_mirror.py::test_it_goes_back_to_where_the_chain_forked"
)
def test_it_follows_through_a_reorganisation(
    devnet: Devnet, deployment: Deployment, attach: Callable[..., LiveSystem], tmp_path: Path
) -> None:
    told: list[str] = []
    said: list[str] = []
    out, system = tmp_path / "out.jsonl", attach()
    mirror = open_mirror(devnet.node, deployment)
    watch = MirrorLoop(mirror, told.append, said.append, out=out, each_block=True)
    first = devnet.node.get_head().number

    def mint_thrice() -> None:
        for _ in range(3):
            mint(system)

    steps = iter(
        [
            lambda: None,
            mint_thrice,
            lambda: devnet.node.request("anvil_reorg", 2, []),
            lambda: devnet.node.request("evm_mine"),
        ]
    )

    def stop() -> bool:
        """Asked in every round, which is when something happens."""
        if mirror.block < devnet.node.get_head().number or mirror.hash != devnet.node.get_head().hash:
            return False
        step = next(steps, None)
        if step is not None:
            step()
        return step is None

    watch.run(interval=0.01, stop=stop)
    assert said == [f"block {first + 3} is no longer part of the chain: 2 taken back"]
    numbers = [record["block"] for record in lines(out)]
    assert numbers == [first, *(first + i for i in (1, 2, 3)), *(first + i for i in (2, 3, 4))]
    assert len(told) == len(numbers) and watch.found == 0
    fresh = open_mirror(devnet.node, deployment)
    fresh.replay_to_block(None)
    assert encode_nonzero_storage_words(mirror.model.world) == encode_nonzero_storage_words(fresh.model.world)
    assert lines(out)[-1]["hash"] == fresh.hash


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_mirror.py::test_it_goes_back_to_where_the_chain_forked"
)
def test_a_chain_that_is_shorter_now_is_noticed(
    devnet: Devnet, deployment: Deployment, attach: Callable[..., LiveSystem], tmp_path: Path
) -> None:
    said: list[str] = []
    system, out = attach(), tmp_path / "out.jsonl"
    for _ in range(3):
        mint(system)
    head = devnet.node.get_head().number
    watch = MirrorLoop(open_mirror(devnet.node, deployment), lambda text: None, said.append, out=out)
    watch.run(once=True)
    devnet.node.request("anvil_rollback", 2)
    watch.run(once=True)
    assert said == [f"block {head} is no longer part of the chain: 2 taken back"]
    assert watch.mirror.block == head - 2 and watch.found == 0


@pytest.mark.deep(brief="tests/backstop/live/operate/test_mirror_command.py::test_once")
def test_a_block_that_comes_during_a_look_is_not_left_out(
    devnet: Devnet, deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.jsonl"
    mirror = open_mirror(devnet.node, deployment)
    watch = MirrorLoop(mirror, lambda text: None, lambda text: None, out=out)
    watch.run(once=True)
    head = mirror.node.get_head()

    def asked() -> Head:
        """One more block is mined right after the answer."""
        monkeypatch.undo()
        devnet.node.request("evm_mine")
        return head

    monkeypatch.setattr(mirror.node, "get_head", asked)
    watch.run(once=True)
    watch.run(once=True)
    assert [record["block"] for record in lines(out)] == [head.number, head.number + 1]


def test_it_goes_on_from_its_checkpoint(
    run: Callable[..., Any], attach: Callable[..., LiveSystem], devnet: Devnet, tmp_path: Path
) -> None:
    file, system = tmp_path / "checkpoint.json", attach()
    head = devnet.node.get_head().number
    assert run("--once", "--checkpoint", file).exit_code == 0
    mint(system)
    mint(system)
    result = run("--until-block", head + 1, "--checkpoint", file)
    assert f"going on after block {head}" in result.stderr and f"block {head + 1}, " in result.stdout
    assert json.loads(file.read_text())["block"] == head + 1
    assert f"Error: block {head} is over" in run("--until-block", head, "--checkpoint", file).stderr

    devnet.node.request("anvil_reorg", 2, [])
    result = run("--once", "--checkpoint", file)
    assert result.exit_code == 0
    assert f"going on after block {head}, 1 taken back" in result.stderr
    lost = json.loads(file.read_text())
    for each in lost["kept"]:
        each["hash"] = "0x" + "00" * 32
    file.write_text(json.dumps(lost))
    result = run("--once", "--checkpoint", file)
    assert (
        f"block {lost['block']} of the checkpoint is no longer part of the chain: replaying" in result.stderr
    )


def test_bad_checkpoints_are_named(run: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.json"
    run("--once", "--checkpoint", file)
    whole = json.loads(file.read_text())

    def said(content: str) -> str:
        file.write_text(content)
        result = run("--once", "--checkpoint", file)
        assert result.exit_code == 1 and result.stdout == "" and result.stderr.count("\n") == 1
        assert result.stderr.endswith("remove it, and the mirror replays from the deployment\n")
        return str(result.stderr)

    assert f"Error: {file} is not a valid checkpoint" in said(json.dumps(whole)[:500])
    assert "has schema version 9, this program reads 1" in said(json.dumps({**whole, "schema_version": 9}))
    assert "is of another deployment" in said(json.dumps({**whole, "chain_id": 1}))
    del whole["words"]["VaultEngine"]
    assert f"{file} is not a valid checkpoint (the state has no VaultEngine" in said(json.dumps(whole))


@pytest.mark.deep(brief="tests/backstop/live/operate/test_mirror_command.py::test_once")
def test_a_node_that_forgot_a_state_is_named(
    new_devnet: Callable[..., Devnet], deployed_folder: Path, run: Callable[..., Any]
) -> None:
    pruned = new_devnet("--load-state", str(deployed_folder / "state.json"), "--prune-history")
    block = pruned.node.get_head().number
    for _ in range(3):
        pruned.node.request("evm_mine")
    result = run("--network", pruned.url, "--until-block", block + 1)
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    assert f"Error: the node has no state of block {block + 1} (" in result.stderr
    assert run("--network", pruned.url, "--once").exit_code == 0


@pytest.mark.deep(brief="tests/backstop/live/operate/test_mirror.py::test_memory_does_not_grow")
def test_history_is_left_out_of_collections(devnet: Devnet, deployment: Deployment) -> None:
    """Otherwise old objects are collected so rarely that a page's reference cycles pile up."""
    loop = MirrorLoop(open_mirror(devnet.node, deployment), lambda text: None, lambda text: None)
    try:
        loop.run(once=True)
        assert len(gc.get_objects()) < 1_000 < gc.get_freeze_count()
    finally:
        gc.unfreeze()


@pytest.mark.deep(brief="tests/backstop/live/operate/test_mirror.py::test_memory_does_not_grow")
def test_what_calls_wrote_is_not_kept_for_nobody(devnet: Devnet, deployment: Deployment) -> None:
    """A keeper's index takes it; beside a mirror each slot that was ever written would be there once more."""
    loop = MirrorLoop(open_mirror(devnet.node, deployment), lambda text: None, lambda text: None)
    loop.run(once=True)
    gc.unfreeze()
    assert loop.mirror.configured and not loop.mirror.touched_slots


@pytest.mark.deep(brief="tests/backstop/live/operate/test_mirror.py::test_memory_does_not_grow")
def test_memory_that_is_free_is_given_back(devnet: Devnet, deployment: Deployment) -> None:
    """A mirror works out large figures at each block: the holes that they leave would be its own for good."""
    loop = MirrorLoop(open_mirror(devnet.node, deployment), lambda text: None, lambda text: None)
    loop.run(once=True)
    held = [bytes(2_000) for _ in range(50_000)]
    held = held[::50]
    before = read_memory_and_descriptor_usage(os.getpid(), 0.0)
    loop._saved_at = -1e9
    loop.run(once=True)
    after = read_memory_and_descriptor_usage(os.getpid(), 0.0)
    gc.unfreeze()
    assert before is not None and after is not None and len(held) == 1_000
    assert before.memory - after.memory > 50 << 20


@pytest.mark.deep(brief="tests/backstop/live/operate/test_mirror_command.py::test_once")
def test_what_the_node_forgot_meanwhile_is_told_and_the_newest_block_compared(
    new_devnet: Callable[..., Devnet], deployed_folder: Path, deployment: Deployment, tmp_path: Path
) -> None:
    """A node that is started again, or killed, has no states of old."""
    pruned = new_devnet("--load-state", str(deployed_folder / "state.json"), "--prune-history")
    said, out = list[str](), tmp_path / "mirror.jsonl"
    loop = MirrorLoop(open_mirror(pruned.node, deployment), lambda text: None, said.append, out=out)
    loop.run(once=True)
    block = pruned.node.get_head().number
    for _ in range(3):
        pruned.node.request("evm_mine")
    loop.run(once=True)
    assert [line.partition(":")[0] for line in said] == [
        f"nothing can be compared at block {block + 1}",
        f"nothing can be compared at block {block + 2}",
    ]
    compared = [json.loads(line) for line in out.read_text().splitlines()]
    assert [each["block"] for each in compared] == [block, block + 3] and loop.found == 0


def test_bad_input_is_one_line(run: Callable[..., Any], fresh: Devnet, tmp_path: Path) -> None:
    file = tmp_path / "deployment.json"

    def said(*flags: object) -> str:
        result = run(*flags)
        assert result.exit_code == 1 and result.stdout == "" and result.stderr.count("\n") == 1
        return str(result.stderr)

    assert "no node answers at http://127.0.0.1:1" in said("--network", "http://127.0.0.1:1")
    here, there = fresh.node.genesis, json.loads(file.read_text())["genesis"]
    assert f"a chain with block 0 {there}, the node is on a chain with block 0 {here}:" in said(
        "--network", fresh.url
    )
    assert "--network 'mainnet' is not an address" in said("--network", "mainnet")
    assert "cannot be written" in said("--once", "--out", tmp_path / "deployment.json" / "out")
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "chain_id": 5}))
    assert "the deployment is on chain 5, the node is on chain 31337" in said("--once")
    file.write_text(file.read_text()[:300])
    assert "is not a valid deployment file" in said("--once")
