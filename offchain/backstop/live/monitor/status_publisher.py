"""An observer beside a loop that follows a chain: it puts up what each look found, and sends alerts of it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from backstop.live.mirror.chain_mirror import MinedCall, Mirror
from backstop.live.monitor.alerts import Alerts
from backstop.live.monitor.health_conditions import find_health_issues
from backstop.live.monitor.monitor_history import DAY, SPARSE
from backstop.live.monitor.page_sections import PageSections
from backstop.live.monitor.status_facts_and_board import ChainStatus, KeeperWork, StatusBoard
from backstop.live.node.log_lines import Line
from backstop.live.solvency.adl_queue_figures import MOST_WATCHED, build_deleveraging_queue_figures
from backstop.live.solvency.solvency_statement import build_statement

_KEPT_DIFFERENCES = 20
# Between two puts of one block.
_REFRESH = 1.0


class StatusPublisher:
    """Observer of a loop that follows a chain, which publishes its status and sends alerts.

    The loop calls it in its own thread. `say` receives a line if figures cannot be computed. `stale` is the
    time without a new block that counts as an issue [seconds]; 0 turns this off.
    """

    def __init__(
        self,
        board: StatusBoard,
        say: Callable[[str], None],
        stale: float,
        alerts: Alerts | None = None,
        scene: PageSections | None = None,
    ) -> None:
        self.board = board
        self.alerts = alerts
        self._say = say
        self._stale = stale
        self._scene = scene
        self._put_at = 0.0
        self._differences: deque[str] = deque(maxlen=_KEPT_DIFFERENCES)
        self._problems: dict[str, str] = {}

    def note_replay(self, mirror: Mirror, head: int) -> None:
        """Publish that history is being replayed, at most once a second.

        `head` is the newest block of the node.
        """
        self._note_look()
        before = self.board.facts
        if before is None or before.followed or self._put_at + _REFRESH < self.board.looked_at:
            self._publish_status(mirror, head, 0, None, None, followed=False)

    def add_replayed_history_point(self, mirror: Mirror, newest_timestamp: int) -> None:
        """Add the figures after a replayed block to the history, at most every five minutes of chain time.

        Blocks more than a day before `newest_timestamp` are left out.
        """
        self._note_look()
        history = None if self._scene is None else self._scene.history
        at = mirror.model.timestamp
        if (
            history is None
            or at < newest_timestamp - DAY
            or not mirror.configured
            or not history.is_point_due(at, SPARSE)
        ):
            return
        figures = self._build_statement(mirror)
        if figures is not None:
            history.add_point(mirror.block, figures)

    def publish_block(
        self,
        mirror: Mirror,
        found: int,
        differences: Sequence[str] = (),
        figures: Mapping[str, Any] | None = None,
        work: Callable[[bool], KeeperWork] | None = None,
        head: int | None = None,
    ) -> None:
        """Publish the status after the chain was followed to the mirror's block.

        `found` is the number of differences since the start, and `differences` are the new ones. `figures` is
        the solvency statement; None has it computed. `work` returns the keepers' work; its argument is
        whether the block is new. A known block is published again at most once a second.
        """
        self._note_look()
        self._differences.extend(differences)
        before = self.board.facts
        new = before is None or before.hash != mirror.hash or not before.followed
        if new or self._put_at + _REFRESH < self.board.looked_at or differences:
            if figures is None:
                figures = self._build_statement(mirror) if before is None or new else before.statement
            queue = self._build_deleveraging_queue_figures(mirror) if before is None or new else before.queue
            done = None if work is None else work(new)
            self._publish_status(mirror, head or mirror.block, found, figures, done, queue=queue)

    def record_mined_calls(self, mined_calls: Iterable[MinedCall]) -> None:
        """Add mined calls to the page's history; do nothing without a page."""
        if self._scene is not None:
            self._scene.record_mined_calls(mined_calls)

    def drop_reorged_blocks(self, block: int) -> None:
        """Remove from the page's history all blocks after `block`."""
        if self._scene is not None:
            self._scene.drop_reorged_blocks(block)

    def export_history(self) -> dict[str, Any] | None:
        """Return the page's history for a checkpoint; None without a page."""
        return None if self._scene is None else self._scene.history.export_state()

    def restore_state(self, state: Mapping[str, Any], block: int) -> None:
        """Restore the page's history from a checkpoint, without entries after `block`."""
        if self._scene is not None:
            self._scene.history.restore_state(state, block)

    def note_node_gone(self, why: str) -> None:
        """Publish that no node can be asked, with the reason, and send alerts."""
        if self.board.gone != why:
            self.board.publish_status(gone=why)
        self.send_alerts()

    def _note_look(self) -> None:
        self.board.looked_at = time.monotonic()

    def _publish_status(
        self,
        mirror: Mirror,
        head: int,
        found: int,
        figures: Mapping[str, Any] | None,
        work: KeeperWork | None,
        followed: bool = True,
        queue: Mapping[str, Any] | None = None,
    ) -> None:
        now, before = self.board.looked_at, self.board.facts
        same = before is not None and before.hash == mirror.hash
        self._put_at = now
        self.board.publish_status(
            ChainStatus(
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
                unsettled=len(mirror.unsettled_slots),
                lies=mirror.lies_told,
                nodes=mirror.node.client.count,
                rooted=mirror.roots.hold,
                statement=figures,
                work=work,
                scene={}
                if figures is None or self._scene is None
                else self._scene.build_figures(mirror, figures),
                queue=queue,
            )
        )
        self.send_alerts()

    def send_alerts(self) -> None:
        """Send an alert for each new health issue, and a clearing for each issue that is over."""
        if self.alerts is not None:
            facts = self.board.facts
            if facts is not None:
                about = {"chain_id": facts.chain_id, "engine": facts.engine, "block": facts.block}
                self.alerts.about |= about
            self.alerts.update_alerts(find_health_issues(self.board, self._stale))

    def _build_statement(self, mirror: Mirror) -> Mapping[str, Any] | None:
        return self._try_build(lambda: build_statement(mirror.model, mirror.deployment), "solvency")

    def _build_deleveraging_queue_figures(self, mirror: Mirror) -> Mapping[str, Any] | None:
        model, deployment = mirror.model, mirror.deployment
        return self._try_build(
            lambda: build_deleveraging_queue_figures(model, deployment, account_limit=MOST_WATCHED),
            "the deleveraging queue",
        )

    def _try_build(
        self, figures: Callable[[], Mapping[str, Any] | None], subject: str
    ) -> Mapping[str, Any] | None:
        try:
            return figures()
        except Exception as error:  # whatever it is, no keeper ends for want of figures
            if str(error) != self._problems.get(subject):
                self._problems[subject] = str(error)
                self._say(Line(f"there are no figures of {subject}: {error}", "no figures"))
            return None
