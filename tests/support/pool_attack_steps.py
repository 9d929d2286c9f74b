"""Steps of accounts that work against the other members of a pool: poisoned prices, dust, claims."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from backstop.deployment.parameter_dataclasses import Parameters, StageParameters
from backstop.proof.local_protocol import LocalProtocol
from tests.support.guard_steps import deploy_with_prices
from tests.support.no_fee_deployments import build_parameters_without_fees
from tests.support.revert_setter_and_source_helpers import get_revert_reason
from tests.support.saver_steps import DAY, LOOK, deposit_savings

# A pool used to void its shares above this many for a wei; an entry re-denominates them now.
BOUND = 10**15
VIRTUAL_SHARES = 10**6
# Wei of vested assets under which a loss voids the shares.
LEAST = 10**6


def with_small_debts(*stages: StageParameters, **changes: Any) -> Parameters:
    """Return parameters without fees in which a vault may owe a single stablecoin, with these stages."""
    plain = build_parameters_without_fees(stages=stages, **changes)
    return replace(
        plain, collateral_types=tuple(replace(each, debt_floor=1) for each in plain.collateral_types)
    )


def deploy_with_small_debt_limits(
    new_protocol: Callable[..., LocalProtocol], *stages: StageParameters, **changes: Any
) -> LocalProtocol:
    """Return such a deployment, with the usual prices."""
    return deploy_with_prices(new_protocol, with_small_debts(*stages, **changes))


def compute_least_poisoning_remainder(protocol: LocalProtocol, pool: str, loss_assets: int) -> int:
    """Return the least that a loss may leave of a deposit for the bound to hold [wad].

    The loss takes `due`, and the depositor puts in the pool's shortfall and the dust. Where the bound was
    reached before, no dust is enough: the least that no rule voids.
    """
    held, supply = protocol.read(f"{pool}.totalAssets"), protocol.read(f"{pool}.totalSupply")
    dust = LEAST + 1
    for _ in range(8):
        shares = (loss_assets - held + dust) * (supply + VIRTUAL_SHARES) // (held + 1)
        needed = -(-(supply + shares + VIRTUAL_SHARES) // BOUND) - 1
        if needed <= dust:
            return dust
        dust = needed
    return LEAST + 1


def poison_share_price(
    protocol: LocalProtocol, pool: str, due: int, loss: Callable[[], Any], who: str = "attacker"
) -> int:
    """Deposit what a loss will take and dust, and have the loss covered; return the dust left [wad].

    The pool stays with the most shares for a wei that a loss may leave.
    """
    dust = compute_least_poisoning_remainder(protocol, pool, due)
    deposit_savings(protocol, who, due - protocol.read(f"{pool}.totalAssets") + dust, pool)
    loss()
    return int(protocol.read(f"{pool}.totalAssets"))


def cover_given_types(protocol: LocalProtocol, *types: int) -> None:
    """Cover the deficits of some types."""
    for c in types:
        protocol.do("LossWaterfall.cover", c, sender="stranger")


def collect_claims_of_all_generations(protocol: LocalProtocol, pool: str, owner: str) -> None:
    """Hand an owner the claims for all losses borne."""
    if ("collect_claims", 1) in protocol.lockstep.chain.get_abi(pool).functions:
        protocol.do(f"{pool}.collect_claims", owner, sender="stranger")
        return
    for generation in range(protocol.read(f"{pool}.generation") + 1):
        protocol.do(f"{pool}.collect_claims", owner, generation, sender="stranger")


def value_shares(protocol: LocalProtocol, who: str, pool: str) -> int:
    """Return the value of an account's shares at the entry price [wad]."""
    return int(protocol.read(f"{pool}.convertToAssets", protocol.read(f"{pool}.balanceOf", who)))


# ------------------------------------------------------------------ withdrawals


def compute_batch_collecting_duration(protocol: LocalProtocol, pool: str) -> int:
    """Return how long a batch collects requests [seconds]: a day, or an eighth of a long cooldown."""
    cooldown = protocol.read(f"{pool}.COOLDOWN")
    return int(max(min(cooldown, DAY), cooldown // 8))


def compute_longest_exit_seconds(protocol: LocalProtocol, pool: str) -> int:
    """Return how long a request takes at most while no price falls [seconds]."""
    return int(compute_batch_collecting_duration(protocol, pool) + protocol.read(f"{pool}.COOLDOWN") + LOOK)


def request_dust(protocol: LocalProtocol, pool: str, who: str = "stranger") -> None:
    """Commit one share of an account to the batch that collects."""
    if protocol.read(f"{pool}.balanceOf", who) == 0:
        deposit_savings(protocol, who, 10**9, pool)
    protocol.do(f"{pool}.requestRedeem", 1, who, who, sender=who)


def fill_queue(protocol: LocalProtocol, pool: str, who: str = "stranger", batches: int = 16) -> None:
    """Put one share of an account into each of so many batches; each is cut as soon as possible."""
    for _ in range(batches):
        request_dust(protocol, pool, who)
        protocol.advance(min(protocol.read(f"{pool}.COOLDOWN"), DAY))
        get_revert_reason(protocol, f"{pool}.cut", sender=who)


def wait_and_read_withdrawable_assets(
    protocol: LocalProtocol,
    pool: str,
    who: str,
    seconds: int,
    *,
    dust_sender: str | None = "stranger",
    polls_per_batch: int = 8,
) -> int:
    """Let so many seconds pass after a request; return the amount the member may then take out [wad].

    Strangers cut and settle as soon as possible, and an account goes on putting dust into each batch.
    """
    began = protocol.timestamp
    collecting = compute_batch_collecting_duration(protocol, pool)
    moments = {
        began + collecting * n // polls_per_batch
        for n in range(1, 1 + seconds * polls_per_batch // collecting)
    }
    for moment in sorted({*moments, began + seconds}):
        protocol.advance(moment - protocol.timestamp)
        get_revert_reason(protocol, f"{pool}.settle", sender=who)
        get_revert_reason(protocol, f"{pool}.cut", sender=who)
        get_revert_reason(protocol, f"{pool}.settle", sender=who)
        if dust_sender is not None:
            request_dust(protocol, pool, dust_sender)
    return int(protocol.read(f"{pool}.maxWithdraw", who))
