"""Which vaults are called for more margin, which are liquidated, and how much of them. No state."""

from __future__ import annotations

from typing import cast

from backstop.model.arithmetic import BASIS_POINTS, RAY, div_up, mul
from backstop.model.interfaces import ICollateralAuction, IPriceFeed, IRiskPolicy, IVaultEngine, VaultState
from backstop.model.state import ZERO_ADDRESS, Contract, World, external, immutable, require, view


class LiquidationEngine(Contract):
    """See contracts/LiquidationEngine.vy."""

    KIND = "LiquidationEngine"

    vault_engine_address = immutable("VAULT_ENGINE", str)
    price_feed_address = immutable("PRICE_FEED", str)
    collateral_auction_address = immutable("COLLATERAL_AUCTION", str)
    # Margins by size, margin calls and limits by mode; the zero address is none of them.
    risk_policy = immutable("RISK_POLICY", str)
    # Takes called vaults over; the zero address is none.
    workouts = immutable("WORKOUTS", str)

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        vault_engine: str,
        price_feed: str,
        collateral_auction: str,
        risk_policy: str,
        workouts: str,
    ) -> None:
        super().__init__(world, name, address)
        self.vault_engine_address = vault_engine
        self.price_feed_address = price_feed
        self.collateral_auction_address = collateral_auction
        self.risk_policy = risk_policy
        self.workouts = workouts

    @property
    def policy(self) -> IRiskPolicy | None:
        """Who knows the margins, if anybody does."""
        if self.risk_policy == ZERO_ADDRESS:
            return None
        return cast(IRiskPolicy, self.world.at(self.risk_policy))

    @external
    def liquidate(self, sender: str, collateral_type: int, owner: str, reward_receiver: str) -> int:
        """Auction an unsafe vault, or as much of it as the limits leave room for; the auction's id."""
        feed = cast(IPriceFeed, self.world.at(self.price_feed_address))
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        auction = cast(ICollateralAuction, self.world.at(self.collateral_auction_address))

        price = feed.liquidation_price(self.address, collateral_type)
        require(price != 0, "liquidation_engine: no price")
        factor = self.policy.limits_factor(self.address) if self.policy else BASIS_POINTS
        vault = engine.accrue_and_read(self.address, collateral_type, owner, factor)
        debt = vault.normalized_debt * vault.accumulated_rate
        if self._meets(collateral_type, vault.locked_collateral, price, debt, vault.liquidation_ratio):
            require(self._is_due(collateral_type, vault, price, debt), "liquidation_engine: safe vault")
        require(vault.room != 0, "liquidation_engine: no room")

        # Rounded down to the limit, and up to the whole vault if the rest would be under the floor.
        collateral = vault.locked_collateral
        normalized_debt = min(vault.normalized_debt, vault.room // vault.accumulated_rate)
        require(collateral != 0 and normalized_debt != 0, "liquidation_engine: nothing in")
        principal = normalized_debt * vault.accumulated_rate
        if debt - principal >= vault.debt_floor:
            require(principal >= vault.debt_floor, "liquidation_engine: part too low")
            collateral, normalized_debt = _part(vault, normalized_debt)
            principal = normalized_debt * vault.accumulated_rate
        if debt - principal < vault.debt_floor:
            collateral, normalized_debt, principal = vault.locked_collateral, vault.normalized_debt, debt

        auction_id, reward = auction.start(self.address, collateral_type, owner, collateral, principal, price)
        engine.seize(
            self.address, collateral_type, owner, collateral, normalized_debt, reward_receiver, reward
        )
        self.emit("Liquidated", auction_id, collateral_type, owner, collateral, principal, reward)
        return auction_id

    @external
    def call(self, sender: str, collateral_type: int, owner: str) -> None:
        """Call a vault under the call ratio for more margin."""
        require(self.policy is not None, "liquidation_engine: no calls")
        assert self.policy is not None
        terms = self.policy.call_terms(self.address, collateral_type)
        feed = cast(IPriceFeed, self.world.at(self.price_feed_address))
        price = feed.liquidation_price(self.address, collateral_type)
        require(price != 0, "liquidation_engine: no price")
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        vault = engine.accrue_and_read(self.address, collateral_type, owner, BASIS_POINTS)
        debt = vault.normalized_debt * vault.accumulated_rate
        short = not self._meets(collateral_type, vault.locked_collateral, price, debt, terms.ratio)
        require(terms.ratio != 0 and short, "liquidation_engine: margin met")
        over = self.world.timestamp > vault.called_at + terms.grace + terms.valid
        require(vault.called_at == 0 or over, "liquidation_engine: call runs")
        engine.set_called(self.address, collateral_type, owner)
        due = self.world.timestamp + terms.grace
        self.emit("MarginCalled", collateral_type, owner, due, due + terms.valid)

    @external
    def write_down(self, sender: str, collateral_type: int, amount: int) -> int:
        """Turn debt of an issuer's own vault into a deficit of its type; the principal, rad."""
        feed = cast(IPriceFeed, self.world.at(self.price_feed_address))
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        auction = cast(ICollateralAuction, self.world.at(self.collateral_auction_address))
        require(sender == feed.issuer_of(self.address, collateral_type), "liquidation_engine: not issuer")
        vault = engine.accrue_and_read(self.address, collateral_type, sender, 0)
        normalized_debt = min(vault.normalized_debt, mul(amount, RAY) // vault.accumulated_rate)
        principal = normalized_debt * vault.accumulated_rate
        if principal != 0:
            engine.seize(self.address, collateral_type, sender, 0, normalized_debt, sender, 0)
            auction.write_off(self.address, collateral_type, principal)
        self.emit("WrittenDown", collateral_type, sender, principal)
        return principal

    @external
    def hand_over(
        self, sender: str, collateral_type: int, owner: str, collateral: int, normalized_debt: int
    ) -> None:
        """Move a vault's collateral, and debt with it, into a workout."""
        require(sender == self.workouts, "liquidation_engine: not workouts")
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        engine.seize(self.address, collateral_type, owner, collateral, normalized_debt, ZERO_ADDRESS, 0)

    @view
    def meets_call(self, sender: str, collateral_type: int, locked_collateral: int, debt: int) -> bool:
        """Tell whether a vault of this size meets its call ratio; without a fresh price it never does."""
        if debt == 0:
            return True
        assert self.policy is not None  # nobody is called without one
        terms = self.policy.call_terms(self.address, collateral_type)
        feed = cast(IPriceFeed, self.world.at(self.price_feed_address))
        price = feed.current_price(self.address, collateral_type)
        return terms.ratio == 0 or self._meets(collateral_type, locked_collateral, price, debt, terms.ratio)

    def _meets(self, collateral_type: int, locked_collateral: int, price: int, debt: int, ratio: int) -> bool:
        """Tell whether collateral is worth what a ratio and the debt's size ask for."""
        add_on = self.policy.add_on(self.address, collateral_type, debt) if self.policy else 0
        return locked_collateral * price * BASIS_POINTS >= debt * ratio + add_on

    def _is_due(self, collateral_type: int, vault: VaultState, price: int, debt: int) -> bool:
        """Tell whether a called vault is still under the call ratio after its grace, and in time."""
        if vault.called_at == 0 or self.policy is None:
            return False
        terms = self.policy.call_terms(self.address, collateral_type)
        due = vault.called_at + terms.grace
        in_time = due <= self.world.timestamp <= due + terms.valid
        short = not self._meets(collateral_type, vault.locked_collateral, price, debt, terms.ratio)
        return terms.ratio != 0 and in_time and short


def _part(vault: VaultState, normalized_debt: int) -> tuple[int, int]:
    """Return a part's collateral in whole units [wad], and the debt that goes with it, rounded up [wad].

    Down to the debt that is asked for; up by a unit where that is nothing, or under the floor.
    """
    lot = vault.locked_collateral * normalized_debt // vault.normalized_debt // vault.unit * vault.unit
    part = div_up(lot * vault.normalized_debt, vault.locked_collateral)
    if lot == 0 or part * vault.accumulated_rate < vault.debt_floor:
        lot += vault.unit
        part = div_up(lot * vault.normalized_debt, vault.locked_collateral)
    return lot, part
