"""The live page's history on a chain: it outlives the mirror, with a checkpoint and without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backstop.errors import BackstopError
from backstop.live.mirror.chain_mirror import open_mirror
from backstop.live.monitor.monitor_history import SPARSE, STEP, MonitorHistory
from backstop.live.monitor.page_sections import PageSections
from backstop.live.monitor.status_facts_and_board import StatusBoard
from backstop.live.monitor.status_publisher import StatusPublisher
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.mirror_loop import MirrorLoop
from tests.support.devnet_process import Devnet
from tests.support.vault_auctions_after_price_drop import BORROWER, liquidate_borrower_and_advance_time

BRIEF = "tests/backstop/live/operate/test_mirror.py::test_it_goes_back_to_where_the_chain_forked"


def follow(
    devnet: Devnet, system: LiveSystem, checkpoint: Path | None = None, page: bool = True
) -> MonitorHistory:
    """Follow up to the newest block in a mirror of its own, as a process that ends then."""
    scene = PageSections(system.deployment)
    observer = StatusPublisher(StatusBoard(), lambda _: None, 0, scene=scene if page else None)
    mirror = open_mirror(devnet.node, system.deployment)
    loop = MirrorLoop(mirror, lambda _: None, lambda _: None, checkpoint=checkpoint, observer=observer)
    loop.run(once=True)
    assert loop.found == 0
    if page and observer.board.facts is not None:
        shown = observer.board.facts.scene["history"]
        assert shown["points"] == tuple(scene.history.points)
    return scene.history


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_mirror.py::test_it_goes_back_to_where_the_chain_forked"
)
def test_it_outlives_the_mirror(fallen: LiveSystem, fallen_devnet: Devnet, tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.json"
    before = follow(fallen_devnet, fallen, file)
    assert len(before.points) > 1 and not before.acts
    for _ in range(7):
        fallen.advance(STEP)
    liquidate_borrower_and_advance_time(fallen)
    after = follow(fallen_devnet, fallen, file)
    assert list(after.points)[: len(before.points)] == list(before.points)
    assert after.points[-1].block == fallen_devnet.node.get_head().number
    assert after.points[-1].in_auction > 0 == before.points[-1].in_auction
    (act,), event = after.acts, after.events[-1]
    assert act.who == "liquidator" and f"liquidated {BORROWER[:10]}" in act.told
    # A reward that the reserve cannot pay is bad debt.
    assert [each.kind for each in after.events] == ["loss", "liquidation"]
    assert event.kind == "liquidation" and "300 ETH liquidated for a debt of " in event.text

    # Without a checkpoint all of it is there again, from the chain, with fewer points of the past.
    anew = follow(fallen_devnet, fallen)
    assert (anew.acts, anew.events) == (after.acts, after.events)
    assert anew.points[-1] == after.points[-1] and len(anew.points) > 1
    gaps = [b.timestamp - a.timestamp for a, b in zip(anew.points, list(anew.points)[1:-1], strict=False)]
    assert all(gap >= SPARSE > STEP for gap in gaps)
    assert len(after.points) > len(anew.points) + 4
    whole = {each.block: each for each in after.points}
    assert all(whole[each.block] == each for each in anew.points if each.block in whole)


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_mirror.py::test_it_goes_back_to_where_the_chain_forked"
)
def test_what_the_chain_lost_is_gone_after_a_restart(
    fallen: LiveSystem, fallen_devnet: Devnet, tmp_path: Path
) -> None:
    file = tmp_path / "checkpoint.json"
    liquidate_borrower_and_advance_time(fallen)
    assert follow(fallen_devnet, fallen, file).acts
    blocks = fallen_devnet.node.get_head().number - json.loads(file.read_text())["history"]["acts"][0][0] + 1
    fallen_devnet.node.request("anvil_reorg", blocks, [])
    found = follow(fallen_devnet, fallen, file)
    assert not found.acts and not found.events


@pytest.mark.deep(brief=BRIEF)
def test_a_mirror_without_a_page_keeps_none(
    fallen: LiveSystem, fallen_devnet: Devnet, tmp_path: Path
) -> None:
    file = tmp_path / "checkpoint.json"
    follow(fallen_devnet, fallen, file, page=False)
    state: dict[str, Any] = json.loads(file.read_text())
    assert "history" not in state
    assert len(follow(fallen_devnet, fallen, file).points) == 1  # it begins here
    state["history"] = {"points": [[1]]}
    file.write_text(json.dumps(state))
    with pytest.raises(BackstopError, match="is not a valid checkpoint"):
        follow(fallen_devnet, fallen, file)
