"""A failure that the fuzzer found: property 24, a facilitator's loss realised after more than a year.

Fees are charged for a year at a time: the debt was written down at the rate of the first year, and the rest
was charged in the same call.
"""

from backstop.model.arithmetic import WAD
from tests.support.facilitator_steps import (
    ROLLUP,
    announce_loss,
    deploy_protocol_with_facilitators,
    draw_stablecoin_as_bridge,
)


def test_a_loss_after_more_than_a_year(new_protocol):
    made = deploy_protocol_with_facilitators(new_protocol)
    draw_stablecoin_as_bridge(made, WAD)
    made.do("VaultEngine.set_stability_fee", ROLLUP, 10**18, sender="admin")
    announce_loss(made, WAD)
    made.advance(400 * 86_400)
    assert made.do("Rollup.realise_loss", sender="stranger") == WAD
