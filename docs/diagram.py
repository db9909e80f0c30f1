"""Draws docs/architecture.svg from what is deployed: `python -m docs.diagram`.

The left half shows the synthesized stack of the profile `standard` in one region. The right half
shows the SAM template, and the middle the contract. Nothing is drawn by hand.
"""

import json
import re
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from docs.shapes import LINE, Canvas, Rectangle, box_height
from infra.config.environment import load_environment
from infra.main import synthesize
from shared.contract.loader import Contract, load_contract
from shared.contract.template import consumed_parameters
from shared.naming import PLATFORM, REGION_CODES

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "architecture.svg"
TEMPLATE = ROOT / "service" / "template.yaml"

_NETWORK, _DATABASE, _STORAGE = "#7c3aed", "#2563eb", "#16a34a"
_SECURITY, _OPERATION, _COMPUTE = "#dc2626", "#db2777", "#ea580c"

_ENVIRONMENT = "standard"

_GAP = 12
_MARGIN = 24
_PLATFORM_WIDTH, _CONTRACT_WIDTH, _SERVICE_WIDTH = 660, 262, 330
_SERVICE_CHARACTERS = 44
_BETWEEN = 60
_CLIENTS = 62
_HEADER = 60
_CONSUMED, _NOT_CONSUMED = "●", "○"


@dataclass(frozen=True)
class Zone:
    """What is in one Availability Zone."""

    name: str
    public_cidr: str
    private_cidr: str
    nat: bool
    instances: Sequence[str]


@dataclass(frozen=True)
class Function:
    """One function of the service, and what triggers it."""

    name: str
    description: str
    triggers: Sequence[str]


