"""A deposit beyond all numbers is refused as arithmetic refuses it: the model says the same as the chain."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, WAD
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.stability_pool_steps import POOL, deploy_with_pool


def test_more_coins_than_a_number_holds_are_no_reason_of_the_pool(new_protocol):
    protocol = deploy_with_pool(new_protocol)
    with reverts("stability_pool: too many coins"):
        protocol.do(f"{POOL}.deposit", MAX_UINT256, sender="alice")
    protocol.do(f"{POOL}.deposit", WAD, sender="alice")
    with reverts(""):
        protocol.do(f"{POOL}.deposit", MAX_UINT256, sender="bob")


@pytest.mark.parametrize("has_claim", [True, False])
def test_the_naive_pool_refuses_them_alike(new_protocol, has_claim):
    protocol = deploy_with_pool(new_protocol, contract="InstantStabilityPool")
    protocol.do(f"{POOL}.deposit", WAD, has_claim, sender="alice")
    with reverts(""):
        protocol.do(f"{POOL}.deposit", MAX_UINT256, has_claim, sender="bob")
