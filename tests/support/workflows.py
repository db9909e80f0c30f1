"""A small typed view of the workflows and actions under `.github/`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".github"


@dataclass(frozen=True)
class Workflow:
    """One workflow's document."""

    name: str
    document: Mapping[str, Any]

    @property
    def triggers(self) -> Mapping[str, Any]:
        # YAML 1.1, which PyYAML reads, takes `on` for a boolean.
        found: Mapping[str, Any] = self.document[True]  # type: ignore[index]
        return found

    @property
    def jobs(self) -> "dict[str, Job]":
        return {name: Job(self, name, body) for name, body in self.document["jobs"].items()}

    def paths(self, event: str) -> list[str]:
        """The path filters of an event."""
        found: list[str] = self.triggers[event]["paths"]
        return found


@dataclass(frozen=True)
class Job:
    """One job of a workflow."""

    workflow: Workflow
    name: str
    body: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.workflow.name}/{self.name}"

    @property
    def steps(self) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = self.body["steps"]
        return found

    @property
    def scripts(self) -> list[str]:
        """The shell text of the steps that run some."""
        return [step["run"].strip() for step in self.steps if "run" in step]

    @property
    def role(self) -> str:
        """The environment and role that the job takes; empty if it takes none."""
        for step in self.steps:
            if step.get("uses") == "./.github/actions/sign-in":
                return str(step["with"]["role"])
        return ""

    @property
    def environments(self) -> set[str]:
        """The environments that the job works on."""
        matrix = self.body.get("strategy", {}).get("matrix", {}).get("include", [])
        named = self.body.get("env", {}).get("ENVIRONMENT_SUFFIX", "")
        return {entry["environment"] for entry in matrix} or {named}

    @property
    def chain(self) -> "list[Job]":
        """The job and, before it, those that must have gone well."""
        needed = self.body.get("needs")
        return [*(self.workflow.jobs[needed].chain if needed else ()), self]

    @property
    def conditions(self) -> str:
        """All that must hold for the job to run."""
        return " && ".join(str(job.body["if"]) for job in self.chain if "if" in job.body)

    @property
    def subject(self) -> str:
        """The job's part of the subject of its tokens."""
        if "environment" in self.body:
            return f"environment:{self.body['environment']}"
        if "pull_request" in self.workflow.triggers and "== 'push'" not in self.conditions:
            return "pull_request"
        return "ref:refs/heads/main"


def workflows() -> dict[str, Workflow]:
    """All workflows, by name."""
    return {
        file.stem: Workflow(file.stem, yaml.safe_load(file.read_text()))
        for file in sorted((FOLDER / "workflows").glob("*"))
    }


def jobs() -> list[Job]:
    """All jobs of all workflows."""
    return [job for workflow in workflows().values() for job in workflow.jobs.values()]


def uses() -> Iterator[str]:
    """The actions that workflows and our own actions use."""
    documents = [yaml.safe_load(file.read_text()) for file in FOLDER.glob("actions/*/action.yml")]
    steps = [step for document in documents for step in document["runs"]["steps"]]
    steps += [step for job in jobs() for step in job.steps]
    yield from (step["uses"] for step in steps if "uses" in step)


def matches(path: str, pattern: str) -> bool:
    """Whether a path filter of the two forms in use, a folder or a file, takes a path."""
    if pattern.endswith("/**"):
        return path.startswith(pattern.removesuffix("**"))
    assert "*" not in pattern, f"{pattern}: a form of filter that is not known here"
    return path == pattern
