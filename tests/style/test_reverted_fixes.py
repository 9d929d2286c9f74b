"""Each old rule that is kept can still be put back, and belongs to an attack; `exploits` plays them."""

import re
from pathlib import Path

import pytest

from backstop.proof.reverted_fixes import ATTACKS, PATCHES, explain_patch_failure
from tests.support.checkout_paths import ROOT

KEPT = sorted(PATCHES.glob("*.patch"))
# What an old rule may change: the rules, nothing that looks at them.
RULES = ("contracts/", "offchain/backstop/model/")


def test_there_are_some() -> None:
    assert KEPT


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_it_applies_to_the_rules_alone_and_belongs_to_an_attack(path: Path) -> None:
    assert (ATTACKS / f"{path.stem}.py").is_file()
    assert explain_patch_failure(path.stem, ROOT) == ""
    files = re.findall(r"^\+\+\+ b/(\S+)", path.read_text(), re.MULTILINE)
    assert files and all(file.startswith(RULES) for file in files)
