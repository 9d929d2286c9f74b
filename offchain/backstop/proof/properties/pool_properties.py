"""Properties of pools, of one successful step and of a history: prices, rounding, and waiting."""

from __future__ import annotations

from collections import Counter, defaultdict
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.listed_types import decode_listed_types
from backstop.proof.properties import stage_payment_order
from backstop.proof.properties.independent_arithmetic import batch_figures
from backstop.proof.properties.independent_arithmetic.batch_figures import VIRTUAL_ASSETS as _ASSETS
from backstop.proof.properties.independent_arithmetic.batch_figures import VIRTUAL_SHARES as _SHARES
from backstop.proof.properties.independent_arithmetic.debt_at_risk_figures import (
    compute_debt_at_risk,
    has_known_loss_before_step,
)
from backstop.proof.properties.independent_arithmetic.property_arithmetic import RAY
from backstop.proof.properties.property_registry import (
    PropertyViolationError,
    history_property,
    transition_property,
)

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

_WAYS_IN, _WAYS_OUT = ("deposit", "mint"), ("redeem", "withdraw")
_PAY_AT_ONCE = ("Pool", "ClawbackStage")
POOLS = ("Pool", "EquityPool")
_OF_BATCHES = ("line.batches", "line.requests", "line.queue", "line.claimed", "token.state")


@transition_property(31, events=["*.Deposit", "*.Withdraw"])
def conversions_round_against_caller(step: Transition, changes: Changes) -> None:
    """Check that a pool exchanges shares and assets at its price (property 31).

    A deposit is priced at the vested assets, a withdrawal at these less its part of known losses. The result
    is rounded against the caller by less than one unit. If the known losses are only estimated, the caller
    may lose more, but never gains. Raises PropertyViolationError otherwise.
    """
    pool, method = step.action.contract, step.action.method
    if method not in _WAYS_IN + _WAYS_OUT or not _is_pool(step, pool):
        return
    if method in _WAYS_OUT and step.get_contract(pool).cooldown:
        return  # a claim: no shares are exchanged
    before = step.read_pre_state(pool, "token.state")
    direct = step.get_contract(pool).KIND != "EquityPool"
    held = batch_figures.compute_vested_assets_after_exits(step.read_pre_state, pool, step.model.timestamp)
    if method in _WAYS_IN and not direct:
        held += _compute_auctioned_equity(step, step.read_pre_state, pool)
    # Shares are divided before an entry; who enters where all shares are void finds nothing.
    present = step.read_post_state(pool, "token.state").generation
    supply = batch_figures.convert_shares(before.supply, before.generation, present)
    if present - before.generation >= batch_figures.VOID:
        held = 0
    if method in _WAYS_IN:
        _check_share_division_count(pool, before.supply, present - before.generation, held)
    settling = step.read_pre_state("LossWaterfall", "books").settlement == 1
    ours = _is_waterfall_pool(step, pool)
    exact = ours and (direct or not (settling or has_known_loss_before_step(step)))
    if method in _WAYS_OUT:
        taken, known = (
            _compute_known_losses_and_exactness(step, pool, held) if direct and ours else (0, exact)
        )
        held, exact = held - min(held, taken), known
    for log in step.outcome.logs:
        if log.contract != pool or log.event not in ("Deposit", "Withdraw"):
            continue
        assets, shares = log.values[-2:]
        left, right = assets * (supply + _SHARES), shares * (held + _ASSETS)
        if log.event == "Deposit":
            fair = right <= left
            # The last unit that was rounded away: a share, or a wei.
            near = left - right < (held + _ASSETS if method == "deposit" else supply + _SHARES)
        else:
            fair = left <= right
            near = right - left < (supply + _SHARES if method == "redeem" else held + _ASSETS)
        if not fair or (exact and not near):
            raise PropertyViolationError(
                f"{pool}: {method} of {assets} for {shares} at {held} for {supply} shares"
            )


