"""What keepers see: the protocol's state at one block, read from a System's snapshot, and the market outside.

Nothing here or in the roles knows whether the System is the model or a chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from math import isqrt
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from backstop.deployment.contracts import POOLS, domains_of
from backstop.deployment.parameters import EquityParameters, Parameters, PoolParameters
from backstop.keepers.costs import cost_in_stablecoin, gas_needed
from backstop.keepers.margin_view import MarginView
from backstop.keepers.vaults import Vaults
from backstop.model import (
    auto_ceiling,
    circuit_breaker,
    collateral_auction,
    domain,
    dutch,
    interfaces,
    ledger,
    loss_waterfall,
    price_feed,
    recovery_claims,
    risk_policy,
    settlement,
    shares,
    treasury,
    workouts,
)
from backstop.model import pool as pools
from backstop.model import surplus_auction as surplus
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, WAD, div_up, rpow
from backstop.model.bounds import EQUITY_MARKET
from backstop.system import Snapshot


class Outside(NamedTuple):
    """What the protocol's state does not tell."""

    prices: tuple[int, ...]  # on other markets, by collateral type, ray
    ether_price: int  # of the coin that gas is paid in, ray
    gas_price: int  # wei a gas
    equity_price: int = 0  # on other markets, ray; 0 if there is no equity
    sources: tuple[int, ...] = ()  # what reporters read, where that is not the market, ray
    clock: int = 0  # seconds from the scenario's start


