"""Brings the database to the schema that this release of the service needs."""
