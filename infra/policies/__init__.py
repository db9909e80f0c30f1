"""IAM policies as data, by audience."""
