"""A whole state as words."""

from __future__ import annotations

import pytest

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.model_and_chain_deployment import create_model
from backstop.deployment.planned_contracts import plan_deployment
from backstop.errors import BackstopError
from backstop.hosts.world_storage_json import encode_nonzero_storage_words, load_words


def test_a_state_of_an_older_version_is_one_line() -> None:
    deployment = plan_deployment(build_standard_parameters())
    words = {
        name: dict(tables)
        for name, tables in encode_nonzero_storage_words(create_model(deployment, 1_000).world).items()
    }
    words["VaultEngine"]["terms"] = words["VaultEngine"].pop("terms.of_types")
    with pytest.raises(BackstopError) as caught:
        load_words(create_model(deployment, 1_000).world, words)
    assert str(caught.value) == (
        "the state has no VaultEngine terms.of_types: it is another deployment's, or of an older version"
    )
