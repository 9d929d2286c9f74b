"""The protocol's mode: raised by triggers that any account can check or by the guardian, lowered by calm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from backstop.contract_base import (
    World,
    declare_record_slot_bit_widths,
    external,
    immutable,
    require,
    view,
)
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD
from backstop.model.interfaces import (
    CAUTION,
    EMERGENCY,
    NORMAL,
    SETTLEMENT,
    IPriceFeed,
    IRiskPolicy,
    IVaultEngine,
)
from backstop.model.listed_types import decode_listed_types
from backstop.model.roles import GUARDIAN, Administered

NO_TRIGGER, LOSSES, FALL, SILENCE, AUCTIONS = range(5)


ALL_TYPES = MAX_UINT256
WEEK = 7 * 86_400
"""How much longer than its thresholds a silence counts."""


@declare_record_slot_bit_widths(2, 32, 32)
class State(NamedTuple):
    """Mode of the protocol, the time since which no trigger held, and the calm period required [seconds]."""

    mode: int = NORMAL
    calm_from: int = 0
    calm_period: int = 0


@declare_record_slot_bit_widths(33, 33, 14, 14, 32, 32, 14, 14)
class Triggers(NamedTuple):
    """Thresholds at which the mode becomes CAUTION or EMERGENCY; 0 switches a threshold off.

    Thresholds of losses are in whole stablecoins, of a price fall and of principal under auction in basis
    points, of a feed's silence in seconds.
    """

    losses_caution: int = 0
    losses_emergency: int = 0
    fall_caution: int = 0
    fall_emergency: int = 0
    silence_caution: int = 0
    silence_emergency: int = 0
    auctions_caution: int = 0
    auctions_emergency: int = 0

    def get_caution_and_emergency_thresholds(self, trigger: int) -> tuple[int, int]:
        """Return the thresholds of one trigger for CAUTION and for EMERGENCY; 0 means off."""
        first = 2 * (trigger - LOSSES)
        return self[first], self[first + 1]

    def compute_level(self, trigger: int, measure: int, scale: int) -> int:
        """Return the mode that a trigger's measure calls for: NORMAL, CAUTION or EMERGENCY.

        A threshold is reached if measure >= threshold * scale. A measure or a threshold of 0 reaches nothing.
        """
        caution, emergency = self.get_caution_and_emergency_thresholds(trigger)
        if measure == 0:
            return NORMAL
        if emergency != 0 and measure >= emergency * scale:
            return EMERGENCY
        return CAUTION if caution != 0 and measure >= caution * scale else NORMAL

    def level_of_losses(self, deficit: int) -> int:
        """Return the mode that the sum of all types' deficits [rad] calls for: NORMAL to EMERGENCY."""
        return self.compute_level(LOSSES, deficit, RAD)

    def level_of_fall(self, current: int, average: int) -> int:
        """Return the mode that a price's fall below its time-weighted average [ray] calls for.

        The mode is NORMAL, CAUTION or EMERGENCY. It is NORMAL if there is no current price (0).
        """
        fall = max(0, average - current) if current else 0
        return self.compute_level(FALL, fall * BASIS_POINTS, average)

    def level_of_silence(self, seconds: int) -> int:
        """Return the mode that the time since a price's freshness ended [seconds] calls for.

        The mode is NORMAL, CAUTION or EMERGENCY. It is NORMAL if the time exceeds the greater threshold by
        more than a week.
        """
        return self.compute_level(
            SILENCE,
            seconds if 0 < seconds <= max(self.get_caution_and_emergency_thresholds(SILENCE)) + WEEK else 0,
            1,
        )

    def level_of_auctions(self, in_auction: int, limit: int) -> int:
        """Return the mode that principal under auction [rad] calls for: NORMAL, CAUTION or EMERGENCY.

        The thresholds are basis points of the auction limit [whole stablecoins].
        """
        return self.compute_level(AUCTIONS, in_auction * BASIS_POINTS, limit * RAD)


