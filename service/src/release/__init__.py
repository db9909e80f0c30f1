"""What stands between a new version of the service and its callers."""
