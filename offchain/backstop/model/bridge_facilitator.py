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
    """Collateral type through which a bridge borrows stablecoin for another chain.

    The facilitator owns the type's only vault. Its collateral is a note token that the facilitator mints
    itself. The debt ceiling is the bridge's credit line. Model of contracts/BridgeFacilitator.vy.
    """

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
        """Burn the admin's first note and set the note's price, so that the bridge can draw.

        Only the admin may call this, after the note is listed as the facilitator's collateral type.
        """
        self._only_admin(sender)
        token = self.engine.terms_of(self.address, self.collateral_type).token
        require(token == self.address, "facilitator: other type")
        self._burn_tokens(sender, WAD)
        self._set_note_price_and_flag()

    @external
    def draw(self, sender: str, amount: int, receiver: str) -> None:
        """Mint stablecoin [wad] to the receiver, as debt of the facilitator's vault.

        Only the role MINTER may call this. Notes (the vault's collateral token) are minted as far as those in
        the vault do not cover the debt. Reverts if debt plus unrecovered losses would exceed the debt
        ceiling, or while a loss is announced.
        """
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
        """Repay debt of the facilitator's vault, and return the stablecoin taken [wad].

        The caller pays. At most the debt is taken. In settlement the whole amount is taken, and is kept for
        holders that redeem notes.
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
        """Announce the amount of debt that will not be repaid [wad]; it can be booked after the delay.

        The admin may set any amount, a guardian only a higher one than the present announcement. The
        announced debt counts at once as debt in doubt (debt that may be lost).
        """
        if sender != self.admins[()]:
            self._check_role(sender, GUARDIAN)
            require(amount > self._loss_announcement.amount, "facilitator: only raise")
        require(0 < amount < 2**128, "facilitator: loss bounds")
        self._store_loss_announcement(Announcement(amount, self.world.timestamp + self.delay))

    @external
    def cancel_loss(self, sender: str) -> None:
        """Cancel the announced loss, and restore the note's price. Only the admin may call this."""
        self._only_admin(sender)
        self._store_loss_announcement(Announcement())

    @external
    def realise_loss(self, sender: str) -> int:
        """Book the announced loss as the type's deficit, and return it [wad, rounded up].

        Any account may call this once the delay is over. At most the whole debt of the vault is booked.
        """
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
        """Mint stablecoin for a loss that has happened, and book it as a deficit at once.

        Only the role SHORTFALL may call this. Returns the amount minted [wad]: at most the unused part of the
        debt ceiling. Reverts while a loss is announced.
        """
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
        """Repay debt that was booked as lost, and return the stablecoin taken from the caller [wad].

        At most the unrecovered losses are taken. The payment covers the type's deficit first; the remainder
        goes to the reserve. Reverts in settlement, and while a stage of the loss waterfall has reserved part
        of the deficit.
        """
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
        """Update the price of a note, and mark the announced loss as debt in doubt (debt that may be lost).

        A note is the token that the facilitator's vault holds as collateral. Any account may call this.
        """
        price = self.feed.current_price(self.address, self.collateral_type)
        require(price != 0, "facilitator: not open")
        self._set_note_price_and_flag()

    @external
    def redeem(self, sender: str, notes: int) -> int:
        """Redeem notes [wad] in settlement, and return the stablecoin paid for them [wad, rounded down].

        A note is the facilitator's collateral token. It earns a pro rata share of the repayments since
        settlement began. Shares of later repayments are paid at the holder's next redemption.
        """
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
        """Return the announced loss [wad; 0 if none] and the time from which it can be booked [seconds]."""
        return self._loss_announcement

    @view
    def lost(self, sender: str) -> int:
        """Return the debt that was booked as lost and has not been recovered [wad]."""
        return int(self.losses[()])

    @view
    def paid(self, sender: str) -> int:
        """Return the stablecoin that the bridge has repaid since settlement began [wad]."""
        return int(self.payments[()])

    @view
    def redeemed_of(self, sender: str, owner: str) -> int:
        """Return the facilitator's collateral notes that the owner has redeemed in settlement [wad]."""
        return int(self.redeemed[owner])

    @view
    def collected_of(self, sender: str, owner: str) -> int:
        """Return the stablecoin that the owner has received for redeemed collateral notes [wad]."""
        return int(self.collected[owner])

    @property
    def _loss_announcement(self) -> Announcement:
        return cast(Announcement, self.announcements[()])

    def _store_loss_announcement(self, new: Announcement) -> None:
        self.announcements[()] = new
        self.emit("LossAnnounced", new.amount, new.ready_at)
        self._set_note_price_and_flag()

    def _set_note_price_and_flag(self) -> None:
        """Set the price of a note, and mark the announced loss as debt in doubt (debt that may be lost).

        A note is worth one stablecoin, or more once fees have raised the debt above the notes. With a loss
        announced, a note is worth its share of the debt that will be repaid, and at least 1 ray, because 0
        means no price.
        """
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
        """Charge all fees up to now, and return the state of the facilitator's vault."""
        return self.engine.accrue_and_read(self.address, self.collateral_type, self.address, 0)
