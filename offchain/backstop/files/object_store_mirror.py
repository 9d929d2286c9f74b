"""Results in an object store: a folder of this machine, and its copy at an address like s3://bucket/prefix.

The command works in the folder. New files are copied every few seconds and at the end, objects whole, those
that name others after these; so the same command resumes elsewhere from the copy. The store decides: a folder
that differs from its last copy there is replaced.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from backstop.errors import BackstopError
from backstop.files.atomic_files import write_json
from backstop.files.output_directories import MADE

SCHEME = "s3://"
EVERY = 5.0
"""Seconds between two checks for new files."""
PATIENCE = 300.0
"""Seconds for which a store may be away until the command is told to stop."""
AT_ONCE = 16
"""Objects that are sent or fetched at a time."""

_PROBE = ".backstop-may-write"
_TIMEOUTS = {"connect_timeout": 5, "request_timeout": 30}
_ATTEMPTS = 3
_UNDER_WAY = re.compile(r".*\.part|tmp[a-z0-9_]{8}|\..*")
"""Names of files that are being written; the others are whole."""

State = dict[str, tuple[int, int]]
"""Size and time of change, in nanoseconds, by the name below the prefix."""


class StoreAddress(NamedTuple):
    """Bucket and prefix of an address in an object store, such as s3://bucket/prefix."""

    bucket: str
    prefix: str

    @classmethod
    def parse_address(cls, address: str) -> StoreAddress:
        """Return the bucket and prefix of an s3:// address; raise BackstopError for any other form."""
        form = f"{SCHEME}BUCKET/PREFIX"
        parts = urlsplit(address)
        if parts.username or parts.password or parts.query or parts.fragment:
            raise BackstopError(
                f"an address is {form}: keys and endpoint go into the environment, as AWS_..."
            )
        names = [each for each in parts.path.split("/") if each]
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]+", parts.netloc) or not names or ".." in names:
            raise BackstopError(f"{address!r} is not {form}")
        return cls(parts.netloc, "/".join(names))

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}"

    @contextmanager
    def mirror_folder(self, runs: Path) -> Iterator[Path]:
        """Context manager that yields a local copy of the store's folder under `runs`.

        New files in the folder are uploaded while the context is open and at its end.
        """
        copy = _FolderMirror(self, runs / "s3" / self.bucket / self.prefix)
        copy.pull_store_into_folder()
        thread = threading.Thread(target=copy.run_upload_loop, daemon=True)
        thread.start()
        failed = True
        try:
            yield copy.path
            failed = False
        except SystemExit as ended:
            failed = bool(ended.code)
            raise
        finally:
            copy.over.set()
            thread.join()
            copy.finish_copy(failed)


