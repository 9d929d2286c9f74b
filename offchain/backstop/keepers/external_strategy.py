"""A strategy that is a program of its own: it reads lines of JSON and answers each with one.

    > {"version": 1, "role": "bidder", "options": {}}
    < {"version": 1}
    > {"id": 1, "offers": [{"sale": "collateral", "id": "7", "symbol": "ETH", "price": "150...", ...}]}
    < {"id": 1, "worth": ["149000000000000000000000000000", null]}

Whole numbers travel as strings of digits: most readers of JSON lose those beyond 2**53. The program's stderr
is forwarded to the keeper's stderr. It ends when its input ends. Its environment has only the variables that
a program needs to start, and none that may be secret: all other settings are in its options.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, Any

from backstop.errors import BackstopError
from backstop.keepers.strategy import Offer, shorten_repr

VERSION = 1
_START_SECONDS = 5.0
# After a failure it is left alone for so long, twice that after the next one, then started anew.
_FIRST_REST, _LONGEST_REST = 10.0, 300.0
# What it gets of the environment, in which passphrases and addresses of webhooks may be.
_INHERITED = frozenset(
    (
        *("PATH", "HOME", "USER", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LC_ALL", "LC_CTYPE"),
        *("PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH"),
    )
)


class ExternalStrategy:
    """Strategy that runs as a separate program and exchanges lines of JSON with the keeper.

    A request raises BackstopError if the program died, answered late or answered invalid data. After a
    failure all requests raise BackstopError until a pause is over, which doubles with each failure in a row.
    """

    def __init__(
        self, command: Sequence[str], options: Mapping[str, str], role: str, answer_within: float
    ) -> None:
        self._command = list(command)
        self._hello = {"version": VERSION, "role": role, "options": dict(options)}
        self._answer_within = answer_within
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""  # what came after the last line
        self._asked = 0
        self._failures = 0
        self._again_at = 0.0
        self._problem = ""

    def worth(self, offers: Sequence[Offer]) -> Sequence[int | None]:
        """Return the program's value of 1e18 of each offer [ray], in order; None for an offer without a bid.

        All offers go into one request. Raises BackstopError if the program fails or still pauses after a
        failure.
        """
        if not offers:
            return []
        if time.monotonic() < self._again_at:
            raise BackstopError(self._problem)
        try:
            if self._process is None:
                self.start_program()
            self._asked += 1
            asked = [{name: str(value) for name, value in each._asdict().items()} for each in offers]
            answer = self._exchange_message({"id": self._asked, "offers": asked}, self._answer_within)
            if answer.get("id") != self._asked or not isinstance(answer.get("worth"), list):
                raise BackstopError(f"it answered {shorten_repr(answer)}")
            worth = [_parse_ray_valuation_answer(each) for each in answer["worth"]]
        except BackstopError as error:
            self.close()
            self._problem = f"the strategy {self._command[0]!r} is of no use: {error}"
            self._again_at = time.monotonic() + min(_FIRST_REST * 2**self._failures, _LONGEST_REST)
            self._failures += 1
            raise BackstopError(self._problem) from None
        self._failures = 0
        return worth

    def close(self) -> None:
        """Stop the program: close its input, and kill it if it does not exit within 0.2 seconds."""
        process, self._process, self._rest = self._process, None, b""
        if process is None:
            return
        with suppress(OSError):
            _unwrap_optional_pipe(process.stdin).close()
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _unwrap_optional_pipe(process.stdout).close()

    def start_program(self) -> None:
        """Start the program, and check that it speaks the expected protocol version.

        Raises BackstopError if the program cannot be started or answers with another version.
        """
        try:
            # A session of its own: Ctrl-C is for the keeper, which ends it when it is done.
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
                env={name: value for name, value in os.environ.items() if name in _INHERITED},
            )
        except OSError as error:
            raise BackstopError(f"it cannot be started: {error.strerror}") from None
        answer = self._exchange_message(self._hello, _START_SECONDS)
        if answer.get("version") != VERSION:
            raise BackstopError(f"it speaks version {shorten_repr(answer.get('version'))}, not {VERSION}")

    def _exchange_message(self, question: dict[str, Any], within: float) -> dict[str, Any]:
        assert self._process is not None
        deadline = time.monotonic() + within
        try:
            stdin = _unwrap_optional_pipe(self._process.stdin)
            stdin.write(json.dumps(question).encode() + b"\n")
            stdin.flush()
        except OSError:
            raise BackstopError(f"it ended{self._describe_exit_code()}") from None
        line = self._read_line(deadline, within)
        try:
            answer = json.loads(line)
        except ValueError:
            raise BackstopError(f"it answered {shorten_repr(line.decode(errors='replace'))}") from None
        if not isinstance(answer, dict):
            raise BackstopError(f"it answered {shorten_repr(answer)}")
        return answer

    def _read_line(self, deadline: float, within: float) -> bytes:
        assert self._process is not None
        file = _unwrap_optional_pipe(self._process.stdout).fileno()
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([file], [], [], left)[0]:
                raise BackstopError(f"no answer within {within * 1000:.0f} ms")
            part = os.read(file, 1 << 16)
            if not part:
                raise BackstopError(f"it ended{self._describe_exit_code()}")
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _describe_exit_code(self) -> str:
        assert self._process is not None
        with suppress(subprocess.TimeoutExpired):
            return f" with code {self._process.wait(0.2)}"
        return ""


def _unwrap_optional_pipe(process_pipe: IO[bytes] | None) -> IO[bytes]:
    assert process_pipe is not None
    return process_pipe


def _parse_ray_valuation_answer(answer: object) -> int | None:
    if answer is None:
        return None
    if isinstance(answer, str) and answer.isascii() and answer.isdigit():
        return int(answer)
    raise BackstopError(f"it answered {shorten_repr(answer)}: ray in digits as a string, or null")
