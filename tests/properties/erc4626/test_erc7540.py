"""ERC-7540 for pools with a cooldown: its own text, and the suite of Recon and Centrifuge by its numbers.

Requests are of redemption alone: entries are those of ERC-4626.
"""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backstop.contract_base import RevertError
from tests.support.erc4626 import MEMBERS, STATES
from tests.support.revert_setter_and_source_helpers import get_revert_reason
from tests.support.saver_steps import LOOK

few = settings(max_examples=6)
CALLS = {"redeem": "maxRedeem", "withdraw": "maxWithdraw"}
amounts = st.integers(0, 2**256 - 1) | st.integers(0, 10**24)


@contextmanager
def paid(pools, data):
    """A state in which a batch may have been paid, in whole or in part, and claimed in part."""
    with pools.open_drawn_state(data, STATES) as at:
        at.protocol.advance(LOOK)
        get_revert_reason(at.protocol, f"{at.pool}.settle", sender="stranger")
        who = at.draw_person(MEMBERS)
        if at.see("maxRedeem", who) and data.draw(st.booleans()):
            at.do(who, "redeem", at.draw_bounded_amount(at.see("maxRedeem", who)), who, who)
        yield at


def batch_of(at) -> int:
    """Return the batch of all requests; it is cut."""
    return int(at.see("queue")[2]) - 1


# ----------------------------------------------------------------------- the suite


