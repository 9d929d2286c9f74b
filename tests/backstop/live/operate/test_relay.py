"""Transactions that go through a relay, and the public way where that does not have them mined."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from backstop.cli.keeper import cli
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.live.node.private_relay import Relay, RelaySettings
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.outbox import TransactionRules
from tests.support.manual_clock import ManualClock
from tests.support.relay_stub import RelayStub

BRIEF = "tests/backstop/live/operate/test_relay.py::test_a_relay_in_trouble_is_left_alone_longer_and_longer"

LIQUIDATOR = get_account("liquidator")
Open = Callable[..., KeeperLoop]


@pytest.fixture
def relay(fallen: LiveSystem) -> Iterator[RelayStub]:
    """Beside a node that mines when the relay has it mine."""
    fallen.node.request("evm_setAutomine", False)
    made = RelayStub(fallen.node)
    yield made
    made.server.stop()


@pytest.fixture
def begin(
    attach_fallen: Callable[..., LiveSystem], relay: RelayStub, said: list[str], tmp_path: Path
) -> Open:
    """Begins keepers of which the liquidator sends through the relay."""

    def open_it(*roles: str, way: str = "private") -> KeeperLoop:
        system = attach_fallen()
        keepers = build_keepers(system.deployment, list(roles or ("liquidator",)))
        through = Relay(RelaySettings(relay.url, ("liquidator",), 2, way), 2.0)
        rules = TransactionRules(replace_after=0.0, relay=through)
        return KeeperLoop(system, keepers, said.append, rules=rules, journal=tmp_path / "kept")

    return open_it


def public(relay: RelayStub) -> int:
    """Return the number of publicly visible transactions."""
    return int(relay.node.request("txpool_status")["pending"], 16)


@pytest.mark.parametrize("way", ["private", "bundle"])
def test_nobody_sees_it_before_it_is_mined(begin: Open, relay: RelayStub, way: str) -> None:
    loop = begin(way=way)
    head = relay.node.get_head().number
    assert loop.run_round() == 1 and public(relay) == 0 and relay.unsigned == 0
    bounds = [(first, last) for _, first, last in relay.taken]
    assert bounds == ([(0, head + 2)] if way == "private" else [(head + 1, head + 1), (head + 2, head + 2)])
    for _ in range(3):  # nor is it taken for lost meanwhile
        loop.run_round()
    assert public(relay) == 0 and loop.pending_transaction_count == 1
    relay.mine_block()
    loop.run_round()
    assert loop.tally.counts["liquidator", "done"] == 1 and loop.tally.failed_transaction_count == 0
    loop.close()


def test_what_it_does_not_have_mined_goes_the_public_way(begin: Open, relay: RelayStub) -> None:
    loop = begin()
    loop.run_round()
    for public_then in (0, 1):
        relay.mine_block(includes=False)
        loop.run_round()
        assert public(relay) == public_then
    relay.mine_block(includes=False)
    loop.run_round()
    assert loop.tally.counts["liquidator", "done"] == 1
    assert relay.node.get_nonce(LIQUIDATOR, "latest") == 1
    loop.close()


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize("trouble", ["refuses", "lies", "gone"])
def test_a_relay_in_trouble_holds_nothing_up(
    begin: Open, relay: RelayStub, said: list[str], trouble: str
) -> None:
    loop = begin()
    relay.refuses, relay.lies = "too many" if trouble == "refuses" else "", trouble == "lies"
    if trouble == "gone":
        relay.server.stop()
    assert loop.run_round() == 1 and public(relay) == 1
    assert f"goes the public way: the relay at {relay.url} does not take it (" in said[0]
    relay.mine_block(includes=False)
    loop.run_round()
    assert loop.tally.counts["liquidator", "done"] == 1
    loop.close()


def test_a_relay_in_trouble_is_left_alone_longer_and_longer(relay: RelayStub) -> None:
    clock = ManualClock()
    through = Relay(RelaySettings(relay.url, ("liquidator",)), 1.0, clock=clock)
    relay.server.stop()
    left = []
    for _ in range(9):
        assert through.well
        with pytest.raises(BackstopError) as caught:
            through.send_transaction("0x00", 1)
        before = clock.now
        while not through.well:
            clock.now += 5.0
        left.append(clock.now - before)
        assert through.explain_transaction_refusal(caught.value).endswith(
            f", and is left alone for {left[-1]:.0f} s"
        )
    assert left == [5, 10, 20, 40, 80, 160, 300, 300, 300]


@pytest.mark.deep(brief=BRIEF)
def test_it_is_left_alone_when_it_refuses_one_after_the_other(relay: RelayStub) -> None:
    """One refusal may be the transaction's own fault; any transaction that is taken resets the count."""
    clock, raw = ManualClock(), "0x" + "ab" * 100
    through = Relay(RelaySettings(relay.url, ("liquidator",)), 1.0, clock=clock)
    for _ in range(2):
        for count in range(2):
            relay.refuses = "nonce too low"
            with pytest.raises(BackstopError) as caught:
                through.send_transaction(raw, count)
            assert through.well and "left alone" not in through.explain_transaction_refusal(caught.value)
        relay.refuses = ""
        assert through.send_transaction(raw, 1) == 4
    relay.refuses = "nonce too low"
    for _ in range(3):
        with pytest.raises(BackstopError):
            through.send_transaction(raw, 1)
    assert not through.well


@pytest.mark.deep(brief=BRIEF)
def test_nothing_waits_for_a_relay_that_is_left_alone(begin: Open, relay: RelayStub, said: list[str]) -> None:
    loop = begin()
    through = loop.rules.relay
    assert through is not None
    through._rest.start_pause(1, wanted=60.0)
    assert loop.run_round() == 1 and public(relay) == 1 and relay.taken == []
    assert not any("goes the public way" in line for line in said)
    loop.close()


def test_a_keeper_that_is_started_again_shows_it_to_nobody(begin: Open, relay: RelayStub) -> None:
    """It sends the transaction publicly as soon as the relay's time is over."""
    loop = begin()
    loop.run_round()
    loop.close()
    loop = begin()
    assert loop.run_round() == 0 and public(relay) == 0 and loop.pending_transaction_count == 1
    for _ in range(2):
        relay.mine_block(includes=False)
    loop.run_round()
    assert public(relay) == 1
    loop.close()


def test_other_roles_are_none_of_its_business(begin: Open, relay: RelayStub) -> None:
    loop = begin("accruer", "liquidator")
    relay.node.request("anvil_setTime", relay.node.get_head().timestamp + 10_000)
    relay.mine_block(includes=False)
    sent = loop.run_round()
    assert sent > 1 and public(relay) == sent - len(relay.taken) and len(relay.taken) <= 1
    loop.close()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{url: /run/relay.ipc, roles: [taker]}", "a relay has an http:// or https:// address"),
        ("{url: https://x.org, roles: [baker]}", "'baker' is not one of: reporter"),
        ("{url: https://x.org, roles: [taker], way: loud}", "'loud' is not one of: private, bundle"),
        ("{url: https://x.org, roles: [taker], blocks: 0}", "relay.blocks: '0' is too low"),
        ("{url: https://x.org}", "roles"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, text: str, line: str) -> None:
    (tmp_path / "keeper.yaml").write_text(f"schema_version: 1\nrelay: {text}\n")
    result = CliRunner(mix_stderr=False).invoke(cli, ["--config", str(tmp_path / "keeper.yaml")])
    assert result.exit_code == 1 and result.stderr.count("\n") == 1 and line in result.stderr
