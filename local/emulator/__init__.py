"""AWS on one machine: ministack, and a module for each of its gaps.

`python -m local.emulator` starts it in the emulator's own virtual environment. The modules in
`gaps/` and `databases/` say what AWS does, what ministack does, and what they add. Remove a module
once ministack does the same. The `*_actions` modules hold the hooks that they share.
"""
