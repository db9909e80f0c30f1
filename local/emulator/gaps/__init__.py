"""One module per gap in ministack that this platform would notice.

Each module has one function, `install()`, which replaces or wraps parts of ministack. A new module
in this folder is installed without being named anywhere else.
"""

from __future__ import annotations

import importlib
import pkgutil


def install() -> None:
    """Fill every gap, in the order of the modules' names."""
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        importlib.import_module(f"{__name__}.{module.name}").install()
