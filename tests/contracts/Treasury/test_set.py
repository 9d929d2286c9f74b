"""set_target, set_shares, set_insurance: the admin sets the use of income."""

import pytest

from tests.support.equity_steps import read_last_call_events
from tests.support.revert_setter_and_source_helpers import reverts

NAME = "Treasury"


@pytest.mark.parametrize("sender", ["stranger", "guardian", "saver"])
def test_only_the_admin(treasury, sender):
    for method, *args in (("set_target", 1), ("set_shares", (1,)), ("set_insurance", 1, 1)):
        with reverts("roles: not admin"):
            treasury.do(f"{NAME}.{method}", *args, sender=sender)


@pytest.mark.parametrize("new", [0, 1, 8 * 10**9])
def test_target(offering, new):
    offered = offering.table(NAME, "plan").offered
    offering.do(f"{NAME}.set_target", new, sender="admin")
    assert offering.read(f"{NAME}.target") == new
    assert read_last_call_events(offering, "TargetSet", NAME) == [(new,)]
    assert offering.table(NAME, "plan").offered == offered


@pytest.mark.parametrize("new", [8 * 10**9 + 1, 2**256 - 1])
def test_target_bounds(treasury, new):
    with reverts("treasury: target bounds"):
        treasury.do(f"{NAME}.set_target", new, sender="admin")


@pytest.mark.parametrize("share", [0, 1, 10_000])
def test_shares(treasury, share):
    treasury.do(f"{NAME}.set_shares", (share,), sender="admin")
    assert treasury.read(f"{NAME}.share_of", 0) == share
    assert read_last_call_events(treasury, "SharesSet", NAME) == [((share,),)]


def test_shares_above_the_whole(treasury):
    with reverts("treasury: shares above the whole"):
        treasury.do(f"{NAME}.set_shares", (10_001,), sender="admin")


@pytest.mark.parametrize("shares", [(), (1, 1)])
def test_one_for_each_pool(treasury, shares):
    with reverts("treasury: a share for each pool"):
        treasury.do(f"{NAME}.set_shares", shares, sender="admin")


def test_no_more_than_there_may_be(treasury):
    with reverts(""):
        treasury.do(f"{NAME}.set_shares", (1,) * 9, sender="admin")


def test_together_no_more_than_the_whole(treasury):
    names = ("VaultEngine", "LossWaterfall", "Stablecoin", "SurplusAuction", "nobody", "admin")
    pools = tuple(treasury.address(f"pool_{i}") for i in range(3))
    treasury.lockstep.create_contract("Treasury", "Other", *map(treasury.address, names), (), pools)
    treasury.do("Other.set_shares", (5_000, 4_000, 1_000), sender="admin")
    for shares in ((5_000, 4_000, 1_001), (2**256 - 1, 0, 0)):
        with reverts("treasury: shares above the whole"):
            treasury.do("Other.set_shares", shares, sender="admin")
    with reverts(""):
        treasury.do("Other.set_shares", (2**256 - 1, 1, 0), sender="admin")
    assert [treasury.read("Other.share_of", i) for i in range(3)] == [5_000, 4_000, 1_000]


@pytest.mark.parametrize(("share", "target"), [(0, 0), (1, 8 * 10**9), (10_000, 1)])
def test_insuring(treasury, share, target):
    treasury.do(f"{NAME}.set_insurance", share, target, sender="admin")
    assert treasury.read(f"{NAME}.insurance_plan") == (share, target)
    assert read_last_call_events(treasury, "InsuranceSet", NAME) == [(share, target)]


def test_insuring_bounds(treasury):
    with reverts("treasury: insured share bounds"):
        treasury.do(f"{NAME}.set_insurance", 10_001, 0, sender="admin")
    with reverts("treasury: insurance bounds"):
        treasury.do(f"{NAME}.set_insurance", 0, 8 * 10**9 + 1, sender="admin")
