"""A pool of two equal members, one of which leaves, and a vault: its crash takes one member's part."""

from __future__ import annotations

from collections.abc import Callable

from backstop.model.arithmetic import WAD
from backstop.proof.local_protocol import PRICES, LocalProtocol
from tests.support.auction_steps import read_stablecoins
from tests.support.no_fee_deployments import build_uncapped_stages, deploy_without_fees
from tests.support.saver_steps import (
    XAU,
    cut_batch_and_wait_cooldown,
    deposit_savings,
    redeem_all_shares,
    request_all_shares,
)

STAKE = 10_000 * WAD
CRASHED = PRICES["XAU"] // 10_000


def deploy_pool_with_two_members(new_protocol: Callable[..., LocalProtocol]) -> LocalProtocol:
    """`other` and `attacker` have 10,000 in Junior each; the attacker has asked to leave."""
    protocol = deploy_without_fees(new_protocol, stages=build_uncapped_stages("buffer", "reserve", "junior"))
    for who in ("other", "attacker"):
        deposit_savings(protocol, who, STAKE, "Junior")
    request_all_shares(protocol, "attacker", "Junior")
    return protocol


def open_vault_owing_member_stake(protocol: LocalProtocol) -> None:
    """A vault of `borrower` that owes as much as a member has."""
    protocol.post_price("XAU", PRICES["XAU"])
    protocol.borrow("borrower", "XAU", 6 * WAD, STAKE)


def liquidate_vault_and_get_auction_id(protocol: LocalProtocol) -> int:
    """Liquidate that vault at the price of now; the auction's id."""
    return int(protocol.do("LiquidationEngine.liquidate", XAU, "borrower", "keeper", sender="keeper"))


def end_auction_unsold(protocol: LocalProtocol, auction_id: int) -> None:
    """The auction finds no taker, its principal is lost."""
    end = protocol.timestamp + protocol.parameters.collateral_types[XAU].auction.tail
    while protocol.timestamp <= end:
        protocol.post_price("XAU", CRASHED)
    protocol.do("CollateralAuction.close", auction_id, sender="stranger")


def call_cover_of_gold_loss(protocol: LocalProtocol) -> None:
    """Cover the loss from the stages."""
    protocol.do("LossWaterfall.cover", XAU, sender="stranger")


def exit_pool_and_read_member_coins(protocol: LocalProtocol) -> int:
    """Return the other member's final withdrawal [wad]."""
    if protocol.read("Junior.balanceOf", "other"):
        request_all_shares(protocol, "other", "Junior")
        cut_batch_and_wait_cooldown(protocol, "Junior")
        redeem_all_shares(protocol, "other", "Junior")
    return read_stablecoins(protocol, "other")
