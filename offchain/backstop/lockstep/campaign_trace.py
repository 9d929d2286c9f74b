"""Traces of campaigns on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backstop.errors import BackstopError
from backstop.files.atomic_files import read_versioned_json, write_long_json
from backstop.lockstep.campaign import Campaign
from backstop.lockstep.project_artifacts import ProjectArtifacts
from backstop.lockstep.replayable_trace import Trace, encode_trace_step, parse_trace_step

SCHEMA_VERSION = 1


def write_campaign_trace(trace: Trace, name: str, path: Path) -> None:
    """Write a trace of the campaign `name` ("file::name") to a JSON file, atomically."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "campaign": name,
        "seed": trace.seed,
        "reason": trace.reason,
        "opening": trace.opening,
        "started_at": trace.started_at,
    }
    write_long_json(content, "steps", map(encode_trace_step, trace.steps), path)


def read_campaign_name(path: Path) -> str:
    """Return the name of the campaign ("file::name") that a trace file belongs to."""
    return str(_read_trace_content(path).get("campaign"))


def read_campaign_trace(path: Path, campaign: Campaign, artifacts: ProjectArtifacts) -> Trace:
    """Read a campaign's trace from a file.

    Raises BackstopError if the file is not a valid trace, or if it is of other contracts.
    """
    content = _read_trace_content(path)
    kinds = {each.name: each.kind for each in campaign.deployments}
    try:
        steps = [parse_trace_step(item, kinds, artifacts) for item in content["steps"]]
        return Trace(steps, content["started_at"], content["seed"], content["reason"], content["opening"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackstopError(f"{path} is not a valid trace ({error!r}): record it again") from None


def _read_trace_content(path: Path) -> dict[str, Any]:
    return read_versioned_json(path, "trace", SCHEMA_VERSION, "check the path", "record it again")
