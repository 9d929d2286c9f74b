"""cover_from_reserve: a stage pays a deficit from the reserve, exactly and never above either."""

import pytest

from backstop.model.arithmetic import RAD
from tests.support.revert_setter_and_source_helpers import STAGE, reverts

WETH = 0


@pytest.fixture
def stage(protocol):
    """An account that the admin lets cover, and a deficit to cover."""
    protocol.do("VaultEngine.grant_role", STAGE, "stranger", sender="admin")
    protocol.make_deficit("WETH")
    return "stranger"


def test_only_stages_may_call(protocol):
    with reverts("roles: missing role"):
        protocol.do("VaultEngine.cover_from_reserve", WETH, 1, sender="stranger")


def test_covers_to_the_last_rad(protocol, stage):
    deficit = protocol.read("VaultEngine.deficit_of", WETH)
    amount = 7
    protocol.do("VaultEngine.cover_from_reserve", WETH, amount, sender=stage)
    assert protocol.read("VaultEngine.deficit_of", WETH) == deficit - amount


def test_never_more_than_the_reserve(protocol, stage):
    with reverts("ledger: reserve too small"):
        protocol.do("VaultEngine.cover_from_reserve", WETH, 10**12 * RAD, sender=stage)


def test_never_more_than_the_deficit(protocol):
    protocol.do("VaultEngine.grant_role", STAGE, "stranger", sender="admin")
    protocol.earn_fees("WETH")
    with reverts("ledger: cover above deficit"):
        protocol.do("VaultEngine.cover_from_reserve", WETH, 1, sender="stranger")