class CircuitBreaker(Administered):
    """Contract that keeps the protocol's mode: NORMAL, CAUTION or EMERGENCY.

    Any account can raise the mode if a trigger holds. It falls again after a calm period. Model of
    contracts/CircuitBreaker.vy.
    """

    KIND = "CircuitBreaker"

    vault_engine_address = immutable("VAULT_ENGINE", str)
    price_feed_address = immutable("PRICE_FEED", str)

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        vault_engine: str,
        price_feed: str,
        admin: str,
    ) -> None:
        super().__init__(world, name, address, admin)
        self.vault_engine_address = vault_engine
        self.price_feed_address = price_feed
        self.states = self.table("state", State())
        self.triggers = self.table("triggers", Triggers())
        self.states[()] = State(calm_period=bounds.MIN_CALM_PERIOD)

    @property
    def engine(self) -> IVaultEngine:
        return cast(IVaultEngine, self.world.at(self.vault_engine_address))

    @property
    def feed(self) -> IPriceFeed:
        return cast(IPriceFeed, self.world.at(self.price_feed_address))

    # -------------------------------------------------------------------- mode

    @external
    def raise_mode(self, sender: str, trigger: int, collateral_type: int) -> None:
        """Raise the mode to the level that a trigger calls for now. Any account may call this.

        If the mode has that level already, the calm period (time without triggers before the mode may fall)
        restarts. Reverts if the level is NORMAL or under the mode.
        """
        state = self._load_state_before_settlement()
        level = self._compute_current_trigger_level(trigger, collateral_type)
        require(level != NORMAL and level >= state.mode, "circuit_breaker: no cause")
        named = ALL_TYPES if trigger == LOSSES else collateral_type
        if level > state.mode:
            self._change_mode(sender, state, level, trigger, named)
        else:
            self.states[()] = state._replace(calm_from=self.world.timestamp)
            self.emit("TriggerSeen", trigger, named, level, sender)

    @external
    def lower_mode(self, sender: str) -> None:
        """Lower the mode by one level after the calm period. Any account may call this.

        Reverts if a trigger still calls for the present mode or a higher one.
        """
        state = self._load_state_before_settlement()
        require(state.mode != NORMAL, "circuit_breaker: is normal")
        require(self.world.timestamp >= state.calm_from + state.calm_period, "circuit_breaker: too early")
        require(self._compute_worst_level() < state.mode, "circuit_breaker: not calm")
        self._change_mode(sender, state, state.mode - 1, NO_TRIGGER, ALL_TYPES)

    @external
    def force_mode(self, sender: str, mode: int) -> None:
        """Raise the mode without a trigger. Only a guardian may call this, and cannot lower the mode."""
        self._check_role(sender, GUARDIAN)
        state = self._load_state_before_settlement()
        require(mode <= EMERGENCY, "circuit_breaker: no such mode")
        require(mode > state.mode, "circuit_breaker: only up")
        self._change_mode(sender, state, mode, NO_TRIGGER, ALL_TYPES)

    @external
    def sync_policy_mode(self, sender: str, policy: str) -> None:
        """Send the present mode to a risk policy contract before it replaces the current policy."""
        self._set_policy_mode(policy, self._load_state_before_settlement().mode)

    # -------------------------------------------------------------- parameters

    @external
    def set_triggers(
        self,
        sender: str,
        losses: Sequence[int],
        fall: Sequence[int],
        silence: Sequence[int],
        auctions: Sequence[int],
    ) -> None:
        """Set the (CAUTION, EMERGENCY) thresholds of all four triggers; 0 means off.

        Losses are in whole stablecoins, falls and auctions in basis points, silence in seconds. Only the
        admin may call this.
        """
        self._only_admin(sender)
        require(
            _is_valid_threshold_pair(losses, bounds.MAX_GLOBAL_DEBT_CEILING), "circuit_breaker: loss bounds"
        )
        require(_is_valid_threshold_pair(fall, BASIS_POINTS), "circuit_breaker: fall bounds")
        require(_is_valid_threshold_pair(silence, bounds.MAX_SILENCE), "circuit_breaker: silence bounds")
        require(_is_valid_threshold_pair(auctions, BASIS_POINTS), "circuit_breaker: auction bounds")
        self.triggers[()] = Triggers(*losses, *fall, *silence, *auctions)
        self.emit("TriggersSet", tuple(losses), tuple(fall), tuple(silence), tuple(auctions))

    @external
    def set_calm_period(self, sender: str, calm_period: int) -> None:
        """Set the time without triggers after which the mode may fall by one level [seconds]. Admin only."""
        self._only_admin(sender)
        require(calm_period >= bounds.MIN_CALM_PERIOD, "circuit_breaker: short calm")
        require(calm_period <= bounds.MAX_CALM_PERIOD, "circuit_breaker: long calm")
        self.states[()] = self.states[()]._replace(calm_period=calm_period)
        self.emit("CalmPeriodSet", calm_period)

    # ------------------------------------------------------------------- views

    @view
    def mode(self, sender: str) -> int:
        """Return the mode: 0 NORMAL, 1 CAUTION, 2 EMERGENCY, or 3 once settlement has begun."""
        if self.engine.in_settlement(self.address):
            return SETTLEMENT
        return int(self.states[()].mode)

    @view
    def state_of(self, sender: str) -> State:
        """Return the mode, the time since which no trigger held, and the calm period [seconds].

        The calm period is the time without triggers after which the mode may fall. In settlement the mode is
        the last one before settlement began.
        """
        state: State = self.states[()]
        return state

    @view
    def triggers_of(self, sender: str) -> tuple[tuple[int, int], ...]:
        """Return the (CAUTION, EMERGENCY) thresholds of all triggers; 0 means off.

        The order is losses, price fall, silence of the feed, principal under auction.
        """
        triggers: Triggers = self.triggers[()]
        return tuple(
            triggers.get_caution_and_emergency_thresholds(trigger)
            for trigger in (LOSSES, FALL, SILENCE, AUCTIONS)
        )

    @view
    def level_of(self, sender: str, trigger: int, collateral_type: int) -> int:
        """Return the mode that a trigger calls for now: 0 NORMAL, 1 CAUTION or 2 EMERGENCY.

        The trigger of losses counts all collateral types, and ignores the given type.
        """
        return self._compute_current_trigger_level(trigger, collateral_type)

    @view
    def worst_level(self, sender: str) -> int:
        """Return the highest mode that any trigger calls for now, over all listed collateral types."""
        return self._compute_worst_level()

    # ----------------------------------------------------------------- helpers

    def _change_mode(self, sender: str, state: State, mode: int, trigger: int, collateral_type: int) -> None:
        self.emit("ModeChanged", state.mode, mode, trigger, collateral_type, sender)
        self.states[()] = state._replace(mode=mode, calm_from=self.world.timestamp)
        self._set_policy_mode(self.engine.risk_policy(self.address), mode)

    def _set_policy_mode(self, policy_address: str, mode: int) -> None:
        cast(IRiskPolicy, self.world.at(policy_address)).set_mode(self.address, mode)

    def _load_state_before_settlement(self) -> State:
        require(not self.engine.in_settlement(self.address), "circuit_breaker: in settlement")
        state: State = self.states[()]
        return state

    def _compute_worst_level(self) -> int:
        worst = self._compute_current_trigger_level(LOSSES, ALL_TYPES)
        for c in decode_listed_types(self.engine.listed(self.address)):
            for trigger in (FALL, SILENCE, AUCTIONS):
                worst = max(worst, self._compute_current_trigger_level(trigger, c))
        return worst

    def _compute_current_trigger_level(self, trigger: int, collateral_type: int) -> int:
        triggers: Triggers = self.triggers[()]
        if trigger == LOSSES:
            types = decode_listed_types(self.engine.listed(self.address))
            return triggers.level_of_losses(sum(self.engine.deficit_of(self.address, c) for c in types))
        require(collateral_type < self.engine.collateral_types(self.address), "circuit_breaker: unknown type")
        in_auction = self.engine.in_auction_of(self.address, collateral_type)
        if trigger == AUCTIONS:
            limit = self.engine.auction_limit_of(self.address, collateral_type)
            return triggers.level_of_auctions(in_auction, limit)
        require(trigger in (FALL, SILENCE), "circuit_breaker: no such trigger")
        if in_auction == 0 and self.engine.debts_of(self.address, collateral_type).normalized_debt == 0:
            return NORMAL
        if trigger == FALL:
            current, average = self.feed.current_and_average(self.address, collateral_type)
            return triggers.level_of_fall(current, average)
        until = self.feed.prices_of(self.address, collateral_type).fresh_until
        return triggers.level_of_silence(self.world.timestamp - until)


def _is_valid_threshold_pair(thresholds: Sequence[int], highest: int) -> bool:
    """Return True if both thresholds are at most `highest`, and EMERGENCY is 0 or not below CAUTION."""
    caution, emergency = thresholds
    return caution <= highest and emergency <= highest and (emergency == 0 or caution <= emergency)
