"""The certificate as text."""

from collections.abc import Sequence
from pathlib import Path

from certify.documents import Findings, assumed_of, checked_by

_CLAIM = Path(__file__).with_name("page.md").read_text()


def stable(findings: Sequence[Findings]) -> str:
    """The part of the certificate that changes with the code alone."""
    types = sorted({name for found in findings for name in found.types})
    rows = "\n".join(
        f"| `{type_}` | {checked_by(type_)} | {assumed_of(type_)} |" for type_ in types
    )
    return f"{_CLAIM}\n## Resources\n\n| Type | Checked by | Assumed |\n|---|---|---|\n{rows}\n"


def of_run(findings: Sequence[Findings], seconds: float) -> str:
    """The part that changes with each run: what was judged and refused, and the time."""
    lines = [
        f"{found.title}: {found.judged} judged, {len(found.refused)} refused" for found in findings
    ]
    lines += [f"refused: {reason}" for found in findings for reason in found.refused]
    judged = sum(found.judged for found in findings)
    refused = sum(len(found.refused) for found in findings)
    lines.append(f"{judged} judged, {refused} refused, in {seconds:.0f} s")
    return "\n".join(lines)
