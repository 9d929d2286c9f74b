"""The constructor and the deployment: the wiring of a facilitator; no note is left outside."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from backstop.model.roles import GUARDIAN, MINTER, STAGE
from tests.support.facilitator_steps import DAY, LINE, ROLLUP
from tests.support.revert_setter_and_source_helpers import check_contract_creation_refused


def test_is_wired(bridged):
    for wired in ("VAULT_ENGINE", "PRICE_FEED", "LIQUIDATION_ENGINE", "LOSS_WATERFALL", "STABLECOIN"):
        contract = "".join(word.capitalize() for word in wired.split("_"))
        assert bridged.read(f"Rollup.{wired}") == bridged.address(contract)
    assert bridged.read("Rollup.COLLATERAL_TYPE") == ROLLUP
    assert bridged.read("Rollup.DELAY") == DAY
    assert bridged.read("Rollup.admin") == bridged.address("admin")
    assert bridged.read("Rollup.has_role", MINTER, "bridge")
    assert bridged.read("Rollup.has_role", GUARDIAN, "guardian")
    assert bridged.read("VaultEngine.has_role", STAGE, "Rollup")


def test_its_note_is_an_ordinary_token(bridged):
    assert bridged.read("Rollup.name") == "Rollup"
    assert bridged.read("Rollup.symbol") == "NOTE"
    assert bridged.read("Rollup.decimals") == 18


def test_its_type_has_a_line_and_nothing_else(bridged):
    terms = bridged.read("VaultEngine.terms_of", ROLLUP)
    assert (terms.token, terms.debt_ceiling) == (bridged.address("Rollup"), LINE)
    assert (terms.liquidation_ratio, terms.initial_ratio, terms.debt_floor) == (10_000, 10_000, 0)
    assert bridged.read("VaultEngine.stability_fee_of", ROLLUP) == 0
    assert bridged.read("VaultEngine.auction_limit_of", ROLLUP) == 0
    assert bridged.read("PriceFeed.current_price", ROLLUP) == RAY


def test_no_note_is_left_from_listing(bridged):
    assert bridged.read("Rollup.totalSupply") == 0
    assert bridged.read("Rollup.balanceOf", "admin") == 0


@pytest.mark.parametrize("delay", [3_599, 30 * DAY + 1])
def test_out_of_bounds(bridged, delay):
    names = ("VaultEngine", "PriceFeed", "LiquidationEngine", "LossWaterfall", "Stablecoin", "admin")
    wiring = [bridged.address(name) for name in names]
    check_contract_creation_refused(
        bridged, "BridgeFacilitator", "Other", 5, *wiring, delay, reason="facilitator: delay bounds"
    )


@pytest.mark.parametrize("delay", [3_600, 30 * DAY])
def test_within_bounds(bridged, delay):
    names = ("VaultEngine", "PriceFeed", "LiquidationEngine", "LossWaterfall", "Stablecoin", "admin")
    wiring = [bridged.address(name) for name in names]
    bridged.lockstep.create_contract("BridgeFacilitator", "Other", "Other", 5, *wiring, delay)
    assert bridged.read("Other.DELAY") == delay
    assert bridged.read("Other.balanceOf", "admin") == WAD


@pytest.mark.parametrize(
    "method", ["mint", "burn", "set_minter", "burn_from", "transfer_ownership", "renounce_ownership", "owner"]
)
def test_nobody_creates_notes(artifacts, method):
    assert method not in {item.get("name") for item in artifacts["BridgeFacilitator"].abi_json}
