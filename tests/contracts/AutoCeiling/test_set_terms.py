"""set_terms: how a type's ceiling follows its debt, set by the admin within bounds."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.auction_steps import get_only_event_values
from tests.support.guard_steps import CEILING, open_secured_vault
from tests.support.revert_setter_and_source_helpers import reverts

CALL = "AutoCeiling.set_terms"


@pytest.mark.parametrize("terms", [(1, 0, 600), (10**9, 10**9, 30 * 86_400)], ids=["least", "most"])
def test_within_bounds(guarded, terms):
    guarded.do(CALL, 2, *terms, sender="admin")
    assert get_only_event_values(guarded, "TermsSet", "AutoCeiling") == (2, *terms)
    assert tuple(guarded.read("AutoCeiling.terms_of", 2)) == (*terms, 0)


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ((0, 1, 600), "auto_ceiling: gap bounds"),
        ((10**9 + 1, 1, 600), "auto_ceiling: gap bounds"),
        ((1, 10**9 + 1, 600), "auto_ceiling: line bounds"),
        ((1, 1, 599), "auto_ceiling: ttl bounds"),
        ((1, 1, 30 * 86_400 + 1), "auto_ceiling: ttl bounds"),
        ((2**256 - 1, 1, 600), "auto_ceiling: gap bounds"),
    ],
)
def test_out_of_bounds(guarded, terms, reason):
    with reverts(reason):
        guarded.do(CALL, 0, *terms, sender="admin")


def test_only_of_a_known_type(guarded):
    with reverts("auto_ceiling: unknown type"):
        guarded.do(CALL, 3, 1, 1, 600, sender="admin")


@pytest.mark.parametrize("sender", ["stranger", "guardian", "ceilings"])
def test_admin_only(guarded, sender):
    with reverts("roles: not admin"):
        guarded.do(CALL, 0, 1, 1, 600, sender=sender)


def test_new_terms_do_not_bring_a_raise_forward(guarded):
    guarded.do("AutoCeiling.adjust", 0, sender="stranger")
    open_secured_vault(guarded, amount=50_000 * WAD)
    guarded.do("AutoCeiling.adjust", 0, sender="stranger")
    raised_at = guarded.timestamp
    guarded.do(CALL, 0, CEILING.gap, 10**6, CEILING.ttl, sender="admin")
    assert guarded.read("AutoCeiling.terms_of", 0).raised_at == raised_at
    open_secured_vault(guarded, amount=50_000 * WAD, who="another")
    assert guarded.do("AutoCeiling.adjust", 0, sender="stranger") == 150_000


def test_the_ceiling_waits_for_somebody_to_adjust_it(guarded):
    guarded.do(CALL, 1, 1_000, 2_000, 600, sender="admin")
    assert guarded.read("VaultEngine.terms_of", 1).debt_ceiling == 50_000_000
