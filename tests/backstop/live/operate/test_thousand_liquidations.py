"""A thousand vaults unsafe at once on a chain of blocks of 30M gas, at the limits of the library."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from backstop.deployment.role_accounts import get_account
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem, market_view
from backstop.live.operate.resumable_deployment import load_parameters
from backstop.model.arithmetic import RAD, WAD
from tests.support.devnet_process import Devnet
from tests.support.unsafe_vaults_devnet import BLOCK_GAS, UnsafeVaultsDevnet

COUNT, BLOCKS = 1_000, 10
DEPTH = 20_000_000
LIMIT = 9_000_000
"""Stablecoins of debt of one type that may be under auction in the library's Black Thursday."""
BRIEF = "tests/backstop/live/operate/test_liquidation_batches.py"


@contextmanager
def open_town(
    folder: Path, debts: Sequence[int], capital: int
) -> Iterator[tuple[UnsafeVaultsDevnet, list[str]]]:
    """A chain on which vaults of these debts are unsafe."""
    devnet = Devnet("--base-fee", "0")
    try:
        town = UnsafeVaultsDevnet(devnet, folder, load_parameters("black-thursday"))
        owners = town.open_vaults(debts, DEPTH, capital)
        town.drop_price(DEPTH)
        yield town, owners
    finally:
        devnet.process.stop_process()


def open_loop(town: UnsafeVaultsDevnet, role: str, said: list[str]) -> KeeperLoop:
    return KeeperLoop(town.open_live_system(), build_keepers(town.deployment, [role]), said.append)


def run_blocks(town: UnsafeVaultsDevnet, loop: KeeperLoop, blocks: int) -> Iterator[int]:
    """Run a keeper twice on each block, mine it, and yield the gas that the block used."""
    for _ in range(blocks):
        loop.run_round()
        loop._looked_at = None
        loop.run_round()
        used = int(town.mine_block()["gasUsed"], 16)
        assert used <= BLOCK_GAS
        yield used
    loop.run_round()


def list_auctioned_owners(system: LiveSystem) -> list[str]:
    tables = system.mirror.model.world.contracts["CollateralAuction"].tables["owners"]
    return [each.owner for _, each in sorted(tables.items())]


def list_takeable_auctions(system: LiveSystem) -> dict[int, tuple[int, int]]:
    """Return the price and the lot of each auction that can be bought in the next block."""
    view = market_view(system.mirror, system.timestamp)
    return {each.id: (each.price, each.lot) for each in view.takeable}


@pytest.mark.deep(brief=f"{BRIEF}::test_all_go_in_one_transaction_the_largest_debt_first")
def test_all_are_under_auction_and_sold_within_ten_blocks(tmp_path: Path) -> None:
    said: list[str] = []
    with open_town(tmp_path, [8_000] * COUNT, 12_000_000) as (town, owners):
        loop = open_loop(town, "liquidator", said)
        blocks = 0
        for _ in run_blocks(town, loop, BLOCKS):
            blocks += 1
            if len(list_auctioned_owners(loop.system)) == COUNT:
                break
        auctioned = list_auctioned_owners(loop.system)
        assert sorted(auctioned) == sorted(owners)  # each once
        assert blocks <= BLOCKS and not loop.tally.counts["liquidator", "failed"]
        assert not any("leaves no room" in line for line in said)
        loop.close()
        town.mine_block(seconds=1_700)

        buyer = open_loop(town, "bidder", said)
        market = market_view(buyer.system.mirror, buyer.system.timestamp).outside.prices[0]
        there = list_takeable_auctions(buyer.system)
        # All prices have reached the market's at once.
        assert len(there) == COUNT and all(price < market for price, _ in there.values())
        blocks = len([used for used in run_blocks(town, buyer, BLOCKS) if used])
        assert list_takeable_auctions(buyer.system) == {} and 1 < blocks <= BLOCKS
        assert buyer.tally.counts["bidder", "done"] == COUNT and not buyer.tally.counts["bidder", "failed"]
        assert buyer.system.mirror.differences == []
        buyer.system.compare_state()
        buyer.close()


@pytest.mark.deep(brief=f"{BRIEF}::test_a_limit_of_auctions_is_the_reason_that_is_told")
def test_with_too_little_room_and_money_the_most_valuable_come_first(tmp_path: Path) -> None:
    said: list[str] = []
    dice = random.Random(1)
    debts = [dice.randrange(10_000, 20_000) for _ in range(COUNT)]
    capital = 300_000
    with open_town(tmp_path, debts, capital) as (town, owners):
        loop = open_loop(town, "liquidator", said)
        list(run_blocks(town, loop, BLOCKS))
        auctioned = list_auctioned_owners(loop.system)
        debt_by_owner = dict(zip(owners, debts, strict=True))
        assert len(set(auctioned)) == len(auctioned) > LIMIT // 20_000
        # The largest, and in the end what still fits, which may be a part.
        whole = [debt_by_owner[owner] for owner in auctioned[:-5]]
        assert whole == sorted(debts, reverse=True)[: len(whole)]
        engine = loop.system.mirror.model.world.contracts["VaultEngine"]
        assert LIMIT - 5_000 <= engine.tables["ledger.auctions"][0].in_auction // RAD <= LIMIT + 5_001
        (line,) = [line for line in said if "leaves no room" in line]
        assert re.fullmatch(
            r"liquidator: auction_limit leaves no room for \d{3} unsafe vaults of ETH that owe [\d,]+: "
            r"0 of its 9,000,000 stablecoins are under auction, larger vaults get the rest",
            line,
        )
        loop.close()
        town.mine_block(seconds=2_400)

        buyer = open_loop(town, "bidder", said)
        before = list_takeable_auctions(buyer.system)
        list(run_blocks(town, buyer, BLOCKS))
        after = list_takeable_auctions(buyer.system)
        bought = sorted(before.keys() - after.keys())
        cheapest = min(price for price, _ in before.values())
        best = sorted((lot, i) for i, (price, lot) in before.items() if price == cheapest)[-len(bought) :]
        assert sorted(i for _, i in best) == bought and len(bought) > 10
        bidder = get_account("bidder")
        left = buyer.system.view("Stablecoin", "balanceOf", bidder)
        assert 0 <= left < capital * WAD // 10
        assert not buyer.tally.counts["bidder", "failed"] and buyer.system.mirror.differences == []
        buyer.close()
