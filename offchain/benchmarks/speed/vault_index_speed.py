"""Speed and memory of the vault index, beside alternatives in the same run."""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

import numpy as np

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.planned_contracts import Deployment, plan_deployment
from backstop.errors import BackstopError
from backstop.hosts.abi_codec import Event
from backstop.hosts.anvil import AnvilProcess
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.free_ports import find_free_non_ephemeral_port
from backstop.live.index.index_follower import IndexFollower
from backstop.live.index.index_snapshot import IndexSnapshot
from backstop.live.index.liquidation_pricing_inputs import PricingConditions
from backstop.live.index.vault_index_state import BlockChanges, VaultChanged, VaultIndex
from backstop.live.node.rpc_node import Node
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY
from backstop.model.risk_policy import Terms
from benchmarks.speed.speed_comparison_row import SpeedRow

VAULTS = 1_000_000
UNSAFE = 100
"""Approximate number of vaults that each price makes unsafe."""

_UPDATES, _SCANS, _TOUCHED = 300, 5, 100
_BRACKETS = Terms(1_000_000, 500, 5_000_000, 500)
_RATIO = 14_500
_LOGS_A_BLOCK = 1_000


class VaultColumns(NamedTuple):
    """Vaults of the first collateral type as columns: owners, collateral [wad], normalized debt [wad]."""

    owners: list[bytes]
    locked: list[int]
    normalized_debt: list[int]


