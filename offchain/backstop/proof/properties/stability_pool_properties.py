"""Properties of stability pools: members' balances, the price of a vault, deposits and withdrawals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from random import Random
from typing import Any, NamedTuple

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.fixed_discount_sales import DiscountSale, list_discount_sales
from backstop.proof.properties.independent_arithmetic.price_figures import list_known_prices
from backstop.proof.properties.independent_arithmetic.property_arithmetic import BASIS_POINTS, RAY
from backstop.proof.properties.lockstep_interface import LockstepLike
from backstop.proof.properties.property_registry import (
    PropertyViolationError,
    counterfactual_property,
    state_property,
    transition_property,
)
from backstop.proof.properties.stability_pool_calls import KINDS, get_pool_type
from backstop.proof.properties.what_if_steps_and_state_readings import (
    VISITOR,
    attempt_call_and_get_outcome,
    get_contract,
    list_collateral_types,
    pick_item,
    report_price,
)
from backstop.system import Snapshot

_ENGINE, _LIQUIDATIONS, _FEED = "VaultEngine", "LiquidationEngine", "PriceFeed"
_WAD, _RAD = 10**18, 10**45
_STEP, _LEAST_PRODUCT, _LEAST_COINS = 10**9, 10**27, 10**18
_BATCHES = 2**160
"""Ids of stakes from here on are of batches of entries, by their epoch; those below are addresses."""
_DUST = 10**9
"""Coins without an owner that rounding may leave, wei: one for each call of a member, and at each offset a
part of 10**27 of all coins, which are less than 2**96."""

_STATE, _STAKES, _ENTRIES = "product_sum.state", "product_sum.stakes", "waiting_entries"
_REQUESTS, _GAINS = "member_requests", "member_gains"
_SUMS = {
    "product_sum.collateral_sums": "product_sum.stake_collateral_sums",
    "product_sum.income_sums": "product_sum.stake_income_sums",
}
"""Path of a sum by scale -> path of each stake's record of it."""
_BOOKS = (_STATE, _STAKES, _ENTRIES, _REQUESTS, _GAINS, *_SUMS, *_SUMS.values())
_SOLD = "LiquidationEngine.CollateralSold"

ReadSlot = Callable[..., Any]
"""A slot of a pool, by path and key; None or zeros where nothing was written."""


class _Share(NamedTuple):
    """Share of one stake in a stability pool: coins, collateral and income, as exact fractions [wad]."""

    coins: Fraction
    collateral: Fraction
    income: Fraction


def _iter_stakes(read: ReadSlot, owner: str) -> Iterator[tuple[int, int]]:
    """Yield the id of each stake of a member, and the member's recorded coins in it [wad]."""
    stake, request = read(_STAKES, int(owner, 16)), read(_REQUESTS, owner)
    if stake is not None and stake.coins:
        yield int(owner, 16), stake.coins
    if request is not None and request.entry:
        batch = read(_STAKES, _BATCHES + request.epoch)
        if batch is not None and batch.coins:
            yield _BATCHES + request.epoch, request.entry


def _compute_shares(read: ReadSlot, owner: str) -> list[_Share]:
    """Return the current coins, collateral and income of each stake of a member.

    A stake's coins follow from the pool's running product, its gains from running sums since the stake's
    record.
    """
    state, found = read(_STATE, ()), []
    for stake_id, coins in _iter_stakes(read, owner):
        stake = read(_STAKES, stake_id)
        gains = []
        for sums, marks in _SUMS.items():
            grown = Fraction((read(sums, stake.scale) or 0) - (read(marks, stake_id) or 0))
            for later in range(1, state.scale - stake.scale + 1):
                grown += Fraction(read(sums, stake.scale + later) or 0, _STEP**later)
            gains.append(grown * coins / stake.product)
        left = Fraction(coins * state.product, stake.product * _STEP ** (state.scale - stake.scale))
        found.append(_Share(left, *gains))
    return found


