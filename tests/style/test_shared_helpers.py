"""Code that several tests need is a helper's: no test imports another."""

import re

from tests.support.checkout_paths import ROOT

_FROM_A_TEST = re.compile(r"^\s*(?:from|import) tests\.[\w.]*\btest_\w+", re.MULTILINE)


def test_no_test_imports_a_test():
    assert not [str(path) for path in (ROOT / "tests").rglob("*.py") if _FROM_A_TEST.search(path.read_text())]
