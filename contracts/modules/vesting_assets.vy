# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize codesize
"""
@title vesting_assets
@license GNU Affero General Public License v3.0 only
@notice The assets of a pool: one 18-decimal token, booked in one slot, and income that vests over time.
@dev Assets are booked, so donations change nothing. State is written before every outside call: a price read
     in the middle of one is the price after it.
"""
from ethereum.ercs import IERC20

from contracts.modules import bounds
from contracts.modules import revert_reason
from contracts.modules import units


event IncomeAdded:
    payer: indexed(address)
    assets: uint256  # [wad]
    ends_at: uint256  # [timestamp]


struct Assets:
    booked: uint256  # wad, all of them, 96 bits
    unvested: uint256  # wad of income that had not vested at `vested_at`, 96 bits
    vested_at: uint256  # seconds, 32 bits
    ends_at: uint256  # seconds, when all is vested, 32 bits


MASK_32: constant(uint256) = 2**32 - 1
MASK_96: constant(uint256) = 2**96 - 1

asset: public(immutable(address))
# Seconds over which income vests.
VESTING: public(immutable(uint256))

# Assets
assets: uint256


@deploy
def __init__(asset_: address, vesting: uint256):
    """
    @param asset_ The token held, 18 decimals.
    @param vesting [seconds] Over which income vests.
    """
    assert vesting >= bounds.MIN_VESTING, "pool: short vesting"
    assert vesting <= bounds.MAX_VESTING, "pool: long vesting"
    asset = asset_
    VESTING = vesting


@external
@nonreentrant
def add_income(assets: uint256):
    """
    @notice Give the members income. Anyone. It vests evenly over VESTING seconds; income that has not vested
            yet goes on with it, up to the mean of both ends, weighted by the amounts. Protects: no depositor
            earns by entering just before an income and leaving just after; dust prolongs nothing.
    @param assets [wad] Pulled from the caller.
    """
    if assets == 0:
        revert_reason._raise("pool: no income")
    held: Assets = self._load()
    self._check_room(held.booked, assets)
    unvested: uint256 = self._compute_unvested(held)
    rest: uint256 = held.ends_at - min(held.ends_at, block.timestamp)
    total: uint256 = unvested + assets
    ends_at: uint256 = block.timestamp + (unvested * rest + assets * VESTING) // total
    self._store(
        Assets(
            booked=held.booked + assets,
            unvested=total,
            vested_at=block.timestamp,
            ends_at=ends_at,
        )
    )
    log IncomeAdded(payer=msg.sender, assets=assets, ends_at=ends_at)
    self._pull_assets(assets)


@external
@view
def unvested() -> uint256:
    """
    @notice Income that has not vested yet.
    @return [wad] Rounded up.
    """
    return self._compute_unvested(self._load())


@external
@view
def maxDeposit(receiver: address) -> uint256:
    """
    @notice Return the amount that can still be booked: far more than there is.
    @param receiver Any; it makes no difference.
    @return [wad] The most that a deposit may be.
    """
    return self._compute_room()


# ----------------------------------------------------------------- internals


@internal
def _add(assets: uint256):
    """@dev Book an entry; its payment is pulled later."""
    word: uint256 = self.assets
    self._check_room(word & MASK_96, assets)
    self.assets = unsafe_add(word, assets)


@internal
def _book_out(assets: uint256):
    """@dev Vested assets that leave."""
    self.assets -= assets


@internal
def _book_in(assets: uint256):
    """@dev Assets that were booked out before: all that there is fits."""
    self.assets += assets


@internal
def _remove_unvested_income(assets: uint256):
    """@dev Book income out that has not vested; the rest vests as before."""
    held: Assets = self._load()
    unvested: uint256 = self._compute_unvested(held)
    if assets > unvested:
        revert_reason._raise("pool: vested already")
    held.booked -= assets
    held.unvested = unvested - assets
    held.vested_at = block.timestamp
    self._store(held)


@internal
def _clear_and_count_booked_assets() -> uint256:
    """@dev Book all out, income that has not vested with it; how much that is, wad."""
    rest: uint256 = self.assets & MASK_96
    self.assets = 0
    return rest


@internal
@view
def _compute_room() -> uint256:
    """@dev Wad that can still be booked."""
    return MASK_96 - (self.assets & MASK_96)


@internal
@pure
def _check_room(booked: uint256, assets: uint256):
    if assets > MASK_96 - booked:
        revert_reason._raise("pool: too many assets")


@internal
def _pull_assets(assets: uint256):
    if not extcall IERC20(asset).transferFrom(msg.sender, self, assets, default_return_value=True):
        revert_reason._raise("pool: transfer in failed")


@internal
def _send_asset_tokens(receiver: address, assets: uint256):
    if not extcall IERC20(asset).transfer(receiver, assets, default_return_value=True):
        revert_reason._raise("pool: transfer out failed")


@internal
@view
def _compute_unvested(held: Assets) -> uint256:
    """
    @dev Wad, rounded up.
    """
    if block.timestamp >= held.ends_at:
        return 0
    # 96 + 32 bits.
    return units._div_up(
        unsafe_mul(held.unvested, unsafe_sub(held.ends_at, block.timestamp)),
        unsafe_sub(held.ends_at, held.vested_at),
    )


@internal
@view
def _get_vested_assets() -> uint256:
    """
    @dev Vested assets, wad.
    """
    held: Assets = self._load()
    return unsafe_sub(held.booked, self._compute_unvested(held))


@internal
@view
def _load() -> Assets:
    word: uint256 = self.assets
    return Assets(
        booked=word & MASK_96,
        unvested=(word >> 96) & MASK_96,
        vested_at=(word >> 192) & MASK_32,
        ends_at=word >> 224,
    )


@internal
def _store(held: Assets):
    self.assets = held.booked | (held.unvested << 96) | (held.vested_at << 192) | (held.ends_at << 224)
