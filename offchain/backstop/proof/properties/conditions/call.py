"""A call and what its tables held before it, for the conditions under which contracts refuse it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from backstop.model.listing import ids_of
from backstop.model.state import ZERO_ADDRESS
from backstop.proof.properties.figures import arithmetic as own
from backstop.proof.properties.figures import policies
from backstop.proof.properties.figures.arithmetic import BASIS_POINTS, RAY
from backstop.proof.properties.figures.prices import known_prices
from backstop.proof.properties.transition import Transition

WAD, RAD = 10**18, 10**45
NO_CAP = 2**256 - 1
FEED, ENGINE, POLICY, WATERFALL = "PriceFeed", "VaultEngine", "RiskPolicy", "LossWaterfall"
CLOSED = 2
"""Settlement, once it has closed the books."""


class Call:
    """One call of a contract, refused or successful; everything is read as it was before the call."""

    def __init__(self, step: Transition) -> None:
        self.step = step
        self.read = step.before
        self.name, self.method, self.args, self.sender = step.action
        self.contract: Any = step.model.world.contracts[self.name]
        self.now = step.model.timestamp

    def own(self, path: str, key: Any = ()) -> Any:
        """Return a slot of the contract that is called."""
        return self.read(self.name, path, key)

    def engine(self, path: str, key: Any = ()) -> Any:
        """Return a slot of the vault engine."""
        return self.read(ENGINE, path, key)

    def has(self, contract: str) -> bool:
        """Return whether the deployment has a contract."""
        return contract in self.step.model.world.contracts

    @property
    def is_admin(self) -> bool:
        """Whether the sender administers the contract."""
        return bool(self.own("roles.admin") == self.sender)

    @property
    def types(self) -> list[int]:
        """The collateral types that are listed."""
        return ids_of(self.engine("terms.listed"))

    @property
    def settles(self) -> bool:
        """Whether settlement has begun."""
        return bool(self.read("Settlement", "progress").begun_at)

    def rates(self, c: int) -> tuple[int, int]:
        """Return the lowest and the highest rate that a type may have with all fees up to now [ray]."""
        if self.step.outcome.ok:
            rate = int(self.step.after(ENGINE, "ledger.debts", c).accumulated_rate)
            return rate, rate
        debts, fee = self.engine("ledger.debts", c), self.engine("ledger.income", c).stability_fee
        elapsed = self.now - debts.accrued_at
        exact, off = own.compounded(debts.accumulated_rate, RAY + fee, elapsed) if fee else (0, 0)
        highest = max(debts.accumulated_rate, exact + off)
        is_capped = exact + off >= 2**104 or debts.normalized_debt * (exact + off) >= 2**181
        return max(debts.accumulated_rate, 0 if is_capped else exact - off), highest

    def slacks(self, c: int) -> tuple[int, ...]:
        """Return by how much a rounded figure times the rate may be off between both rates [rad]."""
        low, high = self.rates(c)
        return (0,) if low == high else (-high, 0, high)

    def lost(self, c: int) -> int:
        """Return what a type has under auction and uncovered [rad]."""
        return int(self.engine("ledger.auctions", c).in_auction + self.engine("ledger.deficit", c))

    def shared_losses(self, c: int) -> int:
        """Return what losses have added to a rate and still counts [ray]."""
        borne = self.engine("ledger.redistributions", c)
        return own.shared(borne, self.now, self.step.contract(WATERFALL).epoch_length)

    def may_act(self, owner: str) -> bool:
        """Return whether the sender is the owner of a vault, or an operator."""
        return owner == self.sender or bool(self.engine("operators", (owner, self.sender)))

    # ------------------------------------------------------------------ prices

    def is_held_back(self, c: int) -> bool:
        """Return whether a halt or a grace stands against new risk and liquidations."""
        config = self.read(FEED, "configs", c)
        return bool(config.halted or self.now < config.grace_until)

    def last_price(self, c: int) -> int:
        """Return the current price, fresh or of a feed given up as dead [ray]; 0 without one."""
        prices, dead_after = self.read(FEED, "prices", c), self.read(FEED, "configs", c).dead_after
        late = self.now - prices.fresh_until
        return int(prices.current) if late <= 0 or 0 < dead_after < late else 0

    def liquidation_price(self, c: int) -> int:
        """Return the price that decides whether a vault is unsafe [ray]; 0 while it is held back."""
        return 0 if self.is_held_back(c) else self.last_price(c)

    def risk_price(self, c: int) -> int:
        """Return the lower of the current and the next price, while it is fresh [ray]."""
        prices = self.read(FEED, "prices", c)
        return int(min(prices.current, prices.next)) if self.now <= prices.fresh_until else 0

    def has_known_price(self, c: int) -> bool:
        """Return whether anybody knows a price of a type at which a sale may begin."""
        return bool(known_prices(self.step, c))

    # ------------------------------------------------------------------ limits

    def limits_factor(self) -> int | None:
        """Return what auction limits are multiplied by now [basis points]; None of another policy."""
        if not self.has(POLICY):
            return BASIS_POINTS
        if not policies._is_the_first(self.step):
            return None
        modes = self.read(POLICY, "modes")
        return int(modes.emergency_factor) if modes.mode == 2 else BASIS_POINTS

    def room(self, c: int) -> int | None:
        """Return how much principal may still go under auction [rad]; None of another policy."""
        if self.engine("terms.of_types", c).settling:
            return 0
        factor, sold = self.limits_factor(), self.engine("ledger.auctions", c)
        if factor is None:
            return None
        whole = sum(self.engine("ledger.auctions", each).in_auction for each in self.types)
        limits = (
            (sold.limit, sold.in_auction),
            (self.engine("terms.global_auction_limit"), whole),
        )
        return int(min(max(0, limit * factor * RAD // BASIS_POINTS - used) for limit, used in limits))


def either(values: Iterable[bool]) -> bool | None:
    """Return what all of some possibilities say; None if they differ."""
    found = set(values)
    return found.pop() if len(found) == 1 else None


def is_outside(value: int, least: int, most: int) -> bool:
    """Return whether a value is beyond its bounds, of which both ends are within."""
    return not least <= value <= most


Condition = Callable[..., "bool | None"]
"""Of a Call and its arguments: whether this stands in the way; None if the tables do not say."""

CONDITIONS: dict[tuple[str, str], dict[str, Condition]] = {}
"""Kind of contract and method -> reason -> condition under which the call is refused for it."""


def refuses(kinds: str, methods: str, prefix: str = "", **conditions: Condition) -> None:
    """List conditions of functions: their names are the reasons, `_` for a space, after a prefix."""
    for kind in kinds.split():
        for method in methods.split():
            known = CONDITIONS.setdefault((kind, method), {})
            for name, condition in conditions.items():
                known[prefix + name.replace("_", " ")] = condition


def is_nobody(address: str) -> bool:
    """Return whether an address is the zero address."""
    return address == ZERO_ADDRESS