def sum_whole_coins(read: ReadSlot, owner: str) -> int:
    """Return a member's active coins in a stability pool [wad], each stake rounded down."""
    return sum(share.coins.__floor__() for share in _compute_shares(read, owner))


@state_property(
    231,
    writes=[*_BOOKS, "funds.assets", "erc20.balanceOf", "balanceOf", "mechanism_of", "terms.of_types"],
)
def pool_members_own_no_more_than_there_is(snapshot: Snapshot, addresses: Mapping[str, str]) -> None:
    """Check that stability pools hold everything that their members own (property 231).

    Members own active coins, waiting deposits, income and collateral gains. Balances are exact fractions.
    Rounding may leave up to 10**9 wei of coins without owner. Waiting deposits per epoch equal the sum of
    members' entries. Raises PropertyViolationError otherwise.
    """
    names = {address: name for name, address in addresses.items()}
    for c, mechanism in snapshot[_LIQUIDATIONS].get("mechanism_of", {}).items():
        name = names.get(mechanism, "")
        if _STATE in snapshot.get(name, {}):
            _check_pool_books(snapshot, name, mechanism, snapshot[_ENGINE]["terms.of_types"][c], names)


def _check_pool_books(
    snapshot: Snapshot, name: str, address: str, terms: Any, names: Mapping[str, str]
) -> None:
    tables: Mapping[str, Mapping[Any, Any]] = snapshot[name]

    def read_slot(path: str, key: Any) -> Any:
        return tables.get(path, {}).get(key)

    gains, requests = tables.get(_GAINS, {}), tables.get(_REQUESTS, {})
    stakes = {key for key, stake in tables.get(_STAKES, {}).items() if key < _BATCHES and stake.coins}
    owners = {int(owner, 16): owner for owner in (*gains, *requests)}
    owners |= {key: f"0x{key:040x}" for key in stakes if key not in owners}
    shares = [share for owner in owners.values() for share in _compute_shares(read_slot, owner)]
    coins, state = sum(share.coins for share in shares), read_slot(_STATE, ())
    if not coins <= state.coins <= sum(share.coins.__floor__() for share in shares) + _DUST:
        raise PropertyViolationError(f"{name}: members have {float(coins)} of {state.coins} coins")
    entries, waiting = read_slot(_ENTRIES, ()), Counter[int]()
    for request in requests.values():
        batch = read_slot(_STAKES, _BATCHES + request.epoch)
        if request.entry and (batch is None or not batch.coins):
            waiting[request.epoch] += request.entry
    told = Counter[int]()
    if entries is not None:
        told.update({entries.older_epoch: entries.older})
        told.update({entries.newer_epoch: entries.newer})
    if +waiting != +told or (+told and not state.has_entries):
        raise PropertyViolationError(f"{name}: {dict(waiting)} wait by epoch, noted are {entries}")
    income = sum(share.income for share in shares) + sum(each.income for each in gains.values())
    assets = tables.get("funds.assets", {}).get(())
    owed = state.coins + sum(waiting.values()) + (assets.booked if assets else 0) + income
    held = snapshot["Stablecoin"].get("erc20.balanceOf", {}).get(address, 0)
    if owed > held:
        raise PropertyViolationError(f"{name}: {float(owed)} stablecoin are its members', {held} are held")
    collateral = sum(share.collateral for share in shares) + sum(each.collateral for each in gains.values())
    token = snapshot[names[terms.token]]
    units = token.get("balanceOf", token.get("erc20.balanceOf", {})).get(address, 0)
    if collateral > units * 10 ** (18 - terms.decimals):
        raise PropertyViolationError(f"{name}: {float(collateral)} collateral is its members', {units} held")


