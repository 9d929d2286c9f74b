"""Keepers' view of the margin market, and its state at signed prices that are not submitted yet.

No rule is written a second time here: a copy of the market's contracts is marked at the newest reports, all
accounts are updated in it, and calls are tried there. Figures in wei and lots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, cached_property
from typing import Any, NamedTuple, cast

from backstop.contract_base import ZERO_ADDRESS, Contract, World
from backstop.deployment.constructor_arguments import build_constructor_arguments
from backstop.deployment.contracts_by_parameter_name import CLOSERS
from backstop.deployment.model_and_chain_deployment import add_contract_model
from backstop.deployment.parameter_dataclasses import Parameters
from backstop.hosts.contract_creation import Creation
from backstop.hosts.model_system import ModelSystem
from backstop.keepers.ledger_view import LedgerView
from backstop.keepers.view_records import Tables
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD, div_up
from backstop.model.cycle_book import Account, Position
from backstop.model.interfaces import EMERGENCY, Clock, Standing
from backstop.model.margin_policy import MarginPolicy, Margins
from backstop.model.perpetual_market import PerpetualMarket
from backstop.model.perpetual_trading import PerpetualTrading
from backstop.model.price_feed import PriceFeed, Report
from backstop.model.price_path import Path
from backstop.model.signed_reports import SignedReport
from backstop.system import Action, Snapshot

MARKET, TRADING, CLOSER = "PerpetualMarket", "PerpetualTrading", "PerpetualCloser"
ORDERS = "MarginOrders"
_COPIED = ("PriceFeed", "MarginPolicy", MARKET, TRADING)

Signed = Mapping[tuple[int, str], SignedReport]
"""The newest reports by the feed's market and reporter."""


class UndermarginedAccount(NamedTuple):
    """Solvent account under its maintenance margin, with its equity and margin shortage [wei]."""

    owner: str
    equity: int
    shortage: int

    @property
    def maximum_reward(self) -> int:
        """Upper bound of the liquidator's reward for taking over the account's positions [wei]."""
        return min(self.equity, self.shortage)


class _KeeperViewLedger:
    """Stand-in for the vault engine and the risk policy, which the trading contract asks in a simulation.

    It answers from a keeper's view whether settlement has begun and which mode is in force.
    """

    def __init__(self, view: LedgerView, address: str) -> None:
        self._view = view
        self._address = address

    def in_settlement(self, sender: str) -> bool:
        return bool(self._view.settlement.begun_at)

    def risk_policy(self, sender: str) -> str:
        return self._address

    def mode(self, sender: str) -> int:
        return self._view.mode


class _EmptyMarginFund:
    """Insurance fund that pays nothing, for simulations.

    The fund's balance does not decide which accounts are seized.
    """

    def absorb(self, sender: str, loss: int, most: int) -> int:
        return 0


