"""burn_allowed: the ledger destroys what its caller may spend, and takes it off the allowance."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAD, WAD
from tests.support.revert_setter_and_source_helpers import STAGE, reverts


@pytest.mark.parametrize("sender", ["stranger", "admin", "saver", "guardian"])
def test_only_the_ledger(protocol, sender):
    with reverts("stablecoin: not ledger"):
        protocol.do("Stablecoin.burn_allowed", "saver", "admin", WAD, sender=sender)


@pytest.mark.parametrize("allowed", [WAD, MAX_UINT256])
def test_the_allowance_falls_unless_it_is_without_limit(protocol, allowed):
    protocol.do("VaultEngine.grant_role", STAGE, "stage", sender="admin")
    protocol.make_deficit("WETH")
    protocol.give_stablecoin("buyer", 10 * WAD)
    protocol.do("Stablecoin.approve", "stage", allowed, sender="buyer")
    assert protocol.do("VaultEngine.cover_from_tokens", 0, "buyer", RAD, sender="stage") == RAD
    assert protocol.read("Stablecoin.balanceOf", "buyer") == 9 * WAD
    left = MAX_UINT256 if allowed == MAX_UINT256 else 0
    assert protocol.read("Stablecoin.allowance", "buyer", "stage") == left


def test_a_stage_burns_nobody_elses_without_an_allowance(protocol):
    protocol.do("VaultEngine.grant_role", STAGE, "stage", sender="admin")
    protocol.make_deficit("WETH")
    protocol.give_stablecoin("saver", WAD)
    with reverts("erc20: insufficient allowance"):
        protocol.do("VaultEngine.cover_from_tokens", 0, "saver", RAD, sender="stage")
