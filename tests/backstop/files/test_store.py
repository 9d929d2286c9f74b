"""A folder and its copy in an object store: the same command resumes from either."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backstop.errors import BackstopError
from backstop.files import object_store_mirror as module
from backstop.files.object_store_mirror import StoreAddress
from tests.support.condition_wait import wait_until_true
from tests.support.fake_s3_store import BUCKET, Objects, run_fake_s3_store

HERE = StoreAddress(BUCKET, "study/one")


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Objects, Any]]:
    with run_fake_s3_store(monkeypatch) as there:
        yield there


@pytest.fixture
def objects(shelf: tuple[Objects, Any]) -> Objects:
    return shelf[0]


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_json", ".json")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of objects that are sent from now on."""
    names: list[str] = []
    put = module._FolderMirror._put_object

    def noting(self: Any, name: str, content: bytes) -> None:
        names.append(name)
        put(self, name, content)

    monkeypatch.setattr(module._FolderMirror, "_put_object", noting)
    return names


def test_what_is_in_the_folder_is_in_the_store_and_back_on_another_machine(objects, tmp_path):
    with HERE.mirror_folder(tmp_path / "one") as folder:
        write(folder, made_json="1", chunks__a="x", chunks__b="y")
    assert objects.read_objects_under_prefix("study/one") == {
        "made.json": b"1",
        "chunks/a": b"x",
        "chunks/b": b"y",
    }
    with HERE.mirror_folder(tmp_path / "other") as folder:
        assert (folder / "chunks/b").read_text() == "y"
        write(folder, chunks__b="new", chunks__c="z")
        (folder / "chunks/a").unlink()
    found = {"made.json": b"1", "chunks/b": b"new", "chunks/c": b"z"}
    assert objects.read_objects_under_prefix("study/one") == found
    # The first machine has an older copy, which is replaced.
    with HERE.mirror_folder(tmp_path / "one") as folder:
        assert sorted(each.name for each in (folder / "chunks").iterdir()) == ["b", "c"]
    assert objects.read_objects_under_prefix("study/one") == found


def test_what_a_killed_command_had_is_sent_by_the_next(objects, tmp_path):
    with HERE.mirror_folder(tmp_path) as folder:
        write(folder, made_json="1", chunks__a="x", chunks__b="y")
    write(folder, chunks__c="more")  # as if it had been killed before it was sent
    (folder / "chunks/b").unlink()
    with HERE.mirror_folder(tmp_path) as folder:
        assert (folder / "chunks/c").read_text() == "more"
    assert objects.read_objects_under_prefix("study/one") == {
        "made.json": b"1",
        "chunks/a": b"x",
        "chunks/c": b"more",
    }


def test_it_is_copied_while_the_command_works_and_what_names_others_comes_last(
    objects, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "EVERY", 0.05)
    order = sent(monkeypatch)
    with HERE.mirror_folder(tmp_path) as folder:
        (folder / "chunks").mkdir()
        for name in ("made.json", "chunks/a", "chunks/half.part", "tmpabcd1234", "study.json"):
            (folder / name).write_text(name)
        wait_until_true(lambda: "study.json" in objects.read_objects_under_prefix("study/one"))
        assert set(objects.read_objects_under_prefix("study/one")) == {"made.json", "chunks/a", "study.json"}
    assert order.index("chunks/a") < order.index("made.json") < order.index("study.json")
    assert "chunks/half.part" not in order and "tmpabcd1234" not in order


def test_only_what_changed_is_sent(objects, tmp_path, monkeypatch):
    with HERE.mirror_folder(tmp_path) as folder:
        write(folder, made_json="1", chunks__a="x")
    names = sent(monkeypatch)
    with HERE.mirror_folder(tmp_path) as folder:
        write(folder, chunks__b="y")
    assert [each for each in names if each != module._PROBE] == ["chunks/b"]


def refused(store: StoreAddress, runs: Path) -> str:
    with pytest.raises(BackstopError) as caught, store.mirror_folder(runs):
        pytest.fail("it works in a folder that is of no use")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_of_no_use_is_refused_at_once(shelf, tmp_path, monkeypatch):
    objects, _ = shelf
    objects.put("foreign/holiday.jpg", b"sun")
    text = refused(StoreAddress(BUCKET, "foreign"), tmp_path)
    assert "s3://results/foreign is not empty, and nothing that Backstop made" in text
    assert objects.read_objects_under_prefix("foreign") == {"holiday.jpg": b"sun"}
    assert "s3://no-such/x cannot be used: " in refused(StoreAddress("no-such", "x"), tmp_path)
    began = time.monotonic()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert "s3://results/x cannot be used: " in refused(StoreAddress(BUCKET, "x"), tmp_path)
    assert time.monotonic() < began + 15


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("s3://results", "'s3://results' is not s3://BUCKET/PREFIX"),
        ("s3://", "is not s3://BUCKET/PREFIX"),
        ("s3://results/../other", "is not s3://BUCKET/PREFIX"),
        ("s3://key:word@results/x", "keys and endpoint go into the environment"),
        ("s3://results/x?endpoint_override=a", "keys and endpoint go into the environment"),
    ],
)
def test_another_address_is_refused(address, problem):
    with pytest.raises(BackstopError) as caught:
        StoreAddress.parse_address(address)
    assert problem in str(caught.value) and "word" not in str(caught.value).replace("keys", "")


def test_an_address_is_read():
    assert StoreAddress.parse_address("s3://results/a//b/") == StoreAddress("results", "a/b")
    assert str(StoreAddress("results", "a/b")) == "s3://results/a/b"


def test_a_store_that_goes_away_is_one_line_and_nothing_is_lost(shelf, tmp_path):
    _, server = shelf
    with pytest.raises(BackstopError) as caught, HERE.mirror_folder(tmp_path) as folder:
        write(folder, made_json="1")
        server.stop()
    text = str(caught.value)
    assert text.startswith("s3://results/study/one does not have all: ") and "\n" not in text
    assert text.endswith(f"what there is, is in {folder}") and (folder / "made.json").read_text() == "1"


@pytest.mark.parametrize(("code", "raised"), [(0, BackstopError), (None, BackstopError), (3, SystemExit)])
def test_what_is_wrong_with_the_command_goes_first(shelf, tmp_path, capsys, code, raised):
    _, server = shelf
    with pytest.raises(raised), HERE.mirror_folder(tmp_path) as folder:
        write(folder, made_json="1")
        server.stop()
        raise SystemExit(code)
    assert ("does not have all" in capsys.readouterr().err) == (raised is SystemExit)


def test_a_store_that_stays_away_has_the_command_stopped(shelf, tmp_path, monkeypatch, capsys):
    _, server = shelf
    monkeypatch.setattr(module, "EVERY", 0.05)
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    stopped = threading.Event()
    monkeypatch.setattr(module.os, "kill", lambda pid, number: stopped.set())
    with pytest.raises(BackstopError), HERE.mirror_folder(tmp_path) as folder:
        server.stop()
        write(folder, made_json="1")
        assert stopped.wait(60)
    assert capsys.readouterr().err.count("does not take results") == 1


def test_a_folder_that_somebody_deleted_is_fetched(objects, tmp_path):
    with HERE.mirror_folder(tmp_path) as folder:
        write(folder, made_json="1", chunks__a="x")
    shutil.rmtree(folder)
    with HERE.mirror_folder(tmp_path) as folder:
        assert (folder / "chunks/a").read_text() == "x"
    assert set(objects.read_objects_under_prefix("study/one")) == {"made.json", "chunks/a"}
