"""A stack of a few resources, for real Terraform in seconds instead of minutes."""

from typing import Any

REGION = "us-east-1"
ENVIRONMENT = "small"
PARAMETER = f"/trading-platform/{ENVIRONMENT}/v1/database/name"
STACK = f"trading-platform-useast1-{ENVIRONMENT}"

Document = dict[str, Any]


def small_stack() -> Document:
    """A published value, a topic, and a security group with one rule."""
    return {
        "terraform": {
            "required_providers": {"aws": {"source": "hashicorp/aws", "version": ">= 5.100.0"}}
        },
        "provider": {"aws": [{"region": REGION}]},
        "resource": {
            "aws_ssm_parameter": {
                "name": {"name": PARAMETER, "type": "String", "value": "trading"}
            },
            "aws_sns_topic": {
                "alarms": {
                    "name": f"trading-platform-alarms-useast1-{ENVIRONMENT}",
                    "display_name": "Alarms",
                }
            },
            "aws_vpc": {"vpc": {"cidr_block": "10.77.0.0/16"}},
            "aws_security_group": {
                "database": {"name": "small-database", "vpc_id": "${aws_vpc.vpc.id}"}
            },
            "aws_vpc_security_group_ingress_rule": {
                "database": {
                    "security_group_id": "${aws_security_group.database.id}",
                    "cidr_ipv4": "10.77.0.0/16",
                    "ip_protocol": "tcp",
                    "from_port": 3306,
                    "to_port": 3306,
                }
            },
        },
        "output": {"owner": {"value": "platform-team"}},
    }
