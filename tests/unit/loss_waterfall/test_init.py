"""The constructor: the length of an epoch is bounded."""

import pytest

from tests.helpers import check_cannot_be_made

HOUR, YEAR = 3_600, 365 * 86_400


@pytest.mark.parametrize("length", [HOUR, YEAR], ids=["least", "most"])
def test_within_bounds(protocol, length):
    wiring = protocol.address("VaultEngine"), protocol.address("admin")
    protocol.lockstep.create("LossWaterfall", "Other", *wiring, length)
    assert protocol.read("Other.EPOCH_LENGTH") == length
    assert protocol.read("Other.VAULT_ENGINE") == protocol.address("VaultEngine")


@pytest.mark.parametrize(
    ("length", "reason"),
    [(HOUR - 1, "loss_waterfall: short epoch"), (YEAR + 1, "loss_waterfall: long epoch")],
)
def test_out_of_bounds(protocol, length, reason):
    wiring = protocol.address("VaultEngine"), protocol.address("admin")
    check_cannot_be_made(protocol, "LossWaterfall", *wiring, length, reason=reason)
