"""Loads a provider package without the modules that the stacks do not use.

The package for AWS has a module for each of 2,212 types, once in Python and once in JavaScript. It
loads them all, and the stacks use about fifty:

- Python: the package's `__init__` imports every module. A parent package that is registered but not
  executed works the same for the modules in use, at none of that cost.
- JavaScript, which does the work: jsii unpacks and loads the package's whole archive. This module
  cuts an archive with the modules in use out of it once, keeps it in `infra/.gen`, and loads it
  under the same name and version, so that jsii does not load the whole one.

The synthesized files are the same, byte for byte.
"""

import hashlib
import importlib.util
import io
import json
import posixpath
import re
import sys
import tarfile
import tempfile
from collections.abc import Collection, Iterable, Iterator, Set
from pathlib import Path, PurePosixPath
from typing import IO

import jsii

GENERATED = Path(__file__).resolve().parents[1] / ".gen"

# The lines of `.jsii`, as jsii writes it, at which a type or a submodule begins.
_ENTRY = re.compile(rb'    "[^".]+\.(\w+)[".]')
_LAZY_EXPORT = re.compile(r"^Object\.defineProperty\(exports, '(\w+)'.*", re.MULTILINE)
_REQUIRED = re.compile(r'require\("(\.[^"]*)"\)')
# The archive has a layout that this module does not know.
_UNKNOWN_FORM = "unknown form"


def load_lean(package: str, seam: Path) -> None:
    """Register a provider package, and load only what the module `seam` imports from its archive.

    Does nothing if the package is loaded already, as a whole.

    Raises:
        ImportError: the package is not installed.
    """
    if package in sys.modules:
        return
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ImportError(f"{package} is not installed: run `make setup`")
    sys.modules[package] = importlib.util.module_from_spec(spec)
    modules = re.findall(rf"^from {package}\.(\w+) import", seam.read_text(), re.MULTILINE)
    (whole,) = Path(spec.origin).parent.glob("_jsii/*.tgz")
    lean = lean_archive(whole, modules, GENERATED)
    # Without one, the package loads the whole archive.
    if lean is not None:
        with tarfile.open(lean) as archive:
            description = json.load(_file(archive, archive.getmember("package/package.json")))
        jsii.load(description["name"], description["version"], str(lean))


def lean_archive(whole: Path, modules: Collection[str], folder: Path) -> Path | None:
    """The archive `whole` with the Python `modules` alone, cut out of it unless `folder` has it.

    It is the same byte for byte wherever it is made. None if `whole` has an unknown form.
    """
    wanted = {_key(module) for module in modules}
    made_from = repr((whole.name, whole.stat().st_size, sorted(wanted))).encode()
    digest = hashlib.sha256(made_from + Path(__file__).read_bytes()).hexdigest()
    lean = folder / f"{whole.name.removesuffix('.jsii.tgz')}-{digest[:16]}.tar"
    if lean.exists():
        return lean
    folder.mkdir(parents=True, exist_ok=True)
    # Made elsewhere first: a second process never sees half of it.
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        cut = Path(temporary) / lean.name
        try:
            _cut(whole, wanted, cut)
        except ValueError:
            return None
        cut.replace(lean)
    return lean


def _cut(whole: Path, wanted: Set[str], file: Path) -> None:
    with tarfile.open(whole, "r|gz") as source, tarfile.open(file, "w") as cut:
        for name, content in _lean_members(source, wanted):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            cut.addfile(member, io.BytesIO(content))


def _lean_members(source: tarfile.TarFile, wanted: Set[str]) -> Iterator[tuple[str, bytes]]:
    found = set[str]()
    required = set[str]()
    exported: Set[str] = set()
    for member in source:
        match PurePosixPath(member.name).parts:
            case ("package", ".jsii"):
                yield member.name, _lean_assembly(_file(source, member), wanted)
            case ("package", "package.json"):
                yield member.name, _file(source, member).read()
            case ("package", "lib", "lazy-index.js"):
                lines = _LAZY_EXPORT.finditer(_file(source, member).read().decode())
                exports = {_key(line[1]): line[0] for line in lines}
                exported = wanted & exports.keys()
                index = "\n".join(exports[module] for module in sorted(exported))
                yield "package/lib/index.js", index.encode()
            case ("package", "lib", module, *_, file) if file.endswith(".js"):
                if _key(module) in wanted:
                    content = _file(source, member).read()
                    found.add(_key(module))
                    required |= _required(member.name, content.decode())
                    yield member.name, content
    # A module that needs another one would miss it.
    if not wanted == found == exported or not required <= wanted:
        raise ValueError(_UNKNOWN_FORM)


def _required(file: str, code: str) -> set[str]:
    """The modules whose files a file loads, its own among them."""
    loaded = (
        PurePosixPath(posixpath.normpath(posixpath.join(posixpath.dirname(file), path)))
        for path in _REQUIRED.findall(code)
    )
    return {_key(path.parts[2]) for path in loaded}


def _lean_assembly(lines: Iterable[bytes], wanted: Set[str]) -> bytes:
    kept = []
    keep = True
    for line in lines:
        if not line.startswith(b"    "):
            keep = True
        elif entry := _ENTRY.match(line):
            keep = _key(entry[1].decode()) in wanted
        if keep:
            kept.append(line)
    # The last of the kept entries need not be the last of all.
    text = re.sub(rb"},\n  }", b"}\n  }", b"".join(kept))
    types = json.loads(text).get("types", {})
    if {_key(name.split(".")[1]) for name in types} != wanted:
        raise ValueError(_UNKNOWN_FORM)
    return text


def _key(module: str) -> str:
    """A module's name in any of its spellings: `s3_bucket`, `s3-bucket`, `s3Bucket`."""
    return re.sub("[-_]", "", module).lower()


def _file(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(member)
    if file is None:
        raise ValueError(_UNKNOWN_FORM)
    return file