class MarketSimulation:
    """Copy of the perpetual market in which pending price reports are submitted and calls can be tried.

    All markets are marked at the submitted reports on construction. Queries of an account first update that
    account in the copy.
    """

    def __init__(self, view: LedgerView, snapshot: Snapshot, parameters: Parameters, signed: Signed) -> None:
        world = World(view.timestamp, 0)
        for creation in _list_simulated_contract_creations(parameters, tuple(sorted(view.addresses.items()))):
            add_contract_model(world, creation)
            for path, table in world.contracts[creation.name].tables.items():
                dict.update(table, snapshot[creation.name][path])
        at = view.addresses["VaultEngine"]
        world.addresses[at] = cast(Contract, _KeeperViewLedger(view, at))
        world.addresses[view.addresses["MarginFund"]] = cast(Contract, _EmptyMarginFund())
        self.system = ModelSystem(world)
        self.market = cast(PerpetualMarket, world.contracts[MARKET])
        self.trading = cast(PerpetualTrading, world.contracts[TRADING])
        # None where nobody's positions are closed by force.
        self.closer = world.contracts.get(CLOSER)
        feed = cast(PriceFeed, world.contracts["PriceFeed"])
        for (c, reporter), report in signed.items():
            feed.reports[c, feed.reporter_index[c, reporter]] = Report.build_price_report(*report[1:-1])
        self.fresh: dict[int, bool] = {}
        policy = cast(MarginPolicy, world.contracts["MarginPolicy"])
        for m in range(policy.markets(ZERO_ADDRESS)):
            self.fresh[m] = self.market.accrue(ZERO_ADDRESS, m).high != 0
        # What a position needs at most, basis points of its notional.
        self._most = {m: _get_highest_maintenance(policy.terms[m]) for m in self.fresh}

    @contextmanager
    def revert_changes_on_exit(self) -> Iterator[None]:
        """Return a context manager that reverts all changes of its block to the simulation."""
        with self.system.fork_state():
            yield

    def apply_call_and_report_success(self, contract: str, method: str, *args: Any, sender: str) -> bool:
        """Apply a call to the simulation, and return True if it did not revert."""
        return self.system.apply(Action(contract, method, args, sender)).ok

    @property
    def pending_cycle(self) -> int:
        """Number of the pending cycle: the last ended one, in which gains still bear losses."""
        return int(self.market.clocks[()].cycle) - 1

    # ------------------------------------------------------------------ accounts

    @property
    def account_addresses(self) -> list[str]:
        """Addresses of all accounts of the market, in ascending order."""
        return sorted(self.market.accounts)

    def get_standing(self, owner: str) -> Standing:
        """Return an account's standing at the current marks: its own money and its haircut [wei].

        The account is first updated to the current cycle. The haircut is the part of its gains that pays
        others' losses.
        """
        market, clock = self.market, self.market.clocks[()]
        account = market.accounts[owner]
        if account.cycle < clock.cycle or account.markets & clock.ended:
            market.update_account(ZERO_ADDRESS, owner)
        return market._compute_standing(owner)

    def _list_accounts_to_check(self) -> list[str]:
        """Return the accounts that may be under their maintenance margin or insolvent.

        The check is a cheap over-approximation; it sorts out the many accounts that are certainly sound.
        """
        market, clock = self.market, self.market.clocks[()]
        pending = any(sum(market.losses[m, clock.cycle - 1]) for m in self.fresh)
        # All markets were marked a moment ago.
        levels = {m: (market.values[m], market.paths[m].price * most) for m, most in self._most.items()}
        found = []
        for owner in self.account_addresses:
            account = market.accounts[owner]
            own, needs = account.cash, 0
            for m, (values, most) in levels.items():
                if account.markets >> m & 1:
                    size = market.positions[owner, m].size
                    own += values.of(size)
                    needs += abs(size) * most
            haircuts = pending or account.seen != clock.lossy
            if (haircuts and account.markets) or own * BASIS_POINTS < needs or own < 0:
                found.append(owner)
        return found

    def get_position_sizes(self, owner: str) -> dict[int, int]:
        """Return an account's position sizes by market id [lots]; short positions are negative."""
        found = {m: int(self.market.positions[owner, m].size) for m in self.fresh}
        return {m: size for m, size in found.items() if size}

    def list_markets_by_notional(self, owner: str) -> list[int]:
        """Return the ids of the markets in which an account has a position, the largest notional first."""
        sizes = self.get_position_sizes(owner)
        return sorted(sizes, key=lambda m: (-abs(sizes[m]) * self.market.paths[m].price, m))

    @cached_property
    def liquidatable_accounts(self) -> list[UndermarginedAccount]:
        """Solvent accounts that can be liquidated at the current marks, the highest possible reward first."""
        found = []
        for owner in self._list_accounts_to_check():
            standing = self.get_standing(owner)
            equity, marks = standing.own - standing.haircut, self.trading._mark_markets_of_account(owner)
            needed = self.trading._compute_margins(owner, False, marks.fresh)[1]
            short = needed - equity * BASIS_POINTS
            if equity >= 0 and (equity + marks.better) * BASIS_POINTS < needed:
                found.append(UndermarginedAccount(owner, equity, div_up(short, BASIS_POINTS)))
        return sorted(found, key=lambda each: (-each.maximum_reward, each.owner))

    def list_debtors(self) -> list[str]:
        """Return the accounts with a haircut above their own money, the largest debt first.

        The haircut is the part of an account's gains that pays others' losses. The pending cycle (the last
        ended one) counts as well.
        """
        found = []
        for owner in self._list_accounts_to_check():
            standing = self.get_standing(owner)
            lacks = standing.haircut - standing.own
            pending = standing.haircut - max(self.market.worths[owner].value, standing.own)
            if max(lacks, pending) > 0:
                found.append((-lacks, owner))
        return [owner for _, owner in sorted(found)]

    def list_insolvent_accounts_to_seize(self, sender: str) -> list[str]:
        """Return the accounts that `sender` could seize now, in the order of seizure.

        The list includes accounts that become insolvent only through the losses of accounts seized before
        them. The simulation itself stays unchanged.
        """
        found: list[str] = []
        with self.revert_changes_on_exit():
            before = -1
            while len(found) != before:
                before = len(found)
                for owner in self.list_debtors():
                    if owner not in found and self.apply_call_and_report_success(
                        MARKET, "seize_insolvent", owner, sender=sender
                    ):
                        found.append(owner)
        return found

    # ----------------------------------------------------------------- take-overs

    def find_most_lots(self, method: str, *args: Any, whole: int, sender: str) -> int:
        """Return the most lots, up to `whole`, with which a call of the trading contract succeeds.

        0 if the call succeeds with no number of lots. `args` are the arguments before the number of lots.
        """

        def goes(lots: int) -> bool:
            return self.system.dry_run(Action(TRADING, method, (*args, lots), sender)).ok

        return find_largest_accepted(goes, whole)

    def compute_reward(self, owner: str, market_id: int, lots: int, sender: str) -> int:
        """Return the reward for liquidating lots of an account [wei], including the share of the fund.

        0 if the liquidation would revert.
        """
        outcome = self.system.dry_run(Action(TRADING, "liquidate", (owner, market_id, lots), sender))
        return int(outcome.value) if outcome.ok else 0

    def get_unassigned_lots(self, market_id: int) -> int:
        """Return the lots seized from insolvent accounts that no account has taken over yet.

        Above 0 if the seized positions were long, below 0 if they were short.
        """
        long, short = self.market.lots[market_id]
        return int(short - long)


