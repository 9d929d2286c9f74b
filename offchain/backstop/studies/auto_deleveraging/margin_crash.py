"""Crash of a perpetual market with many accounts: seized, booked, closed against, settled, block by block.

Long accounts have leverages at which a price drop of two fifths makes them insolvent. They are idle for two
cycles; then the coins drop at once. All insolvent accounts are seized, and the cycle ends. Their bad debt is
booked against the winners, and by policy winners' positions are closed against unassigned lots. In every
phase a keeper liquidates accounts below their maintenance margins. Each call runs in lockstep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from backstop.deployment.contracts_by_parameter_name import CLOSERS
from backstop.deployment.devnet_trader_signatures import get_trader_account
from backstop.deployment.model_and_chain_deployment import deploy_protocol
from backstop.errors import BackstopError
from backstop.hosts.host_interface import Host
from backstop.hosts.model_system import ModelSystem
from backstop.model.arithmetic import BASIS_POINTS
from backstop.proof.lockstep import ProtocolLockstep
from backstop.simulation.progress_and_interruption import Progress
from backstop.studies.auto_deleveraging.adl_position_closing import AdlResult, close_positions_by_policy
from backstop.studies.auto_deleveraging.block_packing import BlockPacker, Phase
from backstop.studies.auto_deleveraging.crash_accounts import (
    FALLS,
    FINDER,
    HOUSE,
    TAKEN,
    TRADING,
    AccountPopulation,
    build_parameters,
)
from backstop.studies.auto_deleveraging.evasion_attempts import (
    EvasionAttempts,
    apply_evasion_attempts,
    choose_evaders,
    compute_escaped_loss,
)
from backstop.system import Action, Outcome

FALLING, SEIZING, BOOKING = "coins fall", "positions are seized", "losses are booked"
ROLLING, SETTLING = "cycles roll", "debtors are settled"
TRIES = 16
"""Accounts below their margins: so many liquidations are tried over all phases."""
# Gas of an account that is closed, at most.
_CLOSING = 85_000
# Seconds of a cycle that have passed when the coins fall.
_INTO = 900


class LossPayers(NamedTuple):
    """Payers of the insolvent accounts' bad debt [wad]; the other fields add up to `owed`."""

    owed: int
    insurance: int
    winners: int  # who gained in the cycle of the fall
    unvested: int  # profits that had not vested, and insurance that was left
    later: int  # gains of the cycle after that
    protocol: int
    nobody: int  # late at the end


class CrashTimes(NamedTuple):
    """End of each step, in seconds since the price drop; `closed` is 0 without deleveraging."""

    seized: int
    booked: int
    closed: int
    final: int


class EvasionResult(NamedTuple):
    """Losses and forced closes that evading winners avoided."""

    dodges: EvasionAttempts
    money: int  # wad, of all together that bear less than their gains have to
    most: int  # wad, of one of them
    lots: int  # that would have been closed of them
    missed: int  # of those, that were not


class CrashResult(NamedTuple):
    """Figures of a simulated crash: accounts, gas, times, payers of losses, and forced closes."""

    accounts: int
    insolvent: int
    winners: int
    phases: dict[str, Phase]
    measured: bool  # whether the host says what gas a call takes; else it is the committed table's
    fullest: int  # gas of the fullest block
    times: CrashTimes
    paid: LossPayers
    margins: int  # wad, of those who owed, before the coins fell
    gained: int  # wad, by all in the cycle of the fall
    most_taken: int  # basis points of a gain, rounded up
    nobodys: int  # unassigned lots at the end
    closings: list[AdlResult]
    tried: int
    liquidated: int
    escape: EvasionResult | None
    steps: int
    fields: int  # compared between model and chain


