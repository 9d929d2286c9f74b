"""Pools of equity in the states that the tests of their functions start from."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, WAD
from tests.support.saver_steps import make_equity_pool


@pytest.fixture
def staked(protocol):
    """A pool of equity with a scripted auction; two members, of 300 and 100."""
    protocol.deploy_token("Token", "Equity", "BSE", 18)
    protocol.lockstep.create_contract("ScriptedStage", "Auction", protocol.address("LossWaterfall"))
    make_equity_pool(protocol, "Staked", "BSE", "Auction")
    for who, assets in (("staker", 300 * WAD), ("neighbour", 100 * WAD), ("newcomer", 0)):
        protocol.do("BSE.mint", who, 1_000 * WAD, sender=who)
        protocol.do("BSE.approve", "Staked", MAX_UINT256, sender=who)
        if assets:
            protocol.do("Staked.deposit", assets, who, sender=who)
    return protocol


@pytest.fixture
def selling(protocol):
    """A pool of equity with an auction of scripted claims: 100 of 400 are under auction."""
    protocol.deploy_token("Token", "Equity", "BSE", 18)
    protocol.lockstep.create_contract("ScriptedStage", "Auction", protocol.address("LossWaterfall"))
    protocol.lockstep.create_contract("ScriptedWaterfall", "Waterfall")
    make_equity_pool(protocol, "Staked", "BSE", "Auction", loss_waterfall="Waterfall")
    for who in ("staker", "newcomer"):
        protocol.do("BSE.mint", who, 1_000 * WAD, sender=who)
        protocol.do("BSE.approve", "Staked", 1_000 * WAD, sender=who)
    protocol.do("Staked.deposit", 300 * WAD, "staker", sender="staker")
    protocol.do("Auction.claim", 0, 60 * WAD, 100 * WAD, sender="stranger")
    return protocol