@few
@given(data=st.data())
def test_7540_1_and_2_all_shares_are_all_assets(asynchronous, data):
    """To the unit that rounding takes. Equity under auction may come back: conversions count it already."""
    with paid(asynchronous, data) as at:
        supply, assets = at.see("totalSupply"), at.see("totalAssets")
        assume(at.pool != "StakedEquity" or at.protocol.read("StakeAuction.under_auction") == 0)
        price = -(-assets // supply) + 1
        assert abs(at.see("convertToAssets", supply) - assets) <= price
        assert abs(at.see("convertToShares", assets) - supply) <= supply // max(assets, 1) + 10**6


@few
@given(data=st.data())
@pytest.mark.parametrize("view", ["maxDeposit", "maxMint", "maxWithdraw", "maxRedeem"])
def test_7540_3_max_never_reverts(asynchronous, data, view):
    with paid(asynchronous, data) as at:
        assert at.see(view, at.draw_person()) >= 0


@few
@given(data=st.data(), more=st.integers(1, 2**90))
@pytest.mark.parametrize("call", CALLS)
def test_7540_4_claiming_more_than_max_always_reverts(asynchronous, data, call, more):
    with paid(asynchronous, data) as at:
        who = at.draw_person()
        with pytest.raises(RevertError, match="more than max"):
            at.do(who, call, at.see(CALLS[call], who) + more, who, who)


@few
@given(data=st.data(), more=st.integers(1, 2**90))
def test_7540_5_a_request_beyond_the_balance_reverts(asynchronous, data, more):
    with paid(asynchronous, data) as at:
        who = at.draw_person()
        with pytest.raises(RevertError, match="balance too small"):
            at.do(who, "requestRedeem", at.see("balanceOf", who) + more, who, who)


@few
@given(data=st.data(), amount=amounts)
@pytest.mark.parametrize("view", ["previewRedeem", "previewWithdraw"])
def test_7540_6_previews_always_revert(asynchronous, data, view, amount):
    """Those of exits, the asynchronous side."""
    with paid(asynchronous, data) as at, pytest.raises(RevertError, match="request first"):
        at.protocol.read(f"{at.pool}.{view}", amount)


@few
@given(data=st.data())
@pytest.mark.parametrize("call", CALLS)
def test_7540_7_what_max_says_can_be_claimed(asynchronous, data, call):
    with paid(asynchronous, data) as at:
        who = at.draw_person(MEMBERS)
        most = at.see(CALLS[call], who)
        assume(most)
        other = at.see("maxRedeem" if call == "withdraw" else "maxWithdraw", who)
        held = at.read_asset_balance(who)
        assert at.do(who, call, most, who, who) <= other
        assert at.read_asset_balance(who) - held == (most if call == "withdraw" else other)
        assert at.see(CALLS[call], who) == 0


# ------------------------------------------------------------------ the text itself


@few
@given(data=st.data())
def test_a_request_moves_shares_and_is_pending(asynchronous, data):
    """Its text: shares "MUST be removed from the custody of owner upon requestRedeem"."""
    with paid(asynchronous, data) as at:
        owner, controller = at.draw_person(MEMBERS), at.draw_person()
        held, shares = at.shares(owner), at.draw_bounded_amount(at.shares(owner))
        asked = at.see("maxRedeem", controller)
        # Nobody requests for an account that has not allowed it.
        at.protocol.do(f"{at.pool}.setOperator", owner, True, sender=controller)
        batch = at.protocol.do(f"{at.pool}.requestRedeem", shares, controller, owner, sender=owner)
        assert at.shares(owner) == held - shares
        assert at.see("pendingRedeemRequest", batch, controller) == shares
        assert at.see("claimableRedeemRequest", batch, controller) == 0
        assert at.see("maxRedeem", controller) == asked


@few
@given(data=st.data())
def test_pending_and_claimable_leave_nothing_out(asynchronous, data):
    """Its text: pending ones do not "include any shares in Claimable state", and the reverse."""
    with paid(asynchronous, data) as at:
        who, batch = at.draw_person(MEMBERS), batch_of(at)
        waits = at.see("pendingRedeemRequest", batch, who)
        ready = at.see("claimableRedeemRequest", batch, who)
        assume(ready)
        claimed = at.draw_bounded_amount(ready)
        at.do(who, "redeem", claimed, who, who)
        assert at.see("pendingRedeemRequest", batch, who) == waits
        assert at.see("claimableRedeemRequest", batch, who) == ready - claimed == at.see("maxRedeem", who)


@few
@given(data=st.data())
def test_requests_of_a_batch_are_claimable_alike_and_at_one_rate(asynchronous, data):
    """Its text: they "MUST become claimable at the same pro-rata rate"."""
    with asynchronous.fork_pool_in_state(data.draw(st.sampled_from(STATES)), data.draw) as at:
        at.protocol.advance(LOOK)
        get_revert_reason(at.protocol, f"{at.pool}.settle", sender="stranger")
        batch, parts = batch_of(at), []
        for who in MEMBERS:
            ready = at.see("claimableRedeemRequest", batch, who)
            every = ready + at.see("pendingRedeemRequest", batch, who)
            parts.append((ready, every, at.see("maxWithdraw", who)))
        for ready, every, assets in parts:
            first, all_first, assets_first = parts[0]
            assert abs(ready * all_first - first * every) <= max(every, all_first)
            assert abs(assets * all_first - assets_first * every) <= max(every, all_first)


@few
@given(data=st.data())
@pytest.mark.parametrize("call", CALLS)
def test_only_controller_and_operators_claim(asynchronous, data, call):
    """Its text: "MUST be msg.sender unless the controller has approved the msg.sender as an operator"."""
    with paid(asynchronous, data) as at:
        who, most = "anna", at.see(CALLS[call], "anna")
        at.allow(who, "proxy", 2**256 - 1)
        assume(most)
        with pytest.raises(RevertError, match="not controller"):
            at.do("proxy", call, most, "proxy", who)
        at.protocol.do(f"{at.pool}.setOperator", "proxy", True, sender=who)
        at.do("proxy", call, most, "proxy", who)
        assert at.read_asset_balance("proxy") > 0


@few
@given(data=st.data())
def test_views_are_the_same_for_every_caller(asynchronous, data):
    with paid(asynchronous, data) as at:
        who, batch, by = at.draw_person(), batch_of(at), at.draw_person()
        for view in ("pendingRedeemRequest", "claimableRedeemRequest"):
            assert at.see(view, batch, who, by=by) == at.see(view, batch, who)
        for view in CALLS.values():
            assert at.see(view, who, by=by) == at.see(view, who)
