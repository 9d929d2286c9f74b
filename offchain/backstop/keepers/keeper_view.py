"""Keepers' view: the protocol's state at one block, from a System's snapshot, and the outside market.

Nothing here or in the roles knows whether the System is the model or a chain.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from heapq import merge
from types import MappingProxyType

from backstop.deployment.contracts_by_parameter_name import POOLS
from backstop.deployment.parameter_dataclasses import EquityParameters, Parameters, PoolParameters
from backstop.keepers.call_costs import convert_gas_to_stablecoin, require_call_gas
from backstop.keepers.cycle_view import CycleView
from backstop.keepers.open_auctions import AuctionBatch, OpenLot
from backstop.keepers.pool_reader import build_read_only_pool_model
from backstop.keepers.stability_pool_view import StabilityPoolView
from backstop.keepers.table_indexes import TableIndexes
from backstop.keepers.view_records import (
    Auction,
    ConstantProductPool,
    EquityAuction,
    ExitBatchStatus,
    MarketData,
    PoolMembership,
    PricedBatch,
    SurplusAuction,
    Tables,
    VaultFinder,
)
from backstop.model import dutch_auction, loss_events, price_feed, recovery_claims, treasury
from backstop.model import surplus_auction as surplus
from backstop.model.arithmetic import RAD, RAY, WAD, div_up
from backstop.model.bounds import FINAL_DEADLINE
from backstop.model.equity_pool import EquityPool
from backstop.model.member_pool import MemberPool
from backstop.model.redeem_queue import MOST_UNSETTLED
from backstop.model.settlement_price import Closing, FinalPrice
from backstop.system import Snapshot


class KeeperView(StabilityPoolView):
    """Protocol state at one block and outside market data, as a keeper sees them.

    Derived figures are computed on first use. `indexes` are table indexes kept from block to block, if any.
    `finder` is a faster way to find vaults. `reserved` has the amounts, by token and owner [wad], that
    pending transactions may spend. `number` is the block number.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        addresses: Mapping[str, str],
        timestamp: int,
        outside: MarketData,
        parameters: Parameters,
        *,
        number: int,
        indexes: TableIndexes | None = None,
        reserved: Mapping[tuple[str, str], int] = MappingProxyType({}),
        finder: VaultFinder | None = None,
    ) -> None:
        super().__init__(snapshot, addresses, timestamp, outside, parameters, indexes=indexes, finder=finder)
        self._auction: Tables = snapshot["CollateralAuction"]
        self._reserved = reserved
        # By which prices of lots fall and tails end [seconds].
        slot = parameters.block_time
        self.auction_clock = number * slot if slot else timestamp
        # Constants of the markets' contracts, which no snapshot has.
        self._fees = [0 if each.market is None else each.market.fee for each in parameters.collateral_types]

    @cached_property
    def cycles(self) -> CycleView | None:
        """View of the perpetual market (margin market); None if none is deployed."""
        if self._parameters.margin is None:
            return None
        return CycleView(self, self._snapshot, self._parameters)

    def can_begin_settlement(self) -> bool:
        """Return True if any account may begin settlement (the shutdown of the protocol) now.

        The announced time must have come, or the deficit must have been above its bound for the required
        epochs.
        """
        announced_for = self.settlement.announced_for
        announced = 0 < announced_for <= self.timestamp
        since, parameters = self.compute_breach_start(), self._parameters
        stood = parameters.settlement.epochs * parameters.epoch_length
        return announced or (since != 0 and self.timestamp >= since + stood)

    def compute_breach_start(self) -> int:
        """Return the timestamp since which the total deficit is above settlement's bound; 0 if it is not.

        The result is the value that the Settlement contract would store if the deficit were recorded now.
        """
        before, epoch = self.settlement, self.timestamp // self._parameters.epoch_length
        deficit = sum(self.get_deficit(c) for c in self.types)
        if deficit <= self._parameters.settlement.bound * RAD:
            return 0
        if before.above_since == 0 or epoch > before.noted_epoch + 1:
            return self.timestamp
        return int(before.above_since)

    def should_record_deficit_breach(self) -> bool:
        """Return True if recording the deficit in the Settlement contract would change its record.

        The breach may have started or ended, or it continues in an epoch without a record.
        """
        before, since = self.settlement, self.compute_breach_start()
        this_epoch = before.noted_epoch == self.timestamp // self._parameters.epoch_length
        return since != before.above_since or (since != 0 and not this_epoch)

    def has_fixed_price(self, collateral_type: int) -> bool:
        """Return True if settlement has fixed the final price of a collateral type."""
        return collateral_type in self._snapshot["Settlement"]["final_prices"]

    def is_any_price_still_needed(self) -> bool:
        """Return True unless settlement has begun and has fixed the final price of every collateral type."""
        return self.settlement.begun_at == 0 or not all(map(self.has_fixed_price, self.types))

    def has_final_feed_price(self, collateral_type: int) -> bool:
        """Return True if the feed has computed a type's settlement price, or its deadline has passed."""
        feed = self._snapshot["PriceFeed"]
        if feed["settlement_price.final_prices"].get(collateral_type, FinalPrice()).is_final:
            return True
        closing: Closing | None = feed["settlement_price.closings"].get(collateral_type)
        if closing is None:
            return self.timestamp >= self.settlement.begun_at + FINAL_DEADLINE
        config = feed["configs"].get(collateral_type, price_feed.Config())
        market = price_feed.build_market_for_final_price(
            self.get_feed_price_record(collateral_type), feed["withheld"].get(collateral_type, 0), config
        )
        return closing.count_time(market, self.timestamp).is_over(self.timestamp)

    def has_deficit_to_cover(self, collateral_type: int) -> bool:
        """Return True if a type has a deficit that the final covering in settlement has not treated yet."""
        deficit = self.get_deficit(collateral_type)
        return deficit not in (0, self._snapshot["Settlement"]["left_of"].get(collateral_type, 0))

    def get_collateral_per_redeemed_coin(self, collateral_type: int) -> int:
        """Return the collateral paid for each redeemed stablecoin [ray].

        0 until settlement fixes the redemption rates.
        """
        return int(self._snapshot["Settlement"]["share_of"].get(collateral_type, 0))

    def compute_coin_value(self) -> int:
        """Return the value of a stablecoin [ray]: 1, or after settlement that of its collateral.

        The collateral that one coin redeems is valued at outside market prices.
        """
        if self.settlement.fixed_at == 0:
            return RAY
        return sum(
            self.get_collateral_per_redeemed_coin(c) * price // RAY
            for c, price in enumerate(self.outside.prices)
        )

    def get_uncashed_coins(self, collateral_type: int, owner: str) -> int:
        """Return the coins an account redeemed in settlement and has not yet exchanged for a type [wad]."""
        tables = self._snapshot["Settlement"]
        return int(tables["bag_of"].get(owner, 0) - tables["cashed_of"].get((collateral_type, owner), 0))

    def is_pool_deployed(self, pool: str) -> bool:
        """Return True if the deployment has the contract of this loss-absorbing pool."""
        return POOLS[pool][0] in self._snapshot

    def get_exit_terms(self, pool: str) -> PoolParameters:
        """Return the parameters of a pool, such as the cooldown of its withdrawals."""
        found: PoolParameters = getattr(self._parameters, pool)
        return found

    def get_membership(self, pool: str, owner: str) -> PoolMembership:
        """Return a member's shares, shares requested for withdrawal, and claimable assets in a pool."""
        found = self._read_pool(pool)
        requested = sum(
            found.requests[batch_id, owner].shares for batch_id in found.list_request_batches(owner)
        )
        claimable = found.maxWithdraw("", owner) if found.cooldown else 0
        return PoolMembership(found.held(owner), requested, claimable)

    def get_batch_cut_and_settlement_status(self, pool: str) -> ExitBatchStatus:
        """Return when a pool's withdrawal batches can be cut and settled next [timestamp].

        To cut a batch is to close it for further requests; to settle it is to pay it. The status also tells
        whether a due batch has not been paid in full.
        """
        found = self._read_pool(pool)
        queue, cut_from, settle_from = found.line[()], None, None
        if queue.unsettled < queue.collecting:
            settle_from = found.get_maturity(queue.unsettled)
        places = queue.collecting - queue.unsettled
        is_free = places < MOST_UNSETTLED or (isinstance(found, EquityPool) and settle_from is not None)
        if found.get_units(queue.collecting) and is_free:
            cut_from = found.get_earliest_cut_time()
            if places == MOST_UNSETTLED and settle_from is not None:
                cut_from = max(cut_from, settle_from)
        if isinstance(found, EquityPool):
            return ExitBatchStatus(cut_from, settle_from, found.shares_due("") != 0)
        # Runs may be paid more as less is in doubt.
        return ExitBatchStatus(cut_from, settle_from, found.state[()].open != places)

    def _read_pool(self, pool: str) -> MemberPool:
        return build_read_only_pool_model(self._snapshot[POOLS[pool][0]], self.get_exit_terms(pool).cooldown)

    @property
    def has_no_uncovered_losses(self) -> bool:
        """True if no loss is open: booked in the waterfall and not fully paid."""
        books = self._snapshot["LossWaterfall"]["books"].get((), loss_events.Books())
        return bool(books.open == 0)

    @property
    def has_equity(self) -> bool:
        """True if the deployment has an equity token, and with it a treasury."""
        return "Equity" in self._snapshot

    def get_unreserved_equity(self, owner: str) -> int:
        """Return the equity of an account less what its pending transactions may spend [wad]."""
        return self._get_unreserved_balance("Equity", owner)

    @cached_property
    def equity_auctions(self) -> list[EquityAuction]:
        """Auctions of slashed equity and of newly minted equity that are under way."""
        found = []
        for contract in ("StakeAuction", "MintAuction"):
            tables: Tables = self._snapshot.get(contract, {"sales": {}})
            for c, sale in sorted(tables["sales"].items()):
                if sale.target:
                    elapsed, duration = self.timestamp - sale.started_at, self._equity_parameters.duration
                    price = sale.compute_price(min(elapsed, duration), duration)
                    over = elapsed > duration or self.settlement.begun_at != 0
                    found.append(EquityAuction(contract, c, sale.lot, sale.target, price, over))
        return found

    @cached_property
    def surplus_auction(self) -> SurplusAuction | None:
        """Auction of surplus stablecoin at its current price; None if there is none or its time is over."""
        lot: surplus.Lot = self._snapshot["SurplusAuction"]["lot"].get((), surplus.Lot())
        elapsed, duration = self.timestamp - lot.started_at, self._equity_parameters.duration
        if lot.lot == 0 or elapsed > duration:
            return None
        prices = self._snapshot["SurplusAuction"]["prices"][()]
        return SurplusAuction(lot.lot, prices.compute_price(elapsed, duration))

    def get_configured_surplus_lot(self) -> int:
        """Return the amount of stablecoin that one surplus auction offers [wad]."""
        return self._equity_parameters.surplus_lot * WAD

    def compute_unresolved_losses(self) -> int:
        """Return the recognised losses that no stage has resolved yet [rad].

        The treasury spends no income while the result is above 0. In settlement it is a fixed amount above 0
        until the redemption rates are fixed.
        """
        books = self._waterfall["books"].get((), loss_events.Books())
        if books.settlement:
            return 0 if books.closed else loss_events.WINDING_UP
        return int(sum(loss.unresolved for loss in self._waterfall["losses"].values()))

    def sum_recovery_claims(self) -> int:
        """Return the outstanding recovery claims of pool members that absorbed losses [wad]."""
        found = 0
        for contract, _, _ in POOLS.values():
            tables = self._snapshot.get(f"{contract}.Claims")
            if tables is not None:
                found += tables["series"].get((), recovery_claims.Series()).outstanding
        return found

    def compute_spendable_reserve(self) -> int:
        """Return the reserve above all debt in doubt [wad]; 0 if debt in doubt exceeds the reserve."""
        return max(
            0,
            self.get_reserve() // RAY
            - div_up(sum(self.sum_deficit_auctions_and_flags(c) for c in self.types), RAY),
        )

    def compute_surplus_and_offered_part(self) -> tuple[int, int]:
        """Return the surplus and the part of it that is offered for sale [wad].

        Surplus is the spendable reserve above the treasury's target.
        """
        plan: treasury.Plan = self._snapshot["Treasury"]["plan"].get((), treasury.Plan())
        kept = plan.target * WAD
        return max(0, self.compute_spendable_reserve() - kept), max(
            0, min(plan.offered, self.get_reserve() // RAY - kept)
        )

    @property
    def _equity_parameters(self) -> EquityParameters:
        assert self._parameters.equity is not None
        return self._parameters.equity

    def count_open_auctions(self) -> int:
        """Return the number of open collateral auctions."""
        return len(self._indexes.open_auction_index.get_open_lots())

    def list_auctions_without_lot(self) -> list[OpenLot]:
        """Return the open collateral auctions with an empty lot, the oldest first."""
        return self._indexes.open_auction_index.list_empty_lots()

    @cached_property
    def priced_auction_batches(self) -> list[PricedBatch]:
        """Open auctions with collateral left, in batches of equal current price."""
        now = self.auction_clock
        return [
            PricedBatch(each, *self.get_terms_at_start(each).price(each.top, now - each.started_at))
            for each in self._indexes.open_auction_index.get_batches()
        ]

    @cached_property
    def purchasable_auction_batches(self) -> list[PricedBatch]:
        """Batches of equally priced auctions that need no reset, so that they are open for purchases."""
        return [each for each in self.priced_auction_batches if not each.needs_reset]

    def iter_auctions_to_reset(self, types: Collection[int]) -> Iterator[OpenLot]:
        """Yield the auctions of these collateral types that need a reset, the oldest first."""
        return merge(
            *(
                each.batch.lots
                for each in self.priced_auction_batches
                if each.needs_reset and each.batch.collateral_type in types
            )
        )

    def get_auction_terms(self, collateral_type: int) -> dutch_auction.Terms:
        """Return the terms of auctions of a collateral type that begin now."""
        found: dutch_auction.Terms = self._auction["terms"][collateral_type]
        return found

    def get_terms_at_start(self, auction: Auction | AuctionBatch | OpenLot) -> dutch_auction.Terms:
        """Return the terms in force when an auction, or a batch of auctions, began."""
        terms = self.get_auction_terms(auction.collateral_type)
        if terms.version != auction.version:
            terms = self._auction["old_terms"][auction.collateral_type, auction.version]
        return terms

    @cached_property
    def auctions(self) -> list[Auction]:
        """Open collateral auctions with their current prices, the oldest first."""
        found, now = [], self.auction_clock
        # What began in one block at one price costs the same, by the same terms.
        prices: dict[tuple[int, int, int, int], tuple[int, bool]] = {}
        for each in self._indexes.open_auction_index.get_open_lots().values():
            auction_id, c, left, target, top, started_at, principal, budget, version = each
            known = prices.get((c, top, started_at, version))
            if known is None:
                known = self.get_terms_at_start(each).price(top, now - started_at)
                prices[c, top, started_at, version] = known
            price, due = known
            found.append(
                Auction(auction_id, c, left, target, top, started_at, price, due, principal, budget, version)
            )
        return found

    @cached_property
    def takeable(self) -> list[Auction]:
        """Collateral auctions that are open for purchases, the oldest first."""
        return [each for each in self.auctions if each.takeable]

    def find_constant_product_pool(self, collateral_type: int) -> ConstantProductPool | None:
        """Return the local constant-product market of a collateral type.

        None if the deployment has none or it holds no collateral.
        """
        name = f"Market.{self.symbols[collateral_type]}"
        tables = self._snapshot.get(name)
        if tables is None:
            return None
        collateral, stable = tables["collateral_reserve"].get((), 0), tables["stable_reserve"].get((), 0)
        if collateral == 0:
            return None
        return ConstantProductPool(
            name,
            self.addresses[name],
            collateral,
            stable,
            self._fees[collateral_type],
            self.get_terms(collateral_type).unit,
            tables["virtual_stable"].get((), 0),
        )

    def get_unreserved_stablecoins(self, owner: str) -> int:
        """Return the stablecoins of an account less what its pending transactions may spend [wad]."""
        return self._get_unreserved_balance("Stablecoin", owner)

    def _get_unreserved_balance(self, token: str, owner: str) -> int:
        """Return a token balance less what pending transactions may spend [wad], at least 0."""
        balance = int(self._snapshot[token]["erc20.balanceOf"].get(owner, 0))
        return max(0, balance - self._reserved.get((token, owner), 0))

    def get_allowance(self, token: str, owner: str, spender: str) -> int:
        """Return how many tokens of `owner` the contract named `spender` may transfer [wad]."""
        return int(self._snapshot[token]["erc20.allowance"].get((owner, self.addresses[spender]), 0))

    def estimate_call_cost(self, contract: str, method: str, gas_price: int) -> int:
        """Return the gas cost of a contract call in stablecoin [wad], rounded up.

        Gas is taken from the committed gas table; `gas_price` is in wei.
        """
        return convert_gas_to_stablecoin(
            require_call_gas(contract, method), gas_price, self.outside.ether_price
        )
