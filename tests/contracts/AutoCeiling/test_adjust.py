"""adjust: line = min(debt + gap, max_line), raised once per ttl, lowered at any time, by any account."""

import pytest

from backstop.evm_crypto import keccak256
from backstop.model.arithmetic import MAX_UINT256, RAD, WAD
from tests.support.auction_steps import get_only_event_values, start_auction
from tests.support.guard_steps import CEILING, open_secured_vault
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import start_settlement

CALL = "AutoCeiling.adjust"
K = 1_000 * WAD


def adjust(protocol) -> int:
    """Adjust as a stranger; return the new ceiling, which equals the vault engine's."""
    line = int(protocol.do(CALL, 0, sender="stranger"))
    assert protocol.read("VaultEngine.terms_of", 0).debt_ceiling == line
    return line


def repay_all(protocol, who="borrower") -> None:
    protocol.do("VaultEngine.repay_and_withdraw", 0, who, MAX_UINT256, 0, who, sender=who)


@pytest.fixture
def low(guarded):
    """The ceiling at the gap, without debt; the first raise is still to come."""
    assert adjust(guarded) == 100_000
    return guarded


def test_without_debt_it_is_the_gap(guarded):
    assert adjust(guarded) == CEILING.gap
    assert get_only_event_values(guarded, "Adjusted", "AutoCeiling") == (
        0,
        50_000_000,
        CEILING.gap,
        guarded.address("stranger"),
    )
    assert get_only_event_values(guarded, "ParameterChanged", "VaultEngine") == (
        0,
        "debt_ceiling",
        CEILING.gap,
    )


def test_the_debt_is_rounded_up_to_a_whole_stablecoin(low):
    open_secured_vault(low, amount=50_000 * WAD + 1)
    assert adjust(low) == 150_001


def test_a_whole_debt_is_not_rounded(low):
    open_secured_vault(low, amount=50_000 * WAD)
    assert adjust(low) == 150_000


def test_a_raise_is_used_up_for_a_ttl_to_the_second(low):
    open_secured_vault(low, amount=90_000 * WAD)
    adjust(low)
    open_secured_vault(low, amount=90_000 * WAD, who="another")
    low.advance(CEILING.ttl - 1)
    raised = low.read("AutoCeiling.terms_of", 0).raised_at
    assert adjust(low) == 190_000
    low.advance(raised + CEILING.ttl - low.timestamp)
    # The debt has grown by a fee meanwhile.
    assert adjust(low) == 280_005


def test_it_is_never_set_above_the_highest_line(low):
    for who in ("borrower", "another", "owner_1"):
        open_secured_vault(low, amount=90_000 * WAD, who=who)
        low.advance(CEILING.ttl)
        adjust(low)
    assert adjust(low) == CEILING.max_line
    open_secured_vault(low, amount=20_000 * WAD, who="owner_2")
    low.advance(CEILING.ttl)
    assert adjust(low) == CEILING.max_line


def test_it_is_lowered_at_any_time_and_twice_in_a_block(low):
    open_secured_vault(low, amount=90_000 * WAD)
    open_secured_vault(low, amount=5_000 * WAD, who="another")
    adjust(low)
    low.mint_and_approve_collateral("WETH", "borrower", WAD)
    repay_all(low)
    assert adjust(low) == 105_000
    repay_all(low, "another")
    assert adjust(low) == 100_000


def test_draw_adjust_repay_raises_it_once_and_anybody_takes_it_back(low):
    open_secured_vault(low, amount=100_000 * WAD)
    assert adjust(low) == 200_000
    repay_all(low)
    # What the raise left behind can be drawn, and no more.
    open_secured_vault(low, amount=200_000 * WAD)
    assert adjust(low) == 200_000
    with reverts("vault_engine: debt ceiling"):
        open_secured_vault(low, amount=2_000 * WAD, who="another")
    repay_all(low)
    assert adjust(low) == 100_000


def test_without_a_change_nothing_happens(low):
    raised_at = low.read("AutoCeiling.terms_of", 0).raised_at
    low.advance(CEILING.ttl)
    assert adjust(low) == 100_000
    assert low.read("AutoCeiling.terms_of", 0).raised_at == raised_at
    assert [log for log in low.last.logs if log.event in ("Adjusted", "ParameterChanged")] == []


def test_fees_count(low):
    open_secured_vault(low, amount=50_000 * WAD)
    low.advance(365 * 86_400)
    assert adjust(low) > 151_000
    assert low.read("VaultEngine.debts_of", 0).accrued_at == low.timestamp


def test_what_is_under_auction_and_in_deficit_counts(low):
    start_auction(low)
    in_auction, deficit = low.read("VaultEngine.in_auction_of", 0), low.read("VaultEngine.deficit_of", 0)
    assert low.read("VaultEngine.debts_of", 0).normalized_debt == 0 < deficit < in_auction
    assert adjust(low) == 100_000 - -(in_auction + deficit) // RAD


def test_a_debt_above_the_line_is_not_touched(low):
    open_secured_vault(low, amount=90_000 * WAD)
    low.do("AutoCeiling.set_terms", 0, 1_000, 10_000, 600, sender="admin")
    assert adjust(low) == 10_000
    low.do("VaultEngine.repay_and_withdraw", 0, "borrower", K, WAD, "borrower", sender="borrower")


@pytest.mark.parametrize("c", [1, 31])
def test_only_types_with_terms(guarded, c):
    with reverts("auto_ceiling: no terms"):
        guarded.do(CALL, c, sender="stranger")


def test_a_highest_line_of_nothing_ends_it(low):
    low.do("AutoCeiling.set_terms", 0, 1_000, 0, 600, sender="admin")
    with reverts("auto_ceiling: no terms"):
        low.do(CALL, 0, sender="stranger")


def test_it_needs_its_role(guarded):
    role = keccak256(b"CEILINGS")
    guarded.do("VaultEngine.revoke_role", role, "AutoCeiling", sender="admin")
    with reverts("roles: not admin"):
        guarded.do(CALL, 0, sender="stranger")


def test_not_in_settlement(low):
    open_secured_vault(low)
    start_settlement(low)
    with reverts("auto_ceiling: in settlement"):
        low.do(CALL, 0, sender="stranger")


def test_who_repays_and_draws_again_closes_room_for_a_ttl(low):
    """A known hole: the room is the gap less the owner's own debt, until a ttl after the last raise."""
    open_secured_vault(low, amount=90_000 * WAD)
    assert adjust(low) == 190_000
    repay_all(low)
    assert adjust(low) == CEILING.gap
    open_secured_vault(low, amount=90_000 * WAD)
    # Nobody takes it back yet, though nothing has changed.
    assert adjust(low) == CEILING.gap
    with reverts("vault_engine: debt ceiling"):
        open_secured_vault(low, amount=10_001 * WAD, who="another")
    low.advance(CEILING.ttl)
    assert adjust(low) >= 190_000
