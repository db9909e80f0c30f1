"""Each way to break the contract, tried in a git repository, is refused."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.cli.errors import UserError
from shared.contract.check import ROOT, main

CONTRACT = """
version = "1.1.0"

[parameters.VpcId]
name = "vpc/id"
type = "AWS::SSM::Parameter::Value<AWS::EC2::VPC::Id>"
since = "1.0.0"
description = "The VPC."

[parameters.SubnetIds]
name = "vpc/subnet-ids"
type = "AWS::SSM::Parameter::Value<List<AWS::EC2::Subnet::Id>>"
since = "1.1.0"
description = "Its subnets."

[parameters.BucketName]
name = "bucket/name"
type = "AWS::SSM::Parameter::Value<String>"
since = "1.0.0"
description = "A bucket."
"""
TEMPLATE = """
Metadata:
  Contract:
    Requires: ">=1.1.0,<2.0.0"
    ReadByDeploy: [BucketName]
Parameters:
  Size: {Type: Number}
  VpcId: {Type: 'AWS::SSM::Parameter::Value<AWS::EC2::VPC::Id>'}
  SubnetIds: {Type: 'AWS::SSM::Parameter::Value<List<AWS::EC2::Subnet::Id>>'}
"""
ADDED = """
[parameters.TopicArn]
name = "topic/arn"
type = "AWS::SSM::Parameter::Value<String>"
since = "1.2.0"
description = "A topic."
"""


class Project:
    """A git repository with a contract and a template, all of it committed once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.contract = folder / "shared" / "contract.toml"
        self.template = folder / "service" / "template.yaml"
        for file, text in ((self.contract, CONTRACT), (self.template, TEMPLATE)):
            file.parent.mkdir()
            file.write_text(text)
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit()

    def git(self, *arguments: str) -> None:
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.com")
        subprocess.run(["git", "-C", self.folder, *identity, *arguments], check=True)

    def commit(self) -> None:
        self.git("add", ".")
        self.git("commit", "--quiet", "--message=state")

    def edit(self, file: Path, *replacements: tuple[str, str]) -> None:
        text = file.read_text()
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        file.write_text(text)

    def change(self, *replacements: tuple[str, str]) -> None:
        """Replace parts of the contract."""
        self.edit(self.contract, *replacements)

    def check(self, base: str = "") -> None:
        main(self.folder, {"BASE": base})


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def refused(project: Project, capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    """Run the check, which must refuse; returns its table's rows with single spaces."""

    def run() -> list[str]:
        with pytest.raises(UserError, match="this breaks the contract"):
            project.check()
        return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()[2:]]

    return run


def part(name: str) -> str:
    """A parameter's part of the contract."""
    return f"\n[parameters.{name}]{CONTRACT.partition(f'[parameters.{name}]')[2].partition('[')[0]}"


def raised(version: str) -> tuple[str, str]:
    return ('version = "1.1.0"', f'version = "{version}"')


