"""The constructor: its contracts, and the receivers that may be paid."""

import pytest

from backstop.errors import BackstopError

NOBODY = "0x" + "00" * 20


def test_belongs_to_its_deployment(treasury):
    for name, contract in (
        ("VAULT_ENGINE", "VaultEngine"),
        ("LOSS_WATERFALL", "LossWaterfall"),
        ("STABLECOIN", "Stablecoin"),
        ("SURPLUS_AUCTION", "SurplusAuction"),
        ("FUND", NOBODY),
        ("admin", "admin"),
    ):
        assert treasury.read(f"Treasury.{name}") == treasury.address(contract)
    assert treasury.read("VaultEngine.TREASURY") == treasury.address("Treasury")
    assert treasury.read("Treasury.pools") == (treasury.address("Savings"),)


@pytest.mark.parametrize("many", [0, 1, 8])
def test_as_many_as_there_are(treasury, many):
    names = ("VaultEngine", "LossWaterfall", "Stablecoin", "SurplusAuction", NOBODY, "admin")
    claims = tuple(treasury.address(f"claims_{i}") for i in range(many))
    pools = tuple(treasury.address(f"pool_{i}") for i in range(many))
    treasury.lockstep.create_contract("Treasury", "Other", *map(treasury.address, names), claims, pools)
    assert treasury.read("Other.claims") == claims
    assert treasury.read("Other.pools") == pools
    assert treasury.read("Other.target") == treasury.read("Other.share_of", 0) == 0


@pytest.mark.parametrize("lists", [(9, 0), (0, 9)])
def test_too_many(treasury, lists):
    """The model refuses; no call data of so many can be made for the chain's constructor."""
    names = ("VaultEngine", "LossWaterfall", "Stablecoin", "SurplusAuction", NOBODY, "admin")
    claims, pools = ((NOBODY,) * many for many in lists)
    with pytest.raises(BackstopError, match="reverted with ''"):
        treasury.lockstep.create_contract("Treasury", "Other", *map(treasury.address, names), claims, pools)
