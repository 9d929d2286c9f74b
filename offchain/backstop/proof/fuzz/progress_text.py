"""The progress of a campaign towards the nearer of its bounds: its steps or its seconds."""

from __future__ import annotations

import time

from backstop.proof.fuzz.fuzz_campaign import CampaignProgress


class ProgressFormatter:
    """Formatter of a campaign's progress towards its bounds: steps, seconds since creation, or both.

    A bound of None means no limit.
    """

    def __init__(self, steps: int | None, seconds: float | None) -> None:
        self.began = time.monotonic()
        self._steps, self._seconds = steps, seconds

    def compute_progress_and_text(self, progress: CampaignProgress) -> tuple[int, int, str]:
        """Return the progress in thousandths, their maximum of 1,000, and a text for a progress bar.

        The text is like "14,000 steps, 7 s, 3 s left, 0 failures". The progress is that towards the nearer
        bound.
        """
        steps, elapsed = progress.tally.steps, time.monotonic() - self.began
        share = 0.0
        text = f"{steps:,} steps"
        if self._steps is not None:
            share = steps / self._steps
            text = f"{steps:,} of {self._steps:,} steps"
        text += f", {elapsed:.0f} s"
        if self._seconds is not None:
            share = max(share, elapsed / self._seconds)
            text += f", {max(self._seconds - elapsed, 0):.0f} s left"
        return round(1_000 * min(share, 1)), 1_000, f"{text}, {len(progress.failures)} failures"
