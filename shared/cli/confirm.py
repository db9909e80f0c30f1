"""Asks the person at a terminal."""

from shared.cli.errors import UserError


def confirm(question: str) -> None:
    """Ask on the terminal; return if the answer is yes.

    Raises:
        UserError: it is anything else.
    """
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise UserError("nothing was changed")
