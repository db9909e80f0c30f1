"""The release tool."""
