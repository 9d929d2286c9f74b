"""deploy: auctions count blocks of the chain's own slot, or none."""

from collections.abc import Iterator

import pytest

from backstop.errors import BackstopError
from backstop.live.operate.resumable_deployment import _check_slot
from tests.support.devnet_process import Devnet

pytestmark = pytest.mark.anvil


@pytest.fixture(scope="module")
def twelve() -> Iterator[Devnet]:
    """A chain of slots of 12 seconds, which has missed some."""
    devnet = Devnet()
    try:
        devnet.node.request("anvil_setBlockTimestampInterval", 12)
        devnet.node.request("anvil_mine", hex(8), hex(12))
        devnet.node.request("evm_increaseTime", 60)
        devnet.node.request("anvil_mine", hex(2), hex(12))
        yield devnet
    finally:
        devnet.process.stop_process()


@pytest.mark.parametrize("slot", [0, 12])
def test_the_slot_or_none(twelve: Devnet, slot: int) -> None:
    _check_slot(twelve.node, slot)


@pytest.mark.parametrize("slot", [1, 2, 11, 13, 60])
def test_another_slot_is_refused(twelve: Devnet, slot: int) -> None:
    with pytest.raises(BackstopError, match=f"block_time is {slot} s and this chain's slot is 12 s"):
        _check_slot(twelve.node, slot)
