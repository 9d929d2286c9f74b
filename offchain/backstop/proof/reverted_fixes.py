"""Rules that were wrong, kept as patches: on the old rule an attack succeeds, on the present one it fails.

A mended hole leaves a test that passes. Whether it could ever fail is only seen where the rule that it was
written against is put back, in a copy of the checkout, into contracts and model alike.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backstop.errors import BackstopError, describe_choices
from backstop.files.installation import ROOT
from backstop.proof.mutation.correlated_mutants import CorrelatedMutant, TextChange

ATTACKS = ROOT / "tests" / "exploits"
PATCHES = ATTACKS / "reverted_fixes"

# What a test of the copy reads; compiled contracts spare most of the compiling.
COPIED = ("contracts", "offchain", "tests", "pyproject.toml", ".build/artifacts")
OPTIONS = ("-q", "-rfE", "--tb=no", "--durations=0", "-p", "no:ape_test", "-p", "no:cacheprovider")
# On the old rule the attack is played to its end, though a property may notice on the way.
TO_THE_END = "--without-properties"
# pytest cuts a failure to the width of the screen.
ENVIRONMENT = {"COLUMNS": "1000", "PYTHONDONTWRITEBYTECODE": "1"}
_FILE = re.compile(r"^\+\+\+ b/(.+)$", re.MULTILINE)
_HUNK = re.compile(r"^@@ .*\n", re.MULTILINE)
_FAILED = re.compile(r"^FAILED \S+?::(.+?) - (.*)$", re.MULTILINE)
PASSED, TESTS_FAILED = 0, 1
# A failure that shows no attack: the patch puts the rule back on one side only.
ONE_SIDED = "Divergence"
# Failures of a patch of older names, which plays no attack.
_STALE = re.compile(r"does not compile|\b(?:NameError|AttributeError|ImportError|TypeError): ")


@dataclass(frozen=True)
class AttackResult:
    """Result of an attack on the present rule and on the old rule that a patch restores."""

    name: str
    fails_today: bool
    figures: tuple[str, ...]  # of the tests that fail on the old rule
    trouble: str = ""  # why it says nothing

    @property
    def is_possible_only_before_fix(self) -> bool:
        """Whether the attack succeeds on the old rule and fails on the present one."""
        return self.fails_today and bool(self.figures) and not self.trouble


def list_reverted_fixes(names: Iterable[str] = ()) -> list[str]:
    """Return the names of the stored fixes that can be reverted, all or the given ones, sorted.

    Raises BackstopError for an unknown name.
    """
    found = sorted(path.stem for path in PATCHES.glob("*.patch"))
    if unknown := sorted(set(names) - set(found)):
        known = describe_choices(unknown[0], found, "docs/explanation/reverted-fixes.md")
        raise BackstopError(f"reverted fix {unknown[0]} is unknown; {known}")
    return sorted(set(names)) or found


def replay_attacks_on_both_rules(
    names: Iterable[str], show: Callable[[AttackResult], None] = lambda played: None, host: str = "revm"
) -> list[AttackResult]:
    """Run each attack's test on the present rule and with its fix reverted, and return the results.

    The tests run in a temporary copy of the checkout. `show` is called with each result.
    """
    results = []
    with tempfile.TemporaryDirectory(prefix="backstop-reverted-fixes-") as folder:
        copy = Path(folder)
        _copy_checkout(copy)
        for name in names:
            results.append(_replay_attack_on_both_rules(copy, name, host))
            show(results[-1])
    return results


def build_mutant_pair_from_patch(patch_name: str) -> CorrelatedMutant:
    """Return a reverted fix as a mutant pair: each hunk of its patch becomes one text change."""
    changes = []
    for part in (PATCHES / f"{patch_name}.patch").read_text().split("diff --git ")[1:]:
        head, *hunks = _HUNK.split(part)
        (file,) = _FILE.findall(head)
        for lines in (hunk.splitlines(keepends=True) for hunk in hunks):
            before, after = ("".join(line[1:] for line in lines if line[0] in f" {sign}") for sign in "-+")
            changes.append(TextChange(file, before, after))
    return CorrelatedMutant(patch_name, "", "", "old rule", patch_name, tuple(changes))


def explain_patch_failure(name: str, root: Path = ROOT) -> str:
    """Return git's reason why a patch does not apply, or an empty string if it does."""
    return _get_git_error(root, "apply", "--check", str(PATCHES / f"{name}.patch"))


def _replay_attack_on_both_rules(checkout_copy: Path, attack_name: str, host: str) -> AttackResult:
    test = f"tests/exploits/{attack_name}.py"
    if not (checkout_copy / test).is_file():
        return AttackResult(attack_name, False, (), f"there is no {test}")
    code, told = _get_pytest_code_and_output(checkout_copy, test, host)
    if code not in (PASSED, TESTS_FAILED):
        return AttackResult(attack_name, False, (), _get_last_line(told))
    try:
        with _revert_fix_temporarily(checkout_copy, attack_name):
            old_code, old_told = _get_pytest_code_and_output(checkout_copy, test, host, TO_THE_END)
    except BackstopError as error:
        return AttackResult(attack_name, code == PASSED, (), str(error))
    figures = tuple(f"{test}: {figure}" for test, figure in _FAILED.findall(old_told))
    trouble = ""
    if old_code not in (PASSED, TESTS_FAILED) or "\nERROR " in old_told:
        trouble = _get_last_line(old_told)
    elif any(ONE_SIDED in figure for figure in figures):
        trouble = "the old rule is put back on one side only: model and contract differ"
    elif stale := [figure for figure in figures if _STALE.search(figure)]:
        trouble = f"the patch does not fit today's code: {stale[0]}"
    return AttackResult(attack_name, code == PASSED, figures, trouble)


@contextmanager
def _revert_fix_temporarily(checkout_copy: Path, fix_name: str) -> Iterator[None]:
    """Return a context manager that applies a patch to the copied checkout and reverts it on exit.

    Raises BackstopError if the patch does not apply.
    """
    patch = str(PATCHES / f"{fix_name}.patch")
    if why := _get_git_error(checkout_copy, "apply", patch):
        raise BackstopError(f"the patch does not apply: {why}")
    try:
        yield
    finally:
        _get_git_error(checkout_copy, "apply", "-R", patch)


def _copy_checkout(copy: Path) -> None:
    for name in COPIED:
        source, target = ROOT / name, copy / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.is_file():
            shutil.copy(source, target)


def _get_pytest_code_and_output(
    checkout_copy: Path, test: str, host: str, *arguments: str
) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS, test, "--host", host, *arguments],
        cwd=checkout_copy,
        env=os.environ
        | ENVIRONMENT
        | {"PYTHONPATH": f"{checkout_copy / 'offchain'}{os.pathsep}{checkout_copy}"},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def _get_git_error(folder: Path, *arguments: str) -> str:
    """Run a git command in a folder, and return its last error line, or an empty string on success.

    Raises BackstopError if git is not installed.
    """
    if shutil.which("git") is None:
        raise BackstopError("old rules are put back with git, which is not installed")
    # A copy is in no repository, whatever lies above it.
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(folder.parent)}
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    return _get_last_line(done.stderr) or "git failed" if done.returncode else ""


def _get_last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
