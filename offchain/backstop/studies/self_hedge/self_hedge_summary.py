"""Figures of the study of self-made pairs, as its folder keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backstop.studies.self_hedge.pair_market import LIBRARY
from backstop.studies.self_hedge.self_hedge_study import (
    NOTIONAL,
    GainRow,
    GainStatistics,
    StudyScope,
    describe_setting,
)

SCHEMA_VERSION = 1
FILE = "straddle.json"


def build_summary(
    scope: StudyScope, rows: Sequence[GainRow], moves: Mapping[str, Mapping[int, int]], groups: Sequence[str]
) -> dict[str, Any]:
    """Return the content of straddle.json: gains of pairs of long and short, by setting [wad].

    The gains are given for pairs that open at regular times and at chosen times.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "title": "The self-made pair",
        "seed": scope.seeds[0],
        "paths": len(scope.seeds),
        "every_seconds": scope.every,
        "hold_seconds": scope.hold,
        "only": list(groups),
        "notional": NOTIONAL,
        "library": LIBRARY._asdict(),
        "largest_moves_bps": {
            series: {str(window): move for window, move in by_window.items()}
            for series, by_window in moves.items()
        },
        "rows": [
            {
                "group": row.group,
                "setting": dict(row.setting),
                "told": describe_setting(row.setting),
                "series": row.series,
                "blind": _gain_statistics_as_json(row.blind),
                "chosen": _gain_statistics_as_json(row.chosen),
            }
            for row in rows
        ],
    }


def _gain_statistics_as_json(gains: GainStatistics) -> dict[str, Any]:
    return {
        "pairs": gains.pairs,
        "failed": gains.failed,
        "earned": gains.earned,
        "mean_wad": str(gains.mean),
        "mean_share": gains.mean_share,
        "most_wad": str(gains.most),
        "most_share": gains.most_share,
    }
