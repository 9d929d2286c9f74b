"""Runs a scenario: opens its book, lets its day pass block by block, records everything.

The same code runs on the model alone and on the model in lockstep with a chain; nothing in it asks which.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from backstop.deployment import ACCOUNTS, POOLS, FeedParameters, account, configure, model_of, plan
from backstop.deployment.signing import sign_order, trader
from backstop.errors import BackstopError
from backstop.hosts.model import ModelSystem
from backstop.hosts.words import State, load_words
from backstop.keepers import (
    SPENDERS,
    Keeper,
    Memory,
    OrderFile,
    Outside,
    Vaults,
    View,
    has_occasion,
    orders_of,
    strategy_of,
)
from backstop.keepers.costs import cost_in_stablecoin, gas_needed
from backstop.keepers.group import KeeperGroup
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAY, WAD, div_up
from backstop.model.bounds import EQUITY_MARKET
from backstop.model.margin_book import INTERVAL
from backstop.model.margin_orders import Order as MarginOrder
from backstop.model.margin_policy import RISK
from backstop.model.roles import GUARDIAN
from backstop.model.state import Revert
from backstop.proof.trace import Step, Trace
from backstop.simulation.margin_tables import MarginWatch
from backstop.simulation.mempool import Mempool
from backstop.simulation.recording import AuctionRecord, Recorder
from backstop.simulation.run_directory import SCHEMA_VERSION, Row, write_run
from backstop.simulation.scenario import Scenario, drawn, opening_book, price_path, vault_book
from backstop.simulation.scenario.margin_book import OpeningBook
from backstop.simulation.scenario.schema import Vault
from backstop.simulation.summary import keeper_rows, summarise
from backstop.system import Action, Outcome, System

if TYPE_CHECKING:
    from backstop.proof.lockstep import Lockstep

CHECK_EVERY = 1
"""Steps between two comparisons of the whole state; what a step wrote is compared after each."""

AFTERMATH_STEP = 6 * 3_600
"""Seconds between two blocks after the scenario's end, when prices stand still."""

ENOUGH = 10**9
"""Times what the opening prices ask for: so much collateral has whoever may need more as prices fall."""

Progress = Callable[[int, int, str], None]


class Interrupted(BackstopError):
    """The run was asked to stop; what it had is kept."""


# ---------------------------------------------------------------------- session


@dataclass
class Session:
    """A configured deployment to run on: the System, the model in it, the lockstep if there is a chain."""

    system: System
    model: ModelSystem
    both: Lockstep | None
    started_at: int


@contextmanager
def open_session(scenario: Scenario, host: str, seed: int, traces: Path | None = None) -> Iterator[Session]:
    """Deploy a scenario's parameters on a throw-away host; `model` is no chain at all."""
    started_at = scenario.deployed_at
    if host == "model":
        deployment = plan(scenario.parameters)
        model = model_of(deployment, started_at)
        configure(model, deployment)
        yield Session(model, model, None, started_at)
        return
    from backstop.hosts.by_name import open_host
    from backstop.proof.lockstep import TRACES, lockstep

    with open_host(host, started_at) as chain:
        both = lockstep(
            chain, scenario.parameters, seed=seed, check_every=CHECK_EVERY, traces=traces or TRACES
        )
        yield Session(both, both.model, both, started_at)


# -------------------------------------------------------------------------- run


@dataclass
class KeeperState:
    """A keeper and its books."""

    keeper: Keeper
    memory: Memory = field(default_factory=Memory)
    sent: int = 0
    included: int = 0
    dropped: int = 0
    failed: int = 0
    gas_cost: int = 0  # wad of stablecoin
    opening: int = 0  # wad of stablecoin it began with


class Member(NamedTuple):
    """Somebody who has put something into a pool."""

    name: str
    address: str
    pool: str  # contract
    asset: str  # contract
    deposit: int  # wad


class Result(NamedTuple):
    """What a run left: the summary, the tables, and the steps to do it again."""

    summary: dict[str, Any]
    tables: dict[str, list[Row]]
    trace: Trace


