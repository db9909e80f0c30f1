"""The image in which `sam local` runs Python functions: AWS's own, or a stand-in made here.

    python -m tests.docker.lambda_image

`sam local` pulls its base image from a public registry. Where no registry can be reached, this
builds an image of the same name from packages of Debian and PyPI: the same Python version,
`awslambdaric` (the client of the Lambda runtime API that AWS's image also runs) and boto3. `sam`
adds the runtime interface emulator and the template's layers to either image. The stand-in has a
label. To replace it with AWS's image, `docker pull` its name.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.start_api import PYTHON, architecture, base_image, docker, require_engine
from shared.cli.errors import UserError, exit_code

DEBIAN = "trixie"  # the Debian release whose python3 is PYTHON
# boto3 is the version that AWS documents for this runtime; functions may count on it.
RUNTIME_PACKAGES = ("awslambdaric==4.2.2", "boto3==1.40.4")

CACHE = Path(__file__).parents[2] / ".cache"
STAND_IN_LABEL = "trading-platform.stand-in"
PULL_SECONDS = 300

# By architecture in AWS: its name in Debian and in wheels.
_ARCHITECTURES = {"x86_64": ("amd64", "x86_64"), "arm64": ("arm64", "aarch64")}

# Layers come before the packages of the image, as in Lambda; `python -m` puts /var/task first.
_BOOTSTRAP = f"""#!/bin/sh
export AWS_EXECUTION_ENV=AWS_Lambda_python{PYTHON}
layers=/opt/python/lib/python{PYTHON}/site-packages:/opt/python
export PYTHONPATH="$layers:/var/runtime${{PYTHONPATH:+:$PYTHONPATH}}"
exec python{PYTHON} -m awslambdaric "$_HANDLER"
"""

_DOCKERFILE = f"""FROM scratch
ADD debian.tar /
COPY runtime /var/runtime
RUN mkdir -p /var/task /opt && python{PYTHON} -m compileall -q /var/runtime
ENV PATH=/usr/local/bin:/usr/bin:/bin:/opt/bin LD_LIBRARY_PATH=/var/task:/var/task/lib:/opt/lib \\
    LANG=C.UTF-8 TZ=:/etc/localtime LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime
WORKDIR /var/task
ENTRYPOINT ["/var/runtime/bootstrap"]
"""

# Identifies a stand-in that an older version of this file built.
_RECIPE = hashlib.sha256(
    "\n".join((DEBIAN, *RUNTIME_PACKAGES, _BOOTSTRAP, _DOCKERFILE)).encode()
).hexdigest()[:12]


def ensure_image() -> None:
    """Provide the image that `sam local` runs: keep, pull or build it (about a minute).

    Raises:
        UserError: no Docker engine answers, or the stand-in cannot be built on this machine.
    """
    require_engine()
    image = base_image()
    label = docker(
        "image", "inspect", f'--format={{{{index .Config.Labels "{STAND_IN_LABEL}"}}}}', image
    )
    if label.returncode == 0 and label.stdout.strip() in ("", _RECIPE):
        return
    if label.returncode != 0 and _pull(image):
        return
    _build(image)


def _pull(image: str) -> bool:
    with _step(f"pulling {image}"):
        pulled = docker("pull", "--quiet", image, seconds=PULL_SECONDS).returncode == 0
    if not pulled:
        print("cannot be pulled from its registry: building a stand-in", file=sys.stderr)
    return pulled


def _build(image: str) -> None:
    debian = CACHE / f"debian-{DEBIAN}-{architecture()}.tar"
    if not debian.exists():
        with _step(f"making a Debian {DEBIAN} file system"):
            _make_debian(debian)
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        context = Path(folder)
        with _step(f"installing {' '.join(RUNTIME_PACKAGES)}"):
            _install_runtime(context / "runtime")
        with _step(f"building {image}"):
            (context / "debian.tar").hardlink_to(debian)
            (context / "Dockerfile").write_text(_DOCKERFILE)
            _run(
                "docker", "build", "--quiet", f"--label={STAND_IN_LABEL}={_RECIPE}",
                f"--tag={image}", folder,
            )  # fmt: skip


def _make_debian(archive: Path) -> None:
    if not shutil.which("mmdebstrap"):
        _install_mmdebstrap()
    archive.parent.mkdir(parents=True, exist_ok=True)
    partial = archive.with_suffix(".partial.tar")
    # A fifth of the files are manuals, which functions do not read.
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("doc", "man", "locale")]
    _run(
        "mmdebstrap", "--quiet", "--variant=minbase", "--include=python3,ca-certificates",
        f"--architectures={_ARCHITECTURES[architecture()][0]}", *excluded,
        DEBIAN, str(partial), *_mirror(),
    )  # fmt: skip
    partial.rename(archive)


def _install_mmdebstrap() -> None:
    if not shutil.which("apt-get"):
        raise UserError("a stand-in is only built on Debian-like systems: pull the image")
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    apt = [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y"]
    _run(*apt, "update")
    _run(*apt, "install", "--no-install-recommends", "mmdebstrap", "debian-archive-keyring")


def _mirror() -> list[str]:
    """The Debian mirror that this machine's apt uses; none elsewhere: then the tool's default."""
    targets = _run(
        "apt-get", "indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)",
        "Created-By: Packages",
    )  # fmt: skip
    for line in targets.splitlines():
        origin, label, *uri = line.split(" ")
        if origin == label == "Debian":
            return uri
    return []


def _install_runtime(folder: Path) -> None:
    wheels = _ARCHITECTURES[architecture()][1]
    platforms = [f"--platform={tag}_{wheels}" for tag in ("manylinux_2_28", "manylinux2014")]
    _run(
        sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--only-binary=:all:",
        f"--python-version={PYTHON}", *platforms, f"--target={folder}", *RUNTIME_PACKAGES,
    )  # fmt: skip
    bootstrap = folder / "bootstrap"
    bootstrap.write_text(_BOOTSTRAP)
    bootstrap.chmod(0o755)


def _run(*command: str) -> str:
    """Run a command and give its output; its last line explains a failure."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        words = result.stderr.strip().splitlines() or ["(no message)"]
        raise UserError(f"{command[0]} failed: {words[-1]}")
    return result.stdout


@contextmanager
def _step(what: str) -> Iterator[None]:
    print(f"{what} ...", end=" ", file=sys.stderr, flush=True)
    start = time.monotonic()
    try:
        yield
    finally:
        print(f"{time.monotonic() - start:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(exit_code(ensure_image))
