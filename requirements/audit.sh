#!/usr/bin/env bash
# Looks up the packages of lock files in a database of known vulnerabilities: `audit.sh FILE…`.
#
# There is no database that works offline: what PyPI has of them (safety-db) ended in 2021. Where
# osv.dev cannot be reached, PIP_AUDIT_OSV_URL names a mirror of it that answers `/v1/query`.
set -euo pipefail

vulnerable=()
for file in "$@"; do
  if said=$(pip-audit --vulnerability-service osv --strict --require-hashes --disable-pip \
    --progress-spinner off --requirement "$file" 2>&1); then
    echo "$file: no known vulnerabilities"
  elif grep --quiet '^Found .* known vulnerabilit' <<<"$said"; then
    vulnerable+=("$file")
    echo "$file: $said"
  else
    echo "error: $file was not audited, the vulnerability database did not answer:" \
      "$(tail -n 1 <<<"$said")" >&2
    exit 1
  fi
done
if ((${#vulnerable[@]} > 0)); then
  echo "error: vulnerable packages in ${vulnerable[*]}: raise them with \`make lock\`" >&2
  exit 1
fi
