"""The fixtures that all tests share; `--host anvil` runs the protocol's tests on a real node."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import Parameters
from backstop.errors import BackstopError
from backstop.files.installation import refuse_other_checkout
from backstop.hosts import host_registry as hosts
from backstop.hosts.artifacts import CONTRACTS, Artifacts
from backstop.hosts.host_interface import Host
from backstop.proof.local_protocol import PRICES, LocalProtocol
from backstop.proof.lockstep import ProtocolLockstep, deploy_lockstep
from tests.support.cached_deployments import CachedDeployment, DeploymentCache
from tests.support.guard_steps import deploy_with_prices, with_guards
from tests.support.pytest_rewrite_cache import cache_pytest_rewritten_files

TESTS = Path(__file__).parent

FAST = "import backstop; backstop.study('stress-day', paths=2, seed=1, engine='fast')"

# Where files are that take more than some seconds; the others fill the time at the end.
LONG = ("tests/backstop", "tests/distribution", "tests/regression", "tests/style/test_tutorial.py")

# Files that go to the worker of another: they read its chain of the session, or contracts that it parsed.
WITH = {
    "tests/backstop/live/solvency/test_export.py": "tests/backstop/live/solvency/test_audit.py",
    "tests/style/test_evaluation_order.py": "tests/style/test_reasons.py",
    "tests/style/test_natspec.py": "tests/style/test_reasons.py",
}

# The same examples every time, however busy the machine is.
settings.register_profile(
    "backstop", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("backstop")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--host", choices=hosts.HOSTS, default="revm", help="the chain that the model is compared to"
    )
    parser.addoption(
        "--without-properties",
        action="store_true",
        help="play on where a property is violated: what an attack takes on a rule that was wrong",
    )
    parser.addoption(
        "--contracts", type=Path, default=CONTRACTS, help="contracts to test in place of the project's"
    )
    parser.addoption("--steps", type=int, default=10_000, help="random steps of tests/backstop/proof/fuzz")
    parser.addoption("--seed", type=int, default=1, help="the seed of tests/backstop/proof/fuzz")


def pytest_configure() -> None:
    """Refuse to test another checkout's package; what is collected is no garbage."""
    gc.disable()
    try:
        refuse_other_checkout(TESTS)
    except BackstopError as error:
        raise pytest.UsageError(str(error)) from None


class ByFile(LoadFileScheduling):
    """A file to a worker, but for those that share something dear with another."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return WITH.get(file, file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadFileScheduling | None:
    """Only where the Makefile's way of sharing tests out is asked for."""
    return ByFile(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_sessionstart(session: pytest.Session) -> None:
    """Before workers start: else each compiles the same contracts, fast engine and tests."""
    config = session.config
    if hasattr(config, "workerinput"):
        return
    if getattr(config.option, "numprocesses", None):
        engine = subprocess.Popen([sys.executable, "-c", FAST])
        files = sorted((*TESTS.rglob("test_*.py"), *TESTS.rglob("conftest.py")))
        rewriting = get_context("fork").Process(target=cache_pytest_rewritten_files, args=(files, config))
        rewriting.start()
        Artifacts(config.getoption("--contracts")).load()
        engine.wait()
        rewriting.join()
    if config.pluginmanager.hasplugin("ape_test"):
        _forget_dead_nodes()


def _forget_dead_nodes() -> None:
    """Ape keeps a list of all nodes it ever started, and looks through it slowly at the end of each run."""
    from ape.utils.basemodel import ManagerAccessMixin

    nodes = ManagerAccessMixin.network_manager.running_nodes
    nodes.remove_processes(*(pid for pid in nodes.process_ids if not Path(f"/proc/{pid}").exists()))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is deep, unless it is asked for; no worker begins something long at the end."""
    if getattr(config.option, "numprocesses", None) or hasattr(config, "workerinput"):
        items.sort(key=lambda item: not item.nodeid.startswith(LONG))
    if "deep" in config.option.markexpr:
        return
    kept: list[pytest.Item] = []
    deep: list[pytest.Item] = []
    seen: Counter[str] = Counter()
    for item in items:
        mark = item.get_closest_marker("deep")
        cases = mark.kwargs.get("cases", 0) if mark else 1
        name, _, _ = item.nodeid.partition("[")
        seen[name] += bool(mark and cases)
        (kept if cases and seen[name] <= cases else deep).append(item)
    config.hook.pytest_deselected(items=deep)
    items[:] = kept


def pytest_collection_finish() -> None:
    """What is there to stay need not be looked through for garbage; the rest has few cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)
    gc.enable()


