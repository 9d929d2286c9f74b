"""On a node: a pool takes positions over, and a buyer with a key of its own takes them from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstop.deployment.role_accounts import get_account
from backstop.keepers.cycle_view import CycleView
from backstop.live.operate.keeper_settings import read_yaml_keeper_settings_by_name
from backstop.model.arithmetic import MAX_UINT256, WAD
from tests.support.devnet_process import Devnet
from tests.support.live_margin_market import ETH, LOTS, LiveMarginMarket
from tests.support.vault_auctions_after_price_drop import apply_successful_call

ROLES = ("margin_crank", "matcher", "backstop_keeper", "pool_buyer")


@pytest.fixture
def street(fresh: Devnet, tmp_path: Path):
    """A long of 1,000 lots with a fifth of margin against a short, a pool of 20,000, a buyer with 3,000."""
    made = LiveMarginMarket(fresh, tmp_path, ROLES, example="margin-pool")
    at, by = made.system.addresses, {"sender": "market_maker"}
    apply_successful_call(
        made.system, "Stablecoin", "approve", at["PerpetualLiquidityVault"], MAX_UINT256, **by
    )
    apply_successful_call(
        made.system, "PerpetualLiquidityVault", "deposit", 20_000 * WAD, get_account("saver"), **by
    )
    apply_successful_call(made.system, "Stablecoin", "transfer", get_account("pool_buyer"), 3_000 * WAD, **by)
    made.write_signed_order_to_file("long", "--buy")
    made.write_signed_order_to_file("short", "--sell")
    yield made
    made.loop.close()
    made.system.compare_state()


def test_it_signs_with_its_own_account_and_buys_what_is_quoted(street: LiveMarginMarket) -> None:
    """The long is weak at 1,600: the pool takes its lots over, as far as its money goes, and sells a part."""
    pool, buyer = street.system.addresses["PerpetualLiquidityVault"], get_account("pool_buyer")
    street.run_until_done(
        lambda market: (
            market.get_position(pool, ETH).size == 0 and market.get_lifetime_net_deposits(buyer) > 0
        ),
        2_000,
    )

    def bought(market: CycleView) -> bool:
        return market.get_position(buyer, ETH).size > 0

    street.run_until_done(bought, 1_600)
    held = street.cycle_view.get_position(buyer, ETH).size
    # It has deposited its capital, and holds no more than that is worth.
    assert street.cycle_view.get_lifetime_net_deposits(buyer) == 2_000 * WAD and 0 < held * 16 <= 2_000
    assert street.cycle_view.get_position(pool, ETH).size > 0
    sent = [
        line for line in street.said if line.startswith("pool_buyer: MarginOrders.fill") and "done" in line
    ]
    assert len(sent) == 1 and held <= LOTS


def test_its_settings_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "keeper.yaml"
    path.write_text(
        "schema_version: 1\nroles: {pool_buyer: {reports: r.jsonl, capital: 500 stablecoin, premium: 0.5%}}\n"
    )
    assert read_yaml_keeper_settings_by_name(path)["options"]["pool_buyer"] == {
        "reports": (str(tmp_path / "r.jsonl"),),
        "capital": 500 * WAD,
        "premium": 50,
    }
