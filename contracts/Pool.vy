# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Pool
@license GNU Affero General Public License v3.0 only
@notice An ERC-4626 vault of an 18-decimal token of the protocol that bears losses as a stage of the
        waterfall. Leaving takes two steps: shares are requested, keep bearing losses for a cooldown,
        and can then be claimed for a while. A claim pays as if the losses already recognised had
        already been covered, so that leaving just before or just after the cover pays the same.
@dev With A the assets booked, S the shares and UL the part of A that recognised losses will take:
     entry   shares = floor(a * (S + 1e6) / (A + 1))
     exit    assets = floor(s * (A - UL + 1) / (S + 1e6))
     The exit takes the virtual share and asset into account as the entry does: with
     floor(s * (A - UL) / S) a holder of nearly all shares would be paid the virtual shares' part
     too, and entering and leaving could pay. As s <= S, it never pays more than A - UL.
     What a claim forfeits to UL stays in the pool, for those who stay and bear the loss.
     Assets are booked, so donations change nothing. State is written before every outside call:
     a price read in the middle of one is the price after it.
"""
from ethereum.ercs import IERC20
from ethereum.ercs import IERC4626
from snekmate.auth import ownable
from snekmate.tokens import erc20
from snekmate.utils import math

from contracts.interfaces import ILossWaterfall
from contracts.interfaces import IStage
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds
from contracts.modules import units

implements: IERC20
implements: IERC4626
implements: IStage

initializes: ownable
initializes: erc20[ownable := ownable]

# Without snekmate's owner, minters, mint and burn: shares are created and destroyed by entry and exit.
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
)


event RedeemRequested:
    owner: indexed(address)
    shares: uint256
    matures_at: uint256


event RequestCancelled:
    owner: indexed(address)
    shares: uint256


event LossAbsorbed:
    collateral_type: indexed(uint256)
    assets: uint256


VIRTUAL_SHARES: constant(uint256) = 10**6
VIRTUAL_ASSETS: constant(uint256) = 1
# Losses never take the last of it: with no assets left, shares would have no price to enter at.
LEAST_ASSETS: constant(uint256) = 10**6

asset: public(immutable(address))
VAULT_ENGINE: public(immutable(IVaultEngine))
LOSS_WATERFALL: public(immutable(ILossWaterfall))
# Seconds from a request to its maturity. 0: leaving needs no request, as in pools that take no care.
COOLDOWN: public(immutable(uint256))
# Seconds for which a matured request can be claimed.
WINDOW: public(immutable(uint256))

# Assets in wad.
booked: uint256
# owner -> shares in escrow here, one open request for each owner
requested_shares: public(HashMap[address, uint256])
# owner -> time of the last request
requested_at: public(HashMap[address, uint256])


@deploy
def __init__(
    token_name: String[25],
    token_symbol: String[5],
    asset_: address,
    vault_engine: address,
    loss_waterfall: address,
    cooldown: uint256,
    window: uint256,
):
    """
    @param token_name The shares' name, also of their EIP-712 domain.
    @param token_symbol The shares' symbol.
    @param asset_ The token held: the stablecoin, 18 decimals.
    @param vault_engine The ledger; this contract needs its STAGE role.
    @param loss_waterfall Where losses come from.
    @param cooldown In seconds; 0 for the naive pool, whose window is 0 too. To be neutral it lasts
                    at least as long as a loss takes from the price that shows it to its recognition.
    @param window In seconds.
    """
    ownable.__init__()
    ownable._transfer_ownership(empty(address))
    erc20.__init__(token_name, token_symbol, 18, token_name, "1")
    assert cooldown <= bounds.MAX_COOLDOWN, "pool: cooldown bounds"
    if cooldown == 0:
        assert window == 0, "pool: window without cooldown"
    else:
        assert window >= bounds.MIN_EXIT_WINDOW, "pool: short window"
        assert window <= bounds.MAX_EXIT_WINDOW, "pool: long window"
    asset = asset_
    VAULT_ENGINE = IVaultEngine(vault_engine)
    LOSS_WATERFALL = ILossWaterfall(loss_waterfall)
    COOLDOWN = cooldown
    WINDOW = window


# -------------------------------------------------------------------- entry


@external
@nonreentrant
def deposit(assets: uint256, receiver: address) -> uint256:
    """
    @notice Put assets in. Anyone, for anyone. Whoever enters while a recognised loss is not covered
            yet bears a part of it.
    @param assets In wad, pulled from the caller.
    @param receiver Who gets the shares.
    @return Shares, rounded down.
    """
    shares: uint256 = self._to_shares(assets)
    self._enter(assets, shares, receiver)
    return shares


@external
@nonreentrant
def mint(shares: uint256, receiver: address) -> uint256:
    """
    @notice Put assets in for a number of shares. Anyone, for anyone.
    @param shares With 18 decimals.
    @param receiver Who gets the shares.
    @return Assets pulled from the caller, wad, rounded up.
    """
    assets: uint256 = self._to_assets(shares, True)
    self._enter(assets, shares, receiver)
    return assets


# --------------------------------------------------------------------- exit


@external
def request_redeem(shares: uint256):
    """
    @notice Announce an exit. Owner of the shares. They move into escrow here and keep bearing losses;
            adding to an open request restarts its clock. Protects: nobody leaves ahead of a loss that
            is already under way.
    @param shares With 18 decimals.
    """
    assert COOLDOWN != 0, "pool: no request needed"
    assert shares != 0, "pool: empty request"
    erc20._transfer(msg.sender, self, shares)
    self.requested_shares[msg.sender] += shares
    self.requested_at[msg.sender] = block.timestamp
    log RedeemRequested(owner=msg.sender, shares=shares, matures_at=block.timestamp + COOLDOWN)


@external
def cancel_request() -> uint256:
    """
    @notice Take the requested shares back. Owner; at any time, also after the window.
    @return The shares returned.
    """
    shares: uint256 = self.requested_shares[msg.sender]
    assert shares != 0, "pool: no request"
    self.requested_shares[msg.sender] = 0
    self.requested_at[msg.sender] = 0
    erc20._transfer(self, msg.sender, shares)
    log RequestCancelled(owner=msg.sender, shares=shares)
    return shares


@external
@nonreentrant
def withdraw(assets: uint256, receiver: address, owner: address) -> uint256:
    """
    @notice Take assets out for matured shares. The owner, or a spender of the owner's shares: the
            ERC-20 allowance counts for shares in escrow as for those held.
    @param assets In wad.
    @param receiver Who gets the assets.
    @param owner Whose matured shares are burned.
    @return Shares burned, rounded up.
    """
    supply: uint256 = erc20.totalSupply + VIRTUAL_SHARES
    left: uint256 = self._left() + VIRTUAL_ASSETS
    most: uint256 = math._mul_div(self._matured(owner), left, supply, False)
    assert assets <= most, "pool: more than max withdraw"
    shares: uint256 = math._mul_div(assets, supply, left, True)
    self._leave(assets, shares, receiver, owner)
    return shares


@external
@nonreentrant
def redeem(shares: uint256, receiver: address, owner: address) -> uint256:
    """
    @notice Take assets out for a number of matured shares. The owner, or a spender of the owner's
            shares.
    @param shares With 18 decimals.
    @param receiver Who gets the assets.
    @param owner Whose matured shares are burned.
    @return Assets in wad, rounded down.
    """
    assert shares <= self._matured(owner), "pool: more than max redeem"
    assets: uint256 = self._to_claim(shares)
    self._leave(assets, shares, receiver, owner)
    return assets


# -------------------------------------------------------------------- stage


@external
@nonreentrant
def absorb(collateral_type: uint256, amount: uint256) -> (uint256, uint256):
    """
    @notice Pay for a loss: assets are burned. Loss waterfall only.
    @param collateral_type The collateral type that lost.
    @param amount In rad; assets burned are rounded up.
    @return Rad covered; nothing is reserved.
    """
    assert msg.sender == LOSS_WATERFALL.address, "pool: not loss waterfall"
    most: uint256 = min(self._absorbable() * units.RAY, amount)
    assets: uint256 = units._div_up(most, units.RAY)
    self.booked -= assets
    log LossAbsorbed(collateral_type=collateral_type, assets=assets)
    return extcall VAULT_ENGINE.cover_from_tokens(collateral_type, self, most), 0


@external
@view
def capacity(collateral_type: uint256) -> uint256:
    """
    @notice What losses can take at once, rad: all but the last 1e6 wei, whatever the type.
    """
    return self._absorbable() * units.RAY


# -------------------------------------------------------------------- views


@external
@view
def totalAssets() -> uint256:
    """
    @notice Assets booked, wad, before losses not covered yet.
    """
    return self.booked


@external
@view
def pending_losses() -> uint256:
    """
    @notice UL: the part of the assets that recognised losses will take, wad, rounded up.
    """
    return self.booked - self._left()


@external
@view
def convertToShares(assets: uint256) -> uint256:
    """
    @notice Shares for assets at the entry price, rounded down.
    """
    return self._to_shares(assets)


@external
@view
def convertToAssets(shares: uint256) -> uint256:
    """
    @notice Assets for shares at the entry price, which knows no loss that is not covered, rounded down.
    """
    return self._to_assets(shares, False)


@external
@view
def maxDeposit(receiver: address) -> uint256:
    """
    @notice No limit.
    """
    return max_value(uint256)


@external
@view
def maxMint(receiver: address) -> uint256:
    """
    @notice No limit.
    """
    return max_value(uint256)


@external
@view
def maxWithdraw(owner: address) -> uint256:
    """
    @notice Assets the owner's matured shares are worth, wad, rounded down.
    """
    return self._to_claim(self._matured(owner))


@external
@view
def maxRedeem(owner: address) -> uint256:
    """
    @notice The owner's matured shares.
    """
    return self._matured(owner)


@external
@view
def previewDeposit(assets: uint256) -> uint256:
    """
    @notice Shares for a deposit, rounded down.
    """
    return self._to_shares(assets)


@external
@view
def previewMint(shares: uint256) -> uint256:
    """
    @notice Assets for new shares, wad, rounded up.
    """
    return self._to_assets(shares, True)


@external
@view
def previewWithdraw(assets: uint256) -> uint256:
    """
    @notice Shares burned for assets at the exit price, rounded up, were they matured.
    """
    return math._mul_div(assets, erc20.totalSupply + VIRTUAL_SHARES, self._left() + VIRTUAL_ASSETS, True)


@external
@view
def previewRedeem(shares: uint256) -> uint256:
    """
    @notice Assets for shares at the exit price, wad, rounded down, were they matured.
    """
    return self._to_claim(shares)


# ------------------------------------------------------------------ helpers


@internal
def _enter(assets: uint256, shares: uint256, receiver: address):
    """
    @dev Books the assets and creates the shares, then pulls the assets.
    """
    assert shares != 0, "pool: no shares"
    self.booked += assets
    erc20._mint(receiver, shares)
    log IERC4626.Deposit(sender=msg.sender, owner=receiver, assets=assets, shares=shares)
    assert extcall IERC20(asset).transferFrom(
        msg.sender, self, assets, default_return_value=True
    ), "pool: transfer in failed"


@internal
def _leave(assets: uint256, shares: uint256, receiver: address, owner: address):
    """
    @dev Burns matured shares and books the assets out, then sends them.
    """
    assert assets != 0, "pool: no assets"
    if msg.sender != owner:
        erc20._spend_allowance(owner, msg.sender, shares)
    if COOLDOWN == 0:
        erc20._burn(owner, shares)
    else:
        self.requested_shares[owner] -= shares
        erc20._burn(self, shares)
    self.booked -= assets
    log IERC4626.Withdraw(sender=msg.sender, receiver=receiver, owner=owner, assets=assets, shares=shares)
    assert extcall IERC20(asset).transfer(
        receiver, assets, default_return_value=True
    ), "pool: transfer out failed"


@internal
@view
def _matured(owner: address) -> uint256:
    """
    @dev Shares that can leave now.
    """
    if COOLDOWN == 0:
        return erc20.balanceOf[owner]
    matures_at: uint256 = self.requested_at[owner] + COOLDOWN
    if block.timestamp < matures_at or block.timestamp > matures_at + WINDOW:
        return 0
    return self.requested_shares[owner]


@internal
@view
def _absorbable() -> uint256:
    """
    @dev Assets that losses can take, wad.
    """
    assets: uint256 = self.booked
    return assets - min(assets, LEAST_ASSETS)


@internal
@view
def _left() -> uint256:
    """
    @dev A - UL: assets that recognised losses will leave, wad, rounded down.
    """
    assets: uint256 = self.booked
    losses: uint256 = staticcall LOSS_WATERFALL.losses_beyond(self)
    return assets - min(assets, units._div_up(losses, units.RAY))


@internal
@view
def _to_shares(assets: uint256) -> uint256:
    """
    @dev Entry price, rounded down.
    """
    return math._mul_div(assets, erc20.totalSupply + VIRTUAL_SHARES, self.booked + VIRTUAL_ASSETS, False)


@internal
@view
def _to_assets(shares: uint256, up: bool) -> uint256:
    """
    @dev Entry price.
    """
    return math._mul_div(shares, self.booked + VIRTUAL_ASSETS, erc20.totalSupply + VIRTUAL_SHARES, up)


@internal
@view
def _to_claim(shares: uint256) -> uint256:
    """
    @dev Exit price, rounded down.
    """
    return math._mul_div(shares, self._left() + VIRTUAL_ASSETS, erc20.totalSupply + VIRTUAL_SHARES, False)
