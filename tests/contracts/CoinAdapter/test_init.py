"""The constructor: which coins and protocols it takes."""

import pytest

from backstop.contract_base import ZERO_ADDRESS
from tests.support.adapter_steps import ADAPTER, UNIT
from tests.support.revert_setter_and_source_helpers import check_contract_creation_refused

_WIRING = "Lender", "VaultEngine", "Stablecoin"


def test_what_it_is_wired_to(adapted):
    for view, name in (
        ("COIN", "USDX"),
        ("PROTOCOL", "lender"),
        ("FACILITATOR", "Lender"),
        ("VAULT_ENGINE", "VaultEngine"),
        ("STABLECOIN", "Stablecoin"),
    ):
        assert adapted.read(f"{ADAPTER}.{view}") == adapted.address(name)
    assert adapted.read(f"{ADAPTER}.COLLATERAL_TYPE") == 0
    assert adapted.read(f"{ADAPTER}.UNIT") == UNIT
    assert adapted.read("Stablecoin.allowance", ADAPTER, "Lender") == 2**256 - 1


@pytest.mark.parametrize("decimals, unit", [(0, 10**18), (18, 1)])
def test_decimals_within_bounds(adapted, decimals, unit):
    coin = adapted.lockstep.create_contract("Token", "Other", "Other", "OTH", decimals)
    wiring = [adapted.address(name) for name in ("lender", *_WIRING)]
    adapted.lockstep.create_contract("CoinAdapter", "OtherAdapter", coin, *wiring, 0)
    assert adapted.read("OtherAdapter.UNIT") == unit


def test_decimals_out_of_bounds(adapted):
    coin = adapted.lockstep.create_contract("Token", "Other", "Other", "OTH", 19)
    wiring = [adapted.address(name) for name in ("lender", *_WIRING)]
    check_contract_creation_refused(adapted, "CoinAdapter", coin, *wiring, 0, reason="coin_adapter: decimals")


def test_no_protocol(adapted):
    wiring = [adapted.address("USDX"), ZERO_ADDRESS, *map(adapted.address, _WIRING)]
    check_contract_creation_refused(adapted, "CoinAdapter", *wiring, 0, reason="coin_adapter: no protocol")


def test_its_own_stablecoin(adapted):
    wiring = [adapted.address(name) for name in ("Stablecoin", "lender", *_WIRING)]
    check_contract_creation_refused(adapted, "CoinAdapter", *wiring, 0, reason="coin_adapter: own stablecoin")
