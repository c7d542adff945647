#!/usr/bin/env bash
# Copyright 2026 The Sidenote Authors
# SPDX-License-Identifier: Apache-2.0

# Fails where gofmt would change a file.

set -o errexit -o nounset -o pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
unformatted="$(git ls-files -z --cached --others --exclude-standard '*.go' | xargs -0 gofmt -l)"
if [[ -n "${unformatted}" ]]; then
  printf 'not formatted, run gofmt -w on:\n%s\n' "${unformatted}" >&2
  exit 1
fi
