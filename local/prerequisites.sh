#!/usr/bin/env bash
# Checks that programs from outside PyPI are there, and installs what it can:
#   local/prerequisites.sh python|node|terraform|mysql|cdktf|shellcheck|chromium ...
set -euo pipefail
unset CDPATH

TERRAFORM_VERSION=1.11.4
TERRAFORM_MINIMUM=1.10
MYSQL_MINIMUM=8.0
# SHA-256 of HashiCorp's downloads of that version. They stand here because a checksum that comes from
# the same host as the download proves nothing.
TERRAFORM_SHA256="
1ce994251c00281d6845f0f268637ba50c0005657eb3cf096b92f753b42ef4dc linux_amd64
a43d1d0da9b9bab214a8305a39db0e40869572594ccf50c416a7756499143633 linux_arm64
a56d5002b9f7647291faccc3dd1a70350e60fb61e4c45037629508b8fdc2575b darwin_amd64
867e0808fa971217043e25b7a792b10720c79b1546f8a68479b74f138be73e18 darwin_arm64
"
root=$(cd "$(dirname "$0")/.." && pwd)
mysql=$root/.cache/mysql

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

# sha256 FILE: its checksum. macOS has no sha256sum.
sha256() {
    python3 -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$1"
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
    local system machine name checksum folder
    system=$(uname -s | tr '[:upper:]' '[:lower:]')
    case $(uname -m) in
        x86_64 | amd64) machine=amd64 ;;
        arm64 | aarch64) machine=arm64 ;;
        *) fail "no Terraform download for $(uname -m): install terraform $TERRAFORM_MINIMUM or newer" ;;
    esac
    checksum=$(sed -n "s/ ${system}_$machine\$//p" <<<"$TERRAFORM_SHA256")
    name=terraform_${TERRAFORM_VERSION}_${system}_${machine}.zip
    folder=$(mktemp -d)
    # shellcheck disable=SC2064  # the folder of now, not of then
    trap "rm -rf '$folder'" EXIT
    echo "Downloading terraform $TERRAFORM_VERSION"
    curl --fail --silent --show-error --location --max-time 300 --output "$folder/$name" \
        "${TERRAFORM_DOWNLOAD_URL:-https://releases.hashicorp.com/terraform}/$TERRAFORM_VERSION/$name" ||
        fail "terraform is missing and could not be downloaded: install terraform $TERRAFORM_MINIMUM or newer"
    [ "$(sha256 "$folder/$name")" = "$checksum" ] ||
        fail "the download of terraform has not the checksum in local/prerequisites.sh; nothing was installed"
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

# system_mysqld: prints the path of a MySQL server of MYSQL_MINIMUM or newer that the system has.
system_mysqld() {
    local program version
    program=$(PATH=$PATH:/usr/local/sbin:/usr/sbin:/usr/libexec command -v mysqld) || return 1
    # MariaDB has a program of the same name.
    version=$("$program" --no-defaults --version 2>/dev/null | grep -v MariaDB |
        sed -n 's/.*Ver \([0-9.]*\).*/\1/p')
    [ -n "$version" ] && at_least "$version" "$MYSQL_MINIMUM" && echo "$program"
}

# write_program NAME COMMAND...: a program of the local platform that runs the command.
write_program() {
    local name=$1
    shift
    mkdir -p "$mysql/bin"
    printf '#!/bin/sh\nexec %s\n' "$*" >"$mysql/bin/$name.new"
    chmod 755 "$mysql/bin/$name.new"
    mv "$mysql/bin/$name.new" "$mysql/bin/$name"
}

use_system_mysql() {
    local server client
    server=$(system_mysqld) || return 1
    # The client beside the server: another one may be MariaDB's.
    client=$(dirname "$server")/mysql
    [ -x "$client" ] || client=$(dirname "$(dirname "$server")")/bin/mysql
    [ -x "$client" ] || client=$(command -v mysql) || return 1
    write_program mysql "'$client'" '"$@"'
    write_program mysqldump "'$(dirname "$client")/mysqldump'" '"$@"'
    write_program mysqld "'$server'" '"$@"'
}

