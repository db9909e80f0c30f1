#!/usr/bin/env bash
# A Docker engine for machines that have none running: CI and development containers.
#
#   tests/docker/engine.sh start FOLDER   uses the engine that answers, else starts one
#   tests/docker/engine.sh stop FOLDER    ends the engine that `start` left running, if any
#
# Everything the engine keeps (images, log, pid) is under FOLDER; only its socket is at Docker's
# usual place, so that every tool finds it. Both verbs can be repeated. Exit code: 0 done,
# 1 could not be done (the reason is the last line on stderr), 2 wrong usage.
set -euo pipefail

# Debian keeps server programs where an ordinary user's PATH does not look.
PATH=$PATH:/usr/local/sbin:/usr/sbin
readonly START_SECONDS=30 STOP_SECONDS=30 SOCKET=/var/run/docker.sock

say() { echo "docker engine: $*" >&2; }
fail() { say "$*"; exit 1; }
answers() { timeout 10 docker info >/dev/null 2>&1; }

as_root() {
    if [[ $(id -u) -eq 0 ]]; then "$@"; else sudo -n "$@"; fi
}

require_root() {
    as_root true 2>/dev/null ||
        fail "none is running, and starting one needs root or sudo without a password"
}

# The pid of the engine started from this folder; fails when it is gone (a pid can be reused).
engine_pid() {
    local pid
    pid=$(as_root cat "$folder/dockerd.pid" 2>/dev/null) || return 1
    [[ $(cat "/proc/$pid/comm" 2>/dev/null) == dockerd ]] && echo "$pid"
}

# Quiet unless it fails: the package manager's own words then say why.
apt() {
    local output
    output=$(as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@" 2>&1) && return
    echo "$output" | tail -n 20 >&2
    fail "apt-get $1 failed"
}

install() {
    command -v apt-get >/dev/null || fail "dockerd is not installed, and there is no apt-get"
    say "installing docker.io ..."
    apt update
    apt install --no-install-recommends docker.io
    # Since Debian 13 the command line client is a package of its own.
    command -v docker >/dev/null || apt install --no-install-recommends docker-cli
}

start() {
    answers && { say "one is already running"; return; }
    require_root
    if ! { command -v dockerd && command -v docker; } >/dev/null; then install; fi
    # Where there is a service manager, installing the package has started the service.
    answers && { say "the installed service is running"; return; }

    mkdir -p "$folder"
    if ! engine_pid >/dev/null; then
        # In the background: it outlives this script and no terminal signal reaches it.
        # No group may use its socket: the user's own can have other members, and who may use it is as
        # good as root. https://docs.docker.com/engine/security/#docker-daemon-attack-surface
        as_root setsid dockerd --group 0 \
            --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/dockerd.pid" \
            >"$folder/dockerd.log" 2>&1 </dev/null &
    fi
    local deadline=$((SECONDS + START_SECONDS))
    until as_root chown "$(id -u)" "$SOCKET" 2>/dev/null && answers; do
        if ((SECONDS >= deadline)); then
            tail -n 5 "$folder/dockerd.log" >&2
            fail "no answer after $START_SECONDS s; its log: $folder/dockerd.log"
        fi
        sleep 0.5
    done
    say "started, pid $(engine_pid)"
}

stop() {
    local pid
    pid=$(engine_pid) || { say "none was started from $folder"; return; }
    as_root kill "$pid"
    local deadline=$((SECONDS + STOP_SECONDS))
    while engine_pid >/dev/null; do
        ((SECONDS < deadline)) || fail "pid $pid has not ended within $STOP_SECONDS s"
        sleep 0.2
    done
    say "stopped"
}

if [[ $# -ne 2 || ! $1 =~ ^(start|stop)$ ]]; then
    echo "usage: $0 start|stop FOLDER" >&2
    exit 2
fi
folder=$(realpath -m "$2")
"$1"
