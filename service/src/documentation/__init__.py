"""The API's documentation as a page in the browser, with all that it needs from here."""
