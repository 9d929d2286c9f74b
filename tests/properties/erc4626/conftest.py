"""Every pool of a deployment, on both terms of leaving."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial

import pytest

from backstop.hosts.artifacts import Artifacts
from backstop.hosts.host_interface import Host
from backstop.hosts.host_registry import new_host
from backstop.proof.local_protocol import LocalProtocol
from tests.support.erc4626 import DAY, POOLS, PoolStates, deploy_pools
from tests.support.long_test_marks import build_pytest_params_with_deep_marks

TERMS = {"at once": 0, "cooldown": DAY}


@pytest.fixture(scope="session")
def make_world(host_kind: str, artifacts: Artifacts) -> Iterator[Callable[[int, int, bool], LocalProtocol]]:
    """Makes a world of a cooldown and a state, each once."""
    hosts: list[Host] = []

    def made(cooldown: int, loss: int, covered: bool, empty: bool) -> LocalProtocol:
        hosts.append(new_host(host_kind))
        return deploy_pools(hosts[-1], artifacts, cooldown, loss, covered, empty)

    yield cache(made)
    for host in hosts:
        host.close()


@pytest.fixture(scope="session", params=TERMS)
def cooldown(request: pytest.FixtureRequest) -> int:
    return TERMS[request.param]


@pytest.fixture(
    scope="session",
    params=build_pytest_params_with_deep_marks(
        POOLS, ("Senior", "Savings"), "tests/properties/erc4626/test_a16z.py::test_asset"
    ),
)
def pools(
    request: pytest.FixtureRequest, cooldown: int, make_world: Callable[..., LocalProtocol]
) -> PoolStates:
    return PoolStates(request.param, partial(make_world, cooldown))


@pytest.fixture(
    scope="session",
    params=build_pytest_params_with_deep_marks(
        POOLS, ("Senior", "Savings"), "tests/properties/erc4626/test_a16z.py::test_asset"
    ),
)
def plain(request: pytest.FixtureRequest, make_world: Callable[..., LocalProtocol]) -> PoolStates:
    """A pool without a cooldown: where there is one, shares leave in batches and nothing is redeemed."""
    return PoolStates(request.param, partial(make_world, 0))


@pytest.fixture(
    scope="session",
    params=build_pytest_params_with_deep_marks(
        POOLS, ("Senior", "Savings"), "tests/properties/erc4626/test_a16z.py::test_asset"
    ),
)
def asynchronous(request: pytest.FixtureRequest, make_world: Callable[..., LocalProtocol]) -> PoolStates:
    """A pool with a cooldown: half of each member's shares wait in a batch that is cut."""
    return PoolStates(request.param, partial(make_world, DAY))
