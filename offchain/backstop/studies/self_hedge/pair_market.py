"""The margin market on the model of its contracts, with an owner's two accounts and others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from backstop.deployment.example_parameters import build_margin_parameters
from backstop.deployment.model_and_chain_deployment import deploy_protocol
from backstop.deployment.parameter_dataclasses import Parameters
from backstop.deployment.parameter_rules.self_hedge_margin_formula import compute_self_hedge_initial_margin
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAY, WAD, div_up
from backstop.model.interfaces import Standing
from backstop.model.perpetual_market import PerpetualMarket
from backstop.studies.self_hedge.second_prices_from_bars import UNIT
from backstop.system import Action

LOT = WAD // 100
MARKET = 0
LEFT, RIGHT = get_account("straddle_left"), get_account("straddle_right")
"""The pair's accounts."""
OTHERS = get_account("straddle_others"), get_account("straddle_more_others")
"""Honest accounts, long and short against each other, with more margin than any price here asks for."""
_MONEY = 10**9


class MarketTerms(NamedTuple):
    """Parameters of a market, as far as a pair earns by them."""

    maintenance: int  # basis points of notional
    initial: int  # basis points of notional
    mark_age: int  # seconds
    maker_fee: int  # basis points of notional
    taker_fee: int  # basis points of notional
    open_from: int  # whole stablecoins open in the market, above which new risk needs more
    open_rate: int  # basis points more, of what is above
    cap: int  # whole stablecoins of insurance that may be spent in a day
    third_bond: int  # whole stablecoins
    window: int  # seconds that a cycle is pending
    quiet: int  # seconds after the last booking
    share_from: int = 250_000  # whole stablecoins of an account's notional, above which it needs more
    share_rate: int = 0  # basis points more, of what is above
    reaction: int = 12  # seconds between two looks of those who bring prices and liquidate
    insured: int = 0  # basis points of what is open that insurance has to have


def read_terms(parameters: Parameters) -> MarketTerms:
    """Return the terms of a deployment's first market, with a look in every block."""
    margin = parameters.margin
    assert margin is not None
    market = margin.markets[0]
    return MarketTerms(
        market.maintenance,
        market.initial,
        margin.mark_age,
        margin.maker_fee,
        margin.taker_fee,
        *market.of_market[0],
        margin.cap,
        margin.third_bond,
        margin.window,
        margin.quiet,
        insured=market.insured,
    )


LIBRARY = read_terms(build_margin_parameters())
"""The library's terms."""
ALLOWED = compute_self_hedge_initial_margin(LIBRARY.mark_age, min(LIBRARY.maker_fee, LIBRARY.taker_fee))
"""The least initial margin [basis points of notional] that settings accept with them otherwise."""


