"""A protocol in this process: model and contracts in lockstep, called with names instead of addresses.

    protocol = open_protocol()
    protocol.borrow("anna", "WETH", 10 * WAD, 10_000 * WAD)
    protocol.do("LiquidationEngine.liquidate", 0, "anna", "keeper", sender="keeper")

An address is the name of a contract, of a role or of any account in lower case. A call in which model and
contract differ raises DivergenceError.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from backstop.contract_base import RevertError
from backstop.deployment.devnet_trader_signatures import get_trader_account, sign_order
from backstop.deployment.parameter_dataclasses import CollateralParameters, Parameters
from backstop.deployment.role_accounts import get_account
from backstop.hosts.abi_codec import Parameter
from backstop.hosts.host_interface import CHAIN_ID
from backstop.hosts.revm import RevmHost
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.interfaces import Prices
from backstop.model.margin_orders import Order
from backstop.proof.lockstep import ProtocolLockstep, deploy_lockstep
from backstop.system import Action, Outcome, System

PRICES = {"WETH": 2_000 * RAY, "WBTC": 60_000 * RAY, "XAU": 2_500 * RAY}
"""Prices of a new protocol [ray for 1e18 of collateral]."""


@contextmanager
def limit_checks_to_written_slots(system: System) -> Iterator[None]:
    """Return a context manager that limits state comparisons to the slots that each step writes.

    The first step after it compares the whole state again. Without a lockstep it does nothing.
    """
    if not isinstance(system, ProtocolLockstep):
        yield
        return
    check_every = system.check_every
    system.check_every = check_every and 0
    try:
        yield
    finally:
        system.check_every = check_every


class LocalProtocol:
    """Deployment on model and chain in this process, called with names instead of addresses.

    An argument of type `address` may be the name of a contract or of an account.
    """

    def __init__(self, both: ProtocolLockstep) -> None:
        self.lockstep = both
        self.last = Outcome(None, None, ())
        self.traders: set[str] = set()

    @property
    def parameters(self) -> Parameters:
        assert self.lockstep.parameters is not None
        return self.lockstep.parameters

    @property
    def timestamp(self) -> int:
        return self.lockstep.timestamp

    def address(self, name: str) -> str:
        """Return the address of a contract or an account; any lower-case word is an account.

        A trader's name (see `deposit_margin`) stands for the account of its key. "anna#1" is another account
        of the same key.
        """
        if name.startswith("0x"):
            return name.lower()
        if name.partition("#")[0] in self.traders:
            return get_trader_account(name)
        found = self.lockstep.addresses.get(name)
        if found is None:
            assert re.fullmatch(r"[a-z]\w*", name), f"{name!r} is not a contract"
            found = get_account(name)
        return found

    def get_collateral_type(self, symbol: str) -> int:
        """Return the id of the collateral type with this token symbol."""
        return [c.symbol for c in self.parameters.collateral_types].index(symbol)

    def do(self, call: str, *args: Any, sender: str) -> Any:
        """Submit the call "Contract.method" to model and chain, and return its value.

        The attribute `last` keeps the outcome with its events. Raises RevertError with the reason if the call
        reverts.
        """
        contract, method = call.rsplit(".", 1)
        action = Action(
            contract, method, self._resolve_arguments(contract, method, args), self.address(sender)
        )
        self.last = self.lockstep.apply(action)
        if self.last.reason is not None:
            raise RevertError(self.last.reason)
        return self.last.value

    def read(self, call: str, *args: Any) -> Any:
        """Return the result of the view "Contract.method" on model and chain."""
        contract, method = call.rsplit(".", 1)
        return self.lockstep.view(contract, method, *self._resolve_arguments(contract, method, args))

    def table(self, contract: str, path: str, key: Any = ()) -> Any:
        """Return the record at `key` of a contract's storage variable `path`, as the chain stores it."""
        return self.lockstep.snapshot()[contract][path][key]

    def advance(self, seconds: int, blocks: int | None = None) -> None:
        """Advance the time by `seconds` and the chain by `blocks`.

        The default is one block for each slot of 12 seconds.
        """
        self.lockstep.advance(seconds, blocks)

    # ------------------------------------------------------------------ prices

    def report(self, symbol: str, price: int) -> None:
        """Report a price by each reporter of the collateral type [ray for 1e18 of collateral]."""
        self.submit_reports(
            self.get_collateral_type(symbol), price, self._get_collateral_parameters(symbol).feed.reporters
        )

    def submit_reports(
        self, market: int, price: int, reporter_count: int, low: int | None = None, high: int | None = None
    ) -> None:
        """Report a price [ray] by each reporter of a feed market.

        Only the last report compares the whole state of model and chain. With a margin market each report
        also has a price range, which is the price itself by default.
        """
        *others, last = [f"reporter_{i + 1}" for i in range(reporter_count)]
        call, args = "PriceFeed.report", [market, price]
        if self.parameters.margin is not None:
            ends = price if low is None else low, price if high is None else high
            call, args = "PriceFeed.report_range", [market, price, *ends, 0]
        with limit_checks_to_written_slots(self.lockstep):
            for reporter in others:
                self.do(call, *args, sender=reporter)
        self.do(call, *args, sender=last)

    def post_next(self, symbol: str, price: int) -> None:
        """Make a price [ray] the next price of the feed.

        The function waits until the feed can be updated, reports the price and updates the feed.
        """
        c, feed = self.get_collateral_type(symbol), self._get_collateral_parameters(symbol).feed
        averages = self.lockstep.model.world.contracts["PriceFeed"].tables["averages"]
        self.advance(max(0, averages[c].stepped_at + feed.step - self.timestamp))
        self.report(symbol, price)
        self.do("PriceFeed.poke", c, sender="stranger")

    def post_price(self, symbol: str, price: int) -> None:
        """Make a price [ray] both the current and the next price of the feed, in one or two updates."""
        self.post_next(symbol, price)
        if self._read_prices(symbol).current != price:
            self.post_next(symbol, price)

    def get_or_renew_risk_price(self, symbol: str) -> int:
        """Return the price for new risk [ray]; a stale price is first reported again."""
        c = self.get_collateral_type(symbol)
        if self.read("PriceFeed.risk_price", c) == 0:
            self.post_price(symbol, self._read_prices(symbol).next or PRICES[symbol])
        return int(self.read("PriceFeed.risk_price", c))

    # ------------------------------------------------------------------- money

    def mint_and_approve_collateral(self, symbol: str, who: str, amount: int) -> None:
        """Mint collateral for an account [wad] and approve the vault engine to spend it.

        The amount is rounded up to whole units of the token.
        """
        raw = -(-amount // 10 ** (18 - self.read(f"{symbol}.decimals")))
        self.do(f"{symbol}.mint", who, raw, sender=who)
        self.do(f"{symbol}.approve", "VaultEngine", MAX_UINT256, sender=who)

    def borrow(self, who: str, symbol: str, collateral: int, debt: int) -> None:
        """Mint collateral for an account, lock it in the account's vault and draw a debt, both in wad."""
        if collateral:
            self.mint_and_approve_collateral(symbol, who, collateral)
        c = self.get_collateral_type(symbol)
        self.do("VaultEngine.deposit_and_draw", c, who, collateral, debt, who, sender=who)

    def give_stablecoin(self, who: str, amount: int) -> None:
        """Transfer stablecoin [wad] to an account.

        The market maker draws it on a vault with about three times as much collateral.
        """
        draw = max(amount, self._get_collateral_parameters("WETH").debt_floor * WAD)
        self.borrow("market_maker", "WETH", 3 * draw * RAY // self.get_or_renew_risk_price("WETH"), draw)
        self.do("Stablecoin.transfer", who, amount, sender="market_maker")

    def deploy_token(self, kind: str, name: str, symbol: str, decimals: int) -> str:
        """Deploy a token contract, and return its name, which is its symbol.

        `kind` is the name of the contract's source.
        """
        self.lockstep.create_contract(kind, symbol, name, symbol, decimals)
        return symbol

    def provide(self, symbol: str, collateral: int, stable: int) -> None:
        """Set both reserves of a collateral token's constant-product market [wad]."""
        market = f"Market.{symbol}"
        raw = -(-collateral // 10 ** (18 - self.read(f"{symbol}.decimals")))
        self.do(f"{symbol}.mint", "market_maker", raw, sender="market_maker")
        self.do(f"{symbol}.approve", market, MAX_UINT256, sender="market_maker")
        self.give_stablecoin("market_maker", stable)
        self.do("Stablecoin.approve", market, MAX_UINT256, sender="market_maker")
        self.do(f"{market}.set_liquidity", collateral, stable, sender="market_maker")

    # ----------------------------------------------------------- margin market

    def deposit_margin(self, trader: str, amount: int) -> None:
        """Deposit stablecoin [wad] into a trader's account of the margin market.

        From then on the name stands for that account, which is the address of the trader's key. A stale
        collateral price is reported again first. That takes an hour, after which marks have to be renewed.
        """
        self.traders.add(trader.partition("#")[0])
        self.give_stablecoin("payer", amount)
        self.do("Stablecoin.approve", "PerpetualMarket", amount, sender="payer")
        self.do("PerpetualMarket.deposit", trader, amount, sender="payer")

    def post_mark(self, market: int, price: int, low: int | None = None, high: int | None = None) -> None:
        """Report the price of a perpetual market and its recent range, and update the mark [wei per lot].

        The range is the price itself by default.
        """
        assert self.parameters.margin is not None
        terms = self.parameters.margin.markets[market]
        feed = self.get_collateral_type(terms.symbol)
        ends = price if low is None else low, price if high is None else high
        prices = [-(-each * RAY // terms.lot) for each in (price, *ends)]
        reporters = self._get_collateral_parameters(terms.symbol).feed.reporters
        self.submit_reports(feed, prices[0], reporters, *prices[1:])
        self.do("PerpetualMarket.accrue", market, sender="keeper")

    def renew_marks(self) -> None:
        """Report the last mark of each perpetual market again, so that all marks are current."""
        assert self.parameters.margin is not None
        for market in range(len(self.parameters.margin.markets)):
            if mark := self.read("PerpetualMarket.mark_of", market):
                self.post_mark(market, mark)

    def sign_order(self, order: Order) -> tuple[Order, bytes]:
        """Return an order with the trader's name replaced by its account, and the order's signature."""
        signed = order._replace(account=get_trader_account(order.account))
        return signed, sign_order(order.account, signed, CHAIN_ID, self.address("MarginOrders"))

    def trade(self, maker: str, taker: str, lots: int, market: int = 0, price: int | None = None) -> None:
        """Fill two signed orders: the maker buys lots from the taker.

        With negative `lots` the maker sells. The price [wei per lot] is the last mark by default.
        """
        limit = self.read("PerpetualMarket.mark_of", market) if price is None else price
        nonce = self.lockstep.steps
        bought = self.sign_order(Order(maker, market, lots, limit, MAX_UINT256, nonce))
        sold = self.sign_order(Order(taker, market, -lots, limit, MAX_UINT256, nonce))
        self.do("MarginOrders.fill", *bought, *sold, abs(lots), sender="matcher")

    def advance_cycle(self) -> None:
        """Wait until the margin market's cycle can end, renew all marks, and end the cycle.

        A cycle is the market's accounting period.
        """
        assert self.parameters.margin is not None
        clock, margin = self.read("PerpetualMarket.clock_of"), self.parameters.margin
        soonest = max(clock.rolled_at + margin.window, clock.booked_at + margin.quiet)
        self.advance(max(0, soonest - self.timestamp))
        self.renew_marks()
        self.do("PerpetualMarket.advance_cycle", sender="keeper")

    def get_equity(self, account: str) -> int:
        """Update a margin account, and return its equity at the last marks after known haircuts [wad].

        A haircut is the part of a gain that pays others' losses.
        """
        self.do("PerpetualMarket.update_account", account, sender="keeper")
        standing = self.read("PerpetualMarket.standing_of", account)
        return int(standing.own - standing.haircut)

    # --------------------------------------------------------------- situations

    def earn_fees(self, symbol: str) -> None:
        """Open a vault and charge a year of fees on it, so that buffer and reserve have funds.

        The prices are the same afterwards.
        """
        prices = {c.symbol: self.get_or_renew_risk_price(c.symbol) for c in self.parameters.collateral_types}
        debt = 10 * self._get_collateral_parameters(symbol).debt_floor * WAD
        self.borrow("fee_payer", symbol, 10 * debt * RAY // prices[symbol], debt)
        self.advance(365 * 86_400)
        self.do("VaultEngine.accrue", self.get_collateral_type(symbol), sender="stranger")
        for each, price in prices.items():
            self.post_price(each, price)

    def make_deficit(self, symbol: str) -> int:
        """Make a vault's collateral worthless, close its auction, and return the deficit [rad].

        A year of fees is charged first, so that buffer and reserve have funds.
        """
        c, collateral = self.get_collateral_type(symbol), self._get_collateral_parameters(symbol)
        self.earn_fees(symbol)
        price = self.get_or_renew_risk_price(symbol)
        debt = 5 * collateral.debt_floor * WAD
        self.borrow("defaulter", symbol, 2 * debt * RAY // price, debt)
        self.post_price(symbol, price // 10**7)
        auction = self.do("LiquidationEngine.liquidate", c, "defaulter", "liquidator", sender="liquidator")
        # The time-weighted price has to follow, and a close needs a fresh price.
        end = self.timestamp + max(collateral.auction.tail, 2 * collateral.feed.window) + 1
        while self.timestamp < end:
            self.post_price(symbol, price // 10**7)
        self.do("CollateralAuction.close", auction, sender="stranger")
        return int(self.read("VaultEngine.deficit_of", c))

    # ----------------------------------------------------------------- helpers

    def _get_collateral_parameters(self, symbol: str) -> CollateralParameters:
        return self.parameters.collateral_types[self.get_collateral_type(symbol)]

    def _read_prices(self, symbol: str) -> Prices:
        return self.read("PriceFeed.prices_of", self.get_collateral_type(symbol))

    def _resolve_arguments(self, contract: str, method: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
        function = self.lockstep.chain.get_function(contract, method, len(args))
        return tuple(self._resolve_value(p, value) for p, value in zip(function.inputs, args, strict=True))

    def _resolve_value(self, parameter: Parameter, value: Any) -> Any:
        if parameter.type == "address":
            return self.address(value)
        if parameter.type.endswith("]"):
            item = parameter._replace(type=parameter.type[: parameter.type.rindex("[")])
            return tuple(self._resolve_value(item, each) for each in value)
        if parameter.type == "tuple":
            return tuple(
                self._resolve_value(p, each) for p, each in zip(parameter.components, value, strict=True)
            )
        return value


def open_protocol(parameters: Parameters | None = None) -> LocalProtocol:
    """Deploy model and contracts in this process, post the first prices, and return the protocol.

    The contracts run on the host revm. The default parameters are the standard ones, with WETH at 2,000, WBTC
    at 60,000 and XAU at 2,500 stablecoins.
    """
    protocol = LocalProtocol(deploy_lockstep(RevmHost(), parameters, traces=None))
    for collateral in protocol.parameters.collateral_types:
        protocol.post_price(collateral.symbol, PRICES[collateral.symbol])
    return protocol