class Simulation:
    """One run of a scenario on a session."""

    def __init__(
        self, scenario: Scenario, session: Session, seed: int, recorder: Recorder | None = None
    ) -> None:
        """A recorder of the caller's own may record less."""
        scenario = drawn(scenario, seed)
        self.scenario = scenario
        self.session = session
        self.system = session.system
        self.seed = seed
        self.at = session.system.addresses
        self.paths = {
            symbol: price_path(
                path.points, path.volatility, seed, symbol, scenario.duration, scenario.block_time
            )
            for symbol, path in scenario.prices.items()
        }
        # What reporters see: the market, unless the file says otherwise.
        self.sources = self.paths | {
            symbol: price_path(
                path.points, path.volatility, seed, f"feed {symbol}", scenario.duration, scenario.block_time
            )
            for symbol, path in scenario.feed_prices.items()
        }
        self.equity_path: list[int] = []
        if scenario.equity_price is not None:
            path = scenario.equity_price
            self.equity_path = price_path(
                path.points, path.volatility, seed, "equity", scenario.duration, scenario.block_time
            )
        self.names: dict[str, str] = {address: name for name, address in self.at.items()}
        stages = tuple(stage.name for stage in scenario.parameters.stages)
        self.recorder = recorder or Recorder(scenario.symbols, stages, scenario.parameters.type_names)
        if scenario.parameters.margin is not None:
            contracts = session.model.world.contracts
            self.recorder.margin = MarginWatch(contracts, scenario.margin_symbols, self.names)
        self.mempool = Mempool()
        self._groups = [
            (
                group,
                [
                    KeeperState(
                        Keeper(name, self.account(name), group, i, seed, strategy, self.orders_of(group))
                    )
                    for i, name in enumerate(group.names())
                ],
            )
            for group, strategy in ((group, strategy_of(group)) for group in scenario.keepers)
        ]
        self.keepers = [state for _, states in self._groups for state in states]
        self.by_address = {state.keeper.address: state for state in self.keepers}
        self.members = list(self._members())
        self.steps: list[Step] = []
        self.left: dict[tuple[str, str], int] = {}  # pool and member -> when it redeemed
        self.reverted: dict[str, int] = {}
        self.block = 0
        self.now = 0  # seconds from the start
        self.scarce = RAY  # what the stablecoin costs outside
        self.opening_supply = 0
        self.leaving = [each for each in scenario.margin_book.accounts if each.takes_out is not None]
        self.completed = False
        self.differences = 0
        self.error: BackstopError | None = None
        # The model's, which lockstep has compared with the chain's: reading a chain is slow.
        self._state = session.model.live()
        self._vaults = Vaults(self._state["VaultEngine"]["vaults"])

    def account(self, name: str) -> str:
        """The address of a name, which the tables then show."""
        address = account(name)
        self.names[address] = name
        return address

    def orders_of(self, group: KeeperGroup) -> OrderFile | None:
        """What a matcher reads, which has to be right to the last line."""

        def misfit(text: str) -> None:
            raise BackstopError(f"the scenario does not fit: {text}")

        return orders_of(group, self.at, self.session.model.world.chain_id, misfit)

    def _members(self) -> Iterator[Member]:
        """With as much money whatever is deployed: without their pool they keep it."""
        listed = [
            (pool, name, deposit)
            for pool, deposits in self.scenario.members.items()
            for name, deposit in deposits.items()
        ]
        for state in self.keepers:
            group = state.keeper.group
            deposit = group.capital if group.role == "member" else group.stake
            if deposit:
                listed.append((group.pool, state.keeper.name, deposit))
        for pool, name, deposit in listed:
            asset = "Equity" if pool == "staked_equity" else "Stablecoin"
            if asset in self.at:
                yield Member(name, self.account(name), POOLS[pool][0], asset, deposit)

    # ------------------------------------------------------------------- actions

    def apply(self, action: Action) -> Outcome:
        """Run one action and record it."""
        outcome = self.system.apply(action)
        self._vaults.update(
            [
                key
                for contract, path, key in self.session.model.changes
                if path == "vaults" and contract == "VaultEngine"
            ]
        )
        self.note(self.system.timestamp, action, outcome)
        return outcome

    def note(self, timestamp: int, action: Action, outcome: Outcome) -> None:
        """Record what was done, by whomever."""
        self.steps.append(Step(timestamp, action))
        name = self.names.get(action.sender, "")
        if outcome.ok and action.method == "redeem":
            self.left[action.contract, action.sender] = timestamp
        self.recorder.equity_price = self.equity_price
        self.recorder.action(len(self.steps), timestamp, action, name, outcome, self.market_prices())

    def must(self, contract: str, method: str, *args: Any, sender: str) -> None:
        """An action of the setting, which has to succeed."""
        action = Action(contract, method, args, sender)
        outcome = self.apply(action)
        if outcome.reason is not None:
            raise self.misfit(action, outcome)

    def misfit(self, action: Action, outcome: Outcome) -> BackstopError:
        """What to say of an action of the setting that failed."""
        name, call = self.names.get(action.sender, action.sender), f"{action.contract}.{action.method}"
        return BackstopError(
            f"the scenario does not fit: {call} from {name} reverted with {outcome.reason!r}"
        )

    def market_prices(self) -> tuple[int, ...]:
        """Prices outside at the present block, by type, in stablecoins."""
        prices = [self.paths[symbol][self.block] for symbol in self.scenario.symbols]
        return tuple([price * RAY // self.scarce for price in prices])

    def weigh_supply(self) -> None:
        """Where the stablecoin gets scarce it gets dear: in full, demand is for so many dollars of it."""
        supply = self.session.model.view("Stablecoin", "totalSupply")
        if self.now == 0:
            self.opening_supply = supply
        gone = max(0, self.opening_supply - supply)
        self.scarce = RAY + gone * self.scenario.scarcity * RAY // (BASIS_POINTS * max(1, supply))

    @property
    def equity_price(self) -> int:
        """Of one equity token outside, at the present block, ray; 0 if there is none."""
        return self.equity_path[self.block] if self.equity_path else 0

    def go_to(self, timestamp: int) -> None:
        """Let time pass until a time."""
        self.system.advance(timestamp - self.system.timestamp)

    def view(self) -> View:
        """The present block as keepers see it."""
        prices = self.market_prices()
        outside = Outside(
            prices,
            prices[self.scenario.symbols.index(self.scenario.gas_token)],
            self.scenario.gas_prices.at(self.system.timestamp - self.scenario.start),
            self.equity_price,
            tuple(self.sources[symbol][self.block] for symbol in self.scenario.symbols),
            self.system.timestamp - self.scenario.start,
        )
        return View(
            self._state,
            self.at,
            self.system.timestamp,
            outside,
            self.scenario.parameters,
            vaults=self._vaults,
        )

    # ------------------------------------------------------------------- genesis

    @cached_property
    def book(self) -> list[Vault]:
        """The vaults to open."""
        opening = {symbol: path[0] for symbol, path in self.paths.items()}
        return vault_book(self.scenario, self.seed, opening)

    def open_book(self, progress: Progress, stop: Callable[[], bool]) -> None:
        """Prices, collateral, vaults, savings, capital; then fees fill the buffers until the start.

        Nothing here depends on what happens from the start on.
        """
        if self.scenario.opening is not None:
            self.take_over(self.scenario.opening.state)
            return
        scenario, maker = self.scenario, self.account("market_maker")
        drawn = sum(vault.debt for vault in self.book) // WAD
        needed = sum(each.deposit for each in self.members if each.asset == "Stablecoin")
        groups = [each.keeper.group for each in self.keepers]
        needed += sum(g.endowment for g in groups if g.role != "member" and g.asset == "Stablecoin")
        needed += scenario.insurance + sum(self.margin_book.deposits.values())
        if drawn * WAD < needed:
            raise BackstopError(
                f"the scenario does not fit: its vaults draw {drawn:,} stablecoins, members of pools, "
                f"keepers' capital and margins take {needed // WAD:,}"
            )
        self.set_prices(self.scenario.opened_at)
        self.limit_flows(on=False)
        for symbol in scenario.symbols:
            self.stock(symbol, sum(vault.locked for vault in self.book if vault.symbol == symbol))

        symbols = scenario.symbols
        for i, vault in enumerate(self.book):
            if stop():
                raise Interrupted("stopped while the book was opened")
            progress(i, len(self.book), "opening vaults")
            c, owner = symbols.index(vault.symbol), self.account(vault.owner)
            args = (c, owner, vault.locked, 0, owner)
            self.must("VaultEngine", "deposit_and_draw", *args, sender=maker)
            if vault.debt:
                # What borrowers drew they have spent: it is in the market's hands.
                args = (c, owner, 0, vault.debt, maker)
                self.must("VaultEngine", "deposit_and_draw", *args, sender=owner)
            self.recorder.opened[c] += 1
            self.let_debtors_act(owner)

        self.limit_flows(on=True)
        if scenario.parameters.margin is not None:
            self.open_margin_market(progress, stop)
        for member in self.members:
            holder = maker if member.asset == "Stablecoin" else self.account("admin")
            self.must(member.asset, "transfer", member.address, member.deposit, sender=holder)
            if member.pool not in self.at:
                continue
            self.must(member.asset, "approve", self.at[member.pool], member.deposit, sender=member.address)
            self.must(member.pool, "deposit", member.deposit, member.address, sender=member.address)
        for state in self.keepers:
            group = state.keeper.group
            if group.role == "member":
                state.opening = self.worth(state.keeper.address)
                continue
            self.approve_spenders(state)
            self.endow(state)
            if group.role == "attacker":
                state.opening = self.worth(state.keeper.address)

        self.go_to(scenario.start - max(feed.step for _, feed, _ in self.opening_prices()))
        self.set_prices()
        for c in range(len(symbols)):
            self.must("VaultEngine", "accrue", c, sender=maker)
        self.note_auctions()
        self.go_to(scenario.start)

    @cached_property
    def margin_book(self) -> OpeningBook:
        """The accounts of the margin market to open."""
        first = {symbol: path[0] for symbol, path in self.sources.items()}
        return opening_book(self.scenario, self.seed, {**first, **self.scenario.opened_at})

    def open_margin_market(self, progress: Progress, stop: Callable[[], bool]) -> None:
        """Insurance, margins, and the positions, whose prices need not be the feed's: funding that follows
        from that is over before the start."""
        maker, book = self.account("market_maker"), self.margin_book
        for contract in ("MarginMarket", "MarginFund"):
            self.must("Stablecoin", "approve", self.at[contract], MAX_UINT256, sender=maker)
        if self.scenario.insurance:
            self.must("MarginFund", "insure", self.scenario.insurance, sender=maker)
        for name, amount in book.deposits.items():
            self.names[trader(name)] = name
            self.must("MarginMarket", "deposit", trader(name), amount, sender=maker)
        for i, trade in enumerate(book.trades):
            if stop():
                raise Interrupted("stopped while the margin book was opened")
            progress(i, len(book.trades), "opening positions")
            sides: list[Any] = []
            for name, size in ((trade.long, trade.lots), (trade.short, -trade.lots)):
                order = MarginOrder(trader(name), trade.market, size, trade.price, MAX_UINT256, i + 1)
                chain_id = self.session.model.world.chain_id
                sides += [order, sign_order(name, order, chain_id, self.at["MarginOrders"])]
            self.must("MarginOrders", "fill", *sides, trade.lots, sender=maker)
        for _ in ("a rate that follows from the trades", "none"):
            self.go_to(self.system.timestamp + INTERVAL)
            for market in range(len(self.scenario.margin_symbols)):
                self.must("MarginMarket", "accrue", market, sender=maker)

    def let_debtors_act(self, owner: str) -> None:
        """Whoever restructures vaults acts for their owners."""
        for state in self.keepers if "Workouts" in self.at else ():
            if state.keeper.group.role == "debtor":
                address = state.keeper.address
                self.must("VaultEngine", "approve_operator", address, True, sender=owner)

    def take_over(self, state: State) -> None:
        """Go on from a state that there was, instead of opening a book."""
        self.restore(state)
        for name in ACCOUNTS:
            self.account(name)
        self.note_auctions()
        view = self.view()
        for c, symbol in enumerate(self.scenario.symbols):
            self.recorder.opened[c] = len(view.vaults(c))
            self.stock(symbol)
        for keeper in self.keepers:
            self.approve_spenders(keeper)
            self.endow(keeper)

    def restore(self, state: State) -> None:
        """Have model and chain be in a state, to the last slot."""
        self.steps.append(Step(self.system.timestamp, state))
        if self.session.both is not None:
            self.session.both.load(state)
        else:
            load_words(self.session.model.world, state.words)
        self._vaults = Vaults(self._state["VaultEngine"]["vaults"])

    def note_auctions(self) -> None:
        """Have the recorder know how each type is sold, and what is sold or put off from before."""
        for c in range(len(self.scenario.symbols)):
            self.recorder.auction_terms[c] = self.session.model.view("CollateralAuction", "terms_of", c)
        for auction in self.view().auctions:
            known = AuctionRecord(
                auction.id,
                auction.collateral_type,
                "",
                auction.started_at,
                auction.lot,
                auction.top,
                auction.target,
                auction.principal,
                auction.started_at,
            )
            self.recorder.auctions.setdefault(auction.id, known)
        for workout in self.view().workouts:
            self.recorder.guards.found(workout)

    def stock(self, symbol: str, locked: int = 0) -> None:
        """Collateral for vaults, and enough for the market however low the price falls."""
        scenario, maker = self.scenario, self.account("market_maker")
        needed = locked + ENOUGH * scenario.markets[symbol].depth * RAY // self.paths[symbol][0]
        decimals = scenario.parameters.collateral_types[scenario.symbols.index(symbol)].decimals
        self.must(symbol, "mint", maker, div_up(needed, 10 ** (18 - decimals)), sender=maker)
        for spender in ("VaultEngine", f"Market.{symbol}"):
            self.must(symbol, "approve", self.at[spender], MAX_UINT256, sender=maker)
        self.must("Stablecoin", "approve", self.at[f"Market.{symbol}"], MAX_UINT256, sender=maker)

    def approve_spenders(self, state: KeeperState) -> None:
        """Let the auctions that a keeper pays take its money."""
        group, me = state.keeper.group, state.keeper.address
        for spender in SPENDERS.get(group.role, ()):
            if spender in self.at:
                self.must(group.asset, "approve", self.at[spender], MAX_UINT256, sender=me)

    def limit_flows(self, on: bool) -> None:
        """The book is opened at once, where in truth it grew: what flows out is limited from then on."""
        for c, collateral in enumerate(self.scenario.parameters.collateral_types):
            policy = collateral.policy
            if policy.flow_cap:
                cap = policy.flow_cap if on else 0
                self.must(
                    "RiskPolicy", "set_flow_limit", c, cap, policy.flow_window, sender=self.account("admin")
                )

    def provide(self, state: KeeperState) -> None:
        """All the collateral that a keeper may lock; what it does lock counts as given away."""
        group, me = state.keeper.group, state.keeper.address
        c = self.scenario.symbols.index(group.collateral)
        unit = 10 ** (18 - self.scenario.parameters.collateral_types[c].decimals)
        opening = self.sources[group.collateral][0]
        most = max(group.capital, group.each)
        amount = ENOUGH * most * group.ratio * RAY // (BASIS_POINTS * opening)
        self.must(group.collateral, "mint", me, div_up(amount, unit), sender=me)
        self.must(group.collateral, "approve", self.at["VaultEngine"], MAX_UINT256, sender=me)

    def appoint(self, state: KeeperState) -> None:
        """Make a keeper a guardian of what it may have to halt, to raise or to announce."""
        for contract in ("PriceFeed", "CircuitBreaker", *(d.name for d in self.scenario.parameters.domains)):
            if contract in self.at:
                args = (GUARDIAN, state.keeper.address)
                self.must(contract, "grant_role", *args, sender=self.account("admin"))

    def endow(self, state: KeeperState) -> None:
        """Give a keeper its capital, if what it consists of is deployed."""
        group = state.keeper.group
        if group.collateral:
            self.provide(state)
        if group.role == "guardian":
            self.appoint(state)
        if group.role == "attacker" and (pool := POOLS[group.pool][0]) in self.at:
            self.must("Stablecoin", "approve", self.at[pool], MAX_UINT256, sender=state.keeper.address)
        if group.endowment and group.asset in self.at:
            holder = self.account("market_maker" if group.asset == "Stablecoin" else "admin")
            self.must(group.asset, "transfer", state.keeper.address, group.endowment, sender=holder)
        state.opening = self.stablecoins(state.keeper.address)

    def set_prices(self, others: Mapping[str, int] = MappingProxyType({})) -> None:
        """Every reporter reports the opening price, or another of that symbol, and it counts at once."""
        poker = self.account("market_maker")
        for market, feed, price in self.opening_prices(others):
            for i in range(feed.reporters):
                reporter = self.account(f"reporter_{i + 1}")
                self.must("PriceFeed", "report", market, price, sender=reporter)
            self.must("PriceFeed", "poke", market, sender=poker)

    def opening_prices(
        self, others: Mapping[str, int] = MappingProxyType({})
    ) -> Iterator[tuple[int, FeedParameters, int]]:
        """Every market of the feed with its terms and its price at the start, or another of that symbol."""
        parameters = self.scenario.parameters
        for c, collateral in enumerate(parameters.collateral_types):
            yield c, collateral.feed, others.get(collateral.symbol, self.sources[collateral.symbol][0])
        if parameters.equity is not None:
            yield EQUITY_MARKET, parameters.equity.feed, self.equity_path[0]

    # --------------------------------------------------------------------- blocks

    def run_block(self) -> None:
        """One block: the outside world, the transactions that get in, then everybody decides."""
        scenario, now = self.scenario, self.now
        self.go_to(scenario.start + now)
        if scenario.scarcity:
            self.weigh_supply()
        self.move_markets(now)
        self.take_margin_out(now)

        self.include()
        view = self.view()
        for group, states in self._groups:
            down = any(outage.start <= now < outage.end for outage in group.outages)
            if down or not has_occasion(group.role, view):
                for state in states:
                    state.dropped += self.mempool.drop(state.keeper.address)
                continue
            gas_price = group.gas.bid(scenario.gas_prices, now)
            for state in states:
                self.decide(state, view, gas_price)
        self.recorder.block(view, scenario.gas_prices.at(now), len(self.mempool))

    def include(self) -> None:
        """What gets into a block."""
        scenario, now = self.scenario, self.now
        gas_price = scenario.gas_prices.at(now)
        capacity = scenario.block_gas * scenario.gas_share.at(now) // BASIS_POINTS
        ether = self.paths[scenario.gas_token][self.block]
        for pending in self.mempool.fill_block(self.system.timestamp, gas_price, capacity):
            outcome = self.apply(pending.action)
            state = self.by_address[pending.sender]
            state.included += 1
            state.gas_cost += cost_in_stablecoin(pending.gas, pending.gas_price, ether)
            state.memory.note(pending.intent, outcome.ok, self.system.timestamp)
            if outcome.reason is not None:
                state.failed += 1
                self.reverted[outcome.reason] = self.reverted.get(outcome.reason, 0) + 1

    def decide(self, state: KeeperState, view: View, gas_price: int) -> None:
        """A keeper looks at the block and makes its waiting transactions what it wants now."""
        keeper, wanted = state.keeper, []
        for intent in keeper.decide(view, state.memory, gas_price):
            action = intent.action
            gas = gas_needed(action.contract, action.method) if intent.gas is None else intent.gas
            wanted.append((action, intent.about, gas, gas_price))
        if not wanted:
            state.dropped += self.mempool.drop(keeper.address)
            return
        sent, dropped = self.mempool.replace(
            keeper.address, keeper.name, wanted, view.timestamp, keeper.group.latency
        )
        state.sent += sent
        state.dropped += dropped

    def move_markets(self, now: int) -> None:
        """The world outside trades the local markets back towards its own price, and refills them."""
        maker = self.account("market_maker")
        money = self.stablecoins(maker)
        view = self.view() if any(now % each.every == 0 for each in self.scenario.markets.values()) else None
        prices = self.market_prices()
        for c, symbol in enumerate(self.scenario.symbols):
            market = self.scenario.markets[symbol]
            if view is None or now % market.every:
                continue
            outside, pool = prices[c], view.pool(c)
            target, depth = outside, market.depth
            if pool is not None:
                inside = pool.stable * RAY // pool.collateral
                gap = outside - inside
                if abs(gap) * BASIS_POINTS <= outside * market.tolerance:
                    continue
                target = inside + gap * market.every // market.recovery
                depth = min(depth, pool.stable + money)
                money -= depth - pool.stable
            else:
                depth = min(depth, money)
                money -= depth
            self.refill(symbol, depth * RAY // target, depth)

    def take_margin_out(self, now: int) -> None:
        """Owners take out what they do not have to leave, from their time on until they can."""
        for each in list(self.leaving):
            assert each.takes_out is not None
            owner = trader(each.name)
            amount = self.free_margin(owner) if each.takes_out <= now else 0
            if amount and self.apply(Action("MarginMarket", "withdraw", (amount, owner), owner)).ok:
                self.leaving.remove(each)

    def free_margin(self, owner: str) -> int:
        """What an account has beyond the initial margin of its positions, wad; 0 where a price is missing."""
        try:
            worth = self.session.model.view("MarginMarket", "worth_of", owner, RISK)
        except Revert:
            return 0
        return max(0, worth.equity - div_up(worth.initial, BASIS_POINTS))

    def refill(self, symbol: str, collateral: int, stable: int) -> None:
        """Have so much in a market, both wad."""
        maker = self.account("market_maker")
        self.must(f"Market.{symbol}", "set_liquidity", collateral, stable, sender=maker)

    def stablecoins(self, owner: str) -> int:
        """Wad."""
        return self.balance("Stablecoin", owner)

    def balance(self, token: str, owner: str) -> int:
        """An account's balance of a token with 18 decimals, wad."""
        return int(self.session.model.view(token, "balanceOf", owner))

    # ------------------------------------------------------------------------ all

    def worth(self, owner: str) -> int:
        """What an account gained is worth, wad: its stablecoins, its margin account, what its members' shares
        would bring if they left now, and what it took and kept. After settlement a coin is worth the
        collateral it brings."""
        view, total = self.view(), self.stablecoins(owner)
        if view.margin is not None:
            total += view.margin.equity(owner)
        for member in self.members:
            if member.address == owner and member.asset == "Stablecoin" and member.pool in self.at:
                total += self.claim(member) + self.cash_of(member)
        total = total * view.coin_worth() // RAY + self.in_vault(owner, view)
        for c, price in enumerate(view.outside.prices):
            total += view.to_cash(c, owner) * view.share(c) // RAY * price // RAY
        return total + self.recorder.inventory.get(owner, 0)

    def in_vault(self, owner: str, view: View) -> int:
        """What an attacker could get out of its vault at the market's price, at worst it walks away; less
        the collateral that it has to give back. Wad."""
        state = self.by_address.get(owner)
        if state is None or state.keeper.group.role != "attacker" or not state.keeper.group.collateral:
            return 0
        c = self.scenario.symbols.index(state.keeper.group.collateral)
        vault = view.vault(c, owner)
        price, debt = view.outside.prices[c], vault.normalized_debt * view.rate(c)
        owed = self.recorder.borrowed.get((owner, c), 0) * price
        return (max(0, vault.locked_collateral * price - debt) - owed) // RAY

    def cash_of(self, member: Member) -> int:
        """What a member was paid on claims for losses borne, collected or not, wad of stablecoin."""
        claims = f"{member.pool}.Claims"
        if claims not in self.at:
            return 0
        model = self.session.model
        with model.imagine():  # somebody has to ask for it
            before = self.stablecoins(member.address)
            for generation in range(model.view(member.pool, "generation") + 1):
                args = (member.address, generation)
                model.apply(Action(member.pool, "collect_claims", args, member.address))
            for generation in range(model.view(claims, "generation") + 1):
                model.apply(Action(claims, "collect", (member.address, generation), member.address))
            return self.stablecoins(member.address) - before

    def leaves(self, member: Member) -> bool:
        """Whether a member is one who runs from losses."""
        state = self.by_address.get(member.address)
        return state is not None and state.keeper.group.leaves_at != 0

    def claim(self, member: Member) -> int:
        """What a member's shares would bring at the exit price, wad of the asset."""
        view = self.session.model.view
        shares = view(member.pool, "balanceOf", member.address)
        shares += view(member.pool, "requested_shares", member.address)
        return int(view(member.pool, "previewRedeem", shares))

    def run_blocks(self, progress: Progress, stop: Callable[[], bool]) -> None:
        """The scenario's own time."""
        for block in range(self.scenario.blocks + 1):
            if stop():
                raise Interrupted(f"stopped at block {block} of {self.scenario.blocks}")
            progress(block, self.scenario.blocks, "running")
            self.block, self.now = block, block * self.scenario.block_time
            self.run_block()

    def run(self, progress: Progress, stop: Callable[[], bool], aftermath: int = 0) -> None:
        """The whole scenario and some quiet time after it; raises Interrupted if it is told to stop."""
        self.open_book(progress, stop)
        self.run_blocks(progress, stop)
        for i in range(aftermath // AFTERMATH_STEP):
            if stop():
                raise Interrupted(f"stopped {i * AFTERMATH_STEP // 3_600} hours after the last block")
            progress(i, aftermath // AFTERMATH_STEP, "what comes after")
            self.now += AFTERMATH_STEP
            self.run_block()
            self.include()  # nobody waits for hours
        if self.session.both is not None:
            self.session.both.check()
        self.completed = True

    def result(self) -> Result:
        """What there is so far."""
        tables = dict(self.recorder.tables)
        tables["auctions"] = self.recorder.auction_rows()
        tables["calls"] = self.recorder.guards.rows(self.scenario.symbols)
        tables["workouts"] = self.recorder.guards.workout_rows(self.scenario.symbols)
        if (margin := self.recorder.margin) is not None:
            tables["margin_freezes"] = margin.freeze_rows(self.system.timestamp)
            tables["margin_payments"] = margin.payments
            tables["margin_liquidations"] = margin.liquidations
        tables["keepers"] = [tuple(row.values()) for row in keeper_rows(self)]
        reason = "a simulation" if self.error is None else str(self.error).partition("\n")[0]
        both, started_at = self.session.both, self.session.started_at
        if both is not None:
            trace = both.record(reason)  # has the step that went wrong as well
        else:
            trace = Trace(self.scenario.parameters, self.steps, started_at, self.seed, reason)
        return Result(summarise(self), tables, trace)


def simulate(
    scenario: Scenario,
    host: str = "revm",
    seed: int = 1,
    out: Path | None = None,
    *,
    path: int | None = None,
    command: str = "",
    aftermath: int | None = None,
    progress: Progress = lambda done, total, text: None,
    stop: Callable[[], bool] = lambda: False,
) -> Result:
    """Run a scenario and write its run directory; if it breaks off, what there is so far is written.

    `path` is the number of a path in the study of that seed. `aftermath` (seconds) takes the place of the
    scenario's own.
    """
    began = time.monotonic()
    scenario = drawn(scenario, seed, path)
    with open_session(scenario, host, seed) as session:
        simulation = Simulation(scenario, session, seed)
        try:
            simulation.run(progress, stop, scenario.aftermath if aftermath is None else aftermath)
        except BackstopError as error:
            simulation.error = error
        simulation.differences = len(getattr(simulation.error, "differences", ()))
        result = simulation.result()
        if out is not None:
            meta = run_meta(host, command, out, time.monotonic() - began)
            if simulation.error is not None:
                meta["error"] = str(simulation.error)
            write_run(out, result.summary, meta, result.tables, result.trace)
    if simulation.error is not None:
        raise simulation.error
    return result


def run_meta(host: str, command: str, out: Path, seconds: float) -> dict[str, Any]:
    """meta.json: what may differ between equal runs."""
    from datetime import UTC, datetime

    return {
        "schema_version": SCHEMA_VERSION,
        "host": host,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": f"{seconds:.1f}",
        "versions": versions(),
        "command": command,
        "run_dir": str(out),
    }


def versions() -> dict[str, str]:
    """Of this program (and its commit, in a checkout), of Python, and of what a run depends on."""
    import platform
    import subprocess
    from importlib.metadata import version
    from importlib.util import find_spec

    from backstop.hosts.artifacts import made_with
    from backstop.installation import CHECKOUT
    from backstop.version import __version__

    found = {"backstop": __version__}
    if CHECKOUT is not None and (CHECKOUT / ".git").exists():
        git = ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty"]
        said = subprocess.run(git, capture_output=True, text=True, check=False)
        if said.returncode == 0:
            found["commit"] = said.stdout.strip()
    found["python"] = platform.python_version()
    installed = {name: version(name) for name in ("pyrevm", "pyarrow") if find_spec(name) is not None}
    return found | made_with() | installed
