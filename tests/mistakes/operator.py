"""An operator at work: a deployed environment, and the commands of the project."""

from __future__ import annotations

import copy
import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pymysql.err import MySQLError

from local.emulator.installation import Installation
from local.platform import aws_variables
from tests.support.emulator import Emulator, query

ROOT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
TRADES = 3
UNCHANGED = "No changes. Your infrastructure matches the configuration."
Document = Mapping[str, Any]


def edited(document: Document, key: str, value: Any) -> Document:
    """The environment's file with another value for `section.key`; None deletes the key."""
    changed = copy.deepcopy(dict(document))
    *sections, name = key.split(".")
    place = changed
    for section in sections:
        place = place.setdefault(section, {})
    if value is None:
        place.pop(name, None)
    else:
        place[name] = value
    return changed


def as_toml(document: Document, path: str = "") -> str:
    """The text of an environment's file."""
    plain = {key: value for key, value in document.items() if not isinstance(value, dict)}
    lines = [f"[{path}]"] if path else []
    lines += [f"{key} = {json.dumps(value)}" for key, value in plain.items()]
    text = "\n".join(lines) + "\n"
    for key, value in document.items():
        if isinstance(value, dict):
            text += as_toml(value, f"{path}.{key}" if path else key)
    return text


@dataclass
class Shop:
    """One deployed environment with trades in its database, and its operator's commands."""

    settings: Installation
    folder: Path
    suffix: str
    document: Document
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def emulator(self) -> Emulator:
        """The account in which it is deployed."""
        return Emulator(self.settings.folder, self.settings.port)

    @property
    def stack(self) -> str:
        """The name of the stack, which is that of the cluster as well."""
        return f"trading-platform-useast1-{self.suffix}"

    def variables(self, document: Document | None = None, **more: str) -> dict[str, str]:
        """The environment variables of a command, with the document as the environment's file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "environment.toml"
        file.write_text(as_toml(self.document if document is None else document))
        own = {
            "ENVIRONMENT_SUFFIX": self.suffix,
            "ENVIRONMENT_FILE": str(file),
            "REGIONS": REGION,
            "STATE_DIR": str(self.folder / "state"),
            "CDKTF_OUTDIR": str(self.folder / "out"),
        }
        return {**aws_variables(self.settings, os.environ), **own, **self.more, **more}

    def start(
        self,
        command: str,
        document: Document | None = None,
        *arguments: str,
        stdin: int = subprocess.DEVNULL,
        **more: str,
    ) -> subprocess.Popen[str]:
        """Start a command of infra.commands, or another module, in a process group of its own."""
        module = command if "." in command else f"infra.commands.{command}"
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=self.variables(document, **more),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(
        self, command: str, document: Document | None = None, *arguments: str, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command without a terminal, as a pipeline does."""
        process = self.start(command, document, *arguments, **more)
        said, _ = process.communicate(timeout=900)
        return subprocess.CompletedProcess(process.args, process.returncode, said)

    def at_a_terminal(
        self,
        command: str,
        answer: str,
        document: Document | None = None,
        *arguments: str,
        **more: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command with a terminal as standard input, and answer its question."""
        controller, terminal = pty.openpty()
        process = self.start(command, document, *arguments, stdin=terminal, **more)
        os.write(controller, f"{answer}\n".encode())
        said, _ = process.communicate(timeout=900)
        os.close(controller)
        os.close(terminal)
        return subprocess.CompletedProcess(process.args, process.returncode, said)

    def reviewed(self, document: Document) -> subprocess.CompletedProcess[str]:
        """Deploy by a saved plan, as a person does who has read it and gives up what it loses."""
        plans = str(self.folder / "plans")
        planned = self.run("plan", document, OUT=plans)
        if planned.returncode != 0:
            return planned
        losses = re.findall(r"^  loses: (\S+): ", planned.stdout, re.MULTILINE)
        named = ", ".join(f"{self.stack}: {address}" for address in dict.fromkeys(losses))
        applied = self.run("deploy", document, PLAN=plans, ALLOW_LOSS=named)
        said = planned.stdout + applied.stdout
        return subprocess.CompletedProcess(applied.args, applied.returncode, said)

    def lead_to(self, document: Document) -> None:
        """Deploy a file by a reviewed plan, which must succeed."""
        led = self.reviewed(document)
        assert led.returncode == 0, led.stdout

    def open(self) -> None:
        """Deploy the environment, and book trades."""
        deployed = self.run("deploy")
        assert deployed.returncode == 0, deployed.stdout
        self.sql("CREATE TABLE trading.trades (trade_id VARCHAR(36) PRIMARY KEY)")
        for number in range(TRADES):
            self.sql(f"INSERT INTO trading.trades VALUES ('TRADE-{number}')")

    def sql(self, statement: str) -> Any:
        """What the database's master user is answered."""
        rds = self.emulator.client("rds")
        (cluster,) = rds.describe_db_clusters(DBClusterIdentifier=self.stack)["DBClusters"]
        return query(self.emulator, cluster, statement)

    def trades(self) -> int:
        """The number of trades in the database; 0 if nobody can read them for half a minute."""
        for _ in range(6):
            with suppress(MySQLError, BotoCoreError, ClientError):
                ((count,),) = self.sql("SELECT COUNT(*) FROM trading.trades")
                return int(count)
            time.sleep(5)
        return 0

    def state(self) -> dict[str, Any]:
        """Terraform's state."""
        folder = Path(self.variables()["STATE_DIR"])
        return dict(json.loads((folder / f"{self.stack}.tfstate").read_text()))

    def resources(self) -> str:
        """The resources in the state, which each apply of a change rewrites."""
        return json.dumps(self.state()["resources"], sort_keys=True)
