"""Deployments shared by several tests: each test starts from the same state."""

from __future__ import annotations

import pytest

from backstop.hosts.storage_layout import encode_word
from backstop.model.arithmetic import WAD
from backstop.proof.local_protocol import PRICES, LocalProtocol
from backstop.proof.lockstep import deploy_lockstep
from tests.support.cached_deployments import CachedDeployment, DeploymentCache, SharedRevmHost


@pytest.fixture
def make(artifacts):
    def made(host: SharedRevmHost):
        both = deploy_lockstep(host, artifacts=artifacts)
        for symbol, price in PRICES.items():
            LocalProtocol(both).post_price(symbol, price)
        return both

    return made


@pytest.fixture
def kept(make) -> CachedDeployment:
    host = SharedRevmHost()
    return CachedDeployment(make(host), host)


def test_what_was_done_is_gone(kept, make, tmp_path):
    first = kept.restore_lockstep(1, tmp_path)
    before, storage = first.snapshot(), first.chain.host.read_nonzero_slots(list(first.addresses.values()))
    protocol = LocalProtocol(first)
    protocol.make_deficit("WETH")
    token = first.create_contract("Token", "Later", "Later", "LTR", 18)
    world = first.model.world
    world.contracts["Stablecoin"].extra = world.contracts["WETH"].table("extra")  # and what no test should do

    again = kept.restore_lockstep(1, tmp_path)
    fresh = make(SharedRevmHost())
    assert again.snapshot() == before == fresh.snapshot()
    assert again.chain.host.read_nonzero_slots(list(again.addresses.values())) == storage
    assert again.model.snapshot() == fresh.model.snapshot()
    assert again.trace == fresh.trace and again.steps == fresh.steps and again.timestamp == fresh.timestamp
    assert again.chain.host.get_code_size(token) == 0 and "Later" not in again.addresses
    assert again.audit_storage() == fresh.audit_storage()
    # The name and the address are free again.
    assert again.create_contract("Token", "Later", "Later", "LTR", 18) == token
    LocalProtocol(again).borrow("borrower", "WETH", 100 * WAD, 50_000 * WAD)


def test_two_at_a_time_are_two(make):
    shelf = DeploymentCache()
    one, other = shelf.take_free_or_new_deployment("a", make), shelf.take_free_or_new_deployment("a", make)
    assert one.host is not other.host
    shelf.return_unspoilt_deployment("a", one)
    assert shelf.take_free_or_new_deployment("a", make) is one and shelf.take_free_or_new_deployment(
        "b", make
    ) not in (one, other)


def test_what_was_written_from_outside_is_not_handed_out_again(make, tmp_path):
    shelf = DeploymentCache()
    kept = shelf.take_free_or_new_deployment("a", make)
    address = kept.restore_lockstep(1, tmp_path).addresses["WETH"]
    kept.host.write_slots({(address, 0): encode_word(1)})
    shelf.return_unspoilt_deployment("a", kept)
    assert shelf.take_free_or_new_deployment("a", make) is not kept