class Stack:
    """What the picture needs of a synthesized stack."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._resources: Mapping[str, Mapping[str, Any]] = document["resource"]
        self.region: str = document["provider"]["aws"][0]["region"]
        self.backend: Mapping[str, Any] = document["terraform"]["backend"]["s3"]

    def all(self, type_: str) -> Sequence[Mapping[str, Any]]:
        """The resources of a type."""
        return list(self._resources.get(type_, {}).values())

    def zones(self) -> Sequence[Zone]:
        """The Availability Zones, by name."""
        nat_subnets = {gateway["subnet_id"] for gateway in self.all("aws_nat_gateway")}
        public: dict[str, tuple[str, bool]] = {}
        private: dict[str, str] = {}
        for name, subnet in self._resources["aws_subnet"].items():
            zone = subnet["availability_zone"]
            if "public" in name:
                public[zone] = (subnet["cidr_block"], f"${{aws_subnet.{name}.id}}" in nat_subnets)
            else:
                private[zone] = subnet["cidr_block"]
        return [
            Zone(
                zone,
                *public[zone][:1],
                private[zone],
                public[zone][1],
                [
                    instance["instance_class"]
                    for instance in self.all("aws_rds_cluster_instance")
                    if instance["availability_zone"] == zone
                ],
            )
            for zone in sorted(public)
        ]


def main() -> None:
    """Draw the picture again."""
    PICTURE.write_text(draw(standard_stack(), load_contract(), TEMPLATE))


def standard_stack() -> Stack:
    """The data platform with the profile `standard`, in one region."""
    environment = load_environment({"ENVIRONMENT_SUFFIX": _ENVIRONMENT}).with_profile("standard")
    with tempfile.TemporaryDirectory() as folder:
        synthesize(replace(environment, out_dir=Path(folder)))
        (name,) = environment.stack_names()
        return Stack(json.loads((Path(folder) / "stacks" / name / "cdk.tf.json").read_text()))


def draw(stack: Stack, contract: Contract, template: Path) -> str:
    """Both halves and the contract between them, as SVG."""
    consumed = {parameter.logical_name for parameter in consumed_parameters(template, contract)}
    service = _service(template)
    canvas = Canvas()
    platform = Rectangle(_MARGIN, _MARGIN, _PLATFORM_WIDTH, _platform_height(stack))
    height = max(
        platform.height,
        _HEADER + LINE * len(contract.parameters) + 60,
        _service_height(service),
    )
    middle = Rectangle(platform.right + _BETWEEN, _MARGIN, _CONTRACT_WIDTH, height)
    right = Rectangle(middle.right + _BETWEEN, _MARGIN, _SERVICE_WIDTH, height)
    cluster = _draw_platform(canvas, replace(platform, height=height), stack)
    _draw_contract(canvas, middle, contract, consumed)
    api = _draw_service(canvas, right, service)
    exchange = middle.y + 36
    canvas.line((platform.right + 4, exchange), (middle.x - 4, exchange))
    canvas.text(platform.right + _BETWEEN / 2, exchange - 8, "writes", "label", anchor="middle")
    canvas.line((middle.right + 4, exchange), (right.x - 4, exchange))
    canvas.text(middle.right + _BETWEEN / 2, exchange - 8, "reads", "label", anchor="middle")
    canvas.line((right.right + _CLIENTS, api), (right.right - 18, api))
    canvas.text(right.right + _CLIENTS - 2, api - 8, "HTTPS", "label", anchor="end")
    below, lane = _MARGIN + height + 28, platform.right + _BETWEEN / 2
    canvas.line(
        (right.x + right.width / 2, right.bottom),
        (right.x + right.width / 2, below),
        (lane, below),
        (lane, cluster.middle),
        (cluster.right + 1, cluster.middle),
    )
    canvas.text(
        (middle.x + middle.right) / 2,
        below - 8,
        "at run time: MySQL over TLS, in the VPC",
        "label",
        anchor="middle",
    )
    title = "The trading platform: data platform, contract and service"
    return canvas.document(right.right + _CLIENTS + 8, below + _MARGIN, title)


def _draw_platform(canvas: Canvas, panel: Rectangle, stack: Stack) -> Rectangle:
    regions = ", ".join(REGION_CODES)
    _panel(
        canvas,
        panel,
        "Data platform",
        f"platform team · infra/ · Terraform · a stack in each of {regions}",
        ("#eff6ff", "#93c5fd"),
    )
    (vpc,) = stack.all("aws_vpc")
    zones = stack.zones()
    vpc_place = Rectangle(panel.x + 16, panel.y + _HEADER, panel.width - 32, _vpc_height(zones))
    canvas.frame(vpc_place, "#faf5ff", "#c4b5fd")
    canvas.text(vpc_place.x + 14, vpc_place.y + 22, f"VPC {vpc['cidr_block']}", "title")
    endpoints = ", ".join(
        endpoint["service_name"].rpartition(".")[2] for endpoint in stack.all("aws_vpc_endpoint")
    )
    canvas.text(
        vpc_place.right - 14,
        vpc_place.y + 22,
        f"internet gateway · endpoints: {endpoints} · flow logs",
        "subheading",
        anchor="end",
    )
    column = (vpc_place.width - 28 - _GAP * (len(zones) - 1)) / len(zones)
    top = vpc_place.y + 38
    private_top = top + 24 + _public_height(zones) + _GAP
    for number, zone in enumerate(zones):
        x = vpc_place.x + 14 + number * (column + _GAP)
        _draw_zone(
            canvas, Rectangle(x, top, column, vpc_place.bottom - 14 - top), zone, private_top
        )
    cluster = Rectangle(
        vpc_place.x + 26,
        private_top + 30,
        vpc_place.width - 52,
        _cluster_height(zones),
    )
    canvas.frame(cluster, "#dbeafe", _DATABASE, dashed=True)
    (database,) = stack.all("aws_rds_cluster")
    readers = sum(len(zone.instances) for zone in zones) - 1
    canvas.text(
        cluster.x + 12,
        cluster.y + 20,
        f"Aurora MySQL · {database['engine_version'].rpartition('aurora.')[2]} · one writer, "
        f"{readers} readers",
        "title",
    )
    for number, zone in enumerate(zones):
        x = vpc_place.x + 14 + number * (column + _GAP) + 24
        for row, instance_class in enumerate(zone.instances):
            y = cluster.y + 32 + row * (box_height(0) + 8)
            place = Rectangle(x, y, column - 48, 0)
            canvas.box(place, f"instance · {instance_class}", [], _DATABASE)
    _draw_beside_vpc(
        canvas, Rectangle(panel.x + 16, vpc_place.bottom + 16, panel.width - 32, 0), stack
    )
    return cluster


def _draw_zone(canvas: Canvas, column: Rectangle, zone: Zone, private_top: float) -> None:
    canvas.text(column.x + 4, column.y + 14, zone.name, "label")
    public = Rectangle(column.x, column.y + 22, column.width, private_top - column.y - 22 - _GAP)
    canvas.frame(public, "#f0fdf4", "#86efac")
    canvas.text(public.x + 12, public.y + 20, f"public subnet {zone.public_cidr}", "label")
    if zone.nat:
        place = Rectangle(public.x + 12, public.y + 30, public.width - 24, 0)
        canvas.box(place, "NAT gateway", [], _NETWORK)
    private = Rectangle(column.x, private_top, column.width, column.bottom - private_top)
    canvas.frame(private, "#f1f5f9", "#cbd5e1")
    canvas.text(private.x + 12, private.y + 20, f"private subnet {zone.private_cidr}", "label")


def _draw_beside_vpc(canvas: Canvas, place: Rectangle, stack: Stack) -> None:
    width = (place.width - 2 * _GAP) / 3
    boxes = _beside_vpc(stack)
    rows = [boxes[start : start + 3] for start in range(0, len(boxes), 3)]
    y = place.y
    for row in rows:
        for number, (title, lines, colour) in enumerate(row):
            x = place.x + number * (width + _GAP)
            canvas.box(Rectangle(x, y, width, 0), title, lines, colour)
        y += box_height(_BESIDE_LINES) + _GAP


_BESIDE_LINES = 2


def _beside_vpc(stack: Stack) -> Sequence[tuple[str, Sequence[str], str]]:
    buckets = sorted(bucket["bucket"].split("-")[2] for bucket in stack.all("aws_s3_bucket"))
    versioned = len(stack.all("aws_s3_bucket_versioning")) == len(buckets)
    private = len(stack.all("aws_s3_bucket_public_access_block")) == len(buckets)
    kept = [name for name, true in (("private", private), ("versioned", versioned)) if true]
    # The environment's key first; that of the backups' copies may follow.
    key, alias = stack.all("aws_kms_key")[0], stack.all("aws_kms_alias")[0]
    alias_name = alias["name"].partition("/")[2].replace(_ENVIRONMENT, "<env>")
    rotation = ["rotated each year"] if key["enable_key_rotation"] else []
    (cluster,) = stack.all("aws_rds_cluster")
    secrets = [s["name"].rpartition("/")[2] for s in stack.all("aws_secretsmanager_secret")]
    if cluster.get("manage_master_user_password"):
        secrets.append(f"{cluster['master_username']}, by RDS")
    policies = sorted(policy["name"] for policy in stack.all("aws_iam_policy"))
    counts = {
        name: len(stack.all(f"aws_cloudwatch_{name}"))
        for name in ("dashboard", "log_group", "metric_alarm")
    }
    locks = ["lock file"] * stack.backend["use_lockfile"] + ["DynamoDB table"] * (
        "dynamodb_table" in stack.backend
    )
    return [
        ("KMS key", [alias_name, *rotation], _SECURITY),
        ("S3 buckets", [" · ".join(buckets), ", ".join(kept)], _STORAGE),
        ("Secrets Manager", secrets, _SECURITY),
        (
            "CloudWatch",
            [
                f"{counts['metric_alarm']} alarms to SNS",
                f"{counts['dashboard']} dashboard, {counts['log_group']} log groups",
            ],
            _OPERATION,
        ),
        ("IAM policies", [_short(name, stack) for name in policies], _SECURITY),
        ("Terraform state", ["S3, encrypted", " and ".join(locks)], _STORAGE),
    ]


def _short(name: str, stack: Stack) -> str:
    """A resource's name without the part that all names share."""
    own = name.removeprefix(f"{PLATFORM}-")
    return own.removesuffix(f"-{REGION_CODES[stack.region]}-{_ENVIRONMENT}").replace("-", " ")


