"""ScriptedPolicy: allows everything, and records what the circuit breaker tells it."""

from tests.guards import BREAKER, CAUTION, opened, with_guards
from tests.helpers import reverts


def test_records_the_mode_of_its_breaker_alone(new_protocol):
    protocol = opened(new_protocol, with_guards(breaker=BREAKER))
    assert protocol.read("RiskPolicy.CIRCUIT_BREAKER") == protocol.address("CircuitBreaker")
    with reverts("scripted_policy: only breaker"):
        protocol.do("RiskPolicy.set_mode", CAUTION, sender="guardian")
    protocol.do("CircuitBreaker.raise_to", CAUTION, sender="guardian")
    assert protocol.read("RiskPolicy.mode") == CAUTION


def test_allows_everything(new_protocol):
    protocol = opened(new_protocol, with_guards(breaker=BREAKER))
    protocol.do("RiskPolicy.check_new_risk", 0, 1, 2**255, 3, 15_000, 5, 6, sender="stranger")
    assert protocol.read("RiskPolicy.requirement", 0, 10**45) == 0
    assert protocol.read("RiskPolicy.limits_factor") == 10_000
