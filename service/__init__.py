"""The app team's half: an AWS SAM application and its deploy tool."""
