"""ERC-4626 as the property suite of a16z (erc4626-tests) states it, under its names, for every pool.

Shares that wait for an exit count as their owner's; docs/reference/erc4626.md gives the reason, and other
differences.
"""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backstop.contract_base import RevertError
from tests.support.erc4626 import (
    MEMBERS,
    PEOPLE,
    check_exit,
    draw_exit_accounts_and_amount,
    enter_pool_and_check_balances,
)

few = settings(max_examples=6)
anybody = st.sampled_from(PEOPLE) | st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
numbers = st.integers(0, 2**120)


# ------------------------------------------------------------- what never reverts


@few
@given(data=st.data())
def test_asset(pools, data):
    with pools.open_drawn_state(data) as at:
        assert at.see("asset", by=data.draw(anybody)) == at.protocol.address(at.asset)


@few
@given(data=st.data())
def test_totalAssets(pools, data):
    with pools.open_drawn_state(data) as at:
        assert at.see("totalAssets", by=data.draw(anybody)) <= at.read_asset_balance(at.pool)


@few
@given(data=st.data())
@pytest.mark.parametrize("view", ["maxDeposit", "maxMint", "maxWithdraw", "maxRedeem"])
def test_max(pools, data, view):
    """The suite's test_maxDeposit, test_maxMint, test_maxWithdraw and test_maxRedeem."""
    with pools.open_drawn_state(data) as at:
        assert at.see(view, data.draw(anybody), by=data.draw(anybody)) >= 0


# ----------------------------------------------- what is the same for every caller


@few
@given(data=st.data(), amount=numbers)
@pytest.mark.parametrize("view", ["convertToShares", "convertToAssets"])
def test_convert(pools, data, view, amount):
    """The suite's test_convertToShares and test_convertToAssets."""
    with pools.open_drawn_state(data) as at:
        assert at.see(view, amount, by=data.draw(anybody)) == at.see(view, amount, by=data.draw(anybody))


# ------------------------------------------------------- what a preview promises


@few
@given(data=st.data())
def test_previewDeposit(pools, data):
    with pools.open_drawn_state(data) as at:
        caller, receiver, other = at.draw_person(), at.draw_person(), at.draw_person()
        assets = at.draw_possible_deposit(caller)
        preview = at.see("previewDeposit", assets, by=other)
        assert at.do(caller, "deposit", assets, receiver) == preview


@few
@given(data=st.data())
def test_previewMint(pools, data):
    with pools.open_drawn_state(data) as at:
        caller, receiver, other = at.draw_person(), at.draw_person(), at.draw_person()
        shares = at.draw_mint(caller)
        preview = at.see("previewMint", shares, by=other)
        assert at.do(caller, "mint", shares, receiver) == preview


@few
@given(data=st.data())
def test_previewWithdraw(plain, data):
    with plain.open_drawn_state(data) as at:
        caller, receiver, owner, assets = draw_exit_accounts_and_amount(at, "Withdraw")
        preview = at.see("previewWithdraw", assets, by=at.draw_person())
        assert at.do(caller, "withdraw", assets, receiver, owner) == preview


@few
@given(data=st.data())
def test_previewRedeem(plain, data):
    with plain.open_drawn_state(data) as at:
        caller, receiver, owner, shares = draw_exit_accounts_and_amount(at, "Redeem")
        preview = at.see("previewRedeem", shares, by=at.draw_person())
        assert at.do(caller, "redeem", shares, receiver, owner) == preview


# --------------------------------------------------------------- what changes hands


@few
@given(data=st.data())
def test_deposit(pools, data):
    with pools.open_drawn_state(data) as at:
        caller = at.draw_person()
        enter_pool_and_check_balances(
            at, "deposit", caller, at.draw_person(), at.draw_possible_deposit(caller)
        )


@few
@given(data=st.data())
def test_mint(pools, data):
    with pools.open_drawn_state(data) as at:
        caller = at.draw_person()
        enter_pool_and_check_balances(at, "mint", caller, at.draw_person(), at.draw_mint(caller))


@few
@given(data=st.data())
def test_withdraw(plain, data):
    with plain.open_drawn_state(data) as at:
        check_exit(at, "withdraw", *draw_exit_accounts_and_amount(at, "Withdraw"))


@few
@given(data=st.data())
def test_redeem(plain, data):
    with plain.open_drawn_state(data) as at:
        check_exit(at, "redeem", *draw_exit_accounts_and_amount(at, "Redeem"))


@few
@given(data=st.data())
@pytest.mark.parametrize(("method", "unit"), [("withdraw", "Withdraw"), ("redeem", "Redeem")])
def test_zero_allowance(plain, data, method, unit):
    """The suite's test_withdraw_zero_allowance and test_redeem_zero_allowance."""
    with plain.open_drawn_state(data) as at:
        caller, receiver, owner, amount = draw_exit_accounts_and_amount(at, unit, should_allow_caller=False)
        assume(caller != owner)
        with pytest.raises(RevertError, match="allowance"):
            at.do(caller, method, amount, receiver, owner)


# --------------------------------------------------------------------- round trips


# What the second call is given: what the first one returned, or the same; and what bounds its result.
TRIPS = {
    "RT_deposit_redeem": ("deposit", "redeem", "returned", "at most"),
    "RT_deposit_withdraw": ("deposit", "withdraw", "same", "at least"),
    "RT_redeem_deposit": ("redeem", "deposit", "returned", "at most"),
    "RT_redeem_mint": ("redeem", "mint", "same", "at least"),
    "RT_mint_withdraw": ("mint", "withdraw", "returned", "at least"),
    "RT_mint_redeem": ("mint", "redeem", "same", "at most"),
    "RT_withdraw_mint": ("withdraw", "mint", "returned", "at least"),
    "RT_withdraw_deposit": ("withdraw", "deposit", "same", "at most"),
}


@pytest.mark.deep(cases=8)
@few
@given(data=st.data())
@pytest.mark.parametrize("trip", TRIPS)
def test_round_trips(plain, data, trip):
    first, second, given_to, bound = TRIPS[trip]
    with plain.open_drawn_state(data) as at:
        caller = at.draw_person(MEMBERS)
        before, assets = at.worth(caller), min(at.read_asset_balance(caller), at.see("maxWithdraw", caller))
        amount = at.draw_bounded_amount(
            assets if first in ("deposit", "withdraw") else at.see("convertToShares", assets)
        )
        returned = at.call_for_own_account(caller, first, amount)
        last = at.call_for_own_account(caller, second, returned if given_to == "returned" else amount)
        reference = amount if given_to == "returned" else returned
        assert last <= reference if bound == "at most" else last >= reference
        assert at.worth(caller) <= before
