"""One module for each of the platform team's make targets."""