class Pool(NamedTuple):
    """A constant-product market: reserves in wad, fee in basis points, the token's unit in wad."""

    name: str
    address: str
    collateral: int
    stable: int
    fee: int
    unit: int

    @property
    def price(self) -> int:
        """Ray of stablecoin for 1e18 of collateral, before the fee."""
        return self.stable * RAY // self.collateral

    def proceeds(self, amount: int) -> int:
        """Stablecoin for collateral, as the market computes it."""
        paid = amount // self.unit * self.unit * (BASIS_POINTS - self.fee)
        if paid == 0:
            return 0
        return paid * self.stable // (self.collateral * BASIS_POINTS + paid)

    def after(self, amount: int) -> Pool:
        """The pool once this much collateral is sold to it."""
        moved = amount // self.unit * self.unit
        return self._replace(collateral=self.collateral + moved, stable=self.stable - self.proceeds(amount))

    def best_amount(self, price: int) -> int:
        """What to sell at most so that the last piece still brings `price` (ray)."""
        kept, reserve = BASIS_POINTS - self.fee, self.collateral * BASIS_POINTS
        # The marginal proceeds are kept*stable*reserve / (reserve + kept*amount)**2.
        return max(0, isqrt(kept * self.stable * reserve * RAY // price) - reserve) // kept


class Auction(NamedTuple):
    """An open auction at the present block."""

    id: int
    collateral_type: int
    lot: int  # wad
    target: int  # wad
    top: int  # ray
    started_at: int
    price: int  # ray
    needs_reset: bool
    principal: int  # rad
    reward_budget: int  # wad


class Membership(NamedTuple):
    """A member's part in a pool of the protocol: shares held, shares requested and since when."""

    shares: int
    requested: int
    requested_at: int


class EquityAuction(NamedTuple):
    """A sale of equity at the present block: equity and stablecoin in wad, the price in ray."""

    contract: str
    collateral_type: int
    lot: int
    target: int
    price: int
    over: bool


class SurplusAuction(NamedTuple):
    """The sale of surplus at the present block: stablecoin in wad, the price in equity for one, ray."""

    lot: int
    price: int


class Vault(NamedTuple):
    """A vault with its debt at the present block, rad, and when it was called; 0 is not called."""

    owner: str
    locked: int
    normalized_debt: int
    debt: int
    called_at: int = 0


class Call(NamedTuple):
    """A margin call under way: from `due` on the vault may be liquidated, after `expires` no more."""

    owner: str
    called_at: int
    due: int
    expires: int


class Domain(NamedTuple):
    """A bridge's debt at the present block, rad; what it has lost and what it is said to lose, wad."""

    collateral_type: int
    debt: int
    lost: int
    announced: int
    ready_at: int


class Workout(NamedTuple):
    """An open workout: the lot in wad, stablecoin owed at first and left to pay in wad, the rest in rad."""

    id: int
    collateral_type: int
    owner: str
    lot: int
    owed: int
    left: int
    principal: int
    instalments: int
    met: int
    entered_at: int
    interval: int
    discount: int
    ratio: int

    @property
    def due(self) -> int:
        """When the first instalment is due that is not met."""
        return self.due_of(self.met + 1)

    def due_of(self, k: int) -> int:
        """When instalment k is due, from 1 on."""
        return self.entered_at + k * self.interval

    def is_kept(self, now: int, price: int) -> bool:
        """In good standing: nothing overdue, and the lot worth its ratio at a price (ray; 0 is none)."""
        short = price != 0 and self.lot * price * BASIS_POINTS < self.principal * self.ratio
        return self.principal == 0 or (now <= self.due and not short)

    def missing(self, k: int) -> int:
        """What has not been paid yet of the first k instalments, wad."""
        return max(0, div_up(self.owed * k, self.instalments) - (self.owed - self.left))


class Finder(Protocol):
    """Finds vaults in an order that it keeps, without a look at all of them; debts are at `rate`."""

    def under(self, c: int, ratio: int, price: int, rate: int, policy: risk_policy.Terms) -> list[Vault]:
        """Those under a ratio (basis points) and their size's add-on."""
        ...

    def called(self, c: int, rate: int) -> list[Vault]:
        """Those that were called, whatever became of it."""
        ...


class View:
    """One block as a keeper sees it. Figures are worked out when first asked for.

    `vaults` is the index of the snapshot's vaults, where somebody keeps one from block to block, and `finder`
    what finds vaults among them where there is something better; `reserved`, by token and owner, wad, is what
    transactions that are not mined yet may spend.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        addresses: Mapping[str, str],
        timestamp: int,
        outside: Outside,
        parameters: Parameters,
        *,
        vaults: Vaults | None = None,
        reserved: Mapping[tuple[str, str], int] = MappingProxyType({}),
        finder: Finder | None = None,
    ) -> None:
        self._finder = finder
        self.timestamp = timestamp
        self.outside = outside
        self.addresses = addresses
        self.symbols = tuple(each.symbol for each in parameters.collateral_types)
        # Of all types, domains as well, which have no market outside.
        self.types = range(len(parameters.type_names))
        # What has a price, by its market in the feed.
        self.markets = dict(enumerate(outside.sources or outside.prices))
        if "Equity" in snapshot:
            self.markets[EQUITY_MARKET] = outside.equity_price
        self.stages = tuple(stage.name for stage in parameters.stages)
        self._parameters = parameters
        # Constants of the markets' contracts: no snapshot has them.
        self._fees = [0 if each.market is None else each.market.fee for each in parameters.collateral_types]
        self._snapshot = snapshot
        self._engine: Mapping[str, Mapping[Any, Any]] = snapshot["VaultEngine"]
        self._feed = snapshot["PriceFeed"]
        self._auction: Mapping[str, Mapping[Any, Any]] = snapshot["CollateralAuction"]
        self._waterfall: Mapping[str, Mapping[Any, Any]] = snapshot["LossWaterfall"]
        self._index = vaults
        self._unsafe: dict[int, list[Vault]] = {}
        self._with_debt: dict[int, list[Vault]] = {}
        self._rates: dict[int, int] = {}
        self._rooms: dict[int, int] = {}
        self._reserved = reserved

    # ------------------------------------------------------------------- prices

    def prices(self, c: int) -> interfaces.Prices:
        """The feed's prices, fresh or not."""
        found: interfaces.Prices = self._feed["prices"].get(c, interfaces.Prices())
        return found

    def stepped_at(self, c: int) -> int:
        """When the feed last stepped; 0 if it never did."""
        return int(self._feed["averages"].get(c, price_feed.Average()).stepped_at)

    def feed_config(self, c: int) -> price_feed.Config:
        """How the feed makes its price."""
        found: price_feed.Config = self._feed["configs"][c]
        return found

    def price(self, c: int) -> int:
        """The current price; 0 if stale."""
        prices = self.prices(c)
        return 0 if self.timestamp > prices.fresh_until else prices.current

    def liquidation_price(self, c: int) -> int:
        """What liquidations start at; 0 if none may."""
        return price_feed.valid_price(self.prices(c), self.feed_config(c), self.timestamp, starts=True)

    def auction_price(self, c: int) -> int:
        """What auctions are reset and closed at; 0 if there is no such price."""
        return price_feed.valid_price(self.prices(c), self.feed_config(c), self.timestamp)

    def risk_price(self, c: int) -> int:
        """The lower of the feed's two prices, where there are two; the current one, fresh or not, else."""
        prices = self.prices(c)
        return min(prices.current, prices.next or prices.current)

    def time_weighted(self, c: int) -> int:
        """The average price over a window or two."""
        average = self._feed["averages"].get(c, price_feed.Average())
        current = self.prices(c).current
        if average.since == self.timestamp:
            return current
        cumulative = average.cumulative + current * (self.timestamp - average.stepped_at)
        return int(cumulative // (self.timestamp - average.since))

    def report_of(self, c: int, reporter: str) -> price_feed.Report | None:
        """A reporter's last report; None if the account does not report for this type."""
        index = self._feed["reporter_index"].get((c, reporter), 0)
        if index == 0:
            return None
        found: price_feed.Report = self._feed["reports"].get((c, index), price_feed.Report())
        return found

    def fresh_reports(self, c: int) -> int:
        """How many reports would count now."""
        config, reports = self.feed_config(c), self._feed["reports"]
        return sum(
            (c, i) in reports and self.timestamp <= reports[c, i].reported_at + config.max_age
            for i in range(1, config.reporters + 1)
        )

    # ------------------------------------------------------------------- ledger

    def terms(self, c: int) -> interfaces.Terms:
        """A type's ratios and ceilings."""
        found: interfaces.Terms = self._engine["terms.of_types"][c]
        return found

    def debts(self, c: int) -> interfaces.Debts:
        """A type's debt as of its last accrual."""
        found: interfaces.Debts = self._engine["ledger.debts"][c]
        return found

    def fee(self, c: int) -> int:
        """What owing costs at present, ray a second above RAY."""
        return int(self._engine["ledger.income"].get(c, ledger.Income()).stability_fee)

    def rate(self, c: int) -> int:
        """The accumulated rate, accrued to the present block (but for its caps)."""
        if c not in self._rates:
            debts = self.debts(c)
            grown = rpow(RAY + self.fee(c), self.timestamp - debts.accrued_at)
            self._rates[c] = grown * debts.accumulated_rate // RAY
        return self._rates[c]

    def room(self, c: int) -> int:
        """Rad of principal that may still go under auction, under the limits of the present mode."""
        if c not in self._rooms:
            self._rooms[c] = self._room(c)
        return self._rooms[c]

    def _room(self, c: int) -> int:
        one: ledger.Auctions = self._engine["ledger.auctions"].get(c, ledger.Auctions())
        unit = RAD * self._limits_factor // BASIS_POINTS
        limit = self._engine["terms.global_auction_limit"].get((), 0) * unit
        used = sum(self.in_auction(other) for other in self.types)
        return max(0, min(one.limit * unit - one.in_auction, limit - used))

    def in_auction(self, c: int) -> int:
        """Principal under auction, rad."""
        return int(self._engine["ledger.auctions"].get(c, ledger.Auctions()).in_auction)

    def buffer(self, c: int) -> int:
        """Rad."""
        return int(self._engine["ledger.income"].get(c, ledger.Income()).buffer)

    def reserve(self) -> int:
        """Rad."""
        return int(self._engine["ledger.system"].get((), ledger.Balance()).reserve)

    def deficit(self, c: int) -> int:
        """Rad."""
        return int(self._engine["ledger.deficit"].get(c, 0))

    def settled(self) -> int:
        """Debt that settlement has settled, or owes holders once the books are closed, rad."""
        return int(self._engine["ledger.settled"].get((), 0))

    def payable(self, stage: str, c: int) -> int:
        """What the buffer or the reserve, if in the order, can pay of a type's loss under its caps, rad."""
        if stage not in self.stages:
            return 0
        k, has = self.stages.index(stage), {"buffer": self.buffer(c), "reserve": self.reserve()}[stage]
        event = c, self.timestamp // self._parameters.epoch_length, k
        caps: loss_waterfall.Slot = self._waterfall["stages"][k]
        cap = int(self._waterfall["caps_absolute"].get(k, 0))
        if caps.cap_bps != BASIS_POINTS:
            base = self._waterfall["bases"].get(event, 0)
            cap = min(cap, (has if base == 0 else base - 1) * caps.cap_bps // BASIS_POINTS)
        return int(min(has, max(0, cap - self._waterfall["covered"].get(event, 0))))

    def marks(self) -> tuple[dict[tuple[int, str], int], dict[int, int]]:
        """All marks that are not zero, rad: of vaults by (type, owner), of auctions by id."""
        of_vaults = self._waterfall["marks.of_vaults"]
        of_auctions = self._waterfall["marks.of_auctions"]
        return (
            {key: mark for key, mark in of_vaults.items() if mark},
            {id: mark.amount for id, mark in of_auctions.items() if mark.amount},
        )

    def mark_discount(self) -> int:
        """What marks take off a value, basis points."""
        return int(self._waterfall["marks.discount"].get((), 0))

    @cached_property
    def _vaults(self) -> Vaults:
        return Vaults(self._engine["vaults"]) if self._index is None else self._index

    def locked(self, c: int) -> int:
        """Collateral in all vaults, wad."""
        return self._vaults.locked(c)

    def supply(self) -> int:
        """Stablecoins in existence, wad."""
        return int(self._snapshot["Stablecoin"]["erc20.totalSupply"].get((), 0))

    # ------------------------------------------------------------------- guards

    def type_debt(self, c: int) -> int:
        """What a ceiling counts, with the fees up to now, rad."""
        return self.debts(c).normalized_debt * self.rate(c) + self.in_auction(c) + self.deficit(c)

    def ceiling(self, c: int) -> auto_ceiling.Terms:
        """How a type's ceiling follows its debt; without a guard it does not."""
        tables: Mapping[str, Mapping[Any, Any]] = self._snapshot.get("AutoCeiling", {"terms": {}})
        found: auto_ceiling.Terms = tables["terms"].get(c, auto_ceiling.Terms())
        return found

    @property
    def _policy(self) -> Mapping[str, Mapping[Any, Any]]:
        """The risk policy's tables; empty without one."""
        none: dict[str, dict[Any, Any]] = {"terms": {}, "calls": {}, "modes": {}}
        return self._snapshot.get("RiskPolicy", none)

    @property
    def mode(self) -> int:
        """The mode that the policy knows: 0 normal, 1 caution, 2 emergency."""
        return int(self._policy["modes"].get((), risk_policy.Modes()).mode)

    @property
    def _limits_factor(self) -> int:
        modes: risk_policy.Modes = self._policy["modes"].get((), risk_policy.Modes())
        return modes.emergency_factor if modes.mode == interfaces.EMERGENCY else BASIS_POINTS

    def add_on(self, c: int, debt: int) -> int:
        """What a vault of this debt (rad) needs beyond its ratio, basis points x rad."""
        return self._brackets(c).add_on(debt)

    def _brackets(self, c: int) -> risk_policy.Terms:
        found: risk_policy.Terms = self._policy["terms"].get(c, risk_policy.Terms())
        return found

    def call_terms(self, c: int) -> interfaces.CallTerms:
        """When vaults of a type are called; a ratio of 0 is never."""
        found: interfaces.CallTerms = self._policy["calls"].get(c, interfaces.CallTerms())
        return found

    def calls(self, c: int) -> list[Call]:
        """The margin calls that are neither met nor over."""
        terms = self.call_terms(c)
        found: list[Call] = []
        if terms == interfaces.CallTerms():
            return found
        for vault in self._called(c):
            due = vault.called_at + terms.grace
            if self.timestamp <= due + terms.valid:
                found.append(Call(vault.owner, vault.called_at, due, due + terms.valid))
        return found

    def vault(self, c: int, owner: str) -> interfaces.Vault:
        """A vault as it is stored."""
        found: interfaces.Vault = self._engine["vaults"].get((c, owner), interfaces.Vault())
        return found

    def callable(self, c: int) -> list[Vault]:
        """Vaults under the call ratio that may be called now, the largest debt first."""
        running = {call.owner for call in self.calls(c)}
        found = self._under(c, self.call_terms(c).ratio, self.liquidation_price(c))
        return [vault for vault in found if vault.owner not in running]

    def spared(self, c: int) -> list[Vault]:
        """Vaults that only a halt or a grace of the feed keeps from being liquidated."""
        if self.liquidation_price(c):
            return []
        return self._under(c, self.terms(c).liquidation_ratio, self.price(c))

    def shortfall(self, c: int, vault: Vault) -> int:
        """The debt above what a vault's collateral carries at the call ratio, or without calls at the initial
        ratio, rad; 0 if nothing is missing."""
        price, ratio = self.price(c), self.call_terms(c).ratio or self.terms(c).initial_ratio
        if price == 0:
            return 0
        missing = vault.debt * ratio + self.add_on(c, vault.debt) - vault.locked * price * BASIS_POINTS
        return max(0, -(-missing // ratio))

    # ----------------------------------------------------------------- workouts

    @property
    def _workouts(self) -> Mapping[str, Mapping[Any, Any]]:
        """The tables of workouts; empty without them."""
        none: dict[str, dict[Any, Any]] = {"terms": {}, "balances": {}, "in_workouts": {}, "last_entries": {}}
        return self._snapshot.get("Workouts", none)

    def workout_terms(self, c: int) -> workouts.Terms:
        """The terms of a type's workouts; a cap of 0 is none."""
        found: workouts.Terms = self._workouts["terms"].get(c, workouts.Terms())
        return found

    @cached_property
    def workouts(self) -> list[Workout]:
        """The open workouts, the oldest first."""
        found = []
        for id, balance in self._workouts["balances"].items():
            if balance.left:
                schedule, sums = self._workouts["schedules"][id], self._workouts["sums"][id]
                found.append(
                    Workout(
                        id=id,
                        collateral_type=balance.collateral_type,
                        owner=schedule.owner,
                        lot=balance.lot,
                        owed=sums.owed,
                        left=balance.left,
                        principal=workouts.principal_left(balance, sums),
                        instalments=balance.instalments,
                        met=balance.met,
                        entered_at=schedule.entered_at,
                        interval=schedule.interval,
                        discount=schedule.discount,
                        ratio=schedule.ratio,
                    )
                )
        return sorted(found)

    def new_risk_price(self, c: int) -> int:
        """What new risk is measured at; 0 if there is no such price."""
        return min(self.price(c), self.prices(c).next)

    def foreclosable(self) -> list[Workout]:
        """Workouts that can be foreclosed now."""
        found = []
        for each in self.workouts:
            price = self.liquidation_price(each.collateral_type)
            if price and not each.is_kept(self.timestamp, price):
                found.append(each)
        return found

    def restructurable(self, c: int) -> list[Vault]:
        """Called vaults that may enter a workout now, each for itself."""
        terms, price = self.workout_terms(c), self.new_risk_price(c)
        if terms.cap == 0 or price == 0 or self.mode < interfaces.CAUTION:
            return []
        most = min(self.room(c), terms.cap * RAD - self._workouts["in_workouts"].get(c, 0))
        return [
            vault
            for vault in self._called(c)
            if vault.debt <= most
            and self.shortfall(c, vault)
            and workouts.repays(vault.locked, price, terms.discount, vault.debt)
            and self.timestamp >= self._workouts["last_entries"].get((c, vault.owner), 0) + terms.period
        ]

    def acts_for(self, keeper: str, owner: str) -> bool:
        """Whether an account may act for an owner."""
        return keeper == owner or bool(self._engine["operators"].get((owner, keeper), False))

    @cached_property
    def breaker(self) -> circuit_breaker.State | None:
        """The mode and since when it has been calm; None without a circuit breaker."""
        tables = self._snapshot.get("CircuitBreaker")
        return None if tables is None else tables["state"][()]

    def triggers(self) -> list[tuple[int, int, int]]:
        """The triggers of the circuit breaker that hold now: level, trigger, type; the worst first."""
        set_to = self._snapshot["CircuitBreaker"]["triggers"].get((), circuit_breaker.Triggers())
        lost = set_to.level_of_losses(sum(self.deficit(c) for c in self.types))
        found = [(lost, circuit_breaker.LOSSES, 0)]
        for c in self.types:
            limits: ledger.Auctions = self._engine["ledger.auctions"].get(c, ledger.Auctions())
            level = set_to.level_of_auctions(limits.in_auction, limits.limit)
            found.append((level, circuit_breaker.AUCTIONS, c))
            if limits.in_auction or self.debts(c).normalized_debt:
                level = set_to.level_of_fall(self.price(c), self.time_weighted(c))
                found.append((level, circuit_breaker.FALL, c))
                level = set_to.level_of_silence(self.timestamp - self.prices(c).fresh_until)
                found.append((level, circuit_breaker.SILENCE, c))
        return sorted((each for each in found if each[0]), key=lambda each: -each[0])

    # ------------------------------------------------------------------ domains

    @cached_property
    def domains(self) -> dict[str, Domain]:
        """By name."""
        found = {}
        for c, each in domains_of(self._parameters):
            tables: Mapping[str, Mapping[Any, Any]] = self._snapshot[each.name]
            announced: domain.Announcement = tables["announced"].get((), domain.Announcement())
            owed = self.vault(c, self.addresses[each.name]).normalized_debt * self.rate(c)
            found[each.name] = Domain(c, owed, int(tables["lost"].get((), 0)), *announced)
        return found

    # ------------------------------------------------------------ margin market

    @cached_property
    def margin(self) -> MarginView | None:
        """The margin market, if one is deployed."""
        margin = self._parameters.margin
        return None if margin is None else MarginView(self, self._snapshot, margin)

    # --------------------------------------------------------------- settlement

    @cached_property
    def settlement(self) -> settlement.Progress:
        """How far settlement is."""
        found: settlement.Progress = self._snapshot["Settlement"]["progress"].get((), settlement.Progress())
        return found

    def may_begin(self) -> bool:
        """Whether anybody may begin settlement now."""
        announced_for = self.settlement.announced_for
        announced = 0 < announced_for <= self.timestamp
        return announced or self.noted() > self._parameters.settlement.epochs

    def noted(self) -> int:
        """In how many epochs in a row the deficit was above the bound, once it is noted now."""
        before, epoch = self.settlement, self.timestamp // self._parameters.epoch_length
        deficit = sum(self.deficit(c) for c in self.types)
        if deficit <= self._parameters.settlement.bound * RAD:
            return 0
        if before.streak == 0 or epoch > before.noted_epoch + 1:
            return 1
        return int(before.streak + (epoch != before.noted_epoch))

    def note_due(self) -> bool:
        """Whether noting the deficit now would change the count."""
        before, streak = self.settlement, self.noted()
        this_epoch = before.noted_epoch == self.timestamp // self._parameters.epoch_length
        return streak != before.streak or (streak != 0 and not this_epoch)

    def has_final_price(self, c: int) -> bool:
        """Whether settlement has fixed a type's price."""
        return c in self._snapshot["Settlement"]["final_prices"]

    def share(self, c: int) -> int:
        """Collateral (wad) for each unit of stablecoin, ray; 0 before the books are closed."""
        return int(self._snapshot["Settlement"]["share_of"].get(c, 0))

    def coin_worth(self) -> int:
        """What a stablecoin brings, ray: itself, or after settlement its collateral at the prices outside."""
        if self.settlement.fixed_at == 0:
            return RAY
        return sum(self.share(c) * price // RAY for c, price in enumerate(self.outside.prices))

    def to_cash(self, c: int, owner: str) -> int:
        """What an account has redeemed and not cashed for a type yet, wad of stablecoin."""
        tables = self._snapshot["Settlement"]
        return int(tables["bag_of"].get(owner, 0) - tables["cashed_of"].get((c, owner), 0))

    # -------------------------------------------------------------------- pools

    def has_pool(self, pool: str) -> bool:
        """Whether a pool is deployed."""
        return POOLS[pool][0] in self._snapshot

    def assets(self, pool: str) -> int:
        """What a pool holds for its members, wad of its asset."""
        held: pools.Assets = self._snapshot[POOLS[pool][0]]["assets"].get((), pools.Assets())
        return pools.vested(held, self.timestamp)

    def exit_terms(self, pool: str) -> PoolParameters:
        """How members of a pool leave."""
        found: PoolParameters = getattr(self._parameters, pool)
        return found

    def membership(self, pool: str, owner: str) -> Membership:
        """A member's part in a pool."""
        tables = self._snapshot[POOLS[pool][0]]
        generation = tables["token.state"].get((), shares.State()).generation
        held: shares.Balance = tables["token.balances"].get((generation, owner), shares.Balance())
        request: pools.Request = tables["requests"].get((generation, owner), pools.Request())
        return Membership(held.shares, request.shares, request.requested_at)

    # ------------------------------------------------------------------- equity

    @property
    def has_equity(self) -> bool:
        """Whether there is an equity token, and with it a treasury."""
        return "Equity" in self._snapshot

    def equity(self, owner: str) -> int:
        """What an account can spend, wad."""
        return self._free("Equity", owner)

    @cached_property
    def equity_auctions(self) -> list[EquityAuction]:
        """Sales of slashed and of new equity under way."""
        found = []
        for contract in ("StakeAuction", "MintAuction"):
            tables: Mapping[str, Mapping[Any, Any]] = self._snapshot.get(contract, {"sales": {}})
            for c, sale in sorted(tables["sales"].items()):
                if sale.target:
                    elapsed, duration = self.timestamp - sale.started_at, self._equity_terms.duration
                    price = sale.price(min(elapsed, duration), duration)
                    over = elapsed > duration or self.settlement.begun_at != 0
                    found.append(EquityAuction(contract, c, sale.lot, sale.target, price, over))
        return found

    @cached_property
    def surplus_auction(self) -> SurplusAuction | None:
        """The sale of surplus, if one is under way."""
        lot: surplus.Lot = self._snapshot["SurplusAuction"]["lot"].get((), surplus.Lot())
        elapsed, duration = self.timestamp - lot.started_at, self._equity_terms.duration
        if lot.lot == 0 or elapsed > duration:
            return None
        prices = self._snapshot["SurplusAuction"]["prices"][()]
        return SurplusAuction(lot.lot, prices.at(elapsed, duration))

    def surplus_lot(self) -> int:
        """What one sale of surplus offers, wad."""
        return self._equity_terms.surplus_lot * WAD

    def pending_losses(self) -> int:
        """Deficits and marks, rad: while there are any, no income is spent."""
        counts = self._waterfall["counts"][()]
        if counts.settlement:
            return 0 if counts.closed else loss_waterfall.WINDING_UP
        unresolved = sum(loss.unresolved for loss in self._waterfall["losses"].values())
        return int(unresolved + sum(self._waterfall["marks.of_types"].values()))

    def claims(self) -> int:
        """What is owed to those who bore losses, wad."""
        found = 0
        for contract, _, _ in POOLS.values():
            tables = self._snapshot.get(f"{contract}.Claims")
            if tables is not None:
                found += tables["series"].get((), recovery_claims.Series()).outstanding
        return found

    def surplus(self) -> tuple[int, int]:
        """What the reserve has above its target, and what of it is offered for sale, wad."""
        plan: treasury.Plan = self._snapshot["Treasury"]["plan"].get((), treasury.Plan())
        above = max(0, self.reserve() // RAY - plan.target * WAD)
        return above, min(plan.offered, above)

    @property
    def _equity_terms(self) -> EquityParameters:
        assert self._parameters.equity is not None
        return self._parameters.equity

    def open_auctions(self) -> int:
        """How many auctions are open."""
        return sum(lot.started_at != 0 for lot in self._auction["lots"].values())

    def vaults(self, c: int) -> list[Vault]:
        """The vaults with debt, in the order in which they were opened."""
        if c not in self._with_debt:
            self._with_debt[c] = self._read(c, self._vaults.all(c))
        return self._with_debt[c]

    def underwater(self, c: int, price: int) -> list[Vault]:
        """The vaults whose collateral would not repay their debt at a price (ray), in no order."""
        riskier = self._vaults.riskier(c, price, self.rate(c))
        return [vault for vault in self._read(c, riskier) if vault.debt > vault.locked * price]

    def doubtful(self, c: int, price: int, others: set[str]) -> list[Vault]:
        """These vaults, if they have debt, with those underwater at a price, in the order of opening."""
        owners = {vault.owner for vault in self.underwater(c, price)} | others
        return [vault for vault in self._read(c, self._vaults.sorted(c, owners)) if vault.debt]

    def _read(self, c: int, owners: Iterable[str]) -> list[Vault]:
        rate, found = self.rate(c), []
        for owner in owners:
            locked, art, called_at, _ = self._vaults[c, owner]
            found.append(Vault(owner, locked, art, art * rate, called_at))
        return found

    def unsafe(self, c: int) -> list[Vault]:
        """Vaults that can be liquidated now, the largest debt first."""
        if c not in self._unsafe:
            self._unsafe[c] = self._find_unsafe(c)
        return self._unsafe[c]

    def _find_unsafe(self, c: int) -> list[Vault]:
        price = self.liquidation_price(c)
        unsafe = self._under(c, self.terms(c).liquidation_ratio, price)
        if self.call_terms(c).ratio == 0:
            return unsafe
        # Or called, still short, and past the time that the owner had.
        due = {call.owner for call in self.calls(c) if self.timestamp >= call.due}
        called = [vault for vault in self._under(c, self.call_terms(c).ratio, price) if vault.owner in due]
        return list(dict.fromkeys([*unsafe, *called]))

    def _under(self, c: int, ratio: int, price: int) -> list[Vault]:
        """Vaults under a ratio and their size's add-on, the largest debt first; none without a price."""
        if price == 0 or ratio == 0:
            return []
        find = self._find if self._finder is None else self._finder.under
        found = find(c, ratio, price, self.rate(c), self._brackets(c))
        return sorted(found, key=lambda vault: (-vault.debt, vault.owner))

    def _find(self, c: int, ratio: int, price: int, rate: int, policy: risk_policy.Terms) -> list[Vault]:
        scaled = price * BASIS_POINTS
        most = ratio + sum(bracket.rate for bracket in policy.of_vaults)
        return [
            vault
            for vault in self._read(c, self._vaults.riskier(c, scaled, rate * most))
            if vault.locked * scaled < vault.debt * ratio + policy.add_on(vault.debt)
        ]

    def _called(self, c: int) -> list[Vault]:
        """The vaults that were called, whatever became of it."""
        if self._finder is not None:
            return sorted(self._finder.called(c, self.rate(c)))
        return [vault for vault in self.vaults(c) if vault.called_at]

    # ----------------------------------------------------------------- auctions

    def auction_terms(self, c: int) -> dutch.Terms:
        """How a type is sold."""
        found: dutch.Terms = self._auction["terms"][c]
        return found

    @cached_property
    def auctions(self) -> list[Auction]:
        """The open auctions, the oldest first."""
        found, now = [], self.timestamp
        tops, owners, terms = (self._auction[table] for table in ("tops", "owners", "terms"))
        for id, lot in self._auction["lots"].items():
            left, target, started_at, c = lot
            if target == 0:
                continue
            top = tops[id]
            price, due = terms[c].price(top.top, now - started_at)
            principal, budget = collateral_auction.principal_left(lot, top), owners[id].reward_budget
            found.append(Auction(id, c, left, target, top.top, started_at, price, due, principal, budget))
        return sorted(found)

    # ------------------------------------------------------------------- market

    def pool(self, c: int) -> Pool | None:
        """The local market of a type, if it has liquidity."""
        name = f"Market.{self.symbols[c]}"
        tables = self._snapshot.get(name)
        if tables is None:
            return None
        collateral, stable = tables["collateral_reserve"].get((), 0), tables["stable_reserve"].get((), 0)
        if collateral == 0:
            return None
        return Pool(name, self.addresses[name], collateral, stable, self._fees[c], self.terms(c).unit)

    def stablecoins(self, owner: str) -> int:
        """What an account can spend, wad."""
        return self._free("Stablecoin", owner)

    def _free(self, token: str, owner: str) -> int:
        """A balance without what is set aside."""
        balance = int(self._snapshot[token]["erc20.balanceOf"].get(owner, 0))
        return max(0, balance - self._reserved.get((token, owner), 0))

    def allowance(self, token: str, owner: str, spender: str) -> int:
        """What a contract may take of an account's tokens, wad."""
        return int(self._snapshot[token]["erc20.allowance"].get((owner, self.addresses[spender]), 0))

    def cost(self, contract: str, method: str, gas_price: int) -> int:
        """Wad of stablecoin that a call's gas costs."""
        return cost_in_stablecoin(gas_needed(contract, method), gas_price, self.outside.ether_price)
