"""Each promise that today's rules do not keep is told where they break it, and only if it is asked for."""


import pytest

from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.proof.properties import Violation, Watch
from backstop.proof.properties.registry import HISTORY_PROMISES, TRANSITION_PROMISES
from tests.support.plain import only, steady
from tests.support.savings import XAU, give, lose, save


def a_pool_with_income_is_wiped(new_protocol):
    protocol = steady(new_protocol, stages=only("buffer", "reserve", "savings"))
    save(protocol, "saver", 2_000 * WAD)
    lose(protocol, debt=2_000 * WAD)
    give(protocol, "donor", 500 * WAD)
    protocol.do("Stablecoin.approve", "Savings", MAX_UINT256, sender="donor")
    protocol.do("Savings.add_income", 500 * WAD, sender="donor")
    yield protocol
    protocol.do("LossWaterfall.cover", XAU, sender="stranger")


BROKEN = {
    74: a_pool_with_income_is_wiped,
}


@pytest.mark.parametrize("number", sorted(BROKEN))
def test_it_is_told(new_protocol, number):
    story = BROKEN[number](new_protocol)
    protocol = next(story)
    protocol.lockstep.step_check = Watch(protocol.lockstep.model, promises=True, only=(number,))
    with pytest.raises(Violation, match=f"^property {number} is violated: "):
        list(story)


@pytest.mark.parametrize("number", sorted(BROKEN))
def test_nobody_is_told_who_does_not_ask(new_protocol, number):
    list(BROKEN[number](new_protocol))


def test_every_promise_has_its_story():
    assert BROKEN.keys() == HISTORY_PROMISES.keys() | TRANSITION_PROMISES.keys()
