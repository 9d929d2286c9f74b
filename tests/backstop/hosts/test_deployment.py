"""Addresses computed before deployment, parameters as JSON, and the deployment file with its errors."""

import dataclasses
import json

import pytest
from eth_account import Account

from backstop.deployment.configuration_calls import build_configuration_calls
from backstop.deployment.deployment_file import (
    check_chain,
    parameters_from_json,
    parameters_to_json,
    read_deployment,
    write_deployment,
)
from backstop.deployment.example_parameters import (
    build_guarded_parameters,
    build_margin_parameters,
    build_standard_parameters,
)
from backstop.deployment.model_and_chain_deployment import attach_system, deploy_protocol
from backstop.deployment.parameter_dataclasses import EquityParameters
from backstop.deployment.planned_contracts import plan_deployment
from backstop.deployment.role_accounts import ACCOUNTS, get_account
from backstop.errors import BackstopError
from backstop.hosts.chain_system import ChainSystem
from backstop.model.bounds import EQUITY_MARKET
from backstop.model.roles import SETTLEMENT
from tests.support.revert_setter_and_source_helpers import GUARDIAN

BOTH = ("revm", pytest.param("anvil", marks=pytest.mark.anvil))
MNEMONIC = "test test test test test test test test test test test junk"


def test_roles_are_the_accounts_of_the_well_known_mnemonic():
    Account.enable_unaudited_hdwallet_features()
    for i, role in enumerate(ACCOUNTS):
        assert (
            get_account(role)
            == Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{i}").address.lower()
        )


def test_other_names_have_addresses_of_their_own():
    assert len({get_account(f"owner_{i}") for i in range(100)} | {get_account("borrower")}) == 101


def test_the_standard_parameters_list_tokens_of_18_8_and_6_decimals():
    assert [c.decimals for c in build_standard_parameters().collateral_types] == [18, 8, 6]


def test_guards_are_set_where_one_is_on():
    def calls(parameters):
        return [
            (action.method, action.args)
            for action in build_configuration_calls(plan_deployment(parameters))
            if action.contract == "PriceFeed" and action.method != "set_market"
        ]

    settles = (
        "grant_role",
        (SETTLEMENT, plan_deployment(build_standard_parameters()).addresses["Settlement"]),
    )
    dead = 3 * 86_400
    assert calls(build_standard_parameters()) == [
        settles,
        *(("set_guards", (c, 0, 1, 0, dead)) for c in (0, 1, 2, EQUITY_MARKET)),
    ]
    types = build_standard_parameters().collateral_types
    feed = dataclasses.replace(types[1].feed, deviation=1_500, confirmations=2)
    guarded = dataclasses.replace(types[1], feed=feed)
    equity = EquityParameters(feed=dataclasses.replace(feed, deviation=0, grace=60))
    parameters = dataclasses.replace(
        build_standard_parameters(), collateral_types=(types[0], guarded, types[2]), equity=equity
    )
    assert calls(parameters) == [
        ("grant_role", (SETTLEMENT, plan_deployment(parameters).addresses["Settlement"])),
        ("grant_role", (GUARDIAN, get_account("guardian"))),
        ("set_guards", (0, 0, 1, 0, dead)),
        ("set_guards", (1, 1_500, 2, 0, dead)),
        ("set_guards", (2, 0, 1, 0, dead)),
        ("set_guards", (EQUITY_MARKET, 0, 2, 60, dead)),
    ]
    _, model, _ = deploy_protocol(None, parameters)
    assert model.view("PriceFeed", "guards_of", 1) == (1_500, 2, 0, dead, False, 0, 0, False, False, False)


def test_parameters_come_back_from_json():
    written = json.loads(json.dumps(parameters_to_json(build_standard_parameters())))
    assert parameters_from_json(written) == build_standard_parameters()
    assert written["collateral_types"][0]["auction"]["cut"] == str(99 * 10**25)


def test_parameters_that_were_written_before_a_field_came():
    """The missing field has its default."""
    written = json.loads(json.dumps(parameters_to_json(build_standard_parameters())))
    del written["waterfall_contract"], written["savings"]["contract"]
    assert parameters_from_json(written) == build_standard_parameters()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("epoch_length", None, "parameters.epoch_length is not of type int"),
        ("epoch_length", True, "parameters.epoch_length is not of type int"),
        ("epoch_length", 1.5, "parameters.epoch_length is not of type int"),
        ("collateral_types", {}, "parameters.collateral_types is not a list"),
        ("savings", {"cooldown": 1}, "parameters.savings has other fields"),
        ("surprise", 1, "parameters has other fields"),
    ],
)
def test_wrong_parameters_are_named(field, value, message):
    written = parameters_to_json(build_standard_parameters()) | {field: value}
    with pytest.raises(ValueError, match=message):
        parameters_from_json(written)


@pytest.mark.parametrize("host", BOTH)
def test_the_same_addresses_everywhere_and_a_file_to_come_back_to(new_host, artifacts, tmp_path, host):
    opened = new_host(host)
    made, model, chain = deploy_protocol(opened, build_standard_parameters(), artifacts)
    assert chain is not None
    assert (
        made.addresses
        == plan_deployment(build_standard_parameters()).addresses
        == dict(model.addresses)
        == dict(chain.addresses)
    )
    write_deployment(made, tmp_path / "deployment.json")
    read = read_deployment(tmp_path / "deployment.json")
    assert read == made
    again = attach_system(read, opened, artifacts)
    assert again.view("VaultEngine", "collateral_types") == 3
    assert again.view("Savings", "asset") == made.addresses["Stablecoin"]


