"""Campaigns as tests: each `Campaign` of a test file is an item, several with other seeds if asked for.

pytest loads this for every project that has Backstop installed, so it imports nothing of weight: the
contracts' compiler, the chain and the rest come when a campaign is run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backstop.files.installation import translate_missing_extra_errors

if TYPE_CHECKING:
    from backstop.lockstep.campaign import Campaign
    from backstop.lockstep.campaign_regression import RegressionRun
    from backstop.lockstep.campaign_result import CampaignFailure

_PROPERTY = "lockstep"
"""Under this name a report carries what its campaign reached, also from another process."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the command line options of lockstep campaigns to pytest."""
    group = parser.getgroup("lockstep", "campaigns of backstop.lockstep: contracts against a Python model")
    group.addoption("--lockstep-steps", type=int, metavar="N", help="calls of each campaign [its own]")
    group.addoption(
        "--lockstep-seconds",
        type=float,
        metavar="S",
        help="time of each campaign, in place of a number of calls",
    )
    group.addoption(
        "--lockstep-seed", type=int, default=1, metavar="N", help="equal seeds play equal calls [1]"
    )
    group.addoption(
        "--lockstep-cases",
        type=int,
        metavar="N",
        help="items of each campaign, each with a seed of its own [1, with xdist one for each worker]",
    )
    group.addoption(
        "--lockstep-out",
        type=Path,
        default=Path(".lockstep"),
        metavar="DIR",
        help="where traces and tests of failures go [.lockstep]",
    )
    group.addoption(
        "--lockstep-shrink-seconds",
        type=float,
        default=30.0,
        metavar="S",
        help="at most, to make a failure small [30]",
    )
    group.addoption(
        "--lockstep-replay", type=Path, metavar="TRACE", help="play this trace again instead of random calls"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Raise UsageError for option values out of range, and register the marker `lockstep`."""
    for name, least in (("steps", 1), ("seconds", 0), ("cases", 1), ("seed", 0), ("shrink_seconds", 0)):
        value = config.getoption(f"lockstep_{name}")
        if value is not None and value < least:
            option = name.replace("_", "-")
            raise pytest.UsageError(f"--lockstep-{option} is {value}: expected {least} or more")
    config.addinivalue_line("markers", "lockstep: a campaign of backstop.lockstep")


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> list[CampaignItem] | None:
    """Return the test items of a campaign, one for each case (seed); None for any other object."""
    declared = sys.modules.get("backstop.lockstep.campaign")
    if declared is None or not isinstance(obj, declared.Campaign):
        return None
    cases = collector.config.getoption("lockstep_cases")
    if collector.config.getoption("lockstep_replay") is not None:
        cases = 1
    elif cases is None:
        workers = getattr(collector.config, "workerinput", {}).get("workercount", 1)
        cases = int(workers)
    names = [name] if cases == 1 else [f"{name}[{case}]" for case in range(cases)]
    return [
        CampaignItem.from_parent(collector, name=each, campaign=obj, campaign_name=name, case=case)
        for case, each in enumerate(names)
    ]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--lockstep-replay`, keep only the campaign that the trace belongs to.

    Raises UsageError if that campaign is not collected.
    """
    trace = config.getoption("lockstep_replay")
    if trace is None:
        return
    from backstop.errors import BackstopError
    from backstop.lockstep.campaign_trace import read_campaign_name

    try:
        wanted = read_campaign_name(trace)
    except BackstopError as error:
        raise pytest.UsageError(str(error)) from None
    kept = [item for item in items if isinstance(item, CampaignItem) and item.full_name == wanted]
    if not kept:
        raise pytest.UsageError(f"{trace} is of {wanted}, which is not collected: name its file")
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


class CampaignFailedError(Exception):
    """Error of a campaign that found a difference or a violated invariant."""

    def __init__(self, failure: CampaignFailure, seed: int, is_replay: bool = False) -> None:
        super().__init__(failure.text)
        self.failure = failure
        self.seed = seed
        self.is_replay = is_replay


class CampaignItem(pytest.Item):
    """Test item of pytest: one campaign with one seed."""

    def __init__(self, *, campaign: Campaign, campaign_name: str, case: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.campaign = campaign
        self.case = case
        # Ape gives an item fixtures that take its chain back, unless it has them; a campaign needs none.
        self.fixturenames = ["_function_isolation"]
        self.full_name = f"{self.parent.nodeid if self.parent else ''}::{campaign_name}"
        self.add_marker("lockstep")

    def runtest(self) -> None:
        """Play the campaign, or replay the trace given by `--lockstep-replay`; raise if it fails."""
        option = self.config.getoption
        out = self.config.rootpath / option("lockstep_out")
        compiled = _find_ape_contracts(self.config, self.campaign)
        with translate_missing_extra_errors():
            from backstop.lockstep.campaign_run import replay_campaign_trace, run_campaign
        if (trace := option("lockstep_replay")) is not None:
            failure = replay_campaign_trace(self.campaign, trace, compiled)
            if failure is not None:
                raise CampaignFailedError(failure, option("lockstep_seed"), is_replay=True)
            return
        seed = derive_case_seed(option("lockstep_seed"), self.case)
        result = run_campaign(
            self.campaign,
            seed,
            option("lockstep_steps"),
            option("lockstep_seconds"),
            out,
            option("lockstep_shrink_seconds"),
            compiled,
            self.full_name,
        )
        told = {
            "campaign": self.full_name,
            "steps": result.steps,
            "seconds": result.seconds,
            "coverage": result.coverage.to_json(),
        }
        self.user_properties.append((_PROPERTY, json.dumps(told)))
        if result.failure is not None:
            raise CampaignFailedError(result.failure, seed)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return the report of a failed campaign; for other errors, their text or traceback."""
        from backstop.errors import BackstopError

        error = excinfo.value
        if isinstance(error, CampaignFailedError):
            return "\n".join(_iter_failure_lines(error, self.config.rootpath))
        if isinstance(error, BackstopError):
            return str(error)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return the file, no line, and the name of the item, for pytest's report."""
        return self.path, None, self.name


def derive_case_seed(seed: int, case: int) -> int:
    """Return the seed of a campaign's case: `seed` itself for case 0, another for each other case."""
    return seed if case == 0 else (seed << 32) + case


def _iter_failure_lines(error: CampaignFailedError, root: Path) -> Iterator[str]:
    failure = error.failure
    kind = failure.kind
    article = "an" if kind[0] in "aeiouAEIOU" else "a"
    what = (
        f"a violation of {kind.removeprefix('property ')}"
        if kind.startswith("property ")
        else f"{article} {kind}"
    )
    trace = failure.trace and _shorten_path(failure.trace, root)
    yield f"lockstep found {what} ({f'replay of {trace}' if error.is_replay else f'seed {error.seed}'})"
    count = f"{failure.after} call{'' if failure.after == 1 else 's'}"
    opening = len(failure.calls) - failure.after
    after_setup = f", after {opening} of the setup" if opening else ""
    if failure.note:
        yield failure.note
    is_whole = error.is_replay or failure.note
    yield f"{count}{after_setup}:" if is_whole else f"shrunk from {failure.before} to {count}{after_setup}:"
    calls = failure.calls
    if len(calls) > 30:
        yield f"  ({len(calls) - 30} calls before these)"
    for number, call in list(enumerate(calls, 1))[-30:]:
        yield f"  {number}. {call}{' (setup)' if number <= opening else ''}"
    yield from failure.text.splitlines()
    if trace is not None and not error.is_replay:
        yield f"play it again: pytest --lockstep-replay {trace}"
    if failure.test is not None:
        yield f"as a test:     {_shorten_path(failure.test, root)}"


def _shorten_path(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print each campaign's number of calls, and a table of its functions and revert reasons."""
    told: dict[str, list[dict[str, Any]]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == _PROPERTY and getattr(report, "when", "") == "call":
                    content = json.loads(value)
                    told.setdefault(content["campaign"], []).append(content)
    if not told:
        return
    from backstop.lockstep.campaign_result import CallCoverage

    terminalreporter.section("lockstep")
    for campaign, contents in sorted(told.items()):
        coverage = CallCoverage()
        for content in contents:
            coverage.add_coverage(CallCoverage.from_json(content["coverage"]))
        steps, seconds = (sum(content[key] for content in contents) for key in ("steps", "seconds"))
        rate = f" ({steps / seconds:,.0f} a second)" if seconds else ""
        terminalreporter.write_line(f"{campaign}: {steps:,} calls in {seconds:.1f} s{rate}")
        for line in coverage.format_table():
            terminalreporter.write_line(f"  {line}")


@pytest.fixture
def lockstep_campaign(request: pytest.FixtureRequest) -> Callable[[str], RegressionRun]:
    """Fixture: return a function that freshly deploys a campaign, "tests/test_token.py::campaign"."""
    with translate_missing_extra_errors():
        from backstop.lockstep.campaign_regression import RegressionRun
        from backstop.lockstep.campaign_run import load_campaign_artifacts
        from backstop.lockstep.declaration_loader import load_campaign

    def deploy_named_campaign(name: str) -> RegressionRun:
        from backstop.errors import BackstopError

        try:
            campaign = load_campaign(name, request.config.rootpath)
            compiled = _find_ape_contracts(request.config, campaign)
            return RegressionRun(campaign, load_campaign_artifacts(campaign, compiled))
        except BackstopError as error:
            pytest.fail(str(error), pytrace=False)

    return deploy_named_campaign


def _find_ape_contracts(config: pytest.Config, campaign: Campaign) -> Any:
    """Return the contracts that Ape compiled for the campaign's project; None outside `ape test`."""
    if not config.pluginmanager.hasplugin("ape_test"):
        return None
    from backstop.lockstep.ape_contracts import load_ape_contracts

    return load_ape_contracts(campaign.root)
