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
    """Parameters of a perpetual market that decide the gain of a pair of opposite positions."""

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
    """Return the terms of a deployment's first perpetual market.

    Reporters and liquidators are assumed to check prices in every block.
    """
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
    """Margin market with given terms on the model, before any trade."""

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
        """Set the stablecoin balance of the account that pays for everything, without a vault."""
        coin: Any = self.world.contracts["Stablecoin"]
        rich, amount = get_account("rich"), _MONEY * WAD
        coin.balances[rich] = coin.balances[rich] + amount

    # ------------------------------------------------------------------ calls

    def apply_call_on_model(self, call: str, *args: Any, sender: str = "") -> Any:
        """Run the call "Contract.method" on the model, and return its value.

        Raises BackstopError if the call reverts.
        """
        contract, method = call.split(".")
        outcome = self.model.apply(Action(contract, method, args, sender or get_account("rich")))
        if outcome.reason is not None:
            raise BackstopError(f"{call} reverted with {outcome.reason!r}")
        return outcome.value

    def try_call_on_model(self, call: str, *args: Any, sender: str = "") -> bool:
        """Run the call "Contract.method" on the model, and return whether it succeeded."""
        contract, method = call.split(".")
        return self.model.apply(Action(contract, method, args, sender or get_account("rich"))).reason is None

    def report_and_mark_price(self, price: int) -> None:
        """Report a price by all reporters [1e-8 dollars], and update the market's mark to it."""
        ray = price * RAY // UNIT
        for reporter in self.reporters:
            self.apply_call_on_model("PriceFeed.report_range", 0, ray, ray, ray, 0, sender=reporter)
        self.apply_call_on_model("PerpetualMarket.accrue", MARKET)

    def read_mark(self) -> int:
        """Return the market's mark price [wei per lot]."""
        return int(self.market.paths[MARKET].price)

    def read_size(self, owner: str) -> int:
        """Return the size of an account's position [lots]; a short is negative."""
        return int(self.market.positions[owner, MARKET].size)

    def update_and_read_standing(self, owner: str) -> Standing:
        """Update an account, and return its value at the mark price with its haircut and unfinal gains."""
        self.apply_call_on_model("PerpetualMarket.update_account", owner)
        return self.market._compute_standing(owner)

    def apply_unsigned_trade_at_mark(self, maker: str, taker: str, lots: int) -> None:
        """Trade at the mark price without signed orders: the maker buys `lots` (sells if negative).

        Raises BackstopError if the market refuses the trade.
        """
        args = MARKET, maker, taker, lots, self.read_mark(), False, False
        self.apply_call_on_model("PerpetualTrading.trade", *args, sender=self._orders)

    def try_trade(self, maker: str, taker: str, lots: int) -> bool:
        """Trade at the mark price without signed orders, and return whether the trade succeeded.

        The maker buys `lots` (sells if negative).
        """
        args = MARKET, maker, taker, lots, self.read_mark(), False, False
        return self.try_call_on_model("PerpetualTrading.trade", *args, sender=self._orders)

    def wait_and_roll_cycle(self, price: int) -> None:
        """Wait until the cycle's window has passed, update the mark to `price`, and advance the cycle."""
        clock = self.market.clocks[()]
        soonest = max(clock.rolled_at + self.terms.window, clock.booked_at + self.terms.quiet)
        self.model.advance(max(0, soonest - self.world.timestamp))
        self.report_and_mark_price(price)
        self.apply_call_on_model("PerpetualMarket.advance_cycle")

    # ---------------------------------------------------------------- margins

    def compute_initial_margin(self, lots: int, market_open_lots: int) -> int:
        """Return the initial margin of a new position at the mark price [wad], rounded up.

        `market_open_lots` is the number of lots that are open in the market.
        """
        policy: Any = self.world.contracts["MarginPolicy"]
        needs = policy.margin_requirement("", MARKET, lots, self.read_mark(), market_open_lots, True)
        return div_up(needs.initial, BASIS_POINTS)

    def compute_maintenance_margin(self, lots: int, price: int) -> int:
        """Return the maintenance margin of a position at a price [wei per lot].

        The unit is wad times basis points.
        """
        notional, terms = lots * price, self.terms
        return notional * terms.maintenance + max(0, notional - terms.share_from * WAD) * terms.share_rate

    def claim_all(self, owner: str, buckets: set[int]) -> int:
        """Wait until an owner's profits have vested, claim them, and return their sum [wad].

        `buckets` are the intervals of time in which the profits were locked.
        """
        self.model.advance((self._buckets + 1) * self._bucket)
        return sum(self.apply_call_on_model("MarginFund.claim", owner, each) for each in sorted(buckets))

    def get_current_profit_lock_bucket(self) -> int:
        """Return the number of the time interval in which profits are locked now."""
        return self.world.timestamp // self._bucket


def _build_parameters(terms: MarketTerms) -> Parameters:
    """Return the library's parameters with these terms, one perpetual market, and no facilitator."""
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
