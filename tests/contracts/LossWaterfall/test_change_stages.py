"""propose_stages, apply_stages: stages are added in between; those that are empty or failed twice may go."""

import pytest

from backstop.deployment.parameter_dataclasses import PoolParameters
from backstop.model.arithmetic import MAX_UINT256, RAD, RAY, WAD
from tests.support.no_fee_deployments import build_uncapped_stages, deploy_without_fees
from tests.support.revert_setter_and_source_helpers import STAGE, reverts
from tests.support.saver_steps import (
    DAY,
    XAU,
    create_additional_pool,
    cut_batch_and_wait_cooldown,
    deposit_savings,
    earn_year_of_high_fees,
    lose_new_vault,
    redeem_all_shares,
    request_all_shares,
)

DELAY = 30 * DAY
NONE = MAX_UINT256
JUNIOR = 2
BREAK, REPAIR = "VaultEngine.revoke_role", "VaultEngine.grant_role"


@pytest.fixture
def made(new_protocol):
    """Buffer, reserve, an empty Junior, Savings with 40,000; and a pool that is no stage yet."""
    protocol = deploy_without_fees(
        new_protocol, stages=build_uncapped_stages("buffer", "reserve", "junior", "savings")
    )
    deposit_savings(protocol, "saver", 40_000 * WAD)
    create_additional_pool(protocol, "Fresh")
    return protocol


def present(protocol):
    return [tuple(protocol.read("LossWaterfall.stage_terms", k)) for k in ids(protocol)]


def ids(protocol):
    return list(protocol.read("LossWaterfall.stage_ids"))


def at_once(stage):
    """Return the terms of a pool without caps; its members owe each missed share."""
    return (stage, True, False, False, True, NONE, 10_000)


def propose(protocol, terms):
    protocol.do("LossWaterfall.propose_stages", terms, sender="admin")
    protocol.advance(DELAY)


def apply(protocol, terms):
    protocol.do("LossWaterfall.apply_stages", terms, sender="stranger")


def change(protocol, terms):
    propose(protocol, terms)
    apply(protocol, terms)


def with_fresh(protocol):
    terms = present(protocol)
    return [*terms[: JUNIOR + 1], at_once(protocol.address("Fresh")), *terms[JUNIOR + 1 :]]


def without(protocol, k):
    terms = present(protocol)
    del terms[ids(protocol).index(k)]
    return terms


def test_a_new_stage_pays_in_its_place(made):
    change(made, with_fresh(made))
    assert ids(made) == [0, 1, 2, 4, 3]
    assert made.read("LossWaterfall.stage_count") == 5
    deposit_savings(made, "newcomer", 4_000 * WAD, "Fresh")
    lose_new_vault(made)
    deficit = made.read("VaultEngine.deficit_of", XAU)
    assert made.read("LossWaterfall.losses_reaching", "Fresh") == deficit
    assert made.read("LossWaterfall.losses_reaching", "Savings") == deficit - 4_000 * RAD
    made.do("LossWaterfall.cover", XAU, sender="stranger")
    paid = [log.values[2:] for log in made.last.logs if log.event == "LossCovered"]
    assert paid == [(4, 4_000 * RAD), (3, deficit - 4_000 * RAD)]
    epoch = made.read("LossWaterfall.last_epoch", XAU)
    assert made.read("LossWaterfall.event_of", XAU, epoch).covered == deficit


def test_what_is_kept_of_others_keeps_its_meaning(made):
    """Savings stay number 3, with their recorded payments."""
    lose_new_vault(made)
    made.do("LossWaterfall.cover", XAU, sender="stranger")
    epoch = made.read("LossWaterfall.last_epoch", XAU)
    paid = made.read("LossWaterfall.covered", XAU, epoch, 3)
    change(made, without(made, JUNIOR))
    assert ids(made) == [0, 1, 3]
    assert made.read("LossWaterfall.covered", XAU, epoch, 3) == paid > 9_000 * RAD
    assert made.read("LossWaterfall.event_of", XAU, epoch).covered == paid
    lose_new_vault(made)
    made.do("LossWaterfall.cover", XAU, sender="stranger")
    assert [log.values[2] for log in made.last.logs if log.event == "LossCovered"] == [3]


def test_only_after_the_delay_and_as_proposed(made):
    terms = with_fresh(made)
    with reverts("roles: not admin"):
        made.do("LossWaterfall.propose_stages", terms, sender="guardian")
    made.do("LossWaterfall.propose_stages", terms, sender="admin")
    made.advance(DELAY - 1)
    with reverts("loss_waterfall: too early"):
        apply(made, terms)
    made.advance(1)
    with reverts("loss_waterfall: not proposed"):
        apply(made, present(made))
    apply(made, terms)
    with reverts("loss_waterfall: not proposed"):
        apply(made, terms)


def test_before_there_is_an_order_none_is_proposed(made):
    engine, liquidations = map(made.address, ("VaultEngine", "LiquidationEngine"))
    made.lockstep.create_contract(
        "LossWaterfall", "Other", engine, liquidations, made.address("admin"), DAY, DAY
    )
    with reverts("loss_waterfall: none are set"):
        made.do("Other.propose_stages", present(made), sender="admin")


def test_not_while_a_loss_is_open(made):
    terms = with_fresh(made)
    propose(made, terms)
    lose_new_vault(made)
    with reverts("loss_waterfall: losses open"):
        apply(made, terms)
    made.do("LossWaterfall.cover", XAU, sender="stranger")
    apply(made, terms)


