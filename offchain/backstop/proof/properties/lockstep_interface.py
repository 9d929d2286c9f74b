"""Model and chain as questions about the future see them: the pair is `Lockstep`, which asks them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

from backstop.deployment.parameter_dataclasses import Parameters
from backstop.hosts.model_system import ModelSystem
from backstop.system import Action, Outcome


class LockstepLike(Protocol):
    """A model and a chain on which the same is done, and compared."""

    parameters: Parameters | None
    model: ModelSystem

    @property
    def timestamp(self) -> int:
        """The time of both [seconds]."""

    def advance(self, seconds: int, blocks: int | None = None) -> None:
        """Let time pass."""

    def apply(self, action: Action) -> Outcome:
        """Do it on both; raise DivergenceError if they differ."""

    def view(self, contract: str, method: str, *args: Any) -> Any:
        """Return what a view says on both; raise RevertError with its reason."""

    def fork_state(self) -> AbstractContextManager[object]:
        """Take back on both all that is done inside."""
