"""What every command-line tool of the project needs."""
