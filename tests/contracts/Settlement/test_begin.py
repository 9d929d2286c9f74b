"""begin: by announcement, or because losses stay uncovered; then only settlement's own calls act."""

from dataclasses import replace

import pytest

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import SettlementParameters
from backstop.model.arithmetic import RAY, WAD
from backstop.proof.local_protocol import PRICES
from tests.support.auction_steps import WETH, get_only_event_values
from tests.support.ledger_reading_steps import advance_to_next_epoch
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import lose_new_vault
from tests.support.settlement_steps import start_settlement

CALL = "Settlement.begin"
DELAY = 30 * 86_400


@pytest.fixture
def lost(new_protocol):
    """A deficit of about 10,000, above a bound of 5,000 that may be passed for two epochs."""
    made = new_protocol(
        replace(build_standard_parameters(), settlement=SettlementParameters(bound=5_000, epochs=2))
    )
    for symbol, price in PRICES.items():
        made.post_price(symbol, price)
    lose_new_vault(made)
    advance_to_next_epoch(made)
    return made


def test_nobody_without_a_reason(protocol):
    for sender in ("stranger", "admin", "guardian"):
        with reverts("settlement: too early"):
            protocol.do(CALL, sender=sender)


def test_anyone_after_the_delay(protocol):
    protocol.do("Settlement.announce", sender="admin")
    protocol.advance(DELAY - 1)
    with reverts("settlement: too early"):
        protocol.do(CALL, sender="admin")
    protocol.advance(1)
    protocol.do(CALL, sender="stranger")
    assert get_only_event_values(protocol, "Begun", "Settlement") == ()
    assert protocol.read("Settlement.progress_of").begun_at == protocol.timestamp
    assert protocol.read("VaultEngine.in_settlement")


def test_anyone_when_losses_stay_uncovered(lost):
    since = lost.do("Settlement.record_deficit_breach", sender="stranger")
    advance_to_next_epoch(lost)
    lost.do("Settlement.record_deficit_breach", sender="stranger")
    lost.advance(since + 2 * lost.parameters.epoch_length - 1 - lost.timestamp)
    with reverts("settlement: too early"):
        lost.do(CALL, sender="stranger")
    lost.advance(1)
    # It notes by itself.
    lost.do(CALL, sender="stranger")
    assert lost.read("Settlement.progress_of").above_since == since
    assert lost.read("VaultEngine.in_settlement")


def test_not_sooner_however_the_epochs_lie(lost):
    """Three epochs have a note each, of which two lie at the edges of the one between them."""
    lost.advance(lost.parameters.epoch_length - 1)
    lost.do("Settlement.record_deficit_breach", sender="stranger")
    for wait in (1, lost.parameters.epoch_length):
        lost.advance(wait)
        with reverts("settlement: too early"):
            lost.do(CALL, sender="stranger")
        lost.do("Settlement.record_deficit_breach", sender="stranger")


def test_not_when_an_epoch_was_not_noted(lost):
    lost.do("Settlement.record_deficit_breach", sender="stranger")
    advance_to_next_epoch(lost)
    lost.do("Settlement.record_deficit_breach", sender="stranger")
    advance_to_next_epoch(lost)
    advance_to_next_epoch(lost)
    with reverts("settlement: too early"):
        lost.do(CALL, sender="stranger")


def test_once(protocol):
    start_settlement(protocol)
    with reverts("settlement: has begun"):
        protocol.do(CALL, sender="stranger")


def test_fees_are_charged_a_last_time_and_stop(begun):
    debts = [begun.read("VaultEngine.debts_of", c) for c in range(3)]
    assert all(each.accrued_at == begun.timestamp and each.accumulated_rate > RAY for each in debts)
    begun.advance(365 * 86_400)
    for c, before in enumerate(debts):
        assert begun.read("VaultEngine.stability_fee_of", c) == 0
        assert begun.do("VaultEngine.accrue", c, sender="stranger") == before.accumulated_rate


def test_nothing_is_drawn_topped_up_or_repaid(begun):
    begun.mint_and_approve_collateral("WETH", "borrower", WAD)
    for deposit, draw in ((WAD, 0), (0, WAD), (0, 0)):
        with reverts("ledger: in settlement"):
            args = WETH, "borrower", deposit, draw, "borrower"
            begun.do("VaultEngine.deposit_and_draw", *args, sender="borrower")
    for repay, withdraw in ((WAD, 0), (0, WAD)):
        with reverts("ledger: in settlement"):
            args = WETH, "borrower", repay, withdraw, "borrower"
            begun.do("VaultEngine.repay_and_withdraw", *args, sender="borrower")


def test_collateral_without_debt_leaves(lent):
    lent.mint_and_approve_collateral("WETH", "idle", WAD)
    lent.do("VaultEngine.deposit_and_draw", WETH, "idle", WAD, 0, "idle", sender="idle")
    start_settlement(lent)
    lent.do("VaultEngine.repay_and_withdraw", WETH, "idle", WAD, WAD, "idle", sender="idle")
    assert lent.read("WETH.balanceOf", "idle") == WAD


def test_nothing_is_liquidated(begun):
    begun.post_price("WETH", 300 * RAY)
    with reverts("liquidation_engine: no room"):
        begun.do("LiquidationEngine.liquidate", WETH, "borrower", "liquidator", sender="liquidator")


def test_the_admin_adds_no_type_no_fee_and_no_ceiling(begun):
    args = "WETH", 14_500, 15_000
    for method, given in (
        ("add_collateral_type", args),
        ("set_stability_fee", (WETH, 10**18)),
        ("set_global_debt_ceiling", (10**6,)),
    ):
        with reverts("ledger: in settlement"):
            begun.do(f"VaultEngine.{method}", *given, sender="admin")


def test_units_and_terms_are_as_before(lent):
    before = [lent.read("VaultEngine.unit_of", c) for c in range(3)]
    terms = lent.read("VaultEngine.terms_of", 1)
    start_settlement(lent)
    assert [lent.read("VaultEngine.unit_of", c) for c in range(3)] == before == [1, 10**10, 10**12]
    assert lent.read("VaultEngine.terms_of", 1) == terms._replace(settling=True)
    assert terms.decimals == 8 and terms.settling is False
