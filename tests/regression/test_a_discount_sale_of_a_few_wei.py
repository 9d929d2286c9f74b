"""A sale of a few wei is rounded to whole units of normalized debt, and breaks no bound of its amount.

Found by a campaign of five million steps: of a vault's debt of 980 wei, 688.95 might be repaid. They are 544
units of 1.27 wei, rounded up, and 691 whole wei; property 229 allowed two wei of rounding at any rate.
"""

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from backstop.hosts.revm import RevmHost
from backstop.model.fixed_discount import Terms
from backstop.proof.lockstep import replay_trace_in_lockstep
from backstop.proof.properties import fixed_discount_sales
from backstop.proof.properties.property_registry import PropertyViolationError
from backstop.proof.replayable_trace import read_trace
from tests.support.checkout_paths import DATA

TRACE = DATA / "traces" / "discount_sale_of_wei.json"


def test_rounding_goes_by_the_rate(artifacts):
    trace = read_trace(TRACE, artifacts)
    replay_trace_in_lockstep(trace, RevmHost(), artifacts=artifacts, check_every=0)


@pytest.mark.parametrize(("paid", "is_allowed"), [(691, True), (692, False)])
def test_a_wei_more_breaks_the_bound(paid: int, is_allowed: bool) -> None:
    """The largest repayment is 688.95 wei, a unit of debt is 1.27, and a wei is rounded up: 691.2 in all."""
    vault = fixed_discount_sales._SoldVault(
        debt=980513751244284114604343635748,
        worth=1958535 * 10**24,
        price=3_550,
        unit=10**12,
        rate=1268452459565697431570949076,
        floor=0,
        health=Fraction(244816875 * 10**21, 245128437811071028651085908937),
        bonus=Fraction(23, 20),
        terms=Terms(max_bonus=1_500, cursor=9_000, target_health=20_000, fee=1),
    )
    sale = fixed_discount_sales.DiscountSale(1, "owner", "buyer", 10**26, 0, paid, 0)
    step: Any = SimpleNamespace(read_post_state=lambda *_: SimpleNamespace(liquidation_ratio=20_000))
    if is_allowed:
        fixed_discount_sales._check_amount(step, sale, vault)
    else:
        with pytest.raises(PropertyViolationError, match="692 is repaid of"):
            fixed_discount_sales._check_amount(step, sale, vault)
