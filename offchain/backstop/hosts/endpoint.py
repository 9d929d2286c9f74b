"""Addresses of nodes: a path of a socket, or http(s)://.

Parts of an address that may be secret are never printed.
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from backstop.errors import BackstopError

_EXAMPLE = "http://127.0.0.1:8545"


class Endpoint(NamedTuple):
    """Parts of an http(s):// address of a node."""

    secure: bool
    host: str
    port: int | None
    path: str
    authorization: str
    """Of its user and password, "" without."""


def mask_url(url: str) -> str:
    """Return the scheme, host and port of an address, without parts that may contain secrets.

    Users, passwords, paths and queries may contain keys. The path of a socket is returned unchanged.
    """
    if is_path(url):
        return url
    scheme, mark, rest = url.partition("://")
    if not mark:
        scheme, rest = "", url
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    if "@" in rest[len(authority) :]:  # a password may hold a slash: then the host begins nobody knows where
        return f"{scheme}{mark}..."
    return scheme + mark + authority.rpartition("@")[2]


def is_path(url: str) -> bool:
    """Return True if the address is the file path of a Unix socket."""
    return "://" not in url and (url.startswith(("/", "./", "../", "~/")) or url.endswith(".ipc"))


def is_http(url: str) -> bool:
    """Return True if the address begins with http:// or https://."""
    return url.lower().startswith(("http://", "https://"))


def require_http_or_socket_path(url: str) -> None:
    """Raise BackstopError for an address that is neither HTTP nor a socket path, such as ws://."""
    scheme, mark, _ = url.partition("://")
    if mark and not is_http(url):
        raise BackstopError(
            f"{mask_url(url)}: {scheme}:// is not supported: use the node's http:// or https:// address, or "
            "the path of its IPC socket"
        )


def parse_endpoint(url: str) -> Endpoint:
    """Return the parts of an http(s):// address; user and password become basic authentication.

    Raises BackstopError for an invalid address.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    # A path with a space would end the request's first line.
    if not host or port == 0 or not re.fullmatch(r"[!-~]+", url):
        raise BackstopError(f"{mask_url(url)!r} is not an address of a node: try {_EXAMPLE}")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    authorization = ""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + b64encode(pair.encode()).decode()
    return Endpoint(parts.scheme == "https", host, port, path, authorization)
