"""The one way in which a command tells its user what to do."""

import sys
from collections.abc import Callable


class UserError(Exception):
    """A mistake that the user can mend; its text is one line that says how."""


def exit_code(command: Callable[[], None]) -> int:
    """Run `command` and give the process exit code.

    It is 0, 1 after printing a `UserError`, or 130 after Ctrl-C, as shells have it.
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
