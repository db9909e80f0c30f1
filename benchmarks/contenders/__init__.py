"""The same job, `POST /trade` into the same table, as others do it. They run in .venv-bench."""
