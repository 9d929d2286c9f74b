"""Properties of permissions, of one successful step: over holdings of an account, and over parameters."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from backstop.contract_base import ZERO_ADDRESS
from backstop.evm_crypto import recover_signer_or_none
from backstop.lockstep.step_transition import Changes, SlotChange, Transition
from backstop.model.arithmetic import MAX_UINT256, RAY
from backstop.model.bounds import GUARDIAN_HALT, GUARDIAN_PAUSE, MAX_SIGNED_AGE
from backstop.model.ledger import NO_CEILING
from backstop.model.roles import CEILINGS, DEFAULT_ADMIN_ROLE, GUARDIAN
from backstop.model.signed_reports import report_digest
from backstop.model.stage_order import Slot
from backstop.proof.properties.coin_adapter_claims import list_facilitator_calls
from backstop.proof.properties.fixed_discount_sales import list_discount_sales
from backstop.proof.properties.independent_arithmetic.batch_figures import convert_shares
from backstop.proof.properties.independent_arithmetic.fee_curve_figures import is_permitted_fee
from backstop.proof.properties.privilege_tables import DOORS, PARAMETERS
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property
from backstop.proof.properties.step_transition import is_auction_or_workout_unwind
from backstop.proof.properties.timelock_notice import get_timelock_or_sender

# The order of losses: set once; after that by a timelock.
_ORDER = ("order_hash", "lineup", "stages", "caps_absolute", "ids")
# Where the caps begin in a stage's slot.
_CAPS = Slot._fields.index("cap_bps")
# Path of the holdings of a token -> path of the allowances over them.
_HOLDINGS = {
    "erc20.balanceOf": "erc20.allowance",
    "token.balances": "token.permits.allowance",
    "balanceOf": "allowance",
}
# Paths of all rights that others may have: allowances, operators of vaults and of requests.
_RIGHTS = (*sorted(set(_HOLDINGS.values())), "operators", "line.isOperator")
_OWNED = {*_HOLDINGS, *_RIGHTS, "vaults", "line.requests", "line.claimed"}


@transition_property(16, writes=_OWNED)
def only_authorised_callers_reduce_holdings(step: Transition, changes: Changes) -> None:
    """Check that only authorised callers reduce an account's holdings (property 16).

    Authorised are the owner, its operators, and callers with an allowance. No other caller takes shares or
    tokens, adds debt, or changes rights in the owner's name. Collateral is taken only by liquidation of a
    vault in debt or by settlement. Payments of withdrawal requests are claimed by the request's controller or
    its operator. Holdings of contracts are not checked here. Raises PropertyViolationError otherwise.
    """
    if changes.keys().isdisjoint(_OWNED):
        return
    sender, contracts = step.action.sender, step.model.world.addresses
    lost: dict[tuple[str, str, str], int] = defaultdict(int)
    for path, allowance in _HOLDINGS.items():
        for contract, holder, old, new in changes.get(path, ()):
            if isinstance(holder, tuple):
                # By generation, of a token that has them.
                holder, old, new = holder[1], old.shares, new.shares
            elif path == "token.balances":
                # Where shares were divided, all have fewer.
                old, new = convert_shares(old.shares, old.generation, new.generation), new.shares
            if holder != sender and holder not in contracts:
                lost[contract, allowance, holder] += old - new
    for (contract, path, holder), amount in lost.items():
        allowed = step.read_pre_state(contract, path, (holder, sender))
        spent = allowed - step.read_post_state(contract, path, (holder, sender))
        asks = step.is_call(contract, "requestRedeem") and _is_sender_owner_or_operator(
            step, contract, holder
        )
        if amount > (allowed if allowed == MAX_UINT256 else spent) and not asks:
            raise PropertyViolationError(f"{sender} took {amount} {contract} of {holder}")

    claimed = [each for each in changes.get("line.requests", ()) if _is_request_reduced(step, each)]
    claimed += [each for each in changes.get("line.claimed", ()) if each.new > each.old]
    for contract, (batch_id, controller), *_ in claimed:
        if not _is_sender_owner_or_operator(step, contract, controller):
            raise PropertyViolationError(
                f"{sender} claimed of {contract}'s batch {batch_id} for {controller}"
            )

    for path in _RIGHTS:
        for contract, (owner, other), old, new in changes.get(path, ()):
            if owner == sender or owner in contracts:
                continue
            spends = other == sender and new < old
            permitted = step.action.method == "permit" and step.action.args[:2] == (owner, other)
            if not spends and not permitted:
                raise PropertyViolationError(
                    f"{sender} changed what {other} may do with the {contract} of {owner}"
                )

    for contract, (c, owner), old, new in changes.get("vaults", ()):
        if owner == sender or step.read_pre_state(contract, "operators", (owner, sender)):
            continue
        # A facilitator draws for its minter; that has a property of its own.
        owning: Any = contracts.get(owner)
        drawn = owning is not None and "draw" in list_facilitator_calls(step, owning.label)[1]
        if new.normalized_debt > old.normalized_debt and not is_auction_or_workout_unwind(step) and not drawn:
            raise PropertyViolationError(f"{sender} raised the debt of vault {c, owner}")
        sold = any((sale.collateral_type, sale.owner) == (c, owner) for sale in list_discount_sales(step))
        seized = "last_id" in changes or sold or step.is_call("Settlement", "skim")
        liquidated = old.normalized_debt and seized
        if new.locked_collateral < old.locked_collateral and not liquidated:
            raise PropertyViolationError(f"{sender} took collateral of vault {c, owner}")


def _is_request_reduced(step: Transition, change: SlotChange) -> bool:
    """Return whether a withdrawal request lost shares other than by the pool's share division.

    A pool divides all shares by the same factor when their price is close to zero.
    """
    pool, (batch_id, _), old, new = change
    collects = batch_id == step.read_post_state(pool, "line.queue").collecting
    cut = step.read_post_state(
        pool, "token.state" if collects else "line.batches", () if collects else batch_id
    ).generation
    return bool(new.shares < convert_shares(old.shares, old.generation, max(old.generation, cut)))


def _is_sender_owner_or_operator(step: Transition, pool: str, owner: str) -> bool:
    """Return whether the caller is the pool shares' owner or an approved operator of that owner."""
    sender = step.action.sender
    if owner == sender or "line.isOperator" not in step.get_contract(pool).tables:
        return owner == sender
    return bool(step.read_pre_state(pool, "line.isOperator", (owner, sender)))


