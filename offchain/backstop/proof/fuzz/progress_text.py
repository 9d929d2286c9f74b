"""The progress of a campaign towards the nearer of its bounds: its steps or its seconds."""

from __future__ import annotations

import time

from backstop.proof.fuzz.fuzz_campaign import CampaignProgress


class ProgressFormatter:
    """A campaign's way to its bounds, from the clock's making on; either bound may be None."""

    def __init__(self, steps: int | None, seconds: float | None) -> None:
        self.began = time.monotonic()
        self._steps, self._seconds = steps, seconds

    def compute_progress_and_text(self, progress: CampaignProgress) -> tuple[int, int, str]:
        """Return thousandths done, 1,000, and a text: "14,000 steps, 7 s, 3 s left, 0 failures"."""
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
