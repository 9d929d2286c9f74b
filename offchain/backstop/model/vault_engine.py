"""Vaults, their liquidation, coverage and settlement. Collateral in wad, debt in rad, prices in ray."""

from __future__ import annotations

from typing import cast

from backstop.contract_base import ZERO_ADDRESS, World, external, immutable, require, view
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, add_uint256, div_up, sub
from backstop.model.interfaces import (
    Debts,
    ILiquidationEngine,
    IPriceFeed,
    IRiskPolicy,
    NewRisk,
    Terms,
    Vault,
    VaultState,
)
from backstop.model.ledger import DISTRESSED, NO_CEILING
from backstop.model.loss_cover import Coverage

MAX_LOCKED = 2**103 - 1
MAX_LOTS = 2**15 - 1
"""Auctions and workouts of one vault at a time."""


class VaultEngine(Coverage):
    """Vaults: collateral, debt, liquidation, loss coverage, settlement (model of VaultEngine.vy)."""

    KIND = "VaultEngine"

    # Where prices come from.
    price_feed_address = immutable("PRICE_FEED", str)
    # Winds the protocol up.
    settlement = immutable("SETTLEMENT", str)

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        stablecoin: str,
        price_feed: str,
        liquidation_engine: str,
        collateral_auction: str,
        loss_waterfall: str,
        treasury: str,
        settlement: str,
        risk_policy: str,
        admin: str,
    ) -> None:
        super().__init__(
            world, name, address, stablecoin, loss_waterfall, collateral_auction, risk_policy, treasury, admin
        )
        self.price_feed_address = price_feed
        self.liquidation_engine = liquidation_engine
        self.settlement = settlement
        self.vaults = self.table("vaults", Vault())
        self.approvals = self.table("operators", False)

    # ------------------------------------------------------------------ vaults

    @external
    def deposit_and_draw(
        self, sender: str, collateral_type: int, owner: str, deposit: int, draw: int, receiver: str
    ) -> None:
        """Lock the caller's collateral in a vault [wad] and draw stablecoin to a receiver [wad].

        Collateral is rounded down to the token's unit, debt is rounded up. Only the owner or an operator may
        draw. Raises RevertError if the vault would be unsafe or a debt limit would be broken.
        """
        terms = self._load_terms(collateral_type)
        self._check_not(terms.settling)
        debts = self._post_accrual(collateral_type)
        vault: Vault = self.vaults[collateral_type, owner]

        moved = deposit // terms.unit
        if deposit != 0:
            vault = vault._replace(locked_collateral=add_uint256(vault.locked_collateral, moved * terms.unit))
            require(vault.locked_collateral <= MAX_LOCKED, "vault_engine: vault is full")

        dust = 0
        if draw != 0:
            self._check_consent(sender, owner)
            require(draw < 2**128, "vault_engine: draw too large")
            rate, distress = debts.accumulated_rate, 0
            if debts.distressed:
                distress = self._sum_auctioned_principal_and_deficit(collateral_type)
                # Whoever left before a redistribution and comes back while it counts pays it as well.
                added = self._compute_current_redistribution(collateral_type).used
                rate -= added
                if added == 0:
                    debts = debts._replace(distressed=debts.distressed & DISTRESSED)
            before = debts.normalized_debt
            drawn = div_up(draw * RAY, rate)
            vault = vault._replace(normalized_debt=vault.normalized_debt + drawn)
            debts = debts._replace(normalized_debt=before + drawn)
            require(debts.performing + distress <= terms.debt_ceiling * RAD, "vault_engine: debt ceiling")
            debt = vault.normalized_debt * debts.accumulated_rate
            require(debt >= terms.debt_floor * RAD, "vault_engine: debt floor")
            if self.first_policy == ZERO_ADDRESS:
                self._check_price(collateral_type, vault.locked_collateral, debt, terms.initial_ratio)
            else:
                kind = terms.dynamic, terms.replaced
                self._check_risk(
                    collateral_type, vault, debt, terms.initial_ratio, *kind, debts, before, draw, 0
                )
            dust = drawn * debts.accumulated_rate - draw * RAY

        elif vault.called_at != 0:
            called_at = self._get_call_time_unless_met(collateral_type, vault, debts.accumulated_rate)
            vault = vault._replace(called_at=called_at)
        self.debts[collateral_type] = debts
        self._store_vault_and_emit(collateral_type, owner, vault)

        if moved != 0:
            self._pull_collateral(sender, terms.token, moved)
        if draw != 0:
            self._post_draw(receiver, draw, dust)

    @external
    def repay_and_withdraw(
        self, sender: str, collateral_type: int, owner: str, repay: int, withdraw: int, receiver: str
    ) -> None:
        """Repay a vault's debt from the caller's stablecoin and withdraw collateral to a receiver [wad].

        At most the whole debt is repaid, rounded up; a partial repayment stops at the debt floor. Only the
        owner or an operator may withdraw. Raises RevertError if the vault would be unsafe.
        """
        terms = self._load_terms(collateral_type)
        debts = self._post_accrual(collateral_type)
        vault: Vault = self.vaults[collateral_type, owner]
        if vault.normalized_debt != 0:
            self._check_not(terms.settling)

        before = debts.normalized_debt
        burned = repaid = 0
        if repay != 0 and vault.normalized_debt != 0:
            debt = vault.normalized_debt * debts.accumulated_rate
            whole = div_up(debt, RAY)
            burned = min(repay, whole)
            repaid = vault.normalized_debt
            if burned != whole:
                repaid = burned * RAY // debts.accumulated_rate
                least = terms.debt_floor * RAD
                # A part ends at the floor, so that nobody's crumb makes a repayment down to it fail.
                most = vault.normalized_debt - div_up(least, debts.accumulated_rate)
                if debt >= least and repaid > most:
                    repaid, burned = most, div_up(most * debts.accumulated_rate, RAY)
                require(repaid != 0, "vault_engine: repays nothing")
            vault = vault._replace(normalized_debt=vault.normalized_debt - repaid)
            debts = debts._replace(normalized_debt=debts.normalized_debt - repaid)
            rest = vault.normalized_debt * debts.accumulated_rate
            self._add_to_reserve(burned * RAY - (debt - rest))

        moved = 0
        if withdraw != 0:
            self._check_consent(sender, owner)
            moved = withdraw // terms.unit
            withdrawn = moved * terms.unit
            require(withdrawn <= vault.locked_collateral, "vault_engine: not enough locked")
            vault = vault._replace(locked_collateral=vault.locked_collateral - withdrawn)
            if vault.normalized_debt != 0:
                debt = vault.normalized_debt * debts.accumulated_rate
                if self.first_policy == ZERO_ADDRESS:
                    self._check_price(collateral_type, vault.locked_collateral, debt, terms.initial_ratio)
                else:
                    kind = terms.dynamic, terms.replaced
                    self._check_risk(
                        collateral_type, vault, debt, terms.initial_ratio, *kind, debts, before, 0, withdrawn
                    )
        if repaid != 0 and terms.dynamic:
            self._update_dynamic_fee(collateral_type, terms.replaced, debts, before)
        if vault.called_at != 0:
            called_at = self._get_call_time_unless_met(collateral_type, vault, debts.accumulated_rate)
            vault = vault._replace(called_at=called_at)
        self.debts[collateral_type] = debts
        self._store_vault_and_emit(collateral_type, owner, vault)

        if burned != 0:
            self._burn_stablecoin(sender, burned)
        if moved != 0:
            self._push_collateral(terms.token, receiver, moved)

    @external
    def approve_operator(self, sender: str, operator: str, approved: bool) -> None:
        """Allow or forbid an account to draw and withdraw from the caller's vaults."""
        self.approvals[sender, operator] = approved
        self.emit("OperatorApproved", sender, operator, approved)

    @external
    def accrue(self, sender: str, collateral_type: int) -> int:
        """Charge a type's stability fee up to now and return its accumulated rate [ray], rounded down."""
        self._load_terms(collateral_type)
        return self._accrue_fees(collateral_type).accumulated_rate

    # ------------------------------------------------- liquidation and auctions

    @external
    def accrue_and_read(
        self, sender: str, collateral_type: int, owner: str, auction_limit_factor: int
    ) -> VaultState:
        """Charge a type's stability fee and return all vault data that a liquidation needs.

        The room under the auction limits is computed with limits multiplied by the factor [basis points].
        """
        terms = self._load_terms(collateral_type)
        debts = self._accrue_fees(collateral_type)
        vault: Vault = self.vaults[collateral_type, owner]
        return VaultState(
            locked_collateral=vault.locked_collateral,
            normalized_debt=vault.normalized_debt,
            accumulated_rate=debts.accumulated_rate,
            liquidation_ratio=terms.liquidation_ratio,
            debt_floor=terms.debt_floor * RAD,
            room=0 if terms.settling else self._compute_auction_room(collateral_type, auction_limit_factor),
            unit=terms.unit,
            called_at=vault.called_at,
            replaced=int(terms.replaced),
            has_mechanism=self._get_mechanism_flag(collateral_type),
        )

    @external
    def set_called(self, sender: str, collateral_type: int, owner: str) -> None:
        """Record a margin call of a vault, which takes no new risk until the call is met.

        Only the liquidation engine may call.
        """
        self._only_liquidation(sender)
        self._check_live()
        vault: Vault = self.vaults[collateral_type, owner]
        self._store_vault_and_emit(collateral_type, owner, vault._replace(called_at=self.world.timestamp))

    @external
    def note_mechanism(self, sender: str, collateral_type: int) -> None:
        """Record permanently that a liquidation mechanism sells a type's vaults.

        Auctions of the type then have no room any more. Only the liquidation engine may call.
        """
        self._only_liquidation(sender)
        self._note_mechanism(collateral_type)

    @external
    def seize(
        self,
        sender: str,
        collateral_type: int,
        owner: str,
        collateral: int,
        normalized_debt: int,
        receiver: str,
        reward: int,
    ) -> None:
        """Move debt and collateral of a vault into an auction and pay the liquidator's reward.

        The collateral and normalized debt are in wad. The debt moves from performing to in auction. Only the
        liquidation engine may call.
        """
        self._only_liquidation(sender)
        vault: Vault = self.vaults[collateral_type, owner]
        vault = vault._replace(
            locked_collateral=sub(vault.locked_collateral, collateral),
            normalized_debt=sub(vault.normalized_debt, normalized_debt),
            liquidated=True,
        )
        if vault.normalized_debt == 0:
            vault = vault._replace(called_at=0)
        if collateral != 0 and normalized_debt != 0:
            require(vault.open_lots < MAX_LOTS, "vault_engine: too many lots")
            vault = vault._replace(open_lots=vault.open_lots + 1)
        debts = self._post_liquidation(collateral_type, normalized_debt)
        terms: Terms = self.terms[collateral_type]
        # An issuer writes debt down in settlement too, where no rate moves.
        if terms.dynamic and not terms.settling:
            self._update_dynamic_fee(
                collateral_type, terms.replaced, debts, debts.normalized_debt + normalized_debt
            )
        self._store_vault_and_emit(collateral_type, owner, vault)
        self._pay_reward_from_reserve(collateral_type, receiver, reward)

    @external
    def release(self, sender: str, collateral_type: int, amount: int, receiver: str) -> None:
        """Transfer auctioned collateral to a receiver [wad]; only the auction contract may call."""
        self._only_auction(sender)
        self._check_not_settled(collateral_type)
        self._deliver_collateral(self.terms[collateral_type], amount, receiver)

    @external
    def settle_take(
        self,
        sender: str,
        collateral_type: int,
        payer: str,
        paid: int,
        principal: int,
        surplus: int,
        owner: str,
        returned: int,
    ) -> None:
        """Burn a bidder's payment [wad] and book the repaid principal and surplus [rad].

        `returned` is collateral left over [wad]. It goes to the owner's vault, or to salvage if `owner` is
        the zero address. The surplus goes to the type's buffer, or to the reserve for a retired type. Only
        the auction contract may call.
        """
        self._only_auction(sender)
        self._post_repaid_auction_principal(collateral_type, principal)
        if self.terms[collateral_type].settling:
            self._add_to_reserve(surplus)
        else:
            self._post_to_buffer(collateral_type, surplus)
        if owner != ZERO_ADDRESS:
            vault = self._build_vault_with_fewer_lots(collateral_type, owner)
            vault = vault._replace(locked_collateral=vault.locked_collateral + returned)
            require(vault.locked_collateral < 2**104, "vault_engine: too much returned")
            self._store_vault_and_emit(collateral_type, owner, vault)
        elif returned != 0:
            self._add_salvage_collateral(collateral_type, returned)
        self._burn_stablecoin(payer, paid)

    @external
    def write_off(self, sender: str, collateral_type: int, owner: str, principal: int, salvage: int) -> None:
        """Book a closed auction's unpaid principal as deficit [rad], and keep its unsold collateral [wad].

        Only the auction contract may call.
        """
        self._only_auction(sender)
        if salvage != 0:
            self._add_salvage_collateral(collateral_type, salvage)
        self._post_loss(collateral_type, principal)
        if owner != ZERO_ADDRESS:
            self._store_vault_and_emit(
                collateral_type, owner, self._build_vault_with_fewer_lots(collateral_type, owner)
            )

    @external
    def reward(self, sender: str, collateral_type: int, receiver: str, amount: int) -> None:
        """Pay the reward for the reset of an auction from the reserve; only the auction contract may call."""
        self._only_auction(sender)
        self._check_not_settled(collateral_type)
        self._pay_reward_from_reserve(collateral_type, receiver, amount)

    @external
    def take_salvage(self, sender: str, collateral_type: int, amount: int) -> None:
        """Remove collateral left over from closed auctions (salvage) for a new auction [wad].

        Only the auction contract may call.
        """
        self._only_auction(sender)
        self._check_live()
        self._subtract_salvage_collateral(collateral_type, amount)

    # -------------------------------------------------------------- settlement

    @external
    def begin_settlement(self, sender: str) -> None:
        """Charge all stability fees a last time, set them to zero, and freeze vaults with debt.

        Only the settlement contract may call.
        """
        self._only_settlement(sender)
        self._store_global_debt_ceiling(NO_CEILING)
        for c in self._list_types():
            self._accrue_fees(c)
            self._store_stability_fee(c, 0)
            self._mark_settling(c)
        self.loss_waterfall.wind_up(self.address)

    @external
    def unwind(self, sender: str, collateral_type: int, owner: str, lot: int, principal: int) -> None:
        """Return the lot [wad] and the unpaid principal [rad] of an open auction to its vault.

        The debt is rounded up. Without an owner the lot stays with the protocol as salvage (collateral left
        over from auctions). Only the auction contract may call.
        """
        self._only_auction(sender)
        if owner == ZERO_ADDRESS:
            self._add_salvage_collateral(collateral_type, lot)
        else:
            vault = self._build_vault_with_fewer_lots(collateral_type, owner)
            if vault.locked_collateral + lot < 2**104:
                vault = vault._replace(locked_collateral=vault.locked_collateral + lot)
            else:
                self._add_salvage_collateral(collateral_type, lot)
            debt = vault.normalized_debt + self._move_auctioned_principal_to_performing(
                collateral_type, principal
            )
            self._store_vault_and_emit(collateral_type, owner, vault._replace(normalized_debt=debt))

    @external
    def skim(self, sender: str, collateral_type: int, owner: str, taken: int, worth: int) -> None:
        """Settle a vault's whole debt with `taken` collateral [wad] that is worth `worth` [rad].

        Debt above the worth becomes a loss. Only the settlement contract may call.
        """
        self._only_settlement(sender)
        vault: Vault = self.vaults[collateral_type, owner]
        require(vault.open_lots == 0, "vault_engine: lots are open")
        locked = sub(vault.locked_collateral, taken)
        self._store_vault_and_emit(
            collateral_type, owner, vault._replace(locked_collateral=locked, normalized_debt=0)
        )
        self._add_salvage_collateral(collateral_type, taken)
        self._post_settled(collateral_type, vault.normalized_debt, worth)

    @external
    def net(self, sender: str) -> int:
        """Close the books and return the supply of stablecoin to be redeemed [wad].

        Only the settlement contract may call.
        """
        self._only_settlement(sender)
        self.loss_waterfall.close_books(self.address)
        return self._post_netted(int(self.listing[()]))

    @external
    def redeem(self, sender: str, owner: str, amount: int) -> None:
        """Burn an owner's stablecoin in exchange for settled collateral [wad].

        Only the settlement contract may call.
        """
        self._only_settlement(sender)
        self._post_redeemed(owner, amount)

    @external
    def pay_out(self, sender: str, collateral_type: int, amount: int, receiver: str) -> None:
        """Transfer collateral that settlement has taken to a receiver [wad].

        Only the settlement contract may call.
        """
        self._only_settlement(sender)
        self._subtract_salvage_collateral(collateral_type, amount)
        self._deliver_collateral(self.terms[collateral_type], amount, receiver)

    # ------------------------------------------------------------------- views

    @view
    def operators(self, sender: str, owner: str, operator: str) -> bool:
        """Return True if an operator may draw and withdraw from an owner's vaults."""
        return bool(self.approvals[owner, operator])

    @view
    def vault(self, sender: str, collateral_type: int, owner: str) -> Vault:
        """Return a vault's record: locked collateral, normalized debt [wad], margin call, open lots."""
        found: Vault = self.vaults[collateral_type, owner]
        return found

    @view
    def types_under_auction(self, sender: str) -> int:
        """Return a bit mask of the listed types that have principal under auction."""
        return sum(1 << c for c in self._list_types() if self.auctions[c].in_auction)

    @view
    def total_debt(self, sender: str) -> int:
        """Return the total debt of all listed types: performing, in auction and in deficit [rad]."""
        return sum(
            self.debts[collateral_type].performing
            + self._sum_auctioned_principal_and_deficit(collateral_type)
            for collateral_type in self._list_types()
        )

    # ----------------------------------------------------------------- helpers

    def _check_consent(self, sender: str, owner: str) -> None:
        require(sender == owner or self.approvals[owner, sender], "vault_engine: not approved")

    def _check_price(
        self, collateral_type: int, locked_collateral: int, debt: int, initial_ratio: int
    ) -> None:
        """Raise RevertError unless a vault is safe at the lower of the current and next price.

        This is the check of new risk without a risk policy.
        """
        feed = cast(IPriceFeed, self.world.at(self.price_feed_address))
        price = feed.risk_price(self.address, collateral_type)
        require(price != 0, "vault_engine: no price")
        require(locked_collateral * price * BASIS_POINTS >= debt * initial_ratio, "vault_engine: unsafe")

    def _check_risk(
        self,
        collateral_type: int,
        vault: Vault,
        debt: int,
        initial_ratio: int,
        dynamic: bool,
        replaced: bool,
        debts: Debts,
        before: int,
        drawn: int,
        withdrawn: int,
    ) -> None:
        """Raise RevertError unless the risk policy accepts new risk; update a dynamic fee.

        `vault` and `debts` hold the values after the change. `before` is the type's normalized debt before
        the call.
        """
        require(vault.called_at == 0, "vault_engine: margin call")
        distress = self._sum_auctioned_principal_and_deficit(collateral_type) if debts.distressed else 0
        risk = NewRisk(
            collateral_type=collateral_type,
            locked_collateral=vault.locked_collateral,
            debt=debt,
            initial_ratio=initial_ratio,
            drawn=drawn,
            withdrawn=withdrawn,
            type_debt=debts.performing + distress,
            performing=debts.performing,
            performing_before=before * debts.accumulated_rate,
        )
        policy = cast(IRiskPolicy, self.world.at(self._get_policy(replaced)))
        fee = policy.check_new_risk(self.address, risk)
        if dynamic:
            self._set_fee_from_policy(collateral_type, fee)

    def _get_call_time_unless_met(self, collateral_type: int, vault: Vault, rate: int) -> int:
        """Return the time of a vault's margin call [seconds]; 0 if the call is met."""
        engine = cast(ILiquidationEngine, self.world.at(self.liquidation_engine))
        debt = vault.normalized_debt * rate
        met = engine.satisfies_margin_call(self.address, collateral_type, vault.locked_collateral, debt)
        return 0 if met else vault.called_at

    def _only_liquidation(self, sender: str) -> None:
        require(sender == self.liquidation_engine, "vault_engine: only liquidation")

    def _only_settlement(self, sender: str) -> None:
        require(sender == self.settlement, "vault_engine: only settlement")

    def _only_auction(self, sender: str) -> None:
        require(sender == self.collateral_auction, "vault_engine: only auction")

    def _build_vault_with_fewer_lots(self, collateral_type: int, owner: str) -> Vault:
        """Return a vault's record with one open lot less, without storing it."""
        vault: Vault = self.vaults[collateral_type, owner]
        return vault._replace(open_lots=vault.open_lots - 1)

    def _store_vault_and_emit(self, collateral_type: int, owner: str, vault: Vault) -> None:
        self.vaults[collateral_type, owner] = vault
        self.emit("VaultChanged", collateral_type, owner, vault.locked_collateral, vault.normalized_debt)