@transition_property(18, writes=PARAMETERS, calls=map(".".join, DOORS))
def only_privileged_calls_change_parameters(step: Transition, changes: Changes) -> None:
    """Check that only privileged callers change parameters, roles or price reports (property 18).

    Methods that are restricted to a role or to one contract are refused to all other callers. Raises
    PropertyViolationError otherwise.
    """
    action = step.action
    door = DOORS.get((action.contract, action.method))
    if isinstance(door, bytes):
        if not step.read_pre_state(action.contract, "roles.access_control.hasRole", (door, action.sender)):
            raise PropertyViolationError(
                f"{action.sender} without its role called {action.contract}.{action.method}"
            )
    elif door is not None and (
        door not in step.model.world.contracts or action.sender != step.model.world.contracts[door].address
    ):
        raise PropertyViolationError(
            f"{action.sender}, not the {door}, called {action.contract}.{action.method}"
        )
    for path, changed in changes.items():
        if path not in PARAMETERS:
            continue
        fields = PARAMETERS[path]
        for change in changed:
            if fields is not None and all(change.old[i] == change.new[i] for i in fields):
                continue
            if not _can_change_parameter(step, path, change):
                raise PropertyViolationError(
                    f"{action.sender} changed {change.contract} {path}[{change.key}]"
                )


def _is_aggregator_answer(step: Transition, reporter: str, new: Any) -> bool:
    """Return whether a pushed report equals the aggregator's latest answer and passes all checks.

    The answer must lie between the adapter's bounds and be no older than the heartbeat. A sequencer, if there
    is one, must be up and past its grace period.
    """
    adapter: Any = step.model.world.addresses.get(reporter)
    if adapter is None or not step.is_call(adapter.label, "push"):
        return False
    aggregator: Any = step.model.world.addresses[adapter.aggregator]
    sequencer: Any = step.model.world.addresses.get(adapter.sequencer)
    if sequencer is not None:
        # Down unless it answers 0, and only after its grace.
        _, down, since, _, _ = sequencer.latestRoundData(reporter)
        if down or not since or step.model.timestamp <= since + adapter.sequencer_grace:
            return False
    _, answer, _, updated_at, _ = aggregator.latestRoundData(reporter)
    age = step.model.timestamp - updated_at
    in_range = adapter.min_answer < answer < adapter.max_answer
    exact = bool(new.price * 10 ** aggregator.decimals(reporter) == answer * RAY)
    return exact and in_range and 0 <= age <= adapter.heartbeat


