#!/usr/bin/env bash
# Checks that programs from outside PyPI are there, and installs what it can:
#   local/prerequisites.sh python|node|terraform|mariadb|chromium ...
set -euo pipefail

TERRAFORM_VERSION=1.11.4
TERRAFORM_MINIMUM=1.10
root=$(cd "$(dirname "$0")/.." && pwd)

fail() {
    echo "error: $*" >&2
    exit 1
}

# at_least HAVE WANT: whether version HAVE is WANT or newer.
at_least() {
    [ "$(printf '%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif sudo -n true 2>/dev/null; then
        sudo "$@"
    else
        return 1
    fi
}

need_python() {
    command -v python3 >/dev/null || fail "python3 is missing: install Python 3.11 or newer"
    at_least "$(python3 -c 'import platform; print(platform.python_version())')" 3.11 ||
        fail "python3 is $(python3 --version): install Python 3.11 or newer"
}

need_node() {
    command -v node >/dev/null || fail "node is missing: install Node.js 18 or newer (CDKTF runs on it)"
    at_least "$(node --version | tr -d v)" 18 ||
        fail "node is $(node --version): install Node.js 18 or newer (CDKTF runs on it)"
}

need_terraform() {
    if command -v terraform >/dev/null; then
        local version
        version=$(terraform version -json 2>/dev/null | python3 -c 'import json, sys; print(json.load(sys.stdin)["terraform_version"])')
        at_least "$version" "$TERRAFORM_MINIMUM" ||
            fail "terraform is $version: install $TERRAFORM_MINIMUM or newer, or take it off PATH"
        return
    fi
    local system machine name base folder
    system=$(uname -s | tr '[:upper:]' '[:lower:]')
    case $(uname -m) in
        x86_64 | amd64) machine=amd64 ;;
        arm64 | aarch64) machine=arm64 ;;
        *) fail "no Terraform download for $(uname -m): install terraform $TERRAFORM_MINIMUM or newer" ;;
    esac
    name=terraform_${TERRAFORM_VERSION}_${system}_${machine}.zip
    base=${TERRAFORM_DOWNLOAD_URL:-https://releases.hashicorp.com/terraform}/$TERRAFORM_VERSION
    folder=$(mktemp -d)
    # shellcheck disable=SC2064  # the folder of now, not of then
    trap "rm -rf '$folder'" EXIT
    echo "Downloading terraform $TERRAFORM_VERSION"
    curl --fail --silent --show-error --location --max-time 300 \
        --output "$folder/$name" "$base/$name" \
        --output "$folder/sums" "$base/terraform_${TERRAFORM_VERSION}_SHA256SUMS" ||
        fail "terraform is missing and could not be downloaded: install terraform $TERRAFORM_MINIMUM or newer"
    (cd "$folder" && grep " $name\$" sums | sha256sum --check --status) ||
        fail "the download of terraform does not have its published checksum; nothing was installed"
    python3 -m zipfile -e "$folder/$name" "$folder"
    install -m 755 "$folder/terraform" "$root/.venv/bin/terraform"
}

# install_packages WHAT APT_PACKAGES DNF_PACKAGES: with the system's package manager, quietly.
install_packages() {
    echo "Installing $1"
    local log apt dnf
    log=$(mktemp)
    read -ra apt <<<"$2"
    read -ra dnf <<<"$3"
    if command -v apt-get >/dev/null; then
        { as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -q -y --no-install-recommends "${apt[@]}"; } >"$log" 2>&1
    elif command -v dnf >/dev/null; then
        as_root dnf install -q -y "${dnf[@]}" >"$log" 2>&1
    else
        false
    fi || fail "$1 is missing and was not installed (see $log): install it with your package manager"
    rm -f "$log"
}

need_mariadb() {
    if PATH=$PATH:/usr/local/sbin:/usr/sbin command -v mariadbd >/dev/null; then
        return
    fi
    [ "$(uname -s)" = Linux ] ||
        fail "the local platform runs on Linux; here, use a Linux virtual machine or container"
    # The "core" packages of Debian and Ubuntu bring the programs without a system service.
    install_packages "MariaDB server 10.6 or newer" \
        "mariadb-server-core mariadb-client-core" "mariadb-server mariadb"
}

need_shellcheck() {
    command -v shellcheck >/dev/null || install_packages shellcheck shellcheck ShellCheck
}

need_chromium() {
    if command -v chromium >/dev/null || command -v google-chrome >/dev/null; then
        return
    fi
    echo "Installing Chromium"
    local log
    log=$(mktemp)
    if command -v apt-get >/dev/null; then
        { as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -q -y --no-install-recommends chromium; } >"$log" 2>&1
    else
        false
    fi || fail "Chromium is missing and was not installed (see $log): install chromium or google-chrome"
    rm -f "$log"
}

for program in "$@"; do
    "need_$program"
done
