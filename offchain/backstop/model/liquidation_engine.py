"""Margin calls, liquidations and their size, and debt in doubt."""

from __future__ import annotations

from typing import cast

from backstop.contract_base import ZERO_ADDRESS, World, external, immutable, require, view
from backstop.model.arithmetic import BASIS_POINTS, RAY, div_up, mul_uint256
from backstop.model.interfaces import (
    MAX_DATA,
    CallTerms,
    ICollateralAuction,
    ILiquidationMechanism,
    IPriceFeed,
    IVaultEngine,
    IWorkouts,
    Position,
    VaultState,
)
from backstop.model.listed_types import decode_listed_types
from backstop.model.policy_calls import NOTHING, PolicyCalls
from backstop.model.vault_flags import VaultFlags, get_lowest_known_price


class LiquidationEngine(VaultFlags):
    """Contract that calls vaults for margin, liquidates unsafe vaults and records debt in doubt.

    Debt in doubt is debt that may be lost but is not booked as a loss. Model of
    contracts/LiquidationEngine.vy.
    """

    KIND = "LiquidationEngine"

    vault_engine_address = immutable("VAULT_ENGINE", str)
    price_feed_address = immutable("PRICE_FEED", str)
    collateral_auction_address = immutable("COLLATERAL_AUCTION", str)
    # Margins by size, margin calls and limits by mode, at deployment; the zero address is none, for good.
    first_policy = immutable("RISK_POLICY", str)
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
        self.first_policy = risk_policy
        self.workouts = workouts
        self.mechanisms = self.table("mechanism_of", ZERO_ADDRESS)

    @property
    def policy(self) -> PolicyCalls | None:
        """Risk policy with the current margins; None if the deployment has none."""
        if self.first_policy == ZERO_ADDRESS:
            return None
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        return PolicyCalls(self.world, self.address, engine.risk_policy(self.address))

    @external
    def liquidate(self, sender: str, collateral_type: int, owner: str, reward_receiver: str) -> int:
        """Auction an unsafe vault's collateral and debt, and return the auction's id.

        If the auction limits leave too little room, only a part of the vault is auctioned. The reward
        receiver gets the liquidator's reward. Any account may call this. Reverts for a safe vault.
        """
        feed = cast(IPriceFeed, self.world.at(self.price_feed_address))
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        auction = cast(ICollateralAuction, self.world.at(self.collateral_auction_address))

        price, highest = feed.sale_prices(self.address, collateral_type)
        require(price != 0, "liquidation_engine: no price")
        factor = self.policy.auction_limit_factor() if self.policy else BASIS_POINTS
        vault = engine.accrue_and_read(self.address, collateral_type, owner, factor)
        debt = vault.normalized_debt * vault.accumulated_rate
        is_unsafe = self._is_unsafe(collateral_type, vault, price, debt)
        require(is_unsafe, "liquidation_engine: safe vault")
        if vault.has_mechanism:
            mechanism = cast(ILiquidationMechanism, self.world.at(self.mechanisms[collateral_type]))
            position = _build_position(vault, highest, ZERO_ADDRESS)
            can_auction = mechanism.can_auction(self.address, collateral_type, position)
            require(can_auction, "liquidation_engine: no auctions")
        require(vault.room != 0, "liquidation_engine: no room")

        # Rounded down to the limit, and up to the whole vault if the rest would be under the floor.
        collateral = vault.locked_collateral
        normalized_debt = min(vault.normalized_debt, vault.room // vault.accumulated_rate)
        require(collateral != 0 and normalized_debt != 0, "liquidation_engine: nothing in")
        principal = normalized_debt * vault.accumulated_rate
        if debt - principal >= vault.debt_floor:
            require(principal >= vault.debt_floor, "liquidation_engine: part too low")
            collateral, normalized_debt = _compute_part_lot_and_debt(vault, normalized_debt)
            principal = normalized_debt * vault.accumulated_rate
        if debt - principal < vault.debt_floor:
            collateral, normalized_debt, principal = vault.locked_collateral, vault.normalized_debt, debt

        self._shrink_flag(collateral_type, owner, vault.normalized_debt - normalized_debt)
        auction_id, reward = auction.start(
            self.address, collateral_type, owner, collateral, principal, highest
        )
        engine.seize(
            self.address, collateral_type, owner, collateral, normalized_debt, reward_receiver, reward
        )
        self.emit("Liquidated", auction_id, collateral_type, owner, collateral, principal, reward)
        return auction_id

    @external
    def liquidate_and_buy(
        self,
        sender: str,
        collateral_type: int,
        owner: str,
        max_collateral: int,
        max_repay: int,
        max_price: int,
        receiver: str,
        data: bytes,
    ) -> tuple[int, int]:
        """Repay debt of an unsafe vault and receive collateral at once, by the type's liquidation mechanism.

        Returns the collateral sent and the stablecoin paid [wad]. If `data` is not empty, the receiver's
        callback runs before the payment. Reverts above the limits that the caller sets, or for a safe vault.
        """
        require(len(data) <= MAX_DATA, "")
        mechanism = self.mechanisms[collateral_type]
        require(mechanism != ZERO_ADDRESS, "liquidation_engine: no mechanism")
        feed = cast(IPriceFeed, self.world.at(self.price_feed_address))
        price, highest = feed.sale_prices(self.address, collateral_type)
        is_fresh = price != 0 and feed.current_price(self.address, collateral_type) != 0
        require(is_fresh, "liquidation_engine: stale price")
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        vault = engine.accrue_and_read(self.address, collateral_type, owner, 0)
        limit = engine.auction_limit_of(self.address, collateral_type)
        require(limit != 0, "liquidation_engine: no sales")
        debt = vault.normalized_debt * vault.accumulated_rate
        is_unsafe = self._is_unsafe(collateral_type, vault, price, debt)
        require(is_unsafe, "liquidation_engine: safe vault")
        collateral, normalized_debt, paid, fee = cast(
            ILiquidationMechanism, self.world.at(mechanism)
        ).plan_sale(
            self.address,
            collateral_type,
            _build_position(vault, highest, sender),
            max_collateral,
            max_repay,
        )
        sent = collateral - fee
        # Collateral is sent for a payment, and only then.
        is_sale = collateral != 0 and normalized_debt != 0 and (sent != 0 or paid == 0)
        require(is_sale, "liquidation_engine: no sale")
        left = vault.normalized_debt - normalized_debt
        is_above_floor = left * vault.accumulated_rate >= vault.debt_floor
        require(left == 0 or is_above_floor, "liquidation_engine: rest too low")
        # To the wei: paid - 1 < (sent + 1)*max_price.
        require(sent == 0 or paid != 0, "")
        is_cheap = sent == 0 or (paid - 1) * RAY // (sent + 1) < max_price
        require(is_cheap, "liquidation_engine: high price")

        self._shrink_flag(collateral_type, owner, left)
        engine.seize(self.address, collateral_type, owner, collateral, normalized_debt, owner, 0)
        principal = normalized_debt * vault.accumulated_rate
        self.emit("CollateralSold", collateral_type, owner, sender, collateral, fee, paid, principal)
        auction = cast(ICollateralAuction, self.world.at(self.collateral_auction_address))
        auction.settle_sale(
            self.address, collateral_type, owner, sender, sent, paid, principal, fee, receiver, data
        )
        return sent, paid

    @external
    def set_mechanism(self, sender: str, collateral_type: int, mechanism: str) -> None:
        """Set a collateral type's liquidation mechanism permanently. Only the admin may call this.

        A mechanism is a contract that prices the sale of unsafe vaults in place of auctions. Reverts if the
        type has debt, or a mechanism already.
        """
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        feed = cast(IPriceFeed, self.world.at(self.price_feed_address))
        require(sender == engine.admin(self.address), "liquidation_engine: not admin")
        require(self.mechanisms[collateral_type] == ZERO_ADDRESS, "liquidation_engine: is set")
        terms = engine.terms_of(self.address, collateral_type)
        require(not terms.settling, "liquidation_engine: settling")
        debts = engine.debts_of(self.address, collateral_type)
        is_free = debts.normalized_debt == 0 and debts.distressed == 0
        require(is_free, "liquidation_engine: has debt")
        has_reporters = len(feed.reporters_of(self.address, collateral_type)) != 0
        require(has_reporters, "liquidation_engine: no reporters")
        contract = cast(ILiquidationMechanism, self.world.at(mechanism))
        # The engine has no such function itself.
        require(mechanism != self.address, "")
        contract.check_sale_terms(self.address, collateral_type, terms.liquidation_ratio)
        self.mechanisms[collateral_type] = mechanism
        engine.note_mechanism(self.address, collateral_type)
        self.emit("MechanismSet", collateral_type, mechanism)

    @external
    def call(self, sender: str, collateral_type: int, owner: str) -> None:
        """Call a vault under the call ratio for more margin. Any account may call this.

        After the grace period the vault may be liquidated for a limited time. Reverts if the vault has enough
        margin, or if a call is running.
        """
        require(self.policy is not None, "liquidation_engine: no calls")
        terms = self._call_terms(collateral_type)
        feed = cast(IPriceFeed, self.world.at(self.price_feed_address))
        price = feed.liquidation_price(self.address, collateral_type)
        require(price != 0, "liquidation_engine: no price now")
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        vault = engine.accrue_and_read(self.address, collateral_type, owner, BASIS_POINTS)
        debt = vault.normalized_debt * vault.accumulated_rate
        short = not self._has_ratio(collateral_type, vault.locked_collateral, price, debt, terms.ratio)
        require(terms.ratio != 0 and short, "liquidation_engine: margin met")
        over = self.world.timestamp > vault.called_at + terms.grace + terms.valid
        require(vault.called_at == 0 or over, "liquidation_engine: call runs")
        engine.set_called(self.address, collateral_type, owner)
        due = self.world.timestamp + terms.grace
        self.emit("MarginCalled", collateral_type, owner, due, due + terms.valid)

    @external
    def flag(self, sender: str, collateral_type: int, owner: str) -> int:
        """Check a vault, mark or unmark its debt as in doubt, and return the debt in doubt [rad].

        Debt in doubt may be lost. All of a vault's debt is in doubt if the vault may be liquidated, or could
        be at the next price. For an issuer's vault it is the debt not covered at the issuer's price, rounded
        up. Any account may call this.
        """
        feed = cast(IPriceFeed, self.world.at(self.price_feed_address))
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        vault = engine.accrue_and_read(self.address, collateral_type, owner, BASIS_POINTS)
        debt = vault.normalized_debt * vault.accumulated_rate
        flagged = 0
        if debt != 0:
            price = get_lowest_known_price(feed, self.address, collateral_type)
            require(price != 0, "vault_flags: no price")
            if feed.issuer_of(self.address, collateral_type) != ZERO_ADDRESS:
                flagged = div_up(max(0, debt - vault.locked_collateral * price), vault.accumulated_rate)
            elif self._is_unsafe(collateral_type, vault, price, debt):
                flagged = vault.normalized_debt
        self._set_vault_debt_flag(collateral_type, owner, flagged)
        return int(flagged * vault.accumulated_rate)

    @external
    def write_down(self, sender: str, collateral_type: int, amount: int) -> int:
        """Turn debt of the calling issuer's vault into a deficit of its type, and return the principal [rad].

        `amount` [wad] limits the debt. Only the issuer that sets the type's price may call this.
        """
        feed = cast(IPriceFeed, self.world.at(self.price_feed_address))
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        auction = cast(ICollateralAuction, self.world.at(self.collateral_auction_address))
        require(sender == feed.issuer_of(self.address, collateral_type), "liquidation_engine: not issuer")
        vault = engine.accrue_and_read(self.address, collateral_type, sender, 0)
        normalized_debt = min(vault.normalized_debt, mul_uint256(amount, RAY) // vault.accumulated_rate)
        principal = normalized_debt * vault.accumulated_rate
        if principal != 0:
            self._shrink_flag(collateral_type, sender, vault.normalized_debt - normalized_debt)
            engine.seize(self.address, collateral_type, sender, 0, normalized_debt, sender, 0)
            auction.write_off(self.address, collateral_type, principal)
        self.emit("WrittenDown", collateral_type, sender, principal)
        return principal

    @external
    def move_to_workout(
        self, sender: str, collateral_type: int, owner: str, collateral: int, normalized_debt: int
    ) -> None:
        """Move a vault's collateral [wad] and normalized debt [wad] into a workout.

        A workout repays a called vault in instalments. Only the workouts contract may call this.
        """
        require(sender == self.workouts, "liquidation_engine: not workouts")
        # The vault goes over whole, or has no debt.
        self._shrink_flag(collateral_type, owner, 0)
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        engine.seize(self.address, collateral_type, owner, collateral, normalized_debt, ZERO_ADDRESS, 0)

    @view
    def satisfies_margin_call(
        self, sender: str, collateral_type: int, locked_collateral: int, debt: int
    ) -> bool:
        """Return True if a vault with this collateral [wad] and debt [rad] meets its call ratio.

        With debt and a call ratio above 0, the result is False without a fresh price.
        """
        if debt == 0:
            return True
        terms = self._call_terms(collateral_type)
        feed = cast(IPriceFeed, self.world.at(self.price_feed_address))
        price = feed.current_price(self.address, collateral_type)
        return terms.ratio == 0 or self._has_ratio(
            collateral_type, locked_collateral, price, debt, terms.ratio
        )

    @view
    def is_policy(self, sender: str, policy: str) -> bool:
        """Return True if a contract can serve as the vault engine's risk policy.

        It must name this vault engine, have the present mode and answer all calls for each listed type.
        """
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        mode = self.policy.mode() if self.policy else NOTHING
        listed = engine.listed(self.address)
        return PolicyCalls(self.world, self.address, policy).is_policy(
            self.vault_engine_address, listed, mode
        )

    @view
    def max_marginal_add_on_of(self, sender: str, collateral_type: int) -> int:
        """Return the steepest growth of a vault's extra margin for large debt [basis points].

        0 without a risk policy.
        """
        return self.policy.ask_max_marginal_add_on(collateral_type) if self.policy else 0

    @external
    def check_mechanism(self, sender: str, collateral_type: int, liquidation_ratio: int) -> None:
        """Revert unless the type's liquidation mechanism, if any, fits the liquidation ratio."""
        mechanism = self.mechanisms[collateral_type]
        if mechanism != ZERO_ADDRESS:
            contract = cast(ILiquidationMechanism, self.world.at(mechanism))
            contract.check_sale_terms(self.address, collateral_type, liquidation_ratio)

    @view
    def mechanism_of(self, sender: str, collateral_type: int) -> str:
        """Return a type's liquidation mechanism; the zero address if its vaults are auctioned."""
        return str(self.mechanisms[collateral_type])

    @view
    def debt_at_risk_of(self, sender: str, collateral_type: int) -> int:
        """Return a type's debt that may be lost but is not booked as lost [rad]: under auction, or flagged.

        Workouts (repayments in instalments) that are not flagged do not count. Flags count at the rate of the
        last accrual, and for no more than the performing debt.
        """
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        debts = engine.debts_of(self.address, collateral_type)
        found = min(self.type_flags[collateral_type], debts.normalized_debt) * debts.accumulated_rate
        in_auction, sound = engine.in_auction_of(self.address, collateral_type), 0
        if in_auction != 0:
            if self.workouts != ZERO_ADDRESS:
                workouts = cast(IWorkouts, self.world.at(self.workouts))
                sound = workouts.unflagged_principal_of(self.address, collateral_type)
            found += max(0, in_auction - sound)
        return int(found)

    @view
    def debt_at_risk_total(self, sender: str) -> int:
        """Return the debt of all listed types that may be lost but is not booked as lost [rad]."""
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        return sum(
            self.debt_at_risk_of(self.address, c) for c in decode_listed_types(engine.listed(self.address))
        )

    @view
    def flag_of(self, sender: str, collateral_type: int, owner: str) -> int:
        """Return a vault's normalized debt that was last marked as in doubt (may be lost) [wad]."""
        return int(self.vault_flags[collateral_type, owner])

    @view
    def flagged_of(self, sender: str, collateral_type: int) -> int:
        """Return the normalized debt of a type's vaults that is marked as in doubt (may be lost) [wad]."""
        return int(self.type_flags[collateral_type])

    def _call_terms(self, collateral_type: int) -> CallTerms:
        """Return the terms of margin calls; the call ratio is limited to the type's initial ratio."""
        assert self.policy is not None  # nobody is called without one
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        most = engine.terms_of(self.address, collateral_type).initial_ratio
        return self.policy.call_terms(collateral_type, most)

    def _has_ratio(
        self, collateral_type: int, locked_collateral: int, price: int, debt: int, ratio: int
    ) -> bool:
        """Return True if collateral is worth the debt times a ratio, plus the margin for the debt's size."""
        policy = self.policy
        add_on = policy.add_on(collateral_type, debt) if policy else 0
        return locked_collateral * price * BASIS_POINTS >= debt * ratio + add_on

    def _is_unsafe(self, collateral_type: int, vault: VaultState, price: int, debt: int) -> bool:
        """Return True if a vault may be liquidated at a price [ray].

        It may if it is under its liquidation ratio with the margin for its debt's size, or if its margin call
        is due. The policy is asked only about a vault that its own ratio does not make unsafe.
        """
        is_under = vault.locked_collateral * price * BASIS_POINTS < debt * vault.liquidation_ratio
        if not is_under and self._has_ratio(
            collateral_type, vault.locked_collateral, price, debt, vault.liquidation_ratio
        ):
            return self._is_due(collateral_type, vault, price, debt)
        return True

    def _is_due(self, collateral_type: int, vault: VaultState, price: int, debt: int) -> bool:
        """Return True if a vault may be liquidated because of an unmet margin call.

        The grace period must be over, and the call must not have expired.
        """
        if vault.called_at == 0 or self.policy is None:
            return False
        terms = self._call_terms(collateral_type)
        due = vault.called_at + terms.grace
        in_time = due <= self.world.timestamp <= due + terms.valid
        short = not self._has_ratio(collateral_type, vault.locked_collateral, price, debt, terms.ratio)
        return terms.ratio != 0 and in_time and short


def _build_position(vault: VaultState, price: int, buyer: str) -> Position:
    """Return the vault's state as a liquidation mechanism reads it.

    The zero address as buyer means that there is no buyer.
    """
    return Position(
        vault.locked_collateral,
        vault.normalized_debt,
        vault.accumulated_rate,
        vault.liquidation_ratio,
        vault.debt_floor,
        vault.unit,
        price,
        buyer,
    )


def _compute_part_lot_and_debt(vault: VaultState, normalized_debt: int) -> tuple[int, int]:
    """Return the collateral of a part of a vault, and the normalized debt that goes with it [wad].

    The debt is rounded up. The collateral is rounded down for the requested debt. It is rounded up by one
    unit if it would be 0, or if the debt would be under the debt floor.
    """
    lot = vault.locked_collateral * normalized_debt // vault.normalized_debt // vault.unit * vault.unit
    part = div_up(lot * vault.normalized_debt, vault.locked_collateral)
    if lot == 0 or part * vault.accumulated_rate < vault.debt_floor:
        lot += vault.unit
        part = div_up(lot * vault.normalized_debt, vault.locked_collateral)
    return lot, part
