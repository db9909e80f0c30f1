"""Lambda SnapStart: execution environments that start from a snapshot.

https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
"""

import random
from collections.abc import Callable


def prepare(forget: Callable[[], object]) -> None:
    """Call `forget` in each environment that starts from a snapshot.

    Everything in a snapshot is the same in all environments that start from it, including closed
    connections and the state of the random generator.
    """
    try:
        from snapshot_restore_py import register_after_restore
    except ImportError:
        # Only Lambda's own Python has this module, and only Lambda takes snapshots.
        return
    register_after_restore(forget)
    register_after_restore(random.seed)
