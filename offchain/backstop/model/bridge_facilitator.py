"""Stablecoin drawn for another chain: a collateral type with one vault, and a note as its token.

The bridge owes what is drawn. Its line is the type's debt ceiling; debt that it cannot repay is announced, in
doubt at once, and booked as a deficit after a delay. Amounts in wad.
"""

from __future__ import annotations

from typing import cast

from backstop.contract_base import (
    World,
    external,
    immutable,
    require,
    view,
)
from backstop.model import bounds
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD, add_uint256, div_up, mul_uint256
from backstop.model.erc20 import ERC20
from backstop.model.interfaces import (
    IERC20,
    Announcement,
    ILiquidationEngine,
    ILossWaterfall,
    IPriceFeed,
    IVaultEngine,
    VaultState,
)
from backstop.model.roles import GUARDIAN, MINTER, SHORTFALL, Administered


class BridgeFacilitator(Administered, ERC20):
    """See contracts/BridgeFacilitator.vy."""

    KIND = "BridgeFacilitator"

    vault_engine_address = immutable("VAULT_ENGINE", str)
    price_feed_address = immutable("PRICE_FEED", str)
    liquidation_engine_address = immutable("LIQUIDATION_ENGINE", str)
    loss_waterfall_address = immutable("LOSS_WATERFALL", str)
    stablecoin_address = immutable("STABLECOIN", str)
    # The type that the note is listed as.
    collateral_type = immutable("COLLATERAL_TYPE", int)
    # Seconds from the announcement of a loss to when it may be realised.
    delay = immutable("DELAY", int)

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        note_name: str,
        collateral_type: int,
        vault_engine: str,
        price_feed: str,
        liquidation_engine: str,
        loss_waterfall: str,
        stablecoin: str,
        admin: str,
        delay: int,
    ) -> None:
        super().__init__(world, name, address, admin, note_name, "NOTE", 18)
        require(bounds.MIN_LOSS_DELAY <= delay <= bounds.MAX_LOSS_DELAY, "facilitator: delay bounds")
        self.collateral_type = collateral_type
        self.vault_engine_address = vault_engine
        self.price_feed_address = price_feed
        self.liquidation_engine_address = liquidation_engine
        self.loss_waterfall_address = loss_waterfall
        self.stablecoin_address = stablecoin
        self.delay = delay
        self.announcements = self.table("announced", Announcement())
        self.losses = self.table("lost")
        self.payments = self.table("paid")
        self.redeemed = self.table("redeemed_of")
        self.collected = self.table("collected_of")
        self._mint_tokens(admin, WAD)
        self._set_allowance(address, vault_engine, MAX_UINT256)

    @property
    def engine(self) -> IVaultEngine:
        return cast(IVaultEngine, self.world.at(self.vault_engine_address))

    @property
    def feed(self) -> IPriceFeed:
        return cast(IPriceFeed, self.world.at(self.price_feed_address))

    @property
    def waterfall(self) -> ILossWaterfall:
        return cast(ILossWaterfall, self.world.at(self.loss_waterfall_address))

    @property
    def stablecoin(self) -> IERC20:
        return cast(IERC20, self.world.at(self.stablecoin_address))

    @external
    def open(self, sender: str) -> None:
        """Begin: burn the note that listing has moved; only then notes have a price."""
        self._only_admin(sender)
        token = self.engine.terms_of(self.address, self.collateral_type).token
        require(token == self.address, "facilitator: other type")
        self._burn_tokens(sender, WAD)
        self._set_note_price_and_flag()

    @external
    def draw(self, sender: str, amount: int, receiver: str) -> None:
        """Create stablecoin for the bridge, and notes as far as those locked do not cover the debt."""
        self._check_role(sender, MINTER)
        require(self._loss_announcement.amount == 0, "facilitator: loss announced")
        vault = self._load_vault()
        rate = vault.accumulated_rate
        normalized_debt = add_uint256(vault.normalized_debt, div_up(mul_uint256(amount, RAY), rate))
        debt = div_up(mul_uint256(normalized_debt, rate), RAY)
        line = self.engine.terms_of(self.address, self.collateral_type).debt_ceiling * WAD
        require(add_uint256(debt, self.losses[()]) <= line, "facilitator: over its line")
        notes = debt - min(debt, vault.locked_collateral)
        self._mint_tokens(self.address, notes)
        self.emit("Drawn", receiver, amount, notes)
        self.engine.deposit_and_draw(
            self.address, self.collateral_type, self.address, notes, amount, receiver
        )

    @external
    def repay(self, sender: str, amount: int) -> int:
        """Repay debt, and return the amount taken [wad].

        In settlement, the payment is kept for holders that redeem notes.
        """
        paid = amount
        settling = self.engine.in_settlement(self.address)
        if not settling:
            vault = self._load_vault()
            paid = min(paid, div_up(vault.normalized_debt * vault.accumulated_rate, RAY))
        self.stablecoin.transferFrom(self.address, sender, self.address, paid)
        self.emit("Repaid", sender, paid)
        if settling:
            self.payments[()] = add_uint256(self.payments[()], paid)
        else:
            self.engine.repay_and_withdraw(
                self.address, self.collateral_type, self.address, paid, 0, self.address
            )
            if self._loss_announcement.amount != 0:
                self._set_note_price_and_flag()
        return paid

    @external
    def announce_loss(self, sender: str, amount: int) -> None:
        """Announce the debt that will not be repaid: the admin, and guardians upwards only."""
        if sender != self.admins[()]:
            self._check_role(sender, GUARDIAN)
            require(amount > self._loss_announcement.amount, "facilitator: only raise")
        require(0 < amount < 2**128, "facilitator: loss bounds")
        self._store_loss_announcement(Announcement(amount, self.world.timestamp + self.delay))

    @external
    def cancel_loss(self, sender: str) -> None:
        """Take an announced loss back."""
        self._only_admin(sender)
        self._store_loss_announcement(Announcement())

    @external
    def realise_loss(self, sender: str) -> int:
        """Book an announced loss, or all of the debt if that is less, as a deficit of the type."""
        announced = self._loss_announcement
        require(announced.amount != 0, "facilitator: no loss")
        require(self.world.timestamp >= announced.ready_at, "facilitator: too early")
        liquidations = cast(ILiquidationEngine, self.world.at(self.liquidation_engine_address))
        principal = liquidations.write_down(self.address, self.collateral_type, announced.amount)
        amount = div_up(principal, RAY)
        self.losses[()] = self.losses[()] + amount
        self.emit("LossRealised", amount)
        self._store_loss_announcement(Announcement())
        return amount

    @external
    def mint_for_loss(self, sender: str, amount: int, receiver: str) -> int:
        """Create stablecoin for a loss that has happened, within the line, and book it at once; how much."""
        self._check_role(sender, SHORTFALL)
        require(self._loss_announcement.amount == 0, "facilitator: loss announced")
        vault = self._load_vault()
        debt = div_up(vault.normalized_debt * vault.accumulated_rate, RAY)
        line = self.engine.terms_of(self.address, self.collateral_type).debt_ceiling * WAD
        drawn = min(amount, line - min(line, debt + self.losses[()]))
        if drawn != 0:
            # No margin is above that.
            locked = (debt + drawn) * 3
            notes = locked - min(locked, vault.locked_collateral)
            self._mint_tokens(self.address, notes)
            self.emit("Drawn", receiver, drawn, notes)
            self.engine.deposit_and_draw(
                self.address, self.collateral_type, self.address, notes, drawn, receiver
            )
            liquidations = cast(ILiquidationEngine, self.world.at(self.liquidation_engine_address))
            # As many units of debt as were drawn, rounded up, so that none of them stays owed.
            after = self._load_vault()
            owed = (after.normalized_debt - vault.normalized_debt) * after.accumulated_rate
            liquidations.write_down(self.address, self.collateral_type, div_up(owed, RAY))
            self.losses[()] = self.losses[()] + drawn
            self.emit("LossRealised", drawn)
            self._set_note_price_and_flag()
        return int(drawn)

    @external
    def recover(self, sender: str, amount: int) -> int:
        """Repay lost debt: the uncovered part of the deficit first, the remainder to the reserve."""
        require(not self.engine.in_settlement(self.address), "facilitator: in settlement")
        require(
            self.waterfall.reserved_of(self.address, self.collateral_type) == 0,
            "facilitator: stages are busy",
        )
        recovered = min(amount, self.losses[()])
        self.losses[()] = self.losses[()] - recovered
        self.emit("Recovered", sender, recovered)
        self.stablecoin.transferFrom(self.address, sender, self.address, recovered)
        self.engine.cover_from_tokens(self.address, self.collateral_type, self.address, recovered * RAY)
        return int(recovered)

    @external
    def sync_note(self, sender: str) -> None:
        """Update the price of a note, and flag the announced loss."""
        price = self.feed.current_price(self.address, self.collateral_type)
        require(price != 0, "facilitator: not open")
        self._set_note_price_and_flag()

    @external
    def redeem(self, sender: str, notes: int) -> int:
        """Redeem notes for their share of the bridge's payments since settlement began."""
        require(self.engine.in_settlement(self.address), "facilitator: not settling")
        self.redeemed[sender] = add_uint256(self.redeemed[sender], notes)
        self._transfer_tokens(sender, self.address, notes)
        out = self.supply[()] - self._load_vault().locked_collateral
        due = 0
        if out != 0:
            due = self.redeemed[sender] * self.payments[()] // out - self.collected[sender]
            self.collected[sender] = self.collected[sender] + due
            self.stablecoin.transfer(self.address, sender, due)
        self.emit("Redeemed", sender, notes, due)
        return int(due)

    @view
    def announcement(self, sender: str) -> Announcement:
        """Return the announced loss [wad], and from when on it may be realised [seconds]."""
        return self._loss_announcement

    @view
    def lost(self, sender: str) -> int:
        """Return what was lost and has not been recovered [wad]."""
        return int(self.losses[()])

    @view
    def paid(self, sender: str) -> int:
        """Return what came in during settlement [wad]."""
        return int(self.payments[()])

    @view
    def redeemed_of(self, sender: str, owner: str) -> int:
        """Return the notes that the owner has redeemed [wad]."""
        return int(self.redeemed[owner])

    @view
    def collected_of(self, sender: str, owner: str) -> int:
        """Return the stablecoin that the owner received for notes [wad]."""
        return int(self.collected[owner])

    @property
    def _loss_announcement(self) -> Announcement:
        return cast(Announcement, self.announcements[()])

    def _store_loss_announcement(self, new: Announcement) -> None:
        self.announcements[()] = new
        self.emit("LossAnnounced", new.amount, new.ready_at)
        self._set_note_price_and_flag()

    def _set_note_price_and_flag(self) -> None:
        """Set price and flag: a note is a stablecoin; with a loss announced, its share of the debt left."""
        vault = self._load_vault()
        debt = vault.normalized_debt * vault.accumulated_rate
        loss = self._loss_announcement.amount * RAY
        price = RAY
        if vault.locked_collateral != 0:
            if loss == 0:
                # More once a fee has grown on the debt.
                price = max(price, div_up(debt, vault.locked_collateral))
            else:
                # Zero would be no price, and no flag.
                price = max(1, (debt - min(debt, loss)) // vault.locked_collateral)
        self.feed.set_price(self.address, self.collateral_type, price)
        liquidations = cast(ILiquidationEngine, self.world.at(self.liquidation_engine_address))
        liquidations.flag(self.address, self.collateral_type, self.address)

    def _load_vault(self) -> VaultState:
        """Return the facilitator's vault, with all fees charged."""
        return self.engine.accrue_and_read(self.address, self.collateral_type, self.address, 0)
