"""Pages name existing targets, files and sections, and the reference is complete."""

import json
import re
from pathlib import Path

import pytest

from infra.config.options import RegionOptions, Settings
from shared.contract.loader import load_contract

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
# `docs/` has a folder for each kind of page, and only two pages outside them.
KINDS = {"decisions", "explanation", "how-to", "reference", "runbooks", "tutorial"}
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
# What the Makefile reads: `$(NAME)`, `NAME ?=`, and `NAME=` in the text that `make` prints.
READ = re.compile(
    r"\$\(([A-Z][A-Z_]+)\)|^(?:export )?([A-Z][A-Z_]+) \?=|(?<![A-Z_])([A-Z][A-Z_]+)="
)
# Variables that it sets itself, or that make, the shell or an example brings.
OWN = {
    "COMPILE",
    "CURDIR",
    "FOREIGN",
    "HOME",
    "LOCK",
    "MAKE",
    "MAKEFILE_LIST",
    "PATH",
    "PY",
    "PYTEST",
    "PYTHONPATH",
    "REQUIREMENTS",
    "SHOWN",
    "TMPDIR",
    "VENV",
}
FENCED = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(`+)[^`]+\1")
ASSIGNMENTS = re.compile(r"^(?:\w+=(?:\"[^\"]*\"|\S*)(?:\s+|$))*")
SECRET = re.compile(r"\$\{?AWS_(?:SECRET|SESSION)_|\bauth token\b|_TOKEN=|--password")
COMMENT = re.compile(r"(?<=\s)#.*$", re.MULTILINE)
ROW = re.compile(r"^\| `(.+?)` \|", re.MULTILINE)
# What stands before the target: options, and variables such as `REGIONS=a,b`.
MAKE = re.compile(r"\bmake((?:\s+(?:--?[a-z-]+|[A-Z_]+=\S+))*)\s+([a-z][a-z-]*)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
# A file of the project in a page's text, maybe with a test: `tests/docs/test_pages.py::test_x`.
FOLDERS = ".github|benchmarks|client|docs|infra|local|requirements|service|shared|tests"
FILE = re.compile(rf"`((?:{FOLDERS})/[\w./-]*)(?:::\w+)?`")
# A command or a reader creates these.
MADE = {
    "infra/.gen",
    "client/dist",
    "infra/cdktf.out",
    "service/.aws-sam",
    "shared/contract-v1.toml",
}


def targets(text: str) -> set[str]:
    """The targets of the commands in a page's code."""
    code = [*FENCED.finditer(text), *INLINE.finditer(FENCED.sub("", text))]
    commands = [COMMENT.sub("", match.group()) for match in code]
    return {target for each in commands for _, target in MAKE.findall(each)}


def anchors(text: str) -> set[str]:
    """What GitHub calls a page's sections."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads(page: Path, text: str, link: str) -> bool:
    """Whether a page's link leads to an existing file and section."""
    path, _, anchor = link.partition("#")
    target = page.parent / path
    if not target.exists():
        return False
    return not anchor or anchor in anchors(target.read_text() if path else text)


def missing(text: str) -> list[str]:
    """The project files that a page names and that do not exist."""
    return [file for file in FILE.findall(text) if not (ROOT / file).exists() and file not in MADE]


def broken(page: Path, text: str) -> list[str]:
    """A page's broken links; those to other sites are not checked."""
    links = LINK.findall(INLINE.sub("", FENCED.sub("", text)))
    return [
        link for link in links if not re.match(r"[a-z]+:", link) and not leads(page, text, link)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_what_is_there(page: Path) -> None:
    text = page.read_text()
    assert targets(text) <= TARGETS
    assert broken(page, text) == []
    assert missing(text) == []


def test_what_is_not_there_is_found() -> None:
    text = "# A\n`REGIONS=a make --silent JSON=1 no-such`, make up, [x](#a) [y](#no) [z](none.md)"
    assert targets(text) == {"no-such"}
    assert broken(ROOT / "README.md", text) == ["#no", "none.md"]
    assert missing("`infra/main.py`, `tests/no.py::test_x`, `/infra/no`") == ["tests/no.py"]


def variables(makefile: str) -> set[str]:
    """The variables that a user can set for the targets of a Makefile."""
    return {name for match in READ.findall(makefile) for name in match if name} - OWN


def described(page: str) -> set[str]:
    """What the tables of a page of the reference describe, row by row."""
    rows = ROW.findall((REFERENCE / f"{page}.md").read_text())
    return {name for row in rows for name in row.split("`, `")}


def test_what_a_page_restores_has_the_tags_of_its_environment() -> None:
    # Policies tell the databases of `dev` and `dev-2` apart by their tags.
    commands = [
        command
        for page in PAGES
        for command in re.findall(
            r"^aws rds (?:restore-db-|create-db-instance|create-db-cluster )(?:.*\\\n)*.*$",
            page.read_text(),
            re.MULTILINE,
        )
    ]
    assert len(commands) >= 3
    for command in commands:
        assert "--tags $TAGS" in command, command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_command_of_a_page_uses_a_name_in_the_shared_temporary_folder(page: Path) -> None:
    """Another user of the machine could make it first, and put what they like into it."""
    # Nor a folder below: what a version manager starts there, a file in a folder above can name.
    commands = "".join(block.group() for block in FENCED.finditer(page.read_text()))
    assert not re.search(r"/tmp\b|\bcd [^\n]*mktemp", commands)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_command_of_a_page_has_a_secret_in_its_arguments(page: Path) -> None:
    """Every user of the machine can read the arguments of a program, but not those of `printf`."""
    commands = "".join(block.group() for block in FENCED.finditer(page.read_text()))
    for line in commands.replace("\\\n", " ").splitlines():
        command = ASSIGNMENTS.sub("", line.strip())
        assert command.startswith("printf ") or not SECRET.search(command), line


def test_docs_has_a_folder_for_each_kind_of_page_and_a_map() -> None:
    assert {page.parent.name for page in DOCS.rglob("*.md")} == KINDS | {"docs"}
    pages = {page.name for page in DOCS.glob("*.md")}
    assert pages == {"README.md", "certificate.md", "glossary.md"}


def test_the_map_leads_to_every_page() -> None:
    pages = {page for page in DOCS.rglob("*.md") if page.name != "README.md"}
    linked = {
        (page.parent / link.partition("#")[0]).resolve()
        for page in DOCS.rglob("README.md")
        for link in LINK.findall(page.read_text())
    }
    assert pages <= linked


def test_every_target_is_described() -> None:
    assert described("commands") == {f"make {target}" for target in TARGETS}


def test_every_variable_of_the_makefile_is_described() -> None:
    assert variables(MAKEFILE) <= described("variables")


def test_what_a_makefile_reads_is_found() -> None:
    makefile = "A_B ?= x\nup: ## Start (C=1 too)\n\techo $(D_E) $(PY) FG=$(or $(HI),$(lower))\n"
    assert variables(makefile) == {"A_B", "D_E", "FG", "HI"}


def test_every_option_of_an_environment_is_described() -> None:
    sections = vars(Settings())
    page = (REFERENCE / "environments.md").read_text()
    parts = {part.partition("`")[0]: part for part in page.split("### `")[1:]}
    assert parts.keys() == {f"[{name}]" for name in (*sections, "regions.<region>")}
    for name, section in sections.items():
        rows = ROW.findall(parts[f"[{name}]"])
        assert {key for row in rows for key in row.split("`, `")} == vars(section).keys()
    region = set(ROW.findall(parts["[regions.<region>]"]))
    assert region == RegionOptions.model_fields.keys()


def test_the_changelog_has_the_versions_that_there_are() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    api = json.loads((ROOT / "service" / "openapi.json").read_text())["info"]["version"]
    assert f"Contract {load_contract().version}, API {api}." in changelog
