"""Rules of the backstop pool made wrong, as if in contract and model alike: a property notices."""

import pytest

from backstop.model import perpetual_liquidity_vault
from backstop.model.arithmetic import WAD, div_up
from backstop.model.contract_base import external, view
from backstop.model.perpetual_liquidity_vault import VALID, Batch, Request
from backstop.model.perpetual_liquidity_vault import PerpetualLiquidityVault as Pool
from backstop.proof.properties import PropertyViolationError, check_state
from tests.support.market_with_pool import (
    POOL,
    POOL_RULES,
    MarketWithPool,
    deposit_two_members,
    give_to_pool,
    on_the_model,
    seize_long,
    settle_failed_pool,
)
from tests.support.perpetuals import ETH
from tests.support.perpetuals_with_properties import expect_property_violation, watch_properties


@pytest.fixture
def pool() -> MarketWithPool:
    """With two members, beside 1,000 lots that are nobody's, on the model alone."""
    made = deposit_two_members(on_the_model())
    watch_properties(made.market)
    return seize_long(made)


def anything_goes(holds: bool, reason: str) -> None:
    """In place of `require`: nothing is refused."""


def earn(pool: MarketWithPool) -> int:
    """Gain 2,000 and have both members due, at rest."""
    pool.take(1_000)
    pool.market.mark(ETH, 18 * WAD)
    pool.close("first")
    batch, _ = (pool.request(name) for name in ("ann", "bob"))
    pool.settle_down()
    pool.wait(batch)
    return batch


# ------------------------------------------------------------------------- states


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("token.state", {"supply": 1}),
        ("token.state", {"mark": 1}),
        ("batches", {"requests": 2}),
        ("batches", {"next": 1}),
        ("batches", {"previous": 1}),
        ("requests", {"shares": 1}),
        ("requests", {"counts": False}),
        ("requests", {"generation": 1}),
    ],
)
def test_shares_that_do_not_add_up(pool, path, change):
    batch = pool.request("bob")
    table = pool.model.tables[path]
    key = {"batches": (0, batch), "requests": (0, batch, pool.market.at("bob"))}.get(path, ())
    table[key] = table[key]._replace(**change)
    with pytest.raises(PropertyViolationError, match=r"^property 120 is violated: "):
        check_state(pool.market.model.snapshot(), pool.market.model.addresses)


def test_an_escrow_that_is_not_asked_for(pool):
    batch = pool.request("bob", 10**25)
    key = 0, batch, pool.market.at("bob")
    pool.model.requests[key] = Request(9, True)
    pool.model.batches[0, batch] = Batch(1)
    with pytest.raises(PropertyViolationError, match=r"^property 120 is violated: .* were asked for"):
        check_state(pool.market.model.snapshot(), pool.market.model.addresses)


# ------------------------------------------------------------------ in and out


def test_at_rest_is_without_positions_on_the_model(pool, monkeypatch):
    """Its gains are not final, and its bond has not come back."""
    pool.take(1_000)
    pool.market.mark(ETH, 18 * WAD)
    pool.close("first")
    monkeypatch.setattr(Pool, "_has_no_position", lambda self: True)
    expect_property_violation(121, lambda: pool.enter("eve", WAD))


def test_entries_round_up(pool, monkeypatch):
    @external
    def deposit(self, sender, assets, receiver):
        supply, held = self._begin_entry()
        minted = div_up(assets * supply, held)
        self._enter_pool(sender, assets, minted, receiver)
        return minted

    pool.market.do("PerpetualMarket.deposit", pool.market.at(POOL), 7, sender="rich")
    monkeypatch.setattr(Pool, "deposit", deposit)
    expect_property_violation(121, lambda: pool.enter("eve", WAD))


@pytest.fixture
def wiped() -> MarketWithPool:
    """Its members have lost all, on the model alone; it is at rest."""
    made = deposit_two_members(on_the_model(POOL_RULES._replace(leverage=100_000)), 2_000)
    watch_properties(made.market)
    pool = seize_long(made)
    pool.take(1_000)
    pool.market.mark(ETH, 13 * WAD)
    pool.market.seize_insolvent(POOL)
    return settle_failed_pool(pool)


