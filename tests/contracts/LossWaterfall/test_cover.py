"""cover: the stages pay in order, within caps that hold over any window; one that fails or lies is empty."""

import pytest

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import StageParameters
from backstop.model.arithmetic import MAX_UINT256, RAD, RAY, WAD
from tests.support.auction_steps import WBTC
from tests.support.revert_setter_and_source_helpers import STAGE, reverts
from tests.support.saver_steps import (
    BUFFER,
    RESERVE,
    SAVINGS,
    XAU,
    deposit_savings,
    earn_year_of_high_fees,
    give_stablecoin,
    lose_new_vault,
)

CALL = "LossWaterfall.cover"
WEEK, YEAR = 7 * 86_400, 365 * 86_400


def covered(protocol):
    """(stage, amount) of each payment of the last call."""
    return [log.values[2:] for log in protocol.last.logs if log.event == "LossCovered"]


def event(protocol):
    epoch = protocol.read("LossWaterfall.last_epoch", XAU)
    found = protocol.read("LossWaterfall.event_of", XAU, epoch)
    assert found.created + found.carried_in == (
        found.recovered + found.covered + found.carried_out + found.outstanding
    )
    return found


def drain(protocol):
    """Leave nothing in the buffer and the reserve: the pool is the first to pay."""
    protocol.do("VaultEngine.grant_role", STAGE, "stranger", sender="admin")
    for method, view in (("cover_from_buffer", "buffer_of"), ("cover_from_reserve", "reserve")):
        amount = protocol.read(f"VaultEngine.{view}", *((XAU,) if view == "buffer_of" else ()))
        protocol.do(f"VaultEngine.{method}", XAU, amount, sender="stranger")


# ------------------------------------------------------------------------ order


def test_the_first_stages_pay_first_and_to_the_last_rad(deployed):
    protocol = deployed()
    earn_year_of_high_fees(protocol)
    lose_new_vault(protocol, debt=40_000 * WAD)
    buffer, reserve = protocol.read("VaultEngine.buffer_of", XAU), protocol.read("VaultEngine.reserve")
    deficit = protocol.read("VaultEngine.deficit_of", XAU)
    assert protocol.do(CALL, XAU, sender="stranger") == sum(amount for _, amount in covered(protocol))
    assert covered(protocol)[:2] == [(BUFFER, buffer), (RESERVE, reserve)]
    assert [stage for stage, _ in covered(protocol)[2:]] == [SAVINGS]
    assert protocol.read("VaultEngine.buffer_of", XAU) == 0
    assert protocol.read("VaultEngine.deficit_of", XAU) == deficit - event(protocol).covered


def test_a_later_stage_pays_nothing_while_an_earlier_one_can(deployed):
    protocol = deployed()
    earn_year_of_high_fees(protocol)
    deficit = lose_new_vault(protocol, debt=2_000 * WAD)
    assert deficit < protocol.read("VaultEngine.buffer_of", XAU) + protocol.read("VaultEngine.reserve")
    protocol.do(CALL, XAU, sender="stranger")
    assert SAVINGS not in dict(covered(protocol))
    assert protocol.read("Savings.totalAssets") == 40_000 * WAD
    assert protocol.read("VaultEngine.deficit_of", XAU) == 0


def test_each_call_starts_again_at_the_first_stage(deployed):
    protocol = deployed(saved=0, epoch_length=YEAR)
    lose_new_vault(protocol)
    protocol.do(CALL, XAU, sender="stranger")
    left = protocol.read("VaultEngine.deficit_of", XAU)
    assert left > 0
    protocol.post_price("XAU", 2_500 * RAY)
    protocol.earn_fees("XAU")
    protocol.do(CALL, XAU, sender="stranger")
    assert covered(protocol)[0][0] == BUFFER


def test_nothing_to_cover(protocol):
    for c in (XAU, 31):
        with reverts("loss_waterfall: no deficit"):
            protocol.do(CALL, c, sender="stranger")


def test_dry_stages_pay_nothing_without_a_revert(deployed):
    protocol = deployed(saved=0)
    lose_new_vault(protocol)
    protocol.do(CALL, XAU, sender="stranger")
    deficit = protocol.read("VaultEngine.deficit_of", XAU)
    assert protocol.do(CALL, XAU, sender="stranger") == 0
    assert covered(protocol) == []
    assert protocol.read("VaultEngine.deficit_of", XAU) == event(protocol).outstanding == deficit


# ------------------------------------------------------------------------- caps


