"""Model and chain as questions about the future see them: the pair is `Lockstep`, which asks them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

from backstop.deployment.parameter_dataclasses import Parameters
from backstop.hosts.model_system import ModelSystem
from backstop.system import Action, Outcome


class LockstepLike(Protocol):
    """Interface of model and chain in lockstep: each call runs on both and results are compared."""

    parameters: Parameters | None
    model: ModelSystem

    @property
    def timestamp(self) -> int:
        """Current time of model and chain [seconds]."""

    def advance(self, seconds: int, blocks: int | None = None) -> None:
        """Advance the time of model and chain by `seconds`, and the block number by `blocks`."""

    def apply(self, action: Action) -> Outcome:
        """Execute an action on model and chain, and return its outcome.

        Raises DivergenceError if the two differ.
        """

    def view(self, contract: str, method: str, *args: Any) -> Any:
        """Return the result of a view method, which must be the same on model and chain.

        Raises RevertError with the reason if the view reverts.
        """

    def fork_state(self) -> AbstractContextManager[object]:
        """Return a context manager that reverts model and chain to their present state on exit."""