def _draw_contract(
    canvas: Canvas, panel: Rectangle, contract: Contract, consumed: set[str]
) -> None:
    _panel(
        canvas,
        panel,
        f"Contract {contract.version}",
        "shared/contract.toml · SSM parameters",
        ("#fffbeb", "#fcd34d"),
    )
    y = panel.y + _HEADER + 22
    for parameter in contract.parameters:
        read = parameter.logical_name in consumed
        classes = ["mono"] if read else ["mono", "faint"]
        canvas.text(panel.x + 16, y, _CONSUMED if read else _NOT_CONSUMED, *classes)
        canvas.text(panel.x + 32, y, parameter.name, *classes)
        y += LINE
    canvas.text(panel.x + 16, panel.bottom - 14, f"{_CONSUMED} read by the service", "subheading")


@dataclass(frozen=True)
class _Service:
    api: str
    functions: Sequence[Function]
    others: Sequence[str]


def _draw_service(canvas: Canvas, panel: Rectangle, service: _Service) -> float:
    """Draw the service and return the height of its API."""
    _panel(canvas, panel, "Trade service", "app team · service/ · AWS SAM", ("#f0fdf4", "#86efac"))
    x, width = panel.x + 24, panel.width - 40
    y = panel.y + _HEADER + 8
    api = canvas.box(Rectangle(x, y, width, 0), f"API Gateway · {service.api}", [], _NETWORK)
    y = api.bottom + 26
    left = panel.x + 12
    for function in service.functions:
        lines = _function_lines(function)
        place = canvas.box(Rectangle(x, y, width, 0), f"Lambda · {function.name}", lines, _COMPUTE)
        if any(trigger.split()[0] in _METHODS for trigger in function.triggers):
            canvas.line((left, api.middle), (left, place.middle), (x - 1, place.middle))
        y = place.bottom + _GAP
    canvas.line((left, api.middle), (x, api.middle), head=False)
    for other in service.others:
        canvas.text(x, y + 16, other, "subheading")
        y += LINE
    return api.middle


