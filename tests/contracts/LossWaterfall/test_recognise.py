"""recognise: deficits join the event of their type and epoch; the remainder is carried into the next."""

from backstop.model.arithmetic import WAD
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import XAU, lose_new_vault

WBTC = 1
WEEK = 7 * 86_400


def epoch_of(protocol):
    return protocol.timestamp // WEEK


def next_epoch(protocol):
    protocol.advance(WEEK - protocol.timestamp % WEEK)


def test_only_the_ledger_recognises(protocol):
    for sender in ("stranger", "admin", "saver"):
        with reverts("loss_waterfall: not vault engine"):
            protocol.do("LossWaterfall.recognise", XAU, 1, sender=sender)


def test_what_the_ledger_books_is_created(protocol):
    next_epoch(protocol)
    deficit = lose_new_vault(protocol)
    event = protocol.read("LossWaterfall.event_of", XAU, epoch_of(protocol))
    assert event.created == event.outstanding == deficit
    assert protocol.read("LossWaterfall.outstanding", XAU) == deficit
    assert protocol.read("LossWaterfall.last_epoch", XAU) == epoch_of(protocol)


def test_logs_type_epoch_and_amount(protocol):
    lose_new_vault(protocol)
    recognised = [log.values for log in protocol.last.logs if log.event == "LossRecognised"]
    assert [values[:2] for values in recognised] == [(XAU, epoch_of(protocol))]
    assert recognised[0][2] <= protocol.read("VaultEngine.deficit_of", XAU)


def test_losses_of_one_epoch_are_one_event(protocol):
    next_epoch(protocol)
    total = lose_new_vault(protocol) + lose_new_vault(protocol, debt=4_000 * WAD)
    event = protocol.read("LossWaterfall.event_of", XAU, epoch_of(protocol))
    assert event.created == total
    assert event.carried_in == 0


def test_types_have_events_of_their_own(protocol):
    next_epoch(protocol)
    gold, bitcoin = lose_new_vault(protocol), lose_new_vault(protocol, "WBTC")
    assert protocol.read("LossWaterfall.event_of", XAU, epoch_of(protocol)).created == gold
    assert protocol.read("LossWaterfall.event_of", WBTC, epoch_of(protocol)).created == bitcoin


def test_what_is_left_is_carried_into_the_next_event(protocol):
    next_epoch(protocol)
    first, old = lose_new_vault(protocol), epoch_of(protocol)
    next_epoch(protocol)
    second = lose_new_vault(protocol)
    before = protocol.read("LossWaterfall.event_of", XAU, old)
    after = protocol.read("LossWaterfall.event_of", XAU, epoch_of(protocol))
    assert (before.created, before.carried_out, before.outstanding) == (first, first, 0)
    assert (after.created, after.carried_in, after.outstanding) == (second, first, first + second)


def test_epochs_without_a_loss_have_no_event(protocol):
    next_epoch(protocol)
    first, old = lose_new_vault(protocol), epoch_of(protocol)
    protocol.advance(3 * WEEK)
    empty = (0, 0, 0, 0, 0, 0)
    assert tuple(protocol.read("LossWaterfall.event_of", XAU, old + 1)) == empty
    assert protocol.read("LossWaterfall.event_of", XAU, old).outstanding == first
    lose_new_vault(protocol)
    assert tuple(protocol.read("LossWaterfall.event_of", XAU, old + 1)) == empty
    assert protocol.read("LossWaterfall.event_of", XAU, epoch_of(protocol)).carried_in == first
