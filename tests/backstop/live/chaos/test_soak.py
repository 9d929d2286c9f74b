"""The findings of a soak about a process, and a short soak."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from backstop.deployment.role_accounts import get_account
from backstop.live.chaos.anvil_chain import AnvilChain, prepare_chain
from backstop.live.chaos.chaos_results import format_chaos_results_table
from backstop.live.chaos.leak_detection import (
    MOST_BYTES,
    ProcessUsage,
    compute_theil_sen_slope,
    read_memory_and_descriptor_usage,
    summarise_process_usage,
)
from backstop.live.chaos.soak import OWNERS, CyclicMarketActors, list_vault_opening_lull_faults, run_soak
from backstop.model.arithmetic import RAY
from backstop.simulation.scenario import load_scenario
from tests.support.checkout_paths import DATA

HOUR = 3_600
SIX_HOURS = [float(at) for at in range(0, 6 * HOUR, 30)]


def uses(an_hour: float, noise: int = 4 << 20, seed: int = 1) -> list[ProcessUsage]:
    """Six hours of a process that grows by so many bytes an hour, and in the first of them by 50 MiB."""
    random = Random(seed)
    start = 50 << 20
    return [
        ProcessUsage(
            at, int(start * (2 if at > HOUR / 2 else 1) + an_hour * at / HOUR + random.randrange(noise)), 9, 3
        )
        for at in SIX_HOURS
    ]


@pytest.mark.parametrize(
    ("an_hour", "verdict"), [(0, "flat"), (MOST_BYTES / 4, "flat"), (2 * MOST_BYTES, "grows")]
)
def test_a_leak_is_told_from_noise_and_from_a_start(an_hour: float, verdict: str) -> None:
    for seed in range(20):
        found = summarise_process_usage("mirror", uses(an_hour, seed=seed))
        assert found["memory"]["verdict"] == verdict
        rate, low, high = found["memory"]["an_hour"]
        assert low <= rate <= high and high - low < MOST_BYTES
        assert found["open"] == {"warm": 9, "last": 9, "most": 9, "an_hour": [0, 0, 0], "verdict": "flat"}


def test_a_descriptor_every_quarter_of_an_hour_is_a_leak() -> None:
    leaking = [each._replace(open=9 + int(each.at) // 900) for each in uses(0)]
    assert summarise_process_usage("mirror", leaking)["open"]["verdict"] == "grows"


def test_a_burst_is_no_leak() -> None:
    burst = [each._replace(open=40 if 9_000 < each.at < 9_900 else 9) for each in uses(0)]
    assert summarise_process_usage("mirror", burst)["open"]["verdict"] == "flat"


def test_of_minutes_nothing_is_known() -> None:
    short = [each for each in uses(0) if each.at < 2_000]
    assert summarise_process_usage("mirror", short)["memory"]["verdict"] == "not known yet"
    assert compute_theil_sen_slope([0.0, 10.0], [1.0, 2.0]) is None


def test_what_a_process_uses_is_what_linux_says() -> None:
    before = read_memory_and_descriptor_usage(os.getpid(), 1.0)
    assert before is not None and before.at == 1.0 and before.threads >= 1
    held = b"x" * (64 << 20)
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(open(os.devnull))
        after = read_memory_and_descriptor_usage(os.getpid(), 2.0)
    assert after is not None and after.open == before.open + 5
    assert after.memory > before.memory + len(held) // 2
    assert read_memory_and_descriptor_usage(2**22 + 1, 0.0) is None  # beyond the highest number of a process


def test_a_load_that_ends_is_a_fault() -> None:
    assert list_vault_opening_lull_faults([300, 2_100], 3_000, 2_700, 1_000) == []
    assert list_vault_opening_lull_faults([300, 1_900], 3_000, 2_700, 1_000) == [
        "the load ended: no vault was opened in the 1,100 blocks after block 1,900"
    ]
    assert len(list_vault_opening_lull_faults([], 3_000, 2_700, 1_000)) == 1
    assert list_vault_opening_lull_faults([], 3_000, 1_900, 1_000) == []


@pytest.fixture
def tide(tmp_path: Path) -> Iterator[CyclicMarketActors]:
    """Yield the market actors of a chain with an immediate price drop, without a keeper."""
    scenario = load_scenario(DATA / "chaos" / "small.yaml")
    prepare_chain(tmp_path, scenario, 1, {})
    chain = AnvilChain(tmp_path, scenario.block_time)
    chain.keeps = False
    yield CyclicMarketActors(chain, scenario, 1)
    chain.close()


def debt(tide: CyclicMarketActors, c: int, owner: str) -> int:
    return int(tide.system.view("VaultEngine", "vault", c, get_account(owner))[1])


@pytest.mark.deep(
    brief="tests/backstop/live/chaos/test_soak.py::test_a_leak_is_told_from_noise_and_from_a_start"
)
@pytest.mark.anvil
def test_owners_draw_what_rising_prices_allow(tide: CyclicMarketActors) -> None:
    """Otherwise no later price drop reaches a vault that was opened at the lowest prices."""

    def debts_after(blocks: int) -> list[int]:
        for _ in range(blocks):
            tide.send_block_actions()
            tide.chain.mine_block()
        return [debt(tide, 0, f"owner {i}") for i in range(OWNERS)]

    before = debts_after(90)
    tide.paths["ETH"] = [300 * RAY] * len(tide.paths["ETH"])
    after = debts_after(60)
    assert any(0 < was < now for was, now in zip(before, after, strict=True))


@pytest.mark.deep(
    brief="tests/backstop/live/chaos/test_soak.py::test_a_leak_is_told_from_noise_and_from_a_start"
)
@pytest.mark.anvil
def test_whose_vault_was_taken_borrows_again(tide: CyclicMarketActors) -> None:
    taken: set[tuple[int, str]] = set()
    owners = [(c, f"owner {i}") for c in range(3) for i in range(OWNERS)]
    for _ in range(200):
        tide.send_block_actions()
        tide.chain.mine_block()
        if any(debt(tide, *each) for each in taken):
            break
        for c, owner in owners:
            call = "LiquidationEngine", "liquidate", c, get_account(owner), get_account("stranger")
            if (c, owner) not in taken and tide._would_succeed("stranger", *call):
                tide.send_call_for_hash("stranger", *call)
                tide.chain.mine_block()
                taken.add((c, owner))
    assert any(debt(tide, *each) for each in taken)


@pytest.mark.deep(
    brief="tests/backstop/live/chaos/test_soak.py::test_a_leak_is_told_from_noise_and_from_a_start"
)
@pytest.mark.anvil
def test_a_maker_who_runs_dry_is_given_more(tide: CyclicMarketActors) -> None:
    depth = sum(market.depth for market in tide.scenario.markets.values())
    tide.send_call_for_hash(
        "market_maker",
        "Stablecoin",
        "transfer",
        get_account("stranger"),
        tide.read_stablecoin_balance("market_maker"),
    )
    tide.chain.mine_block()
    for _ in range(30):
        tide.send_block_actions()
        tide.chain.mine_block()
    assert tide.read_stablecoin_balance("market_maker") >= depth // 2


@pytest.mark.deep(
    brief="tests/backstop/live/chaos/test_soak.py::test_a_leak_is_told_from_noise_and_from_a_start"
)
@pytest.mark.anvil
def test_keepers_a_mirror_and_its_page_under_load(tmp_path: Path) -> None:
    found = run_soak(tmp_path, load_scenario(DATA / "chaos" / "small.yaml"), 1, 0.5, block=0.3, sample=2.0)
    assert found["faults"] == [] and found["differences"] == 0
    assert found["opened"] > 1 and found["transactions"] > 1
    assert found["readers"]["pages"] >= 3 and found["readers"]["events"] > 3  # more on an idle machine
    assert "failures" not in found["readers"]
    assert [each["name"] for each in found["processes"]] == ["flash", "desk", "fund", "mirror", "node"]
    assert all(each["memory"]["verdict"] == "not known yet" for each in found["processes"])
    shown = format_chaos_results_table({"parts": {"soak": found}})
    assert "\n          mirror" in shown and "keeps the chain's history" in shown
