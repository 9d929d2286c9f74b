"""The constructor: the length of an epoch and the delay of caps are bounded."""

import pytest

from tests.support.revert_setter_and_source_helpers import check_contract_creation_refused

HOUR, YEAR = 3_600, 365 * 86_400


def wiring(protocol):
    return tuple(map(protocol.address, ("VaultEngine", "LiquidationEngine", "admin")))


@pytest.mark.parametrize("length", [HOUR, YEAR], ids=["least", "most"])
def test_within_bounds(protocol, length):
    protocol.lockstep.create_contract("LossWaterfall", "Other", *wiring(protocol), length, 0)
    assert protocol.read("Other.EPOCH_LENGTH") == length
    assert protocol.read("Other.VAULT_ENGINE") == protocol.address("VaultEngine")


@pytest.mark.parametrize(
    ("length", "reason"),
    [(HOUR - 1, "loss_waterfall: short epoch"), (YEAR + 1, "loss_waterfall: long epoch")],
)
def test_out_of_bounds(protocol, length, reason):
    check_contract_creation_refused(protocol, "LossWaterfall", *wiring(protocol), length, 0, reason=reason)


@pytest.mark.parametrize("delay", [0, YEAR], ids=["least", "most"])
def test_a_delay_within_bounds(protocol, delay):
    protocol.lockstep.create_contract("LossWaterfall", "Other", *wiring(protocol), HOUR, delay)
    assert protocol.read("Other.CAP_DELAY") == delay


def test_a_delay_out_of_bounds(protocol):
    check_contract_creation_refused(
        protocol, "LossWaterfall", *wiring(protocol), HOUR, YEAR + 1, reason="loss_waterfall: long delay"
    )