def test_an_unchanged_contract_passes(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.check()
    assert capsys.readouterr().out == "Contract 1.1.0, compared with 1.1.0 of HEAD\n"


def test_a_removed_parameter_is_refused_with_its_consumers(
    project: Project, refused: Callable[[], list[str]]
) -> None:
    project.change((part("BucketName"), ""))
    row, _template = refused()
    assert row == "BucketName removed service/template.yaml"


def test_a_removed_parameter_still_has_the_consumers_that_were_released(
    project: Project, refused: Callable[[], list[str]]
) -> None:
    project.change((part("BucketName"), ""))
    project.edit(project.template, ("    ReadByDeploy: [BucketName]\n", ""))
    assert refused() == ["BucketName removed service/template.yaml"]


def test_a_parameter_without_consumers_is_not_removed_either(
    project: Project, refused: Callable[[], list[str]]
) -> None:
    project.edit(project.template, ("    ReadByDeploy: [BucketName]\n", ""))
    project.commit()
    project.change((part("BucketName"), ""))
    assert refused() == ["BucketName removed"]


@pytest.mark.parametrize(
    ("old", "new", "row"),
    [
        ("parameters.BucketName", "parameters.Bucket", "BucketName renamed to Bucket"),
        ('"bucket/name"', '"bucket/id"', "BucketName renamed from bucket/name to bucket/id"),
        (
            "Value<AWS::EC2::VPC::Id>",
            "Value<String>",
            "VpcId retyped from AWS::EC2::VPC::Id to String",
        ),
    ],
)
def test_a_renamed_or_retyped_parameter_is_refused_with_its_consumers(
    project: Project, refused: Callable[[], list[str]], old: str, new: str, row: str
) -> None:
    project.change((old, new))
    assert refused()[0] == f"{row} service/template.yaml"


def test_a_rename_is_seen_by_what_the_parameter_is_too(
    project: Project, refused: Callable[[], list[str]]
) -> None:
    project.change(
        (part("BucketName"), part("BucketName").replace("BucketName", "Bucket")),
        ('"bucket/name"', '"bucket"'),
        (part("VpcId"), ADDED + part("VpcId")),
        raised("1.2.0"),
    )
    assert refused() == [
        "BucketName renamed to Bucket service/template.yaml",
        "TopicArn added",
        "BucketName is not in the contract service/template.yaml",
    ]


def test_an_added_parameter_passes_with_a_minor_version(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.contract.write_text(CONTRACT.replace(*raised("1.2.0")) + ADDED)
    project.check()
    assert "TopicArn   added" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("version", "since", "row"),
    [
        ("1.1.0", "1.1.0", "contract-version 1.1.0, after 1.1.0: raise the minor version at least"),
        ("1.1.1", "1.1.1", "contract-version 1.1.1, after 1.1.0: raise the minor version at least"),
        ("1.2.0", "1.0.0", "TopicArn added, but since 1.0.0 claims it for old versions"),
    ],
)
def test_an_added_parameter_is_refused_without_a_version_of_its_own(
    project: Project, refused: Callable[[], list[str]], version: str, since: str, row: str
) -> None:
    project.contract.write_text(CONTRACT.replace(*raised(version)) + ADDED.replace("1.2.0", since))
    assert row in refused()


NAMES = '\n[names]\nfolder = "previews/{stage}/"\n'
FOLDER = "Description: previews/${Stage}/ holds previews\n"


def with_names(project: Project) -> None:
    """Commit a contract with a shared name, and a template that has it."""
    project.contract.write_text(CONTRACT + NAMES)
    project.template.write_text(FOLDER + TEMPLATE)
    project.commit()


def test_a_shared_name_is_added_with_a_minor_version(
    project: Project, refused: Callable[[], list[str]]
) -> None:
    project.template.write_text(FOLDER + TEMPLATE)
    project.contract.write_text(CONTRACT + NAMES)
    assert refused() == [
        "folder added",
        "contract-version 1.1.0, after 1.1.0: raise the minor version at least",
    ]
    project.change(raised("1.2.0"))
    project.check()


@pytest.mark.parametrize(
    ("old", "new", "row"),
    [
        ("previews/{stage}", "stages/{stage}", "folder changed to stages/{stage}/"),
        (NAMES, "", "folder removed"),
    ],
)
def test_a_shared_name_changes_with_a_major_version_alone(
    project: Project, refused: Callable[[], list[str]], old: str, new: str, row: str
) -> None:
    with_names(project)
    project.change((old, new), raised("1.2.0"))
    assert row in refused()


def test_a_template_without_a_shared_name_is_refused(
    project: Project, refused: Callable[[], list[str]]
) -> None:
    with_names(project)
    project.edit(project.template, ("previews/", "stages/"))
    assert refused() == [
        "folder the template has no name like previews/{stage}/ service/template.yaml"
    ]


def test_a_version_never_goes_back(project: Project, refused: Callable[[], list[str]]) -> None:
    project.change(raised("1.1.2"))
    project.commit()
    project.change(('version = "1.1.2"', 'version = "1.1.1"'))
    assert refused() == ["contract-version 1.1.1, after 1.1.2: raise the minor version at least"]


def test_a_major_version_may_break_once_the_templates_follow(
    project: Project, refused: Callable[[], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    project.change((part("BucketName"), ""), raised("2.0.0"))
    assert refused() == [
        "BucketName removed service/template.yaml",
        "BucketName is not in the contract service/template.yaml",
        "contract-version 2.0.0, but the template requires >=1.1.0,<2.0.0 service/template.yaml",
    ]
    project.edit(
        project.template,
        ("    ReadByDeploy: [BucketName]\n", ""),
        (">=1.1.0,<2.0.0", ">=2.0.0,<3.0.0"),
    )
    project.check()
    assert "removed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "row"),
    [
        ("  VpcId:", "  VpcName:", "VpcName is not in the contract"),
        (
            "AWS::EC2::VPC::Id",
            "String",
            "VpcId has the type String, but the contract says AWS::EC2::VPC::Id",
        ),
        (">=1.1.0", ">=1.2.0", "contract-version 1.1.0, but the template requires"),
        (">=1.1.0", ">=1.0.5", "SubnetIds published since 1.1.0, but 1.0.5 is allowed"),
    ],
)
def test_a_template_that_uses_an_unpublished_value_is_refused(
    project: Project, refused: Callable[[], list[str]], old: str, new: str, row: str
) -> None:
    project.edit(project.template, (old, new))
    assert refused()[0].startswith(row)


@pytest.mark.parametrize("requires", ["", "<2.0.0", ">=x", ">=1.0.0,>=1.1.0"])
def test_a_template_says_from_which_version_on_it_works(project: Project, requires: str) -> None:
    project.edit(project.template, (">=1.1.0,<2.0.0", requires))
    with pytest.raises(UserError, match=r"template.yaml: Metadata.Contract.Requires"):
        project.check()


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ("deprecated = 2027-01-31\n", "deprecated since 2027-01-31 "),
        (
            'deprecated = 2027-01-31\nreplaced_by = "VpcId"\n',
            "deprecated since 2027-01-31: read VpcId ",
        ),
    ],
)
def test_a_deprecated_parameter_warns_its_consumers_and_passes(
    project: Project, capsys: pytest.CaptureFixture[str], ends: str, text: str
) -> None:
    project.contract.write_text(CONTRACT + ends)
    project.check()
    assert text in capsys.readouterr().out


