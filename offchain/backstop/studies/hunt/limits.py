"""What parameters promise of amounts and times, beside what is done: limits of the alarm *books*."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backstop.deployment.deployment_parameters import Parameters
from backstop.hosts.model_system import ModelSystem
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, WAD
from backstop.model.exits import SCALE
from backstop.studies.hunt.books import Books, unvested
from backstop.studies.hunt.questions import KEEPER, Told
from backstop.system import Action

YEAR = 365 * 86_400


class Limits:
    """The limits of one game."""

    def __init__(self, system: ModelSystem, books: Books, parameters: Parameters) -> None:
        self.system = system
        self.books = books
        self.parameters = parameters
        self.contracts: dict[str, Any] = dict(system.world.contracts)
        self._paid = 0
        self._spent = 0
        self._reserve = 0

    def before(self, action: Action) -> None:
        """Look at what a call is about to change."""
        self._reserve = self.contracts["VaultEngine"].system[()].reserve
        if action.method == "settle" and action.contract in self.books.pools:
            self._paid = self.contracts[action.contract].line[()].owed
        if "MarginFund" in self.contracts:
            self._spent = self.contracts["MarginFund"].insurances[()].amount

    def after(self, action: Action) -> Iterator[Told]:
        """Compare with the limits what was done."""
        name = f"{action.contract}.{action.method}"
        if action.method == "settle" and action.contract in self.books.pools:
            yield from self._left(action.contract)
        elif action.method == "draw" and action.contract in self.books.domains:
            yield from self._line(action.contract)
        elif action.method == "announce_loss":
            early = Action(action.contract, "realise_loss", (), KEEPER)
            if self.system.dry_run(early).ok:
                yield Told("possible: to book a domain's loss at once", action.args[0], "without its delay")
        elif name in ("LossWaterfall.cover", "LossWaterfall.make_good"):
            yield from self._first_ones_first(action.args[0])
        elif name == "Treasury.distribute":
            yield from self._kept()
        elif name == "PerpetualMarket.roll":
            spent = self._spent - self.contracts["MarginFund"].insurances[()].amount
            most = self.contracts["MarginFund"].caps[()] * WAD
            if spent > most + 100 * WAD:
                yield Told(
                    "beyond a limit: insurance", spent - most, f"{spent / WAD:,.2f} of {most / WAD:,.2f}"
                )
        elif name == "AutoCeiling.adjust":
            c = action.args[0]
            terms, engine = self.contracts["AutoCeiling"].terms[c], self.contracts["VaultEngine"]
            debt = engine.debts[c].performing + engine.in_auction_of("", c) + engine.deficit[c]
            most = min(terms.max_line, debt // RAD + 1 + terms.gap)
            over = engine.terms[c].debt_ceiling - most
            if over > 0 and self.system.timestamp == terms.raised_at:
                yield Told("beyond a limit: an automatic ceiling", over * WAD, f"{over:,} above its gap")
        # A call that leaves debt alone leaves the fee alone: what was charged moves it with the next one.
        drawn, repaid = name == "VaultEngine.deposit_and_draw", name == "VaultEngine.repay_and_withdraw"
        if (drawn and action.args[3]) or (repaid and action.args[2]):
            yield from self._fee(action.args[0])

    def _left(self, name: str) -> Iterator[Told]:
        """Have a batch paid in full where nothing is in doubt, and not at all where all may be lost."""
        pool, engine = self.contracts[name], self.contracts["VaultEngine"]
        count = range(engine.type_count[()])
        flags = self.contracts["LiquidationEngine"].type_flags
        # Of what is flagged normalized debt is kept.
        doubt = sum(engine.deficit[c] + engine.in_auction_of("", c) for c in count)
        flagged = sum(flags[c] * engine.debts[c].accumulated_rate for c in count)
        announced = sum(self.contracts[each].announcements[()].amount for each in self.books.domains)
        owed = sum(self.contracts["LossWaterfall"].owed.values())
        paid = pool.line[()].owed - self._paid
        closed = self.contracts["Settlement"].progress[()].begun_at
        if not doubt and not flagged and not announced and not owed and not closed:
            runs = pool.groups() if pool.KIND == "Pool" else []
            unsettled, index = pool.line[()].unsettled, pool.index[()] if runs else 0
            waiting = sum(run.units * (run.ceiling - index) // SCALE for run in runs if run.id < unsettled)
            if waiting > 100 * WAD:
                says = f"{waiting / WAD:,.2f} are held back, and nothing is in doubt"
                yield Told("beyond a limit: an exit is held back for nothing", waiting, says)
        if pool.KIND == "EquityPool" or closed or "Workouts" in self.contracts:
            return
        before = engine.system[()].reserve + sum(engine.income[c].buffer for c in count)
        for each in ("Junior", "Senior", "Savings", "StakedEquity"):
            if each in self.contracts and each != name:
                before += self.contracts[each].assets[()].booked * RAY
        own = pool.assets[()]
        everything = (own.booked + paid - unvested(own, self.system.timestamp)) * RAY
        stages = {stage.name for stage in self.parameters.stages}
        before += own.booked * RAY if "clawback" in stages else 0
        if stages & {"redistribution", "minted_equity", "staked_equity", "scripted"}:
            return
        if name.lower() in stages and doubt > before + everything and paid > 100 * WAD:
            says = f"{paid / WAD:,.2f} leave, and {doubt / RAD:,.2f} may be lost"
            yield Told("beyond a limit: who leaves is paid what is lost", paid, says)

    def _line(self, name: str) -> Iterator[Told]:
        domain, engine = self.contracts[name], self.contracts["VaultEngine"]
        c = domain.collateral_type
        debt = engine.vaults[c, domain.address].normalized_debt * engine.debts[c].accumulated_rate
        over = debt // RAY + domain.losses[()] - engine.terms[c].debt_ceiling * WAD
        if over > 100 * WAD:
            yield Told("beyond a limit: a domain's line", over, f"{over / WAD:,.2f} over it")

    def _first_ones_first(self, c: int) -> Iterator[Told]:
        """Have buffer and reserve be empty, as far as they are stages without caps, before a loss is left."""
        engine, waterfall = self.contracts["VaultEngine"], self.contracts["LossWaterfall"]
        names = [each.name for each in self.parameters.stages]
        left = engine.deficit[c] - sum(
            each.amount for (t, _), each in waterfall.reservations.items() if t == c
        )
        for name, has in (("buffer", engine.income[c].buffer), ("reserve", engine.system[()].reserve)):
            if name in names and "scripted" not in names:
                stage = self.parameters.stages[names.index(name)]
                plain = stage.cap_absolute is None and stage.cap_bps == BASIS_POINTS
                ahead = {*names[: names.index(name)]} & {"staked_equity", "minted_equity"}
                if plain and not ahead and min(left, has) > 100 * RAD:
                    says = f"{name} has {has / RAD:,.2f}, {left / RAD:,.2f} are not covered"
                    yield Told(f"beyond a limit: the {name} does not pay", min(left, has) // RAY, says)

    def _kept(self) -> Iterator[Told]:
        """Have income spent only of what the reserve has beyond its target, where no claims are repaid."""
        target = self.contracts["Treasury"].plan[()].target * RAD
        has = self.contracts["VaultEngine"].system[()].reserve
        missing = min(self._reserve, target) - has
        if missing > 100 * RAD and not any(name.endswith(".Claims") for name in self.contracts):
            says = f"the reserve has {has / RAD:,.2f} of {target / RAD:,.2f}"
            yield Told("beyond a limit: the reserve is spent under its target", missing // RAY, says)

    def _fee(self, c: int) -> Iterator[Told]:
        """Have a fee that moves be what its curve says of what is used of the line."""
        types = self.parameters.collateral_types
        engine = self.contracts["VaultEngine"]
        if c >= len(types) or not engine.terms[c].dynamic or engine.terms[c].settling:
            return
        policy = types[c].policy
        base, slope_1, slope_2, kink = policy.curve
        if not kink or policy.speed or not policy.line or engine.debts[c].normalized_debt == 0:
            return
        used = min(1.0, engine.debts[c].performing / (policy.line * RAD))
        at = kink / BASIS_POINTS
        rate = base + slope_1 * min(used, at) / at + slope_2 * max(0.0, used - at) / (1 - at)
        should = rate / BASIS_POINTS * RAY / YEAR
        has = engine.income[c].stability_fee
        # A high fee may rise by so much a day only.
        if rate < 1_900 and abs(has - should) > should / 1_000 + 100:
            owed = engine.debts[c].performing // RAY
            a_year = int(abs(has - should)) * YEAR * owed // RAY
            if a_year > 100 * WAD:
                yield Told("beyond a limit: a fee off its curve", a_year, f"{has:,} and not {should:,.0f}")
