"""Attacks that still succeed: each names the rule that it breaks and the expected outcome."""

from __future__ import annotations

import pytest


class KnownIssueError(Exception):
    """The error of an attack that succeeds though its rule forbids it."""


def mark_known_issue(rule: str) -> pytest.MarkDecorator:
    """Mark an attack that succeeds today.

    Any other failure in it fails, and so does its end. Once it no longer succeeds, take the mark away and
    move the test out of `open`.
    """
    return pytest.mark.xfail(strict=True, raises=KnownIssueError, reason=rule)


def check_holds(holds: bool, what: str) -> None:
    """Raise KnownIssueError unless the rule holds; `what` describes the violation, with figures."""
    if not holds:
        raise KnownIssueError(what)
