"""propose_stages, apply_stages: caps change by a timelock, never while a loss is open; the stages stay."""

import pytest
from eth_abi import encode
from eth_utils import keccak

from backstop.model.arithmetic import MAX_UINT256, RAD
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import SAVINGS, XAU, lose_new_vault

DELAY = 30 * 86_400


def terms(protocol, **changes):
    """The present stages; another value for fields of the savings pool."""
    places = range(protocol.read("LossWaterfall.stage_count"))
    found = [tuple(protocol.read("LossWaterfall.stage_terms", k)) for k in places]
    stage, pooled, slow, lifted, owes, absolute, bps = found[SAVINGS]
    kind = {"stage": stage, "pooled": pooled, "asynchronous": slow, "lifted": lifted, "owes": owes}
    found[SAVINGS] = tuple((kind | {"absolute": absolute, "bps": bps} | changes).values())
    return found


def propose(protocol, sender="admin", **changes):
    new = terms(protocol, **changes)
    protocol.do("LossWaterfall.propose_stages", new, sender=sender)
    return new


def test_only_the_admin_proposes(protocol):
    with reverts("roles: not admin"):
        propose(protocol, sender="guardian", bps=1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"stage": "0x" + "11" * 20}, "loss_waterfall: no stage"),
        ({"pooled": False}, "loss_waterfall: other kind"),
        ({"asynchronous": True}, "loss_waterfall: other pace"),
        ({"lifted": True}, "loss_waterfall: other end"),
        ({"owes": False}, "loss_waterfall: other debt"),
    ],
)
def test_the_stages_stay(protocol, changes, reason):
    with reverts(reason):
        propose(protocol, **changes)


def test_the_new_caps_and_their_hash_are_in_use_after_the_delay(protocol):
    old = protocol.read("LossWaterfall.order_hash")
    new = propose(protocol, absolute=7 * RAD, bps=1_234)
    expected = keccak(encode(["(address,bool,bool,bool,bool,uint256,uint256)[]"], [new]))
    assert protocol.read("LossWaterfall.proposed_hash") == expected != old
    assert protocol.read("LossWaterfall.stages_ready_at") == protocol.timestamp + DELAY
    protocol.advance(DELAY - 1)
    with reverts("loss_waterfall: too early"):
        protocol.do("LossWaterfall.apply_stages", new, sender="stranger")
    protocol.advance(1)
    protocol.do("LossWaterfall.apply_stages", new, sender="stranger")
    assert tuple(protocol.read("LossWaterfall.stage_terms", SAVINGS)) == new[SAVINGS]
    assert protocol.read("LossWaterfall.order_hash") == expected
    assert protocol.last.logs[-1].values == (expected,)
    with reverts("loss_waterfall: not proposed"):
        protocol.do("LossWaterfall.apply_stages", new, sender="stranger")


def test_only_what_was_proposed(protocol):
    propose(protocol, bps=1)
    protocol.advance(DELAY)
    with reverts("loss_waterfall: not proposed"):
        protocol.do("LossWaterfall.apply_stages", terms(protocol, bps=2), sender="admin")


def test_a_new_proposal_takes_the_place_of_the_old(protocol):
    old = propose(protocol, bps=1)
    protocol.advance(DELAY)
    new = propose(protocol, bps=2)
    with reverts("loss_waterfall: not proposed"):
        protocol.do("LossWaterfall.apply_stages", old, sender="stranger")
    with reverts("loss_waterfall: too early"):
        protocol.do("LossWaterfall.apply_stages", new, sender="stranger")


def test_not_while_a_deficit_is_open(protocol):
    new = propose(protocol, bps=1)
    protocol.advance(DELAY)
    lose_new_vault(protocol)
    with reverts("loss_waterfall: losses open"):
        protocol.do("LossWaterfall.apply_stages", new, sender="stranger")


def test_a_share_above_all_is_refused(protocol):
    new = propose(protocol, bps=10_001)
    protocol.advance(DELAY)
    with reverts("loss_waterfall: cap bounds"):
        protocol.do("LossWaterfall.apply_stages", new, sender="stranger")


def test_a_later_loss_meets_the_new_cap(deployed):
    protocol = deployed()
    new = propose(protocol, absolute=RAD, bps=10_000)
    protocol.advance(DELAY)
    protocol.do("LossWaterfall.apply_stages", new, sender="stranger")
    lose_new_vault(protocol)
    protocol.do("LossWaterfall.cover", XAU, sender="stranger")
    epoch = protocol.read("LossWaterfall.last_epoch", XAU)
    assert protocol.read("LossWaterfall.covered", XAU, epoch, SAVINGS) == RAD
    assert new[SAVINGS][5:] == (RAD, 10_000) and MAX_UINT256 > RAD
