"""A call and its tables before it, for the conditions under which contracts refuse it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from backstop.contract_base import ZERO_ADDRESS
from backstop.lockstep.step_transition import Transition
from backstop.model.listed_types import decode_listed_types
from backstop.proof.properties.independent_arithmetic import policy_margin_and_margin_call_terms
from backstop.proof.properties.independent_arithmetic import property_arithmetic as own
from backstop.proof.properties.independent_arithmetic.price_figures import list_known_prices
from backstop.proof.properties.independent_arithmetic.property_arithmetic import BASIS_POINTS, RAY

WAD, RAD = 10**18, 10**45
NO_CAP = 2**256 - 1
FEED, ENGINE, POLICY, WATERFALL = "PriceFeed", "VaultEngine", "RiskPolicy", "LossWaterfall"
CLOSED = 2
"""Settlement, once it has closed the books."""


class CallContext:
    """Call of a contract, with the storage before it, for checking its revert conditions."""

    def __init__(self, step: Transition) -> None:
        self.step = step
        self.read = step.read_pre_state
        self.name, self.method, self.args, self.sender = step.action
        self.contract: Any = step.model.world.contracts[self.name]
        self.now = step.model.timestamp

    def read_own_slot(self, path: str, key: Any = ()) -> Any:
        """Return a storage value of the called contract before the call."""
        return self.read(self.name, path, key)

    def read_engine_slot(self, path: str, key: Any = ()) -> Any:
        """Return a storage value of the vault engine before the call."""
        return self.read(ENGINE, path, key)

    def has_contract(self, contract: str) -> bool:
        """Return whether the deployment has a contract of this name."""
        return contract in self.step.model.world.contracts

    @property
    def is_admin(self) -> bool:
        """Whether the caller is the admin of the called contract."""
        return bool(self.read_own_slot("roles.admin") == self.sender)

    @property
    def collateral_types(self) -> list[int]:
        """Ids of the listed collateral types."""
        return decode_listed_types(self.read_engine_slot("terms.listed"))

    @property
    def is_in_settlement(self) -> bool:
        """Whether settlement had begun before the call."""
        return bool(self.read("Settlement", "progress").begun_at)

    def compute_accumulated_rate_bounds(self, collateral_type: int) -> tuple[int, int]:
        """Return the lowest and highest possible accumulated rate with fees up to now [ray].

        Both equal the stored rate after a successful call.
        """
        if self.step.outcome.ok:
            rate = int(self.step.read_post_state(ENGINE, "ledger.debts", collateral_type).accumulated_rate)
            return rate, rate
        debts, fee = (
            self.read_engine_slot("ledger.debts", collateral_type),
            self.read_engine_slot("ledger.income", collateral_type).stability_fee,
        )
        elapsed = self.now - debts.accrued_at
        exact, off = (
            own.compound_amount_with_tolerance(debts.accumulated_rate, RAY + fee, elapsed) if fee else (0, 0)
        )
        highest = max(debts.accumulated_rate, exact + off)
        is_capped = exact + off >= 2**104 or debts.normalized_debt * (exact + off) >= 2**181
        return max(debts.accumulated_rate, 0 if is_capped else exact - off), highest

    def compute_debt_rounding_slacks(self, collateral_type: int) -> tuple[int, ...]:
        """Return the possible rounding errors of a debt between the two rate bounds [rad].

        The result is (0,) if the bounds are equal.
        """
        low, high = self.compute_accumulated_rate_bounds(collateral_type)
        return (0,) if low == high else (-high, 0, high)

    def compute_auctioned_and_uncovered_debt(self, collateral_type: int) -> int:
        """Return a type's debt under auction plus its deficit [rad]."""
        return int(
            self.read_engine_slot("ledger.auctions", collateral_type).in_auction
            + self.read_engine_slot("ledger.deficit", collateral_type)
        )

    def compute_redistributed_rate_increase(self, collateral_type: int) -> int:
        """Return the part of a type's rate that comes from recently redistributed losses [ray]."""
        borne = self.read_engine_slot("ledger.redistributions", collateral_type)
        return own.compute_recent_losses(borne, self.now, self.step.get_contract(WATERFALL).epoch_length)

    def can_act_as_owner(self, owner: str) -> bool:
        """Return whether the caller is the vault's owner or an approved operator."""
        return owner == self.sender or bool(self.read_engine_slot("operators", (owner, self.sender)))

    # ------------------------------------------------------------------ prices

    def is_market_halted(self, collateral_type: int) -> bool:
        """Return whether the market is halted or in a grace period, which block new risk and liquidations."""
        config = self.read(FEED, "configs", collateral_type)
        return bool(config.halted or self.now < config.grace_until)

    def read_last_price(self, collateral_type: int) -> int:
        """Return the current price [ray] if it is fresh or the feed is dead, else 0.

        A feed is dead once it has been stale for a set time.
        """
        prices, dead_after = (
            self.read(FEED, "prices", collateral_type),
            self.read(FEED, "configs", collateral_type).dead_after,
        )
        late = self.now - prices.fresh_until
        return int(prices.current) if late <= 0 or 0 < dead_after < late else 0

    def read_liquidation_price(self, collateral_type: int) -> int:
        """Return the price for liquidations [ray], or 0 without a price, in a halt or in a grace period."""
        return 0 if self.is_market_halted(collateral_type) else self.read_last_price(collateral_type)

    def read_risk_price(self, collateral_type: int) -> int:
        """Return the lower of current and next price [ray], or 0 if the price is stale."""
        prices = self.read(FEED, "prices", collateral_type)
        return int(min(prices.current, prices.next)) if self.now <= prices.fresh_until else 0

    def has_known_price(self, collateral_type: int) -> bool:
        """Return whether the market has a known price at which a sale may start."""
        return bool(list_known_prices(self.step, collateral_type))

    # ------------------------------------------------------------------ limits

    def read_auction_limits_factor(self) -> int | None:
        """Return the current factor on auction limits [basis points].

        Returns None if the deployment's risk policy was replaced.
        """
        if not self.has_contract(POLICY):
            return BASIS_POINTS
        if not policy_margin_and_margin_call_terms._is_initial_policy(self.step):
            return None
        modes = self.read(POLICY, "modes")
        return int(modes.emergency_factor) if modes.mode == 2 else BASIS_POINTS

    def compute_auction_room(self, collateral_type: int) -> int | None:
        """Return how much more principal may go under auction [rad].

        Returns None if the deployment's risk policy was replaced, and 0 in settlement.
        """
        if self.read_engine_slot("terms.of_types", collateral_type).settling:
            return 0
        factor, sold = (
            self.read_auction_limits_factor(),
            self.read_engine_slot("ledger.auctions", collateral_type),
        )
        if factor is None:
            return None
        whole = sum(
            self.read_engine_slot("ledger.auctions", each).in_auction for each in self.collateral_types
        )
        limits = (
            (sold.limit, sold.in_auction),
            (self.read_engine_slot("terms.global_auction_limit"), whole),
        )
        return int(min(max(0, limit * factor * RAD // BASIS_POINTS - used) for limit, used in limits))


def find_common_value(values: Iterable[bool]) -> bool | None:
    """Return the value that all booleans share, or None if they differ."""
    found = set(values)
    return found.pop() if len(found) == 1 else None


def is_out_of_bounds(value: int, least: int, most: int) -> bool:
    """Return whether `value` is below `least` or above `most`."""
    return not least <= value <= most


Condition = Callable[..., "bool | None"]
"""Of a Call and its arguments: whether this stands in the way; None if the tables do not say."""

CONDITIONS: dict[tuple[str, str], dict[str, Condition]] = {}
"""Kind of contract and method -> reason -> condition under which the call is refused for it."""


def register_conditions(
    contract_kinds: str, methods: str, reason_prefix: str = "", **conditions: Condition
) -> None:
    """Register revert conditions by keyword; the keyword with spaces is the revert reason.

    `contract_kinds` and `methods` are lists separated by spaces. The reason starts with `reason_prefix`.
    """
    for kind in contract_kinds.split():
        for method in methods.split():
            known = CONDITIONS.setdefault((kind, method), {})
            for name, condition in conditions.items():
                known[reason_prefix + name.replace("_", " ")] = condition


def is_zero_address(address: str) -> bool:
    """Return whether `address` is the zero address."""
    return address == ZERO_ADDRESS
