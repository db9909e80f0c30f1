"""Parameter values in the SAM transform.

AWS: passes the values of a template's parameters to the SAM transform. It resolves references to
them in some properties (`AutoPublishCodeSha256`, `DefaultAuthorizer`, `DeploymentPreference`).
ministack: passes the parameters' defaults.
Here: the values of the operation are passed. Remove once ministack passes them.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from ministack.services.cloudformation import changesets, engine, handlers
from samtranslator.translator import transform as sam

_values: ContextVar[dict[str, Any]] = ContextVar("values", default={})  # noqa: B039 - never changed


def install() -> None:
    """Remember the values before a template is transformed, and use them in the transform."""
    sam.transform = _with_values(sam.transform)
    apply = _noting_values(engine._apply_transforms)
    for module in (engine, changesets, handlers):
        module._apply_transforms = apply


def _noting_values(original: Any) -> Any:
    def apply(template: Any, provided_params: Any = None, previous_params: Any = None) -> Any:
        values = engine._transform_parameters(template, provided_params, previous_params)
        token = _values.set(values)
        try:
            return original(template, provided_params, previous_params)
        finally:
            _values.reset(token)

    return apply


def _with_values(original: Any) -> Any:
    def transform(template: Any, parameters: dict[str, Any], policies: Any) -> Any:
        return original(template, {**_values.get(), **parameters}, policies)

    return transform
