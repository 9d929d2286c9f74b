"""Block inclusion: by gas price, then age, then name; nonces in order; capacity; replacement."""

from __future__ import annotations

import ast
import inspect

import pytest

from backstop.deployment.contracts_by_parameter_name import POOLS
from backstop.errors import BackstopError
from backstop.keepers import all_role_names, call_costs, gas_table
from backstop.keepers.call_costs import convert_gas_to_stablecoin, find_call_gas
from backstop.model.arithmetic import RAY
from backstop.simulation.mempool import Mempool
from backstop.system import Action


def send(
    pool: Mempool, name: str, *wanted: tuple[str, int, int], now: int = 0, latency: int = 0
) -> tuple[int, int]:
    """Replace a sender's pending calls by `wanted`: (purpose, gas, gas price) of each."""
    calls = [(Action("X", what, (), name), (what,), gas, price) for what, gas, price in wanted]
    return pool.replace_pending(name, name, calls, now, latency)


def fill(pool: Mempool, price: int = 0, capacity: int = 1_000, now: int = 60) -> list[str]:
    return [f"{each.name}.{each.action.method}" for each in pool.fill_block(now, price, capacity)]


def test_the_highest_gas_price_first() -> None:
    pool = Mempool()
    send(pool, "a", ("x", 10, 5))
    send(pool, "b", ("x", 10, 7))
    assert fill(pool) == ["b.x", "a.x"]


def test_then_the_oldest_then_by_name() -> None:
    pool = Mempool()
    send(pool, "late", ("x", 10, 5), now=20)
    send(pool, "zoe", ("x", 10, 5), now=10)
    send(pool, "ann", ("x", 10, 5), now=10)
    assert fill(pool) == ["ann.x", "zoe.x", "late.x"]


def test_under_the_clearing_price_waits() -> None:
    pool = Mempool()
    send(pool, "a", ("x", 10, 5))
    assert fill(pool, price=6) == []
    assert fill(pool, price=5) == ["a.x"]


def test_what_does_not_fit_waits_and_smaller_ones_pass() -> None:
    pool = Mempool()
    send(pool, "big", ("x", 90, 9))
    send(pool, "huge", ("x", 80, 8))
    send(pool, "small", ("x", 10, 7))
    assert fill(pool, capacity=100) == ["big.x", "small.x"]
    assert fill(pool, capacity=100) == ["huge.x"]


def test_a_senders_transactions_go_in_order() -> None:
    pool = Mempool()
    send(pool, "a", ("first", 10, 1), ("second", 10, 99))
    send(pool, "b", ("x", 10, 5))
    assert fill(pool) == ["b.x", "a.first", "a.second"]
    # The first is under the price: the second has to wait although it pays enough.
    send(pool, "a", ("third", 10, 1), ("fourth", 10, 99))
    assert fill(pool, price=2) == []


def test_latency_hides_a_transaction() -> None:
    pool = Mempool()
    send(pool, "a", ("x", 10, 5), now=0, latency=120)
    assert fill(pool, now=60) == []
    assert fill(pool, now=120) == ["a.x"]


def test_what_is_still_wanted_keeps_its_age_and_the_rest_is_dropped() -> None:
    pool = Mempool()
    assert send(pool, "a", ("x", 10, 5), ("y", 10, 5), now=0) == (2, 0)
    send(pool, "b", ("x", 10, 6), now=30)
    assert send(pool, "a", ("x", 10, 6), ("z", 10, 6), now=60) == (1, 1)
    assert [each.intent for each in pool.list_pending("a")] == [("x",), ("z",)]
    assert fill(pool) == ["a.x", "b.x", "a.z"]
    assert len(pool) == 0


def test_the_gas_table(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(gas_table, "SNAPSHOT", tmp_path / "gas-snapshot.json")
    with pytest.raises(BackstopError, match="is not a gas table"):
        gas_table.read_gas_table()
    gas_table.write_gas_table_json({"liquidate": 171_234})
    assert gas_table.read_gas_table() == {"liquidate": 171_234}
    gas_table.SNAPSHOT.write_text("[]")
    with pytest.raises(BackstopError, match="is not a gas table"):
        gas_table.read_gas_table()


def test_every_job_of_a_keeper_is_in_the_committed_table() -> None:
    assert set(call_costs._JOBS.values()) <= gas_table.read_gas_table().keys()


def sent_by_keepers() -> set[tuple[str, str]]:
    """Every contract and method that a role names in an intent, read from its source; but for those of which
    the keeper says itself how much gas they need."""
    several = {
        "contract": [contract for contract, _, _ in POOLS.values()],
        "sale.contract": ["StakeAuction", "MintAuction"],
        "keeper.group.facilitator": ["BridgeFacilitator"],
        "order.announce": ["BridgeFacilitator"],
        "name": ["BridgeFacilitator"],
        "MARKET": ["PerpetualMarket"],
        "POOL": ["PerpetualLiquidityVault"],
        "pool": [contract for contract, _, _ in POOLS.values()],
    }
    found = set()
    nodes = (
        node for module in all_role_names.MODULES for node in ast.walk(ast.parse(inspect.getsource(module)))
    )
    for call in nodes:
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "keeper.build_intent":
            if any(each.arg == "gas" for each in call.keywords):
                continue
            where, method = call.args[0], call.args[1]
            assert isinstance(method, ast.Constant), ast.unparse(call)
            named = [str(where.value)] if isinstance(where, ast.Constant) else several[ast.unparse(where)]
            found |= {(contract, str(method.value)) for contract in named}
    return found


def test_every_transaction_of_a_keeper_is_measured() -> None:
    sent = sent_by_keepers()
    assert {("PriceFeed", "report"), ("Savings", "redeem"), ("MintAuction", "end")} <= sent
    assert ("PerpetualTrading", "liquidate") in sent
    assert [call for call in sorted(sent) if find_call_gas(*call) is None] == []


def test_unknown_gas() -> None:
    assert find_call_gas("VaultEngine", "set_debt_floor") is None
    take, with_sale = find_call_gas("CollateralAuction", "take"), find_call_gas("FlashTaker", "take_and_sell")
    assert take is not None and with_sale is not None and with_sale > take


def test_costs_are_rounded_up() -> None:
    # 100,000 gas at 20 gwei is 0.002 ether; at 200 dollars that is 0.4.
    assert convert_gas_to_stablecoin(100_000, 20 * 10**9, 200 * RAY) == 4 * 10**17
    assert convert_gas_to_stablecoin(1, 1, 1) == 1
