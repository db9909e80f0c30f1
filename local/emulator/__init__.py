"""AWS on one machine: ministack, run in-process with one module for each gap that it has.

`python -m local.emulator` starts it with the emulator's own virtual environment. Every gap module
says what AWS does, what ministack does, and has one `install` function; it can be dropped once
ministack has what it adds.
"""
