"""The development container starts with the commands of the README."""

import json
import re
from pathlib import Path

from local.emulator.installation import Installation

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
CONTAINER = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())


def test_it_starts_what_the_readme_starts() -> None:
    (commands,) = re.findall(r"```sh\n(make up .*?)```", README, re.DOTALL)
    assert CONTAINER["postStartCommand"] in commands
    # The first command installs all that the second one needs, while the container is made.
    assert CONTAINER["onCreateCommand"] == "make setup"


def test_it_has_what_the_readme_asks_for() -> None:
    (needed,) = re.findall(r"Python (3\.\d+) or newer, and Node\.js (\d+)", README)
    (python,) = re.findall(r"/python:3\.(\d+)-", CONTAINER["image"])
    (node,) = (each["version"] for name, each in CONTAINER["features"].items() if "node" in name)
    assert int(python) >= int(needed[0].partition(".")[2])
    assert int(node) >= int(needed[1])


def test_it_forwards_the_port_of_the_platform(tmp_path: Path) -> None:
    port = Installation.from_environment({"LOCAL_DIR": str(tmp_path)}).port
    assert CONTAINER["forwardPorts"] == [port]
    assert list(CONTAINER["portsAttributes"]) == [str(port)]
