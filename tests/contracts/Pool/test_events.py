"""An indexer's view from a pool's events alone: balances and supply, also when all shares become void."""

from __future__ import annotations

from collections import Counter
from typing import Any

from backstop.contract_base import ZERO_ADDRESS
from backstop.model.arithmetic import WAD
from backstop.proof.local_protocol import LocalProtocol
from backstop.proof.lockstep import ProtocolLockstep
from tests.support.saver_steps import (
    charge_pool,
    claim_requests,
    create_claims_pool_and_return_name,
    cut_batch,
    cut_batch_and_wait_cooldown,
    deposit_savings,
    request_all_shares,
)

PEOPLE = ("saver", "neighbour", "newcomer")


class Indexer(LocalProtocol):
    """Balances by `Transfer`; `NewGeneration` sets all of them to 0, and reports the void supply."""

    def __init__(self, both: ProtocolLockstep) -> None:
        super().__init__(both)
        self.balances: Counter[str] = Counter()
        self.supply = 0

    def do(self, call: str, *args: Any, sender: str) -> Any:
        value = super().do(call, *args, sender=sender)
        for log in self.last.logs:
            if log.contract == "Young" and log.event == "Transfer":
                owner, receiver, shares = log.values
                self.balances.update({owner: -shares, receiver: shares})
                self.supply += shares * ((owner == ZERO_ADDRESS) - (receiver == ZERO_ADDRESS))
            elif log.contract == "Young" and log.event == "NewGeneration":
                assert log.values[1] == self.supply
                self.balances = Counter()
                self.supply -= log.values[1]
        return value

    def check(self) -> None:
        for who in (*PEOPLE, "Young"):
            assert self.balances[self.address(who)] == self.read("Young.balanceOf", who), who
        assert self.supply == self.read("Young.totalSupply")


def test_balances_and_supply_follow_from_events(protocol):
    """Members, a batch that collects and one that is cut, all void at once; then others begin anew."""
    junior = Indexer(protocol.lockstep)
    create_claims_pool_and_return_name(junior)
    deposit_savings(junior, "saver", 3_000 * WAD, "Young")
    deposit_savings(junior, "neighbour", 1_000 * WAD, "Young")
    junior.do("Young.requestRedeem", 10**24, "saver", "saver", sender="saver")
    cut_batch(junior, "Young")
    request_all_shares(junior, "neighbour", "Young")
    junior.check()
    assert junior.read("Young.balanceOf", "Young") == junior.read("Young.batch_of", 2)[0] > 0
    charge_pool(junior, "Young", 10**9 * WAD)
    junior.check()
    assert junior.supply == 0 and not junior.balances
    deposit_savings(junior, "newcomer", 100 * WAD, "Young")
    request_all_shares(junior, "newcomer", "Young")
    junior.check()
    cut_batch_and_wait_cooldown(junior, "Young")
    junior.do("Young.settle", sender="stranger")
    assert claim_requests(junior, "newcomer", "Young") == 100 * WAD
    junior.check()
