"""Reads an environment from the variables and the file that describe it."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from infra.config.options import RegionOptions, Settings
from infra.config.profiles import DEFAULT_PROFILE, PRODUCTION, PROFILES, settings_of
from infra.config.regions import RegionConfig
from shared.cli.errors import UserError
from shared.naming import check_environment_suffix, check_regions, stack_name
from shared.regions import REGIONS
from shared.validation import read_section, suggest

_ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = _ROOT / "infra" / "environments"

# Names that people give to production: prod, prd2, trading-production; but not pre-prod, non-prod.
_LIKE_PRODUCTION = re.compile(r"(?!(.*-)?(pre|non)-)(.*-)?(prod|prd|production|live)[0-9]*(-.*)?")


@dataclass(frozen=True)
class EnvironmentConfig:
    """One environment, such as `dev`, with one stack in each of its regions."""

    suffix: str
    regions: tuple[RegionConfig, ...]
    state_dir: Path
    out_dir: Path
    # Terraform keeps its states in S3, or else in files in `state_dir`.
    remote_state: bool
    profile: str
    settings: Settings
    file: Path
    # The state stack gives API Gateway the role for its logs, unless another team has done so.
    sets_api_logs_role: bool = True

    def __post_init__(self) -> None:
        members = self.settings.database.global_regions
        for region in self.regions:
            if members and region.region not in members:
                raise ValueError(
                    f"database.global_regions {list(members)}: add {region.region}, which REGIONS "
                    "names"
                )
        for one, other in combinations(self.regions, 2):
            if one.network.overlaps(other.network):
                raise ValueError(
                    f"regions.{one.region}.cidr '{one.network}': it overlaps with that of "
                    f"{other.region}"
                )

    @property
    def described(self) -> str:
        """One line that says which profile and file are in effect."""
        file = self.file.resolve()
        name = file.relative_to(_ROOT) if file.is_relative_to(_ROOT) else self.file
        source = f"from {name}" if file.exists() else f"without a file ({name} does not exist)"
        return f"environment {self.suffix}: profile {self.profile}, {source}"

    def settings_in(self, region: RegionConfig) -> Settings:
        """The settings as a region has them, which depends on what its database runs on."""
        database = self.settings.database.running_on(region.running)
        return self.settings.model_copy(update={"database": database})

    def local_state_file(self, stack: str) -> Path:
        """The file of a stack's local state."""
        return self.state_dir / f"{stack}.tfstate"

    def stack_names(self) -> tuple[str, ...]:
        """The environment's stacks, in the order of its regions."""
        return tuple(stack_name(region.region, self.suffix) for region in self.regions)

    def waves(self) -> tuple[tuple[RegionConfig, ...], ...]:
        """The regions in the order of an apply; those of a wave are applied in parallel.

        The secondary regions of a global database join what the primary one has created.
        """
        primary = self.settings.database.global_regions[:1]
        first = tuple(region for region in self.regions if region.region in primary)
        others = tuple(region for region in self.regions if region.region not in primary)
        return tuple(wave for wave in (first, others) if wave)

    @property
    def production(self) -> bool:
        """Whether real trades are booked here: the profile says so, and nothing else does."""
        return self.profile == PRODUCTION

    def with_profile(self, profile: str) -> "EnvironmentConfig":
        """The same environment with a plain profile, to compare profiles."""
        settings = settings_of(profile)
        regions = (replace(region, zone_letters=settings.network.zones) for region in self.regions)
        return replace(self, profile=profile, settings=settings, regions=tuple(regions))

    def check_destroyable(self) -> None:
        """Do nothing if the environment may be destroyed.

        Raises:
            UserError: it is protected; the text says how to lift the protection.
        """
        if self.settings.protection.prevent_destroy:
            raise UserError(
                f"{self.suffix} is protected from being destroyed. To lift that, set "
                f"prevent_destroy = false under [protection] in {self.file}, run "
                "`make deploy-infra`, and then repeat this command"
            )


