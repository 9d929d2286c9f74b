"""A step that breaks a property is told by the property's number."""

from __future__ import annotations

import pytest

from backstop.model.arithmetic import RAY, WAD
from backstop.model.bounds import GUARDIAN_PAUSE
from backstop.model.interfaces import Vault
from backstop.system import Action
from tests.support.auction_steps import liquidate_vault, start_auction
from tests.support.property_violation_checks import change_sender, check_last_step, expect_violation
from tests.support.revert_setter_and_source_helpers import GUARDIAN
from tests.support.saver_steps import deposit_savings


@pytest.fixture
def model(protocol):
    deposit_savings(protocol, "saver", 10_000 * WAD)
    return protocol.lockstep.model


@pytest.fixture
def covered(protocol, model):
    protocol.make_deficit("XAU")
    protocol.do("LossWaterfall.cover", 2, sender="stranger")
    return check_last_step(protocol)


def test_stages_out_of_order(covered):
    logs = covered.outcome.logs
    paid = [log for log in logs if log.event == "LossCovered"]
    assert len(paid) > 1
    expect_violation(5, covered._replace(outcome=covered.outcome._replace(logs=tuple(reversed(logs)))))


def test_a_stage_that_is_passed_over(covered):
    kept = tuple(log for log in covered.outcome.logs if log.event != "LossCovered" or log.values[2] != 0)
    expect_violation(5, covered._replace(outcome=covered.outcome._replace(logs=kept)))


def test_a_loss_left_to_nobody(covered, model):
    model.world.contracts["VaultEngine"].tables["ledger.deficit"][2] = 1
    none = tuple(log for log in covered.outcome.logs if log.event != "LossCovered")
    expect_violation(5, covered._replace(outcome=covered.outcome._replace(logs=none)))


def test_a_safe_vault_liquidated(protocol, model):
    start_auction(protocol)
    step = check_last_step(protocol)
    prices = model.world.contracts["PriceFeed"].tables["prices"]
    prices[0] = prices[0]._replace(current=2_000 * RAY)
    expect_violation(8, step)


def test_a_vault_liquidated_at_a_stale_price(protocol, model):
    start_auction(protocol)
    step = check_last_step(protocol)
    model.world.timestamp += 10**5
    expect_violation(8, step)


AGAINST = pytest.mark.parametrize("changes", [{"halted": True}, {"grace_until": 2**32 - 1}], ids=str)


@AGAINST
def test_a_vault_liquidated_against_a_guard(protocol, model, changes):
    start_auction(protocol)
    step = check_last_step(protocol)
    configs = model.world.contracts["PriceFeed"].tables["configs"]
    configs[0] = configs[0]._replace(**changes)
    expect_violation(8, step)


def test_a_vault_liquidated_at_another_price(protocol, model):
    id = start_auction(protocol)
    step = check_last_step(protocol)
    tops = model.world.contracts["CollateralAuction"].tables["tops"]
    tops[id] = tops[id]._replace(top=tops[id].top - 1)
    expect_violation(8, step)


def test_a_feed_given_up_as_dead_liquidates(protocol, model):
    protocol.do("PriceFeed.set_guards", 0, 0, 1, 0, 10**5, sender="admin")
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    protocol.post_price("WETH", 1_500 * RAY)
    protocol.advance(14_400 + 10**5 + 1)
    liquidate_vault(protocol)
    step = check_last_step(protocol)
    model.world.timestamp -= 1
    expect_violation(8, step)


@AGAINST
def test_a_draw_against_a_guard(protocol, model, changes):
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    step = check_last_step(protocol)
    configs = model.world.contracts["PriceFeed"].tables["configs"]
    configs[0] = configs[0]._replace(**changes)
    expect_violation(9, step)


def test_a_vault_made_unsafe(protocol, model):
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    step = check_last_step(protocol)
    vaults = model.world.contracts["VaultEngine"].tables["vaults"]
    key = 0, protocol.address("borrower")
    vaults[key] = vaults[key]._replace(locked_collateral=8 * WAD)
    expect_violation(9, step)