def test_a_share_of_the_balance_before_the_first_payment(deployed):
    protocol = deployed(saved=10_000 * WAD, epoch_length=YEAR)  # capped at half
    lose_new_vault(protocol)
    protocol.do(CALL, XAU, sender="stranger")
    assert dict(covered(protocol))[SAVINGS] == 5_000 * RAD
    lose_new_vault(protocol)
    protocol.do(CALL, XAU, sender="stranger")
    assert SAVINGS not in dict(covered(protocol))


def test_new_deposits_widen_the_cap_by_their_own_share_alone(deployed):
    protocol = deployed(saved=10_000 * WAD, epoch_length=YEAR)
    lose_new_vault(protocol)
    protocol.do(CALL, XAU, sender="stranger")
    assert dict(covered(protocol))[SAVINGS] == 5_000 * RAD
    deposit_savings(protocol, "newcomer", 2_000 * WAD)
    protocol.do(CALL, XAU, sender="stranger")
    assert dict(covered(protocol))[SAVINGS] == 1_000 * RAD
    protocol.do(CALL, XAU, sender="stranger")
    assert SAVINGS not in dict(covered(protocol))


def test_an_absolute_cap_binds_on_the_total_of_the_event(deployed):
    cap = 1_000 * RAD + 7
    protocol = deployed(epoch_length=YEAR, caps={"savings": {"cap_absolute": cap, "cap_bps": 10_000}})
    lose_new_vault(protocol)
    protocol.do(CALL, XAU, sender="stranger")
    assert dict(covered(protocol))[SAVINGS] == 1_000 * RAD  # whole wei
    lose_new_vault(protocol)
    protocol.do(CALL, XAU, sender="stranger")
    assert SAVINGS not in dict(covered(protocol))


@pytest.mark.parametrize(
    ("absolute", "bps", "most"),
    [(100 * RAD, 1, RAD), (100 * RAD, 5_000, 100 * RAD)],
    ids=["share", "absolute"],
)
def test_the_smaller_cap_binds(deployed, absolute, bps, most):
    both = {"cap_absolute": absolute, "cap_bps": bps}
    protocol = deployed(saved=10_000 * WAD, caps={"savings": both})
    lose_new_vault(protocol)
    protocol.do(CALL, XAU, sender="stranger")
    assert dict(covered(protocol))[SAVINGS] == most


def test_every_stage_can_be_capped(deployed):
    protocol = deployed(caps={"buffer": {"cap_bps": 5_000}, "reserve": {"cap_absolute": 5 * RAD}})
    earn_year_of_high_fees(protocol)
    lose_new_vault(protocol, debt=40_000 * WAD)
    buffer = protocol.read("VaultEngine.buffer_of", XAU)
    protocol.do(CALL, XAU, sender="stranger")
    paid = dict(covered(protocol))
    assert paid[BUFFER] == buffer * 5_000 // 10_000 // RAY * RAY
    assert paid[RESERVE] == 5 * RAD


def test_a_share_is_rounded_down_to_a_whole_wei(deployed):
    stages = (StageParameters("scripted", cap_bps=1), *build_standard_parameters().stages)
    protocol = deployed(saved=0, stages=stages)
    lose_new_vault(protocol)
    for balance, share in ((10**4 * RAY - 1, 0), (10**4 * RAY, RAY)):
        protocol.do("ScriptedStage.claim", balance, 0, RAY, sender="stranger")
        protocol.do(CALL, XAU, sender="stranger")
        assert protocol.read("LossWaterfall.reserved", XAU, 0) == share


def test_in_parts_as_much_as_at_once(deployed):
    """Half of the balance and of the earlier payment, to the last wei."""
    stages = (StageParameters("scripted", cap_bps=5_000), *build_standard_parameters().stages)
    protocol = deployed(saved=0, epoch_length=YEAR, stages=stages)
    lose_new_vault(protocol)
    give_stablecoin(protocol, "buyer", 10 * WAD)
    protocol.do("Stablecoin.approve", "ScriptedStage", MAX_UINT256, sender="buyer")
    for balance, share in ((4 * RAY, RAY), (3 * RAY, RAY), (2 * RAY, 0)):
        protocol.do("ScriptedStage.claim", balance, 0, RAY, sender="stranger")
        protocol.do(CALL, XAU, sender="stranger")
        assert protocol.read("LossWaterfall.reserved", XAU, 0) == share
        if share:
            protocol.do("ScriptedStage.pay", XAU, share, sender="buyer")


