"""A scenario block by block: external events, included transactions, keepers' decisions.

The same code runs on the model alone and on the model in lockstep with a chain; nothing in it asks which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple, cast

from backstop.deployment.contracts_by_parameter_name import POOLS, name_stability_pool
from backstop.deployment.devnet_trader_signatures import get_trader_account, sign_order
from backstop.deployment.parameter_dataclasses import FeedParameters
from backstop.deployment.role_accounts import get_account
from backstop.deployment.state_restoration import count_blocks_missing_for_lot_ages, load_state
from backstop.errors import BackstopError
from backstop.hosts.world_storage_json import RawState
from backstop.keepers.cycle_view import CycleView
from backstop.keepers.keeper_group_settings import KeeperGroup
from backstop.keepers.keeper_role_register import Keeper, KeeperMemory
from backstop.keepers.keeper_view import KeeperView
from backstop.keepers.margin_keepers import OF_CYCLES, SIGNERS
from backstop.keepers.signed_order_file import OrderFile, open_matcher_order_file
from backstop.keepers.strategy import build_strategy
from backstop.keepers.table_indexes import TableIndexes
from backstop.keepers.view_records import MarketData
from backstop.lockstep.replayable_trace import TraceStep
from backstop.model.arithmetic import BASIS_POINTS, RAY, div_up
from backstop.model.bounds import EQUITY_MARKET
from backstop.model.margin_orders import Order
from backstop.model.signed_reports import Span
from backstop.simulation.cycle_recorder import CycleRecorder
from backstop.simulation.deployment_session import Session
from backstop.simulation.evasion_record import AdlEvasion
from backstop.simulation.mempool import Mempool
from backstop.simulation.owner_activity import OwnerActivity
from backstop.simulation.run_recorder import RunRecorder
from backstop.simulation.scenario import (
    Scenario,
    build_opening_margin_book,
    build_vault_book,
    draw_scenario,
    price_path,
)
from backstop.simulation.scenario.depth_after_fall import compute_depth_after_fall, count_window_blocks
from backstop.simulation.scenario.margin_book import OpeningBook
from backstop.simulation.scenario.scenario_records import Vault
from backstop.simulation.signed_price_source import SignedPrices
from backstop.simulation.stability_pool_totals import build_stability_pool_totals
from backstop.system import Action, Outcome


@dataclass
class KeeperState:
    """Keeper of a run with its memory, its transaction counts and its gas cost."""

    keeper: Keeper
    memory: KeeperMemory = field(default_factory=KeeperMemory)
    sent: int = 0
    included: int = 0
    dropped: int = 0
    failed: int = 0
    gas_cost: int = 0  # wad of stablecoin
    opening: int = 0  # wad of stablecoin it began with


class PoolDepositor(NamedTuple):
    """Depositor of a pool in a run: account, pool contract, asset and deposit."""

    name: str
    address: str
    pool: str  # contract
    asset: str  # contract
    deposit: int  # wad
    leaves_at: int | None = None  # seconds from the start


class ScenarioRun:
    """State of one run of a scenario: accounts, prices, keepers, recorder and present block."""

    def __init__(
        self, scenario: Scenario, session: Session, seed: int, recorder: RunRecorder | None = None
    ) -> None:
        """Prepare the run; the caller may pass its own recorder that records less."""
        scenario = draw_scenario(scenario, seed)
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
        self.recorder = recorder or RunRecorder(
            scenario.symbols, stages, scenario.parameters.collateral_and_facilitator_names
        )
        self.recorder.read_sale_price = self._read_sale_price
        self.recorder.read_vault = self._read_vault
        self.recorder.liquidation_ratios = tuple(
            each.liquidation_ratio for each in scenario.parameters.collateral_types
        )
        self.recorder.stability_pools = build_stability_pool_totals(scenario.parameters.collateral_types)
        if scenario.parameters.margin is not None:
            contracts = session.model.world.contracts
            policy = scenario.parameters.margin.policy
            self.recorder.margin = CycleRecorder(contracts, scenario.margin_symbols, self.names, policy)
        self.mempool = Mempool()
        self.signed = self._build_signed_price_source()
        self._groups = [
            (
                group,
                [
                    KeeperState(
                        Keeper(
                            name,
                            self.register_trader_account_name(name)
                            if group.role in SIGNERS
                            else self.register_account(name),
                            group,
                            i,
                            seed,
                            strategy,
                            self.load_order_file(group),
                            self.signed if group.role in OF_CYCLES else None,
                            sign_order=self.build_order_signer(name) if group.role in SIGNERS else None,
                        )
                    )
                    for i, name in enumerate(group.list_keeper_names())
                ],
            )
            for group, strategy in ((group, build_strategy(group)) for group in scenario.keepers)
        ]
        self.keepers = [state for _, states in self._groups for state in states]
        self.by_address = {state.keeper.address: state for state in self.keepers}
        self.members = list(self._iter_depositors())
        self.steps: list[TraceStep] = []
        self.left: dict[tuple[str, str], int] = {}  # pool and member -> when it redeemed or claimed
        self.reverted: dict[str, int] = {}
        self.block = 0
        self.now = 0  # seconds from the start
        self.scarce = RAY  # what the stablecoin costs outside
        self.opening_supply = 0
        self.trading = list(scenario.margin_book.trades)
        self.delisting = list(scenario.margin_book.delistings)
        self.dodging = AdlEvasion()
        self.asking = [each for each in scenario.pool_members if each.asks is not None]
        self.have_left: set[tuple[str, str]] = set()  # stability pool, member
        self.owner_activity: dict[tuple[int, str], OwnerActivity] = {}  # by type and owner
        self.refused_owner_calls = 0
        self.completed = False
        self.differences = 0
        self.error: BackstopError | None = None
        # The model's, which lockstep has compared with the chain's: reading a chain is slow.
        self._state = session.model.get_live_tables()
        self._indexes = TableIndexes(self._state)

    def register_account(self, name: str) -> str:
        """Return the address of a named account, and register the name for the run's tables."""
        address = get_account(name)
        self.names[address] = name
        return address

    def register_trader_account_name(self, name: str) -> str:
        """Return the address of a named account that can sign orders, and register its name."""
        self.names[get_trader_account(name)] = name
        return get_trader_account(name)

    def build_order_signer(self, name: str) -> Callable[[Order], bytes] | None:
        """Return a function that signs orders with a named account's key; None without a margin market."""
        if "MarginOrders" not in self.at:
            return None
        chain_id, contract = self.session.model.world.chain_id, self.at["MarginOrders"]
        return lambda order: sign_order(name, order, chain_id, contract)

    def _build_signed_price_source(self) -> SignedPrices | None:
        """Return the source of signed price reports for the margin market; None without a margin market."""
        parameters = self.scenario.parameters
        if parameters.margin is None:
            return None
        group = next((each for each in self.scenario.keepers if each.role == "reporter"), None)

        def is_down() -> bool:
            return group is not None and any(each.start <= self.now < each.end for each in group.outages)

        reporters = max(each.feed.reporters for each in parameters.collateral_types)
        chain_id, refuses_at = self.session.model.world.chain_id, group.refuses_at if group else 0
        return SignedPrices(
            reporters, chain_id, self.at["PriceFeed"], refuses_at, is_down, self._get_recent_price_range
        )

    def _get_recent_price_range(self, market: int) -> Span:
        """Return the range of prices that a reporter saw within the allowed age of mark prices [ray]."""
        margin, block_time = self.scenario.parameters.margin, self.scenario.block_time
        assert margin is not None
        path = self.equity_path if market == EQUITY_MARKET else self.sources[self.scenario.symbols[market]]
        seen = path[max(0, self.block - -(-margin.mark_age // block_time)) : self.block + 1]
        return Span(min(seen), max(seen), self.system.timestamp - margin.mark_age)

    def load_order_file(self, group: KeeperGroup) -> OrderFile | None:
        """Open the order file of a group of matchers; None for other roles.

        Raises BackstopError at an invalid order, once the file is read.
        """

        def build_revert_error(text: str) -> None:
            raise BackstopError(f"the scenario does not fit: {text}")

        return open_matcher_order_file(group, self.at, self.session.model.world.chain_id, build_revert_error)

    def _iter_depositors(self) -> Iterator[PoolDepositor]:
        """Yield the pool members with their deposits, and keepers that hold pool shares.

        Members of a pool that is not deployed are included, and keep their money.
        """
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
                yield PoolDepositor(name, self.register_account(name), POOLS[pool][0], asset, deposit)

    @cached_property
    def stability_pool_members(self) -> list[PoolDepositor]:
        """Members of stability pools with their deposits, by amount or as a share of the type's debt."""
        debts = dict.fromkeys(self.scenario.symbols, 0)
        for vault in (
            self.book if any(each.debt_share for each in self.scenario.stability_pool_members) else ()
        ):
            debts[vault.symbol] += vault.debt
        return [
            PoolDepositor(
                each.name,
                self.register_account(each.name),
                name_stability_pool(each.symbol),
                "Stablecoin",
                each.amount or debts[each.symbol] * each.debt_share // BASIS_POINTS,
                each.leaves_at,
            )
            for each in self.scenario.stability_pool_members
        ]

    # ------------------------------------------------------------------- actions

    def apply(self, action: Action) -> Outcome:
        """Apply one action to the system, record it, and return its outcome."""
        outcome = self.system.apply(action)
        self._indexes.apply_writes(reversed(self.session.model.changes))
        self.record_step(self.system.timestamp, self.session.model.next_block_number, action, outcome)
        return outcome

    def record_step(self, timestamp: int, number: int, action: Action, outcome: Outcome) -> None:
        """Record an action with its outcome and the block's time and number."""
        self.steps.append(TraceStep(timestamp, action))
        name = self.names.get(action.sender, "")
        if outcome.ok and action.method in ("redeem", "withdraw"):
            self.left[action.contract, action.sender] = timestamp
        self.recorder.equity_price = self.equity_price
        slot = self.scenario.parameters.block_time
        self.recorder.auction_clock = number * slot if slot else timestamp
        self.recorder.record_action(len(self.steps), timestamp, action, name, outcome, self.market_prices())

    def _read_sale_price(self, collateral_type: int) -> int:
        """Return the price from which a type's collateral is sold now, before any bonus [ray]."""
        return int(self.session.model.view("PriceFeed", "sale_prices", collateral_type)[1])

    def _read_vault(self, collateral_type: int, owner: str) -> tuple[int, int]:
        """Return a vault's present collateral [wad] and debt [rad]."""
        vault = self.session.model.view("VaultEngine", "vault", collateral_type, owner)
        debts = self.session.model.view("VaultEngine", "debts_of", collateral_type)
        return vault.locked_collateral, vault.normalized_debt * debts.accumulated_rate

    def apply_or_raise(self, contract: str, method: str, *args: Any, sender: str) -> None:
        """Apply an action that the scenario requires; raise BackstopError if it reverts."""
        action = Action(contract, method, args, sender)
        outcome = self.apply(action)
        if outcome.reason is not None:
            raise self.build_revert_error(action, outcome)

    def build_revert_error(self, action: Action, outcome: Outcome) -> BackstopError:
        """Return the error for a required action that reverted."""
        name, call = self.names.get(action.sender, action.sender), f"{action.contract}.{action.method}"
        return BackstopError(
            f"the scenario does not fit: {call} from {name} reverted with {outcome.reason!r}"
        )

    def market_prices(self) -> tuple[int, ...]:
        """Return the outside prices at the present block in stablecoin [ray], by collateral type."""
        prices = [self.paths[symbol][self.block] for symbol in self.scenario.symbols]
        return tuple([price * RAY // self.scarce for price in prices])

    def update_stablecoin_price(self) -> None:
        """Raise the stablecoin's price as its supply shrinks, by the scenario's scarcity.

        At full scarcity the demand is a fixed number of dollars.
        """
        supply = self.session.model.view("Stablecoin", "totalSupply")
        if self.now == 0:
            self.opening_supply = supply
        gone = max(0, self.opening_supply - supply)
        self.scarce = RAY + gone * self.scenario.scarcity * RAY // (BASIS_POINTS * max(1, supply))

    @property
    def equity_price(self) -> int:
        """Outside price of one equity token at the present block [ray]; 0 if there is no equity."""
        return self.equity_path[self.block] if self.equity_path else 0

    def advance_clock(self, timestamp: int) -> None:
        """Advance the time of the system to a timestamp."""
        self.system.advance(timestamp - self.system.timestamp)

    def build_keeper_view(self) -> KeeperView:
        """Return the view of the present block from which keepers decide."""
        prices = self.market_prices()
        outside = MarketData(
            prices,
            prices[self.scenario.symbols.index(self.scenario.gas_token)],
            self.scenario.gas_prices.get_value(self.system.timestamp - self.scenario.start),
            self.equity_price,
            tuple(self.sources[symbol][self.block] for symbol in self.scenario.symbols),
            self.system.timestamp - self.scenario.start,
        )
        return KeeperView(
            self._state,
            self.at,
            self.system.timestamp,
            outside,
            self.scenario.parameters,
            number=self.system.next_block_number,
            indexes=self._indexes,
        )

    # ------------------------------------------------------------------- genesis

    @cached_property
    def book(self) -> list[Vault]:
        """Vaults that are opened before the start."""
        first = {symbol: path[0] for symbol, path in self.paths.items()}
        return build_vault_book(self.scenario, self.seed, first)

    @cached_property
    def margin_book(self) -> OpeningBook:
        """Deposits and trades that open the margin market's accounts."""
        first = {symbol: path[0] for symbol, path in self.sources.items()}
        return build_opening_margin_book(self.scenario, self.seed, {**first, **self.scenario.opened_at})

    def restore_storage_state(self, raw_state: RawState) -> None:
        """Load an exported state into the model and the chain, including every storage slot."""
        self.steps.append(TraceStep(self.system.timestamp, raw_state))
        if self.session.both is not None:
            self.session.both.restore_state(raw_state)
        else:
            world = self.session.model.world
            world.block_number += count_blocks_missing_for_lot_ages(world, raw_state)
            load_state(world, raw_state)
        self._indexes = TableIndexes(self._state)

    def report_opening_prices(self, replacement_prices: Mapping[str, int] = MappingProxyType({})) -> None:
        """Let every reporter report the opening prices, and update the feed at once.

        `replacement_prices` [ray] replace the opening prices of the symbols that they name.
        """
        poker = self.register_account("market_maker")
        for market, feed, price in self.iter_opening_prices(replacement_prices):
            for i in range(feed.reporters):
                self.report_opening_price(market, price, self.register_account(f"reporter_{i + 1}"))
            self.apply_or_raise("PriceFeed", "poke", market, sender=poker)

    def report_opening_price(self, market: int, price: int, reporter: str) -> None:
        """Report a price by one reporter, as a price that has not moved until now."""
        if self.scenario.parameters.margin is None:
            self.apply_or_raise("PriceFeed", "report", market, price, sender=reporter)
        else:
            self.apply_or_raise("PriceFeed", "report_range", market, price, price, price, 0, sender=reporter)

    def iter_opening_prices(
        self, replacement_prices: Mapping[str, int] = MappingProxyType({})
    ) -> Iterator[tuple[int, FeedParameters, int]]:
        """Yield each market of the feed with its parameters and opening price [ray].

        `replacement_prices` [ray] replace the opening prices of the symbols that they name.
        """
        parameters = self.scenario.parameters
        for c, collateral in enumerate(parameters.collateral_types):
            yield (
                c,
                collateral.feed,
                replacement_prices.get(collateral.symbol, self.sources[collateral.symbol][0]),
            )
        if parameters.equity is not None:
            yield EQUITY_MARKET, parameters.equity.feed, self.equity_path[0]

    # --------------------------------------------------------------------- blocks

    def rebalance_local_markets(self, now: int) -> None:
        """Move the local markets' prices towards the outside prices, and restore their depth.

        A market within its tolerance of price and depth is left alone. If the market maker has too few
        stablecoins, the rest is a virtual reserve: it counts for the price, but a sale that needs it reverts.
        Markets share the stablecoins in proportion to their depths.
        """
        maker = self.register_account("market_maker")
        money = self.get_stablecoin_balance(maker)
        view = (
            self.build_keeper_view()
            if any(now % each.every == 0 for each in self.scenario.markets.values())
            else None
        )
        if view is None:
            return
        prices, depths = self.market_prices(), self.compute_market_depths(now)
        needed = sum(depths)
        pools = [view.find_constant_product_pool(c) for c in range(len(self.scenario.symbols))]
        circulating = money + sum(pool.stable - pool.virtual for pool in pools if pool is not None)
        for c, symbol in enumerate(self.scenario.symbols):
            market = self.scenario.markets[symbol]
            if now % market.every:
                continue
            outside, pool = prices[c], pools[c]
            target, depth, held = outside, depths[c], 0
            if pool is not None:
                inside = pool.stable * RAY // pool.collateral
                gap = outside - inside
                is_deep_enough = (
                    market.depth_after_fall is None
                    or abs(depth - pool.stable) * BASIS_POINTS <= depth * market.tolerance
                )
                if abs(gap) * BASIS_POINTS <= outside * market.tolerance and is_deep_enough:
                    continue
                target = inside + gap * market.every // market.recovery
                held = pool.stable - pool.virtual
            share = depth * min(circulating, needed) // needed
            paid_in = min(share - held, money)
            money -= paid_in
            self.refill_market(symbol, depth * RAY // target, depth, depth - held - paid_in)

    def compute_market_depths(self, now: int) -> list[int]:
        """Return the depth of each market at a time [wad], by collateral type.

        `now` may be after the last block, where prices stay constant and a past fall ends.
        """
        depths = []
        for symbol in self.scenario.symbols:
            market, block_time = self.scenario.markets[symbol], self.scenario.block_time
            first = now // block_time - count_window_blocks(market, block_time)
            window_prices = self.paths[symbol][max(0, min(first, self.block)) : self.block + 1]
            depths.append(compute_depth_after_fall(market, window_prices))
        return depths

    def submit_marks(self, sender: str) -> None:
        """Submit the reporters' newest signed reports, and update the sender's margin account."""
        assert self.signed is not None
        reports = self.signed.get_newest_reports(self.build_keeper_view())
        if reports:
            self.apply_or_raise(
                "PriceFeed",
                "submit_signed_reports",
                tuple(reports[key] for key in sorted(reports)),
                sender=sender,
            )
        self.apply_or_raise("PerpetualMarket", "update_account", sender, sender=sender)

    def compute_free_margin(self, owner: str) -> int:
        """Return what an account may withdraw beyond the initial margin of its positions [wad].

        Positions are valued at the worse ends of their markets' price ranges.
        """
        ahead = cast(CycleView, self.build_keeper_view().cycles).simulate_reports({})
        standing, (initial, _) = ahead.get_standing(owner), ahead.trading._compute_margins(owner, True)
        free = (
            standing.own
            - standing.haircut
            - standing.unfinal
            - ahead.trading._mark_markets_of_account(owner).worse
        )
        return max(0, free - div_up(initial, BASIS_POINTS))

    def refill_market(self, symbol: str, collateral: int, stable: int, virtual: int) -> None:
        """Set the reserves of a local market [wad]; `virtual` is the stablecoin that it does not hold."""
        maker, args = (
            self.register_account("market_maker"),
            (collateral, stable, virtual)[: 3 if virtual else 2],
        )
        self.apply_or_raise(f"Market.{symbol}", "set_liquidity", *args, sender=maker)

    def get_stablecoin_balance(self, owner: str) -> int:
        """Return an account's balance of stablecoin [wad]."""
        return self.get_balance("Stablecoin", owner)

    def get_balance(self, token: str, owner: str) -> int:
        """Return an account's balance of a token with 18 decimals [wad]."""
        return int(self.session.model.view(token, "balanceOf", owner))

    def sum_auctioned_and_unsafe_debt(self) -> int:
        """Return the debt of collateral that is still to be sold [rad].

        It is the principal in auctions, and the debt of vaults unsafe at the lower of the feed's price and
        the price that reporters see.
        """
        view = self.build_keeper_view()
        left = sum(auction.principal for auction in view.auctions)
        for c, symbol in enumerate(self.scenario.symbols):
            seen = self.sources[symbol][self.block]
            price = min(seen, view.get_liquidation_price(c) or seen)
            left += sum(vault.debt for vault in view.iter_unsafe_vaults(c, price=price))
        return left
