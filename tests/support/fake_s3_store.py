"""A store of objects that speaks S3, on a port of this machine."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from moto import backends
from moto.server import ThreadedMotoServer
from pyarrow.fs import FileSelector, FileType, S3FileSystem

BUCKET = "results"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "somebody",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Objects:
    """The objects of a bucket."""

    def __init__(self, where: str) -> None:
        self._fs = S3FileSystem(
            **{"access_key": "somebody", "secret_key": "secret", "region": "us-east-1"},
            **{"endpoint_override": where, "scheme": "http", "allow_bucket_creation": True},
        )
        self._fs.create_dir(BUCKET)

    def read_objects_under_prefix(self, prefix: str) -> dict[str, bytes]:
        """The objects under a prefix, by the rest of their names."""
        base = f"{BUCKET}/{prefix}"
        found = self._fs.get_file_info(FileSelector(base, recursive=True, allow_not_found=True))
        names = [each.path for each in found if each.type == FileType.File]
        return {name.removeprefix(f"{base}/"): self.read(name) for name in sorted(names)}

    def read(self, name: str) -> bytes:
        with self._fs.open_input_stream(name) as stream:
            return bytes(stream.read())

    def put(self, name: str, content: bytes) -> None:
        with self._fs.open_output_stream(f"{BUCKET}/{name}") as stream:
            stream.write(content)


@contextmanager
def run_fake_s3_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Objects, ThreadedMotoServer]]:
    """A store with one bucket, which the environment names until the end."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    try:
        yield Objects(f"{host}:{port}"), server
    finally:
        server.stop()
        backends.get_backend("s3").reset()  # what one has, all of this process have
