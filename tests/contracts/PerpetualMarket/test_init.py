"""The constructor and the deployment: the margin market's wiring, and rules out of bounds."""

from dataclasses import replace

import pytest

from backstop.contract_base import ZERO_ADDRESS
from backstop.deployment.configuration_calls import build_configuration_calls
from backstop.deployment.contracts_by_parameter_name import CLOSERS
from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.model_and_chain_deployment import find_model_class
from backstop.deployment.parameter_dataclasses import GuardsParameters, TimelockParameters
from backstop.deployment.planned_contracts import plan_deployment
from backstop.model.arithmetic import WAD
from backstop.model.roles import SHORTFALL
from backstop.proof.local_protocol import LocalProtocol
from tests.support.margin_order_steps import with_margin
from tests.support.perpetual_test_market import RULES
from tests.support.revert_setter_and_source_helpers import check_contract_creation_refused

CASES = [
    ("window", 599, 600, "cycle_losses: window bounds"),
    ("window", 86_401, 86_400, "cycle_losses: window bounds"),
    ("quiet", 1_801, 1_800, "cycle_losses: window bounds"),
    ("mark_age", 0, 1, "perpetuals: mark bounds"),
    ("mark_age", 601, 600, "perpetuals: mark bounds"),
    ("third_bond", 1_000 * WAD + 1, 1_000 * WAD, "perpetuals: bond bounds"),
]


def test_is_wired(new_protocol):
    """By the configuration alone: with guards as well, and its terms are what the contracts say."""
    parameters = with_margin(replace(build_standard_parameters(), guards=GuardsParameters()))
    made = new_protocol(parameters)
    terms = parameters.margin
    assert terms is not None
    wired = {
        "PerpetualMarket.VAULT_ENGINE": "VaultEngine",
        "PerpetualMarket.POLICY": "MarginPolicy",
        "PerpetualMarket.STABLECOIN": "Stablecoin",
        "PerpetualMarket.TRADING": "PerpetualTrading",
        "PerpetualMarket.FUND": "MarginFund",
        "MarginFund.FACILITATOR": "Perpetuals",
        "PerpetualTrading.VAULT_ENGINE": "VaultEngine",
        "PerpetualTrading.POLICY": "MarginPolicy",
        "PerpetualTrading.RISK_POLICY": "RiskPolicy",
        "PerpetualTrading.MARGIN_ORDERS": "MarginOrders",
        "PerpetualTrading.MARKET": "PerpetualMarket",
        "MarginOrders.TRADING": "PerpetualTrading",
        "MarginFund.MARGIN_MARKET": "PerpetualMarket",
        "Treasury.FUND": "MarginFund",
    }
    for view, contract in wired.items():
        assert made.read(view) == made.address(contract)
    assert made.read("Perpetuals.has_role", SHORTFALL, "MarginFund")
    assert "PerpetualCloser" not in made.lockstep.model.world.contracts
    assert made.read("PerpetualTrading.CLOSER") == ZERO_ADDRESS
    for name in ("WINDOW", "QUIET", "MARK_AGE"):
        assert made.read(f"PerpetualMarket.{name}") == getattr(terms, name.lower())
    assert made.read("PerpetualMarket.THIRD_BOND") == terms.third_bond * WAD
    for name in ("BAND", "MAKER_FEE", "TAKER_FEE", "FEE_SHARE"):
        assert made.read(f"PerpetualTrading.{name}") == getattr(terms, name.lower())


@pytest.mark.parametrize("policy", CLOSERS)
def test_a_closer_is_wired(new_protocol, policy):
    made = new_protocol(with_margin(policy=policy))
    assert made.read("PerpetualTrading.CLOSER") == made.address("PerpetualCloser")
    assert made.read("PerpetualCloser.MARKET") == made.address("PerpetualMarket")
    assert made.read("PerpetualCloser.TRADING") == made.address("PerpetualTrading")


def test_the_timelock_delays_what_can_hurt_a_position():
    """Terms and the cap of insurance; market and trading contract have no settable parameters."""
    deployment = plan_deployment(replace(with_margin(), timelock=TimelockParameters()))
    handed = {
        each.contract for each in build_configuration_calls(deployment) if each.method == "transfer_admin"
    }
    assert {"MarginPolicy", "MarginFund", "Perpetuals"} <= handed
    for kind in ("PerpetualMarket", "PerpetualTrading", "MarginOrders", *CLOSERS.values()):
        assert not any("admin" in each for each in dir(find_model_class(kind)))


@pytest.mark.parametrize(("rule", "amount", "fits", "reason"), CASES)
def test_bounds(market, rule, amount, fits, reason):
    wiring = tuple(market.get_contract_or_account_address(name) for name in ("stranger",) * 5)
    market.create_market(
        "Fine", market.get_contract_or_account_address("desk"), RULES._replace(**{rule: fits})
    )
    rules = tuple(RULES._replace(**{rule: amount}))
    check_contract_creation_refused(
        LocalProtocol(market.system), "PerpetualMarket", wiring, rules, reason=reason
    )
