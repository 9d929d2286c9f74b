"""Property of series of claims: tokens for each loss, payments for each token, and conversions."""

from __future__ import annotations

from typing import Any

from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.bounds import EQUITY_MARKET
from backstop.proof.properties.independent_arithmetic.price_figures import (
    compute_time_weighted_price,
    list_known_prices,
)
from backstop.proof.properties.independent_arithmetic.property_arithmetic import RAY
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property

_MOST_OWED, _DILUTION = 2**104 - 1, 2**40
_EVENTS = ("LossRecorded", "Repaid", "Converted", "Collected", "Credited")


@transition_property(208, events=[f"*.{event}" for event in _EVENTS])
def claim_tokens_share_series_debt(step: Transition, changes: Changes) -> None:
    """Check that recovery claims share their series' debt pro rata (property 208).

    A loss mints claim tokens at the price of the outstanding claims, rounded up. A repayment counts for all
    tokens equally. A holder that converts or collects receives its full part, rounded down. Raises
    PropertyViolationError otherwise.
    """
    kinds: dict[str, list[Any]] = {}
    for log in step.outcome.logs:
        if log.event in _EVENTS and step.get_contract(log.contract).KIND == "RecoveryClaims":
            kinds.setdefault(log.contract, []).append(log)
    for name, logs in kinds.items():
        tokens, owed = step.read_pre_state(name, "series")
        for log in logs:
            if log.event == "LossRecorded":
                _, lost, made = log.values
                expected = -(-lost * tokens // owed) if tokens else lost
                if made != (expected if owed + lost <= _MOST_OWED else 0):
                    raise PropertyViolationError(
                        f"{name}: a loss of {lost} makes {made} tokens, of {tokens} for {owed}"
                    )
                if owed + lost <= _MOST_OWED:
                    tokens, owed = tokens + made, owed + lost
            elif log.event == "Repaid":
                paid = log.values[2]
                _check_claim_repayment(step, name, log, (tokens, owed), len(logs) == 1)
                tokens, owed = (0, 0) if paid == owed else (tokens, owed - paid)
            elif log.event == "Converted":
                _, _, given, equity = log.values
                part = owed * given // tokens
                _check_claim_conversion_price(step, name, part, equity)
                tokens, owed = (0, 0) if part == owed else (tokens - given, owed - part)
        if tuple(step.read_post_state(name, "series")) != (tokens, owed):
            raise PropertyViolationError(
                f"{name}: {step.read_post_state(name, 'series')} are left, not {tokens, owed}"
            )
        _check_credited_claim_cash(step, name, logs, changes)


def _check_claim_repayment(
    step: Transition,
    claims_name: str,
    repayment_log: Any,
    tokens_and_debt_before: tuple[int, int],
    is_only_event: bool,
) -> None:
    generation, _, paid = repayment_log.values
    tokens, owed = tokens_and_debt_before
    if is_only_event and step.is_call(claims_name, "repay"):
        asked = step.action.args[0]
        due = owed if asked >= owed else min(asked, owed - -(-tokens // _DILUTION))
        if paid != due or step.outcome.value != paid:
            raise PropertyViolationError(f"{claims_name}: of {asked} {paid} are paid, not {due}")
    more = step.read_post_state(claims_name, "paid_per_token", generation) - step.read_pre_state(
        claims_name, "paid_per_token", generation
    )
    if is_only_event and more != paid * RAY // tokens:
        raise PropertyViolationError(f"{claims_name}: {paid} for {tokens} tokens are {more} for each")


def _check_claim_conversion_price(
    step: Transition, claims_name: str, converted_debt: int, equity: int
) -> None:
    known = [
        *list_known_prices(step, EQUITY_MARKET),
        compute_time_weighted_price(step, step.read_post_state, EQUITY_MARKET),
    ]
    price = max(*known, step.get_contract(claims_name).set_price)
    if equity != converted_debt * RAY // price:
        raise PropertyViolationError(f"{claims_name}: {converted_debt} are converted to {equity} at {price}")


def _check_credited_claim_cash(
    step: Transition, claims_name: str, claim_logs: list[Any], changes: Changes
) -> None:
    """Check that collectable cash of claims grows by credits and falls by collections.

    After a collection, a transfer or a conversion, each holder must be credited its full share of payments
    since its last update. Raises PropertyViolationError otherwise.
    """
    credited: dict[str, int] = {}
    for log in claim_logs:
        if log.event == "Credited":
            credited[log.values[1]] = credited.get(log.values[1], 0) + log.values[2]
        elif log.event == "Collected":
            owner, amount = log.values
            if amount != step.read_pre_state(claims_name, "cash", owner) + credited.get(owner, 0):
                raise PropertyViolationError(f"{claims_name}: {owner} collects {amount}")
            credited[owner] = credited.get(owner, 0) - amount
    for owner, amount in credited.items():
        if (
            step.read_post_state(claims_name, "cash", owner) - step.read_pre_state(claims_name, "cash", owner)
            != amount
        ):
            raise PropertyViolationError(f"{claims_name}: {owner} is credited {amount}, and has other cash")
    if step.action.contract != claims_name or step.action.method not in ("collect", "transfer", "convert"):
        return
    for contract, (generation, owner), old, new in changes.get("token.balances", ()):
        paid = step.read_post_state(claims_name, "paid_per_token", generation)
        due = old.shares * (paid - old.mark) // RAY
        was = step.read_pre_state(claims_name, "token.state").generation
        if contract == claims_name and (generation == was or step.action.method == "collect"):
            told = sum(
                each.values[2]
                for each in claim_logs
                if each.event == "Credited" and each.values[:2] == (generation, owner)
            )
            if told != due or new.mark != paid:
                raise PropertyViolationError(
                    f"{claims_name}: {owner} is credited {told}, {due} are due; {old} became {new}"
                )


@transition_property(216, calls=["*.collect_claims"], events=["*.LossRecorded"])
def depositors_receive_claims_pro_rata(step: Transition, changes: Changes) -> None:
    """Check that a loss's claim tokens reach pool members in proportion to shares (property 216).

    The tokens of each loss are recorded per share. A member receives those recorded since its last update,
    for all its shares. Tokens of an earlier, fully repaid series no longer count. Rounding costs a member
    less than a ray for each share, and less than one token. Raises PropertyViolationError otherwise.
    """
    for log in step.outcome.logs:
        if log.event == "LossRecorded" and step.get_contract(log.contract).KIND == "RecoveryClaims":
            told = [(each.contract, each.event) for each in step.outcome.logs]
            if told.count((log.contract, "LossRecorded")) == 1:
                _check_claims_per_share_checkpoint(step, log.contract, log.values[2])
    pool = step.get_contract(step.action.contract)
    if step.action.method != "collect_claims" or pool.KIND != "Pool":
        return
    (owner,), claims = step.action.args, step.model.world.addresses.get(pool.claims_address)
    state, balance = (
        step.read_pre_state(pool.label, "token.state"),
        step.read_pre_state(pool.label, "token.balances", owner),
    )
    if claims is None or step.read_pre_state(pool.label, "line.lines", owner).first:
        return
    name: str = claims.label
    if balance.generation != state.generation or balance.mark == state.mark or not balance.shares:
        return
    last = step.read_pre_state(name, "checkpoints", (state.generation, state.mark))
    first = step.read_pre_state(name, "checkpoints", (state.generation, balance.mark))
    grown = last.tokens - (first.tokens if first.series == last.series else 0)
    due = (
        balance.shares * grown // RAY
        if last.series == step.read_pre_state(name, "token.state").generation
        else 0
    )
    key = step.read_pre_state(name, "token.state").generation, owner
    more = (
        step.read_post_state(name, "token.balances", key).shares
        - step.read_pre_state(name, "token.balances", key).shares
    )
    if more != due:
        raise PropertyViolationError(
            f"{name}: {owner} gets {more} claims for {balance.shares} shares, {due} are due"
        )


def _check_claims_per_share_checkpoint(step: Transition, claims_name: str, minted_claims: int) -> None:
    """Check that a loss adds its minted claims per share to the pool's latest checkpoint.

    Checkpoints are kept as a running sum [ray] for each generation of shares. Nothing is checked while exit
    batches are open, because their shares absorb losses as well.
    """
    pool = step.model.world.addresses.get(step.get_contract(claims_name).pool_address)
    if pool is None:
        return  # an account stands for the pool
    state = step.read_pre_state(pool.label, "token.state")
    old, new = (
        read(claims_name, "marks", state.generation) for read in (step.read_pre_state, step.read_post_state)
    )
    members, series = state.supply, step.read_pre_state(claims_name, "token.state").generation
    if state.open or not members:
        return  # shares of batches bear it too, up to where they end
    added = minted_claims * RAY // members
    if new - old != (added > 0):
        raise PropertyViolationError(
            f"{claims_name}: a loss of {minted_claims} claims moves the mark from {old} to {new}"
        )
    before = step.read_pre_state(claims_name, "checkpoints", (state.generation, old))
    total = added + (before.tokens if before.series == series else 0)
    if added and tuple(step.read_post_state(claims_name, "checkpoints", (state.generation, new))) != (
        total,
        series,
    ):
        raise PropertyViolationError(
            f"{claims_name}: {minted_claims} claims of {members} shares make a sum that is not {total}"
        )
