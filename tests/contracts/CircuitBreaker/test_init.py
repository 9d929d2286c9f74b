"""The constructor and the deployment: the breaker's wiring and its initial mode."""

from tests.support.guard_steps import ALL_TYPES, LOSSES, NORMAL, read_mode
from tests.support.revert_setter_and_source_helpers import GUARDIAN

WIRING = {"VAULT_ENGINE": "VaultEngine", "PRICE_FEED": "PriceFeed"}


def test_is_wired(guarded):
    for view, other in WIRING.items():
        assert guarded.read(f"CircuitBreaker.{view}") == guarded.address(other)
    assert guarded.read("CircuitBreaker.admin") == guarded.address("admin")
    assert guarded.read("CircuitBreaker.has_role", GUARDIAN, "guardian")
    assert read_mode(guarded) == NORMAL


def test_begins_with_all_triggers_off_and_the_shortest_calm(protocol):
    wiring = ("VaultEngine", "PriceFeed", "admin")
    protocol.lockstep.create_contract("CircuitBreaker", "Fresh", *map(protocol.address, wiring))
    assert tuple(protocol.read("Fresh.triggers_of")) == ((0, 0),) * 4
    assert tuple(protocol.read("Fresh.state_of")) == (NORMAL, 0, 600)
    assert protocol.read("Fresh.level_of", LOSSES, ALL_TYPES) == NORMAL


def test_a_plain_deployment_has_none(protocol):
    assert protocol.lockstep.addresses.keys().isdisjoint({"CircuitBreaker", "RiskPolicy"})
