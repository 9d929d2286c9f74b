"""Pools as an integrator of ERC-4626 meets them: every pool, on both terms of leaving, in several states.

`future` draws a state, accounts and their earlier actions, and reverts a test's actions at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from backstop.contract_base import RevertError
from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import (
    EquityParameters,
    Parameters,
    PoolParameters,
    StageParameters,
)
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.host_interface import Host
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.proof.local_protocol import PRICES, LocalProtocol
from backstop.proof.lockstep import deploy_lockstep
from tests.support.equity_steps import hold_equity_price_until_average
from tests.support.saver_steps import (
    XAU,
    cut_batch_and_wait_cooldown,
    give_stablecoin,
    lose_new_vault,
    redeem_all_shares,
)

DAY = 86_400
MEMBERS = ("anna", "ben", "carl")
# Dora has money and no shares.
PEOPLE = (*MEMBERS, "dora")
FIRST = ("buffer", "reserve", "clawback")
POOLED = ("junior", "staked_equity", "senior", "savings")
# What has to be lost until a part of a pool is. Each holds 30,000, of which a loss takes half; what equity
# will be sold for counts for nobody behind it until it is.
LOSSES = {"Junior": 15_000, "StakedEquity": 20_000, "Senior": 25_000, "Savings": 38_000}
ALL_LOST = 61_000
AUCTION = 36_000
POOLS = tuple(LOSSES)
STATES = ("calm", "pending", "all pending", "covered")
# Where nothing would move; the standard leaves open what zero does.
NOTHING = ("pool: no shares", "pool: no assets")


def get_asset(pool: str) -> str:
    return "Equity" if pool == "StakedEquity" else "Stablecoin"


def get_asset_price_in_stablecoins(pool: str) -> int:
    """Return the value of one whole asset of a pool."""
    return 100 if pool == "StakedEquity" else 1


def build_parameters(cooldown: int) -> Parameters:
    terms = PoolParameters(cooldown)
    return replace(
        build_standard_parameters(),
        stages=(*map(StageParameters, FIRST), *(StageParameters(name, cap_bps=5_000) for name in POOLED)),
        equity=EquityParameters(duration=AUCTION),
        junior=terms,
        senior=terms,
        savings=terms,
        staked_equity=terms,
    )


def deploy_pools(
    host: Host, artifacts: Artifacts, cooldown: int, loss: int, covered: bool, empty: bool
) -> LocalProtocol:
    """Deploy every pool with three members, half of the shares leaving or in a batch; income, and a loss."""
    both = deploy_lockstep(host, build_parameters(cooldown), artifacts=artifacts, check_every=0, traces=None)
    made = LocalProtocol(both)
    for symbol, price in PRICES.items():
        made.post_price(symbol, price)
    for who in PEOPLE:
        give_stablecoin(made, who, 60_000 * WAD)
        made.do("Equity.transfer", who, 600 * WAD, sender="admin")
        for pool in POOLS:
            token, unit = get_asset(pool), WAD // get_asset_price_in_stablecoins(pool)
            made.do(f"{token}.approve", pool, MAX_UINT256, sender=who)
            if who != "dora" and not empty:
                shares = made.do(f"{pool}.deposit", 10_000 * unit, who, sender=who)
                made.do(f"{pool}.add_income", 100 * unit, sender=who)
                if cooldown:
                    made.do(f"{pool}.requestRedeem", shares // 2, who, who, sender=who)
    if cooldown:
        made.advance(cooldown)
        for pool in POOLS if not empty else ():
            made.do(f"{pool}.cut", sender="stranger")
    matured = made.timestamp + DAY
    if loss:
        lose_new_vault(made, "XAU", loss * WAD)
    made.advance(max(0, matured - made.timestamp))
    hold_equity_price_until_average(made, 100 * RAY)
    if covered:
        made.do("LossWaterfall.cover", XAU, sender="stranger")
        if loss > LOSSES["StakedEquity"]:  # else its auction goes on
            made.advance(AUCTION + 1)
            made.do("StakeAuction.end", XAU, sender="stranger")
            made.do("LossWaterfall.cover", XAU, sender="stranger")
    return made


class PoolInState:
    """One pool in one state, and the accounts that deal with it."""

    def __init__(self, protocol: LocalProtocol, pool: str, draw: Callable[..., Any] | None) -> None:
        self.protocol = protocol
        self.pool = pool
        self.asset = get_asset(pool)
        self.unit = get_asset_price_in_stablecoins(pool)
        self._draw = draw

    def draw(self, strategy: st.SearchStrategy[Any]) -> Any:
        assert self._draw is not None, "a test that draws needs data"
        return self._draw(strategy)

    def draw_person(self, people: tuple[str, ...] = PEOPLE) -> str:
        """Draw an account."""
        return str(self.draw(st.sampled_from(people)))

    def draw_bounded_amount(self, maximum: int) -> int:
        """Draw an amount from 1 to `most`; its ends more often than others."""
        assume(maximum > 0)
        return int(self.draw(st.integers(1, maximum) | st.sampled_from([1, maximum, maximum - maximum // 3])))

    def do(self, who: str, method: str, *args: Any) -> int:
        """Call the pool; a call that would move nothing is no example. Any other revert fails."""
        try:
            return int(self.protocol.do(f"{self.pool}.{method}", *args, sender=who))
        except RevertError as revert:
            assume(revert.reason not in NOTHING)
            raise

    def call_for_own_account(self, who: str, method: str, amount: int) -> int:
        """Deposit or withdraw with the account as caller, owner and receiver."""
        return self.do(who, method, amount, *[who] * (2 if method in ("redeem", "withdraw") else 1))

    def leave_pool_and_return_assets(self, who: str, shares: int) -> int:
        """Take shares out, in a batch if there is a cooldown; the assets."""
        if not self.see("COOLDOWN"):
            return self.call_for_own_account(who, "redeem", shares)
        self.protocol.do(f"{self.pool}.requestRedeem", shares, who, who, sender=who)
        cut_batch_and_wait_cooldown(self.protocol, self.pool)
        return redeem_all_shares(self.protocol, who, self.pool)

    def see(self, method: str, *args: Any, by: str = "stranger") -> Any:
        """Return a view's answer to an account; the model has to agree."""
        chain, resolved = self.protocol.lockstep.chain, [self._resolve_address(each) for each in args]
        function = chain.get_function(self.pool, method, len(args))
        to, sender = self.protocol.address(self.pool), self.protocol.address(by)
        result = chain.host.static_call(sender, to, function.encode_call(resolved))
        assert result.ok, f"{method} reverted"
        value = function.decode_result(result.data)
        assert value == self.protocol.lockstep.model.view(self.pool, method, *resolved)
        return value

    def read_asset_balance(self, who: str) -> int:
        return int(self.protocol.read(f"{self.asset}.balanceOf", who))

    def shares(self, who: str) -> int:
        """Shares of an owner, without those in batches."""
        return int(self.see("balanceOf", who))

    def worth(self, who: str) -> int:
        """Assets of an owner, and the shares at the price of `convertToAssets`."""
        return self.read_asset_balance(who) + int(self.see("convertToAssets", self.shares(who)))

    def allow(self, owner: str, spender: str, shares: int) -> None:
        self.protocol.do(f"{self.pool}.approve", spender, shares, sender=owner)

    def allowance(self, owner: str, spender: str) -> int:
        return int(self.see("allowance", owner, spender))

    def draw_possible_deposit(self, who: str) -> int:
        """Draw an amount that the account can put in."""
        return self.draw_bounded_amount(min(self.see("maxDeposit", who), self.read_asset_balance(who)))

    def draw_mint(self, who: str) -> int:
        """Draw shares that the account can pay for."""
        return self.draw_bounded_amount(
            min(self.see("maxMint", who), self.see("convertToShares", self.read_asset_balance(who)))
        )

    def _resolve_address(self, value: Any) -> Any:
        return self.protocol.address(value) if isinstance(value, str) else value

    def _draw_move(self) -> None:
        """Draw an earlier action of an account; a refused action is dropped."""
        who, kind = (
            self.draw_person(),
            self.draw(st.sampled_from(["enter", "leave", "pass on", "donate", "earn"])),
        )
        calls: dict[str, tuple[str, tuple[Any, ...]]] = {
            "enter": (f"{self.pool}.deposit", (self.draw_bounded_amount(self.read_asset_balance(who)), who)),
            "leave": (f"{self.pool}.redeem", (1 + self.see("maxRedeem", who) // 3, who, who)),
            "pass on": (f"{self.pool}.transfer", (self.draw_person(), self.see("balanceOf", who) // 2)),
            "donate": (f"{self.asset}.transfer", (self.pool, self.read_asset_balance(who) // 5)),
            "earn": (f"{self.pool}.add_income", (self.read_asset_balance(who) // 7,)),
        }
        call, args = calls[kind]
        try:
            self.protocol.do(call, *args, sender=who)
        except RevertError:
            assert kind == "leave"


class PoolStates:
    """A pool on its terms: `future` plays in one of its states."""

    def __init__(self, pool: str, world: Callable[[int, bool, bool], LocalProtocol]) -> None:
        self.pool = pool
        self._world = world

    @contextmanager
    def fork_pool_in_state(
        self, state: str, draw: Callable[..., Any] | None, *, is_empty: bool = False
    ) -> Iterator[PoolInState]:
        """Play in a state, before the first deposit if it is empty; revert everything in the end."""
        loss = {"calm": 0, "all pending": ALL_LOST}.get(state, LOSSES[self.pool])
        protocol = self._world(loss, state == "covered", is_empty)
        with protocol.lockstep.fork_state():
            yield PoolInState(protocol, self.pool, draw)

    @contextmanager
    def open_drawn_state(
        self, data: st.DataObject, states: tuple[str, ...] = STATES
    ) -> Iterator[PoolInState]:
        """Draw a state, and up to two moves before; take everything back in the end."""
        with self.fork_pool_in_state(data.draw(st.sampled_from(states)), data.draw) as made:
            for _ in range(data.draw(st.integers(0, 2))):
                made._draw_move()
            yield made


def draw_exit_accounts_and_amount(
    pool_in_state: PoolInState, exit_method: str, should_allow_caller: bool = True
) -> tuple[str, str, str, int]:
    """Draw caller, receiver, an owner that may leave, and an amount.

    The caller has at least that allowance.
    """
    caller, receiver, owner = (
        pool_in_state.draw_person(),
        pool_in_state.draw_person(),
        pool_in_state.draw_person(MEMBERS),
    )
    amount = pool_in_state.draw_bounded_amount(pool_in_state.see(f"max{exit_method}", owner))
    if should_allow_caller and caller != owner:
        shares = amount if exit_method == "Redeem" else pool_in_state.see("previewWithdraw", amount)
        pool_in_state.allow(
            owner, caller, pool_in_state.draw(st.sampled_from([shares, shares + 5, MAX_UINT256]))
        )
    return caller, receiver, owner, amount


def enter_pool_and_check_balances(
    pool_in_state: PoolInState, method: str, caller: str, receiver: str, amount: int
) -> int:
    """Put assets in, and check what changed hands; the result."""
    allowed = pool_in_state.draw(st.sampled_from([MAX_UINT256, MAX_UINT256 - 1]))
    pool_in_state.protocol.do(f"{pool_in_state.asset}.approve", pool_in_state.pool, allowed, sender=caller)
    assets, shares = pool_in_state.read_asset_balance(caller), pool_in_state.shares(receiver)
    result = pool_in_state.do(caller, method, amount, receiver)
    paid, got = (amount, result) if method == "deposit" else (result, amount)
    assert pool_in_state.read_asset_balance(caller) == assets - paid
    assert pool_in_state.shares(receiver) == shares + got
    rest = pool_in_state.protocol.read(f"{pool_in_state.asset}.allowance", caller, pool_in_state.pool)
    assert rest == allowed - (0 if allowed == MAX_UINT256 else paid)
    return result


def check_exit(at: PoolInState, method: str, caller: str, receiver: str, owner: str, amount: int) -> int:
    """Take assets out, and check what changed hands; the result."""
    assets, shares, allowed = at.read_asset_balance(receiver), at.shares(owner), at.allowance(owner, caller)
    result = at.do(caller, method, amount, receiver, owner)
    paid, burned = (amount, result) if method == "withdraw" else (result, amount)
    assert at.shares(owner) == shares - burned
    assert at.read_asset_balance(receiver) == assets + paid
    if caller != owner:
        assert allowed >= burned > 0
        assert at.allowance(owner, caller) == allowed - (0 if allowed == MAX_UINT256 else burned)
    return result
