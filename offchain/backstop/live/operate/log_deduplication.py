"""Log lines of keepers, each logged once until its condition is over, and findings of their mirror."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from backstop.live.mirror.chain_mirror import Mirror
from backstop.live.node.log_lines import Line


class DeduplicatedLog:
    """Log that reports each lasting condition once until the condition ends.

    `say` receives log lines. `dry` receives the lines for transactions that a dry run would send.
    """

    def __init__(self, say: Callable[[str], None], dry: Callable[[str], None] | None) -> None:
        self._say = say
        self._dry = dry
        self._told: set[Hashable] = set()
        self._dried: set[Hashable] = set()
        self._differences = self._strangers = 0

    def log_once(self, key: Hashable, line: Line) -> None:
        """Log the line of a condition that has begun, unless the condition `key` is logged already."""
        if key not in self._told:
            self._told.add(key)
            self._say(line)

    def mark_ended(self, key: Hashable) -> None:
        """Record that the condition `key` has ended, so that its next occurrence is logged again."""
        self._told.discard(key)

    def is_logged(self, key: Hashable) -> bool:
        """Return whether the condition `key` has been logged and has not ended."""
        return key in self._told

    def log_would_send(self, about: Hashable, text: str) -> None:
        """Log once, for the call `about`, that a dry run would send or sign it."""
        assert self._dry is not None
        if about not in self._dried:
            self._dried.add(about)
            self._dry(text)

    def log_mirror_findings(self, mirror: Mirror) -> None:
        """Log the mirror's new findings since the last call.

        Findings are differences between model and chain, refuted claims of nodes, and transactions that
        reached the deployment through an unknown contract.
        """
        for difference in mirror.differences[self._differences :]:
            self._say(Line(f"model and chain differ, the chain counts: {difference}", "difference"))
        self._differences = len(mirror.differences)
        for lie in mirror.refuted_node_claims:
            self._say(Line(lie, "lie"))
        mirror.refuted_node_claims.clear()
        for transaction in mirror.strangers[self._strangers :]:
            text = f"{transaction} came through an unknown contract: what it opened may be missed"
            self._say(Line(text, "stranger", transaction=transaction))
        self._strangers = len(mirror.strangers)
