"""The property of freezes, with a clock of its own: how long one lasts, and what it takes in all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.proof.properties.figures.margin import (
    DELEVERAGER,
    FROZEN_PRICES,
    MARKET,
    POSITIONS,
    contract,
    index,
    last_price,
    markets,
)
from backstop.proof.properties.registry import Violation, history_property
from backstop.proof.properties.transition import Changes, Transition

if TYPE_CHECKING:
    from backstop.hosts.model import ModelSystem

_OF_A_FREEZE = ("Submitted", "Proven", "Deleveraged", "Finished")


@history_property(56, writes=[FROZEN_PRICES, "frozen", "ranking.case"], calls=["MarginDeleverager.*"])
class FreezesEnd:
    """Assert that a freeze begins when none runs, ends after its time at the latest, and keeps its prices.

    They are the last ones at its beginning, in all markets. From then on it closes no more lots, and takes no
    more from gains, than the one position had and lacked; it ends once, and nothing of it happens after.
    """

    def __init__(self, model: ModelSystem) -> None:
        self._until = self._market = self._id = self._lots = self._lacks = 0
        if MARKET in model.world.contracts:
            tables = model.world.contracts[DELEVERAGER].tables
            self._market, self._until = model.world.contracts[MARKET].tables["frozen"][()]
            self._id = tables["ranking.case"][()].id
            self._lots, self._lacks = tables["ranking.left"][()]

    def see(self, step: Transition, changes: Changes) -> None:
        """Follow the freeze by what the deleverager tells."""
        if step.action.contract != DELEVERAGER:
            kept = step.calls(MARKET, "begin_close") or FROZEN_PRICES not in changes
            # Some tokens can be frozen, too.
            frozen = any(each.contract == MARKET for each in changes.get("frozen", ()))
            if not kept or frozen or "ranking.case" in changes:
                raise Violation(f"{step.action.method} changed a freeze")
            return
        now, begun = step.model.timestamp, False
        for event, values in ((log.event, log.values) for log in step.outcome.logs):
            if event == "Begun":
                begun = True
                self._begin(step, *values)
            elif event in _OF_A_FREEZE:
                if now > self._until or values[0] != self._id:
                    raise Violation(f"{event}{values} at {now}: freeze {self._id} was until {self._until}")
                if event == "Deleveraged":
                    self._lots, self._lacks = self._lots - values[2], self._lacks - values[3]
                    if min(self._lots, self._lacks, values[2], values[3]) < 0:
                        raise Violation(f"{event}{values} leaves {self._lots} lots and {self._lacks} wei")
                if event == "Finished":
                    self._until = 0
        if FROZEN_PRICES in changes and not begun:
            raise Violation(f"{step.action.method} changed frozen prices")
        found = tuple(step.after(MARKET, "frozen")), step.after(DELEVERAGER, "ranking.case").until
        if found != ((self._market, self._until), self._until) and self._id:
            raise Violation(f"freeze {self._id} of market {self._market} is until {self._until}, not {found}")

    def _begin(
        self, step: Transition, id: int, owner: str, m: int, lots: int, loss: int, others: int
    ) -> None:
        now = step.model.timestamp
        if now <= self._until or id != self._id + 1 or step.after(MARKET, "closing_since"):
            raise Violation(f"freeze {id} began at {now}, another is until {self._until}")
        self._id, self._market, self._lots, self._lacks = id, m, lots, loss
        self._until = now + contract(step, MARKET).freeze_time
        for each in markets(step):
            expected = last_price(step, each), index(step, step.before, each)
            found = tuple(step.after(MARKET, FROZEN_PRICES, each))
            if found != expected:
                raise Violation(f"freeze {id}: market {each} is frozen at {found}, not {expected}")
        if lots != abs(step.before(MARKET, POSITIONS, (owner, m)).size):
            raise Violation(f"freeze {id} is for {lots} lots, not those of {owner}")
