"""The protocol's equity: a token with a cap on its creation in each epoch. Amounts in wad.

A sale that takes time books its equity first and creates it when it is paid: booked equity is kept for it
over the end of the epoch.
"""

from __future__ import annotations

from typing import NamedTuple

from backstop.contract_base import (
    World,
    declare_record_slot_bit_widths,
    external,
    immutable,
    require,
    view,
)
from backstop.model import bounds
from backstop.model.arithmetic import WAD, add_uint256
from backstop.model.erc20 import ERC20
from backstop.model.roles import MINTER, Administered


@declare_record_slot_bit_widths(32, 32, 96, 96)
class Issue(NamedTuple):
    """Cap on equity minted in an epoch [whole tokens], and the amounts minted and reserved [wad]."""

    mint_cap: int = 0  # whole tokens in an epoch
    epoch: int = 0  # of `minted`
    minted: int = 0  # wad created in the epoch
    booked: int = 0  # wad that may still be created, in whatever epoch

    @property
    def room(self) -> int:
        """Equity that may still be minted or reserved in the epoch [wad].

        0 if a new cap lies below the minted and reserved amounts.
        """
        return max(0, self.mint_cap * WAD - self.minted - self.booked)


class Equity(Administered, ERC20):
    """ERC-20 token of the protocol's equity, with a cap on the amount minted in each epoch.

    Model of contracts/Equity.vy.
    """

    KIND = "Equity"

    # Sells what it books here; the zero address is none.
    auction_address = immutable("AUCTION", str)
    # Seconds.
    epoch_length = immutable("EPOCH_LENGTH", int)

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        admin: str,
        auction: str,
        holder: str,
        supply: int,
        epoch_length: int,
        mint_cap: int,
    ) -> None:
        super().__init__(world, name, address, admin, "Backstop Equity", "BSE", 18)
        require(epoch_length >= bounds.MIN_EPOCH, "equity: short epoch")
        require(epoch_length <= bounds.MAX_EPOCH, "equity: long epoch")
        require(supply <= bounds.MAX_EQUITY_SUPPLY, "equity: supply bounds")
        self.auction_address = auction
        self.epoch_length = epoch_length
        self.issue = self.table("issue", Issue())
        self._set_mint_cap(mint_cap)
        if supply != 0:
            self._mint_tokens(holder, supply * WAD)

    @external
    def mint(self, sender: str, to: str, amount: int) -> None:
        """Mint equity [wad] to an account, within the epoch's cap. Only the role MINTER may call this."""
        self._check_role(sender, MINTER)
        issue = self._load_issue_of_present_epoch()
        _check_mint_cap(issue, amount)
        self.issue[()] = issue._replace(minted=issue.minted + amount)
        self._mint_tokens(to, amount)

    @external
    def reserve_mint(self, sender: str, amount: int) -> None:
        """Reserve a part of the epoch's cap for equity that is minted later [wad].

        The reservation outlasts the epoch. Only the equity auction may call this.
        """
        self._only_auction(sender)
        issue = self._load_issue_of_present_epoch()
        _check_mint_cap(issue, amount)
        self.issue[()] = issue._replace(booked=issue.booked + amount)

    @external
    def release_mint(self, sender: str, amount: int) -> None:
        """Release an amount of equity reserved for minting [wad]. Only the equity auction may call this."""
        self._only_auction(sender)
        self.issue[()] = _subtract_from_booked_equity(self._load_issue_of_present_epoch(), amount)

    @external
    def mint_reserved(self, sender: str, to: str, amount: int, given_up: int) -> None:
        """Mint an amount of reserved equity [wad], and release the reservation of `given_up` more [wad].

        Only the equity auction may call this.
        """
        self._only_auction(sender)
        issue = _subtract_from_booked_equity(
            self._load_issue_of_present_epoch(), add_uint256(amount, given_up)
        )
        self.issue[()] = issue._replace(minted=issue.minted + amount)
        self._mint_tokens(to, amount)

    @external
    def burn(self, sender: str, owner: str, amount: int) -> None:
        """Burn an owner's equity [wad]; a caller other than the owner spends an allowance."""
        if sender != owner:
            self._spend_allowance(owner, sender, amount)
        self._burn_tokens(owner, amount)

    @external
    def set_mint_cap(self, sender: str, new: int) -> None:
        """Set the equity that may be minted in an epoch [whole tokens]. Only the admin may call this.

        Reserved equity can be minted under the new cap too.
        """
        self._only_admin(sender)
        self._set_mint_cap(new)

    @view
    def mintable(self, sender: str) -> int:
        """Return the equity that may still be minted or reserved in the present epoch [wad]."""
        return self._load_issue_of_present_epoch().room

    @view
    def issue_of_epoch(self, sender: str) -> Issue:
        """Return the mint cap [whole tokens], the present epoch, and its minted and reserved equity [wad]."""
        return self._load_issue_of_present_epoch()

    def _only_auction(self, sender: str) -> None:
        require(sender == self.auction_address, "equity: only auction")

    def _load_issue_of_present_epoch(self) -> Issue:
        issue: Issue = self.issue[()]
        epoch = self.world.timestamp // self.epoch_length
        return issue if epoch == issue.epoch else issue._replace(epoch=epoch, minted=0)

    def _set_mint_cap(self, new: int) -> None:
        require(new <= bounds.MAX_MINT_CAP, "equity: cap bounds")
        self.issue[()] = self._load_issue_of_present_epoch()._replace(mint_cap=new)
        self.emit("MintCapSet", new)


def _check_mint_cap(issue: Issue, amount: int) -> None:
    require(amount <= issue.room, "equity: over mint cap")


def _subtract_from_booked_equity(issue: Issue, amount: int) -> Issue:
    """Return the record with `amount` less reserved equity [wad]. Reverts if less is reserved."""
    require(amount <= issue.booked, "equity: more than reserved")
    return issue._replace(booked=issue.booked - amount)
