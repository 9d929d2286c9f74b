"""A whole state as words."""

from __future__ import annotations

import pytest

from backstop.deployment.create import model_of
from backstop.deployment.examples import standard
from backstop.deployment.plan import plan
from backstop.errors import BackstopError
from backstop.hosts.words import load_words, words_of


def test_a_state_of_an_older_version_is_one_line() -> None:
    deployment = plan(standard())
    words = {name: dict(tables) for name, tables in words_of(model_of(deployment, 1_000).world).items()}
    words["VaultEngine"]["terms"] = words["VaultEngine"].pop("terms.of_types")
    with pytest.raises(BackstopError) as caught:
        load_words(model_of(deployment, 1_000).world, words)
    assert str(caught.value) == (
        "the state has no VaultEngine terms.of_types: it is another deployment's, or of an older version"
    )
