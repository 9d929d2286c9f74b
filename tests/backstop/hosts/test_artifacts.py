"""Compiling: never stale, never another folder's sources, one clear error."""

import json
from concurrent.futures import ProcessPoolExecutor
from threading import Thread

import pytest

from backstop.errors import BackstopError
from backstop.hosts import artifacts
from backstop.hosts.artifacts import Artifacts


@pytest.fixture
def root(tmp_path, shelf_root):
    """A copy of the contracts that may be edited."""
    copy = tmp_path / "contracts"
    for path in shelf_root.rglob("*.vy"):
        target = copy / path.relative_to(shelf_root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return copy


def compiled(root):
    return Artifacts(root, root.parent / "cache")["Shelf"]


def test_what_a_contract_is_made_of(root):
    shelf = compiled(root)
    assert (
        shelf.method_ids["fail(uint256)"] == "0x" + shelf.contract_abi.get_function("fail", 1).selector.hex()
    )
    assert shelf.storage["count"] == (1, "uint256")
    assert shelf.storage["labels.marked"][1] == "HashMap[uint256, bool]"
    assert 0 < shelf.deployed_size < len(shelf.bytecode)


def test_an_unchanged_contract_is_not_compiled_again(root, monkeypatch):
    first = compiled(root)
    monkeypatch.setattr("backstop.hosts.artifacts._compile_contract", None)
    assert compiled(root) == first


@pytest.mark.parametrize("edited", ["Shelf.vy", "modules/labels.vy"])
def test_an_edited_source_is_compiled_again(root, edited):
    first = compiled(root)
    path = root / edited
    changed = path.read_text().replace("= True", "= False").replace("= 99", "= 98")
    path.write_text(changed)
    assert compiled(root).bytecode != first.bytecode


def test_what_is_edited_between_two_contracts_is_kept_as_what_it_is(root):
    (root / "Copy.vy").write_bytes((root / "Shelf.vy").read_bytes())
    both = Artifacts(root, root.parent / "cache")
    before = both["Shelf"].bytecode
    text = (root / "Copy.vy").read_text()
    (root / "Copy.vy").write_text(text.replace("= 99", "= 98"))
    edited = both["Copy"].bytecode
    assert edited != before
    assert Artifacts(root, root.parent / "cache")["Copy"].bytecode == edited
    (root / "Copy.vy").write_text(text)
    assert Artifacts(root, root.parent / "cache")["Copy"].bytecode == before


def test_a_contract_that_cannot_be_reached_does_not_matter(root, monkeypatch):
    first = compiled(root)
    (root / "Other.vy").write_text("# pragma version 0.4.3\n")
    monkeypatch.setattr("backstop.hosts.artifacts._compile_contract", None)
    assert compiled(root) == first


def test_half_a_cache_file_is_compiled_again(root):
    first = compiled(root)
    for file in (root.parent / "cache").glob("*.json"):
        file.write_text(file.read_text()[:100])
    assert compiled(root) == first
    for file in (root.parent / "cache").glob("*.json"):
        file.write_text(json.dumps({"kind": "Shelf"}))
    assert compiled(root) == first


def test_a_cache_that_cannot_be_written_is_done_without(root):
    """As in a sandbox in which the program's own folder is read-only."""
    (root / "Other.vy").write_text((root / "Shelf.vy").read_text())
    file = root.parent / "file"
    file.write_text("no folder")
    made = Artifacts(root, file / "cache")
    made.load()
    assert made["Shelf"] == compiled(root) and made["Other"].bytecode == made["Shelf"].bytecode


def test_a_source_that_does_not_compile_is_one_clear_error(root):
    (root / "Shelf.vy").write_text("x: uint256 = \n")
    (root / "Other.vy").write_text("# pragma version 0.4.3\n")
    both = Artifacts(root, root.parent / "cache")
    with pytest.raises(BackstopError, match=r"Shelf.vy does not compile"):
        both.load()
    assert both["Other"].deployed_size > 0


def test_an_unknown_contract_is_named(root):
    with pytest.raises(BackstopError, match=r"no contract Shop\.vy"):
        Artifacts(root)["Shop"]


def test_a_folder_without_contracts_is_named(tmp_path):
    with pytest.raises(BackstopError, match="no contracts at"):
        Artifacts(tmp_path / "contracts")


def test_every_contract_fits_on_a_chain(artifacts):
    artifacts.load()
    sizes = {kind: artifacts[kind].deployed_size for kind in artifacts.paths}
    assert {kind: size for kind, size in sizes.items() if size > 24_576} == {}


def test_what_two_want_is_compiled_once(tmp_path, monkeypatch) -> None:
    """Two commands that start on a fresh checkout: one compiles, the other waits for it."""
    pools = []

    def counted(*args, **options) -> ProcessPoolExecutor:
        pools.append(args)
        return ProcessPoolExecutor(*args, **options)

    monkeypatch.setattr(artifacts, "ProcessPoolExecutor", counted)
    both = [Artifacts(cache=tmp_path), Artifacts(cache=tmp_path)]
    threads = [Thread(target=each.load, args=(["Token", "Equity"],)) for each in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pools) == 1 and both[0]["Equity"] == both[1]["Equity"]
