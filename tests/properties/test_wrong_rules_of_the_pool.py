"""Rules of the backstop pool made wrong, as if in contract and model alike: a property notices."""

import pytest

from backstop.contract_base import external, view
from backstop.model import perpetual_liquidity_vault
from backstop.model.arithmetic import WAD, div_up
from backstop.model.perpetual_liquidity_vault import VALID, Batch, Request
from backstop.model.perpetual_liquidity_vault import PerpetualLiquidityVault as Pool
from backstop.proof.properties import PropertyViolationError, check_state_properties
from tests.support.market_with_pool import (
    POOL,
    POOL_RULES,
    MarketWithPool,
    add_members_with_unequal_deposits,
    deploy_pool_market_on_model,
    give_to_pool,
    open_and_seize_long_position,
    settle_failed_pool,
)
from tests.support.model_only_perpetuals_with_properties import (
    attach_property_monitor,
    expect_violation_of_property,
)
from tests.support.perpetual_test_market import ETH


@pytest.fixture
def pool() -> MarketWithPool:
    """With two members, beside 1,000 unassigned lots, on the model alone."""
    made = add_members_with_unequal_deposits(deploy_pool_market_on_model())
    attach_property_monitor(made.market)
    return open_and_seize_long_position(made)


def anything_goes(holds: bool, reason: str) -> None:
    """In place of `require`: nothing is refused."""


def earn(pool: MarketWithPool) -> int:
    """Gain 2,000 and have both members due, at rest."""
    pool.take_unassigned_lots(1_000)
    pool.market.mark(ETH, 18 * WAD)
    pool.fill_quotes_until_pool_empty("first")
    batch, _ = (pool.request(name) for name in ("ann", "bob"))
    pool.roll_until_gains_are_final()
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
    table = pool.liquidity_vault_model.tables[path]
    key = {
        "batches": (0, batch),
        "requests": (0, batch, pool.market.get_contract_or_account_address("bob")),
    }.get(path, ())
    table[key] = table[key]._replace(**change)
    with pytest.raises(PropertyViolationError, match=r"^property 120 is violated: "):
        check_state_properties(pool.market.model.snapshot(), pool.market.model.addresses)


def test_an_escrow_that_is_not_asked_for(pool):
    batch = pool.request("bob", 10**25)
    key = 0, batch, pool.market.get_contract_or_account_address("bob")
    pool.liquidity_vault_model.requests[key] = Request(9, True)
    pool.liquidity_vault_model.batches[0, batch] = Batch(1)
    with pytest.raises(PropertyViolationError, match=r"^property 120 is violated: .* were asked for"):
        check_state_properties(pool.market.model.snapshot(), pool.market.model.addresses)


# ------------------------------------------------------------------ in and out


def test_at_rest_is_without_positions_on_the_model(pool, monkeypatch):
    """Its gains are not final, and its bond has not come back."""
    pool.take_unassigned_lots(1_000)
    pool.market.mark(ETH, 18 * WAD)
    pool.fill_quotes_until_pool_empty("first")
    monkeypatch.setattr(Pool, "_has_no_position", lambda self: True)
    expect_violation_of_property(121, lambda: pool.enter("eve", WAD))


def test_entries_round_up(pool, monkeypatch):
    @external
    def deposit(self, sender, assets, receiver):
        supply, held = self._begin_entry()
        minted = div_up(assets * supply, held)
        self._enter_pool(sender, assets, minted, receiver)
        return minted

    pool.market.do(
        "PerpetualMarket.deposit", pool.market.get_contract_or_account_address(POOL), 7, sender="rich"
    )
    monkeypatch.setattr(Pool, "deposit", deposit)
    expect_violation_of_property(121, lambda: pool.enter("eve", WAD))


@pytest.fixture
def wiped() -> MarketWithPool:
    """Its members have lost all, on the model alone; it is at rest."""
    made = add_members_with_unequal_deposits(
        deploy_pool_market_on_model(POOL_RULES._replace(leverage=100_000)), 2_000
    )
    attach_property_monitor(made.market)
    pool = open_and_seize_long_position(made)
    pool.take_unassigned_lots(1_000)
    pool.market.mark(ETH, 13 * WAD)
    pool.market.seize_insolvent(POOL)
    return settle_failed_pool(pool)


