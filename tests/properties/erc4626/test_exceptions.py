"""Exceptions of pools to what integrators of ERC-4626 expect (docs/reference/erc4626.md)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstop.contract_base import RevertError
from backstop.proof.local_protocol import PRICES
from tests.support.erc4626 import MEMBERS, build_parameters
from tests.support.known_issue_marks import check_holds, mark_known_issue
from tests.support.revert_setter_and_source_helpers import get_revert_reason
from tests.support.saver_steps import lose_new_vault

few = settings(max_examples=6)


@few
@given(data=st.data())
def test_a_pool_without_a_cooldown_takes_no_requests(plain, data):
    with plain.open_drawn_state(data) as at:
        owner = at.draw_person(MEMBERS)
        with pytest.raises(RevertError, match="no request needed"):
            at.do(owner, "requestRedeem", at.draw_bounded_amount(at.see("balanceOf", owner)), owner, owner)


@few
@given(data=st.data())
def test_with_a_cooldown_shares_that_were_not_requested_are_not_redeemed(pools, data, cooldown):
    with pools.open_drawn_state(data, ("calm",)) as at:
        shares = at.call_for_own_account("dora", "deposit", at.draw_possible_deposit("dora"))
        assert at.see("maxRedeem", "dora") == (at.see("balanceOf", "dora") if cooldown == 0 else 0)
        if cooldown:
            with pytest.raises(RevertError, match="more than max"):
                at.do("dora", "redeem", shares, "dora", "dora")


def test_conversion_knows_no_loss_that_is_pending_and_previews_of_exits_do(plain):
    with plain.fork_pool_in_state("pending", None) as at:
        shares = at.see("balanceOf", "anna")
        assert at.see("previewRedeem", shares) < at.see("convertToAssets", shares)


@few
@given(data=st.data())
def test_exits_are_previewed_for_whoever_asks(plain, data):
    with plain.open_drawn_state(data, ("calm",)) as at:
        shares = at.see("balanceOf", "anna")
        before = at.see("previewRedeem", shares)
        assert before > 0 == at.see("maxRedeem", "stranger")
        assert at.see("previewRedeem", shares, by="stranger") == before


@mark_known_issue("maxRedeem is the most that can be redeemed without a revert, 0 where nobody can")
def test_what_maxRedeem_says_can_be_redeemed(plain):
    with plain.fork_pool_in_state("all pending", None) as at:
        shares = at.see("maxRedeem", "anna")
        refused = shares and get_revert_reason(
            at.protocol, f"{at.pool}.redeem", shares, "anna", "anna", sender="anna"
        )
        check_holds(not refused, f"{at.pool}: {shares} shares at most, and redeeming them reverts: {refused}")


@mark_known_issue("maxWithdraw does not revert, whatever else fails")
def test_maxWithdraw_does_not_revert_without_a_price_of_equity(new_protocol):
    protocol = new_protocol(build_parameters(0))
    for symbol, price in PRICES.items():
        protocol.post_price(symbol, price)
    assert protocol.read("StakedEquity.maxWithdraw", "anna") == 0
    lose_new_vault(protocol)
    try:
        protocol.read("StakedEquity.maxWithdraw", "anna")
    except RevertError as revert:
        check_holds(False, f"with a loss and no price of equity it reverts: {revert.reason}")
