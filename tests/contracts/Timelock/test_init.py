"""The constructor: the proposer, the proposals' delay, and the actions with a shorter delay."""

import pytest

from backstop.deployment.contracts_by_parameter_name import ADMINISTERED
from backstop.errors import BackstopError

DAY = 86_400
SELECTOR = b"\x01\x02\x03\x04"


def create(protocol, longest=DAY, window=3_600, rules=()):
    names = ("VaultEngine", "admin", "guardian")
    protocol.lockstep.create_contract(
        "Timelock", "Other", *map(protocol.address, names), longest, window, rules
    )


def test_it_is_the_admin_of_everything(timelocked):
    kinds = timelocked.lockstep.chain.kinds
    administered = [name for name, kind in kinds.items() if kind in ADMINISTERED]
    assert len(administered) == 7
    for name in administered:
        assert timelocked.read(f"{name}.admin") == timelocked.address("Timelock")
        assert not timelocked.read(f"{name}.has_role", bytes(32), "admin")
    assert timelocked.read("Timelock.governor") == timelocked.address("admin")
    assert timelocked.read("Timelock.guardian") == timelocked.address("guardian")
    assert timelocked.read("Timelock.VAULT_ENGINE") == timelocked.address("VaultEngine")


@pytest.mark.parametrize("longest", [DAY, 180 * DAY])
@pytest.mark.parametrize("window", [3_600, 14 * DAY])
def test_at_the_bounds(protocol, longest, window):
    target = protocol.address("VaultEngine")
    create(protocol, longest, window, ((target, SELECTOR, 3_600),))
    assert protocol.read("Other.LONGEST") == longest
    assert protocol.read("Other.WINDOW") == window
    assert protocol.read("Other.delay_of", target, SELECTOR) == 3_600


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"longest": DAY - 1}, "timelock: short delay"),
        ({"longest": 180 * DAY + 1}, "timelock: long delay"),
        ({"window": 3_599}, "timelock: short window"),
        ({"window": 14 * DAY + 1}, "timelock: long window"),
        ({"rules": (("0x" + "11" * 20, SELECTOR, 3_599),)}, "timelock: delay bounds"),
        ({"rules": (("0x" + "11" * 20, SELECTOR, DAY + 1),)}, "timelock: delay bounds"),
    ],
)
def test_bounds(protocol, changes, reason):
    with pytest.raises(BackstopError, match=reason):
        create(protocol, **changes)
