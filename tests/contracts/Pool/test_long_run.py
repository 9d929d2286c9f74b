"""Thousands of losses, gains, entries, exits and repayments on the model: rounding adds up to nothing.

The reference is exact to 60 digits and knows no shares: every member has a value, a part of the claims,
and cash.
"""

from decimal import Context, Decimal, localcontext
from random import Random

import pytest

from backstop.contract_base import RevertError
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from tests.support.lone_pool import NoOpLedger, lone_pool
from tests.support.long_test_marks import build_pytest_params_with_deep_marks

FEW, MANY = 10_000, 50_000
MEMBERS = [f"0x{i:040x}" for i in range(1, 7)]
PAYER, NOBODY = f"0x{99:040x}", f"0x{98:040x}"
# What rounding may take or give, of the value.
RELATIVE = Decimal(10) ** -12


class StageLedger(NoOpLedger):
    """A ledger with the pool as a stage: unearned income of leavers disappears."""

    def has_role(self, sender: str, role: bytes, account: str) -> bool:
        return True


class Run:
    """A pool with claims, and the expected balances of its members."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.world, self.token, self.waterfall, self.pool, self.claims = lone_pool(
            0, 7 * 86_400, clawback=NOBODY
        )
        StageLedger(self.world, "Ledger", self.pool.vault_engine_address)
        for who in (*MEMBERS, PAYER):
            for spender in (self.pool.address, self.claims.address):
                self.token.approve(who, spender, MAX_UINT256)
        self.value = dict.fromkeys(MEMBERS, Decimal(0))
        self.tokens = dict.fromkeys(MEMBERS, Decimal(0))
        self.cash = dict.fromkeys(MEMBERS, Decimal(0))
        self.all_tokens = self.owed = Decimal(0)
        self.assets = 0
        self.voided = self.repaid = 0
        self.slack = self.dust = Decimal(0)

    def settle(self) -> None:
        """Income that has vested since the last event belongs to the shares."""
        assets = self.pool._get_vested_assets()
        self.scale(assets)
        supply = int(self.pool.state[()].supply)
        # An entry or an exit may cost a share, or the wei that it is rounded by: others gain it, and it grows
        # with income as all value does. A loss brings claims in ray, rounded.
        self.slack += Decimal(assets + 1) / (supply + 10**6) + 1
        self.dust += Decimal(supply) / RAY

    def scale(self, assets: int) -> None:
        if assets != self.assets:
            for who in MEMBERS:
                self.value[who] *= Decimal(assets + 1) / (self.assets + 1)
            self.slack *= Decimal(assets + 1) / (self.assets + 1)
        self.assets = assets

    def enter(self) -> None:
        who, assets = self.random.choice(MEMBERS), self.amount()
        if self.pool.previewDeposit(who, assets) == 0:
            # Income that vested while nobody was there has made a share dear.
            assert assets * 10**6 <= self.assets
            return
        self.token.mint(NOBODY, who, assets)
        shares = self.pool.deposit(who, assets, who)
        # What an entry loses by rounding is the others' gain.
        self.value[who] += self.pool.convertToAssets(who, shares)
        self.assets = self.pool._get_vested_assets()

    def leave(self) -> None:
        who = self.random.choice(MEMBERS)
        held = self.pool.held(who)
        shares = self.random.choice((held, held // 2, held // self.random.randrange(1, 1_000)))
        if self.pool.previewRedeem(who, shares) == 0:
            return
        self.value[who] *= 1 - Decimal(shares) / held
        self.pool.redeem(who, shares, who, who)
        if shares == held:
            self.value[who] = Decimal(0)
        self.assets = self.pool._get_vested_assets()

    def gain(self) -> None:
        if self.pool.state[()].supply == 0:
            return
        assets = self.amount() // 10
        self.token.mint(NOBODY, PAYER, assets)
        self.pool.add_income(PAYER, assets)

    def lose(self) -> None:
        """Absorb a loss of any amount without a revert; as a rule income that has not vested pays first."""
        before = self.assets
        if self.random.random() < 0.95:
            self.pool.claw_back(NOBODY, 0, self.pool.unvested(NOBODY) * RAY)
        part = self.random.choice((10**9, 1_000, 20, 3, 2, 1))
        loss = self.random.choice((before // part, before - before // 10**6, 1))
        held, generation, owned = self.pool.state[()].supply, self.pool.state[()].generation, self.owned
        self.waterfall.charge(NOBODY, self.pool.address, 0, loss * RAY - self.random.randrange(2))
        if self.pool.state[()].generation == generation:
            loss = before - self.pool._get_vested_assets()
        if held and loss:
            # The virtual shares' part is nobody's.
            borne = {who: loss * owned[who] for who in MEMBERS}
            new = sum(borne.values())
            tokens = new if not self.all_tokens else new * self.all_tokens / self.owed
            for who in MEMBERS:
                self.tokens[who] += borne[who] * tokens / new
            self.all_tokens, self.owed = self.all_tokens + tokens, self.owed + new
        self.scale(self.pool._get_vested_assets())
        if self.pool.state[()].generation != generation:
            self.voided += 1
            self.value = dict.fromkeys(MEMBERS, Decimal(0))
            self.slack = Decimal(0)

    @property
    def owned(self) -> dict[str, Decimal]:
        """Parts of all shares, the virtual ones included."""
        supply = self.pool.state[()].supply + 10**6
        return {who: Decimal(self.pool.held(who)) / supply for who in MEMBERS}

    def repay(self) -> None:
        most = self.random.choice((self.amount(), int(self.owed) // 3, MAX_UINT256))
        used = self.claims.repayable(NOBODY, most)
        self.token.mint(NOBODY, PAYER, used)
        if used == 0:
            return
        ended = used == self.claims.outstanding(NOBODY)
        assert self.claims.repay(PAYER, used) == used
        # Of the members' claims; those that rounding made are worth nothing.
        for who in MEMBERS:
            self.cash[who] += self.tokens[who] * used / self.all_tokens
        self.owed -= used
        if ended:
            self.repaid += 1
            self.tokens = dict.fromkeys(MEMBERS, Decimal(0))
            self.all_tokens = self.owed = Decimal(0)

    def move(self) -> None:
        who, to = self.random.sample(MEMBERS, 2)
        held = self.pool.held(who)
        if held:
            shares = self.random.randrange(held + 1)
            moved = self.value[who] * shares / held
            self.pool.transfer(who, to, shares)
            self.value[who] -= moved
            self.value[to] += moved

    def collect(self) -> None:
        self.pool.collect_claims(NOBODY, self.random.choice(MEMBERS))

    def amount(self) -> int:
        return self.random.randrange(WAD, self.random.choice((10, 10**4, 10**7)) * WAD)

    def step(self) -> None:
        self.settle()
        events = (
            self.enter,
            self.enter,
            self.leave,
            self.gain,
            self.lose,
            self.repay,
            self.move,
            self.collect,
        )
        self.random.choice(events)()
        self.world.timestamp += self.random.choice((0, 12, 3_600, 86_400))
        self.world.journal.clear()
        self.world.logs.clear()

    def check(self) -> None:
        self.settle()
        supply = self.pool.state[()].supply + 10**6
        for who in MEMBERS:
            worth = self.pool.held(who) * (self.pool._get_vested_assets() + 1) // supply
            assert abs(worth - self.value[who]) <= self.value[who] * RELATIVE + self.slack + 10
        held = self.token.balances[self.pool.address]
        assert self.pool.assets[()].booked <= held

    def finish(self) -> None:
        """Check that members received all claims of losses and payments, and not a wei more was paid."""
        paid = 0
        for who in MEMBERS:
            self.pool.collect_claims(NOBODY, who)
            for generation in range(self.claims.state[()].generation + 1):
                self.claims._settle_owner(generation, who)
            paid += self.claims.credits[who]
            assert abs(self.claims.credits[who] - self.cash[who]) <= self.cash[who] * RELATIVE + self.dust
            tokens = self.tokens[who]
            assert abs(self.claims.held(who) - tokens) <= tokens * RELATIVE + self.dust
        assert paid <= self.token.balances[self.claims.address]


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    "events",
    build_pytest_params_with_deep_marks(
        (FEW, MANY), (MANY,), "tests/contracts/Pool/test_long_run.py::test_rounding_adds_up_to_nothing"
    ),
)
def test_rounding_adds_up_to_nothing(seed, events):
    run = Run(seed)
    with localcontext(Context(prec=60)):
        for event in range(events):
            try:
                run.step()
            except RevertError as revert:
                pytest.fail(f"event {event} reverts with {revert.reason!r}")
            if event % 50 == 0:
                run.check()
        run.finish()
    assert min(run.voided, run.repaid) > events // 500
