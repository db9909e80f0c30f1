"""Snapshots that execution environments start from: Lambda SnapStart.

https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
"""

import random
from collections.abc import Callable


def prepare(forget: Callable[[], object]) -> None:
    """Call `forget` in each environment that starts from a snapshot.

    Whatever is in a snapshot is the same in each environment that starts from it: connections that
    are long closed, and the state of a random generator.
    """
    try:
        from snapshot_restore_py import register_after_restore
    except ImportError:
        # Lambda's own Python has it, and no other takes snapshots.
        return
    register_after_restore(forget)
    register_after_restore(random.seed)
