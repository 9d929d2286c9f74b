"""Spending limits: the budget of a role, the conditions that stop it earlier, and the operator's pause.

An attacker that can stop a keeper can rob the protocol: so each limit stops only the spending that it saves.
Lost gas stops calls that do not pay for themselves. Knowledge that may be wrong stops calls that put money at
risk. A call that pays for itself in the next block and risks only its gas is stopped by the operator alone:
after many failures it continues one call at a time. A take-over of a position pays for itself, too, so
failures and gas do not stop it. But the position may lose money, so doubt and a used-up risk budget do stop
it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from backstop.errors import BackstopError
from backstop.keepers.keeper_role_register import Intent, Keeper
from backstop.keepers.keeper_view import KeeperView
from backstop.live.operate.live_roles import ROLES, describe_unknown_role, get_role_name
from backstop.live.operate.transaction_journal import DAY, Entry, Journal, Spending
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD
from backstop.report.amounts import format_fixed

MOST_FAILURES = 20
"""Failed transactions of a role within an hour, half of all that were mined or more, that are too many."""

_WINDOWS = {"hour": 3_600, "day": DAY}
# A budget burns if this part of it is used within that part of its time: it would not last for half of it.
_BURNS, _OF_TIME = 4, 12


@dataclass(frozen=True)
class SpendingLimits:
    """Budgets of a role for gas [wei] and for money at risk [wad], by hour and by day.

    `deviation` is the greatest distance of market from feed price at which the role buys [basis points].
    None: no limit.
    """

    gas_hour: int | None = None  # wei
    gas_day: int | None = None
    risk_hour: int | None = None  # wad of the token that it pays with
    risk_day: int | None = None
    deviation: int | None = None  # basis points

    def iter_budget_kind_window_amounts(self) -> Iterable[tuple[str, str, int]]:
        """Yield each budget that is set: its kind (`gas` or `risk`), window (`hour` or `day`) and amount."""
        for what in ("gas", "risk"):
            for window in _WINDOWS:
                if (amount := getattr(self, f"{what}_{window}")) is not None:
                    yield what, window, amount


class LimitReached(NamedTuple):
    """Limit that stops calls of a role: the role, the cause, and a sentence for the log."""

    role: str
    cause: str  # paused, gas, risk, failures, difference, fork, deviation
    why: str


class PendingCall(NamedTuple):
    """Call that is about to be sent, with its keeper and its highest gas cost [wei]."""

    keeper: Keeper
    intent: Intent
    gas: int  # wei that it costs at most

    @property
    def pays(self) -> bool:
        """Whether the call pays for itself: its gain was compared with its cost, and it spends no tokens."""
        return self.intent.gain is not None and not self.intent.spends

    @property
    def is_risking_money(self) -> bool:
        """Whether the call risks money: it spends tokens, or takes over a position that may lose value."""
        return self.intent.spends > 0 or self.intent.at_risk


class PausedRoles:
    """Roles that the operator has paused, each a file in a folder, so that two shells cannot collide."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def read_paused(self) -> set[str]:
        """Return the roles that are paused now; empty without a folder."""
        try:
            found = set() if self.folder is None else set(os.listdir(self.folder))
        except FileNotFoundError:
            return set()
        return set(ROLES) if "all" in found else found & set(ROLES)

    def change_paused(self, pause: Sequence[str], resume: Sequence[str]) -> set[str]:
        """Pause and resume roles by name ("all" for all roles); return the roles that are then paused.

        Raise BackstopError if a role is unknown, or if a single role is resumed while all are paused.
        """
        assert self.folder is not None
        for role in (*pause, *resume):
            if role not in ROLES and role != "all":
                raise BackstopError(describe_unknown_role(role, (*ROLES, "all")))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if resume and "all" not in resume and (self.folder / "all").exists():
                raise BackstopError("all roles are paused: let all go on, --resume all")
            for role in resume:
                for each in os.listdir(self.folder) if role == "all" else [role]:
                    (self.folder / each).unlink(missing_ok=True)
            for role in pause:
                (self.folder / role).touch()
        except OSError as error:
            raise BackstopError(f"{self.folder} cannot be written: {error.strerror}") from None
        return self.read_paused()


