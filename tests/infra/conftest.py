"""An emulated AWS account that enforces IAM, and a stack of a few resources to apply to it."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest

from infra.commands import destroy, drift, planning, review, terraform
from infra.config.environment import EnvironmentConfig
from infra.terraform.backend import stack_folder
from local.emulator.installation import Installation
from local.platform import aws_variables
from tests.support.emulator import Emulator
from tests.support.ports import free_port_base
from tests.support.small_stack import ENVIRONMENT, REGION, Document, small_stack

ACCOUNT = "000000000000"


@pytest.fixture(scope="session")
def emulated_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    emulator = Emulator(tmp_path_factory.mktemp("aws") / "local", free_port_base())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCAL_ENFORCE_IAM", "1")
        emulator.start()
    yield emulator
    emulator.stop()


@pytest.fixture
def aws(emulated_account: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The account. The process environment points to it and to the test's folders."""
    port = emulated_account.port
    variables = {
        **aws_variables(Installation(tmp_path, port), os.environ),
        # The emulator answers only callers with its folder's identity.
        "AWS_SDK_UA_APP_ID": Installation(emulated_account.folder, port).identity,
    }
    for name in set(os.environ) - set(variables):
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("REGIONS", raising=False)
    # boto3 caches the credentials that it finds first.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    return emulated_account


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Give the environment a file with these settings."""

    def write(text: str) -> None:
        file = tmp_path / "environment.toml"
        file.write_text(text)
        monkeypatch.setenv("ENVIRONMENT_FILE", str(file))

    return write


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, aws: Emulator) -> Iterator[Document]:
    """The synthesized stack, which the test may change. It is destroyed afterwards."""
    document = small_stack()

    def synthesize(environment: EnvironmentConfig) -> None:
        folder = stack_folder(environment, REGION)
        folder.mkdir(parents=True, exist_ok=True)
        state = {"local": {"path": str(environment.state_dir / "small.tfstate")}}
        written = {**document, "terraform": {**document["terraform"], "backend": state}}
        (folder / "cdk.tf.json").write_text(json.dumps(written))

    monkeypatch.setenv("ENVIRONMENT_SUFFIX", ENVIRONMENT)
    for module in (terraform, drift, planning, review):
        monkeypatch.setattr(module, "synthesize", synthesize)
    yield document
    document.clear()
    document.update(small_stack())
    destroy.main()