def test_worthless_shares_count(wiped, monkeypatch):
    """Who enters a pool that has lost all finds its old members there."""
    monkeypatch.setattr(perpetual_liquidity_vault, "LEAST_ASSETS", 0)
    expect_property_violation(121, lambda: wiped.enter("eve", WAD))


def test_shares_of_little_worth_are_void(wiped, monkeypatch):
    give_to_pool(wiped, 10**6)
    monkeypatch.setattr(perpetual_liquidity_vault, "LEAST_ASSETS", 10**6 + 1)
    expect_property_violation(121, lambda: wiped.enter("eve", WAD))


@pytest.mark.parametrize("steps", [0, 2])
def test_shares_are_divided_otherwise(wiped, monkeypatch, steps):
    """Not at all, or by more than it takes."""
    give_to_pool(wiped, 10**6)
    monkeypatch.setattr(perpetual_liquidity_vault, "count_steps", lambda supply, assets: steps)
    expect_property_violation(121, lambda: wiped.enter("eve", WAD))


def test_a_division_forgets_who_waits(wiped, monkeypatch):
    wiped.request("bob")
    give_to_pool(wiped, 10**6)
    monkeypatch.setattr(Pool, "_set_mark", lambda self, mark: None)
    wiped.enter("eve", WAD)
    with pytest.raises(PropertyViolationError, match=r"^property 120 is violated: batches are "):
        check_state(wiped.market.model.snapshot(), wiped.market.model.addresses)


def test_requests_are_not_divided(wiped, monkeypatch):
    wiped.request("bob", 10**10)
    give_to_pool(wiped, 10**6)
    wiped.enter("bob", WAD)
    monkeypatch.setattr(perpetual_liquidity_vault, "convert_shares", lambda shares, recorded, present: shares)
    expect_property_violation(144, lambda: wiped.request("bob", 7))


def test_requests_outlive_a_void(wiped, monkeypatch):
    class Stands(dict):
        """An era that does not end."""

        def __setitem__(self, key, value):
            pass

    wiped.request("bob")
    wiped.model.era = Stands({(): 0})
    expect_property_violation(121, lambda: wiped.enter("eve", WAD))


def test_the_first_takes_all_deposits(pool, monkeypatch):
    batch = earn(pool)
    monkeypatch.setattr(perpetual_liquidity_vault, "div_up", lambda a, b: 0)
    expect_property_violation(122, lambda: pool.leave("bob", batch))


def test_a_stranger_has_somebody_leave_while_losses_are_late(pool, monkeypatch):
    pool.market.use_up_line()
    batch = pool.request("bob")
    for name in ("left", "right"):
        pool.market.deposit(name, 2_500 * WAD)
    pool.market.trade("left", "right", 500)
    pool.market.mark(ETH, 32 * WAD)
    pool.wait(batch)
    for _ in range(3):
        pool.market.advance_cycle()
    pool.market.refresh()
    assert pool.market.seize_insolvent("right") and pool.market.market.late_table[()] > 0
    monkeypatch.setattr(perpetual_liquidity_vault, "require", anything_goes)
    expect_property_violation(122, lambda: pool.leave("bob", batch))


def test_money_that_stays(pool, monkeypatch):
    def enter(self, sender, assets, shares, receiver):
        self._mint_shares(receiver, shares)
        self.emit("Deposit", sender, receiver, assets, shares)
        self.coin.transferFrom(self.address, sender, self.address, assets)

    monkeypatch.setattr(Pool, "_enter_pool", enter)
    expect_property_violation(122, lambda: pool.enter("eve", WAD))


# --------------------------------------------------------------------------- risk


@pytest.mark.parametrize("limit", [0, 15_999])
def test_no_limit(pool, monkeypatch, limit):
    pool.do("set_limit", ETH, limit, sender="admin")
    monkeypatch.setattr(perpetual_liquidity_vault, "require", anything_goes)
    expect_property_violation(123, lambda: pool.take(1_000))