def test_guards_come_after_all_else_and_come_back_from_json():
    plain, made = plan_deployment(build_standard_parameters()), plan_deployment(build_guarded_parameters())
    assert dict(list(made.addresses.items())[: len(plain.creations)]) == plain.addresses
    assert [each.name for each in made.creations[len(plain.creations) :]] == [
        *("RiskPolicy", "AutoCeiling", "CircuitBreaker", "Workouts")
    ]
    written = json.loads(json.dumps(parameters_to_json(build_guarded_parameters())))
    assert parameters_from_json(written) == build_guarded_parameters()


def test_more_ceilings_than_types_are_refused():
    types = build_standard_parameters().collateral_types[:1]
    with pytest.raises(BackstopError, match="more automatic ceilings than collateral types"):
        plan_deployment(dataclasses.replace(build_guarded_parameters(), collateral_types=types))


def test_a_used_account_cannot_deploy(new_host, artifacts):
    host = new_host("revm")
    deploy_protocol(host, build_standard_parameters(), artifacts)
    with pytest.raises(BackstopError, match="start a fresh chain"):
        deploy_protocol(host, build_standard_parameters(), artifacts)


def test_two_types_need_two_names():
    types = build_standard_parameters().collateral_types
    with pytest.raises(BackstopError, match="the name WETH is taken"):
        plan_deployment(
            dataclasses.replace(build_standard_parameters(), collateral_types=(types[0], types[0]))
        )


def test_parameters_out_of_bounds_are_refused_with_the_reason(new_host, artifacts):
    types = (dataclasses.replace(build_standard_parameters().collateral_types[0], liquidation_ratio=9_000),)
    with pytest.raises(BackstopError, match=r"add_collateral_type.*'terms: ratio bounds'"):
        deploy_protocol(None, dataclasses.replace(build_standard_parameters(), collateral_types=types))


def test_a_bad_constructor_argument_is_refused():
    with pytest.raises(BackstopError, match="LossWaterfall reverted with 'loss_waterfall: short epoch'"):
        deploy_protocol(None, dataclasses.replace(build_standard_parameters(), epoch_length=1))


# ------------------------------------------------------------------------ file


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "deployment.json"
    write_deployment(plan_deployment(build_standard_parameters()), path)
    return path


def test_a_missing_file_is_one_clear_error(tmp_path):
    with pytest.raises(BackstopError, match="deploy first"):
        read_deployment(tmp_path / "deployment.json")


def test_half_a_file_is_one_clear_error(file):
    file.write_text(file.read_text()[:500])
    with pytest.raises(BackstopError, match="not a valid deployment file"):
        read_deployment(file)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda content: content.update(schema_version=2), "schema version 2"),
        (lambda content: content.pop("schema_version"), "schema version None"),
        (lambda content: content.pop("parameters"), "not a valid deployment file"),
        (lambda content: content.update(parameters=[]), "not a valid deployment file"),
        (lambda content: content.update(contracts=[]), "not a valid deployment file"),
        (lambda content: content.update(first_nonce="x"), "not a valid deployment file"),
        (lambda content: content["contracts"].pop("Savings"), "does not fit this program"),
        (lambda content: content["contracts"]["Savings"].update(address="0x00"), "does not fit this program"),
    ],
)
def test_a_foreign_file_is_one_clear_error(file, edit, message):
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content))
    with pytest.raises(BackstopError, match=message):
        read_deployment(file)


def test_a_restarted_chain_is_one_clear_error(file, new_host, artifacts):
    with pytest.raises(BackstopError, match=r"Stablecoin not found at 0x\w+: the chain was restarted"):
        attach_system(read_deployment(file), new_host("revm"), artifacts)


def test_the_wrong_chain_is_one_clear_error(tmp_path):
    file, genesis, other = tmp_path / "deployment.json", "0x" + "01" * 32, "0x" + "02" * 32
    write_deployment(dataclasses.replace(plan_deployment(build_standard_parameters()), genesis=genesis), file)
    check_chain(read_deployment(file), 31_337, genesis)
    with pytest.raises(BackstopError, match="the deployment is on chain 31337, the node is on chain 1:"):
        check_chain(read_deployment(file), 1, genesis)
    with pytest.raises(
        BackstopError,
        match=f"on a chain with block 0 {genesis}, the node is on a chain with block 0 {other}:",
    ):
        check_chain(read_deployment(file), 31_337, other)


def test_a_file_without_the_genesis_says_how_to_mend_it(file):
    content = json.loads(file.read_text())
    del content["genesis"]
    file.write_text(json.dumps(content | {"schema_version": 7}))
    with pytest.raises(
        BackstopError, match="schema version 7, this program reads 9: deploy again; of one that is"
    ):
        read_deployment(file)


def test_a_file_of_before_there_was_a_pool_has_none(file):
    write_deployment(plan_deployment(build_margin_parameters()), file)
    content = json.loads(file.read_text())
    del content["parameters"]["margin"]["backstop"]
    file.write_text(json.dumps(content))
    assert read_deployment(file).parameters == build_margin_parameters()


def test_a_file_is_replaced_at_once(file, monkeypatch):
    before = file.read_text()
    monkeypatch.setattr("os.replace", lambda *args: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_deployment(plan_deployment(build_standard_parameters()), file)
    assert file.read_text() == before


def test_a_snapshot_lists_what_it_was_told_of(new_host, artifacts):
    _, model, chain = deploy_protocol(new_host("revm"), build_standard_parameters(), artifacts)
    assert isinstance(chain, ChainSystem)
    chain.track_world_slots(model.world)
    assert chain.snapshot() == model.snapshot()
