"""What losses do to whom in a game: claims for what was borne, borrowers' shares, exits, stops."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backstop.deployment.deployment_parameters import Parameters
from backstop.hosts.model_system import ModelSystem
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, WAD, div_up
from backstop.studies.hunt.books import Books
from backstop.studies.hunt.questions import KEEPER, Told
from backstop.system import Action

_LEAST = 100 * WAD


class Borne:
    """Looks at each call that losses, exits and sales hang on."""

    def __init__(self, system: ModelSystem, books: Books, parameters: Parameters, admin: str) -> None:
        self.system = system
        self.books = books
        self.parameters = parameters
        self.admin = admin
        self.contracts: dict[str, Any] = dict(system.world.contracts)
        self._rates: dict[int, int] = {}
        self._claims: dict[tuple[str, str], int] = {}
        self._stakes: dict[tuple[str, str], int] = {}
        self._insured = self._fresh = self._paid = 0
        self._sold = 0, 0

    # --------------------------------------------------------------------- before

    def before(self, action: Action) -> Iterator[Told]:
        """Look at what a call is about to change; ask whether it goes on where somebody has stopped it."""
        name = f"{action.contract}.{action.method}"
        if action.method in ("cover", "cover_last"):
            with self.system.fork_state():
                for c in range(len(self.books.symbols)):
                    self.system.apply(Action("VaultEngine", "accrue", (c,), KEEPER))
                debts = self.contracts["VaultEngine"].debts
                self._rates = {c: debts[c].accumulated_rate for c in range(len(self.books.symbols))}
            self._claims, self._stakes = self._faces(), self._shares()
        elif name == "Treasury.distribute" and "MarginFund" in self.contracts:
            treasury = self.contracts["Treasury"]
            self._insured = self.contracts["MarginFund"].insurances[()].amount
            doubt = div_up(self.contracts["LossWaterfall"].doubt_total(KEEPER), RAY)
            offered = min(treasury.plan[()].offered, treasury._surplus(0))
            self._fresh = max(0, treasury._surplus(doubt) - offered)
        elif name == "SurplusAuction.take":
            self._sold = self._sale(action)
        elif action.method == "settle" and action.contract in self.books.pools:
            self._paid = self.contracts[action.contract].line[()].owed
        stop = {
            "LiquidationEngine.liquidate": Action("CollateralAuction", "set_stop", (*action.args[:1], 1), ""),
            "VaultEngine.deposit_and_draw": Action("PriceFeed", "set_halted", (*action.args[:1], True), ""),
        }.get(name)
        draws = name != "VaultEngine.deposit_and_draw" or action.args[3]
        if stop is not None and draws and action.args[0] < len(self.books.symbols):
            with self.system.fork_state():
                stopped = self.system.apply(stop._replace(sender=self.admin)).ok
                if stopped and self.system.apply(action).ok:
                    yield Told(f"possible: {name} in spite of {stop.method}", 3 * _LEAST, "it was stopped")

    # ---------------------------------------------------------------------- after

    def after(self, action: Action) -> Iterator[Told]:
        """Compare what was left with what there was."""
        name = f"{action.contract}.{action.method}"
        if name in ("LossWaterfall.cover", "Settlement.cover_last"):
            yield from self._raised(action.args[0])
            yield from self._claimed()
            yield from self._released(action.args[0])
            yield from self._mends()
        elif name == "Treasury.distribute" and "MarginFund" in self.contracts:
            yield from self._insures()
        elif name == "SurplusAuction.take":
            offered, coins = self._sale(action)
            missing = self._sold[0] - offered - (coins - self._sold[1])
            if missing > _LEAST:
                yield Told("beyond a limit: surplus is sold and not paid", missing, "to who burns equity")
        elif action.method == "settle" and action.contract in self.books.pools:
            progress = self.contracts["Settlement"].progress[()]
            paid = self.contracts[action.contract].line[()].owed - self._paid
            if progress.begun_at and not progress.fixed_at and paid > _LEAST:
                yield Told("beyond a limit: an exit is paid while all is wound up", paid, action.contract)

    def _sale(self, action: Action) -> tuple[int, int]:
        """Return what surplus is for sale, and the coins of whoever gets what is bought [wad]."""
        coins = self.contracts["Stablecoin"].balances[action.args[2]]
        return self.contracts["Treasury"].plan[()].offered, coins

    def _raised(self, c: int) -> Iterator[Told]:
        """Have borrowers bear no more than their cap, nor than the gap between both ratios, by one call."""
        engine = self.contracts["VaultEngine"]
        if c not in self._rates or not engine.debts[c].normalized_debt:
            return
        terms, rate = self.parameters.collateral_types[c], engine.debts[c].accumulated_rate
        gap = terms.initial_ratio / terms.liquidation_ratio - 1
        most = min(gap, terms.redistribution_cap / BASIS_POINTS)
        if rate > self._rates[c] * (1 + most + 1e-6):
            over = (rate - int(self._rates[c] * (1 + most))) * engine.debts[c].normalized_debt // RAY
            if over > _LEAST:
                says = f"debts grow by {rate / self._rates[c] - 1:.4f}, at most {most:.4f}"
                yield Told("beyond a limit: what borrowers share", over, says)

    def _shares(self) -> dict[tuple[str, str], int]:
        """Return who has so many shares of a pool with claims, those in batches too."""
        found: dict[tuple[str, str], int] = {}
        for name in self.books.pools:
            if f"{name}.Claims" not in self.contracts:
                continue
            pool = self.contracts[name]
            vested, supply = pool._vested(), pool.state[()].supply + 10**6
            leaving = {who for (_, who), request in pool.requests.items() if request.shares}
            for who in pool.holders():
                if who != pool.address and who not in leaving:
                    found[name, who] = pool.held(who) * vested // supply
        return found

    def _faces(self) -> dict[tuple[str, str], int]:
        """Return what is owed to each member by claims, those of losses before handed out."""
        found: dict[tuple[str, str], int] = {}
        with self.system.fork_state():
            for name in self.books.pools:
                if f"{name}.Claims" not in self.contracts:
                    continue
                pool, claims = self.contracts[name], self.contracts[f"{name}.Claims"]
                for who in pool.holders():
                    self.system.apply(Action(name, "collect_claims", (who,), KEEPER))
                series, now = claims.series[()], claims.state[()].generation
                for who in {each for _, each in claims.balances}:
                    tokens = claims.balances[now, who].shares
                    if series.tokens:
                        found[name, who] = tokens * series.outstanding // series.tokens
        return found

    def _claimed(self) -> Iterator[Told]:
        """Have each member be owed what it bore of a loss, by shares that are not in a batch."""
        faces, stakes = self._faces(), self._shares()
        for key, had in self._stakes.items():
            if key not in stakes:
                continue  # the pool began anew
            bore, claimed = had - stakes[key], faces.get(key, 0) - self._claims.get(key, 0)
            if abs(bore - claimed) > _LEAST + bore // 1_000:
                says = f"a member of {key[0]} bears {bore / WAD:,.2f}, and is owed {claimed / WAD:,.2f} more"
                yield Told("beyond a limit: claims are not what was borne", abs(bore - claimed), says)

    def _released(self, c: int) -> Iterator[Told]:
        """Have nobody give up in a stage's place what it has just reserved."""
        waterfall, now = self.contracts["LossWaterfall"], self.system.timestamp
        if self.contracts["Settlement"].progress[()].begun_at:
            return
        for k in waterfall.lineup[()].ids:
            held = waterfall.reservations[c, waterfall.stages[k].stage]
            if held.amount > 200 * RAD and now - held.since < 86_400:
                call = Action("LossWaterfall", "force_release", (c, k), KEEPER)
                if self.system.dry_run(call).ok:
                    stake = held.amount // RAY
                    yield Told("possible: to release what was just reserved", stake, f"stage {k}")

    def _mends(self) -> Iterator[Told]:
        """Have a stage that owes make it good, as soon as it works and nothing is left to be covered."""
        for (k, c), missing in list(self.contracts["LossWaterfall"].missing.items()):
            if missing > 200 * RAD:
                done = self.system.dry_run(Action("LossWaterfall", "make_good", (c, k), KEEPER))
                if not done.ok and not done.reason:
                    yield Told("to make good reverts", missing // RAY, f"stage {k}, type {c}")

    def _insures(self) -> Iterator[Told]:
        """Have new surplus insure the margin market as far as it lacks."""
        treasury = self.contracts["Treasury"]
        if any(name.endswith(".Claims") for name in self.contracts):
            return  # they are repaid first
        share, target = treasury.insuring[()]
        lacks = target * WAD - self._insured
        due = min(self._fresh * share // BASIS_POINTS, max(0, lacks))
        got = self.contracts["MarginFund"].insurances[()].amount - self._insured
        if abs(got - due) > _LEAST:
            says = f"{got / WAD:,.2f} are insured of {due / WAD:,.2f}"
            yield Told("beyond a limit: what is insured", abs(got - due), says)
