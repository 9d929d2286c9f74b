"""cover_by_redistribution: a loss is shared by the type's borrowers, through the rate, within caps."""

from dataclasses import replace

import pytest

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import StageParameters
from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.model.bounds import MAX_STABILITY_FEE as MAX_FEE
from backstop.proof.local_protocol import PRICES
from tests.support.revert_setter_and_source_helpers import STAGE, reverts
from tests.support.saver_steps import XAU, lose_new_vault
from tests.support.settlement_steps import start_settlement

CALL = "VaultEngine.cover_by_redistribution"
DEBT = 100_000 * WAD


@pytest.fixture
def sharing(new_protocol):
    """Two borrowers of gold, a loss of 10,000, and no stage but redistribution."""
    made = new_protocol(replace(build_standard_parameters(), stages=(StageParameters("redistribution"),)))
    for symbol, price in PRICES.items():
        made.post_price(symbol, price)
    made.borrow("large", "XAU", 100 * WAD, DEBT)
    made.borrow("small", "XAU", 10 * WAD, DEBT // 10)
    lose_new_vault(made)
    made.post_price("XAU", PRICES["XAU"])
    return made


def debts(protocol):
    return protocol.read("VaultEngine.debts_of", XAU)


def test_only_stages(sharing):
    with reverts("roles: missing role"):
        sharing.do(CALL, XAU, RAD, sender="stranger")


def test_all_debts_grow_alike_and_exactly_by_the_loss(sharing):
    sharing.do("VaultEngine.accrue", XAU, sender="stranger")
    before, deficit = debts(sharing), sharing.read("VaultEngine.deficit_of", XAU)
    sharing.do("LossWaterfall.cover", XAU, sender="stranger")
    after, left = debts(sharing), sharing.read("VaultEngine.deficit_of", XAU)
    added = after.accumulated_rate - before.accumulated_rate
    most = before.accumulated_rate * 400 // 10_000  # the ratios are 125% and 130%
    assert added == min(deficit // before.normalized_debt, most, before.accumulated_rate * 500 // 10_000)
    assert deficit - left == added * before.normalized_debt
    assert sharing.read("VaultEngine.redistribution_of", XAU).added == added


def test_a_vault_at_the_initial_ratio_stays_safe(sharing):
    """However large the loss: the gap between the ratios is all that it can lose."""
    sharing.do("LossWaterfall.cover", XAU, sender="stranger")
    for _ in range(6):
        lose_new_vault(sharing, debt=30_000 * WAD)
        sharing.post_price("XAU", PRICES["XAU"])
        sharing.do("VaultEngine.accrue", XAU, sender="stranger")
        price, rate = 2_500 * RAY, debts(sharing).accumulated_rate
        collateral = 13_000 * DEBT * rate // (10_000 * price) + 1
        added = sharing.read("VaultEngine.redistribution_of", XAU).added
        sharing.do("LossWaterfall.cover", XAU, sender="stranger")
        now = sharing.read("VaultEngine.redistribution_of", XAU).added
        grown = DEBT * debts(sharing).accumulated_rate
        if added == 0:  # an epoch's first
            assert collateral * price * 10_000 >= grown * 12_500
        assert now >= added


def test_the_cap_binds_for_the_epoch_and_the_next(sharing):
    sharing.do("VaultEngine.set_redistribution_cap", XAU, 10, sender="admin")
    sharing.do("VaultEngine.accrue", XAU, sender="stranger")
    rate = debts(sharing).accumulated_rate
    for _ in range(3):
        sharing.do("LossWaterfall.cover", XAU, sender="stranger")
    added = sharing.read("VaultEngine.redistribution_of", XAU).added
    assert added == rate * 10 // 10_000
    assert sharing.read("VaultEngine.redistribution_room", XAU) == 0
    sharing.advance(7 * 86_400)
    found = sharing.read("VaultEngine.redistribution_of", XAU)
    assert (found.added, found.before) == (0, added)
    assert sharing.do("LossWaterfall.cover", XAU, sender="stranger") == 0
    # Another cap keeps what counts.
    sharing.do("VaultEngine.set_redistribution_cap", XAU, 10, sender="admin")
    assert sharing.read("VaultEngine.redistribution_of", XAU) == found
    sharing.advance(7 * 86_400)
    assert sharing.read("VaultEngine.redistribution_of", XAU).before == 0
    sharing.do("LossWaterfall.cover", XAU, sender="stranger")
    assert sharing.read("VaultEngine.redistribution_of", XAU).added > 0


def test_it_counts_to_the_last_second_of_the_next_epoch(sharing):
    sharing.do("LossWaterfall.cover", XAU, sender="stranger")
    added = sharing.read("VaultEngine.redistribution_of", XAU).added
    length = sharing.parameters.epoch_length
    sharing.advance(2 * length - sharing.timestamp % length - 1)
    assert sharing.read("VaultEngine.redistribution_of", XAU).before == added
    sharing.advance(1)
    assert sharing.read("VaultEngine.redistribution_of", XAU).before == 0
    assert sharing.do("LossWaterfall.cover", XAU, sender="stranger") > 0


def test_no_borrowers_no_room(new_protocol):
    made = new_protocol(replace(build_standard_parameters(), stages=(StageParameters("redistribution"),)))
    for symbol, price in PRICES.items():
        made.post_price(symbol, price)
    lose_new_vault(made)
    assert made.read("VaultEngine.redistribution_room", XAU) == 0
    assert made.do("LossWaterfall.cover", XAU, sender="stranger") == 0
    made.do("VaultEngine.grant_role", STAGE, "stranger", sender="admin")
    assert made.do(CALL, XAU, RAD, sender="stranger") == 0


def test_too_little_for_a_ray_each_is_nothing(sharing):
    sharing.do("VaultEngine.grant_role", STAGE, "stranger", sender="admin")
    least = debts(sharing).normalized_debt
    rate = sharing.do("VaultEngine.accrue", XAU, sender="stranger")
    assert sharing.do(CALL, XAU, least - 1, sender="stranger") == 0
    assert debts(sharing).accumulated_rate == rate
    assert sharing.do(CALL, XAU, least, sender="stranger") == least


@pytest.mark.parametrize("later", [0, 7 * 86_400])
def test_whoever_comes_back_in_the_same_epoch_or_the_next_pays_it_as_well(sharing, later):
    """Repay before, draw again after: no better than to have stayed."""
    for symbol in PRICES:
        sharing.do("VaultEngine.set_stability_fee", sharing.get_collateral_type(symbol), 0, sender="admin")
    sharing.do("VaultEngine.accrue", XAU, sender="stranger")
    before = debts(sharing).accumulated_rate
    stayed = sharing.read("VaultEngine.vault", XAU, "small").normalized_debt
    sharing.do("LossWaterfall.cover", XAU, sender="stranger")
    after = debts(sharing).accumulated_rate
    owes = stayed * before // RAY
    sharing.advance(later)
    sharing.post_price("XAU", PRICES["XAU"])
    sharing.borrow("back", "XAU", 10 * WAD, owes)
    came_back = sharing.read("VaultEngine.vault", XAU, "back").normalized_debt
    assert 0 <= stayed - came_back <= 1
    assert came_back * after > owes * RAY


def test_after_that_draws_cost_what_they_bring(sharing):
    sharing.do("LossWaterfall.cover", XAU, sender="stranger")
    sharing.advance(14 * 86_400)
    sharing.post_price("XAU", PRICES["XAU"])
    sharing.borrow("later", "XAU", 10 * WAD, 10_000 * WAD)
    debt = sharing.read("VaultEngine.vault", XAU, "later").normalized_debt * debts(sharing).accumulated_rate
    assert 0 <= debt - 10_000 * RAD < debts(sharing).accumulated_rate
    assert debts(sharing).distressed in (0, 1)


@pytest.mark.parametrize("symbol", ["WETH", "WBTC"])
def test_types_of_other_decimals(sharing, symbol):
    c = sharing.get_collateral_type(symbol)
    deficit = lose_new_vault(sharing, symbol)
    sharing.post_price(symbol, PRICES[symbol])
    sharing.borrow("large", symbol, 2 * DEBT * RAY // PRICES[symbol], DEBT)
    covered = sharing.do("LossWaterfall.cover", c, sender="stranger")
    assert 0 < covered == deficit - sharing.read("VaultEngine.deficit_of", c)


def test_never_more_than_the_ledger_can_count(new_protocol):
    """Debt of a type is kept under 2**181 rad: where fees have brought it there, no room is left."""
    usual = build_standard_parameters()
    types = (replace(usual.collateral_types[0], debt_ceiling=10**9), *usual.collateral_types[1:])
    stages = (StageParameters("redistribution"),)
    made = new_protocol(replace(usual, collateral_types=types, global_debt_ceiling=10**9, stages=stages))
    made.post_price("WETH", PRICES["WETH"])
    made.borrow("whale", "WETH", 10**6 * WAD, 9 * 10**8 * WAD)
    assert made.read("VaultEngine.redistribution_room", 0) > 0
    made.do("VaultEngine.set_stability_fee", 0, MAX_FEE, sender="admin")
    for _ in range(4):
        made.advance(365 * 86_400)
        made.do("VaultEngine.accrue", 0, sender="stranger")
    debts = made.read("VaultEngine.debts_of", 0)
    assert debts.accumulated_rate == (2**181 - 1) // debts.normalized_debt
    assert made.read("VaultEngine.redistribution_room", 0) == 0


def test_an_epoch_ends_where_the_next_begins(sharing):
    week = 7 * 86_400
    sharing.do("LossWaterfall.cover", XAU, sender="stranger")
    sharing.advance(week - sharing.timestamp % week - 1)
    assert sharing.read("VaultEngine.redistribution_of", XAU).added > 0
    sharing.advance(1)
    assert sharing.read("VaultEngine.redistribution_of", XAU).added == 0


def test_nothing_is_shared_in_settlement(sharing):
    """Neither the stage, which passes the loss on, nor any account with its former role can share it."""
    assert sharing.read("RedistributionStage.capacity", XAU) > 0
    sharing.do("VaultEngine.grant_role", STAGE, "stranger", sender="admin")
    start_settlement(sharing)
    assert sharing.read("VaultEngine.redistribution_room", XAU) == 0
    assert sharing.read("RedistributionStage.capacity", XAU) == 0
    assert sharing.do("LossWaterfall.cover", XAU, sender="stranger") == 0
    with reverts("ledger: in settlement"):
        sharing.do(CALL, XAU, RAD, sender="stranger")
