"""The containers of docs/how-to/containers: their commands exist, and start in that order without Docker."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml

from backstop.cli.main import get_module_name
from backstop.hosts.free_ports import find_free_non_ephemeral_port
from tests.support.checkout_paths import ROOT
from tests.support.condition_wait import wait_until_true
from tests.support.devnet_process import SMALL

FOLDER = ROOT / "docs/how-to/containers"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "command" in service}
PORTS = ("8545", "8080", "9464", "9465")


def test_commands_and_their_options_exist() -> None:
    for service in OURS.values():
        name, *words = service["command"]
        command = import_module(get_module_name(name)).cli
        known = {option for each in command.params for option in each.opts}
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known


def test_what_is_mounted_waited_for_and_asked_is_there() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert (FOLDER / source).is_file() if source.startswith(".") else source in COMPOSE["volumes"]
        for other, wait in service.get("depends_on", {}).items():
            assert wait["condition"] != "service_healthy" or "healthcheck" in SERVICES[other]
        # Published to this machine alone.
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    build = OURS["chain"]["build"]
    assert (FOLDER / build["context"]).resolve() == ROOT and (ROOT / build["dockerfile"]).is_file()
    (job,) = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    served = re.findall(r"--metrics=0\.0\.0\.0:(\d+)", (FOLDER / "compose.yaml").read_text())
    # The rules ask for the job by this name.
    assert job["job_name"] == "backstop"
    assert job["static_configs"][0]["targets"] == [f"chain:{port}" for port in served]


def test_the_image_is_made_by_what_a_checkout_has() -> None:
    steps = (FOLDER / "Dockerfile").read_text()
    assert re.findall(r"^RUN make (\w+)$", steps, re.MULTILINE) == ["setup"]
    assert re.search(r"^setup:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    # What a checkout may hold of its own stays out: runs, keys of a deployment, another machine's packages.
    left_out = (FOLDER / "Dockerfile.dockerignore").read_text().split()
    assert {".git", ".venv", "deployment.json*", "node_modules", "runs"} <= set(left_out)


class Machine:
    """Start the services of the file as processes, with ports and a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {port: str(find_free_non_ephemeral_port()) for port in PORTS}
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def here(self, word: str) -> str:
        """Put this machine's ports, and a small scenario, in the place of the file's."""
        for port, other in self.ports.items():
            word = word.replace(f":{port}", f":{other}").replace(f", {port})", f", {other})")
        return word.replace("black-thursday", str(SMALL))

    def start(self, name: str) -> None:
        """Start a service once its dependencies are ready."""
        for other, wait in OURS[name].get("depends_on", {}).items():
            if other not in self.running:
                self.start(other)
            if wait["condition"] == "service_completed_successfully":
                assert self.running[other].wait(120) == 0, self.said(other)
            else:
                wait_until_true(partial(self.healthy, other))
        words = [self.here(word) for word in OURS[name]["command"]]
        if name == "chain":
            words += ["--port", self.ports["8545"]]
        program = Path(sys.executable).parent / "backstop"
        log = (self.folder / f"{name}.log").open("wb")
        self.running[name] = subprocess.Popen(
            [sys.executable, str(program), *words], cwd=self.folder, stdout=log, stderr=log
        )

    def healthy(self, name: str) -> bool:
        """Run the service's own check."""
        _, _, option, code = OURS[name]["healthcheck"]["test"]
        assert self.running[name].poll() is None, self.said(name)
        check = [sys.executable, option, self.here(code)]
        return subprocess.run(check, capture_output=True, check=False).returncode == 0

    def said(self, name: str) -> str:
        """Return the output of a service."""
        return (self.folder / f"{name}.log").read_text()

    def close(self) -> None:
        """End all, the chain last."""
        for process in reversed(self.running.values()):
            if process.poll() is None:
                process.terminate()
                process.wait(60)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    made.close()


@pytest.mark.anvil
@pytest.mark.deep(brief=f"{Path(__file__).relative_to(ROOT)}::test_commands_and_their_options_exist")
def test_all_of_it_starts_and_starts_again(machine: Machine) -> None:
    for _ in range(2):
        for name in OURS:
            if name not in machine.running:
                machine.start(name)
        for name in ("keepers", "mirror"):
            wait_until_true(partial(machine.healthy, name))
        mirror = f"http://127.0.0.1:{machine.ports['9465']}/health"
        health = json.load(urlopen(mirror, timeout=5))
        assert health["reasons"] == []
        assert health["ok"] and health["differences"] == 0 and health["block"] > 0
        assert b"<title>" in urlopen(f"http://127.0.0.1:{machine.ports['8080']}/", timeout=5).read()
        machine.close()
        assert machine.running["chain"].returncode == 0, machine.said("chain")
        machine.running.clear()
