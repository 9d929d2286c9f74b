"""Properties of a step: each looks only at what one successful action wrote, and at its events.

Lockstep has compared the chain's words of every written slot before, so the model's values are the chain's.
"""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD, RAY, WAD, div_up
from backstop.model.bounds import EQUITY_MARKET, MAX_PRICE
from backstop.model.equity_auction import PRICE_UNIT
from backstop.model.interfaces import CallTerms, Vault
from backstop.model.ledger import MAX_TYPE_DEBT, NO_CEILING
from backstop.model.loss_waterfall import Slot
from backstop.model.pool import LEAST_ASSETS, VIRTUAL_SHARES, Pool, unvested, vested, void
from backstop.model.recovery_claims import MAX_DILUTION
from backstop.model.risk_policy import RiskPolicy
from backstop.model.roles import CEILINGS, DEFAULT_ADMIN_ROLE, GUARDIAN
from backstop.model.state import ZERO_ADDRESS
from backstop.proof.properties.privileges import DOORS, PARAMETERS
from backstop.proof.properties.registry import (
    TRANSITION_PROPERTIES,
    Violation,
    check_all,
    transition_property,
)
from backstop.system import Action, Outcome

if TYPE_CHECKING:
    from backstop.hosts.model import ModelSystem

BUSY = MAX_UINT256

# The order of losses: set once; its caps, and their hash, by a timelock.
_ORDER = ("order_hash", "counts", "stages", "caps_absolute")
# Where the caps begin in a stage's slot.
_CAPS = Slot._fields.index("cap_bps")

# What a person holds of a token -> what others may take of it.
_HOLDINGS = {
    "erc20.balanceOf": "erc20.allowance",
    "token.balances": "token.allowance",
    "requests": "token.allowance",
    "balanceOf": "allowance",
}
# What others may do with it.
_RIGHTS = (*sorted(set(_HOLDINGS.values())), "operators")
_OWNED = {*_HOLDINGS, *_RIGHTS, "vaults"}


class Transition(NamedTuple):
    """One successful step and the state after it; `model.changes` has the old values."""

    action: Action
    outcome: Outcome
    model: ModelSystem

    def after(self, contract: str, path: str, key: Any = ()) -> Any:
        """What a slot holds now."""
        return self.model.world.contracts[contract].tables[path][key]

    def before(self, contract: str, path: str, key: Any = ()) -> Any:
        """What a slot held."""
        slot: Any = (contract, path, key)
        changes = self.model.changes
        return changes[slot] if slot in changes else self.after(contract, path, key)


class Change(NamedTuple):
    """A slot of a table whose value changed."""

    contract: str
    key: Any
    old: Any
    new: Any


Changes = dict[str, list[Change]]
"""Path of a table -> what changed in the tables of that path."""


def check_transition(step: Transition) -> None:
    """Assert every transition property; raises Violation with its number."""
    contracts = step.model.world.contracts
    changes: Changes = {}
    for (contract, path, key), old in step.model.changes.items():
        new = contracts[contract].tables[path][key]
        if new != old:
            changes.setdefault(path, []).append(Change(contract, key, old, new))
    check_all(TRANSITION_PROPERTIES, step, changes)