_METHODS = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
_SERVERLESS = "AWS::Serverless::"
_SCHEDULE = "AWS::Scheduler::Schedule"


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags, whose meaning does not matter here."""


_Loader.add_multi_constructor("!", lambda _loader, _suffix, node: str(node.value))


def _service(template: Path) -> _Service:
    # The loader builds plain values only: it is a SafeLoader.
    document: Mapping[str, Any] = yaml.load(template.read_text(), Loader=_Loader)  # noqa: S506
    resources: Mapping[str, Any] = document["Resources"]
    schedules = [each for each in resources.values() if each["Type"] == _SCHEDULE]
    functions = [
        Function(
            name,
            resource["Properties"].get("Description", ""),
            [
                *(_trigger(event) for event in resource["Properties"].get("Events", {}).values()),
                *(_trigger(each) for each in schedules if _target(each) == name),
            ],
        )
        for name, resource in resources.items()
        if resource["Type"] == f"{_SERVERLESS}Function"
    ]
    (api,) = (
        n
        for n, r in resources.items()
        if r["Type"] in (f"{_SERVERLESS}Api", f"{_SERVERLESS}HttpApi")
    )
    drawn = {_SCHEDULE, *(f"{_SERVERLESS}{kind}" for kind in ("Api", "Function", "HttpApi"))}
    kinds = Counter(
        resource["Type"].rpartition("::")[2]
        for resource in resources.values()
        if resource["Type"] not in drawn
    )
    others = [
        f"{count} {_words(kind)}{'s' if count > 1 else ''}" for kind, count in sorted(kinds.items())
    ]
    return _Service(api, functions, _flowed(others, ", "))


def _trigger(event: Mapping[str, Any]) -> str:
    properties = event.get("Properties", {})
    if "Path" in properties:
        return f"{properties['Method'].upper()} {properties['Path']}"
    if "ScheduleExpression" in properties or "Schedule" in properties:
        return str(properties.get("ScheduleExpression") or properties["Schedule"])
    return str(event["Type"])


def _target(schedule: Mapping[str, Any]) -> str:
    """The function that a schedule calls: its name in the template."""
    arn: str = schedule["Properties"]["Target"]["Arn"]
    return arn.partition(".")[0]


def _words(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name).lower()


def _flowed(items: Sequence[str], separator: str = " ") -> Sequence[str]:
    """The items in as few lines as fit into a box of the service."""
    lines: list[str] = []
    for item in items:
        if lines and len(lines[-1]) + len(separator) + len(item) <= _SERVICE_CHARACTERS:
            lines[-1] += separator + item
        else:
            lines.append(item)
    return lines


def _function_lines(function: Function) -> Sequence[str]:
    return [*_flowed(function.description.split()), *_flowed(function.triggers, " · ")]


def _panel(
    canvas: Canvas, place: Rectangle, heading: str, subheading: str, colours: tuple[str, str]
) -> None:
    canvas.frame(place, *colours)
    canvas.text(place.x + 16, place.y + 28, heading, "heading")
    canvas.text(place.x + 16, place.y + 46, subheading, "subheading")


def _public_height(zones: Sequence[Zone]) -> float:
    return 42 + box_height(0) if any(zone.nat for zone in zones) else 32


def _cluster_height(zones: Sequence[Zone]) -> float:
    rows = max(len(zone.instances) for zone in zones)
    return 34 + rows * (box_height(0) + 8) + 4


def _vpc_height(zones: Sequence[Zone]) -> float:
    return 38 + 22 + _public_height(zones) + _GAP + 30 + _cluster_height(zones) + 14 + 14


def _platform_height(stack: Stack) -> float:
    rows = -(-len(_beside_vpc(stack)) // 3)
    return _HEADER + _vpc_height(stack.zones()) + 16 + rows * (box_height(_BESIDE_LINES) + _GAP) + 8


def _service_height(service: _Service) -> float:
    height = _HEADER + 8 + box_height(0) + 26
    for function in service.functions:
        height += box_height(len(_function_lines(function))) + _GAP
    return height + LINE * len(service.others) + 24


if __name__ == "__main__":
    main()