def make_vault_columns(vaults: int, seed: int = 1) -> VaultColumns:
    """Return random vaults with debts of 2,000 to 10 million and collateral ratios of 1.55 to 6.

    The logarithm of the debt is uniform, so that each decade of debts has equally many vaults.
    """
    dice = random.Random(seed)
    owners, locked, debts = [], [], []
    for _ in range(vaults):
        debt = int(2_000 * 5_000 ** dice.random() * 10**6) * 10**12
        owners.append(dice.randbytes(20))
        debts.append(debt)
        locked.append(debt * dice.randrange(15_500, 60_000) // (BASIS_POINTS * 2_000))
    return VaultColumns(owners, locked, debts)


def build_index(book: VaultColumns) -> VaultIndex:
    """Return a vault index with all vaults of the book."""
    index = VaultIndex(0, "0")
    for number, vault in enumerate(zip(*book, strict=True), 1):
        index.apply(BlockChanges(number, str(number), index.hash, [VaultChanged(0, *vault)]), final=True)
    index.find_unsafe(0, PricingConditions(1, RAY, 0, _RATIO))
    return index


def measure_index(vaults: int, say: Callable[[str], None]) -> Iterator[SpeedRow]:
    """Yield the speed and memory of the index with `vaults` vaults, and of its alternatives.

    `say` receives progress messages.
    """
    say(f"a book of {vaults:,} vaults")
    book = make_vault_columns(vaults)
    with tempfile.TemporaryDirectory(prefix="backstop-") as name:
        folder = Path(name)
        yield from _measure_starts(book, folder, say)
        say("memory")
        yield from _measure_memory(folder, vaults)
        say("price updates")
        yield from _measure_updates(book)


# ---------------------------------------------------------------------- starts


def _measure_starts(book: VaultColumns, folder: Path, say: Callable[[str], None]) -> Iterator[SpeedRow]:
    """Yield the seconds to start the index from a node's events, from a snapshot, and to save it."""
    deployment, artifacts = plan_deployment(build_standard_parameters()), Artifacts()
    port = str(find_free_non_ephemeral_port())
    anvil = AnvilProcess("--port", port, "--no-mining", "--disable-block-gas-limit")
    try:
        url = f"http://127.0.0.1:{port}"
        anvil.connect_client(url).close()
        node = Node(url, timeout=600.0)
        deployment = replace(deployment, genesis=node.genesis)
        say("events on a node")
        _emit_vault_events(node, deployment, artifacts, book)
        say("a start from its events")
        follower = IndexFollower(node, deployment, artifacts=artifacts, snapshot=folder / "vaults.db")
        cold = _time_wall(follower.sync_to_head)
        _require_equal_results(len(follower.index), len(book.owners))
        saved = _time_wall(follower.save_snapshot)
        say("a start from the snapshot")
        began = time.perf_counter()
        again = IndexFollower(node, deployment, artifacts=artifacts, snapshot=folder / "vaults.db")
        again.sync_to_head()
        warm = time.perf_counter() - began
        _require_equal_results(again.index.get_normalized_debt(0), sum(book.normalized_debt))
    finally:
        anvil.stop_process()
    size = (folder / "vaults.db").stat().st_size
    yield SpeedRow(
        "start", "cold: a VaultChanged of each vault, eth_getLogs on Anvil", f"{cold:.1f} s", "1.0"
    )
    yield SpeedRow("start", f"warm: snapshot of {size / 1e6:.0f} MB", f"{warm:.1f} s", f"{warm / cold:.2f}")
    yield SpeedRow("start", "saving all of it", f"{saved:.1f} s", f"{saved / cold:.2f}")


# Code that logs an event for each 128 bytes of call data: type, owner, locked collateral, normalized debt.
_EMITTER = (
    "5f",  # i = 0
    "5b8036146042" + "57",  # loop: until i == calldatasize
    "6040816040015f37",  # mem[0:64] = calldata[i + 64 : i + 128]
    "806020013581357f{topic}60405fa3",  # log mem[0:64] with the topic, calldata[i], calldata[i + 32]
    "6080016001565b00",  # i += 128, loop
)


def _emit_vault_events(node: Node, deployment: Deployment, artifacts: Artifacts, book: VaultColumns) -> None:
    """Emit one VaultChanged event for each vault of the book on a real node.

    The vault engine's code is replaced by code that logs its call data. This avoids a million transactions.
    """
    engine, event = deployment.addresses["VaultEngine"], _get_vault_event(artifacts)
    code = "".join(_EMITTER).format(topic=event.topic.hex())
    node.request("anvil_setCode", engine, "0x" + code)
    rows = list(zip(*book, strict=True))
    for start in range(0, len(rows), _LOGS_A_BLOCK):
        words = [
            word.to_bytes(32, "big")
            for owner, *amounts in rows[start : start + _LOGS_A_BLOCK]
            for word in (0, int.from_bytes(owner, "big"), *amounts)
        ]
        call = {"from": deployment.deployer, "to": engine, "data": "0x" + b"".join(words).hex()}
        node.request("eth_sendTransaction", call | {"gas": hex(10_000 * _LOGS_A_BLOCK), "gasPrice": "0x0"})
        node.request("evm_mine")


def _get_vault_event(artifacts: Artifacts) -> Event:
    events = artifacts["VaultEngine"].contract_abi.events.values()
    return next(event for event in events if event.name == "VaultChanged")


# ---------------------------------------------------------------------- memory


def _measure_memory(folder: Path, vaults: int) -> Iterator[SpeedRow]:
    """Yield the memory of the index, and of a list of tuples, each in a new process."""
    first = 0
    for way, listed in (("the index", False), ("a list of tuples, as in the keepers' view", True)):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            grown = process.submit(_measure_index_memory_growth, folder, listed).result()
        first = first or grown
        yield SpeedRow(
            "memory", way, f"{grown / 1e6:.0f} MB, {grown / vaults:.0f} B a vault", f"{grown / first:.1f}"
        )


def _measure_index_memory_growth(folder: Path, makes_list: bool) -> int:
    """Return the memory growth of this process from loading the index, or a list of its vaults [bytes]."""
    before = _read_resident_bytes()
    index = IndexSnapshot(folder / "vaults.db", plan_deployment(build_standard_parameters())).load_index()
    assert index is not None
    if not makes_list:
        return _read_resident_bytes() - before
    vaults = index.types[0]
    before = _read_resident_bytes()
    view = [vaults.get_vault(row, RAY) for row in range(len(vaults))]
    grown = _read_resident_bytes() - before
    del view
    return grown


def _read_resident_bytes() -> int:
    """Return the resident memory of this process [bytes]."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


# --------------------------------------------------------------- price updates


def _measure_updates(book: VaultColumns) -> Iterator[SpeedRow]:
    """Yield the CPU time of a price update by the index, and by scans over all vaults.

    Each update has about UNSAFE unsafe vaults, a higher rate, and 100 changed vaults. CPU time is measured
    because it depends little on other users of the machine.
    """
    index, dice = build_index(book), random.Random(2)
    price = _find_price_for_unsafe_count(index, UNSAFE)
    asked, touched, found = [], [], 0
    for number in range(_UPDATES):
        rate = RAY + number * RAY // 10**6
        at = PricingConditions(price * rate // RAY, rate, 0, _RATIO, _BRACKETS)
        changes = []
        for _ in range(_TOUCHED):
            row = dice.randrange(len(book.owners))
            book.locked[row] += book.locked[row] * dice.randrange(100) // 10_000
            changes.append(VaultChanged(0, book.owners[row], book.locked[row], book.normalized_debt[row]))
        block = BlockChanges(index.number + 1, str(index.number + 1), index.hash, changes)
        touched.append(_measure_thread_cpu_seconds(partial(index.apply, block)) / _TOUCHED)
        asked.append(_measure_thread_cpu_seconds(partial(index.find_unsafe, 0, at)))
        found += len(index.find_unsafe(0, at))
    ours = median(asked)
    what = f"price update, {found / _UPDATES:.0f} unsafe, processor time"
    yield SpeedRow(what, "the index, median", _format_millis(ours), "1.0")
    yield SpeedRow(what, "the index, 99th percentile", _format_millis(quantiles(asked, n=100)[98]), "")
    expected = {vault.owner for vault in index.find_unsafe(0, at)}
    for way, scan in (
        ("a scan, integers", partial(_list_unsafe_vault_owners, list(zip(*book, strict=True)))),
        ("a scan, numpy's floats, then integers", _NumpyColumns(book).list_unsafe_vault_owners),
    ):
        taken = [_measure_thread_cpu_seconds(partial(scan, at)) for _ in range(_SCANS)]
        _require_equal_results({"0x" + owner.hex() for owner in scan(at)}, expected)
        yield SpeedRow(what, f"{way}, median", _format_millis(median(taken)), f"{median(taken) / ours:,.1f}")
    yield SpeedRow(
        "a vault touched, processor time", "the index, median", f"{median(touched) * 1e6:.1f} µs", ""
    )


def _find_price_for_unsafe_count(index: VaultIndex, unsafe_count: int) -> int:
    """Return the lowest price, within 0.001, at which at most `unsafe_count` vaults are unsafe [ray]."""
    low, high = RAY, 10_000 * RAY
    while high - low > RAY // 1_000:
        price = (low + high) // 2
        many = len(index.find_unsafe(0, PricingConditions(price, RAY, 0, _RATIO, _BRACKETS))) > unsafe_count
        low, high = (price, high) if many else (low, price)
    return high


def _list_unsafe_vault_owners(
    vault_rows: list[tuple[bytes, int, int]], conditions: PricingConditions
) -> list[bytes]:
    """Return the owners of unsafe vaults, by a scan with the formula of the keepers' view."""
    scaled, rate, ratio = conditions.price * BASIS_POINTS, conditions.rate, conditions.liquidation_ratio
    return [
        owner
        for owner, locked, art in vault_rows
        if locked * scaled < art * rate * ratio + conditions.policy.add_on(art * rate)
    ]


class _NumpyColumns:
    """The same book as NumPy floats, for a fast but inexact test of all vaults."""

    def __init__(self, book: VaultColumns) -> None:
        self.rows = list(zip(*book, strict=True))
        self.locked = np.array(book.locked, dtype=float)
        self.normalized_debt = np.array(book.normalized_debt, dtype=float)

    def list_unsafe_vault_owners(self, conditions: PricingConditions) -> list[bytes]:
        """Return the owners of unsafe vaults: floats preselect them, and exact integers decide."""
        debt = self.normalized_debt * float(conditions.rate)
        required = debt * float(conditions.liquidation_ratio)
        for above, rate in conditions.policy.of_vaults:
            required += np.maximum(0.0, debt - float(above * RAD)) * float(rate)
        close = np.flatnonzero(self.locked * float(conditions.price * BASIS_POINTS) < required * (1 + 1e-9))
        return _list_unsafe_vault_owners([self.rows[i] for i in close], conditions)


# ---------------------------------------------------------------------- helpers


def _measure_thread_cpu_seconds(run: Callable[[], object]) -> float:
    """Return the CPU seconds of this thread for one call of `run`."""
    began = time.thread_time()
    run()
    return time.thread_time() - began


def _time_wall(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _format_millis(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"


def _require_equal_results(found: object, expected: object) -> None:
    if found != expected:
        raise BackstopError("two ways to the same vaults do not agree: the index is at fault")