@transition_property(5)
def stage_order(step: Transition, changes: Changes) -> None:
    """A stage pays, or reserves, only once each earlier one is dry or at its cap; none above its own cap.

    Nobody pays only after the last, and never what a stage has reserved.
    """
    if step.action.method != "cover" or step.action.contract != "LossWaterfall":
        return
    c = step.action.args[0]
    paid: dict[int, int] = {}
    for log in step.outcome.logs:
        if log.event in ("LossCovered", "LossReserved"):
            k, amount = log.values[2:]
            if k < max(paid, default=0):
                raise Violation(f"stage {k} pays after stage {max(paid)}")
            paid[k] = paid.get(k, 0) + amount
    stages = step.after("LossWaterfall", "counts").stages
    reserved = sum(_reserved(step, k, c) for k in range(stages))
    left = step.after("VaultEngine", "ledger.deficit", c) - reserved
    if left < 0:
        raise Violation(f"somebody covered {-left} rad of type {c} that a stage has reserved")
    last = stages if left else max(paid, default=0)
    settling = step.before("LossWaterfall", "counts").winding_up
    for k in range(stages):
        if settling and step.after("LossWaterfall", "stages", k).asynchronous:
            continue  # settlement passes it over
        capacity = _capacity(step, k, c)
        if capacity == BUSY:
            if max(paid, default=0) > k:
                raise Violation(f"stage {max(paid)} pays while stage {k} is busy")
            return
        mine = paid.get(k, 0)
        if mine and _room(step, k, c, capacity) < 0:
            raise Violation(f"stage {k} pays {mine} rad, beyond its cap")
        if any(log.event == "LossReserved" and log.values[2] == k for log in step.outcome.logs):
            if max(paid) > k:
                raise Violation(f"stage {max(paid)} pays although stage {k} has just begun")
            return
        later = left + sum(amount for j, amount in paid.items() if j > k)
        keeps, least = capacity - mine, _grain(step, k, c)
        if (
            k < last
            and keeps >= least > 0
            and later >= least
            and _room(step, k, c, capacity) >= max(RAY, least)
        ):
            raise Violation(f"stage {k} keeps {keeps} rad of type {c} while somebody later bears {later}")


