"""The boxes of the architecture, one module each."""

import infra.provider  # noqa: F401
