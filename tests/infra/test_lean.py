"""The lean provider package: what it leaves out, and that results stay the same."""

import io
import json
import os
import runpy
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from infra.provider.lean import lean_archive, load_lean
from tests.support.synthesized import EVERYTHING, REGIONS

ASSEMBLY = """\
{
  "name": "provider",
  "dependencies": {
    "cdktf": "^1"
  },
  "types": {
    "provider.ecrImage.EcrImage": {
      "kind": "class"
    },
    "provider.s3Bucket.S3Bucket": {
      "kind": "class"
    },
    "provider.vpc.Vpc": {
      "kind": "class"
    }
  },
  "version": "1"
}"""
EXPORT = "Object.defineProperty(exports, '{}', {{ get: function () {{ }} }});\n"
LAZY_INDEX = "// generated\n" + "".join(map(EXPORT.format, ("ecrImage", "s3Bucket", "vpc")))
PACKAGE = {
    "package/.jsii": ASSEMBLY,
    "package/lib/ecr-image/index.js": "ecr",
    "package/lib/index.js": "all",
    "package/lib/lazy-index.js": LAZY_INDEX,
    "package/lib/s3-bucket/index.d.ts": "types",
    "package/lib/s3-bucket/index.js": "s3",
    "package/lib/vpc/index.js": 'require("cdktf"); require("./structs/index")',
    "package/lib/vpc/structs/index.js": 'require("../structs/more")',
    "package/package.json": "{}",
}


def archive(folder: Path, members: dict[str, str]) -> Path:
    file = folder / "provider@1.jsii.tgz"
    with tarfile.open(file, "w:gz") as package:
        for name, text in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            member.type = tarfile.DIRTYPE if text == "a folder" else tarfile.REGTYPE
            package.addfile(member, io.BytesIO(text.encode()))
    return file


def contents(file: Path) -> dict[str, str]:
    with tarfile.open(file) as package:
        files = {member.name: package.extractfile(member) for member in package}
        return {name: file.read().decode() for name, file in files.items() if file is not None}


def test_only_the_modules_in_use_are_kept(tmp_path: Path) -> None:
    lean = lean_archive(archive(tmp_path, PACKAGE), ["vpc", "s3_bucket"], tmp_path / "new")
    assert lean is not None
    assert contents(lean) == {
        "package/.jsii": ASSEMBLY.replace(
            '    "provider.ecrImage.EcrImage": {\n      "kind": "class"\n    },\n', ""
        ),
        "package/lib/index.js": (EXPORT.format("s3Bucket") + EXPORT.format("vpc")).rstrip(),
        "package/lib/s3-bucket/index.js": "s3",
        "package/lib/vpc/index.js": 'require("cdktf"); require("./structs/index")',
        "package/lib/vpc/structs/index.js": 'require("../structs/more")',
        "package/package.json": "{}",
    }


def test_the_cut_package_is_valid_without_the_last_module(tmp_path: Path) -> None:
    lean = lean_archive(archive(tmp_path, PACKAGE), ["ecr_image"], tmp_path)
    assert lean is not None
    assert '"kind": "class"\n    }\n  },\n  "version"' in contents(lean)["package/.jsii"]


def test_the_package_is_cut_once_and_reproducibly(tmp_path: Path) -> None:
    whole = archive(tmp_path, PACKAGE)
    one = lean_archive(whole, ["vpc"], tmp_path / "one")
    assert one is not None
    cut_at = one.stat().st_mtime_ns
    assert lean_archive(whole, ["vpc"], tmp_path / "one") == one
    assert one.stat().st_mtime_ns == cut_at
    other = lean_archive(whole, ["vpc"], tmp_path / "other")
    assert other is not None
    assert (other.name, other.read_bytes()) == (one.name, one.read_bytes())
    assert lean_archive(whole, ["vpc", "s3_bucket"], tmp_path / "one") != one
    assert sorted((tmp_path / "other").iterdir()) == [other]


@pytest.mark.parametrize(
    ("member", "text"),
    [
        ("package/.jsii", '{"schema": "jsii/file-redirect"}'),
        ("package/.jsii", ASSEMBLY.replace("    ", "  ")),
        ("package/.jsii", "no JSON"),
        ("package/.jsii", "a folder"),
        ("package/lib/lazy-index.js", ""),
        ("package/lib/vpc/index.js", None),
        ("package/lib/vpc/index.js", 'require("../s3-bucket/index")'),
    ],
)
def test_an_archive_of_another_form_is_left_as_it_is(
    member: str, text: str | None, tmp_path: Path
) -> None:
    members = {name: old for name, old in PACKAGE.items() if text or name != member}
    if text is not None:
        members[member] = text
    members.pop("package/lib/vpc/structs/index.js")
    assert lean_archive(archive(tmp_path, members), ["vpc"], tmp_path / "new") is None
    assert list((tmp_path / "new").iterdir()) == []


def synthesize(folder: Path, prelude: str = "") -> dict[str, bytes]:
    program = f"{prelude}\nfrom infra.main import main\nmain()"
    subprocess.run(
        [sys.executable, "-c", program],
        env={
            "PATH": os.environ["PATH"],
            "CDKTF_OUTDIR": str(folder),
            "ENVIRONMENT_FILE": str(EVERYTHING),
            "REGIONS": ",".join(REGIONS),
        },
        check=True,
    )
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.json")}


def test_the_lean_package_synthesizes_what_the_whole_one_does(tmp_path: Path) -> None:
    # Imported before the app, the whole package is loaded as usual.
    whole = synthesize(tmp_path / "whole", "import cdktf_cdktf_provider_aws")
    assert len(whole) == 2 * len(REGIONS) + 1
    assert synthesize(tmp_path / "lean") == whole


def test_a_package_that_cannot_be_cut_is_left_to_load_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "uncut_provider"
    (package / "_jsii").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError")
    (package / "vpc.py").write_text("name = 'vpc'")
    archive(package / "_jsii", {})
    seam = tmp_path / "seam.py"
    seam.write_text("from uncut_provider.vpc import name\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("infra.provider.lean.GENERATED", tmp_path / "new")
    monkeypatch.setattr("jsii.load", pytest.fail)
    load_lean("uncut_provider", seam)
    assert runpy.run_path(str(seam))["name"] == "vpc"


def test_no_package_of_the_shared_temporary_folder_is_loaded(tmp_path: Path) -> None:
    """Any user of the machine can leave a package.json in /tmp."""
    loaded = tmp_path / "loaded"
    (tmp_path / "package.json").write_text('{"name": "cdktf", "exports": "./evil.js"}')
    (tmp_path / "evil.js").write_text(f"require('fs').writeFileSync({json.dumps(str(loaded))}, '')")
    # As jsii looks for a package.
    script = (
        "const fs = require('fs'), made = fs.mkdtempSync(require('os').tmpdir() + '/jsii-kernel-');"
        "try { require('module').createRequire(made + '/')('cdktf') }"
        "finally { fs.rmdirSync(made) }"
    )
    for node, is_loaded in (("node", True), (os.environ["JSII_NODE"], False)):
        loaded.unlink(missing_ok=True)
        subprocess.run(
            [node, "-e", script],
            env={**os.environ, "TMPDIR": str(tmp_path)},
            stderr=subprocess.DEVNULL,
            check=is_loaded,
        )
        assert loaded.exists() == is_loaded
