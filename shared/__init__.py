"""The contract between the data platform (`infra/`) and the services (`service/`)."""