class CycleView:
    """Read-only view of the perpetual market (margin market) at one block, for keepers."""

    def __init__(self, view: LedgerView, snapshot: Snapshot, parameters: Parameters) -> None:
        assert parameters.margin is not None
        self._view = view
        self.snapshot = snapshot
        self.parameters = parameters
        self.terms = parameters.margin
        self._market: Tables = snapshot[MARKET]
        self._orders: Tables = snapshot[ORDERS]
        underlyings = snapshot["MarginPolicy"]["underlyings"]
        self.feeds = {m: underlyings[m].feed for m in range(snapshot["MarginPolicy"]["markets"].get((), 0))}
        """The feed's market of each market."""
        self._ends_at = {m: underlyings[m].ends_at for m in self.feeds}
        self._rehearsals: dict[tuple[tuple[int, str, int], ...], MarketSimulation] = {}

    def simulate_reports(self, signed: Signed) -> MarketSimulation:
        """Return a simulation of the market after the given signed price reports are submitted.

        The same reports give the same object.
        """
        key = tuple(sorted((c, who, each.signed_at) for (c, who), each in signed.items()))
        if key not in self._rehearsals:
            found = MarketSimulation(self._view, self.snapshot, self.parameters, signed)
            self._rehearsals[key] = found
        return self._rehearsals[key]

    def get_last_mark(self, market_id: int) -> int:
        """Return a market's last mark price [wei a lot]; 0 if it was never marked."""
        found: Path = self._market["price_path.paths"].get(market_id, Path())
        return found.price

    def has_market_ended(self, market_id: int) -> bool:
        """Return True if a market has settled at its final price."""
        return bool(self.clock.ended >> market_id & 1)

    def is_market_ending(self, market_id: int) -> bool:
        """Return True if a market's end has come but the market has not settled at its final price yet.

        The end comes at the delisting time of the market or with the protocol's settlement.
        """
        begun = 0 < self._ends_at[market_id] <= self._view.timestamp or bool(self._view.settlement.begun_at)
        return begun and not self.has_market_ended(market_id)

    @property
    def has_every_market_ended(self) -> bool:
        """True if all markets have settled at their final price."""
        return not self.running_market_ids

    @property
    def running_market_ids(self) -> list[int]:
        """Ids of the markets that have not settled at a final price."""
        return [m for m in self.feeds if not self.has_market_ended(m)]

    @property
    def clock(self) -> Clock:
        """Stored clock of the market: number of the open cycle, its times, and the ended markets."""
        found: Clock = self._market["price_path.clock"].get((), Clock())
        return found

    @property
    def rolls_from(self) -> int:
        """Timestamp from which any account may end the open cycle.

        A cycle lasts at least one window and at most four; in between it ends after a quiet time without new
        losses.
        """
        clock, terms = self.clock, self.terms
        latest = clock.rolled_at + 4 * terms.window
        return min(latest, max(clock.rolled_at + terms.window, clock.booked_at + terms.quiet))

    @property
    def has_positions(self) -> bool:
        """True if any account has an open position."""
        return any(max(lots) for lots in self._market["price_path.lots"].values())

    def list_accounts_in_ended_markets(self) -> list[str]:
        """Return the accounts that still have a position in a market that has ended, in ascending order."""
        positions = self._market["cycle_book.positions"].items()
        found = {owner for (owner, m), each in positions if each.size and self.has_market_ended(m)}
        return sorted(found)

    def get_position(self, owner: str, market_id: int) -> Position:
        """Return an account's stored position in a market; an empty position if it has none."""
        found: Position = self._market["cycle_book.positions"].get((owner, market_id), Position())
        return found

    def has_missed_cycles(self, owner: str) -> bool:
        """Return True if an account's last update is more than one cycle old.

        The next call that touches the account then costs more gas.
        """
        account: Account = self._market["cycle_book.accounts"].get(owner, Account())
        return 0 < account.cycle < self.clock.cycle - 1

    def count_markets(self, owner: str) -> int:
        """Return the number of markets in which an account is active."""
        account: Account = self._market["cycle_book.accounts"].get(owner, Account())
        return account.markets.bit_count()

    def get_lifetime_net_deposits(self, owner: str) -> int:
        """Return an account's deposits less the withdrawn or lost part of these deposits [wad]."""
        return int(self._market["cycle_book.paid_in"].get(owner, 0))

    def get_account_equity(self, owner: str) -> int:
        """Return an account's equity at the last marks, after its haircut [wad]; 0 if it is insolvent.

        The haircut is the part of its gains that pays others' losses.
        """
        if owner not in self._market["cycle_book.accounts"]:
            return 0
        standing = self.simulate_reports({}).get_standing(owner)
        return max(0, standing.own - standing.haircut)

    def compute_shortfall_to_post(self) -> int:
        """Return the unpaid late losses that the protocol would assume as a facilitator's debt now [wad].

        Late losses are losses that neither insurance nor the gains of their cycle absorbed. 0 in emergency
        mode, in settlement, after an announced loss, or without room under the facilitator's ceiling.
        """
        late = int(self._market["cycle_losses.late"].get((), 0))
        facilitator = self._view.facilitators_by_name.get(self.terms.facilitator)
        if not late or facilitator is None or facilitator.announced or self._view.settlement.begun_at:
            return 0
        if self._view.mode >= EMERGENCY:
            return 0
        line = self._view.get_terms(facilitator.collateral_type).debt_ceiling * WAD
        return max(0, min(late, line - div_up(facilitator.debt, RAY) - facilitator.lost))

    # -------------------------------------------------------------------- orders

    def get_filled_lots(self, digest: bytes) -> int:
        """Return the filled lots of an order, by its digest; a number above any size if it was cancelled."""
        return int(self._orders["filled"].get(digest, 0))

    def get_nonce_floor(self, owner: str) -> int:
        """Return the nonce below which all orders of an account are void."""
        return int(self._orders["nonce_floor"].get(owner, 0))


