"""cover_from_tokens: a stage burns its own stablecoin; the excess over the deficit goes to the reserve."""

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.revert_setter_and_source_helpers import STAGE, reverts

WETH = 0


@pytest.fixture
def stage(protocol):
    """An account with stablecoin that the admin lets cover, and a deficit."""
    protocol.do("VaultEngine.grant_role", STAGE, "stranger", sender="admin")
    protocol.make_deficit("WETH")
    protocol.give_stablecoin("stranger", 100_000 * WAD)
    return "stranger"


def test_only_stages_may_call(protocol):
    with reverts("roles: missing role"):
        protocol.do("VaultEngine.cover_from_tokens", WETH, "stranger", 1, sender="stranger")


def test_burns_the_stages_own_tokens(protocol, stage):
    deficit = protocol.read("VaultEngine.deficit_of", WETH)
    balance = protocol.read("Stablecoin.balanceOf", stage)
    assert protocol.do("VaultEngine.cover_from_tokens", WETH, stage, RAD, sender=stage) == RAD
    assert protocol.read("VaultEngine.deficit_of", WETH) == deficit - RAD
    assert protocol.read("Stablecoin.balanceOf", stage) == balance - WAD


def test_what_exceeds_the_deficit_goes_to_the_reserve(protocol, stage):
    deficit = protocol.read("VaultEngine.deficit_of", WETH)
    reserve = protocol.read("VaultEngine.reserve")
    amount = -(-deficit // RAY) * RAY + RAD
    assert protocol.do("VaultEngine.cover_from_tokens", WETH, stage, amount, sender=stage) == deficit
    assert protocol.read("VaultEngine.deficit_of", WETH) == 0
    assert protocol.read("VaultEngine.reserve") == reserve + amount - deficit


def test_what_is_burned_is_rounded_up_to_the_wei(protocol, stage):
    reserve, balance = protocol.read("VaultEngine.reserve"), protocol.read("Stablecoin.balanceOf", stage)
    assert protocol.do("VaultEngine.cover_from_tokens", WETH, stage, RAY + 1, sender=stage) == RAY + 1
    assert protocol.read("Stablecoin.balanceOf", stage) == balance - 2
    assert protocol.read("VaultEngine.reserve") == reserve + RAY - 1


def test_a_stage_cannot_burn_what_it_does_not_have(protocol, stage):
    with reverts("erc20: burn amount exceeds balance"):
        protocol.do("VaultEngine.cover_from_tokens", WETH, stage, 10**6 * RAD, sender=stage)
