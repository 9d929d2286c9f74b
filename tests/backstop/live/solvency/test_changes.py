"""An audit's findings on failed or removed stages, the policy in force, and announced changes."""

import pytest

from backstop.deployment.planned_contracts import plan_deployment
from backstop.errors import BackstopError
from backstop.live.solvency.solvency_statement import build_statement
from backstop.live.solvency.statement_table import print_statement
from backstop.model.arithmetic import RAD, WAD
from backstop.proof.local_protocol import LocalProtocol
from backstop.proof.lockstep import ProtocolLockstep
from tests.support.guard_steps import deploy_with_prices, with_guards
from tests.support.market_delisting import advance_to_moment, announce_delisting, end_market_at_prices
from tests.support.no_fee_deployments import build_uncapped_stages, deploy_without_fees
from tests.support.perpetual_test_market import ETH
from tests.support.perpetual_test_market import deploy_perpetuals as perpetuals
from tests.support.revert_setter_and_source_helpers import STAGE
from tests.support.saver_steps import DAY, XAU, create_additional_pool, deposit_savings, lose_new_vault
from tests.support.scripted_policy_replacement import put_scripted_policy_in_force

JUNIOR = 2


def stated(protocol):
    return build_statement(protocol.lockstep.model, plan_deployment(protocol.parameters))


def terms_of(protocol):
    waterfall = "LossWaterfall"
    ids = protocol.read(f"{waterfall}.stage_ids")
    return [tuple(protocol.read(f"{waterfall}.stage_terms", k)) for k in ids]


@pytest.fixture
def made(new_protocol):
    protocol = deploy_without_fees(
        new_protocol, stages=build_uncapped_stages("buffer", "reserve", "junior", "savings")
    )
    deposit_savings(protocol, "saver", 40_000 * WAD)
    return protocol


def test_what_a_failed_stage_owes(made, capsys):
    deposit_savings(made, "elder", 5_000 * WAD, "Junior")
    lose_new_vault(made)
    made.do("VaultEngine.revoke_role", STAGE, "Junior", sender="admin")
    made.do("LossWaterfall.cover", XAU, sender="stranger")
    found = stated(made)
    (junior,) = [row for row in found["stages"] if row["stage"] == "junior"]
    assert junior["owed_rad"] == junior["missed_rad"][XAU] == str(5_000 * RAD)
    assert sum(int(row["owed_rad"]) for row in found["stages"]) == 5_000 * RAD
    print_statement(found, {"number": 1, "timestamp": found["timestamp"]})
    assert any(
        line.startswith("junior") and line.endswith("5,000") for line in capsys.readouterr().out.splitlines()
    )


def test_the_table_has_every_contract_and_every_role_in_full(made, capsys):
    found = stated(made)
    contracts = found["powers"]["contracts"]
    assert max(len(each["roles"]) for each in contracts) > 1  # all in one row would be wider than the table
    print_statement(found, {"number": 1, "timestamp": found["timestamp"]})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    for each in contracts:
        assert [each["contract"], each["admin"], "at", "once"] in lines
        for role in each["roles"]:
            assert [each["contract"], role["role"], role["account"]] in lines


def test_a_list_that_is_announced_and_a_stage_that_is_left_out(made, capsys):
    terms = terms_of(made)
    del terms[JUNIOR]
    made.do("LossWaterfall.propose_stages", terms, sender="admin")
    announced = stated(made)["pending"]["stages"]
    assert announced["ready_at"] == made.timestamp + 30 * DAY
    assert announced["hash"] == "0x" + made.read("LossWaterfall.proposed_hash").hex()
    assert stated(made)["stages_left_out"] == []
    made.advance(30 * DAY)
    made.do("LossWaterfall.apply_stages", terms, sender="stranger")
    found = stated(made)
    assert [row["stage"] for row in found["stages"]] == ["buffer", "reserve", "savings"]
    (gone,) = found["stages_left_out"]
    assert (gone["stage"], gone["contract"], gone["owed_rad"]) == ("junior", "Junior", "0")
    assert found["pending"] == {"stages": None, "settlement_from": None, "delistings": []}


def test_a_stage_of_later_is_refused_in_one_line(made):
    create_additional_pool(made, "Fresh")
    at_once = (made.address("Fresh"), True, False, False, True, 2**256 - 1, 10_000)
    terms = [*terms_of(made), at_once]
    made.do("LossWaterfall.propose_stages", terms, sender="admin")
    made.advance(30 * DAY)
    made.do("LossWaterfall.apply_stages", terms, sender="stranger")
    with pytest.raises(BackstopError, match=f"the stage {made.address('Fresh')} was added later"):
        stated(made)


def test_the_policy_in_force_and_settlement_to_come(new_protocol, capsys):
    protocol = deploy_with_prices(new_protocol, with_guards())
    assert stated(protocol)["risk_policy"] == {
        "contract": "RiskPolicy",
        "kind": "RiskPolicy",
        "address": protocol.address("RiskPolicy"),
        "deployed": True,
    }
    put_scripted_policy_in_force(protocol)
    protocol.do("Settlement.announce", sender="admin")
    found = stated(protocol)
    assert (found["risk_policy"]["kind"], found["risk_policy"]["deployed"]) == ("ScriptedPolicy", False)
    assert found["pending"]["settlement_from"] > protocol.timestamp
    print_statement(found, {"number": 1, "timestamp": found["timestamp"]})
    told = capsys.readouterr().out
    assert f"risk policy: {protocol.address('ScriptedPolicy')}, a ScriptedPolicy that came later" in told
    assert "settlement is announced: from " in told


def test_a_market_that_ends(new_protocol, capsys):
    market = perpetuals(new_protocol)
    at = announce_delisting(market)
    assert isinstance(market.system, ProtocolLockstep)
    protocol = LocalProtocol(market.system)
    found = stated(protocol)
    assert found["pending"]["delistings"] == [{"market": ETH, "ends_at": at, "ended": False}]
    print_statement(found, {"number": 1, "timestamp": found["timestamp"]})
    assert "perpetual market 0 is delisted: settled from " in capsys.readouterr().out
    advance_to_moment(market, at, 2_000)
    end_market_at_prices(market, [2_000] * 6)
    found = stated(protocol)
    assert found["pending"]["delistings"] == [{"market": ETH, "ends_at": at, "ended": True}]
    print_statement(found, {"number": 1, "timestamp": found["timestamp"]})
    assert "perpetual market 0 has ended, delisted " in capsys.readouterr().out


def test_nothing_has_changed(protocol):
    found = stated(protocol)
    assert found["risk_policy"] is None and found["stages_left_out"] == []
    assert found["pending"] == {"stages": None, "settlement_from": None, "delistings": []}
