"""The site of the documentation has every page, and refuses a broken link."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.checkout_paths import ROOT

sys.path.insert(0, str(ROOT / "tools" / "site"))
from site_sources import SiteSources, place_file, write_site_sources


@pytest.fixture(scope="module")
def site_sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "sources"
    write_site_sources(folder)
    return folder


def test_every_page_is_in_the_site(site_sources):
    pages = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")]
    assert len(pages) > 100
    for path in pages:
        assert (site_sources / place_file(path)).is_file(), path


def test_a_source_that_a_page_links_to_has_a_page(site_sources):
    source = (site_sources / "source/offchain/backstop/model/pool.py.md").read_text()
    assert (ROOT / "offchain/backstop/model/pool.py").read_text().rstrip() in source


def test_a_link_into_an_empty_place_is_refused(tmp_path):
    sources = SiteSources(tmp_path)
    sources.added["docs/README.md"] = "pages.md"
    with pytest.raises(SystemExit, match=r"contracts/Nothing\.vy: no file under version control"):
        sources.rewrite_links("[a contract](../contracts/Nothing.vy)", "docs/README.md")


def test_code_is_not_rewritten(tmp_path):
    sources = SiteSources(tmp_path)
    sources.added["docs/README.md"] = "pages.md"
    text = "`[a](b.md)` and\n\n```text\n[c](d.md)\n```\n"
    assert sources.rewrite_links(text, "docs/README.md") == text


def build_site(sources, target):
    """Run Sphinx as `make docs` does, and return its result."""
    python = ROOT / "tools/site/.venv/bin/python"
    assert python.exists(), "make docs installs Sphinx"
    command = f"{python} -m sphinx -b html --fail-on-warning --quiet -c {ROOT}/tools/site {sources} {target}"
    return subprocess.run(command.split(), capture_output=True, text=True, check=False)


@pytest.mark.deep(brief="tests/docs/test_site.py::test_every_page_is_in_the_site")
def test_the_site_is_built_and_a_missing_anchor_is_an_error(site_sources, tmp_path):
    built = build_site(site_sources, tmp_path / "site")
    assert built.returncode == 0, built.stderr
    assert "settlement" in (tmp_path / "site/searchindex.js").read_text()
    with (site_sources / "index.md").open("a") as page:
        page.write("\n[broken](reference/glossary.md#no-such-heading)\n")
    broken = build_site(site_sources, tmp_path / "broken")
    assert broken.returncode != 0 and "no-such-heading" in broken.stderr
