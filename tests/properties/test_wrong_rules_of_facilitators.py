"""Rules of facilitators and workouts made wrong in contract and model alike: a property notices each."""

from typing import Any

import pytest

from backstop.model import bridge_facilitator, debt_repayment, workouts
from backstop.model.arithmetic import RAY, WAD
from backstop.model.loss_cover import Coverage
from backstop.model.vault_engine import VaultEngine
from tests.support import workout_steps as rescue
from tests.support.facilitator_steps import (
    DAY,
    announce_and_realise_bridge_loss,
    announce_loss,
    deploy_protocol_with_facilitators,
    draw_stablecoin_as_bridge,
    pay_facilitator,
)
from tests.support.property_violation_checks import expect_property_violation_on_model

BridgeFacilitator, Workouts = bridge_facilitator.BridgeFacilitator, workouts.Workouts
K = 1_000 * WAD
ID = 1
"""Of the only workout."""


def less(args: tuple[Any, ...], by: int) -> Any:
    """The same arguments, with so much less of the last one."""
    return *args[:-1], args[-1] - by


@pytest.fixture
def bridged(new_protocol):
    made = deploy_protocol_with_facilitators(new_protocol)
    draw_stablecoin_as_bridge(made, 100 * K)
    return made


def realise(protocol):
    protocol.do("Rollup.realise_loss", sender="stranger")


def test_a_loss_booked_before_its_delay(bridged):
    """The record of when is wrong, and the rule goes by it."""
    announce_loss(bridged, 10 * K)
    told = bridged.lockstep.model.world.contracts["Rollup"].announcements
    right = told[()]

    def play(protocol):
        told[()] = right._replace(ready_at=protocol.timestamp)
        realise(protocol)

    expect_property_violation_on_model(64, bridged, play)


def test_a_loss_that_is_not_counted(bridged, monkeypatch):
    announce_loss(bridged, 10 * K)
    bridged.advance(DAY)
    right = BridgeFacilitator._store_loss_announcement

    def forget(self, new):
        self.losses[()] = self.losses[()] - 1
        right(self, new)

    monkeypatch.setattr(BridgeFacilitator, "_store_loss_announcement", forget)
    expect_property_violation_on_model(24, bridged, realise)


def test_a_recovery_that_is_counted_twice(bridged, monkeypatch):
    announce_and_realise_bridge_loss(bridged, 10 * K)
    right = Coverage.cover_from_tokens

    def cover(self, sender, c, payer, amount):
        lost = self.world.addresses[payer].losses
        lost[()] = lost[()] - amount // RAY
        return right(self, sender, c, payer, amount)

    monkeypatch.setattr(Coverage, "cover_from_tokens", cover)
    expect_property_violation_on_model(65, bridged, lambda p: pay_facilitator(p, 2 * K, "recover"))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda right: lambda self, sender, c, payer, amount: right(self, sender, c, payer, amount - RAY),
        lambda right: lambda self, sender, c, payer, amount: None,
    ],
    ids=["a wei less", "nothing"],
)
def test_a_recovery_that_covers_less(bridged, monkeypatch, wrong):
    announce_and_realise_bridge_loss(bridged, 10 * K)
    monkeypatch.setattr(Coverage, "cover_from_tokens", wrong(Coverage.cover_from_tokens))
    expect_property_violation_on_model(65, bridged, lambda p: pay_facilitator(p, 2 * K, "recover"))


def test_notes_that_nothing_was_drawn_for(bridged, monkeypatch):
    right = BridgeFacilitator._mint_tokens
    monkeypatch.setattr(
        BridgeFacilitator, "_mint_tokens", lambda self, to, amount: right(self, to, amount + 1)
    )
    expect_property_violation_on_model(65, bridged, lambda p: draw_stablecoin_as_bridge(p, K))


def test_a_repayment_beyond_the_debt(bridged, monkeypatch):
    """Kept, and no more owed for it."""
    bridged.give_stablecoin("receiver", 10 * K)
    right = VaultEngine.repay_and_withdraw

    def repay(self, sender, c, owner, amount, collateral, receiver):
        return right(self, sender, c, owner, amount - WAD, collateral, receiver)

    monkeypatch.setattr(VaultEngine, "repay_and_withdraw", repay)
    expect_property_violation_on_model(65, bridged, lambda p: pay_facilitator(p, 5 * K))


def test_a_note_that_keeps_its_price(bridged, monkeypatch):
    """A loss is announced, and only half of it counts."""
    right = BridgeFacilitator._set_note_price_and_flag

    def tell(self):
        told = self.announcements[()]
        self.announcements[()] = told._replace(amount=told.amount // 2)
        right(self)
        self.announcements[()] = told

    monkeypatch.setattr(BridgeFacilitator, "_set_note_price_and_flag", tell)
    monkeypatch.setattr("backstop.proof.properties.facilitator_credit_line._TELLING", ())
    expect_property_violation_on_model(65, bridged, lambda p: announce_loss(p, 10 * K))


@pytest.fixture
def restructured(new_protocol):
    """A workout of 12,000 and a premium, in four instalments."""
    made = rescue.deploy_with_workouts(new_protocol)
    rescue.start_workout(made)
    rescue.give_borrowed_stablecoin(made, "borrower", 20 * K)
    made.post_price("WETH", rescue.CALLED * RAY)
    return made


def test_another_premium(new_protocol, monkeypatch):
    made = rescue.deploy_with_workouts(new_protocol)
    rescue.open_called_vault_in_caution(made)
    monkeypatch.setattr(debt_repayment, "MAX_ON_TOP", 10**6)
    expect_property_violation_on_model(66, made, rescue.enter_workout)


@pytest.mark.parametrize(
    ("wrong", "paid", "number"),
    [
        (lambda balance: balance.met, rescue.OWED // 4, 66),
        (lambda balance: balance.met + 1, rescue.OWED // 2, 66),
        # What was not paid is told by the property of terms.
        (lambda balance: balance.met + 1, WAD, 23),
    ],
    ids=["never", "one for two", "one for nothing"],
)
def test_instalments_miscounted(restructured, monkeypatch, wrong, paid, number):
    monkeypatch.setattr(Workouts, "_count_met_instalments", lambda self, balance, *_: wrong(balance))
    expect_property_violation_on_model(number, restructured, lambda p: rescue.pay_workout(p, ID, paid))


def test_a_workout_foreclosed_in_its_time(restructured):
    """When it was entered is written a week too early."""
    table = restructured.lockstep.model.world.contracts["Workouts"].schedules
    right = table[ID]

    def play(protocol):
        table[ID] = right._replace(entered_at=right.entered_at - 7 * DAY)
        rescue.foreclose_workout(protocol, ID)

    expect_property_violation_on_model(66, restructured, play)


def test_a_lot_that_does_not_come_back(restructured, monkeypatch):
    right = VaultEngine.settle_take
    monkeypatch.setattr(VaultEngine, "settle_take", lambda self, *args: right(self, *less(args, WAD)))
    expect_property_violation_on_model(66, restructured, lambda p: rescue.pay_workout(p, ID, rescue.OWED))


def test_a_payment_that_is_not_burned(restructured, monkeypatch):
    monkeypatch.setattr(VaultEngine, "_burn_stablecoin", lambda *_: None)
    expect_property_violation_on_model(
        66, restructured, lambda p: rescue.pay_workout(p, ID, rescue.OWED // 4)
    )
