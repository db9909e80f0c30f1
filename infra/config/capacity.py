"""What Aurora's instance classes and Serverless v2 capacities can hold."""

from dataclasses import dataclass

# Default `max_connections` and memory by instance size, as AWS documents them:
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraMySQL.Managing.Performance.html
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Concepts.DBInstanceClass.Summary.html
_MEMORY_OPTIMIZED = {
    "large": (16, 1000),
    "xlarge": (32, 2000),
    "2xlarge": (64, 3000),
    "4xlarge": (128, 4000),
    "8xlarge": (256, 5000),
    "12xlarge": (384, 6000),
    "16xlarge": (512, 6000),
}
_BURSTABLE = {"medium": (4, 90), "large": (8, 135)}
_FAMILIES = {
    "t3": _BURSTABLE,
    "t4g": _BURSTABLE,
    "r5": _MEMORY_OPTIMIZED,
    "r6g": _MEMORY_OPTIMIZED,
    "r6i": _MEMORY_OPTIMIZED,
    "r7g": _MEMORY_OPTIMIZED,
    "r7i": _MEMORY_OPTIMIZED,
    "r8g": _MEMORY_OPTIMIZED,
}

# Serverless v2: `max_connections` by the maximum capacity, in ACUs of 2 GiB. Between two rows the
# lower one is the safe one.
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.setting-capacity.html
_SERVERLESS_CONNECTIONS = (
    (192, 6000),
    (128, 5000),
    (64, 4000),
    (32, 3000),
    (16, 2000),
    (8, 1000),
    (4, 135),
    (1, 90),
)
_GIB_PER_ACU = 2

# During a release, old environments keep their connections while new ones open theirs.
_VERSIONS_DURING_RELEASE = 2


@dataclass(frozen=True)
class Capacity:
    """What one database instance holds."""

    memory_gib: float
    max_connections: int


PROVISIONED = {
    f"db.{family}.{size}": Capacity(*numbers)
    for family, sizes in _FAMILIES.items()
    for size, numbers in sizes.items()
}


def serverless_capacity(max_acu: float) -> Capacity:
    """The capacity of a Serverless v2 instance that may grow to `max_acu` (1 or more)."""
    connections = next(found for acu, found in _SERVERLESS_CONNECTIONS if acu <= max_acu)
    return Capacity(max_acu * _GIB_PER_ACU, connections)


def connection_budget(capacity: Capacity, share_percent: int, *, proxy: bool) -> int:
    """How many functions may run concurrently, each with its own database connection.

    `share_percent` of the writer's connections are for services; the rest is for operators,
    migrations, monitoring and AWS itself. A proxy opens at most that many, and lends one only while
    a statement needs it. Without one, a release holds two connections per function.
    """
    share = capacity.max_connections * share_percent // 100
    return share if proxy else share // _VERSIONS_DURING_RELEASE
