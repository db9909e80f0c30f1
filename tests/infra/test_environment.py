"""An environment's configuration: profiles, files, and refused values."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.resources import files
from ipaddress import IPv4Network
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlglot.dialects.mysql import MySQL

from infra.config.aurora import ENGINE_VERSIONS, RESERVED_WORDS, version_number
from infra.config.capacity import PROVISIONED, connection_budget, serverless_capacity
from infra.config.environment import ENVIRONMENTS, EnvironmentConfig, load_environment
from infra.config.naming import bucket_name, key_alias, log_group_name, resource_name
from infra.config.options import DatabaseConfig, NetworkConfig, RegionOptions
from infra.config.profiles import PROFILES, settings_of
from infra.config.regions import RegionConfig
from shared.cli.errors import UserError
from shared.naming import ENVIRONMENT_SUFFIX_MAX
from shared.regions import REGIONS

ROOT = Path(__file__).resolve().parents[2]


def loaded(folder: Path, text: str, **variables: str) -> EnvironmentConfig:
    """An environment with `text` as its file."""
    file = folder / "qa.toml"
    file.write_text(text)
    return load_environment({"ENVIRONMENT_FILE": str(file), "ENVIRONMENT_SUFFIX": "qa"} | variables)


def test_without_variables_it_is_dev_in_one_region() -> None:
    environment = load_environment({})
    assert environment.stack_names() == ("trading-platform-useast1-dev",)
    assert environment.profile == "dev"
    assert environment.remote_state
    assert environment.state_dir.name == ".state"
    assert environment.out_dir.parts[-2:] == ("infra", "cdktf.out")


def test_variables_choose_environment_regions_and_folders(tmp_path: Path) -> None:
    environment = load_environment(
        {
            "ENVIRONMENT_SUFFIX": "qa",
            "REGIONS": "us-east-1,us-east-2,us-west-2",
            "STATE": "local",
            "STATE_DIR": str(tmp_path / "state"),
            "CDKTF_OUTDIR": str(tmp_path / "out"),
        }
    )
    assert environment.stack_names() == (
        "trading-platform-useast1-qa",
        "trading-platform-useast2-qa",
        "trading-platform-uswest2-qa",
    )
    assert not environment.remote_state
    assert environment.state_dir == tmp_path / "state"
    assert environment.out_dir == tmp_path / "out"


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"ENVIRONMENT_SUFFIX": "Bad Name"}, "ENVIRONMENT_SUFFIX 'Bad Name': use 1 to 20"),
        ({"REGIONS": "mars-north-1"}, "REGIONS 'mars-north-1': name one or more of us-east-1"),
        ({"STATE": "consul"}, "STATE 'consul': use s3"),
        ({"ENVIRONMENT_FILE": "/nowhere.toml"}, "/nowhere.toml: there is no such file"),
        ({"ENVIRONMENT_FILE": "/"}, "/: it is a folder; name a TOML file"),
        ({"ENVIRONMENT_FILE": "/proc/self/mem"}, "/proc/self/mem: it cannot be read: Input/output"),
        ({"CDKTF_OUTDIR": __file__}, f"CDKTF_OUTDIR {__file__}: it is a file; name a folder"),
        ({"STATE_DIR": __file__}, f"STATE_DIR {__file__}: it is a file; name a folder"),
    ],
)
def test_a_variable_that_cannot_be_used_is_refused_in_one_line(
    variables: dict[str, str], complaint: str
) -> None:
    with pytest.raises(UserError, match=re.escape(complaint)) as refused:
        load_environment(variables)
    assert "\n" not in str(refused.value)


def test_a_dangling_link_is_not_the_same_as_no_file(tmp_path: Path) -> None:
    (tmp_path / "qa.toml").symlink_to(tmp_path / "gone.toml")
    with pytest.raises(UserError, match="it cannot be read: No such file"):
        load_environment({"ENVIRONMENT_FILE": str(tmp_path / "qa.toml")})


def test_the_engine_versions_are_those_that_cfn_lint_knows() -> None:
    folder = files("cfnlint.data.schemas.extensions.aws_rds_dbcluster")

    def versions(name: str) -> set[str]:
        text = (folder / f"{name}.json").read_text()
        return set(re.findall(r'"(8\.0\.mysql_aurora\.3\.[0-9.]+)"', text))

    known = versions("engine_version") - versions("engine_version_deprecated")
    assert set(ENGINE_VERSIONS) == known
    assert list(ENGINE_VERSIONS) == sorted(ENGINE_VERSIONS, key=version_number)


def test_the_default_version_is_the_newest_patch_of_the_version_with_long_support() -> None:
    patches = [version for version in ENGINE_VERSIONS if ".3.10." in version]
    assert DatabaseConfig().engine_version == patches[-1]


def test_the_reserved_words_are_those_that_sqlglot_quotes_for_mysql() -> None:
    assert set(MySQL.Generator.RESERVED_KEYWORDS) == RESERVED_WORDS


def test_a_file_may_start_with_a_byte_order_mark(tmp_path: Path) -> None:
    assert loaded(tmp_path, '\ufeffprofile = "dev"').profile == "dev"


@pytest.mark.parametrize("suffix", ["prod", "prd2", "prod-eu", "trading-production", "live"])
def test_a_suffix_that_sounds_like_production_needs_a_file(suffix: str, tmp_path: Path) -> None:
    complaint = f"'{suffix}': it sounds like production .*{suffix}.toml.*: dev, production$"
    with pytest.raises(UserError, match=complaint):
        load_environment({"ENVIRONMENT_SUFFIX": suffix})
    file = tmp_path / "any.toml"
    file.write_text("")
    named = load_environment({"ENVIRONMENT_SUFFIX": suffix, "ENVIRONMENT_FILE": str(file)})
    assert named.profile == "standard"


@pytest.mark.parametrize("suffix", ["pre-prod", "non-prod", "products", "preprod", "alive"])
def test_a_suffix_that_only_resembles_production_needs_none(suffix: str) -> None:
    assert load_environment({"ENVIRONMENT_SUFFIX": suffix}).profile == "standard"


def test_an_environment_says_which_profile_and_file_are_in_effect(tmp_path: Path) -> None:
    assert load_environment({"ENVIRONMENT_SUFFIX": "production"}).described == (
        "environment production: profile production, from infra/environments/production.toml"
    )
    assert load_environment({"ENVIRONMENT_SUFFIX": "qa"}).described == (
        "environment qa: profile standard, without a file (infra/environments/qa.toml does not "
        "exist)"
    )
    assert loaded(tmp_path, 'profile = "dev"').described == (
        f"environment qa: profile dev, from {tmp_path}/qa.toml"
    )


def test_an_environment_without_a_file_has_the_specified_shape() -> None:
    environment = load_environment({"ENVIRONMENT_SUFFIX": "anything"})
    assert environment.profile == "standard"
    settings = environment.settings
    assert (settings.database.instance_class, settings.database.readers) == ("db.r5.large", 2)
    assert settings.network == NetworkConfig(zones=("a", "b"), nat="single")
    assert settings.storage.expiration_days == 90
    assert settings.protection.prevent_destroy is False


@pytest.mark.parametrize("file", sorted(ENVIRONMENTS.glob("*.toml")), ids=lambda file: file.stem)
def test_every_file_in_the_repository_can_be_used_in_all_regions(file: Path) -> None:
    environment = load_environment({"ENVIRONMENT_SUFFIX": file.stem, "REGIONS": ",".join(REGIONS)})
    assert environment.file == file
    assert environment.profile == file.stem


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    text = """
        profile = "production"
        [network]
        zones = ["a", "c"]
        [database]
        readers = 1
        [regions.us-east-1]
        cidr = "172.16.0.0/16"
    """
    environment = loaded(tmp_path, text)
    production = settings_of("production")
    settings = environment.settings
    assert settings.database.readers == 1
    assert settings.network == NetworkConfig(zones=("a", "c"), nat="per-az")
    assert settings.database == production.database.model_copy(update={"readers": 1})
    assert settings.protection == production.protection
    (region,) = environment.regions
    assert str(region.network) == "172.16.0.0/16"
    assert [zone.name for zone in region.zones] == ["us-east-1a", "us-east-1c"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("profile =", "not TOML"),
        ('profile = "prod"', r"profile 'prod': use one of dev, standard, production"),
        ('profile = ["dev"]', r"profile \['dev'\]: use one of dev"),
        ("[databases]", "databases: there is no such key; did you mean database?"),
        ("database = 3", "database 3: make it a section"),
        (
            "[database]\nreader = 1",
            "database.reader: there is no such key; did you mean readers",
        ),
        (
            "[backup]\nx = 1",
            "backup.x: there is no such key; use one of plan, retention_",
        ),
        ('[database]\nreaders = "2"', "database.readers '2': use a whole number from 0 to 15"),
        ("[database]\nreaders = true", "database.readers True: use a whole number from 0 to 15"),
        ("[database]\nreaders = -1", "database.readers -1: use a whole number from 0 to 15"),
        ("[database]\nreaders = 1.5", "database.readers 1.5: use a whole number"),
        ("[database]\nproxy = 1", "database.proxy 1: use true or false"),
        ('[database]\nname = "Tr-1"', "database.name 'Tr-1': use a text as in trading"),
        ("[database]\nname = 1", "database.name 1: use a text"),
        (
            '[database]\ninstance_class = "db.m5.large"',
            "database.instance_class 'db.m5.large': use one of db.t3.medium",
        ),
        (
            "[database]\nenhanced_monitoring_seconds = true",
            "database.enhanced_monitoring_seconds True: use one of 0, 1, 5, 10",
        ),
        (
            "[database]\nenhanced_monitoring_seconds = 2",
            "database.enhanced_monitoring_seconds 2: use one of 0, 1, 5, 10",
        ),
        ('[network]\nnat = "both"', "network.nat 'both': use one of single, per-az, none"),
        ('[network]\nnat = "none"', 'network.nat "none": needs interface_endpoints = true'),
        ('[network]\nzones = "ab"', "network.zones 'ab': use a list, each item one of a, b, c"),
        ("[network]\nzones = [1, 2]", r"network.zones \[1, 2\]: use a list, each item one of a"),
        ('[network]\nzones = ["a"]', r"network.zones \['a'\]: list at least 2 distinct zones"),
        ('[network]\nzones = ["a", "a"]', r"network.zones \['a', 'a'\]: list at least 2 distinct"),
        (
            '[network]\nzones = ["a", "g"]',
            r"network.zones \['a', 'g'\]: use a list, each item one of",
        ),
        (
            "[database]\nmin_capacity = 1",
            "database.min_capacity: remove it, because it needs ser",
        ),
        (
            "[database]\nmax_capacity = 1",
            "database.max_capacity: remove it, because it needs ser",
        ),
        (
            '[database]\nserverless = true\ninstance_class = "db.r5.large"',
            "database.instance_class: remove it, because serverless = true takes the capacity",
        ),
        (
            "[database]\nserverless = true\nmin_capacity = 0.5\nauto_pause_seconds = 600",
            "database.auto_pause_seconds: remove it, because it needs .* min_capacity = 0",
        ),
        (
            "[database]\nserverless = true\nmin_capacity = 9",
            "database.min_capacity 9: use no more than max_capacity, 8",
        ),
        (
            "[database]\nserverless = true\nmin_capacity = 0.7",
            "database.min_capacity 0.7: use a number from 0 to 256 in steps of 0.5",
        ),
        (
            "[database]\nserverless = true\nmin_capacity = 0\nproxy = true",
            "database.proxy true: needs min_capacity above 0",
        ),
        (
            '[database]\ninstance_class = "db.t3.medium"',
            "database.performance_insights true: db.t3.medium does not support it",
        ),
        (
            '[database]\nbackup_window = "23:30-00:30"',
            "database.backup_window '23:30-00:30': start and end on the same day",
        ),
        (
            '[database]\nbackup_window = "07:00-07:29"',
            "database.backup_window '07:00-07:29': use at least 30 minutes",
        ),
        (
            '[database]\nbackup_window = "24:00-24:30"',
            "database.backup_window '24:00-24:30': use a text as in 07:00",
        ),
        (
            '[database]\nmaintenance_window = "sun:05:00-sun:05:10"',
            "database.maintenance_window 'sun:05:00-sun:05:10': use at least 30 minutes",
        ),
        (
            '[database]\nmaintenance_window = "sun:05:00-mon:06:00"',
            "database.maintenance_window 'sun:05:00-mon:06:00': start and end on the same day",
        ),
        (
            '[database]\nmaintenance_window = "son:05:00-son:06:00"',
            "database.maintenance_window 'son:05:00-son:06:00': use a text as in sun:",
        ),
        ('[database]\nname = "innodb"', "database.name 'innodb': MySQL reserves it"),
        ('[database]\nname = "rank"', "database.name 'rank': MySQL reserves it"),
        (
            '[database]\nmaster_username = "rdsadmin"',
            "database.master_username 'rdsadmin': it is reserved",
        ),
        (
            '[database]\nmaster_username = "trade_app"',
            "database.master_username 'trade_app': it is reserved",
        ),
        (
            '[database]\nengine_version = "8.0.mysql_aurora.3.10.99"',
            "database.engine_version '8.0.mysql_aurora.3.10.99': use one of 8.0.mysql_aurora.3.04",
        ),
        (
            "[database]\nserverless = true\nmin_capacity = 0\n"
            'engine_version = "8.0.mysql_aurora.3.04.6"',
            "database.min_capacity 0: 8.0.mysql_aurora.3.04.6 cannot pause; use 0.5 or more",
        ),
        (
            '[database]\nbackup_window = "08:00-09:00"',
            "database.backup_window: move it, because it overlaps maintenance",
        ),
        (
            '[database]\nbackup_window = "8-9"',
            "database.backup_window '8-9': use a text as in 07:0",
        ),
        (
            '[database]\nglobal_regions = ["us-east-1"]',
            r"database.global_regions \['us-east-1'\]: list at least 2 distinct regions, the",
        ),
        (
            '[database]\nglobal_regions = ["us-east-1", "us-east-1"]',
            "database.global_regions .*: list at least 2 distinct regions",
        ),
        (
            '[database]\nglobal_regions = ["us-east-1", "eu-west-1"]',
            "database.global_regions .*: use a list, each item one of us-east-1",
        ),
        (
            '[database]\nglobal_regions = ["us-east-2", "us-west-2"]',
            "database.global_regions .*: add us-east-1, which REGIONS names",
        ),
        (
            '[database]\nglobal_regions = ["us-east-1", "us-west-2"]\nproxy = true',
            "database.proxy true: remove it or global_regions",
        ),
        (
            '[database]\nglobal_regions = ["us-east-1", "us-west-2"]\nreaders = 15',
            "database.readers 15: a global database of 2 regions has at most 14",
        ),
        (
            '[database]\nglobal_regions = ["us-east-1", "us-west-2"]\nserverless = true',
            "database.min_capacity 0.5: a global database needs 8 or more",
        ),
        (
            '[database]\nglobal_regions = ["us-east-1", "us-west-2"]\n'
            'performance_insights = false\ninstance_class = "db.t4g.medium"',
            "database.instance_class db.t4g.medium: a global database needs a memory-optimized",
        ),
        (
            "[database]\nmaster_password_version = 2",
            "database.master_password_version: remove it, because it needs global_regions",
        ),
        ("[backup]\nretention_days = 9", "backup.retention_days: remove it, because it needs plan"),
        (
            '[observability]\nalarm_email = "me"',
            "observability.alarm_email 'me': use a text as in ops@example.com",
        ),
        (
            "[observability]\nlog_retention_days = 8",
            "observability.log_retention_days 8: use one of 1, 3, 5, 7, 14",
        ),
        ("[protection]\nrecovery_days = 3", "protection.recovery_days 3: use 0, or from 7 to 30"),
        ("regions = 1", "regions 1: make it sections, as in"),
        ("[regions]\nus-east-1 = 1", "regions.us-east-1 1: make it a section"),
        ("[regions.us-east-3]", "regions.us-east-3: there is no such region; did you mean us-east"),
        (
            '[regions.us-east-1]\nregion = "us-west-2"',
            "regions.us-east-1.region: there is no such key; did you mean backup_region",
        ),
        ('[regions.us-east-1]\ncidr = "x"', "regions.us-east-1.cidr 'x': use a text as in 10.10"),
        (
            '[regions.us-east-1]\ncidr = "10.0.0.1/16"',
            "regions.us-east-1.cidr '10.0.0.1/16': .* has host bits set",
        ),
        (
            '[regions.us-east-1]\ncidr = "10.0.0.0/8"',
            "regions.us-east-1.cidr '10.0.0.0/8': use a /16 of 10.0.0.0/8",
        ),
        *(
            (
                f'[regions.us-east-1]\ncidr = "{cidr}"',
                f"regions.us-east-1.cidr '{cidr}': use a /16 of 10.0.0.0/8, 172.16.0.0/12 or 192",
            )
            for cidr in ("169.254.0.0/16", "127.0.0.0/16", "100.64.0.0/16", "172.32.0.0/16")
        ),
        (
            '[regions.us-east-1]\nbackup_region = "us-east-1"',
            "regions.us-east-1.backup_region: name another region",
        ),
        (
            '[regions.us-east-1]\ncidr = "10.20.0.0/16"',
            "regions.us-east-1.cidr '10.20.0.0/16': it overlaps with that of us-east-2",
        ),
        (
            '[network]\nzones = ["a", "d"]',
            r"network.zones \['a', 'd'\]: us-east-2 has the zones a, b, c",
        ),
    ],
)
def test_a_mistake_in_a_file_is_one_line_that_names_file_key_and_what_is_allowed(
    tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(UserError, match=complaint) as error:
        loaded(tmp_path, text, REGIONS="us-east-1,us-east-2")
    assert str(error.value).startswith(f"{tmp_path}/qa.toml: ")
    assert "\n" not in str(error.value)


VALUES = st.one_of(
    st.booleans(),
    st.integers(-1, 40),
    st.floats(-1, 40),
    st.sampled_from(["none", "per-az", "07:00-07:30", "db.r6g.large", "", "x"]),
    st.lists(st.sampled_from("abz"), max_size=3),
    st.just(["a", "b"]),
)


def keys(*names: str) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from([*names, "other"]), VALUES, max_size=3) | VALUES


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "network": keys("zones", "nat", "interface_endpoints"),
            "database": keys("readers", "serverless", "min_capacity", "proxy", "instance_class"),
            "backup": keys("plan", "retention_days"),
            "protection": keys("recovery_days"),
            "other": VALUES,
        },
    )
)
def test_whatever_a_file_says_is_used_or_refused_in_one_line(table: dict[str, Any]) -> None:
    complaint = ""
    try:
        settings = settings_of("standard", table, "file: ")
    except UserError as error:
        complaint = str(error)
    if complaint:
        assert complaint.startswith("file: ")
        assert "\n" not in complaint
        return
    for section, values in table.items():
        for key, value in values.items():
            used = getattr(getattr(settings, section), key)
            assert used == (tuple(value) if isinstance(value, list) else value)


def test_the_pause_of_a_database_can_be_set(tmp_path: Path) -> None:
    environment = loaded(tmp_path, 'profile = "dev"\n[database]\nauto_pause_seconds = 900')
    assert environment.settings.database.auto_pause_seconds == 900
    back = loaded(tmp_path, 'profile = "dev"\n[database]\nserverless = false\nreaders = 1')
    assert back.settings.database.capacity == PROVISIONED["db.r5.large"]


def test_profiles_can_be_compared_in_one_environment() -> None:
    environment = load_environment({"ENVIRONMENT_SUFFIX": "qa", "REGIONS": "us-east-1,us-west-2"})
    for profile in PROFILES:
        compared = environment.with_profile(profile)
        assert compared.settings == settings_of(profile)
        assert compared.profile == profile
        assert compared.stack_names() == environment.stack_names()


def test_a_protected_environment_says_how_to_lift_the_protection(tmp_path: Path) -> None:
    loaded(tmp_path, "").check_destroyable()
    production = loaded(tmp_path, 'profile = "production"')
    with pytest.raises(UserError, match=r"prevent_destroy = false .*qa\.toml.*make deploy-infra"):
        production.check_destroyable()
    loaded(
        tmp_path, 'profile = "production"\n[protection]\nprevent_destroy = false'
    ).check_destroyable()


LETTERS = st.lists(st.sampled_from("abcdef"), min_size=2, unique=True)


# The letters that all regions have.
COMMON = st.lists(
    st.sampled_from(sorted(set.intersection(*(set(region.zones) for region in REGIONS.values())))),
    min_size=2,
    unique=True,
)


@given(st.permutations(list(REGIONS)), COMMON)
def test_no_two_subnets_of_any_two_regions_overlap(regions: list[str], letters: list[str]) -> None:
    subnets = [
        IPv4Network(cidr)
        for region in regions
        for zone in RegionConfig(region, letters).zones
        for cidr in (zone.public_cidr, zone.private_cidr)
    ]
    assert len(subnets) == len(regions) * len(letters) * 2
    assert not any(one.overlaps(other) for one, other in combinations(subnets, 2))


@given(st.sampled_from(list(REGIONS)), COMMON, st.integers(0, 255))
def test_subnets_lie_in_their_regions_network(region: str, letters: list[str], second: int) -> None:
    cidr = f"10.{second}.0.0/16"
    for zone in RegionConfig(region, letters, RegionOptions(cidr=cidr)).zones:
        assert IPv4Network(zone.public_cidr).subnet_of(IPv4Network(cidr))
        assert IPv4Network(zone.private_cidr).subnet_of(IPv4Network(cidr))


@given(LETTERS, st.sampled_from("abcdef"))
def test_a_further_zone_leaves_the_others_addresses_alone(letters: list[str], more: str) -> None:
    before = set(RegionConfig("us-east-1", letters).zones)
    after = set(RegionConfig("us-east-1", {*letters, more}).zones)
    assert before <= after


def test_a_new_region_is_one_row_of_the_table(tmp_path: Path) -> None:
    for folder in ("infra", "shared"):
        # With the lean provider in `.gen`, and with compiled files: both take seconds to make.
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("cdktf.out")
        )
    table = tmp_path / "shared" / "regions.py"
    first = 'Region("us-east-1"'
    row = 'Region("eu-west-1", "euwest1", "abc", "10.40.0.0/16", backup_region="us-east-1"),\n'
    table.write_text(table.read_text().replace(first, row + first, 1))
    variables = {
        **os.environ,
        "ENVIRONMENT_SUFFIX": "production",
        "REGIONS": "eu-west-1,us-east-1",
        "CDKTF_OUTDIR": str(tmp_path / "out"),
        "PYTHONPATH": str(tmp_path),
    }
    subprocess.run([sys.executable, "-m", "infra.main"], cwd=tmp_path, env=variables, check=True)
    stack = tmp_path / "out" / "stacks" / "trading-platform-euwest1-production" / "cdk.tf.json"
    document = json.loads(stack.read_text())
    regions = {
        provider.get("alias"): provider["region"] for provider in document["provider"]["aws"]
    }
    assert regions == {None: "eu-west-1", "copy": "us-east-1"} | {
        region: region for region in REGIONS
    }
    (vpc,) = document["resource"]["aws_vpc"].values()
    assert vpc["cidr_block"] == "10.40.0.0/16"
    zones = {subnet["availability_zone"] for subnet in document["resource"]["aws_subnet"].values()}
    assert zones == {"eu-west-1a", "eu-west-1b"}


@pytest.mark.parametrize("region", REGIONS)
def test_backups_go_to_another_region(region: str) -> None:
    assert RegionConfig(region).copy_region in set(REGIONS) - {region}


@given(st.sampled_from(sorted(PROVISIONED)), st.integers(10, 90), st.booleans())
def test_services_never_get_all_connections_of_the_writer(
    instance_class: str, share: int, proxy: bool
) -> None:
    capacity = PROVISIONED[instance_class]
    budget = connection_budget(capacity, share, proxy=proxy)
    assert 0 < budget < capacity.max_connections
    if not proxy:
        # While a release is under way, both versions' environments are connected.
        assert 2 * budget <= capacity.max_connections * share / 100


@given(st.floats(1, 256), st.floats(1, 256))
def test_more_serverless_capacity_never_holds_fewer_connections(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert serverless_capacity(low).max_connections <= serverless_capacity(high).max_connections


def test_a_database_has_the_capacity_of_its_class_or_of_its_largest_size() -> None:
    assert DatabaseConfig().capacity.memory_gib == 16
    assert DatabaseConfig(serverless=True, max_capacity=4).capacity.memory_gib == 8


def test_a_name_over_the_limit_is_an_error_and_not_cut() -> None:
    with pytest.raises(ValueError, match="63 characters"):
        resource_name("cluster", "us-east-1", "x" * 50)
    with pytest.raises(ValueError, match="63 characters"):
        bucket_name("us-east-1", "x" * 30, "data", "${data.account.id}")
    with pytest.raises(ValueError, match="50 characters"):
        resource_name("vault", "us-east-1", "x" * 21, "copy")
    assert resource_name("vault", "us-east-1", "x" * ENVIRONMENT_SUFFIX_MAX, "copy")


def test_a_buckets_name_carries_the_account_even_as_an_expression() -> None:
    assert (
        bucket_name("us-east-1", "dev", "data", "${data.account.id}")
        == "trading-platform-data-${data.account.id}-useast1-dev"
    )


def test_the_key_alias_has_the_specified_form() -> None:
    assert key_alias("us-west-2", "qa") == "alias/trading-us-west-2-qa"


def test_log_groups_of_an_environment_stand_together() -> None:
    assert (
        log_group_name("us-west-2", "qa", "flow-logs") == "/trading-platform/uswest2-qa/flow-logs"
    )
