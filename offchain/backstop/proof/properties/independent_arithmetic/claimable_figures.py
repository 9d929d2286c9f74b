"""Amounts that members may claim of paid batches, from tables alone."""

from __future__ import annotations

from typing import Any

from backstop.proof.properties.independent_arithmetic.batch_figures import Read

_SCALE, _MOST_AT_ONCE, _MOST_RUNS = 10**47, 32, 20


def compute_claimable_amounts(
    read: Read, pool: str, pool_kind: str, controller: str, most_shares: int, most_assets: int
) -> Any:
    """Return the shares and assets that a claim brings, and whether it uses up a limit.

    The limits are `most_shares` and `most_assets` [wei]. Requests are claimed from the oldest on, 32 at most.
    Returns None if shares were divided since a request.
    """
    shares_left, assets_left, batch = most_shares, most_assets, read(pool, "line.lines", controller).first
    for _ in range(_MOST_AT_ONCE):
        if not batch or not shares_left or not assets_left:
            break
        request = read(pool, "line.requests", (batch, controller))
        part = (
            _compute_stablecoin_request_payment if pool_kind == "Pool" else _compute_equity_request_payment
        )(read, pool, batch, request)
        if part is None:
            return None
        whole, due = part
        if request.has_claimed:
            before = read(pool, "line.claimed", (batch, controller))
            whole, due = whole - min(whole, before.shares), due - min(due, before.assets)
        if not whole:
            due = 0
        taken = min(whole, shares_left)
        paid = due if taken == whole else due * taken // whole
        if paid > assets_left:
            paid, taken = assets_left, -(-assets_left * whole // due)
        shares_left, assets_left, batch = shares_left - taken, assets_left - paid, request.next
    return most_shares - shares_left, most_assets - assets_left, not (shares_left and assets_left)


def _compute_stablecoin_request_payment(
    read: Read, pool: str, batch_id: int, request: Any
) -> tuple[int, int] | None:
    """Return the shares of a stablecoin pool's request that have been paid, and their payment [wei].

    Returns None if shares were divided since the request.
    """
    batch, queue = read(pool, "line.batches", batch_id), read(pool, "line.queue")
    if batch_id >= queue.unsettled:
        return 0, 0
    generation, first = read(pool, "token.state").generation, _find_first_batch_of_run(read, pool, batch_id)
    run, level = read(pool, "exit_batches.runs", first), read(pool, "exit_batches.levels", first)
    if {request.generation, batch.generation, run.generation} != {generation}:
        return None
    paid = request.shares * max(0, read(pool, "exit_batches.ceilings", batch_id) - level) // _SCALE
    if run.ended:
        return request.shares, paid
    held = request.shares * max(0, level - read(pool, "exit_batches.index")) // _SCALE
    return request.shares * paid // (paid + held + 1), paid


def _find_first_batch_of_run(read: Read, pool: str, batch_id: int) -> int:
    """Return the id of the first batch in the group that a settled batch has joined."""
    for _ in range(_MOST_RUNS):
        link = read(pool, "line.batches", batch_id).link
        if not link or link > batch_id:
            break
        batch_id = link
    return batch_id


def _compute_equity_request_payment(
    read: Read, pool: str, batch_id: int, request: Any
) -> tuple[int, int] | None:
    """Return the shares of an equity pool's request that have been paid, and their payment [wei].

    Returns None if shares were divided since the request.
    """
    payout_round = read(pool, "line.batches", batch_id).link
    if not payout_round or payout_round == read(pool, "round"):
        return 0, 0
    if read(pool, "generations", payout_round) != request.generation:
        return None
    found = read(pool, "rounds", payout_round)
    return request.shares, found.paid * request.shares // found.shares
