"""Keepers that act for another account: a debtor for owners of vaults, a bridge for its facilitator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.artifacts import Artifacts
from backstop.live.node.signers import Signers
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.keeper_settings import read_yaml_keeper_settings_by_name
from backstop.live.operate.keeper_setup import _build_allowlist
from backstop.live.operate.live_roles import ROLES, build_keepers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.resumable_deployment import deploy_live
from backstop.model.arithmetic import WAD
from tests.support.devnet_process import Devnet
from tests.support.facilitator_steps import with_facilitators
from tests.support.guard_steps import BREAKER, CAUTION, with_guards
from tests.support.keeper_rounds import run_rounds_until_mined
from tests.support.many_vaults_devnet import ManyVaultsDevnet
from tests.support.workout_steps import CALLED, DEBT, LOT, TERMS

pytestmark = pytest.mark.anvil

DEBTOR, BORROWER, SAVER = get_account("debtor"), get_account("borrower"), get_account("saver")
DAY = 86_400


@pytest.fixture
def place(tmp_path: Path, artifacts: Artifacts) -> Iterator[ManyVaultsDevnet]:
    """Two facilitators, and called vaults; the debtor may act for one of their owners."""
    devnet = Devnet()
    try:
        parameters = with_facilitators(with_guards(breaker=BREAKER, workouts=(TERMS,)))
        deployment = deploy_live(
            devnet.node, parameters, tmp_path / "deployment.json", Signers(test_accounts=True)
        )
        town = ManyVaultsDevnet(devnet, deployment, artifacts)
        town.post_prices(2_000, 30_000, 3_000)
        assert town.call_and_return_revert_reason("RiskPolicy.set_call_terms", 0, 14_800, 3_600, DAY) is None
        town.open_vault("borrower", LOT // WAD, DEBT // WAD)
        town.open_vault("saver", 40, 30_000)
        assert (
            town.call_and_return_revert_reason(
                "VaultEngine.approve_operator", DEBTOR, True, sender="borrower"
            )
            is None
        )
        assert (
            town.call_and_return_revert_reason("Stablecoin.transfer", DEBTOR, 14_000 * WAD, sender="saver")
            is None
        )
        town.post_prices(CALLED)
        for owner in (BORROWER, SAVER):
            town.call_and_return_revert_reason("LiquidationEngine.call", 0, owner, sender="caller")
        yield town
    finally:
        devnet.process.stop_process()


@pytest.fixture
def loop(place: ManyVaultsDevnet) -> Callable[..., KeeperLoop]:
    def begin(role: str, **options: int | str) -> KeeperLoop:
        signers = Signers(test_accounts=True)
        system = LiveSystem(place.devnet.node, place.deployment, signers, artifacts=place.artifacts)
        keepers = build_keepers(place.deployment, [role], options={role: options})
        signers.allowed = _build_allowlist({}, keepers, system)
        return KeeperLoop(system, keepers, print)

    return begin


def see_through(loop: KeeperLoop) -> list[str]:
    """Run rounds until all is mined, and return the calls that succeeded, by keeper."""
    before = loop.tally.counts.copy()
    run_rounds_until_mined(loop)
    assert loop.tally.failed_transaction_count == 0
    done = loop.tally.counts - before
    return [f"{keeper} {count}" for (keeper, result), count in done.items() if result == "done"]


def test_a_debtor_enters_and_pays(place: ManyVaultsDevnet, loop: Callable[..., KeeperLoop]) -> None:
    assert (
        place.call_and_return_revert_reason("CircuitBreaker.force_mode", CAUTION, sender="guardian") is None
    )
    debtor = loop("debtor", instalments=4)
    assert see_through(debtor) == ["debtor 1"]
    view = debtor.system.view
    assert view("VaultEngine", "vault", 0, BORROWER)[1] == 0
    # The saver's vault is nobody's business here.
    assert view("VaultEngine", "vault", 0, SAVER)[1] > 0
    # Nothing is due until half of the interval is over.
    assert see_through(debtor) == []
    place.pass_time(TERMS.interval // 2 + 60)
    before = view("Stablecoin", "balanceOf", DEBTOR)
    assert see_through(debtor) == ["debtor 1"]
    paid = before - view("Stablecoin", "balanceOf", DEBTOR)
    assert DEBT // 4 < paid < DEBT // 4 * 21 // 20
    assert see_through(debtor) == []
    debtor.system.compare_state()


@pytest.mark.deep(brief="tests/backstop/live/index/test_private_roles.py::test_a_debtor_enters_and_pays")
def test_a_bridge_draws_up_to_its_capital(place: ManyVaultsDevnet, loop: Callable[..., KeeperLoop]) -> None:
    to = get_account("stranger")
    bridge = loop(
        "bridge", facilitator="Rollup", each=3_000 * WAD, capital=5_000 * WAD, heartbeat=3_600, to=to
    )
    view = bridge.system.view
    assert see_through(bridge) == ["bridge 1"]
    assert view("Stablecoin", "balanceOf", to) == 3_000 * WAD
    assert see_through(bridge) == []
    for drawn in (5_000, 5_000):
        place.pass_time(3_601)
        see_through(bridge)
        # Fees count against its capital.
        assert drawn * WAD - WAD < view("Stablecoin", "balanceOf", to) <= drawn * WAD
    bridge.system.compare_state()


@pytest.mark.deep(brief="tests/backstop/live/index/test_private_roles.py::test_a_debtor_enters_and_pays")
def test_they_are_not_among_all(place: ManyVaultsDevnet) -> None:
    names = {keeper.group.role for keeper in build_keepers(place.deployment, ["all"])}
    assert {"debtor", "bridge"} <= set(ROLES) and not names & {"debtor", "bridge"}
    assert [each.name for each in build_keepers(place.deployment, ["crank", "debtor"])][-1] == "debtor"
    with pytest.raises(BackstopError, match="needs its facilitator, not '': there are Rollup, Sidechain"):
        build_keepers(place.deployment, ["bridge"])


def test_their_settings_are_read(tmp_path: Path) -> None:
    file = tmp_path / "keeper.yaml"
    text = (
        "schema_version: 1\nroles:\n  debtor: {instalments: 6}\n  bridge:\n    facilitator: Rollup\n"
        "    each: 1000 stablecoin\n    capital: 50_000 stablecoin\n    heartbeat: 6 h\n"
        f"    to: '0x{'Ab' * 20}'\n"
    )
    file.write_text(text)
    assert read_yaml_keeper_settings_by_name(file)["options"] == {
        "debtor": {"instalments": 6},
        "bridge": {
            "facilitator": "Rollup",
            "each": 1_000 * WAD,
            "capital": 50_000 * WAD,
            "heartbeat": 6 * 3_600,
            "to": f"0x{'ab' * 20}",
        },
    }
    file.write_text(text.replace("Ab", "Ag"))
    with pytest.raises(BackstopError, match=r"keeper.yaml:9: roles.bridge.to: '0xAgAg.* is not an address"):
        read_yaml_keeper_settings_by_name(file)
