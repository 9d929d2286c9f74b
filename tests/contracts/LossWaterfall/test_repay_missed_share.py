"""repay_missed_share, missed: a stage pays to the reserve, once it works again, the losses it missed."""

import pytest

from backstop.deployment import contracts_by_parameter_name
from backstop.deployment.parameter_dataclasses import StageParameters
from backstop.model.arithmetic import MAX_UINT256, RAD, RAY, WAD
from tests.support.equity_steps import (
    build_equity_parameters,
    hold_equity_price_until_average,
    post_prices_and_fund_people,
    take_from_equity_auction,
)
from tests.support.no_fee_deployments import build_uncapped_stages, deploy_without_fees
from tests.support.revert_setter_and_source_helpers import STAGE, reverts
from tests.support.saver_steps import XAU, deposit_savings, give_stablecoin, lose_new_vault
from tests.support.settlement_steps import start_settlement

CALL = "LossWaterfall.repay_missed_share"
JUNIOR, SENIOR = 2, 3


def broken(protocol, *stages):
    for stage in stages:
        protocol.do("VaultEngine.revoke_role", STAGE, stage, sender="admin")


def repair(protocol, stage="Junior"):
    protocol.do("VaultEngine.grant_role", STAGE, stage, sender="admin")


def cover(protocol):
    return protocol.do("LossWaterfall.cover", XAU, sender="stranger")


def missed(protocol, k=JUNIOR):
    return protocol.read("LossWaterfall.missed", k, XAU)


@pytest.fixture
def made(new_protocol):
    """Makes protocols with 5,000 in Junior, 6,000 in Senior and 40,000 in Savings."""

    def make(**caps):
        stages = build_uncapped_stages("buffer", "reserve", "junior", "senior", "savings")
        stages = (*stages[:JUNIOR], StageParameters("junior", **caps), *stages[JUNIOR + 1 :])
        protocol = deploy_without_fees(new_protocol, stages=stages)
        deposit_savings(protocol, "elder", 5_000 * WAD, "Junior")
        deposit_savings(protocol, "middle", 6_000 * WAD, "Senior")
        deposit_savings(protocol, "saver", 40_000 * WAD)
        return protocol

    return make


def test_what_others_paid_is_noted_and_paid_to_the_reserve(made):
    protocol = made()
    lose_new_vault(protocol, debt=3_000 * WAD)
    deficit = protocol.read("VaultEngine.deficit_of", XAU)
    broken(protocol, "Junior")
    cover(protocol)
    assert missed(protocol) == deficit
    (noted,) = [log.values for log in protocol.last.logs if log.event == "LossMissed"]
    assert noted == (XAU, JUNIOR, deficit)
    repair(protocol)
    before = protocol.read("VaultEngine.reserve")
    assert protocol.do(CALL, XAU, JUNIOR, sender="stranger") == deficit
    assert protocol.last.logs[-1].values == (XAU, JUNIOR, deficit, 0)
    assert 0 <= protocol.read("VaultEngine.reserve") - before - deficit < RAY
    assert missed(protocol) == 0
    with reverts("loss_waterfall: nothing missed"):
        protocol.do(CALL, XAU, JUNIOR, sender="stranger")


def test_it_owes_no_more_than_it_has(made):
    protocol = made()
    lose_new_vault(protocol)
    broken(protocol, "Junior")
    cover(protocol)
    assert missed(protocol) == 5_000 * RAD


def test_of_two_that_fail_each_owes_its_own_part(made):
    """As had they paid: the first all that it has, the second the rest."""
    protocol = made()
    lose_new_vault(protocol)
    deficit = protocol.read("VaultEngine.deficit_of", XAU)
    broken(protocol, "Junior", "Senior")
    cover(protocol)
    assert (missed(protocol), missed(protocol, SENIOR)) == (5_000 * RAD, deficit - 5_000 * RAD)


