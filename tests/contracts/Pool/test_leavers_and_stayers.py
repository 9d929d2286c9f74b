"""A leaver and a stayer end alike, however the losses known at settlement turn out.

Random histories on the model: of two members with equal shares one withdraws. Losses are known, come in part,
do not come, or several at once; other members deposit and withdraw meanwhile. Nothing is earned, so that the
staying twin is the measure for the leaver.
"""

from __future__ import annotations

from random import Random

import pytest

from backstop.contract_base import RevertError
from backstop.model.arithmetic import MAX_UINT256, RAY
from backstop.model.redeem_queue import MOST_UNSETTLED
from tests.support.lone_pool import lone_pool
from tests.support.long_test_marks import build_pytest_params_with_deep_marks

HOUR = 3_600
NOBODY = f"0x{98:040x}"
# What happens before the others: a pair is a leaver and his twin.
PAIRS = [(f"0x{2 * i:040x}", f"0x{2 * i + 1:040x}") for i in range(1, 5)]
OTHERS = [f"0x{i:040x}" for i in range(50, 53)]
QUICK, MANY = 300, 10_000


class History:
    """A pool with claims, its members, and its known losses [wei]."""

    def __init__(self, seed: int, new_losses: bool) -> None:
        self.random, self.new_losses = Random(seed), new_losses
        self.world, self.token, self.waterfall, self.pool, self.claims = lone_pool(HOUR, HOUR)
        self.known = self.steps = 0
        self.left: set[str] = set()
        self.settled = False
        for leaver, twin in PAIRS:
            amount = self.amount()
            for who in (leaver, twin):
                self.enter(who, amount)
        for who in OTHERS:
            self.enter(who, self.amount())

    def amount(self) -> int:
        return self.random.randrange(10**9, 10 ** self.random.choice((12, 20, 26)))

    def enter(self, who: str, amount: int) -> None:
        self.token.mint(NOBODY, who, amount)
        self.token.approve(who, self.pool.address, MAX_UINT256)
        if self.pool.previewDeposit(who, amount):
            self.pool.deposit(who, amount, who)

    # ------------------------------------------------------------------ what happens

    def somebody_enters(self) -> None:
        self.enter(self.random.choice(OTHERS), self.amount())

    def somebody_asks(self) -> None:
        waiting = [leaver for leaver, _ in PAIRS if leaver not in self.left]
        who = self.random.choice([*waiting, *OTHERS])
        if self.pool.held(who):
            part = (
                self.pool.held(who) if who not in OTHERS else self.random.randrange(self.pool.held(who)) + 1
            )
            self.pool.requestRedeem(who, part, who, who)
            self.left.add(who)

    def cut(self) -> None:
        places = len(self.pool.list_unsettled_batches())
        if self.pool.get_units(self.pool.line[()].collecting) and places < MOST_UNSETTLED:
            self.world.timestamp = max(self.world.timestamp, self.pool.get_earliest_cut_time())
            self.pool.cut(NOBODY)

    def settle(self) -> None:
        waits = self.pool.list_unsettled_batches()
        if waits and self.random.random() < 0.7:
            self.world.timestamp = max(self.world.timestamp, self.pool.get_maturity(waits.start))
        if self.world.timestamp >= self.pool.get_earliest_batch_settlement_time():
            try:
                self.pool.settle(NOBODY)
            except RevertError as refusal:  # all of it may be lost
                assert refusal.reason == "pool: nothing to settle"
            self.settled |= bool(self.pool.line[()].owed)

    def learn(self) -> None:
        """Raise the known losses; after a settlement only if new losses may come."""
        if self.settled and not self.new_losses:
            return
        everything = self.pool._compute_all_vested_assets()
        self.tell(
            self.known + self.random.choice((1, everything // 10**6, everything // 50, everything // 5))
        )

    def fear_less(self) -> None:
        self.tell(self.known - self.random.choice((self.known, self.known // 2, min(1, self.known))))

    def come(self) -> None:
        """Realise a part of the known losses."""
        lost = min(self.random.choice((self.known, self.known // 3, min(1, self.known))), self.most)
        if lost:
            self.waterfall.charge(NOBODY, self.pool.address, 0, lost * RAY - self.random.randrange(2))
            self.tell(self.known - lost)

    def collect(self) -> None:
        """Claim everything for a member, or a part in shares or in assets."""
        waiting = [who for who, line in self.pool.lines.items() if line.first]
        if not waiting:
            return
        who = self.random.choice(waiting)
        if self.random.random() < 0.3:
            self.pool.withdraw(who, self.random.randrange(self.pool.maxWithdraw(who, who) + 1), who, who)
        else:
            most = self.pool.maxRedeem(who, who)
            self.pool.redeem(who, self.random.choice((most, self.random.randrange(most + 1))), who, who)

    @property
    def most(self) -> int:
        """Return the largest loss that does not make all shares void, which would end a history."""
        return self.pool._compute_all_vested_assets() // 2

    def tell(self, known: int) -> None:
        self.known = min(known, self.most)
        self.waterfall.claim(NOBODY, self.known * RAY)

    def play(self) -> None:
        events = (
            self.somebody_enters,
            self.somebody_asks,
            self.somebody_asks,
            self.cut,
            self.cut,
            self.settle,
            self.settle,
            self.learn,
            self.learn,
            self.fear_less,
            self.come,
            self.collect,
        )
        for _ in range(self.random.randrange(10, 60)):
            self.random.choice(events)()
            self.steps += 1
            self.world.timestamp += self.random.choice((0, 12, HOUR))
            self.world.journal.clear()
            self.world.logs.clear()

    def end(self) -> None:
        """Cancel the feared losses, and let all members withdraw."""
        self.tell(0)
        for leaver, twin in PAIRS:
            for who in (leaver, twin):
                if self.pool.held(who):
                    self.pool.requestRedeem(who, self.pool.held(who), who, who)
        while self.pool.batches[self.pool.line[()].collecting].units or self.pool.state[()].open:
            self.cut()
            if self.pool.state[()].open:
                last = self.pool.line[()].collecting - 1
                self.world.timestamp = max(self.world.timestamp, self.pool.get_maturity(last))
                self.pool.settle(NOBODY)
        for who in [who for who, line in self.pool.lines.items() if line.first]:
            while self.pool.lines[who].first:  # some at a time
                self.pool.redeem(who, self.pool.maxRedeem(who, who), who, who)
        for pair in PAIRS:
            for who in pair:
                self.pool.collect_claims(NOBODY, who)

    def got(self, who: str) -> tuple[int, int]:
        """Return a member's final coins and claims."""
        return self.token.balances[who], self.claims.held(who)

    def check(self) -> None:
        """Check that twins are equal to a wei for each step.

        The leaver is never worse off by unknown losses.
        """
        # A share of claims is rounded by a ray of a wei for each loss.
        slack = self.steps + 20
        for leaver, twin in PAIRS:
            (coins, claims), (others, theirs) = self.got(leaver), self.got(twin)
            assert coins + slack >= others, (leaver, coins, others)
            if not self.new_losses:
                assert abs(coins - others) <= slack, (leaver, coins, others)
                assert abs(claims - theirs) <= slack + theirs // 10**9, (leaver, claims, theirs)
        assert self.pool.line[()].held == 0
        assert self.pool.line[()].owed <= slack * len(self.pool.batches)


def play(seed: int, new_losses: bool) -> None:
    history = History(seed, new_losses)
    history.play()
    if history.pool.state[()].generation == 0:
        history.end()
        history.check()


HISTORIES = build_pytest_params_with_deep_marks(
    (QUICK, MANY),
    (MANY,),
    "tests/contracts/Pool/test_leavers_and_stayers.py::test_leaver_and_stayer_end_alike",
)


@pytest.mark.parametrize("histories", HISTORIES)
def test_leaver_and_stayer_end_alike(histories):
    for seed in range(histories):
        play(seed, new_losses=False)


@pytest.mark.parametrize("histories", HISTORIES)
def test_a_leaver_is_never_worse_off_than_who_stays(histories):
    """Covers losses that come although they were unknown at the payment."""
    for seed in range(histories):
        play(seed, new_losses=True)
