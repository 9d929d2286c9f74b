"""The worth of things, as given by a class or a program of the user's own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from backstop.errors import BackstopError
from backstop.keepers.external_strategy import ExternalStrategy
from backstop.keepers.keeper_role_register import Keeper
from backstop.keepers.strategy import (
    FallbackStrategy,
    MarketPriceStrategy,
    Offer,
    load_strategy,
    request_valuations,
)
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem
from backstop.model.arithmetic import RAY, WAD
from tests.support.vault_auctions_after_price_drop import (
    apply_successful_call,
    liquidate_borrower_and_advance_time,
)

PROGRAM = """
import json, sys, time
hello = json.loads(sys.stdin.readline())
print(json.dumps({"version": 1}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    percent = int(hello["options"]["percent"])
    worth = [str(int(offer["market"]) * percent // 100) for offer in asked["offers"]]
    %s
    print(json.dumps({"id": asked["id"], "worth": worth}), flush=True)
"""


class Dear:
    """A class of one's own: everything is worth a given number of stablecoins."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self.price = int(options["price"]) * RAY

    def worth(self, offers: Sequence[Offer]) -> Sequence[int | None]:
        return [self.price for _ in offers]


class Fixed:
    """Always the same answer."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def worth(self, offers: Sequence[Offer]) -> Sequence[int | None]:
        return self.answer


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[..., ExternalStrategy]]:
    """A program with one line of mischief in it."""
    started: list[ExternalStrategy] = []

    def start(mischief: str = "", percent: int = 97, answer_within: float = 5.0) -> ExternalStrategy:
        file = tmp_path / f"pricing_{len(started)}.py"
        file.write_text(PROGRAM % mischief)
        command = (sys.executable, str(file))
        started.append(ExternalStrategy(command, {"percent": str(percent)}, "bidder", answer_within))
        return started[-1]

    yield start
    for each in started:
        each.close()


def offer(market: int = 100 * RAY) -> Offer:
    return Offer("collateral", 1, "ETH", 10 * WAD, 900 * WAD, 90 * RAY, market, 1_000)


def test_a_program_gets_no_secrets(
    program: Callable[..., ExternalStrategy], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("APE_ACCOUNTS_me_PASSPHRASE", "BACKSTOP_ALERTS", "ANYTHING_ELSE"):
        monkeypatch.setenv(name, "secret")
    file = tmp_path / "environment"
    each = program(f"import os, pathlib; pathlib.Path({str(file)!r}).write_text(repr(dict(os.environ)))")
    each.worth([offer()])
    told = file.read_text()
    assert "'PATH'" in told and "secret" not in told


def test_a_program_answers_in_whole_numbers(program: Callable[..., ExternalStrategy]) -> None:
    odd = 10**30 + 7  # beyond what a double holds
    each = program(percent=100)
    assert each.worth([offer(odd), offer()]) == [odd, 100 * RAY]
    assert each.worth([]) == []


@pytest.mark.parametrize(
    ("mischief", "problem"),
    [
        ("sys.exit(3)", "it ended with code 3"),
        ("print('soon', flush=True)", "it answered 'soon'"),
        ("print('[1]', flush=True)", "it answered [1]"),
        ("asked['id'] += 1", "it answered {'id': 2, 'worth': "),
        ("worth = [1.5]", "it answered 1.5: ray in digits as a string, or null"),
        ("worth = ['-1']", "it answered '-1': ray in digits as a string, or null"),
        ("time.sleep(5)", "no answer within 300 ms"),
    ],
)
def test_a_program_that_fails_is_one_line_and_no_bid(
    program: Callable[..., ExternalStrategy], mischief: str, problem: str
) -> None:
    said: list[str] = []
    each = program(mischief, answer_within=0.3 if "sleep" in mischief else 5.0)
    guarded = FallbackStrategy(each, None, said.append)
    # Said once, however often it is asked.
    assert [guarded.worth([offer()]) for _ in range(3)] == [[None]] * 3
    assert len(said) == 1 and problem in said[0] and said[0].endswith("; no bid"), said
    assert FallbackStrategy(each, MarketPriceStrategy(), said.append).worth([offer()]) == [100 * RAY]


def test_another_version_and_a_missing_program_are_named(tmp_path: Path) -> None:
    file = tmp_path / "old.py"
    file.write_text("input(); print('{\"version\": 9}', flush=True); input()")
    for command, problem in (
        ((sys.executable, str(file)), "it speaks version 9, not 1"),
        (("/nowhere/pricing",), "it cannot be started: No such file or directory"),
    ):
        with pytest.raises(BackstopError, match=problem):
            ExternalStrategy(command, {}, "bidder", 1.0).worth([offer()])


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Dear", "'Dear' is not module:Class"),
        ("no.such:Dear", "no.such cannot be imported"),
        (f"{__name__}:Cheap", "Cheap not found in"),
        (f"{__name__}:Dear", "cannot be made with its options: 'price'"),
        ("backstop.live.node.log_lines:Line", "cannot be made with its options"),
        ("pathlib:Path", "cannot be made with its options"),
    ],
)
def test_a_class_that_cannot_be_used_is_one_line(name: str, line: str) -> None:
    with pytest.raises(BackstopError, match=line):
        load_strategy(name, {})


@pytest.mark.parametrize("answer", [None, "12", [], [1, 2], [1.0], [True], [-1], [1 << 256]])
def test_an_answer_is_checked(answer: object) -> None:
    with pytest.raises(BackstopError, match="the strategy answered"):
        request_valuations(Fixed(answer), [offer()])


def test_a_bidder_goes_by_its_strategy(
    attach_fallen: Callable[..., LiveSystem], fallen: LiveSystem, program: Callable[..., ExternalStrategy]
) -> None:
    liquidate_borrower_and_advance_time(fallen)
    system = attach_fallen()
    (bidder,) = build_keepers(system.deployment, ["bidder"])
    apply_successful_call(
        fallen, "Stablecoin", "transfer", bidder.address, 60_000 * WAD, sender="market_maker"
    )

    def bids(strategy: object) -> int:
        keeper = Keeper(bidder.name, bidder.address, bidder.group, 0, 0, strategy)  # type: ignore[arg-type]
        lines: list[str] = []
        KeeperLoop(attach_fallen(), [keeper], print, dry=lines.append).run_round()
        return len(lines)

    assert bids(MarketPriceStrategy()) == 1
    assert bids(load_strategy(f"{__name__}:Dear", {"price": "1000"})) == 1
    assert bids(load_strategy(f"{__name__}:Dear", {"price": "50"})) == 0
    assert bids(program(percent=100)) == 1
    assert bids(program(percent=30)) == 0
