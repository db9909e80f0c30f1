"""How every command tells its user what to do."""

import os
import sys
from collections.abc import Callable
from functools import partial
from types import TracebackType


class UserError(Exception):
    """A mistake that the user can correct; its text is one line that says how."""


def end_quietly_when_interrupted() -> None:
    """Have a Ctrl-C that nothing handles end the process with one word, and with no traceback.

    A command's package calls this before its modules are loaded, which takes seconds. Ctrl-C also
    ends the helper processes of a library, which then complains when it closes its pipes to them.
    """
    sys.excepthook = _show
    sys.unraisablehook = partial(_show_unraisable, sys.unraisablehook)


def _show(
    type_: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if issubclass(type_, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
    else:
        sys.__excepthook__(type_, error, traceback)


def _show_unraisable(
    hook: "Callable[[sys.UnraisableHookArgs], object]", unraisable: "sys.UnraisableHookArgs"
) -> None:
    if not issubclass(unraisable.exc_type, BrokenPipeError):
        hook(unraisable)


def exit_code(command: Callable[[], None]) -> int:
    """Run `command` and return the exit code of the process.

    It is 0, 1 after a `UserError`, which is printed, or 130 after Ctrl-C, as in a shell. A reader
    that has seen enough, such as `head`, is no error.
    https://docs.python.org/3/library/signal.html#note-on-sigpipe
    """
    try:
        command()
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at its end, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0