class HedgePairMarket:
    """A deployment on the model with given terms, before any trade."""

    def __init__(self, terms: MarketTerms) -> None:
        self.terms = terms
        parameters = _build_parameters(terms)
        assert parameters.margin is not None
        self._bucket, self._buckets = parameters.margin.bucket, parameters.margin.buckets
        _, self.model, _ = deploy_protocol(None, parameters)
        self.world = self.model.world
        feed = parameters.collateral_types[0].feed
        self.reporters = [get_account(f"reporter_{i + 1}") for i in range(feed.reporters)]
        self._orders = self.world.contracts["MarginOrders"].address
        market = self.world.contracts["PerpetualMarket"]
        assert isinstance(market, PerpetualMarket)
        self.market = market
        self._credit_rich_account_with_stablecoins()
        for spender in ("PerpetualMarket", "MarginFund"):
            self.apply_call_on_model("Stablecoin.approve", self.world.contracts[spender].address, MAX_UINT256)
        if terms.cap:
            self.apply_call_on_model("MarginFund.insure", terms.cap * WAD)

    def _credit_rich_account_with_stablecoins(self) -> None:
        """Give the account that pays for all stablecoin out of nothing: where it comes from is no matter."""
        coin: Any = self.world.contracts["Stablecoin"]
        rich, amount = get_account("rich"), _MONEY * WAD
        coin.balances[rich] = coin.balances[rich] + amount

    # ------------------------------------------------------------------ calls

    def apply_call_on_model(self, call: str, *args: Any, sender: str = "") -> Any:
        """Run "Contract.method"; its value. Raise BackstopError if it reverts."""
        contract, method = call.split(".")
        outcome = self.model.apply(Action(contract, method, args, sender or get_account("rich")))
        if outcome.reason is not None:
            raise BackstopError(f"{call} reverted with {outcome.reason!r}")
        return outcome.value

    def try_call_on_model(self, call: str, *args: Any, sender: str = "") -> bool:
        """Run it; tell whether it went."""
        contract, method = call.split(".")
        return self.model.apply(Action(contract, method, args, sender or get_account("rich"))).reason is None

    def report_and_mark_price(self, price: int) -> None:
        """Report a price by all reporters [1e-8 dollars] and mark the market at it."""
        ray = price * RAY // UNIT
        for reporter in self.reporters:
            self.apply_call_on_model("PriceFeed.report_range", 0, ray, ray, ray, 0, sender=reporter)
        self.apply_call_on_model("PerpetualMarket.accrue", MARKET)

    def read_mark(self) -> int:
        """Return the mark [wei a lot]."""
        return int(self.market.paths[MARKET].price)

    def read_size(self, owner: str) -> int:
        """Return an account's position [lots]."""
        return int(self.market.positions[owner, MARKET].size)

    def update_and_read_standing(self, owner: str) -> Standing:
        """Return what an account has at the mark."""
        self.apply_call_on_model("PerpetualMarket.update_account", owner)
        return self.market._compute_standing(owner)

    def apply_unsigned_trade_at_mark(self, maker: str, taker: str, lots: int) -> None:
        """Buy lots for a maker (or sell, under zero) at the mark.

        Raise BackstopError if the rules refuse it.
        """
        args = MARKET, maker, taker, lots, self.read_mark(), False, False
        self.apply_call_on_model("PerpetualTrading.trade", *args, sender=self._orders)

    def try_trade(self, maker: str, taker: str, lots: int) -> bool:
        """Do the same; tell whether it went."""
        args = MARKET, maker, taker, lots, self.read_mark(), False, False
        return self.try_call_on_model("PerpetualTrading.trade", *args, sender=self._orders)

    def wait_and_roll_cycle(self, price: int) -> None:
        """Wait for the window, mark, and roll."""
        clock = self.market.clocks[()]
        soonest = max(clock.rolled_at + self.terms.window, clock.booked_at + self.terms.quiet)
        self.model.advance(max(0, soonest - self.world.timestamp))
        self.report_and_mark_price(price)
        self.apply_call_on_model("PerpetualMarket.advance_cycle")

    # ---------------------------------------------------------------- margins

    def compute_initial_margin(self, lots: int, market_open_lots: int) -> int:
        """Return the initial margin of new risk at the mark [wad], with so many lots open, rounded up."""
        policy: Any = self.world.contracts["MarginPolicy"]
        needs = policy.margin_requirement("", MARKET, lots, self.read_mark(), market_open_lots, True)
        return div_up(needs.initial, BASIS_POINTS)

    def compute_maintenance_margin(self, lots: int, price: int) -> int:
        """Return the maintenance margin of a position [wad x basis points] at a price [wei a lot]."""
        notional, terms = lots * price, self.terms
        return notional * terms.maintenance + max(0, notional - terms.share_from * WAD) * terms.share_rate

    def claim_all(self, owner: str, buckets: set[int]) -> int:
        """Wait until profits have vested and claim them; how much [wad]."""
        self.model.advance((self._buckets + 1) * self._bucket)
        return sum(self.apply_call_on_model("MarginFund.claim", owner, each) for each in sorted(buckets))

    def get_current_profit_lock_bucket(self) -> int:
        """Return the bucket of time in which profits are locked now."""
        return self.world.timestamp // self._bucket


def _build_parameters(terms: MarketTerms) -> Parameters:
    """Return the library's parameters with other terms, one market, and no facilitator."""
    parameters = build_margin_parameters()
    margin = parameters.margin
    assert margin is not None
    market = replace(
        margin.markets[0],
        lot=LOT,
        initial=terms.initial,
        maintenance=terms.maintenance,
        of_accounts=((terms.share_from, terms.share_rate), (0, 0)),
        of_market=((terms.open_from, terms.open_rate), (0, 0)),
        open_limit=10**12,
        insured=terms.insured,
    )
    changed = replace(
        margin,
        markets=(market,),
        facilitator="",
        cap=terms.cap,
        window=terms.window,
        quiet=terms.quiet,
        mark_age=terms.mark_age,
        maker_fee=terms.maker_fee,
        taker_fee=terms.taker_fee,
        third_bond=terms.third_bond,
        # The other side of the pair's trades takes risk at any mark: the worst case.
        divergence=0,
    )
    return replace(parameters, facilitators=(), margin=changed)
