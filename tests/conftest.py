"""How the tests share two cores: waiting for Terraform in one process, computing in another."""

import pytest
from xdist.scheduler import LoadScopeScheduling


class _ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """Keeps the tests of a file, and all that share one running platform, in one process."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "tests/platform" if file.startswith("tests/platform/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _ByFile:
    """Give xdist the scheduler."""
    return _ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start first what waits longest, and run last what takes the shared platform apart."""
    items.sort(key=lambda item: "faults" not in item.path.parts)
    items.sort(key=lambda item: "platform" not in item.path.parts)
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)