@transition_property(8)
def only_unsafe_vaults_are_liquidated(step: Transition, changes: Changes) -> None:
    """A vault that an auction was started for was under the liquidation ratio, at the price of liquidations,
    or was called, had its grace and still was under the call ratio. Only such a vault is called.

    That is the current price, fresh or of a feed given up as dead; no halt and no grace stood against it.
    The auction starts from the same price. Workouts have a property of their own.
    """
    for _, (c, owner), old, new in changes.get("vaults", ()):
        if new.called_at > old.called_at:
            terms = step.after("RiskPolicy", "calls", c)
            if old.called_at and step.model.timestamp <= old.called_at + terms.grace + terms.valid:
                raise Violation(f"vault {c, owner} was called again")
            if not terms.ratio or _covers(step, c, new, terms.ratio):
                raise Violation(f"vault {c, owner} was called although it has the margin")
    if "last_id" not in changes or step.action.method in ("sell_salvage", "enter"):
        return
    seized = changes.get("vaults", [])
    if not seized:
        raise Violation("an auction of no vault was started")
    for _, (c, owner), vault, _ in seized:
        prices, feed = step.after("PriceFeed", "prices", c), step.after("PriceFeed", "configs", c)
        stale_for = step.model.timestamp - prices.fresh_until
        if stale_for > 0 and not 0 < feed.dead_after < stale_for:
            raise Violation(f"vault {c, owner} was liquidated at a stale price")
        if prices.current == 0 or _held_back(step, c):
            raise Violation(f"vault {c, owner} was liquidated without a price, in a halt or in a grace")
        buf = step.after("CollateralAuction", "terms", c).buf
        for _, _, _, new in changes["tops"]:
            if new.top != min(prices.current * buf // BASIS_POINTS, MAX_PRICE):
                raise Violation(f"vault {c, owner}: the auction starts at {new.top}, not from the price")
        if _covers(step, c, vault, step.before("VaultEngine", "terms.of_types", c).liquidation_ratio):
            terms = step.after("RiskPolicy", "calls", c) if vault.called_at else CallTerms()
            due = vault.called_at + terms.grace
            in_time = due <= step.model.timestamp <= due + terms.valid
            if not terms.ratio or not in_time or _covers(step, c, vault, terms.ratio):
                raise Violation(f"vault {c, owner} was liquidated although it was safe")


def _covers(step: Transition, c: int, vault: Vault, ratio: int) -> bool:
    """Whether a vault is worth a ratio of its debt, and what its size asks for, at the current price."""
    debt = vault.normalized_debt * step.after("VaultEngine", "ledger.debts", c).accumulated_rate
    policy = step.model.world.contracts.get("RiskPolicy")
    add_on = cast(RiskPolicy, policy).add_on("", c, debt) if policy else 0
    worth = vault.locked_collateral * step.after("PriceFeed", "prices", c).current
    return bool(worth * BASIS_POINTS >= debt * ratio + add_on)


@transition_property(9)
def no_action_makes_a_vault_unsafe(step: Transition, changes: Changes) -> None:
    """A vault's collateral for its debt shrinks only if it then meets the initial ratio at both prices.

    Neither may be suspect, and the market neither halted nor in a grace. What is left of a partial
    liquidation is never worse. A rate rises only with time and a fee, or by redistribution. In settlement
    an auction or a workout gives its vault back what it has taken and not sold.
    """
    for _, (c, owner), old, new in changes.get("vaults", ()):
        if new.normalized_debt == 0 or _unwinds(step):
            continue
        no_worse = new.locked_collateral * old.normalized_debt >= old.locked_collateral * new.normalized_debt
        if no_worse and old.normalized_debt:
            continue
        prices = step.after("PriceFeed", "prices", c)
        debt = new.normalized_debt * step.after("VaultEngine", "ledger.debts", c).accumulated_rate
        value = new.locked_collateral * min(prices.current, prices.next) * BASIS_POINTS
        safe = value >= debt * step.after("VaultEngine", "terms.of_types", c).initial_ratio
        stale = step.model.timestamp > prices.fresh_until
        if "last_id" in changes or not safe or stale or _held_back(step, c):
            raise Violation(f"vault {c, owner} got worse: {old} became {new}")
    for _, c, old, new in changes.get("ledger.debts", ()):
        if new.accumulated_rate != old.accumulated_rate and old.accumulated_rate:
            fee = step.before("VaultEngine", "ledger.income", c).stability_fee
            aged = new.accrued_at > old.accrued_at and fee
            shared = c in {key for _, key, *_ in changes.get("ledger.redistributions", ())}
            if new.accumulated_rate < old.accumulated_rate or not (aged or shared):
                raise Violation(f"type {c}: the rate moved without a fee for a time, or a loss to share")


@transition_property(11)
def share_price_falls_only_by_losses(step: Transition, changes: Changes) -> None:
    """(A + 1)/(S + 1e6) of a pool never falls by more than the losses it absorbed."""
    pools = {pool for path in ("assets", "token.state") for pool, *_ in changes.get(path, ())}
    for pool in sorted(pools):
        contract = step.model.world.contracts[pool]
        if not isinstance(contract, Pool):
            continue  # a series of claims
        lost = sum(
            log.values[1]
            for log in step.outcome.logs
            if log.contract == pool and log.event in ("LossAbsorbed", "Slashed")
        )
        now = step.model.timestamp
        assets = vested(step.before(pool, "assets"), now) - lost
        assets_now = vested(step.after(pool, "assets"), now)
        old, new = step.before(pool, "token.state"), step.after(pool, "token.state")
        if new.generation != old.generation:
            if assets >= LEAST_ASSETS and not void(old.supply, assets):
                raise Violation(f"{pool}: {old.supply} shares became void with {assets} assets")
            continue
        if (assets_now + 1) * (old.supply + VIRTUAL_SHARES) < (assets + 1) * (new.supply + VIRTUAL_SHARES):
            raise Violation(
                f"{pool}: {assets} assets of {old.supply} shares became {assets_now} of {new.supply}"
            )


_SPENT = ("ClaimsRepaid", "FundInsured", "IncomeShared")


@transition_property(14)
def claims_are_repaid_once(step: Transition, changes: Changes) -> None:
    """What a series is owed changes only by losses, payments and conversion, and is never overpaid.

    Tokens are not paid more than came in. The treasury pays a series only once those before it are owed
    nothing, or what is too little to be paid alone; pools get income only then.
    """
    for name, _, old, new in changes.get("series", ()):
        lost = converted = repaid = 0
        for log in step.outcome.logs:
            if log.contract != name:
                continue
            if log.event == "LossRecorded" and (log.values[2] or not log.values[1]):
                lost += log.values[1]
            elif log.event == "Repaid":
                repaid += log.values[2]
            elif log.event == "Converted":
                converted += old.outstanding * log.values[2] // old.tokens
        if repaid > old.outstanding + lost:
            raise Violation(f"{name}: {repaid} repaid of {old.outstanding + lost}")
        if new.outstanding != old.outstanding + lost - repaid - converted:
            raise Violation(f"{name}: {old} became {new}: {lost} lost, {repaid} paid, {converted} converted")
        if (new.outstanding == 0) != (new.tokens == 0):
            raise Violation(f"{name}: {new.outstanding} are owed to {new.tokens} tokens")
        for contract, _, before, after in changes.get("paid_per_token", ()):
            if contract == name and (after - before) * old.tokens > repaid * RAY:
                raise Violation(f"{name}: {after - before} ray for each token of {repaid} wei")
    if not _is_call(step, "Treasury", "distribute"):
        return
    treasury: Any = step.model.world.contracts["Treasury"]
    spent = [log.values[0] for log in step.outcome.logs if log.event in _SPENT]
    for place, address in enumerate(treasury.claim_addresses):
        later = [other for other in spent if other not in treasury.claim_addresses[: place + 1]]
        left = step.after(step.model.world.addresses[address].label, "series")
        if later and left.outstanding > -(-left.tokens // MAX_DILUTION):
            raise Violation(f"{later} are paid while {address} is owed {left.outstanding}")


@transition_property(15)
def equity_is_created_under_its_cap(step: Transition, changes: Changes) -> None:
    """What is created and booked in an epoch stays under the cap; the supply grows by what is created.

    What the auction of new equity sells is booked.
    """
    supply = sum(
        each.new - each.old for each in changes.get("erc20.totalSupply", ()) if each.contract == "Equity"
    )
    issues = changes.get("issue", ())
    if not supply and not issues:
        return
    equity: Any = step.model.world.contracts["Equity"]
    old, new = step.before("Equity", "issue"), step.after("Equity", "issue")
    epoch = step.model.timestamp // equity.epoch_length
    minted_before = old.minted if old.epoch == epoch else 0
    minted_now = new.minted if new.epoch == epoch else 0
    minted = minted_now - minted_before
    if minted_now + new.booked > max(minted_before + old.booked, new.mint_cap * WAD):
        raise Violation(f"{minted_now} created and {new.booked} booked, over a cap of {new.mint_cap} whole")
    zero = ZERO_ADDRESS
    burned = sum(
        log.values[2]
        for log in step.outcome.logs
        if (log.contract, log.event) == ("Equity", "Transfer") and log.values[1] == zero
    )
    if supply != minted - burned:
        raise Violation(f"the supply changed by {supply}, by {minted} created and {burned} burned")
    if step.action.contract != "Equity":
        sales = [each for each in changes.get("sales", ()) if each.contract == "MintAuction"]
        if new.booked - old.booked != sum(each.new.lot - each.old.lot for each in sales):
            raise Violation(f"{new.booked} are booked, from {old.booked}, not what is under auction")


@transition_property(16)
def nobody_takes_what_is_yours(step: Transition, changes: Changes) -> None:
    """Without the owner, an operator or an allowance: no shares or tokens less, no right given, no debt more.

    And no collateral less, but by the liquidation of a vault in debt. What contracts hold is booked.
    In settlement auctions and workouts give debt back, and a vault's collateral goes for its debt.
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
            if holder != sender and holder not in contracts:
                lost[contract, allowance, holder] += old - new
    for (contract, path, holder), amount in lost.items():
        allowed = step.before(contract, path, (holder, sender))
        spent = allowed - step.after(contract, path, (holder, sender))
        if amount > (allowed if allowed == MAX_UINT256 else spent):
            raise Violation(f"{sender} took {amount} {contract} of {holder}")

    for path in _RIGHTS:
        for contract, (owner, other), old, new in changes.get(path, ()):
            if owner == sender or owner in contracts:
                continue
            spends = other == sender and new < old
            permitted = step.action.method == "permit" and step.action.args[:2] == (owner, other)
            if not spends and not permitted:
                raise Violation(f"{sender} changed what {other} may do with the {contract} of {owner}")

    for contract, (c, owner), old, new in changes.get("vaults", ()):
        if owner == sender or step.before(contract, "operators", (owner, sender)):
            continue
        # A domain draws for its minter; that has a property of its own.
        drawn = step.action.method == "draw" and step.action.contract == getattr(
            contracts.get(owner), "label", None
        )
        if new.normalized_debt > old.normalized_debt and not _unwinds(step) and not drawn:
            raise Violation(f"{sender} raised the debt of vault {c, owner}")
        liquidated = old.normalized_debt and ("last_id" in changes or _is_call(step, "Settlement", "skim"))
        if new.locked_collateral < old.locked_collateral and not liquidated:
            raise Violation(f"{sender} took collateral of vault {c, owner}")


@transition_property(18)
def only_the_privileged_change_parameters(step: Transition, changes: Changes) -> None:
    """No unprivileged call changes a parameter, a role or a report, or passes a door between contracts."""
    action = step.action
    door = DOORS.get((action.contract, action.method))
    if isinstance(door, bytes):
        if not step.before(action.contract, "roles.access_control.hasRole", (door, action.sender)):
            raise Violation(f"{action.sender} without its role called {action.contract}.{action.method}")
    elif door is not None and (
        door not in step.model.world.contracts or action.sender != step.model.world.contracts[door].address
    ):
        raise Violation(f"{action.sender}, not the {door}, called {action.contract}.{action.method}")
    for path, changed in changes.items():
        if path not in PARAMETERS:
            continue
        fields = PARAMETERS[path]
        for change in changed:
            if fields is not None and all(change.old[i] == change.new[i] for i in fields):
                continue
            if not _may_change(step, path, change):
                raise Violation(f"{action.sender} changed {change.contract} {path}[{change.key}]")


def _capacity(step: Transition, k: int, c: int) -> int:
    """What a stage held for a type before the step, rad, from the tables behind it."""
    stage = _stage(step, k)
    if stage.KIND == "Pool":
        return vested(step.before(stage.label, "assets"), step.model.timestamp) * RAY
    if stage.KIND == "ClawbackStage":
        pools = [step.model.world.addresses[address].label for address in stage.pool_addresses]
        return sum(unvested(step.before(pool, "assets"), step.model.timestamp) for pool in pools) * RAY
    if stage.KIND == "LedgerStage" and stage.account == 0:
        return int(step.before("VaultEngine", "ledger.income", c).buffer)
    if stage.KIND == "LedgerStage" and stage.account == 1:
        return int(step.before("VaultEngine", "ledger.system").reserve)
    if stage.KIND == "LedgerStage":
        # What the room was before the fee of this step is a little less than after it.
        debts = step.before("VaultEngine", "ledger.debts", c)
        ratios = step.after("VaultEngine", "terms.of_types", c)
        if ratios.settling:
            return 0
        borne = step.before("VaultEngine", "ledger.redistributions", c)
        added = borne.added if step.model.timestamp < borne.ends else 0
        before = debts.accumulated_rate - added
        policy = step.model.world.contracts.get("RiskPolicy")
        # What a growing debt needs beyond its ratio, at most.
        more = cast(RiskPolicy, policy).steepest("", c) if policy else 0
        gap = ratios.initial_ratio - ratios.liquidation_ratio
        most = before * min(Fraction(borne.cap, BASIS_POINTS), Fraction(gap, ratios.liquidation_ratio + more))
        return max(0, int(most) - added) * int(debts.normalized_debt)
    if stage.KIND == "EquityAuction":
        return _capacity_of_equity(step, stage, c)
    # It claims what it does not have: only a busy one says something.
    claimed = int(step.before(stage.label, "claimed_capacity"))
    return claimed if claimed == BUSY else 0


def _capacity_of_equity(step: Transition, stage: Any, c: int) -> int:
    """What there was to sell, with what this step has put under auction, at the floor."""
    if step.before(stage.label, "sales", c).target:
        return BUSY
    average = stage.feed.time_weighted(stage.address, EQUITY_MARKET)
    if stage.source is None:
        free = stage.equity.mintable(stage.address)
    else:
        free = stage.source.slashable(stage.address)
    lot = step.after(stage.label, "sales", c).lot
    bottom = div_up(average * stage.floor // BASIS_POINTS, PRICE_UNIT) * PRICE_UNIT
    return int((free + lot) * bottom // RAY * RAY)


def _grain(step: Transition, k: int, c: int) -> int:
    """Losses under this are too small for a stage, rad.

    Redistribution needs a ray for each unit of debt, an auction a whole stablecoin.
    """
    if _stage(step, k).KIND == "EquityAuction":
        return RAD
    if _stage(step, k).KIND == "LedgerStage" and _stage(step, k).account == 2:
        debts = step.before("VaultEngine", "ledger.debts", c)
        # Near the highest debt the fields leave less room than the caps.
        return MAX_UINT256 if 2 * debts.performing > MAX_TYPE_DEBT else int(debts.normalized_debt)
    return 1


def _reserved(step: Transition, k: int, c: int) -> int:
    """What a stage has reserved of a type's deficit, rad."""
    stage = step.after("LossWaterfall", "stages", k).stage
    return int(step.after("LossWaterfall", "reservations", (c, stage)).amount)


def _stage(step: Transition, k: int) -> Any:
    return step.model.world.addresses[step.after("LossWaterfall", "stages", k).stage]


def _room(step: Transition, k: int, c: int, capacity: int) -> int:
    """What the caps leave of a stage's payments for the present event, rad; under a wei it is no room."""
    waterfall: Any = step.model.world.contracts["LossWaterfall"]
    settling = step.before("LossWaterfall", "counts").winding_up
    if settling and step.after("LossWaterfall", "stages", k).lifted:
        return MAX_UINT256
    event = c, step.model.timestamp // waterfall.epoch_length, k
    loss = step.before("LossWaterfall", "losses", c)
    if loss.epoch == event[1] and loss.gave_up >> k & 1:
        return 0
    base = step.after("LossWaterfall", "bases", event)
    share = step.after("LossWaterfall", "stages", k).cap_bps
    cap = step.after("LossWaterfall", "caps_absolute", k)
    if share != BASIS_POINTS:
        cap = min(cap, (base - 1 if base else capacity) * share // BASIS_POINTS)
    taken = step.after("LossWaterfall", "covered", event) + _reserved(step, k, c)
    return int(cap - taken)


def _held_back(step: Transition, c: int) -> bool:
    """Whether a halt or a grace stands against new risk and liquidations."""
    feed = step.after("PriceFeed", "configs", c)
    return bool(feed.halted or step.model.timestamp < feed.grace_until)


def _unwinds(step: Transition) -> bool:
    return _is_call(step, "CollateralAuction", "unwind") or _is_call(step, "Workouts", "unwind")


def _is_call(step: Transition, contract: str, method: str) -> bool:
    return (step.action.contract, step.action.method) == (contract, method)


def _is_what_an_aggregator_says(step: Transition, reporter: str, new: Any) -> bool:
    """Whether a report came by its reporter's `push`, and is the last answer behind it, in range and time."""
    adapter: Any = step.model.world.addresses.get(reporter)
    if adapter is None or not _is_call(step, adapter.label, "push"):
        return False
    aggregator: Any = step.model.world.addresses[adapter.aggregator]
    _, answer, _, updated_at, _ = aggregator.latestRoundData(reporter)
    age = step.model.timestamp - updated_at
    in_range = adapter.min_answer < answer < adapter.max_answer
    exact = bool(new.price * 10 ** aggregator.decimals(reporter) == answer * RAY)
    return exact and in_range and 0 <= age <= adapter.heartbeat


def _may_change(step: Transition, path: str, change: Change) -> bool:
    contract, key, old, new = change
    sender, admin = step.action.sender, step.before(contract, "roles.admin")
    if _is_call(step, "Settlement", "begin"):
        # Fees end, and each type and the ceiling say that settlement has begun; nothing else.
        expected = {
            "terms.of_types": lambda: old._replace(settling=True),
            "ledger.income": lambda: new._replace(stability_fee=0),
            "ledger.system": lambda: new._replace(global_debt_ceiling=NO_CEILING),
        }.get(path)
        return expected is not None and new == expected()
    if path == "ledger.income" and step.after(contract, "terms.of_types", key).dynamic and sender != admin:
        # A dynamic fee follows the debt, by the curve alone.
        policy = cast(RiskPolicy, step.model.world.contracts["RiskPolicy"])
        performing = step.after(contract, "ledger.debts", key).performing
        return bool(new.stability_fee == policy.fee_at("", key, performing))
    if path == "roles.admin":
        return sender == new == step.before(contract, "roles.pending_admin")
    applied = path == "proposed_hash" and new == bytes(32)
    if applied or (path in _ORDER and step.before(contract, "order_hash") != bytes(32)):
        # By the timelock, whoever calls; the order stays.
        keeps = path != "stages" or old[:_CAPS] == new[:_CAPS]
        ready = step.model.timestamp >= step.before(contract, "caps_ready_at")
        settled = step.before(contract, "counts").open == 0
        return keeps and ready and settled and path != "counts"
    if sender == admin:
        return True
    if path == "reports":
        reporter = step.before(contract, "reporters", key)
        return sender == reporter or _is_what_an_aggregator_says(step, reporter, new)
    if path == "roles.pending_admin" or (path.startswith("roles.") and key[0] == DEFAULT_ADMIN_ROLE):
        return sender == step.before(contract, "roles.pending_admin")
    if path == "configs" and new == old._replace(halted=True):
        return bool(step.before(contract, "roles.access_control.hasRole", (GUARDIAN, sender)))
    if path == "terms" and contract == "RiskPolicy":
        # The mode stands beside each type's terms; what it may be has a property of its own.
        brought = step.action.contract == "CircuitBreaker" or _is_call(step, contract, "adopt_mode")
        return bool(brought and new == old._replace(mode=new.mode))
    if path == "terms" and contract == "AutoCeiling":
        # When it raised a ceiling last is no parameter; that it did has a property of its own.
        return new == old._replace(raised_at=new.raised_at) and _is_call(step, contract, "adjust")
    if path == "terms.of_types":
        setter = sender
        if _is_call(step, "AutoCeiling", "adjust"):
            setter = step.model.world.contracts["AutoCeiling"].address
        holds = step.before(contract, "roles.access_control.hasRole", (CEILINGS, setter))
        return bool(holds) and new == old._replace(debt_ceiling=new.debt_ceiling)
    if path == "terms" and contract == "CollateralAuction":
        if new == old._replace(stop=new.stop) and new.stop > old.stop:
            return bool(step.before(contract, "roles.access_control.hasRole", (GUARDIAN, sender)))
        # The smallest auction follows the debt floor.
        return new == old._replace(minimum=new.minimum) and sender == step.before(
            "VaultEngine", "roles.admin"
        )
    return False
