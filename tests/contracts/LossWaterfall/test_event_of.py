"""event_of, outstanding: created + carried_in == recovered + covered + carried_out + outstanding, exactly."""

from backstop.model.arithmetic import RAD, WAD
from tests.support.revert_setter_and_source_helpers import STAGE
from tests.support.saver_steps import XAU, give_stablecoin, lose_new_vault

WEEK = 7 * 86_400


def check(protocol, epochs):
    for c in range(3):
        for epoch in epochs:
            event = protocol.read("LossWaterfall.event_of", c, epoch)
            left = event.recovered + event.covered + event.carried_out + event.outstanding
            assert event.created + event.carried_in == left
        last = protocol.read("LossWaterfall.last_epoch", c)
        event = protocol.read("LossWaterfall.event_of", c, last)
        assert event.outstanding == protocol.read("LossWaterfall.outstanding", c)
        assert event.outstanding == protocol.read("VaultEngine.deficit_of", c)


def test_the_books_of_every_event_close_after_every_step(deployed):
    protocol = deployed(saved=10_000 * WAD)
    first = protocol.timestamp // WEEK
    protocol.do("VaultEngine.grant_role", STAGE, "donor", sender="admin")
    give_stablecoin(protocol, "donor", 3_000 * WAD)

    def repay():
        protocol.do("VaultEngine.cover_from_tokens", XAU, "donor", 500 * RAD + 1, sender="donor")

    def cover():
        protocol.do("LossWaterfall.cover", XAU, sender="stranger")

    def week():
        protocol.advance(WEEK)

    def loss():
        lose_new_vault(protocol)

    def other_loss():
        lose_new_vault(protocol, "WBTC")

    for step in (
        loss,
        repay,
        cover,
        loss,
        week,
        repay,
        cover,
        week,
        other_loss,
        repay,
        loss,
        week,
        week,
        cover,
    ):
        step()
        check(protocol, range(first, protocol.timestamp // WEEK + 2))


def test_nothing_happened(protocol):
    assert tuple(protocol.read("LossWaterfall.event_of", XAU, 0)) == (0, 0, 0, 0, 0, 0)
    assert protocol.read("LossWaterfall.outstanding", XAU) == 0
