# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Equity
@license GNU Affero General Public License v3.0 only
@notice The protocol's equity: ERC-20 with EIP-2612 permits. Its holders bear losses twice: staked equity is
        slashed, and new equity is sold to cover the rest. Minting in an epoch is capped; income buys equity
        back, which is burned.
@dev snekmate's `erc20` without its owner and minters. A sale that takes time books its equity first, and
     creates it only when it is paid. The booked part of the cap stays reserved past the end of the epoch, so
     no other minting can stop a sale under way.
"""
from ethereum.ercs import IERC20
from snekmate.auth import ownable
from snekmate.tokens import erc20

from contracts.interfaces import IEquity
from contracts.modules import bounds
from contracts.modules import roles
from contracts.modules import units

implements: IERC20
implements: IEquity

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


event MintCapSet:
    mint_cap: uint256  # [whole tokens]


struct Issue:
    mint_cap: uint256  # whole tokens that may be created in an epoch, 32 bits
    epoch: uint256  # of `minted`, 32 bits
    minted: uint256  # wad created in the epoch, 96 bits
    booked: uint256  # wad that may still be created, in whatever epoch, 96 bits


MASK_32: constant(uint256) = 2**32 - 1
MASK_96: constant(uint256) = 2**96 - 1

# Sells what it books here; the zero address is none.
AUCTION: public(immutable(address))
# Seconds.
EPOCH_LENGTH: public(immutable(uint256))

# Issue
issue: uint256


@deploy
def __init__(
    admin: address,
    auction: address,
    holder: address,
    supply: uint256,
    epoch_length: uint256,
    mint_cap: uint256,
):
    """
    @param admin Sets the cap and grants the role MINTER.
    @param auction Books equity and creates it when it is paid, or the zero address.
    @param holder Receiver of the first supply.
    @param supply [whole tokens] Created at once.
    @param epoch_length [seconds] In which the cap holds.
    @param mint_cap [whole tokens] That may be created in an epoch.
    """
    ownable.__init__()
    ownable._transfer_ownership(empty(address))
    erc20.__init__("Backstop Equity", "BSE", 18, "Backstop Equity", "1")
    roles.__init__(admin)
    assert epoch_length >= bounds.MIN_EPOCH, "equity: short epoch"
    assert epoch_length <= bounds.MAX_EPOCH, "equity: long epoch"
    assert supply <= bounds.MAX_EQUITY_SUPPLY, "equity: supply bounds"
    AUCTION = auction
    EPOCH_LENGTH = epoch_length
    self._set_mint_cap(mint_cap)
    if supply != 0:
        erc20._mint(holder, supply * units.WAD)


# ----------------------------------------------------------------- creation


@external
def mint(to: address, amount: uint256):
    """
    @notice Create equity. Role MINTER. Protects: the amount minted and booked in an epoch stays within its
            cap.
    @param to Receiver of the equity.
    @param amount [wad] Created.
    """
    roles._check_role(roles.MINTER)
    issue: Issue = self._load_issue_of_present_epoch()
    self._check_mint_cap(issue, amount)
    issue.minted += amount
    self._store_issue(issue)
    erc20._mint(to, amount)


@external
def reserve_mint(amount: uint256):
    """
    @notice Set a part of the cap aside for equity that is created later. Auction only.
    @param amount [wad] Set aside.
    """
    self._only_auction()
    issue: Issue = self._load_issue_of_present_epoch()
    self._check_mint_cap(issue, amount)
    issue.booked = unsafe_add(issue.booked, amount)
    self._store_issue(issue)


@external
def release_mint(amount: uint256):
    """
    @notice Release a booked amount. Auction only.
    @param amount [wad] At most the booked amount.
    """
    self._only_auction()
    issue: Issue = self._load_issue_of_present_epoch()
    issue.booked = self._less_booked(issue.booked, amount)
    self._store_issue(issue)


@external
def mint_reserved(to: address, amount: uint256, given_up: uint256):
    """
    @notice Create equity that was booked. Auction only. It counts as created in the present epoch.
    @param to Receiver of the equity.
    @param amount [wad] Created.
    @param given_up [wad] Booked and no longer needed.
    """
    self._only_auction()
    issue: Issue = self._load_issue_of_present_epoch()
    issue.booked = self._less_booked(issue.booked, amount + given_up)
    issue.minted = unsafe_add(issue.minted, amount)
    self._store_issue(issue)
    erc20._mint(to, amount)


@external
def burn(owner: address, amount: uint256):
    """
    @notice Destroy equity. The owner, or a spender of the owner's.
    @param owner Owner of the burned balance.
    @param amount [wad] Destroyed.
    """
    if msg.sender != owner:
        erc20._spend_allowance(owner, msg.sender, amount)
    erc20._burn(owner, amount)


# --------------------------------------------------------------- parameters


@external
def set_mint_cap(new: uint256):
    """
    @notice Set how much may be created in an epoch. Admin only. Booked amounts stay booked.
    @param new [whole tokens] The cap, from now on.
    """
    roles._only_admin()
    self._set_mint_cap(new)


# -------------------------------------------------------------------- views


@external
@view
def mintable() -> uint256:
    """
    @notice Return the amount that may still be created or booked in the present epoch.
    @return [wad] 0 if more is booked than the cap.
    """
    return self._room(self._load_issue_of_present_epoch())


@external
@view
def issue_of_epoch() -> Issue:
    """
    @notice Return the cap, the present epoch, and the amounts created and booked in it.
    @return The record, as of now.
    """
    return self._load_issue_of_present_epoch()


# ------------------------------------------------------------------ helpers


@internal
@view
def _only_auction():
    assert msg.sender == AUCTION, "equity: only auction"


@internal
@view
def _load_issue_of_present_epoch() -> Issue:
    word: uint256 = self.issue
    epoch: uint256 = unsafe_div(block.timestamp, EPOCH_LENGTH)
    issue: Issue = Issue(
        mint_cap=word & MASK_32,
        epoch=epoch,
        minted=(word >> 64) & MASK_96,
        booked=word >> 160,
    )
    if epoch != (word >> 32) & MASK_32:
        issue.minted = 0
    return issue


@internal
def _store_issue(issue: Issue):
    # Created and booked equity never passes the highest cap, which is under 2**96 wad.
    self.issue = issue.mint_cap | (issue.epoch << 32) | (issue.minted << 64) | (issue.booked << 160)


@internal
@pure
def _room(issue: Issue) -> uint256:
    """@dev Wad. The cap may be lower than the booked amount. No field has more than 96 bits."""
    cap: uint256 = unsafe_mul(issue.mint_cap, units.WAD)
    return unsafe_sub(cap, min(cap, unsafe_add(issue.minted, issue.booked)))


@internal
@pure
def _check_mint_cap(issue: Issue, amount: uint256):
    assert amount <= self._room(issue), "equity: over mint cap"


@internal
@pure
def _less_booked(booked: uint256, amount: uint256) -> uint256:
    """@dev Booked wad that has no amount."""
    assert amount <= booked, "equity: more than reserved"
    return unsafe_sub(booked, amount)


@internal
def _set_mint_cap(new: uint256):
    assert new <= bounds.MAX_MINT_CAP, "equity: cap bounds"
    issue: Issue = self._load_issue_of_present_epoch()
    issue.mint_cap = new
    self._store_issue(issue)
    log MintCapSet(mint_cap=new)
