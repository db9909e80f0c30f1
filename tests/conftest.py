"""What each test needs, how long it takes, and how the tests share two cores."""

import gc
import os
import sys
from collections.abc import MutableMapping
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support.needs import NEEDS, install, need_of

# What the tests that use a fixture need.
_FIXTURES = {
    "aws": ("emulator", "terraform"),
    "emulated_account": ("emulator",),
    "emulator": ("emulator",),
    "lives": ("emulator", "terraform"),
    "platform": ("platform",),
    "server": ("database",),
    "shops": ("platform",),
    "trial_rig": ("database",),
}
# What the tests of a file or folder need besides.
_FILES = {
    "tests/benchmarks": ("bench", "database"),
    "tests/faults": ("database", "emulator"),
    "tests/infra/test_leaving_cdktf.py": ("cdktn",),
    "tests/infra/test_review.py": ("terraform",),
    "tests/infra/test_scan.py": ("checks",),
    "tests/infra/test_state.py": ("checks",),
    "tests/infra/test_terraform.py": ("terraform",),
    "tests/local/test_database_server.py": ("database",),
    "tests/local/test_emulator.py": ("emulator", "terraform"),
    "tests/local/test_guard.py": ("emulator", "browser"),
    "tests/local/test_parameter_constraints.py": ("emulator",),
    "tests/local/test_recorder.py": ("emulator",),
    "tests/local/test_region_failover.py": ("emulator", "checks"),
    "tests/local/test_restore.py": ("emulator", "checks"),
    "tests/platform/test_documentation_page.py": ("browser",),
    "tests/platform/test_load.py": ("load",),
    "tests/platform/test_runbooks.py": ("checks",),
    "tests/security/test_audit.py": ("checks",),
    "tests/security/test_bill.py": ("checks",),
}
# These take minutes, or seconds where others take none: they apply, restore or break whole
# environments, load all of CDKTF, judge all profiles, or start pytest.
_SLOW = (
    "tests/platform",
    "tests/certify/test_certificate.py::test_names_are_judged_as_long_as_aws_gets_them",
    "tests/certify/test_certificate.py::test_the_page_is_the_certificate_of_the_code",
    "tests/certify/test_certificate.py::test_nothing_of_all_profiles_and_of_the_service_is_refused",
    "tests/infra/test_apply.py",
    "tests/infra/test_consumers.py::test_an_apply_warns_of_the_services_whose_values_it_changes",
    "tests/infra/test_deploy.py::test_a_lost_cluster_needs_its_name_and_leaves_a_snapshot",
    "tests/infra/test_deploy.py::test_a_loss_is_named_with_what_is_lost",
    "tests/infra/test_deploy.py::test_a_new_environment_beside_others_is_mentioned",
    "tests/infra/test_deploy.py::test_a_saved_plan_is_applied_once",
    "tests/infra/test_deploy.py::test_a_vault_with_recovery_points_stays_and_a_destroy_says_so_first",
    "tests/infra/test_deploy.py::test_an_empty_state_beside_a_published_contract_is_refused",
    "tests/infra/test_deploy.py::test_an_interruption_waits_for_a_review",
    "tests/infra/test_drift.py::test_a_planner_plans_and_finds_drift_where_terraform_reads_a_secret",
    "tests/infra/test_drift.py::test_drift_names_what_differs_from_reality_and_what_is_not_applied",
    "tests/infra/test_drift.py::test_drift_names_what_was_added_where_no_plan_shows_it",
    "tests/infra/test_leaving_cdktf.py",
    "tests/infra/test_main.py::test_a_changed_source_is_synthesized",
    "tests/infra/test_main.py::test_cdktf_is_not_loaded_if_nothing_is_synthesized",
    "tests/infra/test_lean.py::test_the_lean_package_synthesizes_what_the_whole_one_does",
    "tests/infra/test_state.py::test_a_deploy_bootstraps_only_where_nothing_was",
    "tests/infra/test_state.py::test_a_local_state_moves_to_the_bucket_as_it_is",
    "tests/infra/test_state.py::test_a_second_bootstrap_changes_nothing_and_the_state_is_in_the_bucket",
    "tests/infra/test_state.py::test_a_state_that_is_locked_or_lost_is_brought_back_by_the_runbook",
    "tests/infra/test_state.py::test_each_workspace_has_a_state_of_its_own",
    "tests/infra/test_state.py::test_two_applies_exclude_each_other_by_either_lock",
    "tests/infra/test_terraform.py::test_the_synthesized_stacks_of_all_regions_are_valid_terraform",
    "tests/local/test_restore.py",
    "tests/faults",
    "tests/security/test_threat_model.py::test_every_test_that_shows_a_control_exists",
    "tests/test_needs.py",
)
# These use a second platform. The files of each platform take about the same time.
_SECOND_PLATFORM = (
    "tests/platform/test_deploy_faults.py",
    "tests/platform/test_release.py",
    "tests/platform/test_rollback.py",
    "tests/platform/test_runbooks.py",
)
# These make their mistakes on a second platform, which takes about the same time as the first.
_SECOND_CAMPAIGN = (
    "tests/mistakes/test_edit_matrix.py",
    "tests/mistakes/test_reverts.py",
    "tests/mistakes/test_specified_commands.py",
)
# The longest files start first, so that the run does not end with one process at work.
_FIRST = (
    "tests/platform",
    "tests/infra/test_apply.py",
    "tests/infra/test_state.py",
    "tests/local/test_restore.py",
    "tests/faults",
    "tests/local/test_region_failover.py",
    "tests/infra/test_terraform.py",
    "tests/infra/test_consumers.py",
    "tests/infra/test_drift.py",
    "tests/infra/test_deploy.py",
    "tests/infra/test_lean.py",
    "tests/infra/test_cost.py",
    "tests/service/test_hostile_input.py",
    "tests/certify/test_certificate.py",
    "tests/infra/test_main.py",
    "tests/service/test_template.py",
    "tests/infra/test_environment.py",
    "tests/infra/test_data_platform.py",
)