def test_the_rest_of_a_liquidation_worse(protocol, model):
    protocol.do("VaultEngine.set_auction_limit", 0, 5_000, sender="admin")
    start_auction(protocol)
    step = check_last_step(protocol)
    vaults = model.world.contracts["VaultEngine"].tables["vaults"]
    key = 0, protocol.address("borrower")
    assert vaults[key].normalized_debt
    vaults[key] = vaults[key]._replace(locked_collateral=vaults[key].locked_collateral * 9 // 10)
    expect_violation(9, step)


def test_a_rate_that_falls(protocol, model):
    protocol.advance(86_400)
    protocol.do("VaultEngine.accrue", 0, sender="stranger")
    step = check_last_step(protocol)
    debts = model.world.contracts["VaultEngine"].tables["ledger.debts"]
    debts[0] = debts[0]._replace(accumulated_rate=RAY - 1)
    expect_violation(9, step)


def test_a_share_price_that_falls(protocol, model):
    deposit_savings(protocol, "saver", WAD)
    step = check_last_step(protocol)
    assets = model.world.contracts["Savings"].tables["funds.assets"]
    assets[()] = assets[()]._replace(booked=assets[()].booked - 10)
    expect_violation(11, step)


@pytest.mark.parametrize(
    ("call", "args"),
    [
        ("Stablecoin.transfer", ("keeper", WAD)),
        ("Savings.transfer", ("keeper", WAD)),
        ("Stablecoin.approve", ("keeper", WAD)),
        ("VaultEngine.approve_operator", ("keeper", True)),
        ("VaultEngine.deposit_and_draw", (0, "saver", 0, 5_000 * WAD, "saver")),
        ("VaultEngine.repay_and_withdraw", (0, "saver", 0, WAD, "saver")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_only_the_owner_may(protocol, model, call, args):
    protocol.borrow("saver", "WETH", 100 * WAD, 12_000 * WAD)
    protocol.do(call, *args, sender="saver")
    expect_violation(16, change_sender(protocol, check_last_step(protocol), "stranger"))


@pytest.mark.parametrize(
    ("call", "args", "sender"),
    [
        ("VaultEngine.set_debt_ceiling", (0, 7), "admin"),
        ("VaultEngine.set_stability_fee", (0, 7), "admin"),
        ("CollateralAuction.set_stop", (0, 1), "admin"),
        ("CollateralAuction.set_buf", (0, 13_000), "admin"),
        ("PriceFeed.report", (0, 7 * RAY), "reporter_1"),
        ("PriceFeed.set_guards", (0, 1_500, 1, 0, 0), "admin"),
        ("PriceFeed.set_halted", (0, True), "admin"),
        ("LossWaterfall.transfer_admin", ("keeper",), "admin"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_only_the_privileged_may(protocol, model, call, args, sender):
    protocol.do(call, *args, sender=sender)
    expect_violation(18, change_sender(protocol, check_last_step(protocol), "stranger"))


def test_a_door_between_contracts(protocol, model):
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    step = check_last_step(protocol)
    borrower = protocol.address("borrower")
    for contract, method in (
        ("Stablecoin", "mint"),
        ("VaultEngine", "cover_from_tokens"),
        ("Savings", "absorb"),
    ):
        expect_violation(18, step._replace(action=Action(contract, method, (0, 1), borrower)))


def test_a_guardian_may_halt_a_market_and_not_end_it(protocol, model):
    protocol.do("PriceFeed.grant_role", GUARDIAN, "guardian", sender="admin")
    protocol.do("PriceFeed.set_halted", 0, True, sender="admin")
    check_last_step(protocol)
    protocol.do("PriceFeed.set_halted", 0, False, sender="admin")
    expect_violation(18, change_sender(protocol, check_last_step(protocol), "guardian"))


@pytest.mark.parametrize("again", [1, GUARDIAN_PAUSE])
def test_a_guardian_halts_for_a_while_and_not_again_at_once(protocol, model, again):
    """One that halted again sooner, or had not to wait for long enough."""
    protocol.do("PriceFeed.grant_role", GUARDIAN, "guardian", sender="admin")
    protocol.do("PriceFeed.set_halted", 0, True, sender="guardian")
    step = check_last_step(protocol)
    feed = model.world.contracts["PriceFeed"].tables
    if again == 1:
        model.changes["PriceFeed", "halt_again_at", 0] = model.timestamp + 1
    else:
        feed["halt_again_at"][0] -= again
    expect_violation(18, step)


def test_an_adapter_reports_what_its_aggregator_says(protocol, model):
    create, now = protocol.lockstep.create_contract, protocol.timestamp
    aggregator = create("ScriptedAggregator", "Aggregator", 8)
    args = protocol.address("PriceFeed"), 9, aggregator, 3_600, 0, 10**12, "0x" + "00" * 20, 0
    create("ChainlinkReporter", "Adapter", *args)
    reporters, times = ("Adapter", "reporter_1", "reporter_2"), (3_600, 7_200, 7_200, 3_600)
    protocol.do("PriceFeed.set_market", 9, reporters, 3, *times, sender="admin")
    protocol.do("Aggregator.set_answer", 1, 20 * 10**8, now, now, 1, sender="stranger")
    protocol.do("Adapter.push", sender="stranger")
    step, answers = check_last_step(protocol), model.world.contracts["Aggregator"].tables["answer"]
    expect_violation(18, step._replace(action=step.action._replace(method="report")))
    answers[()] += 1
    expect_violation(18, step)


def test_an_operator_may_what_the_owner_may_and_a_liquidation_may_take(protocol, model):
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    protocol.do("VaultEngine.approve_operator", "keeper", True, sender="borrower")
    protocol.do("VaultEngine.deposit_and_draw", 0, "borrower", 0, WAD, "keeper", sender="keeper")
    check_last_step(protocol)
    protocol.post_price("WETH", 1_500 * RAY)
    liquidate_vault(protocol)
    check_last_step(protocol)
    assert model.world.contracts["VaultEngine"].tables["vaults"][0, protocol.address("borrower")] != Vault()
