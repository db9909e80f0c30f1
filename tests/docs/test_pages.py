"""The pages name targets, files and sections that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
FENCED = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(`+)[^`]+\1")
COMMENT = re.compile(r"(?<=\s)#.*$", re.MULTILINE)
# What stands before the target: options, and variables such as `REGIONS=a,b`.
MAKE = re.compile(r"\bmake((?:\s+(?:--?[a-z-]+|[A-Z_]+=\S+))*)\s+([a-z][a-z-]*)")
LINK = re.compile(r"\]\(([^)\s]+)\)")


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
    """Whether a link of a page leads to a file that is there, and to a section of it."""
    path, _, anchor = link.partition("#")
    target = page.parent / path
    if not target.exists():
        return False
    return not anchor or anchor in anchors(target.read_text() if path else text)


def broken(page: Path, text: str) -> list[str]:
    """The links of a page that lead nowhere; those to other sites are not looked at."""
    links = LINK.findall(INLINE.sub("", FENCED.sub("", text)))
    return [
        link for link in links if not re.match(r"[a-z]+:", link) and not leads(page, text, link)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_what_is_there(page: Path) -> None:
    text = page.read_text()
    assert targets(text) <= TARGETS
    assert broken(page, text) == []


def test_what_is_not_there_is_found() -> None:
    text = "# A\n`REGIONS=a make --silent JSON=1 no-such`, make up, [x](#a) [y](#no) [z](none.md)"
    assert targets(text) == {"no-such"}
    assert broken(ROOT / "README.md", text) == ["#no", "none.md"]
