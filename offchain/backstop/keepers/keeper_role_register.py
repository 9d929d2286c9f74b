"""A keeper's identity, memory and intended calls; and the register of roles."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from backstop.keepers.keeper_group_settings import KeeperGroup
from backstop.keepers.keeper_view import KeeperView
from backstop.keepers.recent_price_ranges import PriceRanges
from backstop.keepers.report_files import ReportProvider, SignedReportFile
from backstop.keepers.signed_order_file import OrderFile
from backstop.keepers.strategy import MarketPriceStrategy, Offer, Strategy, request_valuations
from backstop.model.arithmetic import BASIS_POINTS
from backstop.model.margin_orders import Order
from backstop.system import Action

UNLIMITED = 1 << 255
"""A bound that no amount reaches."""

HOLDER = "holder"
"""The role that every keeper has besides its own once settlement has closed the books."""

_PATIENCE = 60
"""Seconds for which a keeper leaves a call alone after its first failure; doubled by each further one."""


class Intent(NamedTuple):
    """A call that a keeper wants to make; `about` names its purpose, regardless of the amounts."""

    action: Action
    about: tuple[Hashable, ...]
    spends: int = 0  # wad of the group's asset that it pays at most
    gain: int | None = None  # wad of stablecoin before gas; None for a call that is not made for profit
    gas: int | None = None  # gas that it needs; None where a job of the gas table stands for it
    of: int | None = None  # the collateral type that it buys
    at_risk: bool = False  # whether it takes over what may lose value, besides what it pays

    @property
    def label(self) -> str:
        """The call in a few words."""
        about = [str(part)[:10] for part in _flatten_parts(self.about[1:])]
        return f"{self.action.contract}.{self.action.method}({', '.join(about)})"


def _flatten_parts(parts: object) -> list[object]:
    return [each for part in parts for each in _flatten_parts(part)] if isinstance(parts, tuple) else [parts]


Decisions = Iterator[Intent]


@dataclass
class KeeperMemory:
    """A keeper's memory of its calls, by their purpose.

    `failures` are those in a row and the time of the last, `done` the time of the last success, `under_way`
    the calls sent and not mined. `ranges` are the prices that a reporter saw, `rankings` the accounts that
    gained in a cycle on a side of a market, in their proven order.
    """

    failures: dict[tuple[Hashable, ...], tuple[int, int]] = field(default_factory=dict)
    ranges: PriceRanges = field(default_factory=PriceRanges)
    rankings: dict[tuple[int, int], tuple[int, list[str]]] = field(default_factory=dict)
    done: dict[tuple[Hashable, ...], int] = field(default_factory=dict)
    under_way: set[tuple[Hashable, ...]] = field(default_factory=set)

    def record_outcome(self, about: tuple[Hashable, ...], ok: bool, now: int) -> None:
        """Remember whether a transaction succeeded."""
        if ok:
            self.failures.pop(about, None)
            self.done[about] = now
        else:
            self.failures[about] = (self.failures.get(about, (0, 0))[0] + 1, now)

    def can_retry(self, about: tuple[Hashable, ...], now: int) -> bool:
        """Return whether to try again: the pause doubles with each failure in a row, up to about an hour.

        A failure that is yet to come was noted at a wrong time, and holds up nothing.
        """
        count, at = self.failures.get(about, (0, 0))
        return count == 0 or now < at or now > at + _PATIENCE * 2 ** min(count - 1, 6)

    def get_seconds_since_success(self, about: tuple[Hashable, ...], now: int) -> int:
        """Return the seconds since the last success; a very long time if there was none up to now."""
        at = self.done.get(about)
        return 1 << 62 if at is None or now < at else now - at


@dataclass(frozen=True)
class Keeper:
    """One account of a group, its place in the group, its strategy, and data signed by others.

    These are orders for a matcher, and reports for a keeper that submits them. `signing` is the file of a
    signing reporter, `sign_order` signs an order of the margin market with the key of the account.
    """

    name: str
    address: str
    group: KeeperGroup
    index: int
    seed: int = 0
    strategy: Strategy = field(default_factory=MarketPriceStrategy)
    orders: OrderFile | None = None
    reports: ReportProvider | None = None
    signing: SignedReportFile | None = None
    sign_order: Callable[[Order], bytes] | None = None
    buys_best_first: bool = False
    """Whether a bidder begins with the highest profit for each coin, not with the oldest: it may have few."""

    def decide_calls(self, view: KeeperView, memory: KeeperMemory, gas_price: int) -> list[Intent]:
        """Return the calls to send now, the most important first, at most as many as the group sends."""
        wanted: list[Intent] = []
        for intent in self._iter_decisions(view, memory, gas_price):
            if intent.about not in memory.under_way and memory.can_retry(intent.about, view.timestamp):
                wanted.append(intent)
                if len(wanted) == self.group.most:
                    break
        return wanted

    def _iter_decisions(self, view: KeeperView, memory: KeeperMemory, gas_price: int) -> Decisions:
        """Yield the calls of its role, if settlement has not ended the role, and those of a holder."""
        own = REGISTER[self.group.role]
        if view.settlement.begun_at == 0 or own.in_settlement:
            yield from own.decide(self, view, memory, gas_price)
        if view.settlement.fixed_at:
            yield from REGISTER[HOLDER].decide(self, view, memory, gas_price)

    def build_intent(
        self,
        contract: str,
        method: str,
        *args: object,
        about: Hashable,
        spends: int = 0,
        gain: int | None = None,
        gas: int | None = None,
        of: int | None = None,
        at_risk: bool = False,
    ) -> Intent:
        """Make a call of this keeper's account."""
        action = Action(contract, method, args, self.address)
        return Intent(action, (method, about), spends, gain, gas, of, at_risk)

    def build_worth_by_acceptable_offer(self, offers: Sequence[Offer]) -> dict[Hashable, int]:
        """Value offers by the strategy, and drop offers with a price above `takes_at` of their value.

        Return the ray that 1e18 of each is worth, by the offer's id.
        """
        found = zip(offers, request_valuations(self.strategy, offers), strict=True)
        return {
            offer.id: worth
            for offer, worth in found
            if worth is not None and self.accepts_price(offer.price, worth)
        }

    def accepts_price(self, price: int, worth: int) -> bool:
        """Return True if a price [ray] is at most `takes_at` of the value of 1e18 [ray]."""
        return price * BASIS_POINTS <= worth * self.group.takes_at

    def is_assigned(self, key: int) -> bool:
        """Return whether a thing falls to this keeper of its group."""
        return key % self.group.count == self.index


Decides = Callable[[Keeper, KeeperView, KeeperMemory, int], Decisions]
"""The decisions of a role; the last argument is the gas price in wei."""

Occasion = Callable[[KeeperView], bool]
"""Whether keepers of a role could want anything at a block."""


class Role(NamedTuple):
    """A role: its decisions, the occasion for them, and whether it goes on while settlement is under way."""

    decide: Decides
    occasion: Occasion | None  # None: at any time, as for those who keep to a schedule
    in_settlement: bool


REGISTER: dict[str, Role] = {}
"""All roles by name. The package's `__init__` imports every module that has some."""


def register_role(
    name: str, *, occasion: Occasion | None = None, in_settlement: bool = False
) -> Callable[[Decides], Decides]:
    """Put a role in the register."""

    def register(decide: Decides) -> Decides:
        assert name not in REGISTER, f"there are two roles {name}"
        REGISTER[name] = Role(decide, occasion, in_settlement)
        return decide

    return register


def has_occasion(role: str, view: KeeperView) -> bool:
    """Return whether a keeper of this role could want anything now: if not, none need be asked."""
    occasion = REGISTER[role].occasion
    return occasion is None or view.settlement.begun_at != 0 or occasion(view)
