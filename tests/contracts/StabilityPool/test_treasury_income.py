"""A stability pool's part of the treasury's surplus, which its members get as income."""

from dataclasses import replace

import pytest

from backstop.deployment.planned_contracts import plan_deployment
from backstop.errors import BackstopError
from backstop.model.arithmetic import RAY, WAD
from tests.support.stability_pool_members import read_member
from tests.support.stability_pool_steps import (
    POOL,
    TERMS,
    WBTC,
    build_pool_parameters,
    deploy_with_pool,
    deposit_coins,
)

SHARE = 2_500


@pytest.fixture
def sharing(new_protocol):
    """A year of fees in the reserve, all of it above the treasury's target."""
    protocol = deploy_with_pool(new_protocol, replace(TERMS, income_share=SHARE))
    protocol.do("Treasury.set_target", 0, sender="admin")
    protocol.borrow("borrower", "WBTC", 10 * WAD, 200_000 * WAD)
    protocol.advance(365 * 86_400)
    protocol.do("VaultEngine.accrue", WBTC, sender="stranger")
    return protocol


def test_members_get_their_share_as_it_vests(sharing):
    deposit_coins(sharing, "alice", 1_000 * WAD)
    surplus = sharing.read("VaultEngine.reserve") // RAY
    share = surplus * SHARE // 10_000
    assert share > WAD
    # Ether's pool and bitcoin's have the same terms; the second has no member.
    assert sharing.do("Treasury.distribute", sender="stranger") == share
    assert sharing.read(f"{POOL}.unvested") == share
    assert sharing.read("StabilityPool.WBTC.unvested") == 0
    sharing.advance(TERMS.vesting)
    assert sharing.do(f"{POOL}.claim", "alice", False, sender="alice")[1] == pytest.approx(share, abs=1_000)
    assert read_member(sharing, "alice").coins == 1_000 * WAD


def test_a_pool_without_members_gets_nothing(sharing):
    assert sharing.do("Treasury.distribute", sender="stranger") == 0


def test_a_share_needs_a_treasury():
    parameters = build_pool_parameters(replace(TERMS, income_share=SHARE))
    stages = tuple(each for each in parameters.stages if each.name not in ("staked_equity", "minted_equity"))
    with pytest.raises(BackstopError, match="share of income needs the parameters of equity"):
        plan_deployment(replace(parameters, equity=None, stages=stages))
