"""Differences on the same paths: a certain one is stated, an uncertain one is not."""

from __future__ import annotations

import numpy as np
import pytest

from backstop.studies.stress.paired_difference import CANNOT_TELL, SAME, compare_paired
from backstop.studies.stress.path_statistics import Estimate, estimate_share, estimate_shortfall

BRIEF = "tests/backstop/studies/stress/test_paired.py::test_intervals_hold_a_difference"


def lognormal(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Nothing on four paths of five, else a lognormal loss; proposed: about nine tenths of it."""
    now = np.where(rng.random(n) < 0.8, 0, np.exp(rng.standard_normal(n)) * 1e6)
    return now, now * (0.9 + 0.1 * rng.standard_normal(n))


def heavier(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Nothing on seven paths of ten, else a loss of half as much more spread; proposed: 80% to all."""
    now = np.where(rng.random(n) < 0.7, 0, np.exp(1.5 * rng.standard_normal(n)) * 1e6)
    return now, now * (0.8 + 0.2 * rng.random(n))


def student(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Positive numbers of Student's t, 3 degrees; proposed: 5% more, and other losses on three of ten."""
    now = np.maximum(0, rng.standard_t(3, n)) * 1e6
    return now, now * (1.05 + 0.3 * rng.standard_normal(n) * (rng.random(n) < 0.3))


def spared(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Exponential losses on every second path; proposed: none on three of ten."""
    now = np.where(rng.random(n) < 0.5, 0, rng.exponential(1e6, n))
    return now, np.where(rng.random(n) < 0.3, 0, now)


LAWS = {"lognormal": lognormal, "heavier": heavier, "student": student, "spared": spared}


def ends(found: Estimate) -> tuple[float, float]:
    """The two ends of an interval that has both."""
    assert found.low is not None and found.high is not None
    return found.low, found.high


def held(law: str, n: int, times: int, level: float | None) -> tuple[int, int]:
    """Count the intervals that hold the difference of four million paths, and all intervals."""
    rng, losses = np.random.default_rng(5), LAWS[law]
    many = (np.sort(each) for each in losses(4_000_000, np.random.default_rng(1)))
    now, proposed = (each[int(len(each) * (level or 0)) :].mean() for each in many)
    truth = proposed - now
    found = [compare_paired(*losses(n, rng), level).change for _ in range(times)]
    bounded = [ends(each) for each in found if each.low is not None]
    return sum(low <= truth <= high for low, high in bounded), len(bounded)


@pytest.mark.deep(brief=BRIEF)
@pytest.mark.parametrize("level", (None, 0.95))
@pytest.mark.parametrize("law", LAWS)
def test_claimed_intervals_hold_a_difference(law, level) -> None:
    within, of = held(law, 1_000, 300, level)
    found = estimate_share(within, of)
    print(f"{law} at {level}: {within} of {of}, {found.low:.1%} to {found.high:.1%}")
    # The table of docs/how-to/questions.md: as many as claimed, or a few more.
    assert ends(found)[1] >= 0.95 and within <= 0.99 * of and of >= 280


def test_intervals_hold_a_difference() -> None:
    rng = np.random.default_rng(3)
    now = np.exp(rng.standard_normal(1_000))
    for level in (None, 0.95):
        found = compare_paired(now, now + 1 + 0.1 * rng.standard_normal(1_000), level)
        low, high = ends(found.change)
        assert found.verdict == "raises it" and low < 1.02 and high > 0.98 and high - low < 0.2
        shifted = compare_paired(now + 1, now, level)
        assert shifted.verdict == "lowers it" and shifted.change == pytest.approx((-1, -1, -1))


def test_the_same_is_the_same() -> None:
    now = np.arange(1_000)
    assert compare_paired(now, now.copy(), 0.95) == (974.5, 974.5, (0, 0, 0), SAME)


def test_shortfalls_are_those_of_a_study() -> None:
    rng = np.random.default_rng(4)
    now, proposed = (rng.integers(0, 10**9, 510) for _ in range(2))
    found = compare_paired(now, proposed, 0.95)
    assert found.now == pytest.approx(estimate_shortfall(now, 0.95).value)
    assert found.change.value == pytest.approx(found.proposed - found.now)


def test_noise_and_few_paths_cannot_tell() -> None:
    rng = np.random.default_rng(6)
    now, other = rng.exponential(1e6, 500), rng.exponential(1e6, 500)
    found = compare_paired(now, other)
    low, high = ends(found.change)
    assert found.verdict == CANNOT_TELL and low < 0 < high
    few = now.copy()
    few[:5] += 1e9
    assert compare_paired(now, few)[2:] == ((pytest.approx(1e7), None, None), CANNOT_TELL)


def test_pairing_sees_what_two_samples_would_not() -> None:
    rng = np.random.default_rng(7)
    now = np.exp(2 * rng.standard_normal(400)) * 1e6
    proposed = 0.99 * now
    assert compare_paired(now, proposed).verdict == "lowers it"
    assert compare_paired(now, rng.permutation(proposed)).verdict == CANNOT_TELL