def _check_share_division_count(pool: str, supply: int, division_count: int, held_assets: int) -> None:
    """Check that a pool divided its shares as many times as its low price requires.

    After the divisions one wei may be worth at most MOST_SHARES shares. Raises PropertyViolationError
    otherwise.
    """
    most, left = (
        batch_figures.MOST_SHARES * (held_assets + _ASSETS),
        batch_figures.convert_shares(supply, 0, division_count),
    )
    # One time less would have been enough, or one more is needed.
    idle = (
        0 < division_count < batch_figures.VOID
        and batch_figures.convert_shares(supply, 0, division_count - 1) + _SHARES <= most
    )
    if idle or left + _SHARES > most:
        raise PropertyViolationError(
            f"{pool}: {supply} shares were divided {division_count} times at {held_assets}, to {left}"
        )


@transition_property(32, writes=["funds.assets", "token.state"])
def share_prices_rise_only_with_time(step: Transition, changes: Changes) -> None:
    """Check that no call raises a pool's share price by more than rounding (property 32).

    Income counts as it vests. Nothing is checked while a loss is known or while settlement is in progress.
    Raises PropertyViolationError otherwise.
    """
    if not {"funds.assets", "token.state"} & changes.keys() or has_known_loss_before_step(step):
        return
    if step.read_pre_state("LossWaterfall", "books").settlement == 1:
        return
    now = step.model.timestamp
    for pool in sorted(
        {each.contract for path in ("funds.assets", "token.state") for each in changes.get(path, ())}
    ):
        if not _is_pool(step, pool) or not _is_waterfall_pool(step, pool):
            continue
        old, new = step.read_pre_state(pool, "token.state"), step.read_post_state(pool, "token.state")
        if old.generation != new.generation:
            continue
        if any(log.contract == pool and log.event == "Restored" for log in step.outcome.logs):
            continue
        before = batch_figures.compute_vested_assets_after_exits(step.read_pre_state, pool, now) + _ASSETS
        after = batch_figures.compute_vested_assets_after_exits(step.read_post_state, pool, now) + _ASSETS
        if step.get_contract(pool).KIND == "EquityPool" and new.supply >= old.supply:
            # What is on sale is the members': an entry pays for a part of it, and an exit leaves its own.
            before += _compute_auctioned_equity(step, step.read_pre_state, pool)
            after += _compute_auctioned_equity(step, step.read_post_state, pool)
        unit = max(before, after) + old.supply + _SHARES
        # What rounding takes of groups, a wei or two of each, is the members'.
        unit *= 2 + 2 * (old.open + (new.open > old.open))
        if after * (old.supply + _SHARES) > before * (new.supply + _SHARES) + unit:
            raise PropertyViolationError(
                f"{pool}: {before} of {old.supply} shares became {after} of {new.supply}"
            )


