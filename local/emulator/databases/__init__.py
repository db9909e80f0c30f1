"""Real database servers in Aurora's place."""

from local.emulator.databases import global_databases, point_in_time_recovery, renamed_databases
from local.emulator.databases.aurora_database import AuroraDatabases
from local.emulator.installation import Installation


def install(installation: Installation) -> AuroraDatabases:
    """Give ministack's clusters databases. The result starts and stops them."""
    point_in_time_recovery.install()
    databases = AuroraDatabases(installation)
    databases.install()
    global_databases.install(databases)
    renamed_databases.install(databases)
    return databases
