"""A backstop pool beside perpetual markets, its members and the actions on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backstop.contract_base import RevertError
from backstop.deployment.contracts_by_parameter_name import BY_CYCLE
from backstop.deployment.devnet_trader_signatures import sign_order
from backstop.deployment.model_and_chain_deployment import add_contract_model
from backstop.deployment.role_accounts import get_account
from backstop.hosts.account_addresses import compute_contract_address
from backstop.hosts.contract_creation import Creation
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.margin_orders import Order
from backstop.model.perpetual_liquidity_vault import KEEPER, PerpetualLiquidityVault, Rules, encode_offer
from backstop.proof.local_protocol import LocalProtocol
from backstop.proof.lockstep import ProtocolLockstep
from tests.support.perpetual_test_market import (
    ETH,
    HOUSE,
    ORDERS,
    TRADING,
    Perpetuals,
    deploy_perpetuals,
    deploy_perpetuals_on_model,
    open_long_and_two_shorts,
)

POOL = "PerpetualLiquidityVault"
DAY = 86_400
POOL_RULES = Rules(notice=DAY, leverage=10_000, spread=20, share=2_500, quote_time=600)
NAMES = ("Backstop Perpetual Pool", "pBSD")
LIMIT = 100_000
"""Whole stablecoins in each market."""


class MarketWithPool:
    """A pool, with members' money from `rich` and a keeper of its own."""

    def __init__(self, market: Perpetuals, rules: Rules = POOL_RULES) -> None:
        self.market = market
        wired = (
            *(market.get_contract_or_account_address(name) for name in (HOUSE, TRADING, ORDERS)),
            market.get_contract_or_account_address("admin"),
        )
        arguments = (*NAMES, wired, tuple(rules))
        if isinstance(market.system, ProtocolLockstep):
            market.system.create_contract(POOL, POOL, *arguments)
        else:
            at = compute_contract_address(get_account(f"deployer_of_{POOL}"), 0)
            add_contract_model(market.world, Creation(POOL, POOL, arguments, at))
        self.do("grant_role", KEEPER, market.get_contract_or_account_address("keeper"), sender="admin")
        for number in range(2):
            self.do("set_limit", number, LIMIT, sender="admin")
        market.do(
            "Stablecoin.approve", market.get_contract_or_account_address(POOL), MAX_UINT256, sender="rich"
        )

    @property
    def liquidity_vault_model(self) -> PerpetualLiquidityVault:
        found = self.market.world.contracts[POOL]
        assert isinstance(found, PerpetualLiquidityVault)
        return found

    def do(self, call: str, *args: Any, sender: str) -> Any:
        return self.market.do(f"{POOL}.{call}", *args, sender=sender)

    def read(self, call: str, *args: Any) -> Any:
        return self.market.read(f"{POOL}.{call}", *args)

    # ------------------------------------------------------------------- members

    def enter(self, name: str, amount: int) -> int:
        """Deposit wad for an account; return the shares."""
        return int(
            self.do("deposit", amount, self.market.get_contract_or_account_address(name), sender="rich")
        )

    def shares(self, name: str) -> int:
        return self.liquidity_vault_model.held(self.market.get_contract_or_account_address(name))

    def request(self, name: str, shares: int | None = None) -> int:
        """Commit shares, or all of them; the batch."""
        who = self.market.get_contract_or_account_address(name)
        amount = self.shares(name) if shares is None else shares
        return int(self.do("requestRedeem", amount, who, who, sender=name))

    def wait(self, batch: int) -> None:
        """Advance time until a batch is due."""
        self.market.advance_clock(max(0, self.read("due_at", batch) - self.market.world.timestamp))

    def complete_exit_from_batch(self, name: str, batch: int, by: str = "stranger") -> int:
        return int(self.do("leave", batch, self.market.get_contract_or_account_address(name), sender=by))

    def coins(self, name: str) -> int:
        """Return an account's stablecoin balance."""
        return int(
            self.market.read("Stablecoin.balanceOf", self.market.get_contract_or_account_address(name))
        )

    def read_vesting_profit(self, name: str) -> int:
        """Return the profit that vests in the current bucket."""
        bucket = self.market.world.timestamp // self.market.read("MarginFund.LENGTH")
        return int(
            self.market.read(
                "MarginFund.profit_of", self.market.get_contract_or_account_address(name), bucket
            )
        )

    # ---------------------------------------------------------------------- risk

    def take_unassigned_lots(self, lots: int, market: int = ETH) -> None:
        self.do("take", market, lots, sender="keeper")

    def liquidate(self, name: str, lots: int, market: int = ETH) -> int:
        return int(
            self.do(
                "liquidate", self.market.get_contract_or_account_address(name), market, lots, sender="keeper"
            )
        )

    def read_pool_position_size(self, market: int = ETH) -> int:
        return int(
            self.market.market.positions[self.market.get_contract_or_account_address(POOL), market].size
        )

    def get_pool_equity(self) -> int:
        return self.market.equity(self.market.get_contract_or_account_address(POOL))

    def cash(self) -> int:
        return int(self.read("totalAssets"))

    # -------------------------------------------------------------------- quotes

    def request_pool_quote(self, market: int = ETH) -> None:
        self.do("quote", market, sender="stranger")

    def build_pool_trade_orders(
        self, name: str, lots: int, price: int, market: int = ETH, size: int | None = None
    ) -> tuple[Any, ...]:
        """Build the pool's order and a trader's, and the number of lots to fill.

        Under zero the pool sells.
        """
        self.market._nonce += 1
        nonce = self.market._nonce
        mine = Order(
            self.market.get_contract_or_account_address(POOL),
            market,
            size or lots,
            price,
            MAX_UINT256,
            nonce,
            True,
        )
        theirs = Order(
            self.market.get_contract_or_account_address(name), market, -lots, price, MAX_UINT256, nonce
        )
        signed = sign_order(
            name, theirs, self.market.world.chain_id, self.market.get_contract_or_account_address(ORDERS)
        )
        return mine, encode_offer(*mine[1:6]), theirs, signed, abs(lots)

    def fill(self, name: str, lots: int, price: int, market: int = ETH, **more: int) -> None:
        """Fill a trade with the pool, which buys lots or sells them, under zero."""
        self.market.do(
            f"{ORDERS}.fill",
            *self.build_pool_trade_orders(name, lots, price, market, **more),
            sender="matcher",
        )

    def find_fill_revert_reason(
        self, name: str, lots: int, price: int, market: int = ETH, **more: int
    ) -> str | None:
        """Try the same; the reason if it reverts."""
        try:
            self.fill(name, lots, price, market, **more)
        except RevertError as revert:
            return revert.reason
        return None

    def compute_worst_quote_price(self, market: int = ETH) -> int:
        """The price at which it sells what it has, or buys it back [wei a lot]."""
        mark, spread = self.market.price(market), self.read("SPREAD")
        if self.read_pool_position_size(market) > 0:
            return -(-mark * (10_000 + spread) // 10_000)
        return int(mark * (10_000 - spread) // 10_000)

    def fill_quotes_until_pool_empty(self, name: str, market: int = ETH) -> None:
        """Fill all quotes with a trader, one after the other, until the pool has no lots."""
        while self.read_pool_position_size(market):
            self.market.report_current_prices_again()
            self.request_pool_quote(market)
            left = abs(self.read_pool_position_size(market)) - self.read("quote_of", market).down_to
            way = -1 if self.read_pool_position_size(market) > 0 else 1
            self.fill(name, way * left, self.compute_worst_quote_price(market), market)
            self.market.advance_clock(self.read("QUOTE_TIME"))

    # ---------------------------------------------------------------------- time

    def roll_until_gains_are_final(self) -> None:
        """Roll until all of today is final."""
        for _ in range(3):
            self.market.advance_cycle()
        self.market.do(
            f"{HOUSE}.update_account", self.market.get_contract_or_account_address(POOL), sender="keeper"
        )


def deploy_market_with_pool(
    new_protocol: Callable[..., LocalProtocol], third_bond: int = 0, rules: Rules = POOL_RULES, **desk: int
) -> MarketWithPool:
    """A pool without members beside an empty market."""
    return MarketWithPool(deploy_perpetuals(new_protocol, third_bond, BY_CYCLE, **desk), rules)


def deploy_pool_market_on_model(rules: Rules = POOL_RULES) -> MarketWithPool:
    """The same in a deployment of its own, on the model alone."""
    market = deploy_perpetuals_on_model()
    market.report_current_prices_again()
    return MarketWithPool(market, rules)


def add_members_with_unequal_deposits(pool: MarketWithPool, total_amount: int = 20_000) -> MarketWithPool:
    """Do the same with two members, which have three quarters and one."""
    pool.enter("ann", 3 * total_amount * WAD // 4)
    pool.enter("bob", total_amount * WAD // 4)
    return pool


def make_pool_whose_account_is_seized(
    new_protocol: Callable[..., LocalProtocol], deposited_amount: int = 2_000
) -> MarketWithPool:
    """Make a pool with little money and full leverage: its 1,000 lots at 16 are taken from it at 13."""
    rules = POOL_RULES._replace(leverage=100_000)
    pool = open_and_seize_long_position(
        add_members_with_unequal_deposits(
            deploy_market_with_pool(new_protocol, rules=rules), deposited_amount
        )
    )
    pool.take_unassigned_lots(1_000)
    pool.market.mark(ETH, 13 * WAD)
    assert pool.get_pool_equity() == (deposited_amount - 3_000) * WAD
    assert (
        pool.market.seize_insolvent(pool.market.get_contract_or_account_address(POOL))
        and pool.read_pool_position_size() == 0
    )
    return pool


def settle_failed_pool(pool: MarketWithPool, gift: int = 0) -> MarketWithPool:
    """Book and settle a failed pool's debt; it is at rest with a gift and nothing else [wad]."""
    pool.market.advance_cycle()
    pool.market.seize_insolvent(POOL)
    pool.roll_until_gains_are_final()
    assert pool.read("is_idle") and pool.cash() == 0
    if gift:
        give_to_pool(pool, gift)
    return pool


def give_to_pool(pool: MarketWithPool, amount: int) -> None:
    """Pay wad into the pool's account, for no shares."""
    pool.market.do(
        f"{HOUSE}.deposit", pool.market.get_contract_or_account_address(POOL), amount, sender="rich"
    )


def make_wiped_pool(new_protocol: Callable[..., LocalProtocol], gift: int = 0) -> MarketWithPool:
    """Make a pool at rest, with 2e27 shares, after its members have lost all but a gift [wad]."""
    return settle_failed_pool(make_pool_whose_account_is_seized(new_protocol), gift)


def open_and_seize_long_position(pool: MarketWithPool) -> MarketWithPool:
    """A long of 1,000 lots owes 1,000 at 16, and its lots become unassigned; shorts have 500 each."""
    open_long_and_two_shorts(pool.market)
    pool.market.mark(ETH, 16 * WAD)
    assert pool.market.seize_insolvent("long") and pool.market.count_unassigned_lots() == 1_000
    return pool