# The variables that choose what a command works on. A shell may have them, as after
# `eval "$(make local-env)"`.
_CHOICES = (
    *("AGAINST", "ALLOW_LOSS", "BASE", "BUILD_DIR", "CDKTF_OUTDIR", "ENVIRONMENT_FILE"),
    *("ENVIRONMENT_SUFFIX", "EVENT", "FOLLOW", "FUNCTION", "GH_TOKEN", "GITHUB_REPOSITORY", "JSON"),
    *("LAMBDA_ARCHITECTURE", "LOCAL_DIR", "LOCAL_ENFORCE_IAM", "LOCAL_PORT_BASE"),
    *("LOCAL_RECORD_CALLS", "LOCK_ID", "NAME", "OUT", "PARALLEL", "PLAN", "PURGE", "RDS_CA_BUNDLE"),
    *("REGIONS", "REQUEST_ID", "SERVICE_PARAMETERS", "SERVICE_STAGE", "SINCE", "START_API_PORT"),
    *("STATE", "STATE_DIR", "TO"),
)

_running: list[pytest.Item] = []
_installed: set[str] = set()


class _ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """Keeps the tests of a file, and those that share a running platform, in one process."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file.startswith("tests/mistakes/"):
            return "second campaign" if file in _SECOND_CAMPAIGN else "first campaign"
        if not file.startswith("tests/platform/"):
            return file
        return "second platform" if file in _SECOND_PLATFORM else "first platform"


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _ByFile:
    """Give xdist the scheduler."""
    return _ByFile(config, log)


def forget_the_users_settings(variables: MutableMapping[str, str]) -> None:
    """Take out what would send tests to an account of the user's, to a proxy, or elsewhere."""
    for name in [name for name in variables if name.startswith("AWS_") or name in _CHOICES]:
        del variables[name]
    variables["AWS_CONFIG_FILE"] = variables["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    variables["AWS_EC2_METADATA_DISABLED"] = "true"
    given = variables.get("no_proxy") or variables.get("NO_PROXY") or ""
    hosts = ",".join(filter(None, [given, "127.0.0.1", "localhost"]))
    variables["NO_PROXY"] = variables["no_proxy"] = hosts


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--install`, which the targets of the Makefile give."""
    parser.addoption(
        "--install",
        action="store_true",
        help="install what a test needs before the first test that needs it",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known, and watch which processes the tests start."""
    forget_the_users_settings(os.environ)
    for name, meaning in NEEDS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    config.addinivalue_line("markers", "pure: needs nothing but .venv and Node.js")
    config.addinivalue_line("markers", "slow: takes longer than most; only `make test` runs it")
    sys.addaudithook(_watch)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests, and put the longest files first and the end of a platform last."""
    for item in items:
        _mark(item)
    items.sort(key=_rank)
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Any:
    """Install what a test needs, and check that the test is marked for what it starts."""
    missing = _needs(item) - _installed
    if missing and item.config.getoption("install"):
        try:
            install(missing)
        except RuntimeError as error:
            pytest.exit(str(error), returncode=2)
        _installed.update(missing)
    _running.append(item)
    try:
        return (yield)
    finally:
        _running.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Any:
    """Let shared parts end with the last test, whatever that test is marked for."""
    if nextitem is None:
        _running.clear()
    return (yield)


def _mark(item: pytest.Item) -> None:
    fixtures = item.fixturenames if isinstance(item, pytest.Function) else ()
    for name in fixtures:
        for need in _FIXTURES.get(name, ()):
            item.add_marker(need)
    for path, names in _FILES.items():
        if _is_in(item, path):
            for need in names:
                item.add_marker(need)
    if not _needs(item):
        item.add_marker("pure")
    if any(_is_in(item, path) for path in _SLOW):
        item.add_marker("slow")


def _rank(item: pytest.Item) -> int:
    """The place of a test's file in the order of starts."""
    return next((rank for rank, path in enumerate(_FIRST) if _is_in(item, path)), len(_FIRST))


def _needs(item: pytest.Item) -> set[str]:
    return {marker.name for marker in item.iter_markers()} & NEEDS.keys()


def _is_in(item: pytest.Item, path: str) -> bool:
    """Whether a test is, or belongs to, what a path or an id of pytest names."""
    return item.nodeid == path or item.nodeid.startswith((f"{path}/", f"{path}::", f"{path}["))


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse to start a process that the running test is not marked for."""
    if event != "subprocess.Popen" or not _running:
        return
    command, item = arguments[1], _running[-1]
    need = need_of([command] if isinstance(command, str) else command)
    if need and not {need, "platform"} & _needs(item):
        raise RuntimeError(
            f"{item.nodeid} starts {command!r} and is not marked `{need}`: "
            "add its file or fixture to the tables in tests/conftest.py"
        )


def pytest_collection_finish() -> None:
    """Spare the garbage collector what the collected tests have loaded: it stays."""
    gc.collect()
    gc.freeze()
