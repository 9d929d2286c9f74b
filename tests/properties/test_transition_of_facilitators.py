"""Violations of the property of facilitators, one wrong value each."""

import pytest

from backstop.model.arithmetic import WAD
from backstop.model.interfaces import Announcement, Vault
from backstop.system import Action
from tests.support.facilitator_steps import (
    DAY,
    ROLLUP,
    announce_loss,
    deploy_protocol_with_facilitators,
    draw_stablecoin_as_bridge,
)
from tests.support.property_violation_checks import change_sender, check_last_step, expect_violation

K = 1_000 * WAD


@pytest.fixture
def bridged(new_protocol):
    made = deploy_protocol_with_facilitators(new_protocol)
    draw_stablecoin_as_bridge(made, 100 * K)
    return made


@pytest.fixture
def drawn(bridged):
    draw_stablecoin_as_bridge(bridged, K)
    return check_last_step(bridged)


@pytest.fixture
def announced(bridged):
    announce_loss(bridged, 10 * K)
    return check_last_step(bridged)


@pytest.fixture
def lost(bridged, announced):
    bridged.advance(DAY)
    bridged.do("Rollup.realise_loss", sender="stranger")
    return check_last_step(bridged)


def tables(protocol, contract="Rollup"):
    return protocol.lockstep.model.world.contracts[contract].tables


def as_call(step, method, sender=None):
    """The same step, had it been another call of the facilitator's."""
    return step._replace(action=Action("Rollup", method, (), sender or step.action.sender))


def test_a_draw_by_somebody_else(bridged, drawn):
    expect_violation(24, change_sender(bridged, drawn, "stranger"))


def test_a_draw_by_another_function(bridged, drawn):
    expect_violation(24, as_call(drawn, "sync_note", bridged.address("Rollup")))


def test_a_draw_over_the_line(bridged, drawn):
    tables(bridged)["lost"][()] = 900_000 * WAD
    drawn.model.changes["Rollup", "lost", ()] = 900_000 * WAD
    expect_violation(24, drawn)


def test_somebody_elses_vault(bridged, drawn):
    vault = ROLLUP, bridged.address("stranger")
    tables(bridged, "VaultEngine")["vaults"][vault] = Vault(locked_collateral=1)
    drawn.model.changes["VaultEngine", "vaults", vault] = Vault()
    expect_violation(24, drawn)


def test_a_loss_that_is_not_the_announced_one(bridged, lost):
    tables(bridged)["lost"][()] += 1
    expect_violation(24, lost)


def test_a_loss_that_touches_another_vault(bridged, lost):
    vault = 0, bridged.address("stranger")
    tables(bridged, "VaultEngine")["vaults"][vault] = Vault(locked_collateral=1)
    lost.model.changes["VaultEngine", "vaults", vault] = Vault()
    expect_violation(24, lost)


def test_a_loss_before_its_time(bridged, lost):
    lost.model.changes["Rollup", "announced", ()] = Announcement(10 * K, bridged.timestamp + 1)
    expect_violation(24, lost)


def test_an_announcement_by_nobody_who_may(bridged, announced):
    expect_violation(24, change_sender(bridged, announced, "stranger"))


def test_an_announcement_without_its_flag(bridged, announced):
    tables(bridged, "LiquidationEngine")["vault_flags.of_vaults"][ROLLUP, bridged.address("Rollup")] = 9 * K
    expect_violation(24, announced)


def test_a_loss_that_is_forgotten(bridged, lost):
    bridged.do("Stablecoin.approve", "Rollup", K, sender="receiver")
    bridged.do("Rollup.recover", K, sender="receiver")
    expect_violation(24, as_call(check_last_step(bridged), "sync_note"))
