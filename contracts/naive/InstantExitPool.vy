# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize codesize
"""
@title InstantExitPool
@license GNU Affero General Public License v3.0 only
@notice A pool of stablecoin that may be left at any moment at book value: a share is worth its booked assets,
        whether or not losses are known and not covered yet. So a member that leaves between a loss and its
        coverage leaves all of it to the members that stay. It is what `Pool` is compared with; no deployment
        should have it.
@dev All but the price of an exit is that contract's; without a cooldown no request gets into a batch. With A
     the vested assets and S the shares:
     exit    assets = floor(s * (A + 1) / (S + 1e6))
"""
from contracts import Pool
from contracts.interfaces import IPool
from contracts.interfaces import IStage
from contracts.modules import units
from ethereum.ercs import IERC20
from ethereum.ercs import IERC4626

implements: IERC20
implements: IERC4626
implements: IPool
implements: IStage

initializes: Pool

exports: (
    Pool.name,
    Pool.symbol,
    Pool.decimals,
    Pool.totalSupply,
    Pool.balanceOf,
    Pool.allowance,
    Pool.approve,
    Pool.permit,
    Pool.nonces,
    Pool.DOMAIN_SEPARATOR,
    Pool.eip712Domain,
    Pool.generation,
    Pool.asset,
    Pool.VAULT_ENGINE,
    Pool.LOSS_WATERFALL,
    Pool.CLAWBACK,
    Pool.CLAIMS,
    Pool.COOLDOWN,
    Pool.VESTING,
    Pool.deposit,
    Pool.mint,
    Pool.requestRedeem,
    Pool.cut,
    Pool.settle,
    Pool.setOperator,
    Pool.isOperator,
    Pool.add_income,
    Pool.absorb,
    Pool.claw_back,
    Pool.collect_claims,
    Pool.transfer,
    Pool.transferFrom,
    Pool.capacity,
    Pool.unvested,
    Pool.totalAssets,
    Pool.pendingRedeemRequest,
    Pool.claimableRedeemRequest,
    Pool.share,
    Pool.supportsInterface,
    Pool.batch_of,
    Pool.queue,
    Pool.convertToShares,
    Pool.convertToAssets,
    Pool.maxDeposit,
    Pool.maxMint,
    Pool.maxRedeem,
    Pool.previewDeposit,
    Pool.previewMint,
)


@deploy
def __init__(
    token_name: String[25],
    token_symbol: String[5],
    asset_: address,
    vault_engine: address,
    loss_waterfall: address,
    clawback: address,
    claims: address,
    cooldown: uint256,
    vesting: uint256,
):
    """
    @param token_name The shares' name, also of their EIP-712 domain.
    @param token_symbol The shares' symbol.
    @param asset_ The token held: the stablecoin.
    @param vault_engine The ledger; the pool needs its STAGE role.
    @param loss_waterfall Where losses come from.
    @param clawback The stage that takes unvested income, or zero.
    @param claims The series of claims for losses, or zero.
    @param cooldown [seconds] 0: leaving takes no time.
    @param vesting [seconds] Over which income vests.
    """
    assert cooldown == 0, "instant_exit: no cooldown"
    Pool.__init__(
        token_name,
        token_symbol,
        asset_,
        vault_engine,
        loss_waterfall,
        clawback,
        claims,
        cooldown,
        vesting,
    )


@external
@nonreentrant
def withdraw(assets: uint256, receiver: address, controller: address) -> uint256:
    """
    @notice Take assets out at book value. The owner, or a spender of the owner's shares. Protects: members
            that stay lose nothing by rounding; of losses that are known and not covered yet, all.
    @param assets [wad] To be sent.
    @param receiver Receiver of the assets.
    @param controller Owner of the burned shares.
    @return [shares] Burned, rounded up.
    """
    burned: uint256 = self._to_burn(Pool.token._load().supply, assets)
    Pool._leave_pool(assets, burned, receiver, controller)
    return burned


@external
@nonreentrant
def redeem(shares: uint256, receiver: address, controller: address) -> uint256:
    """
    @notice Take assets out for a number of shares at book value. The owner, or a spender of the owner's
            shares. Protects: members that stay lose nothing by rounding; of losses that are known and not
            covered yet, all.
    @param shares [shares] To be burned.
    @param receiver Receiver of the assets.
    @param controller Owner of the burned shares.
    @return [wad] Assets sent, rounded down.
    """
    assets: uint256 = self._to_assets(Pool.token._load().supply, shares)
    Pool._leave_pool(assets, shares, receiver, controller)
    return assets


@external
@view
def pending_losses() -> uint256:
    """
    @notice Return the part of an exit that known losses take: none, which is the flaw of this pool.
    @return [wad] 0.
    """
    return 0


@external
@view
def maxWithdraw(controller: address) -> uint256:
    """
    @notice Assets that an owner's shares are worth at book value.
    @param controller Owner of the shares.
    @return [wad] Rounded down.
    """
    return self._to_assets(Pool.token._load().supply, Pool.token._shares_of(controller))


@external
@view
def previewWithdraw(assets: uint256) -> uint256:
    """
    @notice Shares that a withdrawal would burn now.
    @param assets [wad] To be taken out.
    @return [shares] Rounded up.
    """
    return self._to_burn(Pool.token._load().supply, assets)


@external
@view
def previewRedeem(shares: uint256) -> uint256:
    """
    @notice Assets that shares would bring now.
    @param shares [shares] To be burned.
    @return [wad] Rounded down.
    """
    return self._to_assets(Pool.token._load().supply, shares)


@internal
@view
def _to_assets(supply: uint256, shares: uint256) -> uint256:
    """
    @dev Exit price, rounded down.
    """
    return units._mul_div(
        shares, Pool.funds._get_vested_assets() + Pool.VIRTUAL_ASSETS, supply + Pool.VIRTUAL_SHARES
    )


@internal
@view
def _to_burn(supply: uint256, assets: uint256) -> uint256:
    """
    @dev Exit price, rounded up.
    """
    return units._div_up(
        assets * (supply + Pool.VIRTUAL_SHARES), Pool.funds._get_vested_assets() + Pool.VIRTUAL_ASSETS
    )