class LimitEnforcer:
    """Enforcer of spending limits, operator pauses and failure limits for the calls of some keepers.

    `limits` are by role; the key `others` holds the limits of roles that have none of their own.
    `most_failures` is the number of failed transactions in an hour that stops a role.
    """

    def __init__(
        self,
        keepers: Iterable[Keeper],
        limits: Mapping[str, SpendingLimits] = MappingProxyType({}),
        most_failures: int = MOST_FAILURES,
        pauses: PausedRoles | None = None,
    ) -> None:
        self.journals: Sequence[Journal] = ()
        """The journals from which spending is summed."""
        self.confirmed: Callable[[], bool] = lambda: True
        """Whether another node has the block that was followed, as far as there is another."""
        self._roles = {keeper.name: get_role_name(keeper.group) for keeper in keepers}
        others = limits.get("others", SpendingLimits())
        self._limits = {role: limits.get(role, others) for role in self._roles.values()}
        self._most_failures = most_failures
        self._pauses = pauses or PausedRoles(None)
        self._spent: dict[tuple[str, int], Spending] = {}
        self._failing: dict[str, bool] = {}
        """For each role, as of this look: whether its failures of the last hour stop it."""
        self.paused: set[str] = set()
        self.stops: dict[tuple[str, str], LimitReached] = {}
        """The limits that stop calls now, by role and cause."""
        self._needed: dict[tuple[str, str], int] = {}

    def refresh_and_list_ended_stops(self) -> list[LimitReached]:
        """Start a round of the keeper loop: update the active stops, and return the stops that have ended."""
        self._spent.clear()
        self._failing.clear()
        self.paused = self._pauses.read_paused() & set(self._roles.values())
        over = [stop for stop in self.stops.values() if not self._is_limit_still_reached(stop)]
        for stop in over:
            del self.stops[stop.role, stop.cause]
        for role in self.paused:
            text = f"{role} is paused: nothing of it is sent"
            self.stops.setdefault((role, "paused"), LimitReached(role, "paused", text))
        for role in self._limits:
            if self._is_failing(role):
                self.stops.setdefault((role, "failures"), self._build_failures_stop(role))
        return over

    def clear_spending_cache(self) -> None:
        """Discard the cached sums of spending, because a transaction was sent."""
        self._spent.clear()

    def can_afford(self, keeper: str, entry: Entry, most: int) -> bool:
        """Return whether the role's gas budgets have room for a transaction at a higher price.

        `most` is the new price [wei per gas].
        """
        role = self._roles[keeper]
        more = entry.gas * most - entry.actual_or_maximum_spending.gas
        return all(
            self._get_used(role, what, window) + more <= amount
            for what, window, amount in self._limits[role].iter_budget_kind_window_amounts()
            if what == "gas"
        )

    def find_stop(self, call: PendingCall, view: KeeperView, differences: int) -> LimitReached | None:
        """Return the limit that stops a call, and remember it; None if the call may be sent.

        `differences` is the number of differences found between model and chain.
        """
        role = self._roles[call.keeper.name]
        found = self._find_reached_limit(role, call, view, differences)
        if found is not None:
            self.stops[role, found.cause] = found
        return found

    def _find_reached_limit(
        self, role: str, call: PendingCall, view: KeeperView, difference_count: int
    ) -> LimitReached | None:
        if role in self.paused:
            return self.stops[role, "paused"]
        if self._is_failing(role) and (not call.pays or self._has_pending(role)):
            return self._build_failures_stop(role)
        limits = self._limits[role]
        # What it takes over has no amount: it needs that anything is left.
        risk = max(call.intent.spends, int(call.is_risking_money))
        for what, window, amount in limits.iter_budget_kind_window_amounts():
            needed = call.gas if what == "gas" else risk
            if (what == "gas" and call.pays) or not needed:
                continue
            if self._get_used(role, what, window) + needed > amount:
                self._needed[role, what] = needed
                return LimitReached(role, what, self._describe_budget(role, what, window, amount))
        if call.is_risking_money and difference_count:
            text = f"model and chain differed: {role} puts no money at risk until it is started again"
            return LimitReached(role, "difference", text)
        if call.is_risking_money and not self.confirmed():
            text = f"no other node has the newest block: {role} puts no money at risk until one has"
            return LimitReached(role, "fork", text)
        c = call.intent.of
        if call.is_risking_money and limits.deviation is not None and c is not None:
            feed, market = view.get_feed_price_record(c).current, view.outside.prices[c]
            if abs(market - feed) * BASIS_POINTS > feed * limits.deviation:
                what = f"the market of {view.symbols[c]} is at {format_fixed(market, RAY, 2)}, the feed at "
                text = f"{what}{format_fixed(feed, RAY, 2)}: {role} puts no money at risk there"
                return LimitReached(role, "deviation", text)
        return None

    # ------------------------------------------------------------------ what was spent

    def _sum_spending(self, role: str, seconds: int) -> Spending:
        """Return the spending of a role in the last `seconds`, pending transactions at their maximum."""
        if (role, seconds) not in self._spent:
            since, total = time.time() - seconds, Spending()
            for journal in self.journals:
                for keeper, at, spent in journal.iter_spending():
                    if at > since and self._roles.get(keeper) == role:
                        total = total.and_also(spent)
            self._spent[role, seconds] = total
        return self._spent[role, seconds]

    def _get_used(self, role: str, what: str, window: str) -> int:
        spent = self._sum_spending(role, _WINDOWS[window])
        return spent.gas if what == "gas" else spent.risk

    def _is_failing(self, role: str) -> bool:
        if role not in self._failing:
            spent = self._sum_spending(role, _WINDOWS["hour"])
            self._failing[role] = spent.failed >= self._most_failures and spent.failed >= spent.done
        return self._failing[role]

    def _has_pending(self, role: str) -> bool:
        return any(
            entry.block is None and self._roles.get(entry.keeper) == role
            for journal in self.journals
            for entry in journal.entries
        )

    def _is_limit_still_reached(self, reached_limit: LimitReached) -> bool:
        """Return whether a limit that stopped a call still holds.

        A limit on one call's price (cause `deviation`) counts as over: the next call finds it again.
        """
        if reached_limit.cause == "paused":
            return reached_limit.role in self.paused
        if reached_limit.cause == "failures":
            return self._is_failing(reached_limit.role)
        if reached_limit.cause in ("gas", "risk"):
            needed = self._needed[reached_limit.role, reached_limit.cause]
            return any(
                self._get_used(reached_limit.role, what, window) + needed > amount
                for what, window, amount in self._limits[reached_limit.role].iter_budget_kind_window_amounts()
                if what == reached_limit.cause
            )
        if reached_limit.cause == "fork":
            return not self.confirmed()
        return reached_limit.cause == "difference"

    # ------------------------------------------------------------------------- telling

    def get_used_and_total_budgets(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Return the used and the total amount of each budget, keyed by (role, budget name).

        Gas is in wei, risk in wad. A budget's name is its kind and window, such as `gas_hour`.
        """
        return {
            (role, f"{what}_{window}"): (self._get_used(role, what, window), amount)
            for role, limits in self._limits.items()
            for what, window, amount in limits.iter_budget_kind_window_amounts()
        }

    def find_exhausting_budgets(self) -> dict[str, str]:
        """Return, by role, a warning about a budget that is being used up too fast.

        A budget is if more than a quarter of it was used in the latest twelfth of its window.
        """
        found: dict[str, str] = {}
        for role, limits in self._limits.items():
            for what, window, amount in limits.iter_budget_kind_window_amounts():
                seconds = _WINDOWS[window] // _OF_TIME
                spent = self._sum_spending(role, seconds)
                used = spent.gas if what == "gas" else spent.risk
                if used * _BURNS > amount:
                    within = f"{seconds // 60} minutes"
                    part = f"{_format_amount(used)} of {_format_amount(amount)}"
                    text = f"{role} has used {part} {_describe_spending_limit_kind(what)} a {window}"
                    found.setdefault(role, f"{text} within {within}")
        return found

    def _describe_budget(self, role: str, what: str, window: str, amount: int) -> str:
        used = _format_amount(self._get_used(role, what, window))
        rest = ": only what pays for itself is sent" if what == "gas" else " puts no more at risk"
        return (
            f"{role} has used {used} of {_format_amount(amount)} {_describe_spending_limit_kind(what)} "
            f"a {window}{rest}"
        )

    def _build_failures_stop(self, role: str) -> LimitReached:
        spent = self._sum_spending(role, _WINDOWS["hour"])
        count = f"{spent.failed} of {spent.failed + spent.done} transactions of {role}"
        text = f"{count} failed within an hour: only what pays for itself is sent, one at a time"
        return LimitReached(role, "failures", text)


def _describe_spending_limit_kind(limit_kind: str) -> str:
    return "coins for gas" if limit_kind == "gas" else "to put at risk"


def _format_amount(amount: int) -> str:
    return format_fixed(amount, WAD, 6)