class MarginCrash:
    """Crash of a perpetual market with many accounts, to be run call by call."""

    def __init__(
        self,
        host: Host | None,
        accounts: int,
        seed: int,
        *,
        insolvent: int | None = None,
        markets: int = 1,
        policy: str = "by-cycle",
        dodgers: int = 0,
        progress: Progress = lambda done, total, text: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Deploy the market on a host; with None on the model alone.

        `insolvent` is the number of accounts that fail, by default half. `dodgers` is the percentage of
        winners that evade deleveraging. Raises BackstopError unless some accounts fail and some do not.
        """
        insolvent = accounts // 2 if insolvent is None else insolvent
        if not 0 < insolvent < accounts:
            raise BackstopError("a crash needs accounts that will owe, and others that will not")
        self.policy, self.seed, self.dodgers = policy, seed, dodgers
        deployment = build_parameters(markets, policy)
        _, model, chain = deploy_protocol(host, deployment)
        system: ProtocolLockstep | ModelSystem = model
        if chain is not None:
            system = ProtocolLockstep(
                model, chain, parameters=deployment, seed=seed, check_every=0, traces=None
            )
        self.blocks = BlockPacker(system, progress, stop)
        self.blocks.positions = markets
        self.crowd = AccountPopulation(self.blocks, accounts, insolvent, markets, seed)
        self.tried = self.liquidated = 0
        self._thin: Iterator[str] = iter(())
        self._held: list[dict[str, int]] = []

    def run_crash(self) -> CrashResult:
        """Simulate the crash until all losses are final, and return its figures.

        All positions are opened first; then prices drop. At the end, all state of contracts and model is
        compared.
        """
        blocks, crowd, market = self.blocks, self.crowd, self.crowd.market
        crowd.open_positions(TRIES)
        self._thin = iter(crowd.thin)
        blocks.begin_phase("two cycles pass")
        for _ in range(2):
            self._roll_cycle()
        blocks.let_empty_time_pass(_INTO)
        had = self._read_net_values()
        blocks.begin_phase(FALLING)
        fell_at = blocks.timestamp
        for dollars in zip(*FALLS, strict=True):
            crowd.set_prices(dollars)
        self._liquidate_next_undermargined_account()
        self._held = [
            {owner: -market.positions[owner, m].size for owner in market.accounts} for m in crowd.markets
        ]
        dodges = choose_evaders(crowd, self.dodgers, self.seed) if self.dodgers else None
        self._run_winner_evasion_phase(dodges)
        owing = [owner for owner, own in self._read_net_values().items() if own < 0]
        self._update_and_seize_accounts(SEIZING, owing)
        seized = blocks.timestamp - fell_at
        self._roll_cycle()
        cycle = market.clocks[()].cycle - 1
        self._run_winner_evasion_phase(dodges)
        self._update_and_seize_accounts(BOOKING, owing)
        while again := self._list_unbooked():
            self._update_and_seize_accounts(BOOKING, again, liquidating=False)
        booked = blocks.timestamp - fell_at
        closings = self._close_positions_by_policy()
        closed = blocks.timestamp - fell_at if closings else 0
        owed = sum(sum(market.losses[m, cycle]) for m in crowd.markets) + market.late_table[()]
        gained = sum(sum(market.totals[m, cycle]) for m in crowd.markets)
        late = [market.late_table[()]]
        insurance = _read_roll_figure(self._roll_cycle(), "insured")
        final = blocks.timestamp - fell_at
        late.append(market.late_table[()])
        losses = [market.losses[m, cycle] for m in crowd.markets]
        self._update_and_seize_accounts(SETTLING, owing)
        posted = (
            int(blocks.apply_call_in_block(f"{HOUSE}.post_shortfall", counts_gas=False).value)
            if late[-1]
            else 0
        )
        later = _read_roll_figure(self._roll_cycle(), "later")
        blocks.mine_block_of_waiting_calls()
        system = blocks.system
        if isinstance(system, ProtocolLockstep):
            system.compare_state()
        nobody = market.late_table[()]
        unvested = late[0] - posted - later - nobody
        return CrashResult(
            accounts=len(crowd.longs) + len(crowd.shorts),
            insolvent=len(owing),
            winners=len(crowd.shorts),
            phases=blocks.phases,
            measured=blocks.measures,
            fullest=blocks.fullest,
            times=CrashTimes(seized, booked, closed, final),
            paid=LossPayers(owed, insurance, sum(map(sum, losses)), unvested, later, posted, nobody),
            margins=sum(had[owner] for owner in owing),
            gained=gained,
            most_taken=self._compute_largest_haircut_bps(cycle),
            nobodys=sum(abs(market.lots[m].long - market.lots[m].short) for m in crowd.markets),
            closings=closings,
            tried=self.tried,
            liquidated=self.liquidated,
            escape=None if dodges is None else self._build_evasion_result(dodges, cycle, closings),
            steps=system.steps if isinstance(system, ProtocolLockstep) else 0,
            fields=system.fields_compared if isinstance(system, ProtocolLockstep) else 0,
        )

    # ------------------------------------------------------------------- acts

    def _update_and_seize_accounts(
        self, phase_name: str, owners: Sequence[str], liquidating: bool = True
    ) -> None:
        """Update and seize many accounts in batches.

        With `liquidating`, one other account is liquidated before the first, halfway, and after the last. The
        order of accounts is random, so that calls take equal gas: an account's cost depends on price moves
        since its last update.
        """
        blocks, call = self.blocks, f"{HOUSE}.update_and_seize"
        owners = self.crowd.random.sample(owners, len(owners))
        blocks.begin_phase(phase_name, len(owners))
        done = 0
        if liquidating:
            self._liquidate_next_undermargined_account()
        for some in blocks.iter_account_batches(call, accounts=owners, sender=get_trader_account(FINDER)):
            blocks.apply_call_in_block(call, some, sender=get_trader_account(FINDER), account_count=len(some))
            done += len(some)
            if liquidating and done - len(some) < len(owners) // 2 <= done:
                self._liquidate_next_undermargined_account()
        if liquidating:
            self._liquidate_next_undermargined_account()

    def _liquidate_next_undermargined_account(self) -> None:
        """Liquidate lots of the next account below its maintenance margin, and count success."""
        owner = next(self._thin)
        self.tried += 1
        args = get_trader_account(owner), 0, TAKEN
        done = self.blocks.apply_call_in_block(
            f"{TRADING}.liquidate",
            *args,
            sender=get_trader_account("liquidator"),
            counts_gas=False,
            may_revert=True,
        )
        self.liquidated += done.reason is None

    def _run_winner_evasion_phase(self, evasion_attempts: EvasionAttempts | None) -> None:
        if evasion_attempts is not None:
            self.blocks.begin_phase("winners dodge", len(evasion_attempts.dodgers))
            apply_evasion_attempts(self.crowd, evasion_attempts)

    def _roll_cycle(self) -> Outcome:
        """Wait until the cycle's window has passed, advance the cycle, and return the call's outcome."""
        blocks, market = self.blocks, self.crowd.market
        if blocks.phase.name != "two cycles pass":
            blocks.begin_phase(ROLLING)
        blocks.mine_block_of_waiting_calls()
        clock = market.clocks[()]
        soonest = max(clock.rolled_at + market.window, clock.booked_at + market.quiet)
        blocks.let_empty_time_pass(max(0, soonest - blocks.timestamp))
        rolled = blocks.apply_call_in_block(f"{HOUSE}.advance_cycle")
        blocks.mine_block_of_waiting_calls()
        return rolled

    def _close_positions_by_policy(self) -> list[AdlResult]:
        """Close winners' positions by the policy in each market; return a result for each.

        The list is empty if the policy closes no positions.
        """
        if self.policy not in CLOSERS:
            return []
        # Who has dodged has nothing to close, and ranks first: who comes later takes far more.
        least = _CLOSING if self.dodgers else 0
        return [
            close_positions_by_policy(
                self.crowd, m, self._held[m], self._liquidate_next_undermargined_account, least
            )
            for m in self.crowd.markets
        ]

    # -------------------------------------------------------------- questions

    def _read_net_values(self) -> dict[str, int]:
        """Return each account's value at mark prices, less its known haircuts [wad].

        A haircut is the part of a gain that pays others' losses.
        """
        market, found = self.crowd.market, {}
        with self.blocks.model.fork_state():
            for owner in list(market.accounts):
                market._settle_missed_cycles(owner)
                standing = market._compute_standing(owner)
                found[owner] = standing.own - standing.haircut
        return found

    def _list_unbooked(self) -> list[str]:
        """Return the accounts for which `seize_insolvent` would still succeed."""
        model = self.blocks.model
        nobody = get_trader_account("nobody")
        return [
            owner
            for owner in list(self.crowd.market.accounts)
            if model.dry_run(Action(HOUSE, "seize_insolvent", (owner,), nobody)).reason is None
        ]

    def _compute_largest_haircut_bps(self, cycle: int) -> int:
        """Return the largest share of a gain that losses took in a cycle [bps], rounded up.

        All accounts of one market and side bear the same share.
        """
        market, most = self.crowd.market, 0
        for m in self.crowd.markets:
            for loss, total in zip(market.losses[m, cycle], market.totals[m, cycle], strict=True):
                most = max(most, -(-loss * BASIS_POINTS // total) if total else 0)
        return most

    def _build_evasion_result(
        self, evasion_attempts: EvasionAttempts, cycle: int, closings: Sequence[AdlResult]
    ) -> EvasionResult:
        with self.blocks.model.fork_state():
            money = [
                max(0, compute_escaped_loss(self.crowd, each, cycle)) for each in evasion_attempts.dodgers
            ]
        would = did = 0
        for m, closing in enumerate(closings):
            for each in evasion_attempts.dodgers:
                owner = get_trader_account(each.name)
                would += min(closing.would.get(owner, 0), -each.sizes[m])
                did += closing.did.get(owner, 0)
        return EvasionResult(evasion_attempts, sum(money), max(money, default=0), would, max(0, would - did))


def _read_roll_figure(rolled: Outcome, what: str) -> int:
    """Return a figure of the event of a finished cycle [wad].

    With `insured` it is the payment of insurance, otherwise the payment out of gains of later cycles.
    """
    values = next(log.values for log in rolled.logs if log.event == "Rolled")
    return int(values[1 if what == "insured" else 2])
