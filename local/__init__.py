"""The platform on one machine: emulated AWS, a real database, the real deploy tools."""

from shared.cli.errors import end_quietly_when_interrupted

end_quietly_when_interrupted()
