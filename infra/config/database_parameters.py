"""The parameters of the database, by name.

Aurora's parameter groups and the database servers of the platform on one machine are both made from
these, so that they cannot differ. All are dynamic: a change needs no restart.
https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraMySQL.Reference.ParameterGroups.html
"""

CLUSTER_PARAMETERS = {
    "character_set_server": "utf8mb4",
    "collation_server": "utf8mb4_0900_ai_ci",
    "require_secure_transport": "ON",
    "time_zone": "UTC",
    # Feed the export of the audit log.
    "server_audit_events": "CONNECT,QUERY_DCL,QUERY_DDL",
    "server_audit_logging": "1",
}
INSTANCE_PARAMETERS = {
    # MySQL 8.0's default, which a parameter group of RDS does not state: a value that does not fit
    # its column is an error and is never cut.
    # https://dev.mysql.com/doc/refman/8.0/en/sql-mode.html
    "sql_mode": (
        "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
        "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
    ),
    # With a binary log, a user without SUPER creates triggers only with this setting. The service's
    # migrations create triggers.
    # https://dev.mysql.com/doc/refman/8.0/en/stored-programs-logging.html
    "log_bin_trust_function_creators": "1",
    # Feed the export of the slow query log, which reads files.
    "log_output": "FILE",
    "slow_query_log": "1",
    "long_query_time": "1",
}