def test_more_than_its_money(pool, monkeypatch):
    for name in ("ann", "bob"):
        batch = pool.request(name, pool.shares(name) // 10 * 7)
    pool.wait(batch)
    for name in ("ann", "bob"):
        pool.leave(name, batch)
    pool.market.refresh()
    monkeypatch.setattr(perpetual_liquidity_vault, "require", anything_goes)
    expect_property_violation(123, lambda: pool.take(1_000))


@pytest.mark.parametrize("days", [0, 1])
def test_whoever_is_due_waits(pool, monkeypatch, days):
    if days:
        pool.take(1)
    batch = pool.request("bob", 10**25)
    pool.wait(batch + days)
    pool.market.refresh()
    monkeypatch.setattr(Pool, "_is_due", lambda self: False)
    expect_property_violation(123, lambda: pool.take(10))


# ------------------------------------------------------------------------- quotes


def sell(pool: MarketWithPool, lots: int = 250, price: int | None = None) -> None:
    pool.fill("first", -lots, pool.least() if price is None else price)


def test_more_than_is_offered(pool, monkeypatch):
    pool.take(1_000)
    pool.quote()
    monkeypatch.setattr(Pool, "isValidSignature", view(lambda *args: VALID))
    expect_property_violation(124, lambda: sell(pool, 251))


def test_without_a_quote(pool, monkeypatch):
    pool.take(1_000)
    monkeypatch.setattr(Pool, "isValidSignature", view(lambda *args: VALID))
    expect_property_violation(124, lambda: sell(pool))


def test_under_its_spread(pool, monkeypatch):
    pool.take(1_000)
    pool.quote()
    price = pool.least() - 1
    monkeypatch.setattr(Pool, "isValidSignature", view(lambda *args: VALID))
    expect_property_violation(124, lambda: sell(pool, 250, price))


def test_again_while_a_quote_runs(pool, monkeypatch):
    pool.take(1_000)
    pool.quote()
    monkeypatch.setattr(perpetual_liquidity_vault, "require", anything_goes)
    expect_property_violation(143, pool.quote)


@pytest.mark.parametrize("share", [2_499, 2_510])
def test_another_share(pool, monkeypatch, share):
    """A quarter of 1,000 lots is for sale, not a lot less or more."""
    pool.take(1_000)
    monkeypatch.setattr(perpetual_liquidity_vault, "div_up", lambda a, b: a * share // (b * pool.model.share))
    expect_property_violation(143, pool.quote)


# ------------------------------------------------------------------------ waiting


@pytest.mark.parametrize("crumbs", [10**3, 10**5])
def test_crumbs_of_another_size(pool, monkeypatch, crumbs):
    """A thousandth, and a thirty-thousandth, of all shares."""
    monkeypatch.setattr(perpetual_liquidity_vault, "CRUMBS", crumbs)
    supply = pool.model.state[()].supply
    expect_property_violation(
        144, lambda: pool.request("bob", supply * 2 // 10**4 if crumbs < 10**4 else supply // 30_000)
    )


def test_before_it_is_due(pool, monkeypatch):
    batch = pool.request("bob")
    monkeypatch.setattr(Pool, "_compute_due_time", lambda self, batch: 0)
    expect_property_violation(125, lambda: pool.leave("bob", batch))


def test_into_another_batch_than_todays(pool, monkeypatch):
    right = Pool.requestRedeem

    @external
    def request(self, sender, shares, controller, owner):
        self.notice = 43_200
        batch = right(self, sender, shares, controller, owner)
        self.notice = 86_400
        return batch

    monkeypatch.setattr(Pool, "requestRedeem", request)
    expect_property_violation(125, lambda: pool.request("bob", 1))


def test_with_more_than_was_asked_for(pool):
    batch = pool.request("bob", 10**25)
    key = 0, batch, pool.market.at("bob")
    pool.wait(batch)
    pool.model.requests[key] = Request(9, True)
    pool.model.batches[0, batch] = Batch(1)
    expect_property_violation(125, lambda: pool.leave("bob", batch))
