"""A pool without a cooldown owes its missed share: leavers leave that behind, and no account gains by it."""

from dataclasses import replace

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.model.arithmetic import RAY, WAD
from tests.support.no_fee_deployments import build_uncapped_stages, deploy_without_fees
from tests.support.revert_setter_and_source_helpers import STAGE
from tests.support.saver_steps import XAU, deposit_savings, lose_new_vault, redeem_all_shares

HELD, LOSS = 10_000 * WAD, 5_000 * WAD


def test_what_it_missed_stays_when_all_leave(new_protocol):
    junior = replace(build_standard_parameters().junior, cooldown=0)
    protocol = deploy_without_fees(
        new_protocol, stages=build_uncapped_stages("buffer", "reserve", "junior", "savings"), junior=junior
    )
    deposit_savings(protocol, "saver", 2 * HELD)
    deposit_savings(protocol, "leaver", HELD, "Junior")
    lose_new_vault(protocol, debt=LOSS)
    protocol.do("VaultEngine.revoke_role", STAGE, "Junior", sender="admin")
    protocol.do("LossWaterfall.cover", XAU, sender="stranger")
    owed = protocol.read("LossWaterfall.losses_reaching", "Junior")
    assert LOSS * RAY * 9 // 10 < owed <= 2 * LOSS * RAY
    assert abs(redeem_all_shares(protocol, "leaver", "Junior") - (HELD - owed // RAY)) <= 2
    assert protocol.read("Junior.totalSupply") == 0 < protocol.read("Junior.totalAssets")
