"""tell: a policy that is to replace today's takes on the mode first."""

import pytest

from tests.support.guard_steps import BREAKER, CAUTION, NORMAL, deploy_with_prices, with_guards
from tests.support.revert_setter_and_source_helpers import reverts


@pytest.fixture
def two(new_protocol):
    """A breaker, and a second policy beside the one in force."""
    protocol = deploy_with_prices(new_protocol, with_guards(breaker=BREAKER))
    wiring = ("VaultEngine", "PriceFeed", "CircuitBreaker", "admin")
    protocol.lockstep.create_contract("RiskPolicy", "Second", *map(protocol.address, wiring))
    return protocol


def test_anybody_has_it_told(two):
    two.do("CircuitBreaker.force_mode", CAUTION, sender="guardian")
    assert two.read("Second.mode") == NORMAL
    two.do("CircuitBreaker.sync_policy_mode", "Second", sender="stranger")
    assert two.read("Second.mode") == CAUTION
    assert two.read("Second.terms_of", 0).mode == CAUTION


def test_the_mode_alone_is_told(two):
    two.do("CircuitBreaker.sync_policy_mode", "RiskPolicy", sender="stranger")
    assert two.read("RiskPolicy.mode") == NORMAL


def test_what_takes_no_mode_reverts(two):
    with reverts(""):
        two.do("CircuitBreaker.sync_policy_mode", "PriceFeed", sender="stranger")


def test_a_policy_of_another_breaker_refuses(two):
    wiring = ("VaultEngine", "PriceFeed", "breaker", "admin")
    two.lockstep.create_contract("RiskPolicy", "Other", *map(two.address, wiring))
    with reverts("risk_policy: not circuit breaker"):
        two.do("CircuitBreaker.sync_policy_mode", "Other", sender="stranger")


def test_not_in_settlement(two):
    two.do("Settlement.announce", sender="admin")
    two.advance(30 * 86_400)
    two.do("Settlement.begin", sender="stranger")
    with reverts("circuit_breaker: in settlement"):
        two.do("CircuitBreaker.sync_policy_mode", "Second", sender="stranger")