@history_property(33, writes=_OF_BATCHES)
class PoolExitWaitsForItsBatch:
    """Checker that shares leave a pool with a cooldown only through their exit batch (property 33).

    A batch holds the withdrawal requests of one period and then waits. Its members together claim no more
    than the batch's payment, each its own part. The checker keeps its own clock.
    """

    def __init__(self, model: ModelSystem) -> None:
        # (pool, batch) -> when it began to collect, or was cut; owner -> shares.
        self._began: dict[tuple[str, int], int] = {}
        self._cut: dict[tuple[str, int], int] = {}
        self._asked: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
        # (pool, batch) -> what its members may be paid at most: what it held at its cut; none while unknown.
        self._most: dict[tuple[str, int], int] = {}
        # What a pool has paid, and what was claimed of it; (pool, controller) -> what was claimed.
        self._paid: Counter[str] = Counter()
        self._taken: Counter[str] = Counter()
        self._claimed: Counter[tuple[str, str]] = Counter()
        # Pools whose shares were divided or were under way before: shares of then are counted otherwise.
        self._unknown: set[str] = set()
        for name, contract in model.world.contracts.items():
            if contract.KIND not in POOLS:
                continue
            tables = contract.tables
            queue = tables["line.queue"][()]
            for batch_id, batch in tables["line.batches"].items():
                known = self._cut if batch_id < queue.collecting else self._began
                known[name, batch_id] = batch.since
                self._unknown.add(name)
            self._paid[name] = queue.owed

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Count the requested, batched, paid and claimed shares of this step, and check them.

        Raises PropertyViolationError if a batch closes or is paid too early, or members claim too much.
        """
        if changes.keys().isdisjoint(_OF_BATCHES):
            return
        for log in step.outcome.logs:
            if not _is_pool(step, log.contract):
                continue
            if log.event == "RedeemRequest":
                controller, _, batch_id, _, shares = log.values
                self._began.setdefault((log.contract, batch_id), step.model.timestamp)
                self._asked[log.contract, batch_id][controller] += shares
            elif log.event == "BatchCut":
                self._check_batch_cut_timing_shares(step, log.contract, *log.values)
            elif log.event == "BatchPaid":
                self._paid[log.contract] += log.values[2]
                self._check_due_batches_have_waited(step, log.contract, log.values[1])
            elif log.event == "RoundPaid":
                self._paid[log.contract] += log.values[3]
            elif log.event == "Withdraw" and step.get_contract(log.contract).cooldown:
                self._check_claim_within_batch_payment(log.contract, log.values[2], log.values[3])
            elif log.event in ("NewGeneration", "SharesDivided"):
                self._unknown.add(log.contract)
        for pool, _, _, queue in changes.get("line.queue", ()):
            # Of equity a batch is due once its time is over, and paid with all that are.
            if step.get_contract(pool).KIND == "EquityPool":
                self._check_due_batches_have_waited(step, pool, queue.unsettled)

    def _check_batch_cut_timing_shares(
        self, step: Transition, pool: str, batch_id: int, shares: int, assets: int
    ) -> None:
        now, cooldown = step.model.timestamp, step.get_contract(pool).cooldown
        period = max(min(batch_figures.DAY, cooldown), cooldown // 8)
        began, asked = self._began.pop((pool, batch_id), now), self._asked[pool, batch_id].total()
        if began + period > now:
            raise PropertyViolationError(
                f"{pool}: batch {batch_id} is cut {now - began} s after its first request"
            )
        if pool not in self._unknown and shares != asked:
            raise PropertyViolationError(
                f"{pool}: {shares} are cut of the {asked} shares committed to batch {batch_id}"
            )
        self._cut[pool, batch_id] = now
        if step.get_contract(pool).KIND == "Pool":
            self._most[pool, batch_id] = assets

    def _check_due_batches_have_waited(self, step: Transition, pool: str, end_batch_id: int) -> None:
        """Check that each batch before `end_batch_id` that becomes due has waited for its full time.

        Batches that a loss emptied before are exempt. Raises PropertyViolationError otherwise.
        """
        now, wait = step.model.timestamp, step.get_contract(pool).cooldown + batch_figures.LOOK
        for key in [key for key in self._cut if key[0] == pool and key[1] < end_batch_id]:
            cut = self._cut.pop(key)
            ended = step.read_pre_state(pool, "line.queue").unsettled > key[1]
            if cut + wait > now and not ended:
                raise PropertyViolationError(
                    f"{pool}: batch {key[1]} is due {now - cut} s after its cut, before {wait} s"
                )

    def _check_claim_within_batch_payment(self, pool: str, controller: str, assets: int) -> None:
        self._claimed[pool, controller] += assets
        self._taken[pool] += assets
        if self._taken[pool] > self._paid[pool]:
            raise PropertyViolationError(
                f"{pool}: {self._taken[pool]} are claimed, {self._paid[pool]} were paid"
            )
        if pool in self._unknown:
            return
        # A batch that is not cut has nothing to pay; of equity what a batch is paid was not said at its cut.
        mine = [(self._most[key], self._asked[key]) for key in self._most if key[0] == pool]
        most = sum(held * each[controller] // each.total() + 1 for held, each in mine if each[controller])
        if mine and self._claimed[pool, controller] > most:
            claimed = self._claimed[pool, controller]
            raise PropertyViolationError(
                f"{pool}: {controller} has claimed {claimed} of batches that held {most}"
            )


@transition_property(34, events=["*.LossAbsorbed", "*.IncomeClawedBack"])
def depositors_bear_exactly_the_covered_loss(step: Transition, changes: Changes) -> None:
    """Check that a pool pays exactly the loss that it covers, to the wei (property 34).

    Its members get recovery claims for their part of the loss. The rest is the part of the virtual shares
    that each pool has. Raises PropertyViolationError otherwise.
    """
    if (step.action.contract, step.action.method) not in (
        ("LossWaterfall", "cover"),
        ("Settlement", "fix_redemption_rates"),
    ):
        return
    absorbed = [
        log
        for log in step.outcome.logs
        if log.event in ("LossAbsorbed", "IncomeClawedBack") and _is_pool(step, log.contract)
    ]
    if not absorbed:
        return
    _check_member_claims_for_loss(step)
    burned: Counter[str] = Counter()
    for log in absorbed:
        burned[log.contract] += log.values[1]
    for pool, assets in burned.items():
        given = (
            step.read_pre_state(pool, "funds.assets").booked
            - step.read_post_state(pool, "funds.assets").booked
        )
        # What its members have left, if they lost all, is the reserve's.
        left = sum(
            log.values[2] for log in step.outcome.logs if (log.contract, log.event) == (pool, "NewGeneration")
        )
        if given != assets + left:
            raise PropertyViolationError(
                f"{pool} says that it gave {assets} and {left}, and has {given} less"
            )
        _check_batches_bear_equal_loss(step, pool)
    covered = sum(
        each.values[3]
        for each in step.outcome.logs
        if (each.contract, each.event) == ("LossWaterfall", "LossCovered")
        and stage_payment_order.get_stage_contract_model(step, each.values[2]).label
        in (*burned, "ClawbackStage")
    )
    if not covered <= burned.total() * RAY < covered + len(absorbed) * RAY:
        raise PropertyViolationError(f"{sorted(burned)} gave {burned.total()} wei for {covered} rad")


def _check_member_claims_for_loss(step: Transition) -> None:
    assets: dict[str, int] = {}
    for log in step.outcome.logs:
        if log.event == "LossAbsorbed":
            assets[f"{log.contract}.Claims"] = log.values[1]
        elif log.event == "LossRecorded" and log.values[2]:
            pool = log.contract.removesuffix(".Claims")
            # Where batches end inside a loss, what is left of it is recorded in parts.
            parts = step.read_pre_state(pool, "token.state").open
            leaving = sum(
                group.units for group in batch_figures.list_open_batch_groups(step.read_pre_state, pool)
            )
            shares = step.read_pre_state(pool, "token.state").supply + leaving
            lost = assets.get(log.contract, 0)
            if not parts and log.values[1] != lost * shares // (shares + _SHARES):
                raise PropertyViolationError(
                    f"{log.contract}: {log.values[1]} are owed for {lost} of {shares} shares"
                )
            assets[log.contract] = lost - log.values[1]
            if assets[log.contract] < 0:
                raise PropertyViolationError(f"{log.contract}: more is owed than the {lost} that were lost")


def _check_batches_bear_equal_loss(step: Transition, pool: str) -> None:
    """Check that shares in exit batches bear the same loss per share as live shares.

    The tolerance is about a wei for each batch. Raises PropertyViolationError otherwise.
    """
    lost = sum(
        log.values[1] for log in step.outcome.logs if (log.contract, log.event) == (pool, "LossAbsorbed")
    )
    old, new = step.read_pre_state(pool, "token.state"), step.read_post_state(pool, "token.state")
    if not old.open or not lost or old.generation != new.generation:
        return
    now, each = step.model.timestamp, batch_figures.compute_loss_per_share(step.read_pre_state, pool, lost)
    left = {group.id: group for group in batch_figures.list_open_batch_groups(step.read_post_state, pool)}
    for group in batch_figures.list_open_batch_groups(step.read_pre_state, pool):
        before, now_held = batch_figures.compute_group_assets(step.read_pre_state, pool, group), Fraction(0)
        if group.id in left:
            now_held = batch_figures.compute_group_assets(step.read_post_state, pool, left[group.id])
        if abs(before - now_held - min(before, each * group.units)) > 1:
            lost_here = float(before - now_held)
            raise PropertyViolationError(
                f"{pool}: batch {group.id} bears {lost_here} of {lost}, not its part"
            )
    bears = batch_figures.compute_vested_assets_after_exits(
        step.read_pre_state, pool, now
    ) - batch_figures.compute_vested_assets_after_exits(step.read_post_state, pool, now)
    if abs(bears - each * (old.supply + _SHARES)) > 2 + old.open and bears > _ASSETS:
        raise PropertyViolationError(
            f"{pool}: {old.supply} live shares bear {bears} of {lost}, not their part"
        )


@transition_property(74, events=["*.NewGeneration"])
def new_share_generation_starts_empty(step: Transition, changes: Changes) -> None:
    """Check that no assets are left for the next depositor once all shares are void (property 74).

    Shares become void when a loss takes all of a pool. Raises PropertyViolationError otherwise.
    """
    for log in step.outcome.logs:
        if log.event != "NewGeneration" or not _is_pool(step, log.contract):
            continue
        brought = sum(
            each.values[2]
            for each in step.outcome.logs
            if (each.contract, each.event) == (log.contract, "Deposit")
        )
        found = step.read_post_state(log.contract, "funds.assets")
        if found.booked != brought or found.unvested:
            raise PropertyViolationError(f"{log.contract}: {found} is there for {brought} that were brought")


def _compute_known_losses_and_exactness(step: Transition, pool: str, held_assets: int) -> tuple[int, bool]:
    """Return the known losses that will reach a pool [wad, rounded up], and whether they are exact.

    Known losses are deficits and debt at risk after the payments of all earlier stages.
    """
    books = step.read_pre_state("LossWaterfall", "books")
    if books.settlement == 1:
        return held_assets, True
    if books.settlement == 2:
        return 0, True
    address = step.get_contract(pool).address
    left = {}
    types = range(step.read_pre_state("VaultEngine", "terms.collateral_types"))
    for c in decode_listed_types(step.read_pre_state("VaultEngine", "terms.listed")):
        deficit = step.read_pre_state("VaultEngine", "ledger.deficit", c)
        mine = step.read_pre_state("LossWaterfall", "reservations", (c, address)).amount
        left[c] = deficit - min(deficit, mine) + compute_debt_at_risk(step, step.read_pre_state, c)
    exact, pooled = True, False
    for k in step.read_pre_state("LossWaterfall", "lineup").ids:
        terms = step.read_pre_state("LossWaterfall", "stages", k)
        owed = sum(step.read_pre_state("LossWaterfall", "missed", (k, c)) for c in types)
        if terms.stage == address:
            return -(-(sum(left.values()) + owed) // RAY), exact
        # Nobody counts on borrowers, nor on a type's own account once something pays for all types.
        pooled = pooled or bool(terms.pooled)
        alone = not terms.pooled and (pooled or not terms.lifted)
        if terms.asynchronous or owed or alone:
            continue
        kind = stage_payment_order.get_stage_contract_model(step, k).KIND
        exact = exact and (kind == "LedgerStage" or kind in _PAY_AT_ONCE)
        spent = 0
        for c in left:
            if not left[c]:
                continue
            capacity, more = stage_payment_order.compute_capacity(step, k, c), spent if terms.pooled else 0
            room = stage_payment_order.compute_cap_room(step, k, c, max(capacity, more), more)
            capacity -= min(capacity, more)
            paid = min(
                left[c],
                capacity,
                max(0, room) // RAY * RAY if room != stage_payment_order.NO_CAP else capacity,
            )
            left[c] -= paid
            spent += paid
    # One that was left out bears nothing any more, but what it owes.
    known = step.read_pre_state("LossWaterfall", "ids", address)
    owed = sum(step.read_pre_state("LossWaterfall", "missed", (known - 1, c)) for c in types) if known else 0
    return -(-owed // RAY), True


def _is_pool(step: Transition, name: str) -> bool:
    contract = step.model.world.contracts.get(name)
    return contract is not None and contract.KIND in POOLS


def _compute_auctioned_equity(step: Transition, read: batch_figures.Read, pool: str) -> int:
    """Return the equity of this pool that is for sale [wad]; it counts toward the deposit price."""
    stage = step.model.world.addresses[step.get_contract(pool).stage_address]
    if "claimed_reservation" in stage.tables:
        return int(read(stage.label, "claimed_reservation"))  # a stage of a test
    if "sales" not in stage.tables:
        return 0
    return sum(read(stage.label, "sales", c).lot for c in stage.tables["sales"])


def _get_pool(step: Transition, name: str) -> Any:
    return step.get_contract(name)


def _is_waterfall_pool(step: Transition, pool: str) -> bool:
    """Return whether a pool serves the deployment's loss waterfall rather than a test's."""
    waterfall = step.get_contract("LossWaterfall").address
    return bool(step.get_contract(pool).loss_waterfall_address == waterfall)