def find_largest_accepted(goes: Callable[[int], bool], whole: int) -> int:
    """Return the largest number from 1 to `whole` for which `goes` returns True, by binary search.

    0 if there is none. `goes` must be monotonic: a call that succeeds with some lots succeeds with fewer.
    """
    fits, beyond = (whole, whole) if whole > 0 and goes(whole) else (0, whole)
    while beyond - fits > 1:
        lots = (fits + beyond) // 2
        fits, beyond = (lots, beyond) if goes(lots) else (fits, lots)
    return fits


def _get_highest_maintenance(terms: Margins) -> int:
    """Return the maintenance margin rate of a notional above all brackets [basis points]."""
    return terms.maintenance + terms.account_rate_1 + terms.account_rate_2


@cache
def _list_simulated_contract_creations(
    parameters: Parameters, addresses: tuple[tuple[str, str], ...]
) -> tuple[Creation, ...]:
    at = dict(addresses)
    args = build_constructor_arguments(parameters, at, ZERO_ADDRESS, ZERO_ADDRESS, ZERO_ADDRESS)
    assert parameters.margin is not None
    kinds = {name: name for name in _COPIED}
    if CLOSER in at:
        kinds[CLOSER] = CLOSERS[parameters.margin.policy]
    return tuple(Creation(name, kind, args[name], at[name]) for name, kind in kinds.items())
