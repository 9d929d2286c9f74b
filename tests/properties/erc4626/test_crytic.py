"""ERC-4626 as the property suite of crytic (properties) states it, under its names, for every pool.

Exits are those of pools without a cooldown; docs/reference/erc4626.md has the reason and other differences.
"""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backstop.contract_base import RevertError
from backstop.model.arithmetic import WAD
from tests.support.erc4626 import (
    MEMBERS,
    PEOPLE,
    PoolInState,
    check_exit,
    draw_exit_accounts_and_amount,
    enter_pool_and_check_balances,
)

few = settings(max_examples=6)
amounts = st.integers(0, 10**38)
UNITS = {"withdraw": "Withdraw", "redeem": "Redeem"}


# ---------------------------------------------------------- functional accounting


@few
@given(data=st.data())
@pytest.mark.parametrize("method", ["deposit", "mint"])
def test_entry_properties(pools, data, method):
    """The suite's verify_depositProperties and verify_mintProperties."""
    with pools.open_drawn_state(data) as at:
        caller = at.draw_person()
        amount = at.draw_possible_deposit(caller) if method == "deposit" else at.draw_mint(caller)
        preview = at.see("preview" + method.capitalize(), amount)
        assert enter_pool_and_check_balances(at, method, caller, at.draw_person(), amount) == preview


@few
@given(data=st.data())
@pytest.mark.parametrize("method", UNITS)
def test_exit_properties(plain, data, method):
    """The suite's verify_redeemProperties and verify_withdrawProperties."""
    with plain.open_drawn_state(data) as at:
        _, receiver, owner, amount = draw_exit_accounts_and_amount(at, UNITS[method])
        preview = at.see("preview" + UNITS[method], amount)
        assert check_exit(at, method, owner, receiver, owner, amount) == preview


# ----------------------------------------------------------------- must not revert


@pytest.mark.deep(cases=8)
@few
@given(data=st.data())
@pytest.mark.parametrize(
    "view", ["asset", "totalAssets", "maxDeposit", "maxMint", "maxRedeem", "maxWithdraw"]
)
def test_must_not_revert(pools, data, view):
    """The suite's verify_assetMustNotRevert and so on."""
    with pools.open_drawn_state(data) as at:
        at.see(view, *[at.draw_person()] * view.startswith("max"))


@few
@given(data=st.data(), shares=st.integers(0, 10**44))
def test_verify_convertToAssetsMustNotRevert(pools, data, shares):
    """The suite's reasonable values: up to 1e20 whole shares, of 24 decimals."""
    with pools.open_drawn_state(data) as at:
        at.see("convertToAssets", shares)


@few
@given(data=st.data(), assets=amounts)
def test_verify_convertToSharesMustNotRevert(pools, data, assets):
    with pools.open_drawn_state(data) as at:
        at.see("convertToShares", assets)


# ----------------------------------------------------------- redeem using approval


@few
@given(data=st.data())
@pytest.mark.parametrize("method", UNITS)
def test_exit_via_approval_proxy(plain, data, method):
    """The suite's verify_redeemViaApprovalProxy and verify_withdrawViaApprovalProxy: by any other account."""
    with plain.open_drawn_state(data) as at:
        _, receiver, owner, amount = draw_exit_accounts_and_amount(at, UNITS[method])
        shares = amount if method == "redeem" else at.see("previewWithdraw", amount)
        at.allow(owner, "proxy", shares)
        check_exit(at, method, "proxy", receiver, owner, amount)
        assert at.allowance(owner, "proxy") == 0


@few
@given(data=st.data())
@pytest.mark.parametrize("method", UNITS)
def test_exit_requires_token_approval(plain, data, method):
    """The suite's verify_redeemRequiresTokenApproval and verify_withdrawRequiresTokenApproval."""
    with plain.open_drawn_state(data) as at:
        _, receiver, owner, amount = draw_exit_accounts_and_amount(at, UNITS[method])
        shares = amount if method == "redeem" else at.see("previewWithdraw", amount)
        at.allow(owner, "proxy", shares - at.draw_bounded_amount(shares))
        with pytest.raises(RevertError, match="allowance"):
            at.do("proxy", method, amount, receiver, owner)


# ---------------------------------------------------------------- rounding direction


@few
@given(data=st.data())
@pytest.mark.parametrize("view", ["previewDeposit", "previewRedeem", "convertToShares", "convertToAssets"])
def test_nothing_is_worth_nothing(plain, data, view):
    """The suite's verify_previewDepositRoundingDirection and so on, at 0."""
    with plain.open_drawn_state(data) as at:
        assert at.see(view, 0) == 0