def load_environment(variables: Mapping[str, str]) -> EnvironmentConfig:
    """Read an environment's configuration from environment variables and its file.

    `ENVIRONMENT_SUFFIX` names the environment (default `dev`) and `REGIONS` its regions (default
    `us-east-1`). `STATE` says where Terraform keeps its states: `s3` (the default) or `local`,
    which is the folder `STATE_DIR` (default `.state` in the project's folder). Stacks are
    synthesized to `CDKTF_OUTDIR` (default `infra/cdktf.out`).

    The file is `infra/environments/<suffix>.toml`, or the one that `ENVIRONMENT_FILE` names.
    Without a file, the profile is `standard`.

    Raises:
        UserError: a variable or a key has a value that cannot be used.
    """
    suffix = check_environment_suffix(variables.get("ENVIRONMENT_SUFFIX", "dev"))
    names = check_regions(variables.get("REGIONS", "us-east-1"))
    state = variables.get("STATE") or "s3"
    if state not in ("s3", "local"):
        raise UserError(f"STATE {state!r}: use s3 (the default) or local")
    file, document = _document(suffix, variables.get("ENVIRONMENT_FILE") or "")
    profile = document.pop("profile", DEFAULT_PROFILE)
    if str(profile) not in PROFILES:
        raise UserError(f"{file}: profile {profile!r}: use one of {', '.join(PROFILES)}")
    options = _region_options(document.pop("regions", {}), f"{file}: ")
    settings = settings_of(profile, document, f"{file}: ")
    try:
        return EnvironmentConfig(
            suffix=suffix,
            regions=tuple(
                RegionConfig(name, settings.network.zones, options.get(name, RegionOptions()))
                for name in names
            ),
            state_dir=_folder(variables, "STATE_DIR", _ROOT / ".state"),
            out_dir=_folder(variables, "CDKTF_OUTDIR", _ROOT / "infra" / "cdktf.out"),
            remote_state=state == "s3",
            profile=profile,
            settings=settings,
            file=file,
        )
    except ValueError as error:
        raise UserError(f"{file}: {error}") from None


def _document(suffix: str, named_file: str) -> tuple[Path, dict[str, Any]]:
    """The environment's file and what it says."""
    file = Path(named_file or ENVIRONMENTS / f"{suffix}.toml")
    if file.exists() or file.is_symlink():
        return file, _read(file)
    if named_file:
        raise UserError(f"ENVIRONMENT_FILE {named_file}: there is no such file")
    if _LIKE_PRODUCTION.fullmatch(suffix):
        existing = ", ".join(sorted(file.stem for file in ENVIRONMENTS.glob("*.toml")))
        raise UserError(
            f"ENVIRONMENT_SUFFIX {suffix!r}: it sounds like production but has no file, so nothing "
            f"would protect its data: write infra/environments/{suffix}.toml, or use one that has "
            f"a file: {existing}"
        )
    return file, {}


def _read(file: Path) -> dict[str, Any]:
    try:
        # Editors on Windows start a file with a byte order mark, which TOML does not allow.
        return tomllib.loads(file.read_text("utf-8-sig"))
    except IsADirectoryError:
        raise UserError(f"{file}: it is a folder; name a TOML file") from None
    except OSError as error:
        raise UserError(f"{file}: it cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: not TOML: {error}") from None


def _region_options(tables: Any, where: str) -> Mapping[str, RegionOptions]:
    if not isinstance(tables, Mapping):
        raise UserError(
            f"{where}regions {tables!r}: make it sections, as in [regions.{next(iter(REGIONS))}]"
        )
    for region in tables:
        if region not in REGIONS:
            raise UserError(
                f"{where}regions.{region}: there is no such region; {suggest(region, REGIONS)}"
            )
    return {
        region: read_section(RegionOptions, table, f"{where}regions.{region}.")
        for region, table in tables.items()
    }


def _folder(variables: Mapping[str, str], name: str, default: Path) -> Path:
    folder = Path(variables.get(name) or default).resolve()
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{name} {folder}: it is a file; name a folder")
    return folder
