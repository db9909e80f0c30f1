"""The runner, with the real Terraform. tests/platform tests what it applies."""

import http.server
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.commands import deploy, destroy, plan, terraform
from infra.config.environment import load_environment
from infra.main import synthesize
from infra.terraform import program as program_module
from infra.terraform.backend import stack_folder
from infra.terraform.program import Terraform
from shared.cli.errors import UserError
from shared.cli.in_regions import run_in_regions
from tests.support.emulator import Emulator, until


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDKTF_OUTDIR", str(tmp_path / "out"))
    monkeypatch.setenv("STATE", "local")
    monkeypatch.setenv("STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("ENVIRONMENT_SUFFIX", "unit")
    monkeypatch.delenv("REGIONS", raising=False)


def test_the_synthesized_stacks_of_all_regions_are_valid_terraform(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STATE", "s3")  # of which a validation needs nothing
    monkeypatch.setenv("REGIONS", "us-east-1,us-east-2,us-west-2")
    terraform.main(["validate"])
    output = capfd.readouterr().out
    assert output.count("The configuration is valid") == 3
    assert "==> trading-platform-uswest2-unit: terraform validate" in output


def test_a_protected_environment_is_not_even_planned_to_be_destroyed(
    settings: Callable[[str], None], capfd: pytest.CaptureFixture[str]
) -> None:
    settings('profile = "production"')
    with pytest.raises(UserError, match="unit is protected from being destroyed"):
        destroy.main()
    assert "==>" not in capfd.readouterr().out


@pytest.mark.parametrize(("profile", "region"), [("dev", "us-east-2"), ("production", "us-west-2")])
def test_each_profile_is_valid_terraform(
    profile: str,
    region: str,
    settings: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    settings(f'profile = "{profile}"')
    monkeypatch.setenv("REGIONS", region)
    terraform.main(["validate"])
    assert capfd.readouterr().out.count("The configuration is valid") == 1


def test_init_alone_shows_its_output(capfd: pytest.CaptureFixture[str]) -> None:
    terraform.main(["init"])
    assert "successfully initialized" in capfd.readouterr().out


def test_arguments_behind_the_dashes_go_to_terraform(capfd: pytest.CaptureFixture[str]) -> None:
    terraform.main(["validate", "--", "-json"])
    printed = capfd.readouterr().out
    assert json.loads(printed[printed.index("{") :])["valid"] is True


def test_a_failing_terraform_is_named_with_the_stack() -> None:
    with pytest.raises(UserError, match="validate failed for trading-platform-useast1-unit"):
        terraform.main(["validate", "--", "-no-such-option"])


def test_regions_are_planned_side_by_side_before_anything_is_applied(
    aws: Emulator,
    settings: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    settings('[database]\nglobal_regions = ["us-west-2", "us-east-1"]')
    monkeypatch.setenv("REGIONS", "us-east-1,us-west-2")
    monkeypatch.setenv("TF_CLI_ARGS_plan", "-no-such-option")
    with pytest.raises(UserError) as failed:
        deploy.main()
    # The other region joins the global database once this one is there.
    assert str(failed.value) == "terraform plan failed in us-west-2"
    printed = capfd.readouterr().out
    assert "flag provided but not defined: -no-such-option" in printed


def test_ctrl_c_lets_terraform_stop_gracefully(tmp_path: Path) -> None:
    """With a stand-in that takes a second to stop, like Terraform in the middle of a resource."""
    program, started = tmp_path / "terraform", tmp_path / "started"
    program.write_text(
        "#!/bin/bash\n"
        "trap 'sleep 1; echo stopped in order; exit 1' INT\n"
        f"touch {started}; while :; do sleep 0.1; done\n"
    )
    program.chmod(0o700)
    script = (
        "import pathlib\n"
        "from infra.terraform.program import Terraform\n"
        f"Terraform({str(program)!r}, {{}}).run(pathlib.Path('stack'), 'apply')\n"
    )
    apply = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    until(started.exists, "the apply to begin", seconds=60)
    os.killpg(apply.pid, signal.SIGINT)  # as a terminal does
    said, _ = apply.communicate(timeout=60)
    assert "stopped in order" in said
    assert "terraform apply failed for stack" in said


def test_the_users_memory_limit_overrides_the_projects() -> None:
    with program_module.cli_config({"GOMEMLIMIT": "2GiB"}) as variables:
        assert (variables["GOGC"], variables["GOMEMLIMIT"]) == ("off", "2GiB")


def test_a_missing_provider_is_one_clear_line_below_what_terraform_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mirror" / "registry.terraform.io").mkdir(parents=True)
    monkeypatch.setenv("TF_PLUGIN_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.delenv("TF_CLI_CONFIG_FILE", raising=False)
    with pytest.raises(UserError, match="TF_PLUGIN_MIRROR"):
        terraform.main(["validate"])
    assert "hashicorp/aws" in capsys.readouterr().err


def provider_in(mirror: Path, version: str) -> None:
    """Put a program that is not HashiCorp's into a mirror, as the AWS provider of a version."""
    system = f"linux_{ {'x86_64': 'amd64', 'aarch64': 'arm64'}[os.uname().machine] }"
    folder = mirror / "registry.terraform.io" / "hashicorp" / "aws" / version / system
    folder.mkdir(parents=True)
    program = folder / f"terraform-provider-aws_v{version}_x5"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("5.100.0", "is not the one that infra/terraform/providers.lock.hcl names"),
        # The configuration allows it, and nobody has tested it.
        ("6.99.0", "could not get the AWS provider that infra/terraform/providers.lock.hcl names"),
    ],
)
def test_another_provider_than_the_locked_one_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, said: str
) -> None:
    provider_in(tmp_path / "mirror", version)
    monkeypatch.setenv("TF_PLUGIN_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.delenv("TF_CLI_CONFIG_FILE", raising=False)
    with pytest.raises(UserError, match=said):
        terraform.main(["validate"])


def test_the_lock_has_the_archives_of_all_systems_and_init_does_not_change_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = program_module.PROVIDER_LOCK.read_text()
    # HashiCorp publishes 14 archives of this version, and a manifest.
    assert len(set(re.findall(r'"zh:[0-9a-f]{64}"', text))) == 15
    assert len(re.findall('"h1:', text)) == 1
    terraform.main(["validate"])
    environment = load_environment(os.environ)
    assert (stack_folder(environment, "us-east-1") / ".terraform.lock.hcl").read_text() == text


def test_a_failing_init_shows_what_terraform_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TF_CLI_ARGS_init", "-no-such-option")
    with pytest.raises(UserError, match="init failed"):
        terraform.main(["validate"])
    assert "no-such-option" in capsys.readouterr().err


def test_a_missing_terraform_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match="make setup"):
        plan.main([])


def put_on_path(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a shell script the `terraform` on PATH."""
    program = folder / "bin" / "terraform"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in on PATH that records its CLI configuration."""
    record = tmp_path / "record"
    script = f'{{ echo "$TF_CLI_CONFIG_FILE"; cat "$TF_CLI_CONFIG_FILE"; }} >{record} 2>&1\nexit 0'
    put_on_path(script, tmp_path, monkeypatch)
    return record


def test_a_configuration_file_of_the_user_is_left_alone(
    recorder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.tfrc"
    own.write_text("# mine\n")
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(own))
    terraform.main(["init"])
    assert recorder.read_text() == f"{own}\n# mine\n"


def test_a_mirror_is_used_through_a_temporary_configuration_file(
    recorder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = tmp_path / "mirror"
    (mirror / "registry.terraform.io").mkdir(parents=True)
    monkeypatch.setenv("TF_PLUGIN_MIRROR", str(mirror))
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(tmp_path / "missing.tfrc"))
    terraform.main(["init"])
    name, _, text = recorder.read_text().partition("\n")
    assert f'path = "{mirror}"' in text
    assert not Path(name).exists()


def test_without_a_mirror_terraform_gets_the_provider_from_the_registry(
    recorder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_PLUGIN_MIRROR", raising=False)
    monkeypatch.delenv("TF_CLI_CONFIG_FILE", raising=False)
    monkeypatch.setattr(program_module, "find_mirror", lambda _named: None)
    terraform.main(["init"])
    assert recorder.read_text().startswith("\n")


def test_a_mirror_is_found_up_to_two_levels_down(tmp_path: Path) -> None:
    assert program_module.find_mirror(None, root=tmp_path) is None
    (tmp_path / "opt" / "plugins" / "registry.terraform.io").mkdir(parents=True)
    assert program_module.find_mirror(None, root=tmp_path) == tmp_path / "opt" / "plugins"
    (tmp_path / "mirror" / "registry.terraform.io").mkdir(parents=True)
    assert program_module.find_mirror("", root=tmp_path) == tmp_path / "mirror"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("other", ["mirror", "mirror/registry.terraform.io"])
def test_a_mirror_of_another_user_is_not_used(tmp_path: Path, other: str) -> None:
    """They could replace the provider between its check and its start."""
    (tmp_path / "mirror" / "registry.terraform.io").mkdir(parents=True)
    assert program_module.find_mirror(None, root=tmp_path) == tmp_path / "mirror"
    os.chown(tmp_path / other, 65534, 65534)
    assert program_module.find_mirror(None, root=tmp_path) is None
    # Nor by way of a link to a folder of one's own.
    (tmp_path / "own" / "registry.terraform.io").mkdir(parents=True)
    os.symlink(tmp_path / "own", tmp_path / "a-link")
    os.lchown(tmp_path / "a-link", 65534, 65534)
    assert program_module.find_mirror(None, root=tmp_path) == tmp_path / "own"


@pytest.mark.parametrize("open_to_all", ["mirror", "mirror/registry.terraform.io"])
def test_a_mirror_that_everybody_can_write_to_is_not_used(tmp_path: Path, open_to_all: str) -> None:
    (tmp_path / "mirror" / "registry.terraform.io").mkdir(parents=True)
    (tmp_path / open_to_all).chmod(0o777)
    assert program_module.find_mirror(None, root=tmp_path) is None
    (tmp_path / open_to_all).chmod(0o1777)
    assert program_module.find_mirror(None, root=tmp_path) == tmp_path / "mirror"


def test_a_named_mirror_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="TF_PLUGIN_MIRROR"):
        program_module.find_mirror(str(tmp_path))


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """The commands of the real Terraform since the last call."""
    record = tmp_path / "record"
    script = f'echo "$2" >>{record}\nexec {shutil.which("terraform")} "$@"'
    put_on_path(script, tmp_path, monkeypatch)

    def commands() -> list[str]:
        found = record.read_text().split() if record.exists() else []
        record.write_text("")
        return found

    return commands


def test_a_stack_whose_provider_is_gone_is_initialized_again(
    started: Callable[[], list[str]],
) -> None:
    environment = load_environment(os.environ)
    synthesize(environment)
    folder = stack_folder(environment, "us-east-1")
    with program_module.installed_terraform(os.environ) as program:
        program.init(folder)
        program.init(folder)
        assert started() == ["init"]
        shutil.rmtree(folder / ".terraform" / "providers")
        program.init(folder)
    assert started() == ["init"]


class Small:
    """A stack without a provider, so that its initialization takes no time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "small"
        self.folder.mkdir()
        self.write("state", "1")

    def write(self, state: str, value: str) -> None:
        document = {
            "terraform": {"backend": {"local": {"path": f"{state}.tfstate"}}},
            "resource": {"terraform_data": {"small": {"input": value}}},
        }
        (self.folder / "cdk.tf.json").write_text(json.dumps(document))

    def init(self, *arguments: str, quiet: bool = True) -> None:
        with program_module.installed_terraform(os.environ) as program:
            program.init(self.folder, *arguments, quiet=quiet)


@pytest.fixture
def small(tmp_path: Path) -> Small:
    return Small(tmp_path)


class NoState(http.server.BaseHTTPRequestHandler):
    """There is none, and none can be uploaded."""

    def do_GET(self) -> None:
        self.send_error(404)

    def do_POST(self) -> None:
        self.send_error(403)

    def log_message(self, *_arguments: object) -> None:
        """Keep the tests' output clean."""


def in_one_region(program: Terraform, folder: Path) -> None:
    program.run(folder, "apply")


def in_many_regions(program: Terraform, folder: Path) -> None:
    run = program.in_region("us-east-1", folder, "apply")
    run_in_regions([[run]], what="apply", result=re.compile("Apply"), parallel=1)


@pytest.mark.parametrize("apply", [in_one_region, in_many_regions])
def test_no_other_user_of_the_machine_reads_a_state_that_could_not_be_uploaded(
    small: Small, apply: Callable[[Terraform, Path], None]
) -> None:
    """Terraform keeps it in a file."""
    kept = small.folder / "errored.tfstate"
    former = os.umask(0o022)
    try:
        with (
            http.server.ThreadingHTTPServer(("127.0.0.1", 0), NoState) as server,
            program_module.installed_terraform(os.environ) as program,
        ):
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            address = f"http://127.0.0.1:{server.server_port}"
            document = {
                "terraform": {"backend": {"http": {"address": address}}},
                "resource": {"terraform_data": {"small": {}}},
            }
            (small.folder / "cdk.tf.json").write_text(json.dumps(document))
            program.init(small.folder)
            with pytest.raises(UserError):
                apply(program, small.folder)
            server.shutdown()
    finally:
        os.umask(former)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_no_other_user_enters_the_folders_where_cdktfs_program_runs_terraform() -> None:
    """It keeps a state there that it cannot upload."""
    environment = load_environment(os.environ)
    folder = environment.out_dir / "stacks"
    folder.mkdir(parents=True, mode=0o755)
    synthesize(environment)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_an_initialized_folder_is_not_initialized_again(
    small: Small, started: Callable[[], list[str]]
) -> None:
    small.init()
    small.init()
    small.write("state", "2")
    small.init()
    assert started() == ["init"]


def test_another_backend_is_initialized(
    small: Small, started: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    small.init()
    small.write("other", "1")
    small.init()
    small.init("-backend-config=workspace_dir=spaces")
    monkeypatch.setenv("TF_CLI_ARGS_init", "-backend-config=path=third.tfstate")
    small.init("-backend-config=workspace_dir=spaces")
    assert started() == ["init"] * 4
    small.init("-backend-config=workspace_dir=spaces")
    assert started() == []


def test_a_folder_that_points_to_another_state_is_initialized(
    small: Small, started: Callable[[], list[str]]
) -> None:
    small.init()
    backend = small.folder / ".terraform" / "terraform.tfstate"
    text = backend.read_text()
    backend.write_text(text.replace("state.tfstate", "other.tfstate"))
    small.init()
    assert backend.read_text() == text
    shutil.rmtree(backend.parent)
    small.init()
    assert backend.read_text() == text
    assert started() == ["init"] * 3


def test_init_runs_again_after_a_failure_and_on_request(
    small: Small, started: Callable[[], list[str]]
) -> None:
    small.init()
    small.init(quiet=False)
    with (
        program_module.installed_terraform(os.environ) as program,
        pytest.raises(UserError, match="plan failed for small"),
    ):
        program.run(small.folder, "plan", "-no-such-option")
    small.init()
    assert started() == ["init", "init", "plan", "init"]