def test_what_stages_before_them_paid_nobody_owes(made):
    """The reserve pays first; it once counted as paid in the place of the second that fails."""
    protocol = made()
    lose_new_vault(protocol, debt=3_000 * WAD)
    broken(protocol, "Junior")
    cover(protocol)
    repair(protocol)
    reserve = protocol.do(CALL, XAU, JUNIOR, sender="stranger")
    junior = 5_000 * RAD - reserve
    deposit_savings(protocol, "middle", 6_000 * WAD, "Senior")
    lose_new_vault(protocol)
    broken(protocol, "Junior", "Senior")
    savings = cover(protocol) - reserve
    assert (missed(protocol), missed(protocol, SENIOR)) == (junior, savings - junior)


def test_one_owes_only_what_is_paid_after_it(new_protocol):
    """Senior pays between the two that fail, the reserve after them."""
    stages = (
        StageParameters("junior", cap_absolute=1_000 * RAD),
        *build_uncapped_stages("senior", "savings", "reserve"),
    )
    protocol = deploy_without_fees(new_protocol, stages=stages)
    for pool, assets in (("Junior", 5_000), ("Senior", 4_000), ("Savings", 40_000)):
        deposit_savings(protocol, "saver", assets * WAD, pool)
    give_stablecoin(protocol, "donor", 2_000 * WAD)
    protocol.do("VaultEngine.grant_role", STAGE, "donor", sender="admin")
    protocol.do("VaultEngine.give_to_reserve", 2_000 * WAD, sender="donor")
    lose_new_vault(protocol)
    broken(protocol, "Junior", "Savings")
    assert cover(protocol) == 6_000 * RAD
    assert (missed(protocol, 0), missed(protocol, 2)) == (1_000 * RAD, 2_000 * RAD)


def test_what_nobody_pays_is_not_missed(made):
    """It stays a deficit, and comes back to the stage that way."""
    protocol = made()
    lose_new_vault(protocol, debt=3_000 * WAD)
    broken(protocol, "Junior", "Senior", "Savings")
    assert cover(protocol) == 0
    assert missed(protocol) == missed(protocol, SENIOR) == 0
    repair(protocol)
    assert cover(protocol) > 3_000 * RAD - RAD


def test_under_its_cap_it_owes_what_that_lets_it_pay_in_a_window(made):
    protocol = made(cap_absolute=1_000 * RAD)
    lose_new_vault(protocol, debt=3_000 * WAD)
    broken(protocol, "Junior")
    cover(protocol)
    assert missed(protocol) == 1_000 * RAD
    lose_new_vault(protocol, debt=3_000 * WAD)
    cover(protocol)
    assert missed(protocol) == 1_000 * RAD


def test_and_pays_under_it(made):
    """The stage's latest payment for another loss counts; later there is room again."""
    protocol = made(cap_absolute=1_000 * RAD)
    lose_new_vault(protocol, debt=3_000 * WAD)
    broken(protocol, "Junior")
    cover(protocol)
    repair(protocol)
    lose_new_vault(protocol, debt=3_000 * WAD)
    cover(protocol)
    with reverts("loss_waterfall: no room"):
        protocol.do(CALL, XAU, JUNIOR, sender="stranger")
    protocol.advance(14 * 86_400)
    assert protocol.do(CALL, XAU, JUNIOR, sender="stranger") == 1_000 * RAD
    lose_new_vault(protocol, debt=3_000 * WAD)
    cover(protocol)
    assert JUNIOR not in [log.values[2] for log in protocol.last.logs if log.event == "LossCovered"]


def test_not_while_a_loss_is_open(made):
    """A payment into the reserve would pay for the stage's own part of that loss."""
    protocol = made()
    lose_new_vault(protocol, debt=3_000 * WAD)
    broken(protocol, "Junior")
    cover(protocol)
    repair(protocol)
    lose_new_vault(protocol, debt=3_000 * WAD)
    with reverts("loss_waterfall: cover first"):
        protocol.do(CALL, XAU, JUNIOR, sender="stranger")
    cover(protocol)
    assert 0 < protocol.do(CALL, XAU, JUNIOR, sender="stranger") <= 2_000 * RAD


def test_nor_in_settlement(made):
    protocol = made()
    lose_new_vault(protocol, debt=3_000 * WAD)
    broken(protocol, "Junior")
    cover(protocol)
    repair(protocol)
    start_settlement(protocol)
    with reverts("loss_waterfall: cover first"):
        protocol.do(CALL, XAU, JUNIOR, sender="stranger")


