"""Small contracts and hosts for tests of broken code."""

import pytest

from backstop.hosts.revm import RevmHost

# sload(0) + 1, kept and returned
COUNTER = bytes.fromhex("60015f54015f555f545f5260205ff3")


class Counting:
    """A contract that counts its calls, and a stranger that makes them."""

    STRANGER, COUNTER = "0x" + "11" * 20, "0x" + "22" * 20

    def __init__(self):
        self.host = RevmHost()
        self.host.set_code(self.COUNTER, COUNTER)

    def call(self, to, data=b""):
        return self.host.run_transaction(self.STRANGER, to, data)

    @property
    def count(self):
        return self.host.read_slots([(self.COUNTER, 0)])[0]


@pytest.fixture
def counting():
    return Counting()
