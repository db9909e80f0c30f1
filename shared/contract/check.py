"""Checks that the two halves keep the contract: `python -m shared.contract.check`.

Offline, it compares the contract with that of a git ref (`BASE`), and each template with the
contract. With `AGAINST=environment` it compares each template with what is published in SSM.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from shared.cli.errors import UserError, exit_code
from shared.cli.git import base_commit, git
from shared.cli.table import table
from shared.contract.loader import VERSION_NAME, Contract, Parameter, load_contract, parse_contract
from shared.contract.published import problem_table, read_for
from shared.contract.template import (
    consumed_names,
    contract_requirement,
    missing_names,
    template_problems,
)
from shared.naming import check_environment_suffix, check_regions, stack_name

ROOT = Path(__file__).resolve().parents[2]
_CONTRACT = "shared/contract.toml"
_TEMPLATES = "*/template.yaml"


@dataclass(frozen=True)
class Finding:
    """A parameter, what there is to say about it, and the files that it concerns."""

    parameter: str
    text: str
    files: tuple[str, ...] = ()
    breaks: bool = True


def main(root: Path = ROOT, variables: Mapping[str, str] = os.environ) -> None:
    """Run the check that the variables ask for on the project in the folder `root`.

    Raises:
        UserError: something breaks the contract; a table of it has been printed.
    """
    against = variables.get("AGAINST") or "base"
    if against == "base":
        check_against_base(root, variables.get("BASE", ""))
    elif against == "environment":
        check_against_environment(root, variables)
    else:
        raise UserError(f"AGAINST {against!r}: use base or environment")


def check_against_base(root: Path, base: str) -> None:
    """Compare the contract in the folder `root` with that of a git ref, and with the templates.

    Without a ref it is `origin/main`, or `HEAD` where there is no such branch.

    Raises:
        UserError: a change breaks consumers or has too low a version, a template and the contract
            differ, or git does not know the ref.
    """
    contract = load_contract(root / _CONTRACT)
    commit, name = base_commit(root, base)
    before = parse_contract(git(root, "show", f"{commit}:./{_CONTRACT}"), f"{_CONTRACT} at {name}")
    findings = [
        *contract_changes(before, contract, _consumers(root, commit)),
        *template_findings(root, contract),
    ]
    print(f"Contract {contract.version}, compared with {before.version} of {name}")
    if findings:
        rows = [(each.parameter, each.text, ", ".join(each.files)) for each in findings]
        print(table([("PARAMETER", "FINDING", "CONSUMERS"), *rows]), flush=True)
    if any(finding.breaks for finding in findings):
        raise UserError(
            "this breaks the contract; docs/reference/contract.md says how to change it"
        )


def contract_changes(
    before: Contract, now: Contract, consumers: Mapping[str, tuple[str, ...]]
) -> Iterator[Finding]:
    """What differs between two versions of a contract.

    Removing, renaming or retyping a parameter breaks its consumers, and so does changing the form
    of a shared name, unless the new contract has a higher major version. An addition needs a higher
    minor version.
    """
    major_raised = now.version.major > before.version.major
    old, new = before.by_logical_name, now.by_logical_name
    added = [parameter for name, parameter in new.items() if name not in old]
    for name, parameter in old.items():
        successor = new.get(name) or _renamed(parameter, added)
        changed = _breakage(parameter, successor)
        if changed:
            yield Finding(name, changed, consumers.get(name, ()), breaks=not major_raised)
        if successor in added:
            added.remove(successor)
    for parameter in added:
        late = parameter.since > before.version or major_raised
        text = "added" if late else f"added, but since {parameter.since} claims it for old versions"
        yield Finding(parameter.logical_name, text, breaks=not late)
    for key, form in before.names.items():
        if now.names.get(key) != form:
            text = f"changed to {now.names[key]}" if key in now.names else "removed"
            yield Finding(key, text, breaks=not major_raised)
    new_names = now.names.keys() - before.names.keys()
    for key in sorted(new_names):
        yield Finding(key, "added", breaks=False)
    needed = (
        _minor(before.version) < _minor(now.version)
        if added or new_names
        else before.version <= now.version
    )
    if not needed:
        yield Finding(
            VERSION_NAME, f"{now.version}, after {before.version}: raise the minor version at least"
        )


def template_findings(root: Path, contract: Contract) -> Iterator[Finding]:
    """How the templates and the contract differ.

    Raises:
        UserError: a template does not say which versions it requires.
    """
    for template in sorted(root.glob(_TEMPLATES)):
        file = str(template.relative_to(root))
        for key in missing_names(template, contract):
            yield Finding(key, f"the template has no name like {contract.names[key]}", (file,))
        requirement = contract_requirement(template)
        problems = template_problems(template, contract)
        for name, problem in problems.items():
            yield Finding(name, problem, (file,))
        if contract.version not in requirement.versions:
            text = f"{contract.version}, but the template requires {requirement.text}"
            yield Finding(VERSION_NAME, text, (file,))
        for name in consumed_names(template.read_text()):
            parameter = contract.by_logical_name.get(name)
            if parameter is None:
                continue
            if parameter.since > requirement.smallest:
                text = f"published since {parameter.since}, but {requirement.smallest} is allowed"
                yield Finding(name, text, (file,))
            if parameter.deprecated:
                instead = f": read {parameter.replaced_by}" if parameter.replaced_by else ""
                text = f"deprecated since {parameter.deprecated}{instead}"
                yield Finding(name, text, (file,), breaks=False)


def check_against_environment(root: Path, variables: Mapping[str, str]) -> None:
    """Compare what the templates take with what is published in each of the environment's regions.

    Raises:
        UserError: a value is missing or of the wrong type, or the contract's version does not fit.
    """
    environment = check_environment_suffix(variables.get("ENVIRONMENT_SUFFIX", "dev"))
    contract = load_contract(root / _CONTRACT)
    failed = []
    for region in check_regions(variables.get("REGIONS", "us-east-1")):
        for template in sorted(root.glob(_TEMPLATES)):
            stack = stack_name(region, environment)
            reading = read_for(template, contract, environment, region)
            if reading.empty:
                print(f"{stack}: there is no data platform; run `make deploy-infra` first")
                failed.append(stack)
                continue
            print(
                f"{stack}: contract {reading.version}, {len(reading.values)} values for "
                f"{template.relative_to(root)}"
            )
            if reading.problems:
                print(problem_table(reading.problems), flush=True)
                failed.append(stack)
    if failed:
        raise UserError(f"{', '.join(failed)}: a service cannot be released on this data platform")


def _renamed(parameter: Parameter, added: list[Parameter]) -> Parameter | None:
    """The one of the added parameters that a parameter has become: it has its path, or is alike."""
    for other in added:
        alike = (other.type, other.description) == (parameter.type, parameter.description)
        if alike or other.name == parameter.name:
            return other
    return None


def _breakage(before: Parameter, now: Parameter | None) -> str:
    """What happened to a parameter that breaks its consumers; empty if nothing did."""
    if now is None:
        return "removed"
    if now.logical_name != before.logical_name:
        return f"renamed to {now.logical_name}"
    if now.name != before.name:
        return f"renamed from {before.name} to {now.name}"
    if now.type != before.type:
        return f"retyped from {before.short_type} to {now.short_type}"
    return ""


def _minor(version: Version) -> tuple[int, int]:
    return version.major, version.minor


def _consumers(root: Path, commit: str) -> dict[str, tuple[str, ...]]:
    """The templates that take a parameter, by its logical name.

    Those of the commit count, too: what was released from them lives on, whatever they say now.
    """
    listed = git(root, "ls-tree", "-r", "--name-only", commit, "--", ".").splitlines()
    texts = [
        (file, git(root, "show", f"{commit}:./{file}"))
        for file in listed
        if Path(file).match(_TEMPLATES)
    ]
    texts += [(str(f.relative_to(root)), f.read_text()) for f in root.glob(_TEMPLATES)]
    found: dict[str, set[str]] = {}
    for file, text in texts:
        for name in consumed_names(text):
            found.setdefault(name, set()).add(file)
    return {name: tuple(sorted(files)) for name, files in found.items()}


if __name__ == "__main__":
    sys.exit(exit_code(main))
