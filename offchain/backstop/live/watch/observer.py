"""An observer beside a loop that follows a chain: it puts up what each look found, and sends alerts of it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from backstop.live.audit.queue_figures import MOST_WATCHED, queue_of
from backstop.live.audit.statement import statement
from backstop.live.follow.mirror import Mirror, Seen
from backstop.live.node.log import Line
from backstop.live.watch.alerts import Alerts
from backstop.live.watch.facts import Board, Facts, Work
from backstop.live.watch.history import DAY, SPARSE
from backstop.live.watch.scene import Scene
from backstop.live.watch.troubles import troubles

_KEPT_DIFFERENCES = 20
# Between two puts of one block.
_REFRESH = 1.0


class Observer:
    """An observer, called by the loop in its thread.

    `say` gets a line where figures cannot be worked out; `stale` is the time in seconds that blocks may stay
    away, 0 for ever.
    """

    def __init__(
        self,
        board: Board,
        say: Callable[[str], None],
        stale: float,
        alerts: Alerts | None = None,
        scene: Scene | None = None,
    ) -> None:
        self.board = board
        self.alerts = alerts
        self._say = say
        self._stale = stale
        self._scene = scene
        self._put_at = 0.0
        self._differences: deque[str] = deque(maxlen=_KEPT_DIFFERENCES)
        self._problems: dict[str, str] = {}

    def replaying(self, mirror: Mirror, head: int) -> None:
        """Take note that history is followed."""
        self._looked()
        before = self.board.facts
        if before is None or before.followed or self._put_at + _REFRESH < self.board.looked_at:
            self._put(mirror, head, 0, None, None, followed=False)

    def replayed(self, mirror: Mirror, newest: int) -> None:
        """Take the figures after a block of the past now and then, within a day of `newest` [timestamp]."""
        self._looked()
        history = None if self._scene is None else self._scene.history
        at = mirror.model.timestamp
        if history is None or at < newest - DAY or not mirror.configured or not history.due(at, SPARSE):
            return
        figures = self._figures(mirror)
        if figures is not None:
            history.look(mirror.block, figures)

    def looked(
        self,
        mirror: Mirror,
        found: int,
        differences: Sequence[str] = (),
        figures: Mapping[str, Any] | None = None,
        work: Callable[[bool], Work] | None = None,
        head: int | None = None,
    ) -> None:
        """Take note that the chain was followed to the mirror's block.

        `differences` are new; `work` is told whether the block is.
        """
        self._looked()
        self._differences.extend(differences)
        before = self.board.facts
        new = before is None or before.hash != mirror.hash or not before.followed
        if new or self._put_at + _REFRESH < self.board.looked_at or differences:
            if figures is None:
                figures = self._figures(mirror) if before is None or new else before.statement
            queue = self._queue(mirror) if before is None or new else before.queue
            done = None if work is None else work(new)
            self._put(mirror, head or mirror.block, found, figures, done, queue=queue)

    def called(self, seen: Iterable[Seen]) -> None:
        """Take note of calls that were mined."""
        if self._scene is not None:
            self._scene.called(seen)

    def taken_back(self, block: int) -> None:
        """Take note that the chain was reorganised after a block."""
        if self._scene is not None:
            self._scene.taken_back(block)

    def state(self) -> dict[str, Any] | None:
        """Return the history for a checkpoint; None without a page."""
        return None if self._scene is None else self._scene.history.state()

    def resume(self, state: Mapping[str, Any], block: int) -> None:
        """Go on with the history of a checkpoint, as of a block."""
        if self._scene is not None:
            self._scene.history.resume(state, block)

    def gone(self, why: str) -> None:
        """Take note that no node can be asked."""
        if self.board.gone != why:
            self.board.put(gone=why)
        self.alert()

    def _looked(self) -> None:
        self.board.looked_at = time.monotonic()

    def _put(
        self,
        mirror: Mirror,
        head: int,
        found: int,
        figures: Mapping[str, Any] | None,
        work: Work | None,
        followed: bool = True,
        queue: Mapping[str, Any] | None = None,
    ) -> None:
        now, before = self.board.looked_at, self.board.facts
        same = before is not None and before.hash == mirror.hash
        self._put_at = now
        self.board.put(
            Facts(
                node=mirror.node.url,
                chain_id=mirror.deployment.chain_id,
                engine=mirror.deployment.addresses["VaultEngine"],
                block=mirror.block,
                hash=mirror.hash,
                timestamp=mirror.model.timestamp,
                block_at=before.block_at if before is not None and same else now,
                head=head,
                followed=followed,
                found=found,
                differences=tuple(self._differences),
                fields_compared=mirror.fields_compared,
                unsettled=len(mirror.unsettled),
                lies=mirror.lies_told,
                nodes=mirror.node.client.count,
                rooted=mirror.roots.hold,
                statement=figures,
                work=work,
                scene={} if figures is None or self._scene is None else self._scene.figures(mirror, figures),
                queue=queue,
            )
        )
        self.alert()

    def alert(self) -> None:
        """Send what is new among troubles, and what is over."""
        if self.alerts is not None:
            facts = self.board.facts
            if facts is not None:
                about = {"chain_id": facts.chain_id, "engine": facts.engine, "block": facts.block}
                self.alerts.about |= about
            self.alerts.look(troubles(self.board, self._stale))

    def _figures(self, mirror: Mirror) -> Mapping[str, Any] | None:
        return self._try(lambda: statement(mirror.model, mirror.deployment), "solvency")

    def _queue(self, mirror: Mirror) -> Mapping[str, Any] | None:
        model, deployment = mirror.model, mirror.deployment
        return self._try(lambda: queue_of(model, deployment, most=MOST_WATCHED), "the deleveraging queue")

    def _try(self, figures: Callable[[], Mapping[str, Any] | None], subject: str) -> Mapping[str, Any] | None:
        try:
            return figures()
        except Exception as error:  # whatever it is, no keeper ends for want of figures
            if str(error) != self._problems.get(subject):
                self._problems[subject] = str(error)
                self._say(Line(f"there are no figures of {subject}: {error}", "no figures"))
            return None