def test_worthless_shares_count(wiped, monkeypatch):
    """A depositor in a pool that has lost all finds its old members there."""
    monkeypatch.setattr(perpetual_liquidity_vault, "LEAST_ASSETS", 0)
    expect_violation_of_property(121, lambda: wiped.enter("eve", WAD))


def test_shares_of_little_worth_are_void(wiped, monkeypatch):
    give_to_pool(wiped, 10**6)
    monkeypatch.setattr(perpetual_liquidity_vault, "LEAST_ASSETS", 10**6 + 1)
    expect_violation_of_property(121, lambda: wiped.enter("eve", WAD))


@pytest.mark.parametrize("steps", [0, 2])
def test_shares_are_divided_otherwise(wiped, monkeypatch, steps):
    """Not at all, or by more than it takes."""
    give_to_pool(wiped, 10**6)
    monkeypatch.setattr(perpetual_liquidity_vault, "count_generation_steps", lambda supply, assets: steps)
    expect_violation_of_property(121, lambda: wiped.enter("eve", WAD))


def test_a_division_forgets_who_waits(wiped, monkeypatch):
    wiped.request("bob")
    give_to_pool(wiped, 10**6)
    monkeypatch.setattr(Pool, "_set_mark", lambda self, mark: None)
    wiped.enter("eve", WAD)
    with pytest.raises(PropertyViolationError, match=r"^property 120 is violated: batches are "):
        check_state_properties(wiped.market.model.snapshot(), wiped.market.model.addresses)


def test_requests_are_not_divided(wiped, monkeypatch):
    wiped.request("bob", 10**10)
    give_to_pool(wiped, 10**6)
    wiped.enter("bob", WAD)
    monkeypatch.setattr(perpetual_liquidity_vault, "convert_shares", lambda shares, recorded, present: shares)
    expect_violation_of_property(144, lambda: wiped.request("bob", 7))


def test_requests_outlive_a_void(wiped, monkeypatch):
    class Stands(dict):
        """An era that does not end."""

        def __setitem__(self, key, value):
            pass

    wiped.request("bob")
    wiped.liquidity_vault_model.era = Stands({(): 0})
    expect_violation_of_property(121, lambda: wiped.enter("eve", WAD))


def test_the_first_takes_all_deposits(pool, monkeypatch):
    batch = earn(pool)
    monkeypatch.setattr(perpetual_liquidity_vault, "div_up", lambda a, b: 0)
    expect_violation_of_property(122, lambda: pool.complete_exit_from_batch("bob", batch))


def test_a_stranger_has_somebody_leave_while_losses_are_late(pool, monkeypatch):
    pool.market.set_loss_line_to_zero()
    batch = pool.request("bob")
    for name in ("left", "right"):
        pool.market.deposit(name, 2_500 * WAD)
    pool.market.trade("left", "right", 500)
    pool.market.mark(ETH, 32 * WAD)
    pool.wait(batch)
    for _ in range(3):
        pool.market.advance_cycle()
    pool.market.report_current_prices_again()
    assert pool.market.seize_insolvent("right") and pool.market.market.late_table[()] > 0
    monkeypatch.setattr(perpetual_liquidity_vault, "require", anything_goes)
    expect_violation_of_property(122, lambda: pool.complete_exit_from_batch("bob", batch))


def test_money_that_stays(pool, monkeypatch):
    def enter(self, sender, assets, shares, receiver):
        self._mint_shares(receiver, shares)
        self.emit("Deposit", sender, receiver, assets, shares)
        self.coin.transferFrom(self.address, sender, self.address, assets)

    monkeypatch.setattr(Pool, "_enter_pool", enter)
    expect_violation_of_property(122, lambda: pool.enter("eve", WAD))


# --------------------------------------------------------------------------- risk


@pytest.mark.parametrize("limit", [0, 15_999])
def test_no_limit(pool, monkeypatch, limit):
    pool.do("set_limit", ETH, limit, sender="admin")
    monkeypatch.setattr(perpetual_liquidity_vault, "require", anything_goes)
    expect_violation_of_property(123, lambda: pool.take_unassigned_lots(1_000))


