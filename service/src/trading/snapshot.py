"""Snapshots that execution environments start from: Lambda SnapStart.

https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
"""

import importlib
import random
from collections.abc import Callable


def prepare(forget: Callable[[], object]) -> None:
    """Have a snapshot hold what is slow to load, and call `forget` in what starts from it.

    Whatever is in a snapshot is the same in each environment that starts from it: connections that
    are long closed, and the state of a random generator.
    """
    try:
        from snapshot_restore_py import register_after_restore, register_before_snapshot
    except ImportError:
        # Lambda's own Python has it, and no other takes snapshots.
        return
    register_before_snapshot(importlib.import_module, "boto3")
    register_after_restore(forget)
    register_after_restore(random.seed)