class _Offset(NamedTuple):
    """Vault directly before a stability pool repays its debt, and the coins that the pool may spend."""

    pool: Any
    normalized_debt: int  # wad
    locked: int  # wad
    rate: int  # ray
    floor: int  # rad
    price: int  # ray, the highest that is known
    unit: int  # wad
    room: int  # wad of coins that may be offset

    @property
    def debt(self) -> int:
        """Whole debt of the vault [rad]."""
        return self.normalized_debt * self.rate

    @property
    def rounding(self) -> int:
        """Tolerance of a payment [wei]: two units of collateral and two of normalized debt, plus 3 wei."""
        per_unit = max(self.unit * self.price, self.unit * self.debt // self.locked)
        return int(2 * (self.rate + per_unit) // RAY + 3)

    def compute_price(self, debt: int) -> int:
        """Return the collateral [wad] that the pool gets for a debt [rad].

        It is worth the debt plus the penalty, rounded up to a unit. It is at most all collateral of the
        vault.
        """
        exact = Fraction(debt * (BASIS_POINTS + self.pool.penalty), self.price * BASIS_POINTS * self.unit)
        return int(min(self.locked, exact.__ceil__() * self.unit))

    def compute_reward(self, collateral: int) -> int:
        """Return the liquidator's part of the collateral [wad], rounded down to a unit."""
        exact = Fraction(collateral * self.pool.reward, BASIS_POINTS * self.unit)
        return int(exact.__floor__() * self.unit)

    def compute_due(self, debt: int, collateral: int) -> int:
        """Return the pool's payment [wad] for a debt [rad] and collateral [wad].

        It is the debt, or the collateral's value after the liquidator's reward if that is less, each rounded
        up. The naive pool InstantStabilityPool always pays the whole debt.
        """
        whole = Fraction(debt, RAY).__ceil__()
        if self.pool.KIND == "InstantStabilityPool":
            return whole
        worth = Fraction((collateral - self.compute_reward(collateral)) * self.price, RAY).__ceil__()
        return int(min(whole, worth))

    @property
    def can_take_whole(self) -> bool:
        """Whether the pool has enough coins to repay the whole debt."""
        return 0 < self.room >= self.compute_due(self.debt, self.compute_price(self.debt))


def _read_offset(
    step: Transition, pool: Any, owner: str, coins: int, sold: tuple[int, int] = (0, 0)
) -> _Offset:
    """Return a vault as it was before a sale to a stability pool.

    `sold` is the normalized debt and the collateral that earlier sales of the step took from the same vault.
    """
    c = pool.collateral_type
    vault, terms = (
        step.read_pre_state(_ENGINE, "vaults", (c, owner)),
        step.read_post_state(_ENGINE, "terms.of_types", c),
    )
    return _Offset(
        pool,
        vault.normalized_debt - sold[0],
        vault.locked_collateral - sold[1],
        step.read_post_state(_ENGINE, "ledger.debts", c).accumulated_rate,
        terms.debt_floor * _RAD,
        max(list_known_prices(step, c)),
        10 ** (18 - terms.decimals),
        max(0, coins - _LEAST_COINS),
    )


@transition_property(232, writes=[_STATE, "product_sum.collateral_sums"], events=[_SOLD])
def pool_pays_no_more_than_vaults_are_worth(step: Transition, changes: Changes) -> None:
    """Check the price and size of each repayment by a stability pool (property 232).

    The pool pays the debt, but no more than the collateral is worth without the liquidator's reward. It
    spends all its coins but one at most, up to rounding. It gets collateral worth the debt and the penalty. A
    partial repayment and the remaining debt are each at least the debt floor. The naive pool
    InstantStabilityPool pays the whole debt. The product and the sums, from which members' balances follow,
    change only in liquidations. Raises PropertyViolationError otherwise.
    """
    called = get_pool_type(step) is not None and step.action.method == "liquidate"
    for path in (_STATE, "product_sum.collateral_sums"):
        for name, _, old, new in changes.get(path, ()):
            offsets = path != _STATE or (old.product, old.scale) != (new.product, new.scale)
            if offsets and not (called and name == step.action.contract):
                raise PropertyViolationError(f"{name}: {path} became {new} of {old} without a liquidation")
    if not called:
        return
    name = step.action.contract
    pool, old, new = (
        step.get_contract(name),
        *(read(name, _STATE) for read in (step.read_pre_state, step.read_post_state)),
    )
    product, coins, scale = old.product, old.coins + _sum_admitted(step, name), old.scale
    sold, growth = dict[str, tuple[int, int]](), Counter[int]()
    for sale in list_discount_sales(step):
        before = _read_offset(step, pool, sale.owner, coins, sold.get(sale.owner, (0, 0)))
        _check_pool_sale(sale, before)
        normalized, locked = sold.get(sale.owner, (0, 0))
        sold[sale.owner] = normalized + sale.principal // before.rate, locked + sale.collateral
        sent = sale.collateral - sale.fee
        if sent:
            growth[scale] += product * (sent - before.compute_reward(sent)) // coins
            product, scale = _offset_coins(product, scale, coins, sale.paid)
        coins -= sale.paid
    if (new.product, new.scale, new.coins) != (product, scale, coins) or product < _LEAST_PRODUCT:
        raise PropertyViolationError(f"{name}: {new}, not {(product, scale, coins)}, is left of {old}")
    if coins < min(old.coins, _LEAST_COINS):
        raise PropertyViolationError(f"{name}: less than a coin is left: {coins} wei")
    for each in {*growth, *(change.key for change in changes.get("product_sum.collateral_sums", ()))}:
        slot = name, "product_sum.collateral_sums", each
        found = step.read_post_state(*slot) - step.read_pre_state(*slot)
        if found != growth[each]:
            raise PropertyViolationError(f"{name}: sum {each} grew by {found}, not {growth[each]}")


def _offset_coins(product: int, scale: int, coins: int, paid: int) -> tuple[int, int]:
    """Return a stability pool's product and scale after it spends `paid` of its coins [wad].

    The product is the share of coins that each deposit still has. It is multiplied by 1e9 when it becomes
    small, and the scale counts these steps.
    """
    left = Fraction(product * (coins - paid), coins)
    while left < _LEAST_PRODUCT:
        left, scale = left * _STEP, scale + 1
    return left.__floor__(), scale


def _sum_admitted(step: Transition, pool: str) -> int:
    return sum(
        log.values[0] for log in step.outcome.logs if (log.contract, log.event) == (pool, "EntriesAdmitted")
    )


def _check_pool_sale(sale: DiscountSale, before: _Offset) -> None:
    """Check one sale to a stability pool: whole debt, part, or write-off of the unpaid rest.

    Raises PropertyViolationError if debt, collateral or payment break the pool's rules.
    """
    whole, rounding = before.compute_price(before.debt), before.rounding
    if before.can_take_whole:
        due = before.compute_due(before.debt, whole)
        if (sale.principal, sale.collateral, sale.paid, sale.fee) != (before.debt, whole, due, 0):
            raise PropertyViolationError(f"{sale} is not {before.debt} rad for {due}, and {whole} collateral")
        return
    sent = sale.collateral - sale.fee
    if sale.paid > min(before.room, before.compute_due(sale.principal, sent)):
        raise PropertyViolationError(f"{sale} is not worth what is paid, or more than {before.room}")
    if before.pool.has_write_off:
        if (sale.principal, sale.collateral) != (before.debt, whole) or sale.paid < before.room - rounding:
            raise PropertyViolationError(f"{sale} is not all of {before}, for all coins")
        return
    left = before.debt - sale.principal
    if min(sale.principal, left) < before.floor or sale.fee:
        raise PropertyViolationError(f"{sale} is a part under the floor, or leaves one, of {before}")
    if sale.collateral * before.price * BASIS_POINTS > sale.principal * (BASIS_POINTS + before.pool.penalty):
        raise PropertyViolationError(f"{sale} is more collateral than a part's debt and the penalty")
    # A part is as much as the coins pay, or as leaves the floor.
    if min(before.room - sale.paid, (left - before.floor) // RAY) > rounding:
        raise PropertyViolationError(f"{sale} is a smaller part of {before} than its coins pay")


def is_debt_at_risk(step: Transition, collateral_type: int) -> bool:
    """Return whether debt of the type was flagged before the step, or a price had just dropped."""
    flagged = step.read_pre_state(_LIQUIDATIONS, "vault_flags.of_types", collateral_type)
    until = step.read_pre_state(_FEED, "price_drops.times").withdrawals_paused_until
    return bool(flagged) or step.model.timestamp < until


@transition_property(
    233,
    writes=[_STAKES, _ENTRIES, _REQUESTS, _GAINS],
    events=["*.EntriesAdmitted", "*.Withdrawn", "*.Deposited"],
)
def pool_members_come_and_go_at_their_time(step: Transition, changes: Changes) -> None:
    """Check when deposits enter and withdrawals leave a stability pool (property 233).

    A deposit becomes active two epochs later. A withdrawal is paid a cooldown after its request. Neither
    happens while debt of the type is flagged or shortly after a price drop. A request covers active coins
    only, and a later deposit restarts its waiting time. In settlement all members may leave at once. Calls of
    other accounts change no member's balance. The naive pool InstantStabilityPool, built for comparison, is
    exempt. Raises PropertyViolationError otherwise.
    """
    touched = {log.contract for log in step.outcome.logs if log.event == "EntriesAdmitted"}
    paths = (_STAKES, _ENTRIES, _REQUESTS, _GAINS)
    touched |= {change.contract for path in paths for change in changes.get(path, ())}
    for name in sorted(touched):
        pool = step.get_contract(name)
        if pool.KIND == "StabilityPool":
            _check_admission(step, name, pool)
            _check_concerned_member(step, name, changes)
            if name == step.action.contract:
                _check_member_call(step, name, pool)


def _is_settling(step: Transition, pool: Any) -> bool:
    return bool(step.read_pre_state(_ENGINE, "terms.of_types", pool.collateral_type).settling)


def _check_admission(step: Transition, name: str, pool: Any) -> None:
    """Check that deposits become active exactly when they have waited long enough.

    None may become active while debt is at risk, and in settlement all do. Raises PropertyViolationError
    otherwise.
    """
    entries = step.read_pre_state(name, _ENTRIES)
    admitted = any((log.contract, log.event) == (name, "EntriesAdmitted") for log in step.outcome.logs)
    epoch_now, is_settling = step.model.timestamp // pool.entry_delay, _is_settling(step, pool)
    last = epoch_now if is_settling and step.action.method == "withdraw" else epoch_now - 2
    parts = ((entries.older_epoch, entries.older), (entries.newer_epoch, entries.newer))
    due = sum(amount for epoch, amount in parts if epoch <= last)
    is_at_risk = not is_settling and is_debt_at_risk(step, pool.collateral_type)
    if admitted and (is_at_risk or _sum_admitted(step, name) != due):
        raise PropertyViolationError(f"{name} admits {_sum_admitted(step, name)} of {entries}, {due} are due")


def _check_concerned_member(step: Transition, name: str, changes: Changes) -> None:
    """Check that a call changes only the stake, request and gains of its own member.

    Raises PropertyViolationError otherwise.
    """
    contract, method, args, sender = step.action
    member = args[0] if method == "withdraw" else sender
    called = contract == name and method in ("deposit", "request_withdrawal", "claim", "withdraw")
    for path in (_STAKES, _REQUESTS, _GAINS):
        for change in changes.get(path, ()):
            if change.contract != name:
                continue
            if path == _STAKES and change.key >= _BATCHES:
                epochs = step.read_pre_state(name, _ENTRIES)
                if change.key - _BATCHES not in (epochs.older_epoch, epochs.newer_epoch):
                    raise PropertyViolationError(f"{name}: a batch of {change} was never there")
                continue
            key = int(change.key, 16) if isinstance(change.key, str) else change.key
            if not called or key != int(member, 16):
                raise PropertyViolationError(f"{sender} changed {name} {path}[{change.key}]")


def _check_member_call(step: Transition, name: str, pool: Any) -> None:
    method, args, sender = step.action.method, step.action.args, step.action.sender
    now, c = step.model.timestamp, pool.collateral_type
    owner = args[0] if method == "withdraw" else sender
    old, new = (read(name, _REQUESTS, owner) for read in (step.read_pre_state, step.read_post_state))
    enters = method == "deposit" or (method == "claim" and args[1] and step.outcome.value[1])
    if enters:
        if is_debt_at_risk(step, c) or new.epoch != now // pool.entry_delay:
            raise PropertyViolationError(f"{name}: {owner} comes in while debt is at risk, or with {new}")
        more = args[0] if method == "deposit" else step.outcome.value[1]
        if new.entry not in (more, more + old.entry):
            raise PropertyViolationError(f"{name}: {owner} puts in {more}, and {old} became {new}")
    ready_at = old.ready_at
    if method == "request_withdrawal":
        # Not sooner than a deposit has made an open request wait.
        ready_at = max(old.ready_at, now + pool.cooldown)
        coins = sum_whole_coins(lambda path, key: step.read_pre_state(name, path, key), owner)
        if not old.withdrawal < new.withdrawal <= max(coins, old.withdrawal) or (
            new.withdrawal - old.withdrawal > args[0]
        ):
            raise PropertyViolationError(f"{name}: {owner} asks for {args[0]} of {coins}: {old} became {new}")
    elif method == "withdraw":
        ready_at = 0
        _check_withdrawal(step, name, pool, owner)
    elif enters and old.withdrawal:
        ready_at = now + 2 * pool.entry_delay + pool.cooldown
    if new.ready_at != ready_at:
        raise PropertyViolationError(f"{name}: {owner} is to be paid from {new.ready_at}, not {ready_at}")
    if method != "request_withdrawal" and new.withdrawal != (0 if method == "withdraw" else old.withdrawal):
        raise PropertyViolationError(f"{name}: {method} made {new} of {old}")


def _check_withdrawal(step: Transition, name: str, pool: Any, owner: str) -> None:
    """Check that a withdrawal pays at most the requested coins, after the cooldown.

    In settlement it must pay all coins. Raises PropertyViolationError otherwise.
    """
    request, paid = step.read_pre_state(name, _REQUESTS, owner), step.outcome.value
    if _is_settling(step, pool):
        left = step.read_post_state(name, _STAKES, int(owner, 16))
        if left.coins or step.read_post_state(name, _REQUESTS, owner).entry:
            raise PropertyViolationError(f"{name}: {owner} leaves in settlement, and {left} is left")
        return
    late = step.model.timestamp >= request.ready_at and request.withdrawal
    if not late or is_debt_at_risk(step, pool.collateral_type) or paid > request.withdrawal:
        raise PropertyViolationError(f"{name}: {owner} is paid {paid} of {request} before its time")


@transition_property(234, calls=["LiquidationEngine.liquidate"])
def no_vault_is_auctioned_that_pool_takes(step: Transition, changes: Changes) -> None:
    """Check that no vault is auctioned while the stability pool could repay its debt (property 234).

    A pool with write-offs takes each vault. Nothing is checked at a stale price, at which pools take no
    vault. Raises PropertyViolationError otherwise.
    """
    if not step.is_call(_LIQUIDATIONS, "liquidate"):
        return
    c, owner = step.action.args[:2]
    mechanism: Any = step.model.world.addresses.get(step.read_pre_state(_LIQUIDATIONS, "mechanism_of", c))
    fresh = step.model.timestamp <= step.read_pre_state(_FEED, "prices", c).fresh_until
    if mechanism is None or mechanism.KIND not in KINDS or not fresh:
        return
    coins = step.read_pre_state(mechanism.label, _STATE).coins
    before = _read_offset(step, mechanism, owner, coins)
    part = min(before.room * RAY, before.debt - before.floor) - before.rounding * RAY
    if mechanism.has_write_off or before.can_take_whole or part >= max(before.floor, 1):
        raise PropertyViolationError(f"vault {c, owner} is auctioned; {mechanism.label} takes {before}")


@counterfactual_property(235)
def offset_order_changes_no_member(lockstep: LockstepLike, random: Random) -> bool:
    """Check that the order of liquidations changes no stability pool member's balance (property 235).

    The trial liquidates two random vaults in either order at one price, on a fork of model and chain. The
    tolerance is 10**3 wei of coins and of collateral. Returns False if no two vaults qualify or the pool has
    too few coins for both. Raises PropertyViolationError if a balance differs.
    """
    c = pick_item(random, [c for c in list_collateral_types(lockstep) if _find_pool(lockstep, c) is not None])
    if c is None or not get_contract(lockstep, _FEED).configs[c].reporters:
        return False
    pool, engine = _find_pool(lockstep, c), get_contract(lockstep, _ENGINE)
    rate, room = engine.debts[c].accumulated_rate, (pool.totalSupply(VISITOR) - 2 * _LEAST_COINS) * RAY
    vaults = {
        owner: vault
        for (at, owner), vault in engine.vaults.items()
        if at == c and vault.locked_collateral and 0 < vault.normalized_debt * rate <= room
    }
    if len(vaults) < 2:
        return False
    pair, ratio = random.sample(list(vaults), 2), engine.terms[c].liquidation_ratio
    if sum(vaults[owner].normalized_debt for owner in pair) * rate > room:
        return False
    edges = [
        vaults[owner].normalized_debt * rate * ratio // (vaults[owner].locked_collateral * BASIS_POINTS)
        for owner in pair
    ]
    price = min(edges) * random.choice((99, 90, 70, 40)) // 100
    with lockstep.fork_state():
        if price == 0 or not report_price(lockstep, c, price):
            return False
        # Deposits that have waited and vested income count in both orders.
        attempt_call_and_get_outcome(lockstep, pool.label, "claim", VISITOR, False, by=VISITOR)
        ends = []
        for owners in (pair, pair[::-1]):
            with lockstep.fork_state():
                done = attempt_call_and_get_outcome(
                    lockstep, pool.label, "liquidate", tuple(owners), VISITOR, by=VISITOR
                )
                if not done.ok or any(engine.vaults[c, owner].normalized_debt for owner in pair):
                    return False
                if pool.totalSupply(VISITOR) < 2 * _LEAST_COINS:
                    return False  # too few for both, perhaps
                members = {f"0x{key:040x}" for key in pool.stakes if key < _BATCHES} | {*pool.member_requests}
                ends.append({who: lockstep.view(pool.label, "member_of", who) for who in members})
    for who, one in ends[0].items():
        other = ends[1][who]
        if abs(one.coins - other.coins) > 10**3 or abs(one.collateral - other.collateral) > 10**3:
            raise PropertyViolationError(f"{pool.label}: {who} has {one} or {other}, by the order of {pair}")
    return True


def _find_pool(lockstep: LockstepLike, collateral_type: int) -> Any:
    """Return the stability pool of a collateral type, or None if the type has none."""
    mechanism = get_contract(lockstep, _LIQUIDATIONS).mechanisms[collateral_type]
    found: Any = lockstep.model.world.addresses.get(mechanism)
    return found if found is not None and found.KIND in KINDS else None
