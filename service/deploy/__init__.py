"""The release tool."""

from shared.cli.errors import end_quietly_when_interrupted

end_quietly_when_interrupted()
