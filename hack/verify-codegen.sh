#!/usr/bin/env bash
# Copyright 2026 The Sidenote Authors
# SPDX-License-Identifier: Apache-2.0

# Fails where a generated file is not what hack/update-codegen.sh writes. The
# generators run on a copy, so that a stale file stays to be looked at.

set -o errexit -o nounset -o pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
copy="$(mktemp -d)"
trap 'rm -rf "${copy}"' EXIT

git ls-files -z --cached --others --exclude-standard |
  while IFS= read -r -d '' file; do [[ ! -e "${file}" ]] || printf '%s\0' "${file}"; done |
  tar --create --null --files-from=- | tar --extract --directory="${copy}"
"${copy}/hack/update-codegen.sh" >"${copy}/update.log" 2>&1 || {
  cat "${copy}/update.log" >&2
  exit 1
}
rm "${copy}/update.log"

stale="$(git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
  cmp --silent "${file}" "${copy}/${file}" || echo "${file}"
done)"
fresh="$(cd "${copy}" && find . -type f -printf '%P\n' | while IFS= read -r file; do
  [[ -e "${OLDPWD}/${file}" ]] || echo "${file}"
done)"
if [[ -n "${stale}${fresh}" ]]; then
  printf 'stale, run make codegen:\n%s\n' "${stale}${fresh:+$'\n'${fresh}}" >&2
  exit 1
fi
