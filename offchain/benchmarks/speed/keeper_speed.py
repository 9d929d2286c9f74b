"""Speed of a live keeper: how it starts, and how fast it answers a new block."""

from __future__ import annotations

import dataclasses
import gc
import random
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import FeedParameters, Parameters
from backstop.deployment.planned_contracts import Deployment
from backstop.deployment.role_accounts import ACCOUNTS, get_account
from backstop.errors import BackstopError
from backstop.hosts.anvil import AnvilProcess
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.free_ports import find_free_non_ephemeral_port
from backstop.live.index.batched_contract_views import VaultViewCalls
from backstop.live.node.live_host import LiveHost
from backstop.live.node.rpc_node import Node
from backstop.live.node.signers import Signers
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.resumable_deployment import deploy_live
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD
from benchmarks.speed.speed_comparison_row import SpeedRow

VAULTS = 10_000
GOAL = 0.250
"""Limit of the answers' 99th percentile [seconds]."""

_ROLES = ["liquidator", "taker", "crank"]
_MOST = 2  # transactions of a role for one block
_WARM_UP, _BLOCKS, _SCANS = 80, 300, 10
_BLOCK_TIME = 60
_PRICE, _RATIO = 2_000, 14_500
_LIQUIDITY = 5_000_000 * WAD
_AT_ONCE = 500  # transactions in a block
_GAS = hex(1_000_000)
_MAKER, _REPORTERS = get_account("market_maker"), [get_account(f"reporter_{i}") for i in (1, 2, 3)]

Say = Callable[[str], None]


class _Vault(NamedTuple):
    owner: str
    locked: int  # wad
    debt: int  # wad

    @property
    def unsafe_at(self) -> int:
        """Price of ether just below which the vault is unsafe [ray]."""
        return self.debt * _RATIO * RAY // (self.locked * BASIS_POINTS) - 1


class _Call(NamedTuple):
    sender: str
    contract: str
    method: str
    args: tuple[Any, ...]


def measure_keeper(vaults: int, say: Say) -> Iterator[SpeedRow]:
    """Yield the speeds of a keeper on a chain with `vaults` vaults: starts, answers and scans.

    `say` receives progress messages.
    """
    with tempfile.TemporaryDirectory(prefix="backstop-") as folder:
        town = _KeeperMarket(Path(folder), _make_book(vaults))
        try:
            say("a deployment")
            town.deploy_protocol_on_anvil()
            say(f"{vaults:,} vaults on it")
            town.open_vaults()
            system = yield from _iter_cold_warm_start_speeds(town, say)
            yield from _measure_block_answer_times(town, system, say)
        finally:
            town.close()


def _make_book(vaults: int, seed: int = 1) -> list[_Vault]:
    """Return random vaults, sorted so that the first is nearest to liquidation.

    Debts are 5,000 to 20,000 stablecoins, collateral ratios 1.55 to 6.
    """
    dice = random.Random(seed)
    found = []
    for _ in range(vaults):
        debt, ratio = dice.randrange(5_000, 20_000) * WAD, dice.randrange(15_500, 60_000)
        locked = debt * ratio // (_PRICE * BASIS_POINTS)
        found.append((ratio, _Vault("0x" + dice.randbytes(20).hex(), locked, debt)))
    return [vault for _, vault in sorted(found)]


