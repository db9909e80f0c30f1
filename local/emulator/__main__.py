"""Run the emulator in the foreground: `python -m local.emulator`.

LOCAL_DIR (default `.local`) holds all its files. LOCAL_PORT_BASE (default 14560) is its HTTP port;
database servers take the ports base+10 to base+39. With LOCAL_ENFORCE_IAM=1, IAM policies apply to
every access key but `test`. With LOCAL_RECORD_CALLS=1, `calls.jsonl` there has
each call. SIGTERM or Ctrl-C shuts it down.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sys

from local.emulator.installation import Installation, InstallationError, port_is_free


def main() -> int:
    """Run until stopped; the exit code is 1 if it could not start."""
    os.umask(0o077)  # other users of this machine may not read the state
    try:
        installation = Installation.from_environment(os.environ)
        installation.apply(os.environ)
    except (InstallationError, OSError) as error:
        return _refuse(str(error))
    with (installation.state / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return _refuse(f"an emulator already runs on {installation.folder}")
        lock.truncate(0)
        lock.write(f"{os.getpid()} {installation.port}")
        lock.flush()
        if not port_is_free(installation.port):
            return _refuse(f"port {installation.port} is in use (LOCAL_PORT_BASE chooses another)")
        _configure_logging()
        from local.emulator import server  # ministack reads the environment when it is imported

        server.run(installation)
    return 0


def _configure_logging() -> None:
    # Before ministack's own configuration, which logs every request.
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s [%(name)s] %(message)s"
    )
    for talkative in ("kms", "samtranslator"):  # warn about features that are not used here
        logging.getLogger(talkative).setLevel(logging.ERROR)


def _refuse(reason: str) -> int:
    print(f"emulator: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
