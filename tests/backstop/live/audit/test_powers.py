"""What an audit says of who may change a deployment."""

from dataclasses import replace

from backstop.deployment.examples import standard
from backstop.deployment.parameters import DomainParameters
from backstop.live.audit.powers import powers
from tests.support.governance import TERMS, call, governed, propose


def test_a_timelock_its_roles_and_what_is_proposed(new_protocol):
    parameters = replace(standard(), domains=(DomainParameters("Rollup", 1_000_000),))
    protocol = governed(new_protocol, parameters)
    at = protocol.address
    later = propose(protocol, call(protocol, "Treasury.transfer_admin", "keeper"))
    sooner = propose(protocol, call(protocol, "Rollup.cancel_loss"))
    now = protocol.timestamp
    found = powers(protocol.lockstep.model)
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
            "selector": "0x" + call(protocol, "Rollup.cancel_loss")[1].hex(),
            "delay": 43_200,
        }
    ]
    assert [(each["id"], each["ready_at"] - now) for each in timelock["proposals"]] == [
        ("0x" + sooner.hex(), TERMS.retraction),
        ("0x" + later.hex(), TERMS.delay),
    ]


def test_an_admin_who_announces_nothing(protocol):
    found = powers(protocol.lockstep.model)
    assert {each["admin"] for each in found["contracts"]} == {protocol.address("admin")}
    assert {each["announced"] for each in found["contracts"]} == {0}
    assert found["timelocks"] == []
