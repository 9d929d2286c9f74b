"""Failures that the fuzzer found: properties 60, 65 and 225 took the losses of two debtors in a call for one.

Each loss takes of each bucket by floors of its own, and the fund posts each remainder by itself. The
remainder of a profit vests.
"""

from typing import cast

import pytest

from backstop.model.arithmetic import WAD
from backstop.model.margin_fund import MarginFund
from backstop.system import Action
from tests.support.perpetual_test_market import ETH, deploy_perpetuals


@pytest.mark.parametrize(
    ("profits", "clawed", "posted"), [((201, 302), 2, 2), ((1_501, 1_502), 4, 1), ((2_101, 2_202), 4, 0)]
)
def test_each_loss_is_clawed_back_and_posted_by_itself(new_protocol, profits, clawed, posted):
    """Both winners have taken a part of their gain out, in two buckets, before the two debtors are met."""
    market = deploy_perpetuals(new_protocol)
    paid_in = {"maker": 2_001, "other": 2_002, "taker": 20_000, "buyer": 20_000, "idle": 1_000}
    for name, amount in paid_in.items():
        market.deposit(name, amount * WAD)
    market.trade("maker", "taker", 1_000)
    market.trade("other", "buyer", 1_000)
    market.mark(ETH, 16 * WAD)
    for _ in range(2):
        market.advance_cycle()
    for name, profit in zip(("taker", "buyer"), profits, strict=True):
        market.report_current_prices_again()
        market.do(
            "PerpetualMarket.withdraw",
            (20_000 + profit) * WAD,
            market.get_contract_or_account_address(name),
            sender=name,
        )
        market.advance_clock(86_400)
    market.report_current_prices_again()
    both = tuple(map(market.get_contract_or_account_address, ("maker", "other")))
    outcome = market.system.apply(
        Action(
            "PerpetualMarket", "update_and_seize", (both,), market.get_contract_or_account_address("keeper")
        )
    )
    events = [log.event for log in outcome.logs]
    assert outcome.value == 2
    assert (events.count("ClawedBack"), events.count("ShortfallPosted")) == (clawed, posted)
    fund = cast(MarginFund, market.world.contracts["MarginFund"])
    market.advance_clock((fund.bucket_count + 2) * fund.length)
    left = [key for key, holding in fund.holdings.items() if holding.shares]
    for owner, bucket in () if posted else left:
        market.do("MarginFund.claim", owner, bucket, sender="keeper")
