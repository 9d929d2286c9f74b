"""Each promise that today's rules do not keep is broken by random moves, and told."""

import pytest

from backstop.proof.fuzz.machine import Machine, run_seed
from backstop.proof.properties import Violation, Watch
from backstop.proof.properties.registry import HISTORY_PROMISES, TRANSITION_PROMISES

# A campaign's seed and run, and the steps within which it breaks the promise.
BROKEN = {
    70: (9, 5, 12),
    71: (9, 7, 414),
    72: (9, 40, 26),
    73: (9, 57, 132),
    74: (9, 6, 531),
    75: (9, 34, 1721),
    76: (9, 8, 16),
    77: (9, 34, 902),
}


def play(artifacts, new_host, seed, run, steps, watch):
    machine = Machine(new_host(), run_seed(seed, run), artifacts=artifacts, traces=None)
    machine.both.step_check = watch(machine.both.model)
    for _ in zip(range(steps), machine.run(2_000), strict=False):
        pass


@pytest.mark.parametrize("number", sorted(BROKEN))
def test_a_campaign_breaks_it(artifacts, new_host, number):
    def watch(model):
        return Watch(model, promises=True, only=(number,))

    with pytest.raises(Violation, match=f"^property {number} is violated: "):
        play(artifacts, new_host, *BROKEN[number], watch)


def test_every_promise_is_broken():
    assert BROKEN.keys() == HISTORY_PROMISES.keys() | TRANSITION_PROMISES.keys()