@pytest.fixture(scope="session")
def artifacts(request: pytest.FixtureRequest) -> Artifacts:
    """The contracts, each compiled when a test first needs it."""
    return Artifacts(request.config.getoption("--contracts"))


@pytest.fixture(scope="session")
def host_kind(request: pytest.FixtureRequest) -> str:
    return str(request.config.getoption("--host"))


@pytest.fixture
def new_host(host_kind: str) -> Iterator[Callable[..., Host]]:
    """Makes fresh, empty chains, closed after the test."""
    opened: list[Host] = []

    def make(name: str = host_kind) -> Host:
        opened.append(hosts.new_host(name))
        return opened[-1]

    yield make
    for host in opened:
        host.close()


@pytest.fixture(scope="session")
def shelf() -> DeploymentCache:
    """Deployments on revm that tests begin with, kept from one test to the next."""
    return DeploymentCache()


@pytest.fixture(scope="session")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where traces go that hardly any test writes: a folder for each costs more than a whole deployment."""
    return tmp_path_factory.mktemp("traces")


@pytest.fixture
def new_protocol(
    request: pytest.FixtureRequest,
    artifacts: Artifacts,
    new_host: Callable[..., Host],
    shelf: DeploymentCache,
    traces: Path,
) -> Iterator[Callable[..., LocalProtocol]]:
    """Makes protocols of any parameters; without prices, or with the usual ones.

    Properties are asserted after every step; all state is read in a steady rhythm, and at the test's end.
    """
    taken: list[tuple[Hashable, CachedDeployment, ProtocolLockstep]] = []
    # Whoever puts something else in the place of a part may mean the deployment.
    keeps = request.getfixturevalue("host_kind") == "revm" and "monkeypatch" not in request.fixturenames
    unchecked = request.config.getoption("--without-properties")
    diverges = request.node.get_closest_marker("diverges") is not None

    def deployed(
        host: Host, parameters: Parameters, prices: bool, check_every: int | None
    ) -> ProtocolLockstep:
        both = deploy_lockstep(host, parameters, artifacts=artifacts, check_every=check_every, traces=traces)
        for symbol, price in PRICES.items() if prices else ():
            LocalProtocol(both).post_price(symbol, price)
        return both

    def handed_out(both: ProtocolLockstep) -> LocalProtocol:
        if unchecked:
            both.step_check = both.state_check = None
        return LocalProtocol(both)

    def make(
        parameters: Parameters | None = None, check_every: int | None = None, prices: bool = False
    ) -> LocalProtocol:
        parameters = parameters or build_standard_parameters()
        if not keeps:
            return handed_out(deployed(new_host(), parameters, prices, check_every))
        key = parameters, prices
        kept = shelf.take_free_or_new_deployment(key, lambda host: deployed(host, parameters, prices, 1))
        both = kept.restore_lockstep(check_every, traces)
        taken.append((key, kept, both))
        return handed_out(both)

    yield make
    for key, kept, both in taken:
        shelf.return_unspoilt_deployment(key, kept)
        if not kept.host.spoilt and not diverges:
            both.compare_state()


@pytest.fixture
def protocol(new_protocol: Callable[..., LocalProtocol]) -> LocalProtocol:
    """The standard deployment with prices, as fresh for each test."""
    return new_protocol(prices=True)


@pytest.fixture
def new_guarded(new_protocol: Callable[..., LocalProtocol]) -> Callable[[], LocalProtocol]:
    """Makes standard deployments with prices and a risk policy that asks for nothing yet; WETH has no fee, so
    its rate stays one ray and every limit can be met to the wei.
    """

    def make() -> LocalProtocol:
        made = deploy_with_prices(new_protocol, with_guards())
        made.do("VaultEngine.set_stability_fee", 0, 0, sender="admin")
        return made

    return make


@pytest.fixture
def guarded(new_guarded: Callable[[], LocalProtocol]) -> LocalProtocol:
    """Such a deployment, fresh for each test."""
    return new_guarded()
