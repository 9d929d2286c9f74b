"""What keepers see of the books: debts, limits, losses and what pays them, guards, domains, settlement."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from backstop.deployment.contracts import POOLS, domains_of
from backstop.deployment.parameters import Parameters
from backstop.keepers.indexes import Indexes
from backstop.keepers.policy_view import PolicySeen, policy_in_force
from backstop.keepers.price_view import PriceView
from backstop.keepers.seen import Domain, Outside, Tables
from backstop.model import (
    auto_ceiling,
    circuit_breaker,
    domain,
    interfaces,
    ledger,
    loss_events,
    risk_policy,
    stage_caps,
    stage_order,
)
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, rpow
from backstop.model.settlement import Progress
from backstop.model.vesting_assets import Assets, vested
from backstop.system import Snapshot


class LedgerView(PriceView):
    """The books at one block."""

    def __init__(
        self,
        snapshot: Snapshot,
        addresses: Mapping[str, str],
        timestamp: int,
        outside: Outside,
        parameters: Parameters,
        *,
        indexes: Indexes | None = None,
    ) -> None:
        super().__init__(snapshot, addresses, timestamp, outside, parameters)
        self._indexes = indexes or Indexes(snapshot)
        self.stages = tuple(stage.name for stage in parameters.stages)
        self._engine: Tables = snapshot["VaultEngine"]
        self._waterfall: Tables = snapshot["LossWaterfall"]
        self._rates: dict[int, int] = {}
        self._rooms: dict[int, int] = {}

    def terms(self, c: int) -> interfaces.Terms:
        """Return a type's ratios and ceilings."""
        found: interfaces.Terms = self._engine["terms.of_types"][c]
        return found

    def debts(self, c: int) -> interfaces.Debts:
        """Return a type's debt as of its last accrual."""
        found: interfaces.Debts = self._engine["ledger.debts"][c]
        return found

    def fee(self, c: int) -> int:
        """Return the present stability fee [ray a second above RAY]."""
        return int(self._engine["ledger.income"].get(c, ledger.Income()).stability_fee)

    def rate(self, c: int) -> int:
        """Return the rate accumulated up to the present block [ray], without its caps."""
        if c not in self._rates:
            debts = self.debts(c)
            grown = rpow(RAY + self.fee(c), self.timestamp - debts.accrued_at)
            self._rates[c] = grown * debts.accumulated_rate // RAY
        return self._rates[c]

    def room(self, c: int) -> int:
        """Return the principal that may still go under auction, within the present mode's limits [rad]."""
        if c not in self._rooms:
            self._rooms[c] = self._room(c)
        return self._rooms[c]

    def _room(self, c: int) -> int:
        one: ledger.Auctions = self._engine["ledger.auctions"].get(c, ledger.Auctions())
        unit = RAD * self._limits_factor // BASIS_POINTS
        limit = self._engine["terms.global_auction_limit"].get((), 0) * unit
        used = sum(self.in_auction(other) for other in self.types)
        return max(0, min(one.limit * unit - one.in_auction, limit - used))

    def in_auction(self, c: int) -> int:
        """Return the principal under auction [rad]."""
        return int(self._engine["ledger.auctions"].get(c, ledger.Auctions()).in_auction)

    def buffer(self, c: int) -> int:
        """Return a type's buffer [rad]."""
        return int(self._engine["ledger.income"].get(c, ledger.Income()).buffer)

    def reserve(self) -> int:
        """Return the reserve [rad]."""
        return int(self._engine["ledger.system"].get((), ledger.Balance()).reserve)

    def deficit(self, c: int) -> int:
        """Return a type's deficit [rad]."""
        return int(self._engine["ledger.deficit"].get(c, 0))

    def is_recovered(self, c: int) -> bool:
        """Return whether a type's loss was repaid in full without a stage, and still counts as open."""
        loss = self._waterfall["losses"].get(c, loss_events.Loss())
        return bool(loss.unresolved) and not self.deficit(c)

    def missed(self) -> list[tuple[int, int]]:
        """Return for which types stages owe what they missed while they failed: type, stage."""
        return [(c, k) for (k, c), owed in sorted(self._waterfall["missed"].items()) if owed]

    def settled(self) -> int:
        """Return the debt that settlement has settled, or owes holders once the books are closed [rad]."""
        return int(self._engine["ledger.settled"].get((), 0))

    def payable(self, stage: str, c: int) -> int:
        """Return what the buffer or the reserve can pay of a type's loss under its caps [rad].

        A stage that is not in the order pays nothing.
        """
        if stage not in self.stages:
            return 0
        has = {"buffer": self.buffer(c), "reserve": self.reserve()}[stage]
        return self._room_of_stage(self.stages.index(stage), c, has)

    def _room_of_stage(self, k: int, c: int, has: int) -> int:
        """Return what a stage may pay now of what it has, under its caps [rad]."""
        caps: stage_order.Slot = self._waterfall["stages"][k]
        cap = int(self._waterfall["caps_absolute"].get(k, 0))
        key = k, stage_caps.ALL_TYPES if caps.pooled else c
        bucket = self.timestamp // self._parameters.epoch_length
        paid: stage_caps.Used = self._waterfall["used"].get(key, stage_caps.Used())
        used = RAY * {bucket: paid.now + paid.before, bucket - 1: paid.now}.get(paid.bucket, 0)
        if caps.cap_bps != BASIS_POINTS:
            cap = min(cap, (has + used) * caps.cap_bps // BASIS_POINTS)
        return int(min(has, max(0, cap - used)))

    def held_up_by(self, pool: str) -> list[int]:
        """Return the types whose booked losses a pool could cover: under a cap by share it pays nobody then.

        A ten thousandth of the cap is let pass, and a type that equity is being sold for.
        """
        if pool not in self.stages:
            return []
        k, has = self.stages.index(pool), self.assets(pool) * RAY
        cap_bps = self._waterfall["stages"][k].cap_bps
        if cap_bps == BASIS_POINTS:
            return []
        least = has * cap_bps // BASIS_POINTS // BASIS_POINTS
        reserved = {c for (c, _), held in self._waterfall["reservations"].items() if held.amount}
        open = [c for c in self.types if self.deficit(c) and c not in reserved]
        return [c for c in open if self._room_of_stage(k, c, has) // RAY * RAY > least]

    def assets(self, pool: str) -> int:
        """Return what a pool holds for its members [wad of its asset]."""
        held: Assets = self._snapshot[POOLS[pool][0]]["funds.assets"].get((), Assets())
        return vested(held, self.timestamp)

    def flags(self) -> dict[tuple[int, str], int]:
        """Return all flags of vaults, by (type, owner) [wad of normalized debt]."""
        return dict(self._indexes.flags.items())

    def doubt(self, c: int) -> int:
        """Return a type's debt in doubt, booked or not [rad]: deficit, auctions but sound workouts, flags."""
        debts, workouts = self.debts(c), self._snapshot.get("Workouts")
        flagged = self._snapshot["LiquidationEngine"]["doubt.of_types"].get(c, 0)
        found = self.deficit(c) + self.in_auction(c)
        found += min(flagged, debts.normalized_debt) * debts.accumulated_rate
        if workouts is not None:
            found -= workouts["in_workouts"].get(c, 0) - workouts["in_doubt"].get(c, 0)
        return int(found)

    def supply(self) -> int:
        """Return the stablecoins in existence [wad]."""
        return int(self._snapshot["Stablecoin"]["erc20.totalSupply"].get((), 0))

    def type_debt(self, c: int) -> int:
        """Return the debt that a ceiling counts, with the fees up to now [rad]."""
        return self.debts(c).normalized_debt * self.rate(c) + self.in_auction(c) + self.deficit(c)

    def ceiling(self, c: int) -> auto_ceiling.Terms:
        """Return how a type's ceiling follows its debt; without a guard it does not."""
        tables: Tables = self._snapshot.get("AutoCeiling", {"terms": {}})
        found: auto_ceiling.Terms = tables["terms"].get(c, auto_ceiling.Terms())
        return found

    @cached_property
    def _policy(self) -> PolicySeen:
        """The risk policy in force."""
        return policy_in_force(self._snapshot, self.addresses)

    @property
    def mode(self) -> int:
        """The mode that the policy knows: 0 normal, 1 caution, 2 emergency."""
        return self._policy.mode

    @property
    def _limits_factor(self) -> int:
        return self._policy.limits_factor

    def call_terms(self, c: int) -> interfaces.CallTerms:
        """Return the terms of margin calls, at no ratio above the initial one; a ratio of 0 is none."""
        found = self._policy.calls_of(c)
        return found._replace(ratio=min(found.ratio, self.terms(c).initial_ratio))

    def add_on(self, c: int, debt: int) -> int:
        """Return what a vault of this debt (rad) needs beyond its ratio [basis points x rad]."""
        return self._brackets(c).add_on(debt)

    def _brackets(self, c: int) -> risk_policy.Terms:
        return self._policy.brackets_of(c)

    @cached_property
    def breaker(self) -> circuit_breaker.State | None:
        """The circuit breaker's mode and since when it has been calm; None without one."""
        tables = self._snapshot.get("CircuitBreaker")
        return None if tables is None else tables["state"][()]

    def triggers(self) -> list[tuple[int, int, int]]:
        """Return the circuit breaker's triggers that hold now: level, trigger, type; the worst first."""
        set_to = self._snapshot["CircuitBreaker"]["triggers"].get((), circuit_breaker.Triggers())
        lost = set_to.level_of_losses(sum(self.deficit(c) for c in self.types))
        found = [(lost, circuit_breaker.LOSSES, 0)]
        for c in self.types:
            limits: ledger.Auctions = self._engine["ledger.auctions"].get(c, ledger.Auctions())
            level = set_to.level_of_auctions(limits.in_auction, limits.limit)
            found.append((level, circuit_breaker.AUCTIONS, c))
            if limits.in_auction or self.debts(c).normalized_debt:
                level = set_to.level_of_fall(self.price(c), self.time_weighted(c))
                found.append((level, circuit_breaker.FALL, c))
                level = set_to.level_of_silence(self.timestamp - self.prices(c).fresh_until)
                found.append((level, circuit_breaker.SILENCE, c))
        return sorted((each for each in found if each[0]), key=lambda each: -each[0])

    def vault(self, c: int, owner: str) -> interfaces.Vault:
        """Return a vault as it is stored."""
        found: interfaces.Vault = self._engine["vaults"].get((c, owner), interfaces.Vault())
        return found

    def acts_for(self, keeper: str, owner: str) -> bool:
        """Tell whether an account may act for an owner."""
        return keeper == owner or bool(self._engine["operators"].get((owner, keeper), False))

    @cached_property
    def domains(self) -> dict[str, Domain]:
        """The domains by name."""
        found = {}
        for c, each in domains_of(self._parameters):
            tables: Tables = self._snapshot[each.name]
            announced: domain.Announcement = tables["announced"].get((), domain.Announcement())
            owed = self.vault(c, self.addresses[each.name]).normalized_debt * self.rate(c)
            found[each.name] = Domain(c, owed, int(tables["lost"].get((), 0)), *announced)
        return found

    @cached_property
    def settlement(self) -> Progress:
        """The progress of settlement."""
        found: Progress = self._snapshot["Settlement"]["progress"].get((), Progress())
        return found
