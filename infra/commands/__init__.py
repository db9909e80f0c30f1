"""One module for each of the platform team's make targets."""

from shared.cli.errors import end_quietly_when_interrupted

end_quietly_when_interrupted()