def test_a_cap_holds_over_any_stretch_as_long_as_an_epoch(deployed):
    protocol = deployed(saved=10_000 * WAD)
    protocol.advance(2 * WEEK - 1 - protocol.timestamp % WEEK)
    lose_new_vault(protocol)
    protocol.do(CALL, XAU, sender="stranger")
    assert dict(covered(protocol))[SAVINGS] == 5_000 * RAD
    # The last second of the next epoch: a week later, less a second or two.
    protocol.advance(2 * WEEK - 1 - protocol.timestamp % WEEK)
    protocol.do(CALL, XAU, sender="stranger")
    assert SAVINGS not in dict(covered(protocol))
    protocol.advance(1)
    protocol.do(CALL, XAU, sender="stranger")
    assert dict(covered(protocol))[SAVINGS] == 2_500 * RAD


def test_losses_of_two_types_meet_one_cap_of_a_pool(deployed):
    """Whichever is covered first: half of the pool in all, not half and then half of the rest."""
    paid = []
    for order in ((XAU, WBTC), (WBTC, XAU)):
        protocol = deployed(saved=10_000 * WAD, epoch_length=YEAR)
        lose_new_vault(protocol)
        lose_new_vault(protocol, "WBTC")
        for c in order:
            protocol.do(CALL, c, sender="stranger")
        paid.append(10_000 * WAD - protocol.read("Savings.totalAssets"))
    assert paid == [5_000 * WAD, 5_000 * WAD]


def test_of_a_stage_with_a_balance_for_each_type_each_has_its_cap(deployed):
    protocol = deployed(saved=0, caps={"buffer": {"cap_absolute": 5 * RAD}})
    earn_year_of_high_fees(protocol)
    for symbol, c in (("XAU", XAU), ("WBTC", WBTC)):
        protocol.earn_fees(symbol)
        lose_new_vault(protocol, symbol)
        protocol.do(CALL, c, sender="stranger")
        assert dict(covered(protocol))[BUFFER] == 5 * RAD


def test_what_is_not_covered_is_carried(deployed):
    protocol = deployed(saved=10_000 * WAD)
    lose_new_vault(protocol)
    protocol.do(CALL, XAU, sender="stranger")
    left, old = protocol.read("VaultEngine.deficit_of", XAU), protocol.timestamp // WEEK
    protocol.advance(WEEK)
    protocol.do(CALL, XAU, sender="stranger")
    carried = [log.values for log in protocol.last.logs if log.event == "LossCarried"]
    assert carried == [(XAU, old + 1, left)]
    assert event(protocol).carried_in == left
    assert protocol.read("LossWaterfall.event_of", XAU, old).carried_out == left


# ----------------------------------------------------------------------- records


def test_a_deficit_repaid_without_a_stage_is_recovered(deployed):
    protocol = deployed(saved=0)
    lose_new_vault(protocol)
    protocol.do("VaultEngine.grant_role", STAGE, "donor", sender="admin")
    give_stablecoin(protocol, "donor", 1_000 * WAD)
    protocol.do("VaultEngine.cover_from_tokens", XAU, "donor", 1_000 * RAD, sender="donor")
    assert event(protocol).recovered == 1_000 * RAD  # also before anyone calls the waterfall
    protocol.do(CALL, XAU, sender="stranger")
    recovered = [log.values[2] for log in protocol.last.logs if log.event == "LossRecovered"]
    assert recovered == [1_000 * RAD]
    assert event(protocol).recovered == 1_000 * RAD


def test_one_that_is_recovered_in_full_is_open_no_more(deployed):
    """It kept the treasury and new caps waiting until another loss of the type had been covered."""
    protocol = deployed()
    due = lose_new_vault(protocol)
    protocol.do("VaultEngine.grant_role", STAGE, "donor", sender="admin")
    give_stablecoin(protocol, "donor", 20_000 * WAD)
    protocol.do("VaultEngine.cover_from_tokens", XAU, "donor", due, sender="donor")
    assert protocol.read("LossWaterfall.pending_total") == due
    assert protocol.do(CALL, XAU, sender="stranger") == 0
    assert protocol.read("LossWaterfall.pending_total") == 0
    assert event(protocol).recovered == due
    with reverts("loss_waterfall: no deficit"):
        protocol.do(CALL, XAU, sender="stranger")


