"""A new risk policy: its wiring, and that it asks for nothing."""

from tests.support.vault_size_margin_and_call_steps import NONE


def test_knows_its_wiring(guarded):
    assert guarded.read("RiskPolicy.VAULT_ENGINE") == guarded.address("VaultEngine")
    assert guarded.read("RiskPolicy.PRICE_FEED") == guarded.address("PriceFeed")
    assert guarded.read("RiskPolicy.admin") == guarded.address("admin")
    for contract in ("VaultEngine", "LiquidationEngine"):
        assert guarded.read(f"{contract}.RISK_POLICY") == guarded.address("RiskPolicy")


def test_limits_hold_in_full_until_set_otherwise(guarded):
    made = guarded.lockstep
    args = (*(guarded.address(name) for name in ("VaultEngine", "PriceFeed", "breaker", "admin")),)
    made.create_contract("RiskPolicy", "Fresh", *args)
    assert guarded.read("Fresh.mode_effects") == (0, 10_000)
    assert guarded.read("Fresh.mode") == 0
    assert guarded.read("Fresh.auction_limit_factor") == 10_000
    assert guarded.read("Fresh.CIRCUIT_BREAKER") == guarded.address("breaker")


def test_asks_for_nothing(guarded):
    assert guarded.read("RiskPolicy.terms_of", 0) == (NONE, NONE, (0, 0, 0, 0), 0, 0)
    assert guarded.read("RiskPolicy.flow_of", 0) == (0, 0, 0, 0, 0, 0, 0)
    assert guarded.read("RiskPolicy.growth_of", 0) == (0, 0, 0)
    assert guarded.read("RiskPolicy.call_terms", 0) == (0, 0, 0)
    assert guarded.read("RiskPolicy.add_on", 0, 10**54) == 0
    assert guarded.read("RiskPolicy.required", 0, 10**54, 10**54, 15_000) == 15_000 * 10**54
    assert guarded.read("RiskPolicy.fee_at", 0, 10**54) == 0
