"""The properties of prices: their reporters, and how each price is made from the reports before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.lockstep.step_transition import Changes, Transition
from backstop.model import bounds
from backstop.proof.properties.independent_arithmetic.price_figures import compute_time_weighted_price
from backstop.proof.properties.independent_arithmetic.property_arithmetic import BASIS_POINTS
from backstop.proof.properties.property_registry import (
    PropertyViolationError,
    history_property,
    refusal_property,
    transition_property,
)

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

_FEED = "PriceFeed"


@history_property(41, events=["PriceFeed.*"])
class FeedPriceIsMedianOfReports:
    """Checker that each feed price is the median of fresh reports, one step late (property 41).

    A step needs a quorum of reports that are not too old. The median becomes the next price, and becomes the
    current price one step later. A market with guards may withhold a next price and keep its current price.
    The time-weighted price is the average of all prices since the start of its record. Early in a step the
    next price may be renewed, which changes nothing else.
    """

    def __init__(self, model: ModelSystem) -> None:
        feed = model.world.contracts[_FEED].tables
        self._reports: dict[int, dict[str, tuple[int, int]]] = {}
        for (c, index), reporter in feed["reporters"].items():
            if (report := feed["reports"][c, index]).price:
                self._reports.setdefault(c, {})[reporter] = report.price, report.reported_at
        self._stepped = {c: average.stepped_at for c, average in feed["averages"].items()}
        # How many steps in a row a price has waited to be confirmed, and whether the last one was.
        self._waits: dict[int, tuple[int, bool]] = {
            c: (config.suspect, bool(config.suspect and feed["prices"][c].next))
            for c, config in feed["configs"].items()
        }
        # Price x seconds of each market from its first step that this has seen; and at each step.
        self._sums: dict[int, dict[int, int]] = {}

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Record the feed's reports from events, and check each new price against their median.

        Raises PropertyViolationError if a price, its time or its average differs from the checker's own
        record.
        """
        if step.action.contract != _FEED and not any(log.contract == _FEED for log in step.outcome.logs):
            return
        now = step.model.timestamp
        for log in step.outcome.logs:
            if log.contract != _FEED:
                continue
            c = log.values[0]
            if log.event in ("Reported", "RangeReported"):
                self._reports.setdefault(c, {})[log.values[1]] = log.values[2], now
            elif log.event == "SignedReportAccepted":
                self._reports.setdefault(c, {})[log.values[1]] = log.values[2], log.values[-1]
            elif log.event == "MarketSet":
                self._reports[c] = {}
            elif log.event == "Poked" and step.action.method == "poke":
                self._check_new_price(step, c, *log.values[1:])
            elif log.event == "Poked":
                self._sums.pop(c, None)

    def _check_new_price(self, step: Transition, collateral_type: int, current: int, following: int) -> None:
        config, old = (
            step.read_pre_state(_FEED, "configs", collateral_type),
            step.read_pre_state(_FEED, "prices", collateral_type),
        )
        now = step.model.timestamp
        reports = self._reports.get(collateral_type, {}).values()
        fresh = sorted(price for price, at in reports if at + config.max_age >= now)
        if len(fresh) < config.quorum:
            raise PropertyViolationError(
                f"market {collateral_type} steps with {len(fresh)} reports of a quorum of {config.quorum}"
            )
        middle = fresh[(len(fresh) - 1) // 2]
        if (elapsed := now - self._stepped.get(collateral_type, 0)) < config.step:
            if not _is_renewal_allowed(elapsed, config.step):
                raise PropertyViolationError(
                    f"market {collateral_type} steps at {now}, {elapsed} s after the last"
                )
            self._check_renewed_next_price(step, collateral_type, middle, (current, following))
            return
        self._stepped[collateral_type] = now
        stale = now > old.fresh_until
        guarded = config.deviation or config.grace or config.halted or now < config.grace_until
        if not guarded and old.next:
            if (current, following) != (middle if stale else old.next, middle):
                raise PropertyViolationError(
                    f"market {collateral_type} steps from {old} to {current, following}, reports are {fresh}"
                )
        else:
            held = old.next, old.current, step.read_pre_state(_FEED, "withheld", collateral_type)
            if following not in (0, middle) or current not in ((middle,) if stale else held):
                raise PropertyViolationError(
                    f"market {collateral_type} steps from {old} to {current, following}, reports are {fresh}"
                )
        after = step.read_post_state(_FEED, "prices", collateral_type)
        if after != (current, following, now + config.stale_after):
            raise PropertyViolationError(
                f"market {collateral_type} says {current, following} and has {after}"
            )
        self._check_far_price_confirmations(step, collateral_type, middle)
        self._check_average(step, collateral_type, old.current, current)

    def _check_renewed_next_price(
        self, step: Transition, collateral_type: int, median_report: int, event_prices: tuple[int, int]
    ) -> None:
        """Check that a renewal changes only the next price, to the median of reports or to none.

        None is right if the median is too far from the average and has not been confirmed. Raises
        PropertyViolationError otherwise.
        """
        old, after = (
            step.read_pre_state(_FEED, "prices", collateral_type),
            step.read_post_state(_FEED, "prices", collateral_type),
        )
        pending = old.next or step.read_pre_state(_FEED, "withheld", collateral_type)
        following = after.next or step.read_post_state(_FEED, "withheld", collateral_type)
        if event_prices != (old.current, after.next) or after != old._replace(next=after.next):
            raise PropertyViolationError(
                f"market {collateral_type}: a renewal makes {after} of {old}, and says {event_prices}"
            )
        if following not in (0, median_report) or following == pending:
            raise PropertyViolationError(
                f"market {collateral_type} renews {pending} by {following}, reports make {median_report}"
            )
        before, now = (
            step.read_pre_state(_FEED, "averages", collateral_type),
            step.read_post_state(_FEED, "averages", collateral_type),
        )
        if before._replace(fallen=0) != now._replace(fallen=0):
            raise PropertyViolationError(f"market {collateral_type}: a renewal makes {now} of {before}")
        config, average = (
            step.read_pre_state(_FEED, "configs", collateral_type),
            compute_time_weighted_price(step, step.read_pre_state, collateral_type),
        )
        if not config.deviation or not average or not _is_far_apart(median_report, average, config.deviation):
            self._waits[collateral_type] = 0, False
            if not following:
                raise PropertyViolationError(
                    f"market {collateral_type} holds {median_report} back, beside an average of {average}"
                )
            return
        # A price that waits was seen in this step; one that was confirmed may become another one of its kind.
        confirmed = self._waits.get(collateral_type, (0, False))[1]
        continues = not _is_far_apart(median_report, old.current, config.deviation) or (
            pending and _is_far_apart(pending, old.current, config.deviation)
        )
        if bool(following) is not bool(confirmed and continues):
            raise PropertyViolationError(
                f"market {collateral_type} renews {pending} by {following}, the average is {average}"
            )
        if not following:
            self._waits[collateral_type] = 1, False

    def _check_far_price_confirmations(
        self, step: Transition, collateral_type: int, median_report: int
    ) -> None:
        """Check that a median far from the average is accepted only after enough confirmations.

        After them it must be accepted. The count is the number of consecutive steps with a far median. Raises
        PropertyViolationError otherwise.
        """
        config, old = (
            step.read_pre_state(_FEED, "configs", collateral_type),
            step.read_pre_state(_FEED, "prices", collateral_type),
        )
        average = compute_time_weighted_price(step, step.read_pre_state, collateral_type)
        pending = old.next or step.read_pre_state(_FEED, "withheld", collateral_type)
        accepted = bool(
            step.read_post_state(_FEED, "prices", collateral_type).next
            or step.read_post_state(_FEED, "withheld", collateral_type)
        )
        waited, confirmed = self._waits.get(collateral_type, (0, False))
        if not config.deviation or not average or not _is_far_apart(median_report, average, config.deviation):
            self._waits[collateral_type] = 0, False
            if not accepted:
                raise PropertyViolationError(
                    f"market {collateral_type} holds {median_report} back, beside an average of {average}"
                )
        elif accepted:
            goes_on = confirmed and pending and not _is_far_apart(median_report, pending, config.deviation)
            if not goes_on and waited < config.confirmations:
                raise PropertyViolationError(
                    f"market {collateral_type} takes {median_report} after {waited} steps, the "
                    f"average is {average}"
                )
            self._waits[collateral_type] = config.confirmations, True
        else:
            if not confirmed and not pending and waited >= config.confirmations:
                raise PropertyViolationError(
                    f"market {collateral_type} has seen {median_report} in {waited} steps, and still waits"
                )
            self._waits[collateral_type] = (1 if confirmed or pending else waited + 1), False

    def _check_average(
        self, step: Transition, collateral_type: int, price_until_now: int, current: int
    ) -> None:
        """Check that the feed's cumulative price equals the sum of price times seconds in this record.

        The window of the average must not be cut too short. Raises PropertyViolationError otherwise.
        """
        now, average = step.model.timestamp, step.read_post_state(_FEED, "averages", collateral_type)
        before = step.read_pre_state(_FEED, "averages", collateral_type)
        sums = self._sums.get(collateral_type)
        if sums is None:
            self._sums[collateral_type] = {now: 0}
            return
        sums[now] = sums[before.stepped_at] + price_until_now * (now - before.stepped_at)
        if average.since not in sums:
            return  # it begins before this has seen anything
        if average.stepped_at != now or average.cumulative != sums[now] - sums[average.since]:
            raise PropertyViolationError(
                f"market {collateral_type}: {average}, and prices since then sum to {sums[now]}"
            )
        window = min(step.read_pre_state(_FEED, "configs", collateral_type).window, now - next(iter(sums)))
        if len(sums) > 1 and average.since != before.since and now - average.since < window:
            raise PropertyViolationError(
                f"market {collateral_type}: the average begins {now - average.since} s ago, of {window}"
            )


def _is_renewal_allowed(elapsed: int, step: int) -> bool:
    """Return whether the next price may be replaced `elapsed` seconds into a step of `step` seconds.

    That is the first sixth of a step. It is up to half of the step while `elapsed` is within the maximum age
    of a signed report.
    """
    return 6 * elapsed <= step or (elapsed <= bounds.MAX_SIGNED_AGE and 2 * elapsed <= step)


def _is_far_apart(price: int, other: int, deviation: int) -> bool:
    return abs(price - other) * BASIS_POINTS > other * deviation


@transition_property(77, calls=["PriceFeed.poke"])
def no_minority_sets_a_price(step: Transition, changes: Changes) -> None:
    """Check that no minority of reporters can set the next price (property 77).

    More reporters than any minority has report at or below the next price. As many report at or above it.
    Raises PropertyViolationError otherwise.
    """
    if not step.is_call(_FEED, "poke"):
        return
    c, now = step.action.args[0], step.model.timestamp
    config, price = step.read_pre_state(_FEED, "configs", c), step.read_post_state(_FEED, "prices", c).next
    reports = [step.read_post_state(_FEED, "reports", (c, i)) for i in range(1, config.reporters + 1)]
    fresh = [each.price for each in reports if each.price and each.reported_at + config.max_age >= now]
    minority = (config.reporters - 1) // 2
    low, high = sum(each <= price for each in fresh), sum(each >= price for each in fresh)
    if price and min(low, high) <= minority:
        raise PropertyViolationError(f"market {c}: {fresh} of {config.reporters} reporters make it {price}")


@refusal_property(146, calls=["PriceFeed.poke"])
def due_feed_steps_succeed(step: Transition) -> None:
    """Check that the feed did not refuse a due price update that has a quorum (property 146).

    The same holds for a new median early in a step. The exception is a median that is far from the average
    and still needs confirmation. Raises PropertyViolationError for any other refusal.
    """
    c, now = step.action.args[0], step.model.timestamp
    config, prices = step.read_post_state(_FEED, "configs", c), step.read_post_state(_FEED, "prices", c)
    reports = [step.read_post_state(_FEED, "reports", (c, i)) for i in range(1, config.reporters + 1)]
    fresh = sorted(each.price for each in reports if each.price and each.reported_at + config.max_age >= now)
    if not config.reporters or len(fresh) < config.quorum:
        return
    middle, pending = fresh[(len(fresh) - 1) // 2], prices.next or step.read_post_state(_FEED, "withheld", c)
    elapsed = now - step.read_post_state(_FEED, "averages", c).stepped_at
    if elapsed < config.step:
        average = compute_time_weighted_price(step, step.read_post_state, c)
        waits = (
            not pending and config.deviation and average and _is_far_apart(middle, average, config.deviation)
        )
        if middle == pending or waits or not _is_renewal_allowed(elapsed, config.step):
            return
    raise PropertyViolationError(
        f"market {c} refuses {middle}, {elapsed} s after the last step: {step.outcome.reason}"
    )


@history_property(147, events=["PriceFeed.*"])
class NextPriceIsKnownBeforeItCounts:
    """Checker that a next price is public for most of a step before it counts (property 147).

    The step's early part, in which the next price may still be renewed, is left out. In a stale feed the
    current reports count at once. A change of the step length starts a new record.
    """

    def __init__(self, model: ModelSystem) -> None:
        # Of each market the price that comes, held back or not, and since when it does.
        self._known: dict[int, tuple[int, int]] = {}

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Record each market's next price and its time, and check each price that becomes current.

        Raises PropertyViolationError if another price becomes current, or if it was public for too short a
        time.
        """
        now = step.model.timestamp
        for log in step.outcome.logs:
            if log.contract != _FEED:
                continue
            c = log.values[0]
            if log.event == "MarketSet" or (log.event == "Poked" and step.action.method != "poke"):
                self._known.pop(c, None)
            elif log.event == "Poked":
                self._check_current_price(step, c)
                price = step.read_post_state(_FEED, "prices", c).next or step.read_post_state(
                    _FEED, "withheld", c
                )
                self._known[c] = price, now

    def _check_current_price(self, step: Transition, collateral_type: int) -> None:
        old, price = (
            step.read_pre_state(_FEED, "prices", collateral_type),
            step.read_post_state(_FEED, "prices", collateral_type).current,
        )
        now, length = step.model.timestamp, step.read_post_state(_FEED, "configs", collateral_type).step
        known = self._known.get(collateral_type)
        if known is None or price == old.current or now > old.fresh_until:
            return
        if price != known[0]:
            raise PropertyViolationError(f"market {collateral_type} has {price} after {known[0]} was known")
        if not _is_renewal_allowed(length - (now - known[1]), length):
            raise PropertyViolationError(
                f"market {collateral_type} has {price}, which was known for {now - known[1]} s of {length}"
            )
