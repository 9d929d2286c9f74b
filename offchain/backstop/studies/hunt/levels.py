"""What things cost by the parameters of a deployment: an outsider's price list, beside what is paid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp, log1p
from typing import Any

from backstop.deployment.deployment_parameters import EXPONENTIAL, LINEAR, CollateralParameters, Parameters
from backstop.hosts.model_system import ModelSystem
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, WAD
from backstop.model.dutch import MAX_PRICE
from backstop.studies.hunt.books import Books, Prices, Sheet, unvested
from backstop.studies.hunt.questions import KEEPER, Told
from backstop.system import Action, Log

NEAR = 10_001, 10_000
"""The tolerance for rounding: a basis point."""


class Levels:
    """The price list of one game."""

    def __init__(self, system: ModelSystem, books: Books, parameters: Parameters) -> None:
        self.system = system
        self.books = books
        self.parameters = parameters
        self.contracts: dict[str, Any] = dict(system.world.contracts)
        self._lot: Any = None
        self._sizes: list[int] = []
        self._held: dict[str, int] = {}

    def _type(self, c: int) -> CollateralParameters | None:
        types = self.parameters.collateral_types
        return types[c] if c < len(types) else None

    def before(self, action: Action) -> None:
        """Look at what a call is about to change."""
        self._held = {name: self._holds(name) for name in self.books.pools}
        if (action.contract, action.method) == ("MarginOrders", "fill"):
            market = self.contracts["PerpetualMarket"]
            self._sizes = [market.positions[each.account, each.market].size for each in action.args[0:4:2]]
        if action.contract == "CollateralAuction" and action.args and isinstance(action.args[0], int):
            auction = self.contracts["CollateralAuction"]
            self._lot = auction.lots[action.args[0]], auction.tops[action.args[0]].top

    def rates(self) -> list[int]:
        """Return how much each type's debts have grown, brought up to date [ray]."""
        with self.system.fork_state():
            found = []
            for c in range(len(self.books.symbols)):
                self.system.apply(Action("VaultEngine", "accrue", (c,), KEEPER))
                found.append(int(self.contracts["VaultEngine"].debts[c].accumulated_rate))
            return found

    def waited(self, seconds: int, before: Sequence[int]) -> Iterator[Told]:
        """Compare what time has cost borrowers with the fee, where it is a fixed one."""
        if self.contracts["Settlement"].progress[()].begun_at or not 0 < seconds < 10**8:
            return
        engine = self.contracts["VaultEngine"]
        for c, (had, has) in enumerate(zip(before, self.rates(), strict=True)):
            terms, owed = self.parameters.collateral_types[c], engine.debts[c].normalized_debt
            dynamic = self.parameters.guards is not None and terms.policy.curve[3]
            if not owed or dynamic or engine.income[c].stability_fee != terms.stability_fee:
                continue
            should = had * exp(seconds * log1p(terms.stability_fee / RAY))
            off = int(abs(has - should)) * owed // RAY
            if abs(has - should) > should / 10**6 and off > 100 * WAD and has < 2**103:
                says = f"in {seconds:,} seconds debts grow by {has / had:.6f}, and not by {should / had:.6f}"
                yield Told("off the price list: a fee", off, says)

    def priced(self, action: Action) -> Iterator[Told]:
        """Have a price that is new lie within what reporters say."""
        feed = self.contracts["PriceFeed"]
        if action.method != "poke":
            return
        c = action.args[0]
        config, price = feed.configs[c], feed.prices[c].next or feed.withheld_prices[c]
        fresh = [
            feed.reports[c, i].price
            for i in range(1, 1 + config.reporters)
            if feed.reports[c, i].price
            and feed.reports[c, i].reported_at + config.max_age >= feed.world.timestamp
        ]
        if price and fresh and feed.averages[c].stepped_at == feed.world.timestamp:
            few = (config.reporters - 1) // 2
            low, high = sorted(fresh)[min(few, len(fresh) - 1)], sorted(fresh)[max(0, len(fresh) - 1 - few)]
            if not min(low, high) <= price <= max(low, high) and price != feed.withheld_prices[c]:
                says = f"{price / RAY:,.2f}, and reports are {[each // RAY for each in fresh]}"
                yield Told("off the price list: a price that a minority says", 10**21, says)

    def after(
        self,
        action: Action,
        logs: Sequence[Log],
        prices: Prices,
        before: Sheet,
        after: Sheet,
        least: int,
    ) -> Iterator[Told]:
        """Compare what was paid with what the parameters say."""
        for log in logs:
            if log.event == "AuctionStarted" and len(log.values) == 7:
                yield from self._started(log.values, prices)
        name = f"{action.contract}.{action.method}"
        if name == "CollateralAuction.take":
            yield from self._sold(action, logs)
        elif name == "MarginOrders.fill":
            yield from self._filled(action, prices, before, after, least)
        elif name == "VaultEngine.deposit_and_draw":
            yield from self._drawn(action)
        elif name in ("LossWaterfall.cover", "Settlement.cover_last"):
            yield from self._covered(prices, before, after, least)
        elif action.method == "take" and action.contract in ("StakeAuction", "MintAuction"):
            yield from self._equity(action, logs, prices)

    def _off(self, what: str, is_: int, should: int, stake: int) -> Iterator[Told]:
        """Tell of a figure that is more than a basis point off."""
        if abs(is_ - should) * NEAR[1] > should * (NEAR[0] - NEAR[1]) + 10 * NEAR[1]:
            yield Told(f"off the price list: {what}", stake, f"it is {is_:,}, and should be {should:,}")

    def _started(self, values: Sequence[Any], prices: Prices) -> Iterator[Told]:
        _, c, owner, _, top, target, principal = values
        terms = self._type(c)
        if terms is None or not principal or not int(owner, 16):
            return
        stake = abs(target - principal) // RAY + principal // RAY
        if principal > 100 * RAD:
            should = principal * terms.auction.penalty // BASIS_POINTS
            yield from self._off("a penalty", target // RAY, should // RAY, stake)
        should = min(prices.types[c] * terms.auction.buf // BASIS_POINTS, MAX_PRICE)
        if top * NEAR[0] < should * NEAR[1]:
            yield Told("off the price list: a low top", stake, f"{top / RAY:,.2f} of {should / RAY:,.2f}")

    def _sold(self, action: Action, logs: Sequence[Log]) -> Iterator[Told]:
        lot, top = self._lot
        terms = self._type(lot.collateral_type)
        if terms is None:
            return
        auction = terms.auction
        elapsed = self.system.view("CollateralAuction", "clock") - lot.started_at
        if auction.curve == LINEAR:
            factor = max(0, auction.period - elapsed) / auction.period
        else:
            steps = elapsed if auction.curve == EXPONENTIAL else elapsed // auction.period
            factor = (auction.cut / RAY) ** steps
        for log in logs:
            if log.event == "Taken" and log.contract == "CollateralAuction":
                _, _, collateral, paid, *_ = log.values
                if paid > 100 * WAD and collateral > 10**6 * 10 ** (18 - terms.decimals):
                    should = int(collateral * top * factor) // RAY
                    yield from self._off("a price at auction", paid, should, abs(paid - should))

    def _filled(
        self, action: Action, prices: Prices, before: Sheet, after: Sheet, least: int
    ) -> Iterator[Told]:
        """Have a fill move what both have signed, and hand over no more than its price is off the mark."""
        maker, taker, lots = action.args[0], action.args[2], action.args[4]
        market = self.contracts["PerpetualMarket"]
        mark = market.paths[maker.market].price
        for order, had in zip((maker, taker), self._sizes, strict=True):
            moved = lots if order.size > 0 else -lots
            has = market.positions[order.account, order.market].size
            if has - had != moved:
                says = f"{order.size} lots are signed, {has - had} moved"
                yield Told("off the price list: a fill is not what was signed", lots * mark, says)
            due = moved * (mark - maker.price) * prices.coin
            change = after.get(order.account, 0) - before.get(order.account, 0)
            if change > due + least:
                says = f"an account changes by {change / RAD:,.2f} and not by {due / RAD:,.2f}"
                yield Told("off the price list: a trade", abs(change - due) // RAY, says)

    def _drawn(self, action: Action) -> Iterator[Told]:
        c, owner, _, drawn, _ = action.args
        engine, feed, terms = self.contracts["VaultEngine"], self.contracts["PriceFeed"], self._type(c)
        if terms is None or not drawn:
            return
        vault, price = engine.vaults[c, owner], feed.prices[c]
        debt = vault.normalized_debt * engine.debts[c].accumulated_rate
        worth = vault.locked_collateral * min(price.current, price.next)
        if worth * BASIS_POINTS < debt * terms.initial_ratio:
            says = f"a debt of {debt / RAD:,.2f} has {worth / RAD:,.2f} behind it"
            yield Told("off the price list: a draw under its margin", debt // RAY, says)
        everything = engine.debts[c].performing + engine.in_auction_of("", c) + engine.deficit[c]
        ceiling = engine.terms[c].debt_ceiling * RAD
        if everything > ceiling:
            yield Told("off the price list: above a ceiling", (everything - ceiling) // RAY, "a draw")
        if debt < terms.debt_floor * RAD:
            yield Told("off the price list: under the floor", terms.debt_floor * WAD, "a draw")

    def _covered(self, prices: Prices, before: Sheet, after: Sheet, least: int) -> Iterator[Told]:
        """Have no pool that is a stage pay more than its share of what it had; settlement lifts caps."""
        if self.contracts["Settlement"].progress[()].begun_at:
            return
        for stage in self.parameters.stages:
            name = {"junior": "Junior", "senior": "Senior", "savings": "Savings"}.get(stage.name, "")
            if name and stage.cap_bps < BASIS_POINTS:
                had, has = self._held.get(name, 0), self._holds(name)
                most = had * stage.cap_bps // BASIS_POINTS
                if (had - has - most) * RAY > least:
                    says = f"{name} pays {(had - has) / WAD:,.2f} of {had / WAD:,.2f}"
                    yield Told("off the price list: a stage above its cap", had - has - most, says)

    def _holds(self, name: str) -> int:
        assets = self.contracts[name].assets[()]
        return int(assets.booked) - unvested(assets, self.system.timestamp)

    def _equity(self, action: Action, logs: Sequence[Log], prices: Prices) -> Iterator[Told]:
        equity = self.parameters.equity
        if equity is None:
            return
        feed = self.contracts["PriceFeed"]
        for log in logs:
            if log.event == "Taken" and log.contract == action.contract:
                amount, paid = log.values[2], log.values[3]
                price = feed.prices[224].current
                if (
                    price
                    and amount * price > 1_000 * RAD
                    and paid * RAY * 100 < amount * price * equity.floor // 1000
                ):
                    says = f"{amount / WAD:,.2f} for {paid / WAD:,.2f}"
                    yield Told("off the price list: equity far under its floor", amount * price // RAY, says)