@few
@given(data=st.data(), amount=st.integers(1, 10**38) | st.integers(1, 10))
@pytest.mark.parametrize("view", ["previewMint", "previewWithdraw"])
def test_something_costs_something(plain, data, view, amount):
    """The suite's verify_previewMintRoundingDirection and verify_previewWithdrawRoundingDirection."""
    with plain.open_drawn_state(data) as at:
        assert at.see(view, amount) > 0


@few
@given(data=st.data(), amount=amounts)
def test_verify_convertRoundTrip(pools, data, amount):
    with pools.open_drawn_state(data) as at:
        assert at.see("convertToAssets", at.see("convertToShares", amount)) <= amount


@few
@given(data=st.data(), amount=amounts)
def test_verify_convertRoundTrip2(pools, data, amount):
    with pools.open_drawn_state(data) as at:
        assert at.see("convertToShares", at.see("convertToAssets", amount)) <= amount


@few
@given(data=st.data())
@pytest.mark.parametrize(("method", "reason"), [("deposit", "no shares"), ("redeem", "no assets")])
def test_zero_is_refused(plain, data, method, reason):
    """The suite's verify_depositRoundingDirection and verify_redeemRoundingDirection."""
    with plain.open_drawn_state(data) as at, pytest.raises(RevertError, match=reason):
        at.protocol.do(f"{at.pool}.{method}", 0, *["anna"] * (1 if method == "deposit" else 2), sender="anna")


@few
@given(data=st.data(), shares=st.integers(1, 10**7))
def test_verify_mintRoundingDirection(pools, data, shares):
    with pools.open_drawn_state(data) as at:
        assume(at.see("previewMint", shares) <= at.read_asset_balance("dora"))
        assert at.call_for_own_account("dora", "mint", shares) > 0


@few
@given(data=st.data(), assets=st.integers(1, 10))
def test_verify_withdrawRoundingDirection(plain, data, assets):
    with plain.open_drawn_state(data) as at:
        caller = at.draw_person(MEMBERS)
        assume(assets <= at.see("maxWithdraw", caller))
        assert at.call_for_own_account(caller, "withdraw", assets) > 0


# ------------------------------------------------------------------------- security


@few
@given(data=st.data())
def test_verify_assetDecimalsLessThanVault(pools, data):
    with pools.open_drawn_state(data) as at:
        assert at.see("decimals") >= at.protocol.read(f"{at.asset}.decimals")


@few
@given(data=st.data(), inflated=st.integers(10_001, 10_000 * WAD), more=st.integers(0, 10_000 * WAD))
def test_verify_sharePriceInflationAttack(pools, data, inflated, more):
    with pools.fork_pool_in_state("calm", data.draw, is_empty=True) as at:
        inflated //= at.unit
        more //= at.unit
        assume(inflated > 10_000)
        assert at.call_for_own_account("ben", "deposit", 1) >= 1 == at.see("totalAssets")
        at.protocol.do(f"{at.asset}.transfer", at.pool, inflated - 1, sender="ben")
        shares = at.call_for_own_account("anna", "deposit", inflated + more)
        assert at.leave_pool_and_return_assets("anna", shares) * 1_000 > (inflated + more) * 999


# ------------------------------------------------------------- independent of sender


def enrich(at: PoolInState, who: str) -> None:
    """Give an account assets."""
    at.protocol.do(
        f"{at.asset}.transfer", who, at.draw_bounded_amount(at.read_asset_balance("dora")), sender="dora"
    )


@few
@given(data=st.data(), amount=st.integers(1, 10**38))
@pytest.mark.parametrize("view", ["maxDeposit", "maxMint", "previewMint", "previewDeposit"])
def test_entry_ignores_senders_assets(pools, data, view, amount):
    """The suite's verify_maxDepositIgnoresSenderAssets and so on."""
    with pools.open_drawn_state(data) as at:
        who = at.draw_person(MEMBERS)
        argument = who if view.startswith("max") else amount
        before = at.see(view, argument, by=who)
        enrich(at, who)
        assert at.see(view, argument, by=who) == before


@few
@given(data=st.data())
@pytest.mark.parametrize("view", ["previewWithdraw", "previewRedeem"])
def test_exit_ignores_sender(plain, data, view):
    """The suite's verify_previewWithdrawIgnoresSender and verify_previewRedeemIgnoresSender.

    An entry may move the price of exits, but never down: it is rounded up, and shares a loss that is pending.
    Where a loss takes everything, no member can leave.
    """
    with plain.open_drawn_state(data, ("calm", "pending", "covered")) as at:
        who = at.draw_person(PEOPLE)
        amount = at.draw_bounded_amount(10_000 * WAD * (10**6 if view == "previewRedeem" else 1))
        before = at.see(view, amount, by=who)
        at.call_for_own_account(who, "deposit", at.draw_possible_deposit(who))
        after = at.see(view, amount, by=who)
        assert after == at.see(view, amount)
        assert after <= before if view == "previewWithdraw" else after >= before
