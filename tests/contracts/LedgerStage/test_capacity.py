"""capacity: the balance of the account."""

from tests.support.saver_steps import XAU


def test_the_buffer_of_the_type(protocol):
    protocol.earn_fees("XAU")
    for c in range(3):
        assert protocol.read("BufferStage.capacity", c) == protocol.read("VaultEngine.buffer_of", c)
    assert protocol.read("BufferStage.capacity", XAU) > 0


def test_the_reserve_whatever_the_type(protocol):
    protocol.earn_fees("XAU")
    reserve = protocol.read("VaultEngine.reserve")
    assert reserve > 0
    assert [protocol.read("ReserveStage.capacity", c) for c in range(3)] == [reserve] * 3