# unpack_debian_mysql: Debian has MySQL in its unstable suite only. It is unpacked with all of its
# libraries and started through its own loader, so the system itself does not change.
unpack_debian_mysql() {
    local work=$mysql/apt files mirror keyring arguments package loader
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    mirror=$(apt-get indextargets --format "\$(ORIGIN) \$(REPO_URI)" "Created-By: Packages" |
        sed -n 's/^Debian //p' | head -n 1)
    rm -rf "$work" "$mysql/root.new"
    mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/conf" "$mysql/root.new"
    : >"$work/status"
    echo "deb [signed-by=$keyring] $mirror unstable main" >"$work/sources.list"
    arguments=(
        -q -y -o "Dir::State=$work" -o "Dir::State::lists=$work/lists" -o "Dir::State::status=$work/status"
        -o "Dir::Cache=$work" -o "Dir::Etc::sourcelist=$work/sources.list"
        -o "Dir::Etc::sourceparts=/dev/null" -o "Dir::Etc::preferencesparts=/dev/null"
        -o "APT::Install-Recommends=false" -o "APT::Sandbox::User=" -o "Acquire::Languages=none"
    )
    apt-get "${arguments[@]}" update
    apt-get "${arguments[@]}" --download-only install mysql-server-core mysql-client-core
    for package in "$work"/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x -C "$mysql/root.new" --wildcards \
            --exclude='*/share/doc' --exclude='*/share/man' --exclude='*perl*' ./usr
    done
    files=$mysql/root.new/usr/bin
    find "$files" -type f ! -name mysql ! -name mysqldump ! -name mysqlbinlog -delete
    rm -rf "$mysql/root" "$work"
    mv "$mysql/root.new" "$mysql/root"
    files=$mysql/root/usr
    loader=$(find "$files/lib/" -name 'ld-linux*' | head -n 1)
    loader="'$loader' --library-path '$(dirname "$loader"):$files/lib/mysql/private'"
    write_program mysql "$loader" "'$files/bin/mysql'" '"$@"'
    write_program mysqldump "$loader" "'$files/bin/mysqldump'" '"$@"'
    write_program mysqld "$loader" "'$files/sbin/mysqld'" '"$@"' "'--basedir=$files'" \
        "'--lc-messages-dir=$files/share/mysql'" "'--plugin-dir=$files/lib/mysql/plugin'"
}

need_mysql() {
    local os log
    [ -x "$mysql/bin/mysql" ] && "$mysql/bin/mysqld" --no-defaults --version >/dev/null 2>&1 && return
    use_system_mysql && return
    # shellcheck source=/dev/null
    os=$(. /etc/os-release 2>/dev/null && echo "$ID ${ID_LIKE:-}")
    case $os in
        debian\ *)
            echo "Installing MySQL"
            mkdir -p "$mysql"
            log=$mysql/install.log
            # In a shell of its own: what follows && or || ignores failures within.
            if ! (bash -c "set -euo pipefail; $(declare -f unpack_debian_mysql write_program)
                    mysql=\$1; unpack_debian_mysql" _ "$mysql") >"$log" 2>&1; then
                fail "MySQL is missing and was not unpacked (see $log): install MySQL $MYSQL_MINIMUM or newer"
            fi
            ;;
        *)
            if command -v brew >/dev/null; then
                echo "Installing MySQL"
                brew install --quiet mysql >&2
                PATH=$PATH:$(brew --prefix mysql)/bin
            else
                # Ubuntu's "core" packages bring the programs without a system service.
                install_packages "MySQL $MYSQL_MINIMUM or newer" \
                    "mysql-server-core-8.0 mysql-client-core-8.0" "mysql-server mysql"
            fi
            use_system_mysql ||
                fail "MySQL was installed, but has no mysqld of $MYSQL_MINIMUM or newer: install one on PATH"
            ;;
    esac
    "$mysql/bin/mysqld" --no-defaults --version >/dev/null ||
        fail "mysqld does not run: delete $mysql and try again"
}

need_cdktf() {
    local pinned=$root/infra/cdktf-cli folder=$root/.cache/cdktf log
    [ -x "$folder/node_modules/.bin/cdktf" ] &&
        cmp -s "$pinned/package-lock.json" "$folder/package-lock.json" && return
    echo "Installing CDKTF's command line"
    mkdir -p "$folder"
    install -m 644 "$pinned/package.json" "$pinned/package-lock.json" "$folder"
    log=$folder/install.log
    # The packages and their hashes are those of the lock file, and no script of theirs runs.
    npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund >"$log" 2>&1 || {
        rm -rf "$folder/package-lock.json"
        fail "cdktf-cli was not installed (see $log): let this machine reach the npm registry"
    }
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
