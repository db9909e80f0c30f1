"""Serves the API's documentation as a web page that loads nothing from elsewhere."""
