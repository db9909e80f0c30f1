"""The seam to CDKTF."""

import importlib.util
import runpy
import sys

import pytest

from infra.provider import bindings


def test_the_seam_can_be_loaded_beside_a_provider_package_that_is_loaded_already() -> None:
    again = runpy.run_path(str(bindings.__file__))
    assert again["Vpc"] is bindings.Vpc


def test_every_class_of_the_seam_is_listed() -> None:
    assert sorted(bindings.__all__) == bindings.__all__
    assert all(hasattr(bindings, name) for name in bindings.__all__)


def test_a_missing_provider_package_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "cdktf_cdktf_provider_aws")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ImportError, match="make setup"):
        runpy.run_path(str(bindings.__file__))
