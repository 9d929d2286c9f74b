# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title ConstantProductMarket
@license GNU Affero General Public License v3.0 only
@notice Where takers sell collateral on a local chain: collateral x stablecoin = constant, the fee stays in
        the pool. Reserves are booked, in wad; the output of a trade is rounded down. A part of the stablecoin
        reserve can be virtual: it counts for the price, and the market does not hold it.
"""
from ethereum.ercs import IERC20


event LiquiditySet:
    collateral: uint256  # [wad]
    stable: uint256  # [wad]


event Sold:
    sender: indexed(address)
    receiver: indexed(address)
    collateral: uint256  # [wad]
    stable: uint256  # [wad]


event Bought:
    sender: indexed(address)
    receiver: indexed(address)
    stable: uint256  # [wad]
    collateral: uint256  # [wad]


BASIS_POINTS: constant(uint256) = 10**4
RAY: constant(uint256) = 10**27

TOKEN: public(immutable(address))
STABLECOIN: public(immutable(address))
OWNER: public(immutable(address))
# Basis points of what goes in.
FEE: public(immutable(uint256))
# One raw unit of the token, in wad.
UNIT: public(immutable(uint256))

collateral_reserve: public(uint256)
stable_reserve: public(uint256)
# Of the stablecoin reserve, what the market does not hold [wad].
virtual_stable: public(uint256)


@deploy
def __init__(token: address, decimals: uint256, stablecoin: address, fee: uint256, owner: address):
    """
    @param token The collateral.
    @param decimals [decimals] Of the token, at most 18.
    @param stablecoin The token that it is traded for.
    @param fee [basis points] Share of the input.
    @param owner Provides the liquidity.
    """
    assert decimals <= 18, "market: token decimals"
    assert fee < BASIS_POINTS, "market: fee bounds"
    TOKEN = token
    STABLECOIN = stablecoin
    OWNER = owner
    FEE = fee
    UNIT = 10**(18 - decimals)


@external
def set_liquidity(collateral: uint256, stable: uint256, virtual: uint256 = 0):
    """
    @notice Set both reserves: pay in or take out the differences from the balances. Owner only.
    @dev A sale that would pay out more than the market holds reverts in the token. Between two calls, buys
         and sells change the balance by as much as the reserve, so the virtual part stays.
    @param collateral [wad] Floored to the token's unit.
    @param stable [wad] Stablecoin.
    @param virtual [wad] Part of `stable` that the owner does not pay in.
    """
    assert msg.sender == OWNER, "market: not owner"
    assert virtual <= stable, "market: virtual reserve"
    new: uint256 = collateral // UNIT * UNIT
    held: uint256 = stable - virtual
    old_collateral: uint256 = self.collateral_reserve
    old_held: uint256 = self.stable_reserve - self.virtual_stable
    self.collateral_reserve = new
    self.stable_reserve = stable
    self.virtual_stable = virtual
    log LiquiditySet(collateral=new, stable=stable)
    if new > old_collateral:
        self._pull_token(TOKEN, (new - old_collateral) // UNIT)
    elif new < old_collateral:
        self._push_token(TOKEN, OWNER, (old_collateral - new) // UNIT)
    if held > old_held:
        self._pull_token(STABLECOIN, held - old_held)
    elif held < old_held:
        self._push_token(STABLECOIN, OWNER, old_held - held)


@external
def sell(amount: uint256, min_out: uint256, receiver: address) -> uint256:
    """
    @notice Sell collateral for stablecoin. Anyone.
    @param amount [wad] Collateral, floored to the token's unit.
    @param min_out [wad] Stablecoin; less reverts.
    @param receiver Receiver of the stablecoin.
    @return [wad] Stablecoin sent, rounded down.
    """
    moved: uint256 = amount // UNIT * UNIT
    out: uint256 = self._compute_output(moved, self.collateral_reserve, self.stable_reserve)
    self._check_output(out, min_out)
    self.collateral_reserve += moved
    self.stable_reserve -= out
    log Sold(sender=msg.sender, receiver=receiver, collateral=moved, stable=out)
    self._pull_token(TOKEN, moved // UNIT)
    self._push_token(STABLECOIN, receiver, out)
    return out


@external
def buy(amount: uint256, min_out: uint256, receiver: address) -> uint256:
    """
    @notice Buy collateral with stablecoin. Anyone.
    @param amount [wad] Stablecoin.
    @param min_out [wad] Collateral; less reverts.
    @param receiver Receiver of the collateral.
    @return [wad] Collateral sent, floored to the token's unit.
    """
    out: uint256 = self._compute_output(amount, self.stable_reserve, self.collateral_reserve) // UNIT * UNIT
    self._check_output(out, min_out)
    self.stable_reserve += amount
    self.collateral_reserve -= out
    log Bought(sender=msg.sender, receiver=receiver, stable=amount, collateral=out)
    self._pull_token(STABLECOIN, amount)
    self._push_token(TOKEN, receiver, out // UNIT)
    return out


@external
@view
def quote_sell(amount: uint256) -> uint256:
    """
    @notice Return the output of `sell`.
    @param amount [wad] Collateral, floored to the token's unit.
    @return [wad] Stablecoin, rounded down.
    """
    return self._compute_output(amount // UNIT * UNIT, self.collateral_reserve, self.stable_reserve)


@external
@view
def quote_buy(amount: uint256) -> uint256:
    """
    @notice Return the output of `buy`.
    @param amount [wad] Stablecoin.
    @return [wad] Collateral, floored to the token's unit.
    """
    return self._compute_output(amount, self.stable_reserve, self.collateral_reserve) // UNIT * UNIT


@external
@view
def price() -> uint256:
    """
    @notice The price before the fee.
    @return [ray] Stablecoin for 1e18 of collateral; 0 if there is no liquidity.
    """
    if self.collateral_reserve == 0:
        return 0
    return self.stable_reserve * RAY // self.collateral_reserve


@internal
@view
def _compute_output(amount: uint256, reserve_in: uint256, reserve_out: uint256) -> uint256:
    paid: uint256 = amount * (BASIS_POINTS - FEE)
    if paid == 0:
        return 0
    return paid * reserve_out // (reserve_in * BASIS_POINTS + paid)


@internal
@pure
def _check_output(out: uint256, min_out: uint256):
    assert out != 0, "market: nothing out"
    assert out >= min_out, "market: too little out"


@internal
def _pull_token(token: address, amount: uint256):
    assert extcall IERC20(token).transferFrom(
        msg.sender, self, amount, default_return_value=True
    ), "market: transfer in failed"


@internal
def _push_token(token: address, receiver: address, amount: uint256):
    # The collateral that is booked is held; the stablecoin reverts where it is not.
    extcall IERC20(token).transfer(receiver, amount, default_return_value=True)
