"""A statement of the backstop pool: its members' value, its activity, and the payouts that are due."""

from __future__ import annotations

import pytest

from backstop.live.solvency.backstop_pool_statement import build_backstop_pool_statement
from backstop.live.solvency.price_jump_and_backstop_pool_tables import iter_margin_table_headers_and_rows
from backstop.model.arithmetic import WAD
from tests.support.market_with_pool import DAY, MarketWithPool
from tests.support.perpetual_test_market import ETH, deploy_perpetuals_on_model, open_long_and_two_shorts

STRESS: dict[str, list[object]] = {"jumps": [], "largest": []}


@pytest.fixture
def pool():
    market = deploy_perpetuals_on_model()
    market.report_current_prices_again()
    return MarketWithPool(open_long_and_two_shorts(market))


def said(pool):
    """Return the statement of the pool, after a check that the call changes nothing."""
    before = pool.market.model.snapshot()
    found = build_backstop_pool_statement(pool.market.model)
    assert pool.market.model.snapshot() == before
    return found


def rows(found):
    return [
        row
        for _, rows in iter_margin_table_headers_and_rows({"stress": STRESS, "pool": found})
        for row in rows
    ]


def test_none_without_one():
    assert build_backstop_pool_statement(deploy_perpetuals_on_model().model) is None


def test_at_rest(pool):
    pool.enter("member", 50_000 * WAD)
    found = said(pool)
    assert found["is_idle"] and int(found["value_wad"]) == pool.cash() == 50_000 * WAD
    assert (found["unfinal_wad"], found["bond_wad"], found["debt_wad"], found["used_wad"]) == ("0",) * 4
    assert found["usable_wad"] == found["value_wad"] and found["batches"] == []
    assert rows(found)[0] == ("at rest", "50,000", "0", "50,000", "0")


def test_at_work(pool):
    """It takes 400 of the 1,000 lots of a debtor, at 16; a quote of a quarter runs; the gain is not final."""
    pool.enter("member", 50_000 * WAD)
    pool.market.mark(ETH, 16 * WAD)
    pool.market.seize_insolvent("long")
    pool.take_unassigned_lots(400)
    pool.request_pool_quote()
    pool.market.mark(ETH, 18 * WAD)
    found = said(pool)
    assert not found["is_idle"]
    assert int(found["value_wad"]) == pool.get_pool_equity() == 50_800 * WAD
    assert found["unfinal_wad"] == str(800 * WAD)
    assert found["used_wad"] == str(400 * 18 * WAD)
    assert found["usable_wad"] == str(50_000 * WAD)
    first = found["markets"][0]
    assert (first["lots"], first["used_wad"], first["limit_wad"]) == (
        400,
        str(7_200 * WAD),
        str(100_000 * WAD),
    )
    assert first["quoted_lots"] == 100
    assert first["quoted_until"] == pool.liquidity_vault_model.quotes[ETH].until
    assert found["markets"][1]["quoted_until"] is None
    assert rows(found)[0][0] == "at work: lots 1 markets, gains not final 800"


def test_who_is_due(pool):
    """Half of one member's shares, and a crumb that is in no batch's sum."""
    shares = pool.enter("member", 50_000 * WAD)
    pool.enter("other", WAD)
    batch = pool.request("member", shares // 2)
    pool.request("other")
    found = said(pool)
    (said_batch,) = found["batches"]
    assert said_batch["batch"] == batch
    assert int(said_batch["shares"]) == shares // 2
    assert abs(int(said_batch["worth_wad"]) - 25_000 * WAD) < 10
    assert said_batch["due_at"] == pool.read("due_at", batch)
    assert said_batch["reduces_from"] == said_batch["due_at"] + DAY
    assert int(found["crumbs_shares"]) == pool.read(
        "request_of", batch, pool.market.get_contract_or_account_address("other")
    )
    pool.wait(batch)
    pool.complete_exit_from_batch("member", batch)
    assert said(pool)["batches"] == []


def test_it_owes(pool):
    """Its 400 lots fall from 16 to nearly zero: the pool's missing funds are a debt."""
    pool.enter("member", 6_400 * WAD)
    pool.market.mark(ETH, 16 * WAD)
    pool.market.seize_insolvent("long")
    pool.take_unassigned_lots(400)
    pool.market.mark(ETH, WAD // 100)
    found = said(pool)
    assert int(found["value_wad"]) == max(0, pool.get_pool_equity())
    pool.market.seize_and_roll_until_final()
    assert said(pool)["used_wad"] == str(pool.read_pool_position_size() * WAD // 100)