def test_what_was_recovered_is_not_carried(deployed):
    protocol = deployed(saved=0)
    deficit = lose_new_vault(protocol)
    drain(protocol)
    protocol.do("VaultEngine.grant_role", STAGE, "donor", sender="admin")
    give_stablecoin(protocol, "donor", 2_000 * WAD)
    protocol.do("VaultEngine.cover_from_tokens", XAU, "donor", 2_000 * RAD, sender="donor")
    left = protocol.read("VaultEngine.deficit_of", XAU)
    assert left < deficit - 2_000 * RAD + 1
    old = protocol.read("LossWaterfall.last_epoch", XAU)
    protocol.advance(7 * 86_400)
    protocol.do(CALL, XAU, sender="stranger")
    before = protocol.read("LossWaterfall.event_of", XAU, old)
    assert before.carried_out == left
    assert before.created + before.carried_in == before.recovered + before.carried_out
    event(protocol)


def test_logs_each_payment(deployed):
    protocol = deployed()
    lose_new_vault(protocol)
    protocol.do(CALL, XAU, sender="stranger")
    epoch = protocol.read("LossWaterfall.last_epoch", XAU)
    logs = [log.values for log in protocol.last.logs if log.event == "LossCovered"]
    assert all(values[:2] == (XAU, epoch) for values in logs)
    for _, _, stage, amount in logs:
        assert protocol.read("LossWaterfall.covered", XAU, epoch, stage) == amount


def test_covering_in_parts_costs_nobody_more_than_a_wei_for_each(deployed):
    """One cover after two losses, or one after each: every payer pays the same."""
    paid = []
    for parts in (1, 2):
        protocol = deployed(epoch_length=YEAR)
        protocol.earn_fees("XAU")
        lose_new_vault(protocol)
        if parts == 2:
            protocol.do(CALL, XAU, sender="stranger")
        lose_new_vault(protocol)
        protocol.do(CALL, XAU, sender="stranger")
        paid.append(40_000 * WAD - protocol.read("Savings.totalAssets"))
    assert paid[0] > 0
    assert abs(paid[0] - paid[1]) <= 2


# ----------------------------------------------------------------- dishonest stages


def failed(protocol):
    """The stages that the last call says have failed."""
    return [log.values[2] for log in protocol.last.logs if log.event == "StageFailed"]


def test_a_stage_that_pays_nothing_after_all_does_not_block_the_next(lying):
    lying.do("BufferStage.claim", RAD, 0, 0, sender="stranger")
    assert lying.do(CALL, XAU, sender="stranger") > 0
    assert covered(lying)[0][0] == RESERVE
    assert failed(lying) == []


@pytest.mark.parametrize(("paid", "kept"), [(RAD + 1, 0), (RAD, 1), (RAD, 0), (1, 0), (0, RAD)])
def test_only_the_ledger_says_what_was_paid(lying, paid, kept):
    """One that claims to have paid what it has not, or reserves what it may not, has failed."""
    before = lying.read("VaultEngine.deficit_of", XAU)
    lying.do("BufferStage.claim", RAD, paid, kept, sender="stranger")
    lying.do(CALL, XAU, sender="stranger")
    assert failed(lying) == [BUFFER]
    assert BUFFER not in dict(covered(lying))
    assert before - lying.read("VaultEngine.deficit_of", XAU) == event(lying).covered > 0
    assert lying.read("LossWaterfall.reserved_of", XAU) == 0


@pytest.mark.parametrize("claimed", [2**224, MAX_UINT256])
def test_a_stage_that_claims_what_nobody_can_hold_has_failed(lying, claimed):
    lying.do("BufferStage.claim", claimed, 0, 0, sender="stranger")
    assert lying.do(CALL, XAU, sender="stranger") > 0
    assert failed(lying) == [BUFFER] and covered(lying)[0][0] == RESERVE


def test_a_stage_that_reverts_pays_nothing_and_nobody_else_minds(deployed):
    protocol = deployed()
    earn_year_of_high_fees(protocol)
    lose_new_vault(protocol, debt=40_000 * WAD)
    protocol.do("VaultEngine.revoke_role", STAGE, "ReserveStage", sender="admin")
    reserve = protocol.read("VaultEngine.reserve")
    protocol.do(CALL, XAU, sender="stranger")
    assert [stage for stage, _ in covered(protocol)] == [BUFFER, SAVINGS]
    assert failed(protocol) == [RESERVE]
    assert protocol.read("VaultEngine.reserve") == reserve
    protocol.do("VaultEngine.grant_role", STAGE, "ReserveStage", sender="admin")
    protocol.do(CALL, XAU, sender="stranger")
    assert RESERVE in dict(covered(protocol)) and failed(protocol) == []
