"""What makes files, and checks that run on a developer's machine."""
