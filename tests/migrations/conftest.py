"""A server to try migrations on, without load."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.migration_trial.rig import Rig, rig


@pytest.fixture(scope="session")
def trial_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rig(tmp_path_factory.mktemp("rig")) as made:
        yield made