def test_more_than_its_money(pool, monkeypatch):
    for name in ("ann", "bob"):
        batch = pool.request(name, pool.shares(name) // 10 * 7)
    pool.wait(batch)
    for name in ("ann", "bob"):
        pool.complete_exit_from_batch(name, batch)
    pool.market.report_current_prices_again()
    monkeypatch.setattr(perpetual_liquidity_vault, "require", anything_goes)
    expect_violation_of_property(123, lambda: pool.take_unassigned_lots(1_000))


@pytest.mark.parametrize("days", [0, 1])
def test_whoever_is_due_waits(pool, monkeypatch, days):
    if days:
        pool.take_unassigned_lots(1)
    batch = pool.request("bob", 10**25)
    pool.wait(batch + days)
    pool.market.report_current_prices_again()
    monkeypatch.setattr(Pool, "_is_due", lambda self: False)
    expect_violation_of_property(123, lambda: pool.take_unassigned_lots(10))


# ------------------------------------------------------------------------- quotes


def sell(pool: MarketWithPool, lots: int = 250, price: int | None = None) -> None:
    pool.fill("first", -lots, pool.compute_worst_quote_price() if price is None else price)


def test_more_than_is_offered(pool, monkeypatch):
    pool.take_unassigned_lots(1_000)
    pool.request_pool_quote()
    monkeypatch.setattr(Pool, "isValidSignature", view(lambda *args: VALID))
    expect_violation_of_property(124, lambda: sell(pool, 251))


def test_without_a_quote(pool, monkeypatch):
    pool.take_unassigned_lots(1_000)
    monkeypatch.setattr(Pool, "isValidSignature", view(lambda *args: VALID))
    expect_violation_of_property(124, lambda: sell(pool))


def test_under_its_spread(pool, monkeypatch):
    pool.take_unassigned_lots(1_000)
    pool.request_pool_quote()
    price = pool.compute_worst_quote_price() - 1
    monkeypatch.setattr(Pool, "isValidSignature", view(lambda *args: VALID))
    expect_violation_of_property(124, lambda: sell(pool, 250, price))


def test_again_while_a_quote_runs(pool, monkeypatch):
    pool.take_unassigned_lots(1_000)
    pool.request_pool_quote()
    monkeypatch.setattr(perpetual_liquidity_vault, "require", anything_goes)
    expect_violation_of_property(143, pool.request_pool_quote)


@pytest.mark.parametrize("share", [2_499, 2_510])
def test_another_share(pool, monkeypatch, share):
    """A quarter of 1,000 lots is for sale, not a lot less or more."""
    pool.take_unassigned_lots(1_000)
    monkeypatch.setattr(
        perpetual_liquidity_vault, "div_up", lambda a, b: a * share // (b * pool.liquidity_vault_model.share)
    )
    expect_violation_of_property(143, pool.request_pool_quote)


# ------------------------------------------------------------------------ waiting


@pytest.mark.parametrize("crumbs", [10**3, 10**5])
def test_crumbs_of_another_size(pool, monkeypatch, crumbs):
    """A thousandth, and a thirty-thousandth, of all shares."""
    monkeypatch.setattr(perpetual_liquidity_vault, "CRUMBS", crumbs)
    supply = pool.liquidity_vault_model.state[()].supply
    expect_violation_of_property(
        144, lambda: pool.request("bob", supply * 2 // 10**4 if crumbs < 10**4 else supply // 30_000)
    )


def test_before_it_is_due(pool, monkeypatch):
    batch = pool.request("bob")
    monkeypatch.setattr(Pool, "_compute_due_time", lambda self, batch: 0)
    expect_violation_of_property(125, lambda: pool.complete_exit_from_batch("bob", batch))


def test_into_another_batch_than_todays(pool, monkeypatch):
    right = Pool.requestRedeem

    @external
    def request(self, sender, shares, controller, owner):
        self.notice = 43_200
        batch = right(self, sender, shares, controller, owner)
        self.notice = 86_400
        return batch

    monkeypatch.setattr(Pool, "requestRedeem", request)
    expect_violation_of_property(125, lambda: pool.request("bob", 1))


def test_with_more_than_was_asked_for(pool):
    batch = pool.request("bob", 10**25)
    key = 0, batch, pool.market.get_contract_or_account_address("bob")
    pool.wait(batch)
    pool.liquidity_vault_model.requests[key] = Request(9, True)
    pool.liquidity_vault_model.batches[0, batch] = Batch(1)
    expect_violation_of_property(125, lambda: pool.complete_exit_from_batch("bob", batch))
