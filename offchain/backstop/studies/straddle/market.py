"""The margin market by cycles on the model of its contracts, with an owner's two accounts and others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from backstop.deployment.accounts import account, created_address
from backstop.deployment.create import create_on_model, deploy
from backstop.deployment.examples import standard
from backstop.deployment.parameters import MarginParameters, PerpetualParameters
from backstop.deployment.plan import Creation
from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAY, WAD, div_up
from backstop.model.interfaces import Standing
from backstop.model.perpetual_desk import Rules as DeskRules
from backstop.model.perpetual_market import PerpetualMarket, Rules
from backstop.model.state import ZERO_ADDRESS
from backstop.studies.straddle.paths import UNIT
from backstop.system import Action

LOT = WAD // 100
MARKET = 0
LEFT, RIGHT = account("straddle_left"), account("straddle_right")
"""The pair's accounts."""
OTHERS = account("straddle_others"), account("straddle_more_others")
"""Honest accounts, long and short against each other, with more margin than any price here asks for."""
_BUCKETS = 7
_MONEY = 10**9
_DAY = 86_400


class Terms(NamedTuple):
    """Parameters of a market, as far as a pair earns by them; those of the library."""

    maintenance: int = 1_000  # basis points of notional
    initial: int = 2_000  # basis points of notional
    mark_age: int = 60  # seconds
    reaction: int = 12  # seconds between two looks of those who bring prices and liquidate
    maker_fee: int = 10  # basis points of notional
    taker_fee: int = 10  # basis points of notional
    share_from: int = 250_000  # whole stablecoins of an account's notional, above which it needs more
    share_rate: int = 0  # basis points more, of what is above
    open_from: int = 1_000_000  # whole stablecoins open in the market, above which new risk needs more
    open_rate: int = 500  # basis points more, of what is above
    cap: int = 1_000_000  # whole stablecoins of insurance that may be spent in a day
    half_bond: int = 5  # whole stablecoins
    window: int = 1_800  # seconds that a cycle is pending
    quiet: int = 300  # seconds after the last booking


