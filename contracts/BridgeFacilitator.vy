# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title BridgeFacilitator
@license GNU Affero General Public License v3.0 only
@notice Stablecoin drawn for use elsewhere: a bridge mints here the amount that it locks or burns there, and
        owes it until it pays it back. A facilitator is an ordinary collateral type with one vault. Its token
        is the facilitator's own note: a stablecoin owed by the bridge. So its line is the type's debt
        ceiling, and flows, modes, waterfall and settlement treat it like any other. A loss of the bridge is
        announced, visible at once, and booked after a delay.
@dev Notes are locked in the vault from the moment they are created, so no other account can lock any. They
     come out only in settlement, to holders of stablecoin. The price of a note is the facilitator's own word
     at the feed: a stablecoin, less the announced loss. Nothing is sold, so the type's auction limit is zero,
     and both of its ratios are one. The contract needs the role STAGE at the vault engine for `recover`.
"""
from ethereum.ercs import IERC20
from snekmate.auth import ownable
from snekmate.tokens import erc20

from contracts.interfaces import IBridgeFacilitator
from contracts.interfaces import ILiquidationEngine
from contracts.interfaces import ILossWaterfall
from contracts.interfaces import IPriceFeed
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds
from contracts.modules import roles
from contracts.modules import units

implements: IERC20
implements: IBridgeFacilitator

initializes: ownable
initializes: erc20[ownable := ownable]
initializes: roles

exports: (
    erc20.name,
    erc20.symbol,
    erc20.decimals,
    erc20.totalSupply,
    erc20.balanceOf,
    erc20.allowance,
    erc20.transfer,
    erc20.transferFrom,
    erc20.approve,
    erc20.permit,
    erc20.nonces,
    erc20.DOMAIN_SEPARATOR,
    erc20.eip712Domain,
    roles.admin,
    roles.pending_admin,
    roles.transfer_admin,
    roles.accept_admin,
    roles.grant_role,
    roles.revoke_role,
    roles.has_role,
)


event Drawn:
    receiver: indexed(address)
    amount: uint256  # [wad]
    notes: uint256  # [wad]


event Repaid:
    payer: indexed(address)
    amount: uint256  # [wad]


event LossAnnounced:
    amount: uint256  # [wad]
    ready_at: uint256  # [timestamp]


event LossRealised:
    amount: uint256  # [wad]


event Recovered:
    payer: indexed(address)
    amount: uint256  # [wad]


event Redeemed:
    owner: indexed(address)
    notes: uint256  # [wad]
    paid: uint256  # [wad]


MASK_128: constant(uint256) = 2**128 - 1

VAULT_ENGINE: public(immutable(IVaultEngine))
PRICE_FEED: public(immutable(IPriceFeed))
LIQUIDATION_ENGINE: public(immutable(ILiquidationEngine))
LOSS_WATERFALL: public(immutable(ILossWaterfall))
STABLECOIN: public(immutable(IERC20))
# The type that the note is listed as.
COLLATERAL_TYPE: public(immutable(uint256))
# Seconds from the announcement of a loss to when it may be realised.
DELAY: public(immutable(uint256))

# Announcement
announced: uint256
# Stablecoin that was lost and has not been recovered, wad: it uses up the line for good.
lost: public(uint256)
# Stablecoin that came in during settlement, wad: it belongs to the notes.
paid: public(uint256)
# owner -> notes given up, wad
redeemed_of: public(HashMap[address, uint256])
# owner -> stablecoin that they brought so far, wad
collected_of: public(HashMap[address, uint256])


@deploy
def __init__(
    name: String[25],
    collateral_type: uint256,
    vault_engine: address,
    price_feed: address,
    liquidation_engine: address,
    loss_waterfall: address,
    stablecoin: address,
    admin: address,
    delay: uint256,
):
    """
    @notice Wire the contract to the protocol, for good: addresses and the type's id are known before
            deployment and never change.
    @param name The note's name.
    @param collateral_type [id] The id that the note will have once it is listed.
    @param vault_engine The ledger; this contract needs its STAGE role for `recover`.
    @param price_feed The feed, at which this contract sets the note's price.
    @param liquidation_engine Writes the debt down, and reads which part of it is at risk.
    @param loss_waterfall Records the reservations of stages.
    @param stablecoin The token that is drawn and owed.
    @param admin Lists the note, for which it gets one; grants the roles MINTER and GUARDIAN.
    @param delay [seconds] From the announcement of a loss to when it may be realised.
    """
    ownable.__init__()
    ownable._transfer_ownership(empty(address))
    erc20.__init__(name, "NOTE", 18, name, "1")
    roles.__init__(admin)
    assert delay >= bounds.MIN_LOSS_DELAY and delay <= bounds.MAX_LOSS_DELAY, "facilitator: delay bounds"
    VAULT_ENGINE = IVaultEngine(vault_engine)
    PRICE_FEED = IPriceFeed(price_feed)
    LIQUIDATION_ENGINE = ILiquidationEngine(liquidation_engine)
    LOSS_WATERFALL = ILossWaterfall(loss_waterfall)
    STABLECOIN = IERC20(stablecoin)
    COLLATERAL_TYPE = collateral_type
    DELAY = delay
    # Listing moves one whole token in and out.
    erc20._mint(admin, units.WAD)
    erc20._approve(self, vault_engine, max_value(uint256))


@external
def open():
    """
    @notice Begin, once the note is listed and this contract is its market's issuer. Admin only. The note that
            listing has moved is burned from the admin, and only then notes have a price. Protects: no account
            but the facilitator ever draws against a note.
    """
    roles._only_admin()
    terms: IVaultEngine.Terms = staticcall VAULT_ENGINE.terms_of(COLLATERAL_TYPE)
    assert terms.token == self, "facilitator: other type"
    erc20._burn(msg.sender, units.WAD)
    self._set_note_price_and_flag()


# ------------------------------------------------------------------- debt


@external
@nonreentrant
def draw(amount: uint256, receiver: address):
    """
    @notice Create stablecoin for the bridge. Role MINTER; not while a loss is announced. The vault engine
            applies ceilings, modes and the flow limit. Protects: the facilitator's debt and its losses
            stay within its line together, however it is split.
    @param amount [wad] Stablecoin. Notes are created as far as the locked ones do not cover the debt.
    @param receiver Receiver of the stablecoin.
    """
    roles._check_role(roles.MINTER)
    self._check_none_announced()
    vault: IVaultEngine.VaultState = self._load_vault()
    rate: uint256 = vault.accumulated_rate
    normalized_debt: uint256 = vault.normalized_debt + units._div_up(amount * units.RAY, rate)
    debt: uint256 = units._div_up(normalized_debt * rate, units.RAY)
    line: uint256 = (staticcall VAULT_ENGINE.terms_of(COLLATERAL_TYPE)).debt_ceiling * units.WAD
    assert debt + self.lost <= line, "facilitator: over its line"
    notes: uint256 = debt - min(debt, vault.locked_collateral)
    erc20._mint(self, notes)
    log Drawn(receiver=receiver, amount=amount, notes=notes)
    extcall VAULT_ENGINE.deposit_and_draw(COLLATERAL_TYPE, self, notes, amount, receiver)


@external
@nonreentrant
def repay(amount: uint256) -> uint256:
    """
    @notice Pay debt back. Anyone, with the caller's stablecoin, on an allowance. Protects: before settlement
            nothing blocks it: no mode, no price, no announced loss. In settlement the payment is kept for the
            holders of the notes.
    @param amount [wad] Stablecoin; before settlement at most the debt, rounded up, is taken.
    @return [wad] Taken.
    """
    paid: uint256 = amount
    settling: bool = staticcall VAULT_ENGINE.in_settlement()
    if not settling:
        vault: IVaultEngine.VaultState = self._load_vault()
        paid = min(paid, units._div_up(vault.normalized_debt * vault.accumulated_rate, units.RAY))
    extcall STABLECOIN.transferFrom(msg.sender, self, paid)
    log Repaid(payer=msg.sender, amount=paid)
    if settling:
        self.paid += paid
    else:
        extcall VAULT_ENGINE.repay_and_withdraw(COLLATERAL_TYPE, self, paid, 0, self)
        if self.announced != 0:
            self._set_note_price_and_flag()
    return paid


# ------------------------------------------------------------------ losses


@external
@nonreentrant
def announce_loss(amount: uint256):
    """
    @notice Announce how much of the debt will not be paid back. The admin; a guardian may only raise it.
            Anyone may realise it after the delay, which begins again with each announcement. Protects: the
            announced amount is at risk from the same call on, so no member leaves a pool ahead of it, and no
            draw is possible meanwhile.
    @param amount [wad] Stablecoin; more than the debt is all of it.
    """
    if msg.sender != roles.admin:
        roles._check_role(roles.GUARDIAN)
        assert amount > self._announcement().amount, "facilitator: only raise"
    assert amount != 0 and amount <= MASK_128, "facilitator: loss bounds"
    self._store_loss_announcement(
        IBridgeFacilitator.Announcement(amount=amount, ready_at=block.timestamp + DELAY)
    )


@external
@nonreentrant
def cancel_loss():
    """
    @notice Take an announced loss back. Admin only. The amount is at risk no more.
    """
    roles._only_admin()
    self._store_loss_announcement(empty(IBridgeFacilitator.Announcement))


@external
@nonreentrant
def realise_loss() -> uint256:
    """
    @notice Book an announced loss, or all of the debt if that is less now, as a deficit of the type, for the
            stages to cover. Permissionless, once the delay is over. Protects: the loss is never more than the
            debt, so never more than the line; the amount at risk falls in the same call, and no loss counts
            twice.
    @return [wad] Stablecoin lost, rounded up; zero if all was paid back meanwhile.
    """
    announcement: IBridgeFacilitator.Announcement = self._announcement()
    assert announcement.amount != 0, "facilitator: no loss"
    assert block.timestamp >= announcement.ready_at, "facilitator: too early"
    principal: uint256 = extcall LIQUIDATION_ENGINE.write_down(COLLATERAL_TYPE, announcement.amount)
    amount: uint256 = units._div_up(principal, units.RAY)
    self.lost += amount
    log LossRealised(amount=amount)
    self._store_loss_announcement(empty(IBridgeFacilitator.Announcement))
    return amount


@external
@nonreentrant
def mint_for_loss(amount: uint256, receiver: address) -> uint256:
    """
    @notice Create stablecoin for a loss that has happened already, and book it at once: there is nothing to
            wait for or to announce. Role SHORTFALL. The vault engine applies ceilings, modes and the flow
            limit; where caution asks for more margin, the facilitator locks more notes. Protects: the
            facilitator's debt and losses stay within its line together.
    @param amount [wad] Stablecoin; the loss is at most the room of the line.
    @param receiver Receiver of the stablecoin.
    @return [wad] Lost.
    """
    roles._check_role(roles.SHORTFALL)
    self._check_none_announced()
    vault: IVaultEngine.VaultState = self._load_vault()
    debt: uint256 = units._div_up(vault.normalized_debt * vault.accumulated_rate, units.RAY)
    line: uint256 = (staticcall VAULT_ENGINE.terms_of(COLLATERAL_TYPE)).debt_ceiling * units.WAD
    room: uint256 = line - min(line, debt + self.lost)
    drawn: uint256 = min(amount, room)
    if drawn != 0:
        # No margin is above that.
        locked: uint256 = (debt + drawn) * 3
        notes: uint256 = locked - min(locked, vault.locked_collateral)
        erc20._mint(self, notes)
        log Drawn(receiver=receiver, amount=drawn, notes=notes)
        extcall VAULT_ENGINE.deposit_and_draw(COLLATERAL_TYPE, self, notes, drawn, receiver)
        # As many units of debt as were drawn, rounded up, so that none of them stays owed.
        after: IVaultEngine.VaultState = self._load_vault()
        owed: uint256 = (after.normalized_debt - vault.normalized_debt) * after.accumulated_rate
        extcall LIQUIDATION_ENGINE.write_down(COLLATERAL_TYPE, units._div_up(owed, units.RAY))
        self.lost += drawn
        log LossRealised(amount=drawn)
        self._set_note_price_and_flag()
    return drawn


@external
@nonreentrant
def recover(amount: uint256) -> uint256:
    """
    @notice Pay back a booked loss. Anyone, with the caller's stablecoin, on an allowance; not in settlement,
            nor while a stage has reserved a part of the type's deficit. The uncovered part of the deficit is
            covered first, the rest is the reserve's. The line has as much room again.
    @param amount [wad] Stablecoin; at most the loss is taken.
    @return [wad] Taken.
    """
    assert not staticcall VAULT_ENGINE.in_settlement(), "facilitator: in settlement"
    assert staticcall LOSS_WATERFALL.reserved_of(COLLATERAL_TYPE) == 0, "facilitator: stages are busy"
    recovered: uint256 = min(amount, self.lost)
    self.lost -= recovered
    log Recovered(payer=msg.sender, amount=recovered)
    extcall STABLECOIN.transferFrom(msg.sender, self, recovered)
    extcall VAULT_ENGINE.cover_from_tokens(COLLATERAL_TYPE, self, recovered * units.RAY)
    return recovered


@external
def sync_note():
    """
    @notice Update the note's price and the flag for the announced loss, after a payment directly at the vault
            engine. Permissionless.
    """
    # Before `open` a price would let the admin draw against its note.
    assert staticcall PRICE_FEED.current_price(COLLATERAL_TYPE) != 0, "facilitator: not open"
    self._set_note_price_and_flag()


# ------------------------------------------------------------- settlement


@external
@nonreentrant
def redeem(notes: uint256) -> uint256:
    """
    @notice Give up notes for the caller's share of the bridge's payments since settlement began. Anyone, in
            settlement, as often as more has been paid. Protects: all notes are paid alike, the first and the
            last.
    @param notes [wad] Given up; 0 collects for those given up before.
    @return [wad] Stablecoin: floor(given up * paid / notes that are out), less what was collected.
    """
    assert staticcall VAULT_ENGINE.in_settlement(), "facilitator: not settling"
    self.redeemed_of[msg.sender] += notes
    erc20._transfer(msg.sender, self, notes)
    # Once vaults are skimmed, what is out stays as it is: those given up are here.
    locked: uint256 = self._load_vault().locked_collateral
    out: uint256 = erc20.totalSupply - locked
    due: uint256 = 0
    if out != 0:
        due = self.redeemed_of[msg.sender] * self.paid // out - self.collected_of[msg.sender]
        self.collected_of[msg.sender] += due
        extcall STABLECOIN.transfer(msg.sender, due)
    log Redeemed(owner=msg.sender, notes=notes, paid=due)
    return due


# -------------------------------------------------------------------- views


@external
@view
def announcement() -> IBridgeFacilitator.Announcement:
    """
    @notice The announced loss, and from when on it may be realised.
    @return The announcement; zeros if there is none.
    """
    return self._announcement()


# ------------------------------------------------------------------ helpers


@internal
def _store_loss_announcement(new: IBridgeFacilitator.Announcement):
    self.announced = new.amount | (new.ready_at << 128)
    log LossAnnounced(amount=new.amount, ready_at=new.ready_at)
    self._set_note_price_and_flag()


@internal
def _set_note_price_and_flag():
    """
    @dev Price and flag. A note is worth one stablecoin, or more once a fee has grown on the debt. With a loss
         announced, a note is worth its share of the remaining debt, so that the locked notes fall short of
         the debt by that loss, rounded up.
    """
    vault: IVaultEngine.VaultState = self._load_vault()
    debt: uint256 = vault.normalized_debt * vault.accumulated_rate
    loss: uint256 = self._announcement().amount * units.RAY
    price: uint256 = units.RAY
    if vault.locked_collateral != 0:
        if loss == 0:
            price = max(price, units._div_up(debt, vault.locked_collateral))
        else:
            # Zero would be no price, and no flag.
            price = max(1, (debt - min(debt, loss)) // vault.locked_collateral)
    extcall PRICE_FEED.set_price(COLLATERAL_TYPE, price)
    extcall LIQUIDATION_ENGINE.flag(COLLATERAL_TYPE, self)


@internal
def _load_vault() -> IVaultEngine.VaultState:
    """@dev With all fees charged. No limit of auctions matters here."""
    return extcall VAULT_ENGINE.accrue_and_read(COLLATERAL_TYPE, self, 0)


@internal
@view
def _check_none_announced():
    assert self.announced == 0, "facilitator: loss announced"


@internal
@view
def _announcement() -> IBridgeFacilitator.Announcement:
    word: uint256 = self.announced
    return IBridgeFacilitator.Announcement(amount=word & MASK_128, ready_at=word >> 128)
