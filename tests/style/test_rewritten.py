"""Results that workers reuse equal the results that they would compute."""

import sys

from _pytest.assertion import rewrite

from tests.support.pytest_rewrite_cache import cache_pytest_rewritten_files


def test_pytest_finds_what_was_rewritten(tmp_path, monkeypatch, request):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    file = tmp_path / "test_one.py"
    file.write_text("def test_one():\n    assert 1 == 1\n")
    cache_pytest_rewritten_files([file], request.config)
    (written,) = rewrite.get_cache_dir(file).iterdir()
    assert written.name == file.stem + rewrite.PYC_TAIL
    found = rewrite._read_pyc(file, written)
    assert found is not None and "@pytest_ar" in found.co_names
