"""Intervals of a calibration hold the drawn law, about as often as they claim."""

from __future__ import annotations

import pytest

from backstop.studies.stress.path_statistics import estimate_share
from tests.support import known_distributions as laws

BRIEF = "tests/backstop/studies/calibration/test_coverage.py::test_intervals_hold_the_law_and_are_short"
LAWS = (
    *(
        laws.compare_normal_fit_to_truth,
        laws.compare_student_fit_to_truth,
        laws.fit_merton,
        laws.fit_common_jumps,
        laws.measure_garch_volatility,
    ),
    *(
        laws.fit_normal_pair,
        laws.estimate_student_correlation_and_truth,
        laws.compare_depth_recovery_to_truth,
        laws.fit_still_depth,
    ),
)


@pytest.mark.deep(brief=BRIEF)
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_claimed_intervals_hold_the_law(law) -> None:
    """Of 100 trials of 4,000 hours: the claim is within the interval of the covered share, or below."""
    for name, (within, of) in laws.count_interval_hits(law, 4_000, 100).items():
        found = estimate_share(within, of)
        print(f"{law.__name__} {name}: {within} of {of}, {found.low:.1%} to {found.high:.1%}")
        assert of >= 95 and found.high is not None and found.high >= 0.94, name


@pytest.mark.parametrize(
    "law", (laws.compare_student_fit_to_truth, laws.fit_normal_pair), ids=lambda law: law.__name__
)
def test_intervals_hold_the_law_and_are_short(law) -> None:
    # Of ten trials at a claim of 95%, seven or more hold in 99.9%.
    assert all(within >= 7 and of == 10 for within, of in laws.count_interval_hits(law, 600, 10).values())


def test_an_interval_gets_shorter_with_the_history() -> None:
    import numpy as np

    (short, _), (long, _) = (
        laws.compare_student_fit_to_truth(n, np.random.default_rng(5)) for n in (1_000, 16_000)
    )
    for name in ("volatility", "degrees"):
        widths = []
        for each in (short[name], long[name]):
            assert each is not None and each.low is not None
            widths.append((each.high or 1_000) - each.low)
        assert widths[1] < 0.5 * widths[0]
