"""A keeper's view of the books: debts, limits, losses, stages, guards, facilitators, settlement."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from backstop.deployment.contracts_by_parameter_name import POOLS, list_facilitators_with_type_ids
from backstop.deployment.parameter_dataclasses import Parameters
from backstop.keepers.policy_view import PolicyInForce, read_policy_in_force
from backstop.keepers.price_view import PriceView
from backstop.keepers.table_indexes import TableIndexes
from backstop.keepers.view_records import Facilitator, MarketData, Tables
from backstop.model import (
    auto_ceiling,
    circuit_breaker,
    interfaces,
    ledger,
    loss_events,
    risk_policy,
    stage_caps,
    stage_order,
)
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, rpow
from backstop.model.settlement import Progress
from backstop.model.vesting_assets import Assets, compute_vested_assets
from backstop.system import Snapshot


class LedgerView(PriceView):
    """View of the protocol's ledger at one block: debts, limits, losses, guards and settlement."""

    def __init__(
        self,
        snapshot: Snapshot,
        addresses: Mapping[str, str],
        timestamp: int,
        outside: MarketData,
        parameters: Parameters,
        *,
        indexes: TableIndexes | None = None,
    ) -> None:
        super().__init__(snapshot, addresses, timestamp, outside, parameters)
        self._indexes = indexes or TableIndexes(snapshot)
        self.stages = tuple(stage.name for stage in parameters.stages)
        self._engine: Tables = snapshot["VaultEngine"]
        self._waterfall: Tables = snapshot["LossWaterfall"]
        self._rates: dict[int, int] = {}
        self._rooms: dict[int, int] = {}

    def get_terms(self, collateral_type: int) -> interfaces.Terms:
        """Return a collateral type's terms in the vault engine, such as its ratios and debt ceiling."""
        found: interfaces.Terms = self._engine["terms.of_types"][collateral_type]
        return found

    def get_debts(self, collateral_type: int) -> interfaces.Debts:
        """Return a collateral type's debt record as of its last accrual of fees."""
        found: interfaces.Debts = self._engine["ledger.debts"][collateral_type]
        return found

    def get_stability_fee(self, collateral_type: int) -> int:
        """Return a type's current stability fee, as the excess over one [ray a second]."""
        return int(self._engine["ledger.income"].get(collateral_type, ledger.Income()).stability_fee)

    def get_current_rate(self, collateral_type: int) -> int:
        """Return a type's accumulated rate extrapolated to this block [ray].

        The bounds that the contract sets to the growth of the rate are ignored.
        """
        if collateral_type not in self._rates:
            debts = self.get_debts(collateral_type)
            grown = rpow(RAY + self.get_stability_fee(collateral_type), self.timestamp - debts.accrued_at)
            self._rates[collateral_type] = grown * debts.accumulated_rate // RAY
        return self._rates[collateral_type]

    def get_seconds_before_last_accrual(self) -> int:
        """Return how far this block's time lies before the latest accrual of any type [seconds].

        0 unless the time has moved backwards, for example after a chain reorganisation.
        """
        latest = max((debts.accrued_at for debts in self._engine["ledger.debts"].values()), default=0)
        return max(0, latest - self.timestamp)

    def get_auction_room(self, collateral_type: int) -> int:
        """Return the principal of a type that may still be put under auction [rad].

        The type's limit and the global limit apply, both scaled by the risk policy's factor.
        """
        if collateral_type not in self._rooms:
            self._rooms[collateral_type] = self._compute_auction_room(collateral_type)
        return self._rooms[collateral_type]

    def _compute_auction_room(self, collateral_type: int) -> int:
        one: ledger.Auctions = self._engine["ledger.auctions"].get(collateral_type, ledger.Auctions())
        unit = RAD * self._auction_limit_factor_bps // BASIS_POINTS
        limit = self._engine["terms.global_auction_limit"].get((), 0) * unit
        used = sum(self.get_principal_in_auction(other) for other in self.types)
        return max(0, min(one.limit * unit - one.in_auction, limit - used))

    def get_tightest_auction_limit(self, collateral_type: int) -> tuple[str, int, int]:
        """Return the auction limit that leaves a type the least room: name, limit, used part [rad]."""
        own: ledger.Auctions = self._engine["ledger.auctions"].get(collateral_type, ledger.Auctions())
        unit = RAD * self._auction_limit_factor_bps // BASIS_POINTS
        limits = (
            ("auction_limit", own.limit * unit, own.in_auction),
            (
                "global_auction_limit",
                self._engine["terms.global_auction_limit"].get((), 0) * unit,
                sum(self.get_principal_in_auction(other) for other in self.types),
            ),
        )
        return min(limits, key=lambda each: each[1] - each[2])

    def get_principal_in_auction(self, collateral_type: int) -> int:
        """Return the principal of a type that is under auction [rad]."""
        return int(self._engine["ledger.auctions"].get(collateral_type, ledger.Auctions()).in_auction)

    def get_buffer(self, collateral_type: int) -> int:
        """Return the buffer of a collateral type, which pays first for losses of this type [rad]."""
        return int(self._engine["ledger.income"].get(collateral_type, ledger.Income()).buffer)

    def get_reserve(self) -> int:
        """Return the reserve, which pays for losses of all collateral types [rad]."""
        return int(self._engine["ledger.system"].get((), ledger.Balance()).reserve)

    def get_deficit(self, collateral_type: int) -> int:
        """Return the deficit of a collateral type: its recognised losses that are not paid yet [rad]."""
        return int(self._engine["ledger.deficit"].get(collateral_type, 0))

    def is_loss_recovered(self, collateral_type: int) -> bool:
        """Return True if a type's loss is still recorded as open although its deficit is already 0."""
        loss = self._waterfall["losses"].get(collateral_type, loss_events.Loss())
        return bool(loss.unresolved) and not self.get_deficit(collateral_type)

    def list_missed_stage_payments(self) -> list[tuple[int, int]]:
        """Return pairs of collateral type and stage index for which the stage owes a missed payment.

        A stage misses a payment if its contract fails while a loss is covered.
        """
        return [(c, k) for (k, c), owed in sorted(self._waterfall["missed"].items()) if owed]

    def get_settled_debt(self) -> int:
        """Return the debt settled in settlement [rad].

        After the redemption rates are fixed it is the debt owed to holders of stablecoin.
        """
        return int(self._engine["ledger.settled"].get((), 0))

    def compute_payable(self, stage: str, collateral_type: int) -> int:
        """Return how much the stage `buffer` or `reserve` can pay of a type's loss, within its caps [rad].

        0 if the stage is not part of the loss waterfall.
        """
        if stage not in self.stages:
            return 0
        has = {"buffer": self.get_buffer(collateral_type), "reserve": self.get_reserve()}[stage]
        return self._compute_stage_room(self.stages.index(stage), collateral_type, has)

    def _compute_stage_room(self, stage_index: int, collateral_type: int, has: int) -> int:
        """Return how much of its balance `has` [rad] a stage may pay now, within its caps [rad]."""
        caps: stage_order.Slot = self._waterfall["stages"][stage_index]
        cap = int(self._waterfall["caps_absolute"].get(stage_index, 0))
        key = stage_index, stage_caps.ALL_TYPES if caps.pooled else collateral_type
        bucket = self.timestamp // self._parameters.epoch_length
        paid: stage_caps.CapUsage = self._waterfall["used"].get(key, stage_caps.CapUsage())
        used = RAY * {bucket: paid.now + paid.before, bucket - 1: paid.now}.get(paid.bucket, 0)
        if caps.cap_bps != BASIS_POINTS:
            cap = min(cap, (has + used) * caps.cap_bps // BASIS_POINTS)
        return int(min(has, max(0, cap - used)))

    def list_types_blocking_pool(self, pool: str) -> list[int]:
        """Return the types with booked losses that a pool could cover, so that it withholds withdrawals.

        A pool withholds withdrawals only if its cap is a share of its balance. Ignored are payments below a
        ten thousandth of the cap, and types for which equity is being sold.
        """
        if pool not in self.stages:
            return []
        k, has = self.stages.index(pool), self.get_pool_assets(pool) * RAY
        cap_bps = self._waterfall["stages"][k].cap_bps
        if cap_bps == BASIS_POINTS:
            return []
        least = has * cap_bps // BASIS_POINTS // BASIS_POINTS
        reserved = {c for (c, _), held in self._waterfall["reservations"].items() if held.amount}
        open_types = [c for c in self.types if self.get_deficit(c) and c not in reserved]
        return [c for c in open_types if self._compute_stage_room(k, c, has) // RAY * RAY > least]

    def get_pool_assets(self, pool: str) -> int:
        """Return the vested assets that a pool holds for its members [wad of its asset]."""
        held: Assets = self._snapshot[POOLS[pool][0]]["funds.assets"].get((), Assets())
        return compute_vested_assets(held, self.timestamp)

    def get_flagged_debt_by_vault(self) -> dict[tuple[int, str], int]:
        """Return the flagged normalized debt of every flagged vault, by type and owner [wad].

        A flag marks debt as doubtful.
        """
        return dict(self._indexes.flags.iter_records())

    def sum_deficit_auctions_and_flags(self, collateral_type: int) -> int:
        """Return a type's debt in doubt [rad]: deficit, principal under auction, and flagged debt.

        Workouts (called vaults repaid in instalments) count only if they are flagged.
        """
        debts, workouts = self.get_debts(collateral_type), self._snapshot.get("Workouts")
        flagged = self._snapshot["LiquidationEngine"]["vault_flags.of_types"].get(collateral_type, 0)
        found = self.get_deficit(collateral_type) + self.get_principal_in_auction(collateral_type)
        found += min(flagged, debts.normalized_debt) * debts.accumulated_rate
        if workouts is not None:
            found -= workouts["in_workouts"].get(collateral_type, 0) - workouts["flagged_principal"].get(
                collateral_type, 0
            )
        return int(found)

    def get_stablecoin_supply(self) -> int:
        """Return the total supply of the stablecoin [wad]."""
        return int(self._snapshot["Stablecoin"]["erc20.totalSupply"].get((), 0))

    def get_type_debt(self, collateral_type: int) -> int:
        """Return the debt of a type that its ceiling counts, with stability fees up to this block [rad].

        It is the debt of vaults, the principal under auction, and the deficit.
        """
        return (
            self.get_debts(collateral_type).normalized_debt * self.get_current_rate(collateral_type)
            + self.get_principal_in_auction(collateral_type)
            + self.get_deficit(collateral_type)
        )

    def get_ceiling_terms(self, collateral_type: int) -> auto_ceiling.Terms:
        """Return the terms by which a type's debt ceiling follows its debt; empty terms if it does not."""
        tables: Tables = self._snapshot.get("AutoCeiling", {"terms": {}})
        found: auto_ceiling.Terms = tables["terms"].get(collateral_type, auto_ceiling.Terms())
        return found

    @cached_property
    def _policy(self) -> PolicyInForce:
        """Risk policy in force at this block."""
        return read_policy_in_force(self._snapshot, self.addresses)

    @property
    def mode(self) -> int:
        """Risk mode in force: 0 normal, 1 caution, 2 emergency."""
        return self._policy.mode

    @property
    def _auction_limit_factor_bps(self) -> int:
        return self._policy.auction_limit_factor

    def get_call_terms(self, collateral_type: int) -> interfaces.CallTerms:
        """Return a type's terms of margin calls; a ratio of 0 means that there are no margin calls.

        The call ratio is capped at the type's initial ratio.
        """
        found = self._policy.get_call_terms(collateral_type)
        return found._replace(ratio=min(found.ratio, self.get_terms(collateral_type).initial_ratio))

    def compute_margin_add_on(self, collateral_type: int, vault_debt: int) -> int:
        """Return the extra margin that a vault of this debt [rad] needs beyond its ratio.

        The unit is [basis points x rad].
        """
        return self._get_brackets(collateral_type).add_on(vault_debt)

    def _get_brackets(self, collateral_type: int) -> risk_policy.Terms:
        return self._policy.get_margin_brackets(collateral_type)

    @cached_property
    def breaker(self) -> circuit_breaker.State | None:
        """Circuit breaker's mode and the time since which it has been calm; None without a breaker."""
        tables = self._snapshot.get("CircuitBreaker")
        return None if tables is None else tables["state"][()]

    def list_active_trigger_levels(self) -> list[tuple[int, int, int]]:
        """Return the circuit breaker's active triggers as tuples of level, trigger and type, worst first."""
        set_to = self._snapshot["CircuitBreaker"]["triggers"].get((), circuit_breaker.Triggers())
        lost = set_to.level_of_losses(sum(self.get_deficit(c) for c in self.types))
        found = [(lost, circuit_breaker.LOSSES, 0)]
        for c in self.types:
            limits: ledger.Auctions = self._engine["ledger.auctions"].get(c, ledger.Auctions())
            level = set_to.level_of_auctions(limits.in_auction, limits.limit)
            found.append((level, circuit_breaker.AUCTIONS, c))
            if limits.in_auction or self.get_debts(c).normalized_debt:
                level = set_to.level_of_fall(self.get_current_price(c), self.get_time_weighted_price(c))
                found.append((level, circuit_breaker.FALL, c))
                level = set_to.level_of_silence(self.timestamp - self.get_feed_price_record(c).fresh_until)
                found.append((level, circuit_breaker.SILENCE, c))
        return sorted((each for each in found if each[0]), key=lambda each: -each[0])

    def get_vault(self, collateral_type: int, owner: str) -> interfaces.Vault:
        """Return the stored record of a vault; an empty record if the owner has none."""
        found: interfaces.Vault = self._engine["vaults"].get((collateral_type, owner), interfaces.Vault())
        return found

    def is_operator(self, keeper: str, owner: str) -> bool:
        """Return True if the keeper may act for an owner, as the owner itself or as its operator."""
        return keeper == owner or bool(self._engine["operators"].get((owner, keeper), False))

    @cached_property
    def facilitators_by_name(self) -> dict[str, Facilitator]:
        """Facilitators (bridges that draw stablecoin) with their current debt and losses, by name."""
        found = {}
        for c, each in list_facilitators_with_type_ids(self._parameters):
            tables: Tables = self._snapshot[each.name]
            announced: interfaces.Announcement = tables["announced"].get((), interfaces.Announcement())
            owed = self.get_vault(c, self.addresses[each.name]).normalized_debt * self.get_current_rate(c)
            found[each.name] = Facilitator(c, owed, int(tables["lost"].get((), 0)), *announced)
        return found

    @cached_property
    def settlement(self) -> Progress:
        """Progress of the protocol's settlement, with its begin and the fixing of redemption rates."""
        found: Progress = self._snapshot["Settlement"]["progress"].get((), Progress())
        return found
