"""The certificate as text."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from certify.documents import Findings, assumed_of, checked_by
from infra.gate.quotas import quotas

_CLAIM = Path(__file__).with_name("page.md").read_text()


def stable(findings: Sequence[Findings]) -> str:
    """The part of the certificate that changes with the code alone."""
    types = sorted({name for found in findings for name in found.types})
    texts = sorted({text for type_ in types for text in assumed_of(type_)})
    numbers = {text: number for number, text in enumerate(texts, 1)}
    rows = [
        (
            f"`{type_}`",
            checked_by(type_),
            ", ".join(str(numbers[text]) for text in sorted(assumed_of(type_))) or "nothing",
        )
        for type_ in types
    ]
    return "\n".join(
        [
            _CLAIM,
            *_quotas(findings),
            "## Each type of resource",
            "",
            "The numbers are those of the assumptions below.",
            "",
            *_table(("Type", "Checked by", "Assumed"), rows),
            "",
            "## Assumptions",
            "",
            *(f"{number}. {text[0].upper()}{text[1:]}." for text, number in numbers.items()),
            "",
        ]
    )


def of_run(findings: Sequence[Findings], seconds: float) -> str:
    """The part that changes with each run: what was judged, refused and assumed, and the time."""
    judged = sum(found.judged for found in findings)
    refused = sum(len(found.refused) for found in findings)
    rows = [
        (found.title, f"{found.judged:,}", str(len(found.refused)), str(len(found.assumed)))
        for found in findings
    ]
    lines = [
        "# Certificate of this run",
        "",
        f"{judged:,} judged, {refused} refused, in {seconds:.0f} s. All that was recorded is "
        "judged. This refuses what is known to be bad; it does not say that AWS accepts the rest.",
        "",
        *_table(("What", "Judged", "Refused", "Assumptions"), rows),
        "",
    ]
    for heading, reasons in (
        ("Refused", [f"{found.title}: {text}" for found in findings for text in found.refused]),
        ("Assumed", sorted({text for found in findings for text in found.assumed})),
    ):
        if reasons:
            lines += [f"## {heading}", "", *(f"- {reason}" for reason in reasons), ""]
    return "\n".join(lines)


def _quotas(findings: Sequence[Findings]) -> list[str]:
    """What each profile takes of a new account's quotas, in the region that takes most."""
    profiles = [found for found in findings if found.taken]
    rows = [
        (
            f"[{quota.what}]({quota.source})",
            str(quota.most),
            *(str(found.taken.get(quota, 0)) for found in profiles),
        )
        for quota in quotas()
    ]
    titles = [found.title.rpartition(" ")[2] for found in profiles]
    return [
        "## Room in a new account",
        "",
        "A new account has quotas for each region. Other environments in the same region take of "
        "them, too.",
        "",
        *_table(("Of", "Quota", *titles), rows),
        "",
        "The service reserves no concurrent executions, so it runs in an account that has only 10.",
        "",
    ]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]