def _is_report_signed(step: Transition, key: tuple[int, int], reporter: str, old: Any, new: Any) -> bool:
    """Return whether a submitted report is fresh, newer than the old one and signed by its reporter."""
    age = step.model.timestamp - new.reported_at
    if not 0 <= age <= MAX_SIGNED_AGE or new.reported_at <= old.reported_at:
        return False
    feed = step.get_contract("PriceFeed")
    for *said, signature in step.action.args[0]:
        market, price, low, high, since, at = said
        # In millionths of the price, outward.
        span = low * 10**6 // price, -(-high * 10**6 // price), since
        if market != key[0] or new != (price, *span, at) or not low <= price <= high or since > at:
            continue
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        digest = report_digest(said, step.model.world.chain_id, feed.address)
        if recover_signer_or_none(digest, signature[64], r, s) == reporter:
            return True
    return False


def _can_change_parameter(step: Transition, path: str, change: SlotChange) -> bool:
    contract, key, old, new = change
    sender = get_timelock_or_sender(step)
    if path in ("governor", "guardian", "delays"):
        return bool(sender == step.get_contract(contract).address)
    if path == "mechanism_of":
        # Once, by the ledger's admin, while nobody owes anything of the type.
        owed = step.read_pre_state("VaultEngine", "ledger.debts", key)
        free = not owed.normalized_debt and not owed.distressed and old == ZERO_ADDRESS
        return bool(free and sender == step.read_pre_state("VaultEngine", "roles.admin"))
    admin = step.read_pre_state(contract, "roles.admin")
    if step.is_call("Settlement", "begin"):
        # Fees end, and each type and the ceiling say that settlement has begun; nothing else.
        expected = {
            "terms.of_types": lambda: old._replace(settling=True),
            "ledger.income": lambda: new._replace(stability_fee=0),
            "ledger.system": lambda: new._replace(global_debt_ceiling=NO_CEILING),
        }.get(path)
        return expected is not None and new == expected()
    if (
        path == "ledger.income"
        and step.read_post_state(contract, "terms.of_types", key).dynamic
        and sender != admin
    ):
        # A dynamic fee follows the debt, by the curve alone, or stays.
        return is_permitted_fee(step, key, new.stability_fee)
    if path == "roles.admin":
        return sender == new == step.read_pre_state(contract, "roles.pending_admin")
    applied = path == "proposed_hash" and new == bytes(32)
    if applied or (path in _ORDER and step.read_pre_state(contract, "order_hash") != bytes(32)):
        # By the timelock, whoever calls; a stage stays what it is, and what stays keeps its order.
        keeps = old == 0 if path == "ids" else path != "stages" or old == Slot() or old[:_CAPS] == new[:_CAPS]
        ready = step.model.timestamp >= step.read_pre_state(contract, "stages_ready_at")
        settled = step.read_pre_state(contract, "books").open == 0
        return bool(keeps and ready and settled)
    if sender == admin:
        return True
    if path == "reports":
        reporter = step.read_pre_state(contract, "reporters", key)
        if step.is_call("PriceFeed", "submit_signed_reports"):
            return _is_report_signed(step, key, reporter, old, new)
        return sender == reporter or _is_aggregator_answer(step, reporter, new)
    if path == "roles.pending_admin" or (path.startswith("roles.") and key[0] == DEFAULT_ADMIN_ROLE):
        return sender == step.read_pre_state(contract, "roles.pending_admin")
    if path == "halt_again_at":
        # A guardian's halt: for a while, and not again for a while after it.
        now, until = step.model.timestamp, step.read_post_state(contract, "configs", key).grace_until
        guards = step.read_pre_state(contract, "roles.access_control.hasRole", (GUARDIAN, sender))
        return bool(guards) and old <= now and until >= now + GUARDIAN_HALT == new - GUARDIAN_PAUSE
    if path == "terms" and step.get_contract(contract).KIND == "RiskPolicy":
        # The mode stands beside each type's terms; what it may be has a property of its own.
        brought = step.action.contract == "CircuitBreaker" or step.is_call(contract, "sync_mode")
        return bool(brought and new == old._replace(mode=new.mode))
    if path == "terms" and contract == "AutoCeiling":
        # When it raised a ceiling last is no parameter; that it did has a property of its own.
        return new == old._replace(raised_at=new.raised_at) and step.is_call(contract, "adjust")
    if path == "terms.of_types":
        setter = sender
        if step.is_call("AutoCeiling", "adjust"):
            setter = step.model.world.contracts["AutoCeiling"].address
        holds = step.read_pre_state(contract, "roles.access_control.hasRole", (CEILINGS, setter))
        return bool(holds) and new == old._replace(debt_ceiling=new.debt_ceiling)
    if path == "terms" and contract == "CollateralAuction":
        # The smallest auction follows the debt floor.
        return new == old._replace(
            minimum=new.minimum, version=new.version
        ) and sender == step.read_pre_state("VaultEngine", "roles.admin")
    return False
