"""Rules of failed stages and of their list made wrong, as if on both sides: a property notices each."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from backstop.model.loss_waterfall import LossWaterfall
from tests.support.no_fee_deployments import build_uncapped_stages, deploy_without_fees
from tests.support.property_violation_checks import expect_property_violation_on_model
from tests.support.revert_setter_and_source_helpers import STAGE
from tests.support.saver_steps import DAY, XAU, deposit_savings, lose_new_vault

JUNIOR = 2


@pytest.fixture
def broken(new_protocol):
    """Junior with 5,000 lacks its role, and there is a loss of 3,000 that Savings pay."""
    protocol = deploy_without_fees(
        new_protocol, stages=build_uncapped_stages("buffer", "reserve", "junior", "savings")
    )
    deposit_savings(protocol, "elder", 5_000 * WAD, "Junior")
    deposit_savings(protocol, "saver", 40_000 * WAD)
    lose_new_vault(protocol, debt=3_000 * WAD)
    protocol.do("VaultEngine.revoke_role", STAGE, "Junior", sender="admin")
    return protocol


def cover(protocol):
    protocol.do("LossWaterfall.cover", XAU, sender="stranger")


def repay_missed_share(protocol):
    protocol.do("VaultEngine.grant_role", STAGE, "Junior", sender="admin")
    protocol.do("LossWaterfall.repay_missed_share", XAU, JUNIOR, sender="stranger")


def leave_out(protocol, k=JUNIOR):
    """Apply a list without a stage."""
    cover(protocol)
    terms = [
        protocol.read("LossWaterfall.stage_terms", id) for id in protocol.read("LossWaterfall.stage_ids")
    ]
    del terms[k]
    protocol.do("LossWaterfall.propose_stages", terms, sender="admin")
    protocol.advance(30 * DAY)
    protocol.do("LossWaterfall.apply_stages", terms, sender="stranger")


def test_more_is_owed_than_others_paid(broken, monkeypatch):
    right = LossWaterfall._record_missed_share
    monkeypatch.setattr(
        LossWaterfall, "_record_missed_share", lambda self, c, k, amount: right(self, c, k, 2 * amount)
    )
    expect_property_violation_on_model(80, broken, cover)


def test_a_stage_without_members_owes(broken, monkeypatch):
    right = LossWaterfall._record_missed_share
    monkeypatch.setattr(
        LossWaterfall, "_record_missed_share", lambda self, c, k, amount: right(self, c, 0, amount)
    )
    expect_property_violation_on_model(80, broken, cover)


def test_what_is_owed_is_forgiven(broken, monkeypatch):
    """As if the stage held no more than a wei."""
    cover(broken)
    right = LossWaterfall._read_stage_answer_and_capacity

    def empty(self, k, c):
        works, found = right(self, k, c)
        return works, min(found, RAY)

    monkeypatch.setattr(LossWaterfall, "_read_stage_answer_and_capacity", empty)
    expect_property_violation_on_model(80, broken, repay_missed_share)


@pytest.mark.parametrize("k", [JUNIOR, 3])
def test_a_stage_goes_though_it_has_something(broken, monkeypatch, k):
    """Savings work and have something; Junior owes as well, and works again."""
    broken.do("VaultEngine.grant_role", STAGE, "Junior", sender="admin")
    monkeypatch.setattr(LossWaterfall, "_check_removal_and_get_failure", lambda self, id, now: False)
    expect_property_violation_on_model(81, broken, lambda protocol: leave_out(protocol, k))


def test_the_order_of_those_that_stay_changes(broken, monkeypatch):
    """The list is used from its end."""
    right = LossWaterfall._check_and_replace_stages

    def reversed_order(self, terms, *, now):
        failing = right(self, terms, now=now)
        lineup = self.lineup[()]
        if now:
            packed = sum(k << 4 * place for place, k in enumerate(reversed(lineup.ids)))
            self.lineup[()] = lineup._replace(order=packed)
        return failing

    monkeypatch.setattr(LossWaterfall, "_check_and_replace_stages", reversed_order)
    expect_property_violation_on_model(81, broken, leave_out)