def test_a_new_stage_proves_itself_twice(made):
    """Without its role it is none, neither when it is announced nor when it comes."""
    terms = with_fresh(made)
    made.do(BREAK, STAGE, "Fresh", sender="admin")
    with reverts("loss_waterfall: no stage"):
        made.do("LossWaterfall.propose_stages", terms, sender="admin")
    made.do(REPAIR, STAGE, "Fresh", sender="admin")
    propose(made, terms)
    made.do(BREAK, STAGE, "Fresh", sender="admin")
    with reverts("loss_waterfall: no stage"):
        apply(made, terms)
    assert ids(made) == [0, 1, 2, 3]


def test_those_that_stay_keep_their_order(made):
    first, second, *rest = present(made)
    with reverts("loss_waterfall: other order"):
        made.do("LossWaterfall.propose_stages", [second, first, *rest], sender="admin")
    with reverts("loss_waterfall: other order"):
        made.do("LossWaterfall.propose_stages", [first, second, *rest, first], sender="admin")
    with reverts("loss_waterfall: no stages"):
        made.do("LossWaterfall.propose_stages", [], sender="admin")


def test_a_stage_that_has_something_stays(made):
    terms = without(made, 3)
    propose(made, terms)
    with reverts("loss_waterfall: not empty"):
        apply(made, terms)


def test_one_that_was_left_out_does_not_come_back(made):
    """Its id stays its own; the address is not taken for a stage again."""
    change(made, without(made, JUNIOR))
    junior = tuple(made.read("LossWaterfall.stage_terms", JUNIOR))
    assert junior[0] == made.address("Junior")
    with reverts("loss_waterfall: other order"):
        made.do("LossWaterfall.propose_stages", [*present(made), junior], sender="admin")


def test_there_are_16_ids_in_all(made):
    for i in range(12):
        made.lockstep.create_contract("ScriptedStage", f"stage_{i}", made.address("LossWaterfall"))
    new = [(f"stage_{i}", False, False, False, False, NONE, 10_000) for i in range(12)]
    change(made, [*present(made), *new])
    change(made, without(made, JUNIOR))
    with reverts("loss_waterfall: too many stages"):
        made.do("LossWaterfall.propose_stages", with_fresh(made), sender="admin")


def test_one_that_failed_only_later_stays(made):
    """A stage that fails for a moment when the change is applied is not removed for that."""
    deposit_savings(made, "elder", 5_000 * WAD, "Junior")
    terms = without(made, JUNIOR)
    propose(made, terms)
    made.do(BREAK, STAGE, "Junior", sender="admin")
    with reverts("loss_waterfall: it worked"):
        apply(made, terms)


def test_one_that_works_again_stays(made):
    deposit_savings(made, "elder", 5_000 * WAD, "Junior")
    terms = without(made, JUNIOR)
    made.do(BREAK, STAGE, "Junior", sender="admin")
    propose(made, terms)
    made.do(REPAIR, STAGE, "Junior", sender="admin")
    with reverts("loss_waterfall: not empty"):
        apply(made, terms)


def test_one_that_fails_when_announced_and_when_applied_goes(made):
    """It has failed for as long as a withdrawal takes; its members absorb no losses any more."""
    deposit_savings(made, "elder", 5_000 * WAD, "Junior")
    made.do(BREAK, STAGE, "Junior", sender="admin")
    change(made, without(made, JUNIOR))
    assert ids(made) == [0, 1, 3]
    request_all_shares(made, "elder", "Junior")
    cut_batch_and_wait_cooldown(made, "Junior")
    assert redeem_all_shares(made, "elder", "Junior") >= 5_000 * WAD - 10


def test_one_that_was_left_out_owes_still(new_protocol):
    """A withdrawing member pays a part of that debt, and of no later loss."""
    stages, junior = (
        build_uncapped_stages("buffer", "reserve", "junior", "savings"),
        PoolParameters(cooldown=0),
    )
    made = deploy_without_fees(new_protocol, stages=stages, junior=junior)
    deposit_savings(made, "saver", 60_000 * WAD)
    deposit_savings(made, "elder", 50_000 * WAD, "Junior")
    earn_year_of_high_fees(made)
    lose_new_vault(made, debt=30_000 * WAD)
    made.do(BREAK, STAGE, "Junior", sender="admin")
    made.do("LossWaterfall.cover", XAU, sender="stranger")
    owed = made.read("LossWaterfall.missed", JUNIOR, XAU)
    assert owed != 0
    change(made, without(made, JUNIOR))
    made.do(REPAIR, STAGE, "Junior", sender="admin")
    lose_new_vault(made, debt=10_000 * WAD)
    left = made.do("Junior.redeem", made.read("Junior.balanceOf", "elder"), "elder", "elder", sender="elder")
    assert 0 <= 50_000 * WAD - owed // RAY - left <= 2


def test_one_that_owes_stays_until_it_has_paid(made):
    """The pool is empty, and its debt is not forgiven yet."""
    deposit_savings(made, "elder", 5_000 * WAD, "Junior")
    earn_year_of_high_fees(made)
    lose_new_vault(made, debt=30_000 * WAD)
    made.do(BREAK, STAGE, "Junior", sender="admin")
    made.do("LossWaterfall.cover", XAU, sender="stranger")
    made.do(REPAIR, STAGE, "Junior", sender="admin")
    lose_new_vault(made, debt=10_000 * WAD)
    made.do("LossWaterfall.cover", XAU, sender="stranger")
    assert made.read("Junior.capacity", 0) == 0 != made.read("LossWaterfall.missed", JUNIOR, XAU)
    terms = without(made, JUNIOR)
    propose(made, terms)
    with reverts("loss_waterfall: it owes"):
        apply(made, terms)
    made.do("LossWaterfall.repay_missed_share", XAU, JUNIOR, sender="stranger")
    apply(made, terms)