def test_the_base_is_main_where_it_is_known_or_any_other_ref(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.git("tag", "v1")
    project.git("update-ref", "refs/remotes/origin/main", "HEAD")
    project.change((part("BucketName"), ""))
    project.edit(project.template, ("    ReadByDeploy: [BucketName]\n", ""))
    project.commit()
    project.check("HEAD")
    for base, name in (("", "origin/main"), ("v1", "v1")):
        with pytest.raises(UserError, match="this breaks the contract"):
            project.check(base)
        assert f"1.1.0 of {name}\n" in capsys.readouterr().out


@pytest.mark.parametrize("base", ["nowhere", "--help"])
def test_a_base_that_git_does_not_know_is_one_clear_line(project: Project, base: str) -> None:
    with pytest.raises(UserError, match=f"BASE '{base}': git knows no such commit"):
        project.check(base)


def test_a_base_before_there_was_a_contract_is_one_clear_line(project: Project) -> None:
    project.git("rm", "--quiet", "--cached", "shared/contract.toml")
    project.git("commit", "--quiet", "--message=none")
    with pytest.raises(UserError, match=r"git show: .*shared/contract.toml"):
        project.check()


def test_a_machine_without_git_is_one_clear_line(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(project.folder))
    with pytest.raises(UserError, match="git is not installed"):
        project.check("HEAD")


def test_an_unknown_kind_of_check_is_refused(project: Project) -> None:
    with pytest.raises(UserError, match="AGAINST 'prod': use base or environment"):
        main(project.folder, {"AGAINST": "prod"})


def test_the_command_fails_with_the_table_and_one_line(project: Project) -> None:
    project.change((part("BucketName"), ""))
    program = f"""
import sys, pathlib
from shared.contract import check
from shared.cli.errors import exit_code
sys.exit(exit_code(lambda: check.main(pathlib.Path({str(project.folder)!r}))))
"""
    finished = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 1
    assert "BucketName  removed" in finished.stdout
    assert finished.stderr == (
        "error: this breaks the contract; docs/reference/contract.md says how to change it\n"
    )
