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
    """Call that a keeper wants to send, with its purpose and its expected cost and gain.

    `about` identifies the purpose independently of the amounts, so that repeated attempts are recognised.
    """

    action: Action
    about: tuple[Hashable, ...]
    spends: int = 0  # wad of the group's asset that it pays at most
    gain: int | None = None  # wad of stablecoin before gas; None for a call that is not made for profit
    gas: int | None = None  # gas that it needs; None where a job of the gas table stands for it
    of: int | None = None  # the collateral type that it buys
    at_risk: bool = False  # whether it takes over what may lose value, besides what it pays

    @property
    def label(self) -> str:
        """Short description of the call for logs: contract, method and shortened purpose."""
        about = [str(part)[:10] for part in _flatten_parts(self.about[1:])]
        return f"{self.action.contract}.{self.action.method}({', '.join(about)})"


def _flatten_parts(parts: object) -> list[object]:
    return [each for part in parts for each in _flatten_parts(part)] if isinstance(parts, tuple) else [parts]


Decisions = Iterator[Intent]


@dataclass
class KeeperMemory:
    """Memory of a keeper: outcomes of its earlier calls, by their purpose.

    `failures` has the number of failures in a row and the time of the last. `done` has the time of the last
    success. `under_way` has calls that are sent and not mined. `ranges` has the prices that a reporter saw.
    `rankings` has the gainers of a cycle on a market side, in their proven order.
    """

    failures: dict[tuple[Hashable, ...], tuple[int, int]] = field(default_factory=dict)
    ranges: PriceRanges = field(default_factory=PriceRanges)
    rankings: dict[tuple[int, int], tuple[int, list[str]]] = field(default_factory=dict)
    done: dict[tuple[Hashable, ...], int] = field(default_factory=dict)
    under_way: set[tuple[Hashable, ...]] = field(default_factory=set)

    def record_outcome(self, about: tuple[Hashable, ...], ok: bool, now: int) -> None:
        """Record at time `now` whether the call with this purpose succeeded."""
        if ok:
            self.failures.pop(about, None)
            self.done[about] = now
        else:
            self.failures[about] = (self.failures.get(about, (0, 0))[0] + 1, now)

    def can_retry(self, about: tuple[Hashable, ...], now: int) -> bool:
        """Return True if a call with this purpose may be sent now.

        After failures in a row the pause doubles each time, up to about an hour. A failure recorded in the
        future is ignored.
        """
        count, at = self.failures.get(about, (0, 0))
        return count == 0 or now < at or now > at + _PATIENCE * 2 ** min(count - 1, 6)

    def get_seconds_since_success(self, about: tuple[Hashable, ...], now: int) -> int:
        """Return the seconds since the last success of a call; a huge number if it never succeeded."""
        at = self.done.get(about)
        return 1 << 62 if at is None or now < at else now - at


@dataclass(frozen=True)
class Keeper:
    """Keeper account: its group and index, its strategy, and its sources of signed data.

    `orders` are signed orders for a matcher, `reports` signed price reports for a keeper that submits them.
    `signing` is the file of a reporter that signs reports instead of sending them. `sign_order` signs an
    order of the margin market with the account's key.
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
        """Return the calls to send now, the most important first, at most the group's limit `most`.

        Calls that are pending, or that pause after a failure, are left out.
        """
        wanted: list[Intent] = []
        for intent in self._iter_decisions(view, memory, gas_price):
            if intent.about not in memory.under_way and memory.can_retry(intent.about, view.timestamp):
                wanted.append(intent)
                if len(wanted) == self.group.most:
                    break
        return wanted

    def _iter_decisions(self, view: KeeperView, memory: KeeperMemory, gas_price: int) -> Decisions:
        """Yield the calls of the keeper's role, and in settlement those of a stablecoin holder.

        A role without duties in settlement stops once settlement begins. The holder's calls start once the
        redemption rates are fixed.
        """
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
        """Return the intent to call a contract from this keeper's account."""
        action = Action(contract, method, args, self.address)
        return Intent(action, (method, about), spends, gain, gas, of, at_risk)

    def build_worth_by_acceptable_offer(self, offers: Sequence[Offer]) -> dict[Hashable, int]:
        """Return the strategy's value of 1e18 of each acceptable offer [ray], by the offer's id.

        Offers without a value, or with a price above the share `takes_at` of their value, are left out.
        """
        found = zip(offers, request_valuations(self.strategy, offers), strict=True)
        return {
            offer.id: worth
            for offer, worth in found
            if worth is not None and self.accepts_price(offer.price, worth)
        }

    def accepts_price(self, price: int, worth: int) -> bool:
        """Return True if a price [ray] is at most the share `takes_at` of the value `worth` [ray]."""
        return price * BASIS_POINTS <= worth * self.group.takes_at

    def is_assigned(self, key: int) -> bool:
        """Return True if the item with this number belongs to this keeper.

        A group divides items by the number modulo the count of its keepers.
        """
        return key % self.group.count == self.index


Decides = Callable[[Keeper, KeeperView, KeeperMemory, int], Decisions]
"""The decisions of a role; the last argument is the gas price in wei."""

Occasion = Callable[[KeeperView], bool]
"""Whether keepers of a role could want anything at a block."""


class Role(NamedTuple):
    """Role of a keeper: its decision function, its condition to act, and whether it acts in settlement."""

    decide: Decides
    occasion: Occasion | None  # None: at any time, as for those who keep to a schedule
    in_settlement: bool


REGISTER: dict[str, Role] = {}
"""All roles by name. The package's `__init__` imports every module that has some."""


def register_role(
    name: str, *, occasion: Occasion | None = None, in_settlement: bool = False
) -> Callable[[Decides], Decides]:
    """Return a decorator that registers a decision function as the role `name`.

    `occasion` tells from a view whether the role could have anything to do; None means at any time.
    """

    def register(decide: Decides) -> Decides:
        assert name not in REGISTER, f"there are two roles {name}"
        REGISTER[name] = Role(decide, occasion, in_settlement)
        return decide

    return register


def has_occasion(role: str, view: KeeperView) -> bool:
    """Return True if a keeper of this role could have something to do at this view's block.

    Always True once settlement has begun.
    """
    occasion = REGISTER[role].occasion
    return occasion is None or view.settlement.begun_at != 0 or occasion(view)