class _KeeperMarket:
    """Protocol with a book of vaults, on an Anvil that mines on demand and accepts any sender.

    Transactions have a gas price of zero.
    """

    def __init__(self, folder: Path, book: list[_Vault]) -> None:
        self.folder = folder
        self.book = book
        self.artifacts = Artifacts()
        self.url = f"http://127.0.0.1:{find_free_non_ephemeral_port()}"
        port = self.url.rpartition(":")[2]
        flags = ("--port", port, "--accounts", str(len(ACCOUNTS)), "--disable-block-gas-limit")
        self._anvil = AnvilProcess(*flags)
        for where in (self.url, self._anvil.socket):  # it answers at one before the other is there
            self._anvil.connect_client(where).close()
        self._node = Node(self._anvil.socket, timeout=600.0)
        self.deployment: Deployment
        self._time = 0

    def close(self) -> None:
        self._anvil.stop_process()

    def deploy_protocol_on_anvil(self) -> None:
        file = self.folder / "deployment.json"
        self.deployment = deploy_live(
            self._node, _build_parameters_with_large_limits(), file, Signers(test_accounts=True)
        )
        self._node.request("evm_setAutomine", False)
        self._time = self._node.get_head().timestamp

    def open_vaults(self) -> None:
        """Set the price of ether, fund the market, and open all vaults of the book."""
        engine, market = (self.deployment.addresses[name] for name in ("VaultEngine", "Market.WETH"))
        for _ in range(2):  # a price counts after the second step
            self._mine_block(self._build_price_calls(_PRICE * RAY))
        plenty = 10**9 * WAD
        self._mine_block(
            [
                _Call(_MAKER, "WETH", "mint", (_MAKER, plenty)),
                _Call(_MAKER, "WETH", "approve", (engine, plenty)),
                _Call(_MAKER, "WETH", "approve", (market, plenty)),
                _Call(_MAKER, "Stablecoin", "approve", (market, plenty)),
                _build_draw_call(_MAKER, _MAKER, plenty // 10, 2 * _LIQUIDITY),
            ]
        )
        for start in range(0, len(self.book), _AT_ONCE):
            part = self.book[start : start + _AT_ONCE]
            self._mine_block([_build_draw_call(_MAKER, vault.owner, vault.locked, 0) for vault in part])
            self._mine_block([_build_draw_call(vault.owner, vault.owner, 0, vault.debt) for vault in part])

    def mine_price_drop(self, vault: _Vault) -> None:
        """Mine a block with a price of the feed and the market that makes a vault unsafe.

        The feed's new price becomes current one block later.
        """
        price = vault.unsafe_at
        liquidity = (_LIQUIDITY * RAY // price, _LIQUIDITY)
        self._mine_block(
            [*self._build_price_calls(price), _Call(_MAKER, "Market.WETH", "set_liquidity", liquidity)]
        )

    def _build_price_calls(self, price: int) -> list[_Call]:
        reports = [_Call(reporter, "PriceFeed", "report", (0, price)) for reporter in _REPORTERS]
        return [*reports, _Call(_MAKER, "PriceFeed", "poke", (0,))]

    def _mine_block(self, calls: Sequence[_Call]) -> None:
        """Mine a block with the waiting transactions and the calls.

        Raises BackstopError if a call fails.
        """
        request, names = self._node.request, list[str]()
        for call in calls:
            function = self.artifacts[
                self.deployment.contract_kinds[call.contract]
            ].contract_abi.get_function(call.method, len(call.args))
            transaction = {
                "from": call.sender,
                "to": self.deployment.addresses[call.contract],
                "data": "0x" + function.encode_call(call.args).hex(),
                "gas": _GAS,
                "gasPrice": "0x0",
            }
            names.append(request("eth_sendTransaction", transaction))
        self._time += _BLOCK_TIME
        request("evm_setNextBlockTimestamp", self._time)
        request("evm_mine")
        receipts = {each["transactionHash"]: each for each in request("eth_getBlockReceipts", "latest")}
        for name, call in zip(names, calls, strict=True):
            if receipts[name]["status"] != "0x1":
                raise BackstopError(f"{call.contract}.{call.method}{call.args} failed")


def _build_draw_call(sender: str, owner: str, locked: int, debt: int) -> _Call:
    return _Call(sender, "VaultEngine", "deposit_and_draw", (0, owner, locked, debt, owner))


def _build_parameters_with_large_limits() -> Parameters:
    """Return the standard parameters with limits for every vault, and a price step each block."""
    plenty = 10**9
    ether, *others = build_standard_parameters().collateral_types
    ether = dataclasses.replace(
        ether,
        debt_ceiling=plenty,
        auction_limit=plenty,
        feed=FeedParameters(step=_BLOCK_TIME),
        # Prices fall to the market's in about fifty blocks, so that about fifty auctions are open at a time.
        auction=dataclasses.replace(ether.auction, period=150),
    )
    return dataclasses.replace(
        build_standard_parameters(),
        collateral_types=(ether, *others),
        global_debt_ceiling=plenty,
        global_auction_limit=plenty,
    )


# ---------------------------------------------------------------------- starts


def _iter_cold_warm_start_speeds(
    keeper_market: _KeeperMarket, say: Say
) -> Generator[SpeedRow, None, LiveSystem]:
    """Yield the speed of a start without a snapshot, of a start with one, and of saving it.

    Return the system of the second start.
    """
    say("a start from nothing")
    system, cold = _start_timed_live_system(keeper_market)
    blocks = system.mirror.block - keeper_market.deployment.block
    yield SpeedRow("start", f"cold: {blocks} blocks followed", f"{cold:.1f} s", "1.0")
    began = time.perf_counter()
    system.book.save_state()
    saved = time.perf_counter() - began
    where = system.mirror.block, system.mirror.hash
    del system
    gc.collect()
    say("a start from the snapshot")
    system, warm = _start_timed_live_system(keeper_market)
    if (system.mirror.block, system.mirror.hash) != where or not system.mirror.is_complete_and_settled:
        raise BackstopError("the snapshot is of another block")
    yield SpeedRow("start", "warm: from the snapshot", f"{warm:.1f} s", f"{warm / cold:.2f}")
    yield SpeedRow("start", "saving all of it", f"{saved:.1f} s", f"{saved / cold:.2f}")
    return system


def _start_timed_live_system(keeper_market: _KeeperMarket) -> tuple[LiveSystem, float]:
    """Start a keeper's view of the chain, and return it and the seconds that its start took."""
    node, signers, file = (
        Node(keeper_market.url),
        Signers(test_accounts=True),
        keeper_market.folder / "vaults.db",
    )
    began = time.perf_counter()
    system = LiveSystem(
        node, keeper_market.deployment, signers, artifacts=keeper_market.artifacts, snapshot=file
    )
    return system, time.perf_counter() - began


# --------------------------------------------------------------------- answers


def _measure_block_answer_times(
    keeper_market: _KeeperMarket, system: LiveSystem, say: Say
) -> Iterator[SpeedRow]:
    """Yield the seconds from a new block to the keeper's first transaction: median, 99th percentile.

    The last row is the median of reading each vault over RPC instead.
    """
    options = {role: {"most": _MOST} for role in ("liquidator", "taker")}
    loop = KeeperLoop(
        system, build_keepers(keeper_market.deployment, _ROLES, options=options), lambda text: None
    )
    # As `ape run keeper` does: the garbage collector skips the objects that stay.
    gc.collect()
    gc.freeze()
    auctions = list[int]()
    book = iter(keeper_market.book)
    for number, vault in enumerate(islice(book, _WARM_UP + _BLOCKS)):
        if number == _WARM_UP:
            say(f"{_BLOCKS} blocks")
            loop.tally.latencies.clear()
        keeper_market.mine_price_drop(vault)
        loop.run_round()
        if number >= _WARM_UP:
            auctions.append(sum(each.target != 0 for each in _read_all_auction_lots(system)))
    gc.unfreeze()
    say("scans")
    scanner, scans = _ScanningKeeper(keeper_market), list[float]()
    for vault in islice(book, _SCANS):
        keeper_market.mine_price_drop(vault)
        scans.append(scanner.time_vault_scan_over_rpc())
    if system.mirror.differences or len(loop.tally.latencies) < _BLOCKS // 2:
        raise BackstopError(f"the keepers did not do what they should: {loop.format_summary()}")
    p50, p99 = median(loop.tally.latencies), quantiles(loop.tally.latencies, n=100)[98]
    scan = median(scans)
    open_ones = f"{median(auctions):.0f} open auctions"
    yield SpeedRow(
        "answer", f"{len(loop.tally.latencies)} blocks, {open_ones}, median", _format_ms(p50), "1.0"
    )
    yield SpeedRow(
        "answer", f"99th percentile, {p99 / GOAL:.2f} of the goal", _format_ms(p99), f"{p99 / p50:.1f}"
    )
    yield SpeedRow(
        "answer", "reading each vault over RPC instead, median", _format_ms(scan), f"{scan / p50:.1f}"
    )


def _format_ms(seconds: float) -> str:
    return f"{1_000 * seconds:,.0f} ms"


def _read_all_auction_lots(system: LiveSystem) -> list[Any]:
    return list(system.mirror.model.world.contracts["CollateralAuction"].tables["lots"].values())


class _ScanningKeeper:
    """Simple keeper for comparison, which reads each vault over RPC at every new block.

    It knows all owners, picks the unsafe vault with the largest debt, and simulates its liquidation.
    """

    def __init__(self, town: _KeeperMarket) -> None:
        self._node = Node(town.url)
        self._town = town
        self._owners = [(0, vault.owner) for vault in town.book]
        kinds = ("VaultEngine", "PriceFeed", "LiquidationEngine")
        abis = {kind: town.artifacts[kind].contract_abi for kind in kinds}
        self._views = VaultViewCalls(self._node, town.deployment.addresses, abis)
        self._liquidate = abis["LiquidationEngine"].get_function("liquidate", 3)

    def time_vault_scan_over_rpc(self) -> float:
        """Return the seconds from reading the newest block to the simulated liquidation."""
        began = time.perf_counter()
        head = self._node.get_head()
        at = self._views.get_conditions(0, head.hash, head.timestamp)
        found = zip(self._owners, self._views.get_vault_records(self._owners, head.hash), strict=True)
        unsafe = [
            (vault.normalized_debt, owner)
            for (_, owner), vault in found
            if vault.locked * at.price * BASIS_POINTS
            < at.compute_required_worth(vault.normalized_debt * at.rate, at.liquidation_ratio)
        ]
        if unsafe:
            sender = get_account("liquidator")
            data = self._liquidate.encode_call((0, max(unsafe)[1], sender))
            engine = self._town.deployment.addresses["LiquidationEngine"]
            host = LiveHost(self._node, Signers(test_accounts=False))
            host.static_call(sender, engine, data)
        return time.perf_counter() - began
