from pathlib import Path

import pytest
from packaging.version import Version

from shared.cli.errors import UserError, exit_code
from shared.contract.loader import load_contract
from shared.contract.template import consumed_parameters, parameter_overrides

PARAMETER = """
[parameters.VpcId]
name = "vpc/id"
type = "AWS::SSM::Parameter::Value<AWS::EC2::VPC::Id>"
description = "The VPC."
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "contract.toml"
    file.write_text(text)
    return file


def test_paths_carry_the_environment_and_the_major_version(tmp_path: Path) -> None:
    contract = load_contract(write(tmp_path, 'version = "2.3.4"' + PARAMETER))
    assert contract.path(contract["VpcId"], "pr-42") == "/trading-platform/pr-42/v2/vpc/id"


def test_a_list_type_is_published_as_a_string_list() -> None:
    contract = load_contract()
    types = {p.logical_name: p.ssm_type for p in contract.parameters}
    assert types["PrivateSubnetIds"] == "StringList"
    assert types["VpcId"] == "String"
    assert types["KmsKeyArn"] == "String"


def test_an_unknown_logical_name_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="Nonsense"):
        load_contract()["Nonsense"]


def test_every_parameter_says_which_version_brought_it_and_how_it_ends(tmp_path: Path) -> None:
    ends = 'since = "1.2.0"\ndeprecated = 2027-01-31\nreplaced_by = "NetworkId"\n'
    successor = PARAMETER.replace("VpcId", "NetworkId").replace("vpc/id", "network/id")
    contract = load_contract(write(tmp_path, 'version = "1.2.0"' + PARAMETER + ends + successor))
    vpc = contract["VpcId"]
    assert (str(vpc.since), str(vpc.deprecated), vpc.replaced_by) == (
        "1.2.0",
        "2027-01-31",
        "NetworkId",
    )
    assert contract["NetworkId"].since == Version("1.0.0")
    assert contract["NetworkId"].deprecated is None


def test_the_version_is_published_beside_the_values(tmp_path: Path) -> None:
    contract = load_contract(write(tmp_path, 'version = "2.3.4"' + PARAMETER))
    assert contract.version_path("pr-42") == "/trading-platform/pr-42/v2/contract-version"


def test_a_shared_name_is_made_from_its_form(tmp_path: Path) -> None:
    names = '\n[names]\nfolder = "previews/{stage}/"\n'
    contract = load_contract(write(tmp_path, 'version = "1.0.0"' + names + PARAMETER))
    assert contract.name("folder", stage="pr-42") == "previews/pr-42/"
    with pytest.raises(KeyError):
        contract.name("user")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("version =", "not TOML"),
        (PARAMETER, "version"),
        ('version = "1.0"' + PARAMETER, "semantic version"),
        ('version = "1.0.0"' + PARAMETER.replace("VpcId", "vpc-id"), "parameters.vpc-id"),
        ('version = "1.0.0"' + PARAMETER.replace("vpc/id", "/VPC"), r"VpcId\.name '/VPC'"),
        ('version = "1.0.0"' + PARAMETER.replace("AWS::SSM", "SSM"), r"VpcId\.type"),
        ('version = "1.0.0"' + PARAMETER + 'extra = "x"\n', r"VpcId\.extra: there is no such key"),
        ('version = "1.0.0"' + PARAMETER + 'sinc = "x"\n', r"VpcId\.sinc: .* mean since\?"),
        ('version = "1.0.0"' + PARAMETER.replace("name", "# "), r"VpcId\.name: it is missing"),
        ('version = "1.0.0"\nparameters = 1\n', "parameters 1: make it a section"),
        ('version = "1.0.0"\n[parameters]\nVpcId = 1\n', "VpcId 1: make it a section"),
        ('version = "1.0.0"\nnames = "x"\n' + PARAMETER, "names 'x': make it a section"),
        ('version = "1.0.0"\n[names]\nUser = "x"\n' + PARAMETER, "names.User 'x': use a text"),
        ('version = "1.0.0"\n[names]\nuser = 1\n' + PARAMETER, "names.user 1: use a text"),
        (
            'version = "1.0.0"' + PARAMETER + PARAMETER.replace("VpcId", "Other"),
            "'vpc/id' is given to two",
        ),
        (
            'version = "1.0.0"' + PARAMETER.replace("vpc/id", "contract-version"),
            "'contract-version' is given to two",
        ),
        ('version = "1.0.0"' + PARAMETER + 'since = "1.0"\n', r"VpcId\.since '1.0'"),
        ('version = "1.0.0"' + PARAMETER + 'since = "1.1.0"\n', "the contract itself is 1.0.0"),
        ('version = "1.0.0"' + PARAMETER + 'deprecated = "soon"\n', "use a date"),
        ('version = "1.0.0"' + PARAMETER + "deprecated = 2027-01-31T01:00:00\n", "use a date"),
        ('version = "1.0.0"' + PARAMETER + "since = 2027-01-31\n", r"VpcId\.since '2027-01-31'"),
        ('version = "1.0.0"' + PARAMETER + 'replaced_by = "VpcId"\n', "`deprecated` as well"),
        (
            'version = "1.0.0"' + PARAMETER + 'deprecated = 2027-01-31\nreplaced_by = "Other"\n',
            "'Other': there is no such parameter",
        ),
    ],
)
def test_a_broken_contract_is_refused_with_the_file_and_the_key(
    tmp_path: Path, text: str, complaint: str
) -> None:
    file = write(tmp_path, text)
    with pytest.raises(UserError, match=complaint) as error:
        load_contract(file)
    assert str(file) in str(error.value)


TEMPLATE = """
Parameters:
  Size: {Type: Number}
  VpcId: {Type: 'AWS::SSM::Parameter::Value<AWS::EC2::VPC::Id>'}
Resources:
  Thing: {Type: A::B::C, Properties: {Name: !Sub '${VpcId}', Size: !Ref Size}}
"""


def test_overrides_name_the_ssm_parameter_of_each_consumed_value(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(TEMPLATE)
    assert parameter_overrides(template, load_contract(), "dev") == {
        "VpcId": "/trading-platform/dev/v1/vpc/id"
    }


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("VpcId:", "VpcName:", "VpcName is not in the contract"),
        ("AWS::EC2::VPC::Id", "String", "but the contract says"),
    ],
)
def test_a_template_that_breaks_the_contract_is_refused(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(TEMPLATE.replace(old, new))
    with pytest.raises(UserError, match=complaint):
        consumed_parameters(template, load_contract())


def test_a_template_without_parameters_consumes_nothing(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text("Resources: {}")
    assert consumed_parameters(template, load_contract()) == ()


def test_a_users_mistake_is_one_line_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    def mistake() -> None:
        raise UserError("say dev")

    assert exit_code(mistake) == 1
    assert capsys.readouterr().err == "error: say dev\n"
    assert exit_code(lambda: None) == 0
