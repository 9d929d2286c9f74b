"""A random run in which members are paid twice while a loss is open: the second payment is a rounding."""

from backstop.hosts.revm import RevmHost
from backstop.proof.lockstep import replay_trace_in_lockstep
from backstop.proof.replayable_trace import read_trace
from tests.support.checkout_paths import DATA

TRACE = DATA / "traces" / "second_settlement.json"


def test_what_it_pays_more_is_a_rounding(artifacts):
    """Property 7 is asked at the end. 10**27 shares wait, and the price is that of 10**17 that are left."""
    trace = read_trace(TRACE, artifacts)
    replay_trace_in_lockstep(trace, RevmHost(), artifacts=artifacts, check_every=0)
