"""An audit's findings on the accounts that may change a deployment."""

from dataclasses import replace

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import FacilitatorParameters
from backstop.live.solvency.admin_rights import build_admin_rights_statement
from tests.support.timelock_proposals import (
    TERMS,
    deploy_with_timelock,
    encode_proposal_call,
    submit_timelock_proposal,
)


def test_a_timelock_its_roles_and_what_is_proposed(new_protocol):
    parameters = replace(
        build_standard_parameters(), facilitators=(FacilitatorParameters("Rollup", 1_000_000),)
    )
    protocol = deploy_with_timelock(new_protocol, parameters)
    at = protocol.address
    later = submit_timelock_proposal(
        protocol, encode_proposal_call(protocol, "Treasury.transfer_admin", "keeper")
    )
    sooner = submit_timelock_proposal(protocol, encode_proposal_call(protocol, "Rollup.cancel_loss"))
    now = protocol.timestamp
    found = build_admin_rights_statement(protocol.lockstep.model)
    assert {each["admin"] for each in found["contracts"]} == {at("Timelock")}
    assert {each["announced"] for each in found["contracts"]} == {TERMS.delay}
    (rollup,) = [each for each in found["contracts"] if each["contract"] == "Rollup"]
    assert {(role["role"], role["account"]) for role in rollup["roles"]} == {
        ("MINTER", at("bridge")),
        ("GUARDIAN", at("guardian")),
    }
    (timelock,) = found["timelocks"]
    assert (timelock["governor"], timelock["guardian"]) == (at("admin"), at("guardian"))
    assert timelock["shorter"] == [
        {
            "contract": "Rollup",
            "selector": "0x" + encode_proposal_call(protocol, "Rollup.cancel_loss")[1].hex(),
            "delay": 43_200,
        }
    ]
    assert [(each["id"], each["ready_at"] - now) for each in timelock["proposals"]] == [
        ("0x" + sooner.hex(), TERMS.retraction),
        ("0x" + later.hex(), TERMS.delay),
    ]


def test_an_admin_who_announces_nothing(protocol):
    found = build_admin_rights_statement(protocol.lockstep.model)
    assert {each["admin"] for each in found["contracts"]} == {protocol.address("admin")}
    assert {each["announced"] for each in found["contracts"]} == {0}
    assert found["timelocks"] == []
