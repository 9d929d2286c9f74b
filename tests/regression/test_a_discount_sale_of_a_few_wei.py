"""A sale of a few wei is rounded to whole units of normalized debt, and breaks no bound of its amount.

Found by a campaign of five million steps: of a vault's debt of 980 wei, 688.95 might be repaid. They are 544
units of 1.27 wei, rounded up, and 691 whole wei; property 229 allowed two wei of rounding at any rate.
"""

from backstop.hosts.revm import RevmHost
from backstop.proof.lockstep import replay_trace_in_lockstep
from backstop.proof.replayable_trace import read_trace
from tests.support.checkout_paths import DATA

TRACE = DATA / "traces" / "discount_sale_of_wei.json"


def test_rounding_goes_by_the_rate(artifacts):
    trace = read_trace(TRACE, artifacts)
    replay_trace_in_lockstep(trace, RevmHost(), artifacts=artifacts, check_every=0)
