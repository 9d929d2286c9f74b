"""note: since when the deficit has been above the bound."""

from dataclasses import replace

import pytest

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import SettlementParameters
from backstop.proof.local_protocol import PRICES
from tests.support.auction_steps import get_only_event_values
from tests.support.ledger_reading_steps import advance_to_next_epoch
from tests.support.revert_setter_and_source_helpers import STAGE, reverts
from tests.support.saver_steps import give_stablecoin, lose_new_vault
from tests.support.settlement_steps import start_settlement

CALL = "Settlement.record_deficit_breach"


@pytest.fixture
def lost(new_protocol):
    """A deficit of about 10,000, above a bound of 5,000; one of ether and no stage that could cover it."""
    made = new_protocol(
        replace(build_standard_parameters(), settlement=SettlementParameters(bound=5_000, epochs=2))
    )
    for symbol, price in PRICES.items():
        made.post_price(symbol, price)
    lose_new_vault(made)
    advance_to_next_epoch(made)
    return made


def note(protocol) -> int:
    since = int(protocol.do(CALL, sender="stranger"))
    assert protocol.read("Settlement.progress_of").above_since == since
    return since


def repay(protocol, amount) -> None:
    """Pay from an account with a stage's role."""
    protocol.do("VaultEngine.grant_role", STAGE, "donor", sender="admin")
    give_stablecoin(protocol, "donor", -(-amount // 10**27))
    protocol.do("VaultEngine.cover_from_tokens", 2, "donor", amount, sender="donor")


def test_the_first_note_starts_a_clock_that_others_keep(lost):
    first = lost.timestamp
    assert note(lost) == note(lost) == first
    advance_to_next_epoch(lost)
    assert note(lost) == first
    lost.advance(3_600)
    assert note(lost) == first


def test_logs_what_it_saw(lost):
    lost.do(CALL, sender="stranger")
    epoch = lost.timestamp // lost.parameters.epoch_length
    assert get_only_event_values(lost, "DeficitBreachRecorded", "Settlement") == (
        epoch,
        lost.read("VaultEngine.deficit_of", 2),
        lost.timestamp,
    )


def test_an_epoch_without_a_note_starts_it_again(lost):
    note(lost)
    advance_to_next_epoch(lost)
    advance_to_next_epoch(lost)
    assert note(lost) == lost.timestamp


def test_the_bound_itself_is_not_above(lost):
    note(lost)
    repay(lost, lost.read("VaultEngine.deficit_of", 2) - 5_000 * 10**45)
    assert note(lost) == 0


def test_a_note_at_the_bound_starts_it_again_in_the_same_epoch(lost):
    note(lost)
    advance_to_next_epoch(lost)
    deficit = lost.read("VaultEngine.deficit_of", 2)
    repay(lost, deficit)
    assert note(lost) == 0
    lose_new_vault(lost)
    assert note(lost) == lost.timestamp


def test_all_types_count_together(lost):
    repay(lost, lost.read("VaultEngine.deficit_of", 2) - 4_000 * 10**45)
    assert note(lost) == 0
    lose_new_vault(lost, "WBTC", 2_000 * 10**18)
    assert note(lost) == lost.timestamp


def test_without_losses_there_is_nothing_to_count(protocol):
    assert protocol.do(CALL, sender="stranger") == 0


def test_not_once_settlement_has_begun(protocol):
    start_settlement(protocol)
    with reverts("settlement: has begun"):
        protocol.do(CALL, sender="stranger")