class _FolderMirror:
    """Local folder and its copy in an object store."""

    def __init__(self, store: StoreAddress, path: Path) -> None:
        self.store = store
        self.path = path
        self.over = threading.Event()
        self._base = f"{store.bucket}/{store.prefix}"
        self._record = path.with_name(f"{path.name}.in-store.json")
        self._sent: State = {}
        """Contents of the folder at its last copy."""
        self._fs: Any = None

    # ------------------------------------------------------------------ the store

    def _connect_store(self) -> Any:
        from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem, resolve_s3_region

        given = os.environ
        endpoint = given.get("AWS_ENDPOINT_URL_S3") or given.get("AWS_ENDPOINT_URL")
        region = given.get("AWS_REGION") or given.get("AWS_DEFAULT_REGION")
        options: dict[str, Any] = {"retry_strategy": AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS)}
        if endpoint:
            parts = urlsplit(endpoint)
            options |= {"scheme": parts.scheme, "endpoint_override": parts.netloc}
        elif not region:
            region = resolve_s3_region(self.store.bucket)
        return S3FileSystem(region=region, allow_delayed_open=True, **_TIMEOUTS, **options)

    def _list_store_files(self) -> State:
        """Return size and time of every file under the prefix in the store."""
        from pyarrow.fs import FileSelector, FileType

        found = self._fs.get_file_info(FileSelector(self._base, allow_not_found=True, recursive=True))
        return {
            each.path.removeprefix(f"{self._base}/"): (each.size, each.mtime_ns)
            for each in found
            if each.type == FileType.File and each.base_name != _PROBE
        }

    def _put_object(self, name: str, content: bytes) -> None:
        with self._fs.open_output_stream(f"{self._base}/{name}") as stream:
            stream.write(content)

    def _download_object(self, name: str) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with self._fs.open_input_stream(f"{self._base}/{name}") as stream:
            file.write_bytes(stream.read())

    # ------------------------------------------------------------------ begin and end

    def pull_store_into_folder(self) -> None:
        """Download the store's files into the local folder, unless the folder is already up to date.

        Raises BackstopError if the store cannot be used or holds other files.
        """
        try:
            self._fs = self._connect_store()
            there = self._list_store_files()
            if there and MADE not in there:
                raise BackstopError(
                    f"{self.store} is not empty, and nothing that Backstop made (it has no {MADE}): "
                    "choose another --out"
                )
            self._put_object(_PROBE, b"")
            with suppress(OSError):  # whoever may write need not be one who may delete
                self._fs.delete_file(f"{self._base}/{_PROBE}")
            store, folder = self._read_record()
            if self.path.exists() and store == there:
                self._sent = folder  # this folder is as far or further
            else:
                self._replace_folder_with_store(there)
        except OSError as error:
            raise BackstopError(f"{self.store} cannot be used: {_describe_error(error)}") from None

    def _read_record(self) -> tuple[State | None, State]:
        """Return the store's files and the folder's files as of the last copy between them."""
        try:
            kept = json.loads(self._record.read_text(encoding="utf-8"))
            store, folder = (
                {name: (int(size), int(at)) for name, (size, at) in kept[which].items()}
                for which in ("store", "folder")
            )
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None, {}
        return store, folder

    def _replace_folder_with_store(self, store_files: State) -> None:
        self._record.unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(parents=True)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self._download_object, store_files))
        self._sent = self._list_local_file_states()
        self._write_record(store_files)

    def run_upload_loop(self) -> None:
        """Upload new files periodically until the mirror is closed.

        If the store is unreachable for PATIENCE seconds, interrupt the command.
        """
        well, told = time.monotonic(), False
        pause = EVERY
        while not self.over.wait(pause):
            began = time.monotonic()
            try:
                self._send_changes()
                well, told = time.monotonic(), False
            except OSError as error:
                if not told:
                    print(
                        f"{self.store} does not take results: {_describe_error(error)}",
                        file=sys.stderr,
                        flush=True,
                    )
                    told = True
                if time.monotonic() > well + PATIENCE:
                    os.kill(os.getpid(), signal.SIGINT)  # as Ctrl-C would: what there is so far is kept
                    return
            pause = max(EVERY, 5 * (time.monotonic() - began))

    def finish_copy(self, failed: bool) -> None:
        """Upload the remaining files; raise BackstopError on failure, or print it if `failed` is True."""
        try:
            self._send_changes()
            self._write_record(self._list_store_files())
        except OSError as error:
            text = (
                f"{self.store} does not have all: {_describe_error(error)}; what there is, is in {self.path}"
            )
            if not failed:
                raise BackstopError(text) from None
            print(text, file=sys.stderr, flush=True)

    def _write_record(self, there: State) -> None:
        write_json({"store": there, "folder": self._sent}, self._record)

    # ----------------------------------------------------------------------- copying

    def _list_local_file_states(self) -> State:
        """Return size and time of every complete file in the local folder."""
        found: State = {}
        for top, _, names in os.walk(self.path):
            for name in names:
                if not _UNDER_WAY.fullmatch(name):
                    file = Path(top, name)
                    with suppress(FileNotFoundError):
                        status = file.stat()
                        found[file.relative_to(self.path).as_posix()] = status.st_size, status.st_mtime_ns
        return found

    def _send_changes(self) -> None:
        """Upload changed files and delete removed ones; files that refer to others come last."""
        here = self._list_local_file_states()
        new = [name for name, state in here.items() if self._sent.get(name) != state]
        inner, outer = ([each for each in new if ("/" in each) == inside] for inside in (True, False))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            self._record_sent_files(here, pool.map(self._send_file, inner), inner)
        for name in sorted(outer, key=lambda each: here[each][1]):
            self._record_sent_files(here, [self._send_file(name)], [name])
        for name in self._sent.keys() - here.keys():
            with suppress(FileNotFoundError):
                self._fs.delete_file(f"{self._base}/{name}")
            del self._sent[name]

    def _send_file(self, name: str) -> bool:
        try:
            content = (self.path / name).read_bytes()
        except FileNotFoundError:  # it was replaced by another meanwhile
            return False
        self._put_object(name, content)
        return True

    def _record_sent_files(self, here: State, done: Iterable[bool], names: Iterable[str]) -> None:
        for name, sent in zip(names, done, strict=False):
            if sent:
                self._sent[name] = here[name]


def _describe_error(error: BaseException) -> str:
    """Return the first line of an error's message, without its request id."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return re.sub(r" \(Request ID: [^)]*\)", "", line)