class Market:
    """A deployment on the model, at terms, in which nobody has traded yet."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        perpetual = PerpetualParameters(
            "WETH",
            LOT,
            initial=terms.initial,
            maintenance=terms.maintenance,
            of_accounts=((terms.share_from, terms.share_rate), (0, 0)),
            of_market=((terms.open_from, terms.open_rate), (0, 0)),
            open_limit=10**12,
        )
        parameters = replace(standard(), margin=MarginParameters((perpetual,)))
        _, self.model, _ = deploy(None, parameters)
        self.world = self.model.world
        feed = parameters.collateral_types[0].feed
        self.reporters = [account(f"reporter_{i + 1}") for i in range(feed.reporters)]
        self._fund_rich()
        at = {name: contract.address for name, contract in self.world.contracts.items()}
        house = created_address(account("deployer_of_PerpetualMarket"), 0)
        desk = created_address(account("deployer_of_PerpetualDesk"), 0)
        engine, policy, coin = at["VaultEngine"], at["MarginPolicy"], at["Stablecoin"]
        fund = self._create("MarginFund", "PerpetualFund", coin, house, account("admin"), _DAY, _BUCKETS)
        rules = Rules(terms.window, terms.quiet, terms.mark_age, terms.half_bond * WAD)
        wired = engine, policy, coin, desk, fund, ZERO_ADDRESS
        self._create("PerpetualMarket", "PerpetualMarket", wired, tuple(rules))
        asked = DeskRules(50, terms.maker_fee, terms.taker_fee, 1_000)
        orders = account("orders")
        wiring = engine, policy, ZERO_ADDRESS, orders, house
        self._create("PerpetualDesk", "PerpetualDesk", *wiring, tuple(asked))
        self.house = house
        market = self.world.contracts["PerpetualMarket"]
        assert isinstance(market, PerpetualMarket)
        self.market = market
        for spender in (house, fund):
            self.do("Stablecoin.approve", spender, MAX_UINT256)
        self.do("PerpetualFund.set_cap", terms.cap, by=account("admin"))
        if terms.cap:
            self.do("PerpetualFund.insure", terms.cap * WAD)

    def _create(self, kind: str, name: str, *args: Any) -> str:
        address = created_address(account(f"deployer_of_{name}"), 0)
        create_on_model(self.world, Creation(name, kind, args, address))
        return address

    def _fund_rich(self) -> None:
        """Give the account that pays for all stablecoin out of nothing: where it comes from is no matter."""
        coin: Any = self.world.contracts["Stablecoin"]
        rich, amount = account("rich"), _MONEY * WAD
        coin.balances[rich] = coin.balances[rich] + amount

    # ------------------------------------------------------------------ calls

    def do(self, call: str, *args: Any, by: str = "") -> Any:
        """Run "Contract.method"; its value. Raise BackstopError if it reverts."""
        contract, method = call.split(".")
        outcome = self.model.apply(Action(contract, method, args, by or account("rich")))
        if outcome.reason is not None:
            raise BackstopError(f"{call} reverted with {outcome.reason!r}")
        return outcome.value

    def tries(self, call: str, *args: Any, by: str = "") -> bool:
        """Run it; tell whether it went."""
        contract, method = call.split(".")
        return self.model.apply(Action(contract, method, args, by or account("rich"))).reason is None

    def mark(self, price: int) -> None:
        """Have all reporters say a price [1e-8 dollars] and the market be marked at it."""
        ray = price * RAY // UNIT
        for reporter in self.reporters:
            self.do("PriceFeed.report", 0, ray, by=reporter)
        self.do("PerpetualMarket.accrue", MARKET)

    def price(self) -> int:
        """Return the mark [wei a lot]."""
        return int(self.market.paths[MARKET].price)

    def size(self, owner: str) -> int:
        """Return an account's position [lots]."""
        return int(self.market.positions[owner, MARKET].size)

    def standing(self, owner: str) -> Standing:
        """Return what an account has at the mark."""
        self.do("PerpetualMarket.wake", owner)
        return self.market._standing(owner)

    def trade(self, maker: str, taker: str, lots: int) -> None:
        """Have a maker buy lots (or sell, under zero) at the mark. Raise BackstopError if it may not."""
        args = MARKET, maker, taker, lots, self.price(), False, False
        self.do("PerpetualDesk.trade", *args, by=account("orders"))

    def trades(self, maker: str, taker: str, lots: int) -> bool:
        """Do the same; tell whether it went."""
        args = MARKET, maker, taker, lots, self.price(), False, False
        return self.tries("PerpetualDesk.trade", *args, by=account("orders"))

    def roll(self, price: int) -> None:
        """Wait for the window, mark, and roll."""
        clock = self.market.clocks[()]
        soonest = max(clock.rolled_at + self.terms.window, clock.booked_at + self.terms.quiet)
        self.model.advance(max(0, soonest - self.world.timestamp))
        self.mark(price)
        self.do("PerpetualMarket.roll")

    # ---------------------------------------------------------------- margins

    def initial(self, lots: int, opened: int) -> int:
        """Return the initial margin of new risk at the mark [wad], with so many lots open, rounded up."""
        policy: Any = self.world.contracts["MarginPolicy"]
        needs = policy.needs_at("", MARKET, lots, self.price(), opened, True)
        return div_up(needs.initial, BASIS_POINTS)

    def maintenance(self, lots: int, price: int) -> int:
        """Return the maintenance margin of a position [wad x basis points] at a price [wei a lot]."""
        notional, terms = lots * price, self.terms
        return notional * terms.maintenance + max(0, notional - terms.share_from * WAD) * terms.share_rate

    def claim_all(self, owner: str, buckets: set[int]) -> int:
        """Wait until profits have vested and claim them; how much [wad]."""
        self.model.advance((_BUCKETS + 1) * _DAY)
        return sum(self.do("PerpetualFund.claim", owner, each) for each in sorted(buckets))

    def bucket(self) -> int:
        """Return the bucket of time in which profits are locked now."""
        return self.world.timestamp // _DAY
