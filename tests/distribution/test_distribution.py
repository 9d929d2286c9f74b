"""The wheel works as a checkout does, in an empty folder, with its core alone where that is enough."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from backstop.files.installation import EXTRAS, SAMPLES, TOOLS
from backstop.hosts.artifacts import Artifacts
from tests.distribution.conftest import ROOT, Built, Installed

RUN = ROOT / "tests" / "data" / "runs" / "small.yaml"
STUDY = ROOT / "tests" / "data" / "stress" / "small.yaml"

SCRIPT = """
from pathlib import Path

import backstop

scenario = backstop.load_scenario("black-thursday")
found = backstop.study("stress-day", paths=10, seed=1, engine="fast")
print(found.summary["scenario"], found.paths["bad_debt"].max())
made = backstop.simulate(scenario, "revm", 1, Path("run"))
print(made.summary["differences"], backstop.load_run("run").summary["title"])
presets = backstop.load_presets("maker,backstop")
print(backstop.compare("black-thursday", presets, "model", 1, Path("compared"))["title"])
"""


def files(package: Path) -> set[Path]:
    return {path for path in package.rglob("*") if path.is_file()}


@pytest.mark.deep(brief="tests/distribution/test_declared.py::test_every_import_is_declared")
def test_a_wheel_carries_all_and_needs_no_compiler(built: Built) -> None:
    """The sdist's equals the checkout's, though neither compiler cache nor npm's folder is beside it."""
    with zipfile.ZipFile(built.of_checkout) as one, zipfile.ZipFile(built.of_sdist) as other:
        contents = [{name: each.read(name) for name in each.namelist()} for each in (one, other)]
    assert contents[0] == contents[1]
    assert not (built.sources / ".build").exists()
    assert "backstop/report/plotly-cartesian.min.js" in contents[0] and "backstop/py.typed" in contents[0]
    artifacts = Artifacts()
    for kind, path in artifacts.paths.items():
        shipped = json.loads(contents[0][f"backstop/artifacts/{kind}.json"])
        assert shipped["bytecode_hex"] == artifacts[kind].bytecode_hex
        source = path.relative_to(ROOT).as_posix()
        assert contents[0][f"backstop/{source}"] == path.read_bytes()
    samples = {
        f"backstop/samples/{path.relative_to(SAMPLES).as_posix()}": path.read_bytes()
        for folder in filter(Path.is_dir, SAMPLES.iterdir())
        for path in folder.iterdir()
    }
    assert samples.items() <= contents[0].items() and "backstop/samples/june-2022/prices.csv" in samples
    assert not [name for name in contents[0] if name.startswith(("benchmarks", "tests", "scripts"))]


def test_a_study_and_its_page_import_nothing_of_an_extra(tmp_path: Path) -> None:
    """As in the next test, where the extras are not installed at all."""
    absent = sorted({module for modules in EXTRAS.values() for module in modules} | set(TOOLS))
    args = [str(STUDY), "--paths", "2", "--out", str(tmp_path / "a")]
    code = f"""
import sys
sys.modules.update(dict.fromkeys({absent}))
from backstop.cli.stress import cli
cli({args})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "needs pip install 'backstop[chain]'" in done.stderr
    assert (tmp_path / "a" / "report.html").is_file()


@pytest.mark.deep(
    brief="tests/distribution/test_distribution.py::test_a_study_and_its_page_import_nothing_of_an_extra"
)
def test_core_alone_makes_a_study_and_its_page(installed: Installed) -> None:
    before = files(installed.package)
    done = installed.run("backstop", "stress", STUDY, "--paths", "10", "--out", "fast", core=True)
    assert done.returncode == 0, done.stderr
    assert "needs pip install 'backstop[chain]'" in done.stderr
    again = installed.run("backstop", "report", "fast", core=True)
    assert again.returncode == 0, again.stderr
    assert "plotly.js (cartesian" in (installed.work / "fast" / "report.html").read_text()
    assert files(installed.package) == before and (installed.cache / "backstop" / "numba").is_dir()


@pytest.mark.deep(brief="tests/backstop/test_memo.py::test_samples_are_copied_and_shown_again")
def test_a_wheel_has_the_files_of_the_memo(installed: Installed) -> None:
    copied = installed.run("backstop", "samples", "june-2022", core=True)
    assert copied.returncode == 0, copied.stderr
    folder = installed.work / "runs" / "june-2022"
    given = ("--book", folder / "positions.csv", "--prices", folder / "prices.csv", "--asset", "ETH-B=ETH")
    terms = ("--ratio", "ETH-B=130%", "--floor", "40000")
    more = (*terms, "--use", "replay", "--prints", "drop", "--out", folder / "imported")
    read = installed.run("backstop", "import", *given, *more, core=True)
    assert read.returncode == 0, read.stderr
    asked = installed.run("backstop", "ask", "falls", folder / "study.yaml", "--fall", "42", core=True)
    assert "56,083,862" in asked.stdout, asked.stderr


@pytest.mark.deep(brief="tests/distribution/test_declared.py::test_every_import_is_declared")
def test_what_is_not_installed_is_one_line(installed: Installed) -> None:
    for command, told in (
        (("simulate", "--host", "revm", "--out", "no"), "pip install 'backstop[chain]'"),
        (("keeper", "--network", "http://127.0.0.1:1"), "pip install 'backstop[chain]'"),
        (("exploits",), "backstop exploits needs a checkout: "),
        (("mutants",), "backstop mutants needs a checkout: "),
        (("gas",), "backstop gas needs a checkout: "),
    ):
        done = installed.run("backstop", *command, core=True)
        assert done.returncode == 1 and done.stderr.splitlines()[-1].startswith("Error: "), done.stderr
        assert told in done.stderr and "Traceback" not in done.stderr


@pytest.mark.deep(brief="tests/distribution/test_declared.py::test_every_import_is_declared")
def test_the_contracts_run_as_shipped(installed: Installed) -> None:
    exact = installed.run("backstop", "stress", STUDY, "--paths", "2", "--engine", "exact", "--out", "exact")
    assert exact.returncode == 0, exact.stderr
    run = installed.run(
        "python", "-m", "backstop.cli", "simulate", "--scenario", RUN, "--host", "revm", "--out", "run"
    )
    assert run.returncode == 0, run.stderr
    assert "0 differences" in run.stdout and (installed.work / "run" / "report.html").is_file()
    meta = json.loads((installed.work / "run" / "meta.json").read_text())
    assert meta["command"].startswith("python -m backstop.cli simulate --scenario ")
    assert meta["versions"]["vyper"] == metadata.version("vyper") and "commit" not in meta["versions"]
    assert not (installed.cache / "backstop" / "artifacts").exists()


@pytest.mark.deep(brief="tests/distribution/test_declared.py::test_every_import_is_declared")
def test_a_users_script_is_checked_strictly(installed: Installed, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    mypy = [sys.executable, "-m", "mypy", "--strict", "--python-executable", installed.python]
    mypy += ["--cache-dir", ROOT / ".mypy_cache" / "distribution", "--config-file", "", script]
    done = subprocess.run(list(map(str, mypy)), cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    script.write_text(SCRIPT.replace('"fast")', '"fast").upper()'))
    assert (
        '"StressStudy" has no attribute "upper"'
        in subprocess.run(list(map(str, mypy)), cwd=tmp_path, capture_output=True, text=True).stdout
    )