def test_one_that_still_fails_pays_nothing(made):
    protocol = made()
    lose_new_vault(protocol, debt=3_000 * WAD)
    broken(protocol, "Junior")
    cover(protocol)
    with reverts("roles: missing role"):
        protocol.do(CALL, XAU, JUNIOR, sender="stranger")
    assert missed(protocol) > 2_000 * RAD


def test_what_an_auction_brings_in_its_place_is_owed_once_it_is_paid(new_protocol):
    """Equity is sold for losses past Junior: the debt is the buyers' payment, not the reserved amount."""
    parameters = build_equity_parameters("buffer", "reserve", "junior", "minted_equity", "savings")
    protocol = post_prices_and_fund_people(new_protocol(parameters))
    hold_equity_price_until_average(protocol, 100 * RAY)
    deposit_savings(protocol, "elder", 5_000 * WAD, "Junior")
    lose_new_vault(protocol)
    broken(protocol, "Junior")
    reserved = cover(protocol)
    assert missed(protocol) == 0 != protocol.read("LossWaterfall.reserved_of", XAU)
    take_from_equity_auction(protocol, amount=10 * WAD)
    (first,) = [log.values[-1] for log in protocol.last.logs if log.event == "LossCovered"]
    assert missed(protocol) == first < 5_000 * RAD < reserved
    take_from_equity_auction(protocol)
    assert missed(protocol) == 5_000 * RAD


def test_what_an_auction_brings_is_owed_beside_what_was_paid_at_once(new_protocol):
    """Junior was short of 5,000: Senior pays 3,000 in its place, and buyers the rest of that."""
    parameters = build_equity_parameters("buffer", "reserve", "junior", "senior", "minted_equity", "savings")
    protocol = post_prices_and_fund_people(new_protocol(parameters))
    hold_equity_price_until_average(protocol, 100 * RAY)
    deposit_savings(protocol, "elder", 5_000 * WAD, "Junior")
    deposit_savings(protocol, "middle", 3_000 * WAD, "Senior")
    lose_new_vault(protocol)
    broken(protocol, "Junior")
    cover(protocol)
    paid = missed(protocol)
    assert paid == 3_000 * RAD
    take_from_equity_auction(protocol)
    assert missed(protocol) == 5_000 * RAD


@pytest.fixture
def scripted(new_protocol, scripted_first, monkeypatch):
    """The first stage has members and says that it holds too much; so others pay a loss in its place."""
    kind = contracts_by_parameter_name.STAGES["buffer"]._replace(owes=True)
    monkeypatch.setitem(contracts_by_parameter_name.STAGES, "buffer", kind)

    protocol = deploy_without_fees(new_protocol, stages=build_uncapped_stages("buffer", "reserve", "savings"))
    deposit_savings(protocol, "saver", 40_000 * WAD)
    lose_new_vault(protocol)
    claim(protocol, MAX_UINT256)
    cover(protocol)
    return protocol


def claim(protocol, capacity, payment=0):
    protocol.do("BufferStage.claim", capacity, payment, 0, sender="stranger")


def test_one_that_does_not_say_what_it_holds_owes_all_that_was_paid(scripted):
    covered = [log.values[-1] for log in scripted.last.logs if log.event == "LossCovered"]
    assert missed(scripted, 0) == sum(covered) > 9_999 * RAD


def test_while_it_does_not_say_it_nothing_is_made_good(scripted):
    with reverts("loss_waterfall: no answer"):
        scripted.do(CALL, XAU, 0, sender="stranger")


@pytest.mark.parametrize("payment", [0, 10_000 * RAD])
def test_that_it_says_it_pays_is_not_believed(scripted, payment):
    claim(scripted, 10**6 * RAD, payment)
    with reverts("loss_waterfall: still fails"):
        scripted.do(CALL, XAU, 0, sender="stranger")


def test_one_that_is_empty_owes_nothing_any_more(scripted):
    """An empty stage never owes; a later depositor starts afresh."""
    claim(scripted, 0)
    assert scripted.do(CALL, XAU, 0, sender="stranger") == 0
    assert missed(scripted, 0) == 0
    assert scripted.last.logs[-1].values == (XAU, 0, 0, 0)
