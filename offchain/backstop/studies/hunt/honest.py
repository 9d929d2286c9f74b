"""Honest people: who keeps everything in order, who reports prices, and members who come and go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from backstop.deployment.contract_names import STABLECOIN_POOLS
from backstop.deployment.role_accounts import get_account
from backstop.hosts.model_system import ModelSystem
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256
from backstop.model.collateral_auction import CollateralAuction
from backstop.model.equity_auction import EquityAuction
from backstop.model.interfaces import Vault
from backstop.model.liquidation_engine import LiquidationEngine
from backstop.model.loss_waterfall import LossWaterfall
from backstop.model.pool import Pool
from backstop.model.price_feed import PriceFeed, renewal_window
from backstop.model.settlement import Settlement
from backstop.model.vault_engine import VaultEngine
from backstop.studies.hunt.script import Intent
from backstop.studies.hunt.setting import CROWD, KEEPER, Outage, Setting, Step
from backstop.system import Action, Outcome

POKER = get_account("poker")
SALES = ("StakeAuction", "MintAuction")
ROUND = 1_800
"""The longest that honest people are away [seconds]."""
WRITING_OFF = "writing off"
"""Closing lots that are worth something, among what a keeper leaves to others."""


class Town:
    """A deployment with the honest people in it. Everything that happens goes through `do`."""

    def __init__(self, setting: Setting, system: ModelSystem) -> None:
        self.setting = setting
        self.system = system
        contracts = system.world.contracts
        self.engine = cast(VaultEngine, contracts["VaultEngine"])
        self.auction = cast(CollateralAuction, contracts["CollateralAuction"])
        self.feed = cast(PriceFeed, contracts["PriceFeed"])
        self.liquidations = cast(LiquidationEngine, contracts["LiquidationEngine"])
        self.settlement = cast(Settlement, contracts["Settlement"])
        self.waterfall = cast(LossWaterfall, contracts["LossWaterfall"])
        # Auctions of equity.
        self.sales: dict[str, EquityAuction] = {
            name: cast(EquityAuction, contracts[name]) for name in SALES if name in contracts
        }
        self.pools: dict[str, Pool] = {
            name: cast(Pool, contracts[name]) for name in STABLECOIN_POOLS if name in contracts
        }
        self.types = range(len(setting.parameters.collateral_types))
        self.markets = setting.markets
        self.done: list[Step] = []
        # Those of the crowd that have done something.
        self.crowd: set[str] = set()
        # Principal that auctions of a vault could not bring [rad].
        self.lost: dict[str, int] = {}
        # What the keeper leaves to others, by method.
        self.left: frozenset[str] = frozenset()
        self._owners: dict[int, str] = {}

    @property
    def now(self) -> int:
        return self.system.timestamp

    def do(self, by: str, contract: str, method: str, *args: object) -> Outcome:
        """Act, and keep what was done; what the keeper leaves to others is not even tried."""
        if by == KEEPER and method in self.left:
            return Outcome("left to others", None, ())
        return self.act(Action(contract, method, args, by))

    def act(self, action: Action) -> Outcome:
        """Apply an action, keep it, and see whose loss it books."""
        outcome = self.system.apply(action)
        if not outcome.ok:
            return outcome
        self.done.append(action)
        if action.sender in CROWD:
            self.crowd.add(action.sender)
        for log in outcome.logs:
            if log.event == "AuctionStarted":
                self._owners[log.values[0]] = log.values[2]
            elif log.event == "AuctionClosed" and log.values[2]:
                owner = self._owners.get(log.values[0], "")
                self.lost[owner] = self.lost.get(owner, 0) + log.values[2]
            elif log.event == "Skimmed":
                owner = log.values[1]
                self.lost[owner] = self.lost.get(owner, 0) + log.values[3] - log.values[4]
        return outcome

    def foresee(self, by: str, contract: str, method: str, *args: object) -> Outcome:
        """Return the outcome that a call would have now; nothing changes."""
        return self.system.dry_run(Action(contract, method, args, by))

    def owner_of(self, id: int) -> str:
        """Return whose vault an auction sells; nobody's if it is salvage."""
        return self._owners.get(id, "")

    def debt(self, c: int, vault: Vault) -> int:
        """Return what a vault owes as of the last accrual [rad]."""
        return int(vault.normalized_debt * self.engine.debts[c].accumulated_rate)

    def advance(self, seconds: int) -> None:
        """Let time pass."""
        self.system.advance(seconds)
        self.done.append(seconds)

    def stop(self, seconds: int) -> None:
        """Advance the clock by an outage: no block is produced meanwhile."""
        self.system.advance(seconds, 0)
        self.done.append(Outage(seconds))

    @contextmanager
    def imagine(self) -> Iterator[None]:
        """Take back at the end whatever happens inside."""
        done, lost, owners = len(self.done), dict(self.lost), dict(self._owners)
        with self.system.fork_state():
            yield
        del self.done[done:]
        self.lost, self._owners = lost, owners

    def balances(self, token: str) -> Any:
        """Return who has how much of a token."""
        return cast(Any, self.system.world.contracts[token]).balances

    # ------------------------------------------------------------------ prices

    def report(self, prices: tuple[int, ...], silent: tuple[bool, ...], liars: frozenset[str]) -> None:
        """Have all reporters but the silent and the liars say what is new, and step each feed."""
        for c, price, is_silent in zip(self.markets, prices, silent, strict=True):
            config = self.feed.configs[c]
            for index in range(1, 1 + (0 if is_silent else config.reporters)):
                reporter, last = self.feed.reporters[c, index], self.feed.reports[c, index]
                lapses = last.reported_at + config.max_age < self.now + ROUND
                if reporter not in liars and (lapses or last.price != price):
                    self.do(reporter, "PriceFeed", "report", c, price)
            elapsed = self.now - self.feed.averages[c].stepped_at
            pending = self.feed.prices[c].next or self.feed.withheld_prices[c]
            early = elapsed <= renewal_window(config.step) and price != pending
            if elapsed >= config.step or early:
                self.do(POKER, "PriceFeed", "poke", c)

    # ------------------------------------------------------------------ wishes

    def wish(self, intent: Intent) -> None:
        """Do what a member or a borrower wants now."""
        who, pool = intent.who, self.pools[intent.pool]
        coins = self.balances("Stablecoin")[who]
        if intent.what == "leave":
            shares = pool.held(who) * intent.share // BASIS_POINTS
            if shares:
                self.do(who, intent.pool, "requestRedeem", shares, who, who)
        elif intent.what == "enter":
            if coins:
                self.do(who, intent.pool, "deposit", coins * intent.share // BASIS_POINTS, who)
        elif intent.what == "income":
            if coins:
                self.do(who, intent.pool, "add_income", coins * intent.share // BASIS_POINTS // 4)
        else:
            for c in self.types:
                if self.engine.vaults[c, who].normalized_debt:
                    amount = coins * intent.share // BASIS_POINTS
                    self.do(who, "VaultEngine", "repay_and_withdraw", c, who, amount, 0, who)

    def leave(self, people: tuple[str, ...]) -> None:
        """Have everybody take out what is due: who has asked for it leaves as soon as it may."""
        self.settle(people[0])
        for name, pool in self.pools.items():
            for who in people:
                if pool.lines[who].first:
                    self.claim(who, name)

    def claim(self, who: str, pool: str, share: int = BASIS_POINTS) -> None:
        """Have somebody claim a share of what is paid of the own requests."""
        shares = self.pools[pool].maxRedeem("", who) * share // BASIS_POINTS
        if self.pools[pool].cooldown and shares:
            self.do(who, pool, "redeem", shares, who, who)

    def settle(self, by: str) -> None:
        """Cut and pay the batches of all pools that may be."""
        for name, pool in self.pools.items():
            if pool.units_of(pool.line[()].collecting) and self.now >= pool.cut_from():
                self.do(by, name, "cut")
            if self.now >= pool.settles_from():
                self.do(by, name, "settle")

    # ------------------------------------------------------------------ upkeep

    def tend(self, by: str, prices: tuple[int, ...]) -> None:
        """Do whatever is due: liquidate, buy what is no dearer than outside, restart, close, mark, cover."""
        if self.settlement.progress[()].begun_at:
            self._wind_up(by)
            return
        self.settle(by)
        for c in self.types:
            price = self.feed.liquidation_price("", c)
            if price:
                self._liquidate(by, c, price)
        for id, lot in list(self.auction.lots.items()):
            if lot.target:
                self.tend_lot(by, id, prices)
        for c in self.types:
            if self.engine.deficit[c]:
                self.do(by, "LossWaterfall", "cover", c)
        self._tend_equity(by, prices)
        progress = self.settlement.progress[()]
        if progress.announced_for and self.now >= progress.announced_for:
            self.do(by, "Settlement", "begin")

    def _liquidate(self, by: str, c: int, price: int) -> None:
        lowest = min(price, self.feed.prices[c].next or price)
        rate, ratio = self.engine.debts[c].accumulated_rate, self.engine.terms[c].liquidation_ratio
        for (at, owner), vault in list(self.engine.vaults.items()):
            if at != c:
                continue
            debt = vault.normalized_debt * rate
            if debt * ratio > vault.locked_collateral * price * BASIS_POINTS:
                self.do(by, "LiquidationEngine", "liquidate", c, owner, by)
            left = self.engine.vaults[c, owner]
            in_doubt = left.normalized_debt * rate * ratio > left.locked_collateral * lowest * BASIS_POINTS
            if in_doubt or self.liquidations.vault_flags[c, owner]:
                self.do(by, "LiquidationEngine", "flag", c, owner)

    def tend_lot(self, by: str, id: int, prices: tuple[int, ...]) -> None:
        """Buy a lot that is no dearer than outside, start it again if that is due, or close it."""
        lot, terms = self.auction.lots[id], self.auction.terms[self.auction.lots[id].collateral_type]
        c = lot.collateral_type
        price, due = terms.price(self.auction.tops[id].top, self.auction.clock(by) - lot.started_at)
        if lot.lot and not due and price <= prices[c]:
            self.do(by, "CollateralAuction", "take", id, MAX_UINT256, MAX_UINT256, by, b"")
            return
        market = self.feed.prices[c].current
        late = self.auction.clock(by) > lot.started_at + terms.tail
        hopeless = late and terms.is_worthless(lot.lot, market)
        hopeless &= WRITING_OFF not in self.left
        if not lot.lot or hopeless:
            self.do(by, "CollateralAuction", "close", id)
        elif due:
            self.do(by, "CollateralAuction", "reset", id, by)

    def _tend_equity(self, by: str, prices: tuple[int, ...]) -> None:
        """Buy equity that is no dearer than outside, and end what is over."""
        for name, auction in self.sales.items():
            for c, sale in list(auction.sales.items()):
                if not sale.target:
                    continue
                elapsed = self.now - sale.started_at
                if elapsed > auction.duration:
                    self.do(by, name, "end", c)
                elif sale.price(elapsed, auction.duration) <= prices[-1]:
                    self.do(by, name, "take", c, MAX_UINT256, MAX_UINT256, by, b"")

    def _wind_up(self, by: str) -> None:
        for id, lot in list(self.auction.lots.items()):
            if lot.target:
                self.do(by, "CollateralAuction", "unwind", id)
        for name, auction in self.sales.items():
            for c, sale in list(auction.sales.items()):
                if sale.target:
                    self.do(by, name, "end", c)
        for c in range(self.engine.type_count[()]):
            if not self.settlement.final_prices[c].is_final:
                self.do(by, "Settlement", "fix_price", c)
        for (c, owner), vault in list(self.engine.vaults.items()):
            if vault.normalized_debt:
                self.do(by, "Settlement", "skim", c, owner)
        for c in range(self.engine.type_count[()]):
            if self.engine.deficit[c] not in (0, self.settlement.left[c]):
                self.do(by, "Settlement", "cover_last", c)
        if not self.settlement.progress[()].fixed_at:
            self.do(by, "Settlement", "fix")

    @property
    def quiet(self) -> bool:
        """True if nothing is left to be tended."""
        if self.settlement.progress[()].begun_at:
            return bool(self.settlement.progress[()].fixed_at)
        if self.settlement.progress[()].announced_for:
            return False
        sales = (sale for auction in self.sales.values() for sale in auction.sales.values())
        return not any(lot.target for lot in (*self.auction.lots.values(), *sales)) and not any(
            self.engine.deficit[c] for c in self.types
        )
