"""How every command tells its user what to do."""

import sys
from collections.abc import Callable


class UserError(Exception):
    """A mistake that the user can correct; its text is one line that says how."""


def exit_code(command: Callable[[], None]) -> int:
    """Run `command` and return the exit code of the process.

    It is 0, 1 after a `UserError`, which is printed, or 130 after Ctrl-C, as in a shell.
    """
    try:
        command()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0
