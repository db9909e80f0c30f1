"""Other ways to do the same job: `POST /trade` into the same table. They run in .venv-bench."""
