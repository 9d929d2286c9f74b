"""The context that actions are chosen from: the present state, the acting accounts and the random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from random import Random
from typing import Any, NamedTuple, TypeVar, cast

from backstop.contract_base import ZERO_ADDRESS, World
from backstop.deployment.contracts_by_parameter_name import STABLECOIN_POOLS
from backstop.deployment.planned_contracts import Deployment
from backstop.deployment.role_accounts import get_account
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD, RAY, div_up
from backstop.model.bounds import EQUITY_MARKET
from backstop.model.collateral_auction import CollateralAuction
from backstop.model.equity_auction import EquityAuction
from backstop.model.erc20 import ERC20
from backstop.model.interfaces import Debts, Terms, Vault
from backstop.model.liquidation_engine import LiquidationEngine
from backstop.model.loss_waterfall import LossWaterfall
from backstop.model.pool import Pool
from backstop.model.price_feed import PriceFeed
from backstop.model.risk_policy import RiskPolicy
from backstop.model.settlement import Settlement
from backstop.model.shares import Shares
from backstop.model.stability_pool import OffsetPool
from backstop.model.timelock import Call
from backstop.model.token import Token
from backstop.model.vault_engine import VaultEngine
from backstop.model.workouts import Workouts
from backstop.system import Action

T = TypeVar("T")
Fungible = ERC20 | Shares | Token

PEOPLE = ("borrower", "saver", "keeper", "attacker", "owner_1", "owner_2")
"""The roles that act. Any account may make any call; the outcome follows from its holdings and rights."""


class Wait(NamedTuple):
    """Time that passes before the next action of a move [seconds]."""

    seconds: int


class GenerationContext:
    """Read-only view of a running model, with the accounts and the random numbers to choose actions.

    Reads of the model cost no calls to the chain.
    """

    def __init__(self, deployment: Deployment, world: World, random: Random) -> None:
        self.deployment = deployment
        self.world = world
        self.random = random
        self.people = tuple(get_account(role) for role in PEOPLE)
        contracts = world.contracts
        self.engine = cast(VaultEngine, contracts["VaultEngine"])
        self.feed = cast(PriceFeed, contracts["PriceFeed"])
        self.auction = cast(CollateralAuction, contracts["CollateralAuction"])
        self.waterfall = cast(LossWaterfall, contracts["LossWaterfall"])
        self.liquidations = cast(LiquidationEngine, contracts["LiquidationEngine"])
        self.savings = cast(Pool, contracts["Savings"])
        self.stablecoin = cast(ERC20, contracts["Stablecoin"])
        self.settlement = cast(Settlement, contracts["Settlement"])
        self.listed = len(deployment.parameters.collateral_types)
        # Whether the run is near its end: then it may be wound up.
        self.late = False
        # What was proposed to the timelock, and its salt, by id: the chain has only the id.
        self.announced: dict[bytes, tuple[tuple[Call, ...], bytes]] = {}
        names = deployment.addresses
        self.policy = cast(RiskPolicy, contracts["RiskPolicy"]) if "RiskPolicy" in names else None
        self.workouts = cast(Workouts, contracts["Workouts"]) if "Workouts" in names else None
        self.has_equity = "Equity" in names
        # Pools of stablecoin, all pools, series of claims, auctions of equity.
        self.savers = tuple(name for name in STABLECOIN_POOLS if name in names)
        self.pools = (*self.savers, *(name for name in ("StakedEquity",) if name in names))
        self.claims = tuple(f"{name}.Claims" for name in self.savers if f"{name}.Claims" in names)
        self.facilitators = tuple(facilitator.name for facilitator in deployment.parameters.facilitators)
        self.equity_auctions = tuple(name for name in ("StakeAuction", "MintAuction") if name in names)

    @property
    def now(self) -> int:
        return self.world.timestamp

    @property
    def auction_clock(self) -> int:
        """Time by which the prices of collateral auctions fall [seconds]."""
        return self.auction.clock(self.admin)

    @property
    def admin(self) -> str:
        return self.deployment.get_account("admin")

    @property
    def guardian(self) -> str:
        return self.deployment.get_account("guardian")

    def build_action(self, contract: str, method: str, *args: Any, by: str) -> Action:
        """Return a call of a contract's method by the account `by`, to be applied later."""
        return Action(contract, method, args, by)

    def has_mechanism(self, collateral_type: int) -> bool:
        """Return whether a liquidation mechanism sells this type's vaults, instead of an auction."""
        return bool(self.liquidations.mechanisms[collateral_type] != ZERO_ADDRESS)

    def find_stability_pool(self, collateral_type: int) -> OffsetPool | None:
        """Return the stability pool that repays unsafe vaults of this type; None without a pool."""
        found = self.world.addresses.get(self.liquidations.mechanisms[collateral_type])
        return found if isinstance(found, OffsetPool) else None

    def build_liquidation(self, collateral_type: int, owner: str, receiver: str, by: str) -> Action:
        """Build a liquidation of the owner's vault: an auction, a stability pool's call, or a purchase.

        The type's liquidation mechanism decides which. A purchase has a random size and mostly the account
        with the most stablecoin as its buyer. A few calls fit none of the type's mechanism on purpose.
        `receiver` receives the liquidator's reward or the bought collateral.
        """
        c, engine = collateral_type, "LiquidationEngine"
        pool = self.find_stability_pool(c)
        if pool is not None and self.draw_bool(0.97):
            if self.draw_bool(0.3):
                return self.build_action(engine, "liquidate", c, owner, receiver, by=by)
            return self.build_action(pool.label, "liquidate", (owner,), receiver, by=by)
        if not self.has_mechanism(c) or self.draw_bool(0.03):
            return self.build_action(engine, "liquidate", c, owner, receiver, by=by)
        buyer = self.find_richest_account() if self.draw_bool(0.8) else by
        vault, price = self.get_vault(c, owner), self.feed.prices[c].current
        debt = div_up(vault.normalized_debt * self.get_rate(c), RAY)
        repay = self.pick_item((MAX_UINT256, debt, self.draw_near_limit(debt)))
        if self.draw_bool(0.7):
            repay = min(repay, self.get_balance("Stablecoin", buyer))
        held = vault.locked_collateral
        amount = self.pick_item((MAX_UINT256, MAX_UINT256, held, self.draw_near_limit(held)))
        highest = self.pick_item((MAX_UINT256, MAX_UINT256, self.draw_near_limit(price)))
        to = receiver if self.draw_bool(0.98) else self.engine.address
        data = b"" if self.draw_bool(0.98) else b"\x01"
        return self.build_action(
            engine, "liquidate_and_buy", c, owner, amount, repay, highest, to, data, by=buyer
        )

    # -------------------------------------------------------------------- dice

    def pick_item(self, choices: Sequence[T]) -> T:
        return choices[int(self.random.random() * len(choices))]

    def draw_bool(self, share: float) -> bool:
        return self.random.random() < share

    def pick_account(self) -> str:
        return self.pick_item(self.people)

    def draw_near_limit(self, *limits: int) -> int:
        """Draw a random amount at one of the limits, 1 off it, or a part of it. Never return a negative."""
        limit = self.pick_item(limits)
        kind = int(self.random.random() * 10)
        if kind < 3:
            return max(limit, 0)
        if kind < 4:
            return max(limit - 1, 0)
        if kind < 5:
            return min(limit + 1, MAX_UINT256) if limit >= 0 else 0
        if kind < 6:
            return self.pick_item((0, 1, limit // 2 if limit > 0 else 0))
        return self.draw_part(limit)

    def draw_part(self, limit: int) -> int:
        """Draw a random part of a limit. In half of all draws each order of magnitude is equally likely.

        Return the limit, but at least 0, if it is 1 or less.
        """
        if limit <= 1:
            return max(limit, 0)
        if self.random.random() < 0.5:
            return limit * self.random.randint(1, 1_000) // 1_000
        return 1 + int(self.random.random() * (1 << self.random.randint(1, limit.bit_length()))) % limit

    # ------------------------------------------------------------------- types

    def draw_type(self) -> int:
        """Draw one of the first four collateral types.

        Few types have all the business, so that states get deep.
        """
        return int(self.random.random() * min(self.listed, 4))

    def draw_feed_market(self) -> int:
        """Draw a market of the price feed: a collateral type's or, in a fifth of the draws, the equity's."""
        return EQUITY_MARKET if self.has_equity and self.draw_bool(0.2) else self.draw_type()

    def get_symbol(self, collateral_type: int) -> str:
        """Return the symbol of a collateral type's token."""
        return self.deployment.parameters.collateral_types[collateral_type].symbol

    def get_terms(self, collateral_type: int) -> Terms:
        return cast(Terms, self.engine.terms[collateral_type])

    def get_type_debt_totals(self, collateral_type: int) -> Debts:
        return cast(Debts, self.engine.debts[collateral_type])

    def get_vault(self, collateral_type: int, owner: str) -> Vault:
        return cast(Vault, self.engine.vaults[collateral_type, owner])

    def get_lower_feed_price(self, collateral_type: int) -> int:
        """Return the lower of the current and next price, even if stale [ray for 1e18 of collateral]."""
        prices = self.feed.prices[collateral_type]
        return int(min(prices.current, prices.next))

    def get_next_or_current_price(self, collateral_type: int) -> int:
        """Return the next price, or a withheld price, or the current price [ray for 1e18 of collateral].

        A price is withheld while the feed waits for its confirmation. Return 0 if the feed has no price.
        """
        prices = self.feed.prices[collateral_type]
        return int(prices.next or self.feed.withheld_prices[collateral_type] or prices.current)

    def get_rate(self, collateral_type: int) -> int:
        return int(self.get_type_debt_totals(collateral_type).accumulated_rate)

    def get_debt(self, collateral_type: int, owner: str) -> int:
        """Return a vault's debt, with the stability fee up to the type's last accrual [rad]."""
        return int(self.get_vault(collateral_type, owner).normalized_debt * self.get_rate(collateral_type))

    def list_unsafe_owners(self, collateral_type: int) -> list[str]:
        """Return the owners of vaults that are under the liquidation ratio at the current price."""
        price, terms, rate = (
            self.feed.prices[collateral_type].current,
            self.get_terms(collateral_type),
            self.get_rate(collateral_type),
        )
        found = []
        for owner in self.people:
            vault = self.get_vault(collateral_type, owner)
            value = vault.locked_collateral * price
            if value * BASIS_POINTS < vault.normalized_debt * rate * terms.liquidation_ratio:
                found.append(owner)
        return found

    def list_weakest_owner_if_any(self, collateral_type: int) -> list[str]:
        """Return a list with the owner of the vault with the least collateral for each unit of debt.

        Return an empty list if no vault of the type has debt.
        """
        found = [who for who in self.people if self.get_vault(collateral_type, who).normalized_debt]

        def strength(who: str) -> Fraction:
            vault = self.get_vault(collateral_type, who)
            return Fraction(vault.locked_collateral, vault.normalized_debt)

        return [min(found, key=strength)] if found else []

    def get_drawable_debt_by_ratio(self, collateral_type: int, owner: str) -> int:
        """Return how much more debt the initial ratio lets a vault draw, if the price is fresh [wad]."""
        ratio = max(self.get_terms(collateral_type).initial_ratio, 1)
        value = self.get_vault(collateral_type, owner).locked_collateral * self.get_lower_feed_price(
            collateral_type
        )
        return (value * BASIS_POINTS // ratio - self.get_debt(collateral_type, owner)) // RAY

    def get_ceiling_room(self, collateral_type: int) -> int:
        """Return how much more debt the type's debt ceiling allows [wad]; negative if above the ceiling."""
        total = self.get_type_debt_totals(
            collateral_type
        ).performing + self.engine._sum_auctioned_principal_and_deficit(collateral_type)
        return (self.get_terms(collateral_type).debt_ceiling * RAD - total) // RAY

    def get_auction_room(self, collateral_type: int) -> int:
        """Return how much principal may still be put under auction for this collateral type [rad]."""
        factor = self.policy.auction_limit_factor("") if self.policy else BASIS_POINTS
        return self.engine._compute_auction_room(collateral_type, factor)

    def has_fresh_price(self, collateral_type: int) -> bool:
        """Return whether the feed's price of a collateral type is still fresh at the present time."""
        return bool(self.now <= self.feed.prices[collateral_type].fresh_until)

    # ------------------------------------------------------------------ others

    @property
    def settling(self) -> bool:
        """Whether settlement (the wind-down of the whole protocol) has begun."""
        return bool(self.settlement.progress[()].begun_at)

    def list_deficit_types(self) -> list[int]:
        """Return the collateral types with a deficit (a recognised loss that is not paid yet)."""
        return [c for c in range(self.listed) if self.engine.deficit[c]]

    def list_equity_sales(self) -> list[tuple[EquityAuction, int]]:
        """Return each open equity auction: its contract, and the collateral type it raises money for."""
        auctions = [cast(EquityAuction, self.world.contracts[name]) for name in self.equity_auctions]
        return [(each, c) for each in auctions for c, sale in each.sales.items() if sale.target]

    def get_balance(self, token: str, who: str) -> int:
        """Return an account's balance of a token, in the token's smallest unit."""
        return int(cast(Fungible, self.world.contracts[token]).balanceOf("", who))

    def find_richest_account(self) -> str:
        """Return the acting account (borrower, saver, keeper, ...) with the largest stablecoin balance."""
        return max(self.people, key=self.stablecoin.balances.__getitem__)

    def list_open_auctions(self) -> list[int]:
        """Return the ids of the open collateral auctions, among the last 16 ids."""
        return [
            auction_id for auction_id in self.recent_auction_ids if self.auction.lots[auction_id].started_at
        ]

    @property
    def recent_auction_ids(self) -> range:
        last = int(self.auction.ids[()])
        return range(max(1, last - 15), last + 1)

    def draw_auction_id(self) -> int:
        """Draw the id of an open collateral auction; in a few draws, or without one, another id."""
        found = self.list_open_auctions()
        if found and self.random.random() < 0.98:
            return self.pick_item(found)
        return int(self.auction.ids[()]) + self.random.randrange(2)

    def list_open_workouts(self) -> list[int]:
        """Return the ids of open workouts (repayments of called vaults in instalments)."""
        return (
            []
            if self.workouts is None
            else [workout_id for workout_id, each in self.workouts.balances.items() if each.left]
        )

    def draw_workout_id(self) -> int | None:
        """Draw the id of an open workout (repayment in instalments), or at times an id without a workout.

        Return None in most draws if no workout is open.
        """
        found = self.list_open_workouts()
        if found and self.draw_bool(0.97):
            return self.pick_item(found)
        return int(self.auction.ids[()]) + 1 if self.draw_bool(0.05) else None
