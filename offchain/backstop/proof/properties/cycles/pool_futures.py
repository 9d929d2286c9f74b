"""What would happen to two equal members of the backstop pool: whoever is first, both have the same."""

from __future__ import annotations

from random import Random

from backstop.deployment.devnet_signing import get_trader_account
from backstop.model.arithmetic import MAX_UINT256
from backstop.proof.properties.both import Both
from backstop.proof.properties.figures.cycles import MARKET, POOL, up
from backstop.proof.properties.future import VISITOR, apply, contract_of, give, must
from backstop.proof.properties.registry import Violation, counterfactual_property

_TWINS = ("member", "other member")
_ROUNDING = 3
"""Wei: an entry, an exit and the part that vests are rounded once each."""


@counterfactual_property(126)
def members_leave_alike_with_what_they_brought(both: Both, random: Random) -> bool:
    """Assert that of two who enter the pool alike each leaves with the same, whoever goes first.

    While nothing happens that is what they brought, but for what a share is worth, and no more; the same at
    hand, and the same that vests. While losses are late both are cut alike.
    """
    if POOL not in both.model.world.contracts:
        return False
    with both.fork_state():
        shares = _enter(both, random)
        if not shares:
            return False
        pool, coin = contract_of(both, POOL), contract_of(both, "Stablecoin")
        brought = coin.balances[get_trader_account(_TWINS[0])]
        # A whole share at least is made of what is brought: where shares are dear that is more than wei.
        share = up(pool._cash() + 1, pool.state[()].supply + 10**6)
        batch = both.timestamp // pool.notice
        for name in _TWINS:
            must(
                both,
                POOL,
                "requestRedeem",
                shares,
                get_trader_account(name),
                get_trader_account(name),
                by=get_trader_account(name),
            )
        both.advance(pool._due_at(batch) - both.timestamp)
        late = contract_of(both, MARKET).late_table[()]
        got: list[tuple[int, int]] = []
        for order in (_TWINS, _TWINS[::-1]):
            with both.fork_state():
                for name in order:
                    had = coin.balances[get_trader_account(name)]
                    outcome = apply(
                        both, POOL, "leave", batch, get_trader_account(name), by=get_trader_account(name)
                    )
                    if not outcome.ok:
                        return False
                    got.append((int(outcome.value), coin.balances[get_trader_account(name)] - had))
        paid, at_hand = zip(*got, strict=True)
        if max(paid) - min(paid) > _ROUNDING or (not late and max(at_hand) - min(at_hand) > _ROUNDING):
            raise Violation(f"two who entered alike left with {got}")
        if not late and not 0 <= brought - max(paid) <= brought - min(paid) <= _ROUNDING + share:
            raise Violation(f"who brought {brought} left with {got}")
    return True


def _enter(both: Both, random: Random) -> int:
    """Have two enter at rest, with as much as is left in their hands; return the shares of each."""
    must(both, MARKET, "wake", contract_of(both, POOL).address, by=VISITOR)
    people = contract_of(both, "Stablecoin").balances.items()
    money = sum(held for who, held in people if who not in both.model.world.addresses)
    amount = money // random.choice((30, 1_000))
    if not amount or not give(both, VISITOR, 4 * amount):
        return 0
    must(both, "Stablecoin", "approve", contract_of(both, POOL).address, MAX_UINT256, by=VISITOR)
    for name in _TWINS:
        must(both, "Stablecoin", "transfer", get_trader_account(name), amount, by=VISITOR)
        if not apply(both, POOL, "deposit", amount, get_trader_account(name), by=VISITOR).ok:
            return 0
    # The second entry may have all shares counted anew.
    return min(int(both.view(POOL, "balanceOf", get_trader_account(name))) for name in _TWINS)
