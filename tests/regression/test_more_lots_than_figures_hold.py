"""A failure that the fuzzer found: property 220 knew no figure that is too small for the lots of a trade.

Their value is checked before the limit on open interest.
"""

import pytest

from backstop.contract_base import RevertError
from backstop.model.arithmetic import WAD
from tests.support.perpetual_test_market import ETH, deploy_perpetuals


@pytest.mark.parametrize(
    ("lots", "reason"), [(2**63 - 2, "price_path: beyond all figures"), (2**52, "trading: open limit")]
)
def test_a_trade_beyond_all_figures_is_refused(new_protocol, lots, reason):
    """A lot's value has risen to 5e22 wei since the first was opened; that of the most lots has 139 bits."""
    market = deploy_perpetuals(new_protocol)
    for name in ("early", "other"):
        market.deposit(name, 1_000 * WAD)
    market.trade("early", "other", 1)
    market.mark(ETH, 5 * 10**22)
    with pytest.raises(RevertError, match=reason):
        market.trade("maker", "taker", lots, price=5 * 10**22)
