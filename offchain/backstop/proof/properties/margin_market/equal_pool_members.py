"""Counterfactual of two equal members of the backstop pool: both receive the same, in either order."""

from __future__ import annotations

from random import Random

from backstop.deployment.devnet_trader_signatures import get_trader_account
from backstop.model.arithmetic import MAX_UINT256
from backstop.proof.properties.independent_arithmetic.margin_figures import MARKET, POOL, divide_ceil
from backstop.proof.properties.lockstep_interface import LockstepLike
from backstop.proof.properties.property_registry import PropertyViolationError, counterfactual_property
from backstop.proof.properties.what_if_steps_and_state_readings import (
    VISITOR,
    apply_or_raise,
    attempt_call_and_get_outcome,
    collect_tokens_from_holders,
    get_contract,
)

_TWINS = ("member", "other member")
_ROUNDING = 3
"""Wei: an entry, an exit and the part that vests are rounded once each."""


@counterfactual_property(126)
def equal_pool_members_exit_equal(lockstep: LockstepLike, random: Random) -> bool:
    """Check that two equal members leave the backstop pool with equal payments (property 126).

    The trial plays either order of exits on a fork of model and chain. The tolerance is 3 wei. Without losses
    each gets back its deposit, up to rounding and the price of one share, and no more. The amount paid at
    once must be equal as well, unless losses are late. Returns False if the trial is not possible. Raises
    PropertyViolationError otherwise.
    """
    if POOL not in lockstep.model.world.contracts:
        return False
    with lockstep.fork_state():
        shares = _deposit_twins(lockstep, random)
        if not shares:
            return False
        pool, coin = get_contract(lockstep, POOL), get_contract(lockstep, "Stablecoin")
        brought = coin.balances[get_trader_account(_TWINS[0])]
        # A whole share at least is made of what is brought: where shares are dear that is more than wei.
        share = divide_ceil(pool._get_account_cash() + 1, pool.state[()].supply + 10**6)
        batch = lockstep.timestamp // pool.notice
        for name in _TWINS:
            apply_or_raise(
                lockstep,
                POOL,
                "requestRedeem",
                shares,
                get_trader_account(name),
                get_trader_account(name),
                by=get_trader_account(name),
            )
        lockstep.advance(pool._compute_due_time(batch) - lockstep.timestamp)
        late = get_contract(lockstep, MARKET).late_table[()]
        got: list[tuple[int, int]] = []
        for order in (_TWINS, _TWINS[::-1]):
            with lockstep.fork_state():
                for name in order:
                    had = coin.balances[get_trader_account(name)]
                    outcome = attempt_call_and_get_outcome(
                        lockstep, POOL, "leave", batch, get_trader_account(name), by=get_trader_account(name)
                    )
                    if not outcome.ok:
                        return False
                    got.append((int(outcome.value), coin.balances[get_trader_account(name)] - had))
        paid, at_hand = zip(*got, strict=True)
        if max(paid) - min(paid) > _ROUNDING or (not late and max(at_hand) - min(at_hand) > _ROUNDING):
            raise PropertyViolationError(f"two who entered alike left with {got}")
        if not late and not 0 <= brought - max(paid) <= brought - min(paid) <= _ROUNDING + share:
            raise PropertyViolationError(f"who brought {brought} left with {got}")
    return True


def _deposit_twins(lockstep: LockstepLike, random: Random) -> int:
    """Deposit the same amount for two members, and return the shares of each, or 0 if refused.

    The smaller number is returned if the second deposit divides all shares.
    """
    apply_or_raise(lockstep, MARKET, "update_account", get_contract(lockstep, POOL).address, by=VISITOR)
    people = get_contract(lockstep, "Stablecoin").balances.items()
    money = sum(held for who, held in people if who not in lockstep.model.world.addresses)
    amount = money // random.choice((30, 1_000))
    if not amount or not collect_tokens_from_holders(lockstep, VISITOR, 4 * amount):
        return 0
    apply_or_raise(
        lockstep, "Stablecoin", "approve", get_contract(lockstep, POOL).address, MAX_UINT256, by=VISITOR
    )
    for name in _TWINS:
        apply_or_raise(lockstep, "Stablecoin", "transfer", get_trader_account(name), amount, by=VISITOR)
        if not attempt_call_and_get_outcome(
            lockstep, POOL, "deposit", amount, get_trader_account(name), by=VISITOR
        ).ok:
            return 0
    # The second entry may have all shares counted anew.
    return min(int(lockstep.view(POOL, "balanceOf", get_trader_account(name))) for name in _TWINS)
