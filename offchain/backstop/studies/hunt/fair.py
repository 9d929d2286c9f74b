"""Fair sales and losses in a game: no sale begins under a shown price, and no loss takes more than it costs.

The checks use public prices and final holdings only; no rule of a price or of a share is repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

from backstop.deployment.deployment_plan import Deployment
from backstop.deployment.role_accounts import get_account
from backstop.hosts.model_system import ModelSystem
from backstop.model.arithmetic import MAX_UINT256, RAD, RAY, WAD
from backstop.model.bounds import EQUITY_MARKET, MAX_RESERVATION
from backstop.studies.hunt.books import Books, Prices, Sheet, unvested
from backstop.studies.hunt.levels import NEAR
from backstop.studies.hunt.past import Past
from backstop.studies.hunt.questions import KEEPER, Told
from backstop.system import Action, Log

LEAST = 100 * WAD
MOST = (1, 2), (9, 10)
"""Shares of a pool that one more loss may leave."""
LOSER = get_account("loser")
"""The account whose debt fails where the effect of one more loss is tried."""
_ASKED = 0.2
_SELDOM = 0.06
ROUNDS = 16
"""Of half an hour, in which final prices are made."""


class Fair:
    """Asked before and after each call of one game."""

    def __init__(
        self,
        system: ModelSystem,
        books: Books,
        deployment: Deployment,
        count: Callable[[Prices], Sheet],
    ) -> None:
        self.system = system
        self.deployment = deployment
        self.books = books
        self.count = count
        self.contracts: dict[str, Any] = dict(system.world.contracts)
        self._held: dict[str, int] = {}
        self._owed: dict[str, int] = {}
        self._buffers: dict[int, int] = {}

    def before(self, action: Action, prices: Prices, least: int) -> Iterator[Told]:
        """Look at what a call is about to change; ask what an entry takes from members."""
        self._held = {name: self._holds(name) for name in self.books.pools}
        self._owed = self._outstanding()
        engine = self.contracts["VaultEngine"]
        self._buffers = {c: int(engine.income[c].buffer) for c in range(engine.type_count[()])}
        if action.contract == "StakedEquity" and action.method in ("deposit", "mint"):
            yield from self._entered(action, prices, least)

    def after(self, action: Action, logs: Sequence[Log], random: Random) -> Iterator[Told]:
        """Compare what is sold with what is known, and what is lost with what it covers."""
        for log in logs:
            yield from self._sale(log)
        if action.method in ("cover", "cover_last"):
            yield from self._lost(logs)
        yield from self._unread()
        if random.random() < _ASKED:
            yield from self._about_to_move(random)
        if random.random() < _SELDOM:
            yield from self._after_one_more(random)
            yield from self._wound_up(random)

    # ---------------------------------------------------------------------- sales

    def _about_to_move(self, random: Random) -> Iterator[Told]:
        """Try each sale that may begin while the next price of a market differs; yield what is told."""
        feed = self.contracts["PriceFeed"]
        markets = [c for c in range(len(self.books.symbols)) if feed.prices[c].current]
        markets += [EQUITY_MARKET] * len(markets) * ("Equity" in self.contracts)
        if not markets:
            return
        market, factor = random.choice(markets), random.choice((50, 80, 125, 200))
        config, price = feed.configs[market], feed.prices[market].current * factor // 100
        with self.system.fork_state():
            for said in (feed.prices[market].current, price):
                self.system.advance(
                    max(0, feed.averages[market].stepped_at + config.step - self.system.timestamp)
                )
                for index in range(1, 1 + config.reporters):
                    report = Action("PriceFeed", "report", (market, said), feed.reporters[market, index])
                    self.system.apply(report)
                self.system.apply(Action("PriceFeed", "poke", (market,), KEEPER))
            for call in list(self._beginnings()):
                with self.system.fork_state():
                    self._owed = self._outstanding()
                    for log in self.system.apply(call).logs:
                        yield from self._sale(log)

    def _beginnings(self) -> Iterator[Action]:
        """Yield calls that put something up for sale, or sell it at a price of the feed."""
        contracts = self.contracts
        engine = contracts["VaultEngine"]
        if "SurplusAuction" in contracts:
            yield Action("SurplusAuction", "start", (), KEEPER)
        for c in range(engine.type_count[()]):
            if engine.deficit[c]:
                yield Action("LossWaterfall", "cover", (c,), KEEPER)
        for (c, owner), vault in engine.vaults.items():
            if vault.normalized_debt:
                yield Action("LiquidationEngine", "liquidate", (c, owner, KEEPER), KEEPER)
        for id, lot in contracts["CollateralAuction"].lots.items():
            if lot.target:
                yield Action("CollateralAuction", "reset", (id, KEEPER), KEEPER)
        for name in self._outstanding():
            series = contracts[name]
            for who in {each for _, each in series.balances}:
                if tokens := series.balances[series.state[()].generation, who].shares:
                    yield Action(name, "convert", (tokens, who), who)

    def _outstanding(self) -> dict[str, int]:
        """Return what each series of claims owes [wad]."""
        claims = [name for name in self.contracts if name.endswith(".Claims")]
        return {name: int(self.contracts[name].series[()].outstanding) for name in claims}

    def _known(self, market: int) -> tuple[int, int]:
        """Return the lowest and the highest price that the feed shows: of now, and the next one [ray]."""
        feed = self.contracts["PriceFeed"]
        prices = feed.prices[market]
        coming = prices.next or feed.withheld_prices[market]
        # What was next before a gap is not next any more.
        is_fresh = self.system.timestamp <= prices.fresh_until
        shown = [each for each in (prices.current, coming if is_fresh else 0) if each]
        return min(shown, default=0), max(shown, default=0)

    def _sale(self, log: Log) -> Iterator[Told]:
        """Yield each sale that begins under a shown price of the lot."""
        values = log.values
        if log.event == "AuctionStarted" and log.contract == "CollateralAuction":
            yield from self._cheap(values[1], values[3], values[4], "a lot")
        elif log.event == "AuctionReset":
            lot = self.contracts["CollateralAuction"].lots[values[0]]
            yield from self._cheap(lot.collateral_type, lot.lot, values[1], "a lot")
        elif log.event == "AuctionStarted" and log.contract in ("StakeAuction", "MintAuction"):
            amount = min(values[1], values[2] // max(values[3], 1))
            yield from self._cheap(EQUITY_MARKET, amount, values[3], "equity")
        elif log.event == "AuctionStarted" and log.contract == "SurplusAuction":
            low = self._known(EQUITY_MARKET)[0]
            paid = values[0] * values[1] // RAY * low // RAY
            yield from self._told("surplus", values[0], paid)
        elif log.event == "Converted":
            owed = self._owed[log.contract] - int(self.contracts[log.contract].series[()].outstanding)
            worth = values[3] * self._known(EQUITY_MARKET)[1] // RAY
            yield from self._told("equity for claims", worth, owed)

    def _cheap(self, market: int, amount: int, price: int, what: str) -> Iterator[Told]:
        if market < len(self.books.symbols) or market == EQUITY_MARKET:
            worth = amount * self._known(market)[1] // RAY
            yield from self._told(what, worth, amount * price // RAY)

    def _told(self, what: str, worth: int, costs: int) -> Iterator[Told]:
        if worth * NEAR[1] > costs * NEAR[0] + LEAST * NEAR[1]:
            says = f"it is worth {worth / WAD:,.2f} at a price that is shown, and costs {costs / WAD:,.2f}"
            yield Told(f"unfair: {what} begins under a price that is shown", worth - costs, says)

    # --------------------------------------------------------------------- losses

    def _lost(self, logs: Sequence[Log]) -> Iterator[Told]:
        """Yield each pool whose members lost more than the pool paid for the loss."""
        for name, had in self._held.items():
            paid = sum(log.values[1] for log in logs if (log.contract, log.event) == (name, "LossAbsorbed"))
            more = had - self._holds(name) - paid
            if name != "StakedEquity" and more > LEAST:
                says = f"{name} pays {paid / WAD:,.2f}, and has {more / WAD:,.2f} less beside it"
                yield Told("unfair: a loss takes more of a pool than it costs", more, says)

    def _after_one_more(self, random: Random) -> Iterator[Told]:
        """Let one more debt fail, and check that members lose no more than it costs."""
        feed, engine = self.contracts["PriceFeed"], self.contracts["VaultEngine"]
        prices = {market: each.current for market, each in feed.prices.items() if each.current}
        with self.system.fork_state():
            self._held = {name: self._holds(name) for name in self.books.pools}
            past = Past(self.system, self.deployment, prices)
            past.draw(0, LOSER, past.reaching(0, random, MOST))
            if engine.vaults[0, LOSER].normalized_debt:
                yield from self._lost(past.fail(0, LOSER).logs)

    def _holds(self, name: str) -> int:
        """Return the assets of members and of batches [wad], without income that has not vested."""
        assets = self.contracts[name].assets[()]
        return int(assets.booked) - unvested(assets, self.system.timestamp)

    def _unread(self) -> Iterator[Told]:
        """Check that the buffer of a retired type receives no income: no stage reads it."""
        engine = self.contracts["VaultEngine"]
        if self.contracts["Settlement"].progress[()].begun_at:
            return
        for c, had in self._buffers.items():
            more = (int(engine.income[c].buffer) - had) // RAY
            if engine.terms[c].settling and more > LEAST:
                yield Told("unfair: income of a retired type is nobody's", more, f"{more / WAD:,.2f} of it")

    # -------------------------------------------------------------------- entries

    def _entered(self, action: Action, prices: Prices, least: int) -> Iterator[Told]:
        """Check that a new staker takes nothing from members, once all sales of equity have ended."""
        assets = self.contracts[action.contract].assets[()]
        if not any(self._sales()) or unvested(assets, self.system.timestamp):
            return  # income that vests later is for who enters as well
        sheets = []
        for calls in ([action], []):
            with self.system.fork_state():
                self._release()
                if not all(self.system.apply(call).ok for call in calls):
                    return
                for end in list(self._sales()):
                    wait = self.contracts[end.contract].duration + 1
                    sale = self.contracts[end.contract].sales[end.args[0]]
                    self.system.advance(max(0, sale.started_at + wait - self.system.timestamp))
                    self.system.apply(end)
                sheets.append(self.count(prices))
        entered, stayed = sheets
        for who, has in stayed.items():
            less = has - entered.get(who, 0)
            if who.startswith("0x") and who not in (action.sender, *action.args) and less > least:
                says = f"a member has {less / RAD:,.2f} less"
                yield Told(f"unfair: who enters {action.contract} takes from members", less // RAY, says)
                return

    def _release(self) -> None:
        """Let strangers release the reservations that are overdue by then."""
        waterfall = self.contracts["LossWaterfall"]
        self.system.advance(MAX_RESERVATION + 1)
        for k in waterfall.lineup[()].ids:
            for c in range(len(self.books.symbols)):
                self.system.apply(Action("LossWaterfall", "force_release", (c, k), KEEPER))

    def _sales(self) -> Iterator[Action]:
        """Yield what ends each sale of equity."""
        for name in ("StakeAuction", "MintAuction"):
            if name in self.contracts:
                for c, sale in self.contracts[name].sales.items():
                    if sale.target:
                        yield Action(name, "end", (c,), KEEPER)

    # ----------------------------------------------------------------- settlement

    def _wound_up(self, random: Random) -> Iterator[Told]:
        """Begin settlement with lots that are nearly sold; compare vaults first with lots first."""
        if not any(lot.target for lot in self.contracts["CollateralAuction"].lots.values()):
            return
        factor = random.choice((50, 100))
        with self.system.fork_state():
            self._sell_nearly_all()
            self._make_final_prices(factor)
            prices, sheets = Prices(self.system.world, len(self.books.symbols)), []
            for first, then in ((self._unwinding, self._skimming), (self._skimming, self._unwinding)):
                with self.system.fork_state():
                    # What has to wait is called again.
                    for calls in (first, then, first):
                        for call in list(calls()):
                            self.system.apply(call)
                    sheets.append(self.count(prices))
        changes = {who: abs(sheets[1].get(who, 0) - has) for who, has in sheets[0].items()}
        who = max(changes, key=lambda each: (changes[each], each))
        if changes[who] > 2 * LEAST * RAY:
            says = f"{changes[who] / RAD:,.2f} is somebody else's then"
            yield Told("unfair: vaults are skimmed before lots come home", changes[who] // RAY, says)

    def _sell_nearly_all(self) -> None:
        """Let an account with enough coins buy nearly all of each lot."""
        auction, coins = self.contracts["CollateralAuction"], self.contracts["Stablecoin"].balances
        for id, lot in list(auction.lots.items()):
            _, price, _, _ = auction.status("", id) if lot.target else (False, 0, 0, 0)
            if price:
                amount = lot.target * RAY * 95 // 100 // price
                buyer = max(coins, key=coins.__getitem__)
                args = id, amount, MAX_UINT256, buyer, b""
                self.system.apply(Action("CollateralAuction", "take", args, buyer))

    def _make_final_prices(self, factor: int) -> None:
        """Begin settlement, and report prices at a factor [percent] until they are final."""
        feed, settlement = self.contracts["PriceFeed"], self.contracts["Settlement"]
        admin = self.deployment.get_account("admin")
        self.system.apply(Action("Settlement", "announce", (), admin))
        self.system.advance(settlement.delay)
        self.system.apply(Action("Settlement", "begin", (), admin))
        types = range(len(self.books.symbols))
        said = {c: max(1, feed.prices[c].current * factor // 100) for c in types}
        for _ in range(ROUNDS):
            self.system.advance(1_800)
            for c in types:
                for index in range(1, 1 + feed.configs[c].reporters):
                    reporter = feed.reporters[c, index]
                    self.system.apply(Action("PriceFeed", "report", (c, said[c]), reporter))
                self.system.apply(Action("PriceFeed", "poke", (c,), KEEPER))
                self.system.apply(Action("Settlement", "fix_price", (c,), KEEPER))

    def _unwinding(self) -> Iterator[Action]:
        for id, lot in self.contracts["CollateralAuction"].lots.items():
            if lot.target:
                yield Action("CollateralAuction", "unwind", (id,), KEEPER)

    def _skimming(self) -> Iterator[Action]:
        for (c, owner), vault in self.contracts["VaultEngine"].vaults.items():
            if vault.normalized_debt:
                yield Action("Settlement", "skim", (c, owner), KEEPER)
