# Copyright 2026 The Sidenote Authors
# SPDX-License-Identifier: Apache-2.0

# For scripts to source, in the checkout's root: a cluster with Sidenote in it.

say() { printf '\n\033[1m==> %s\033[0m\n' "$*"; }

fail() {
  printf '\n%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# own_cluster tells a cluster of the user from the local one, whose settings
# may be in the environment from an earlier run.
own_cluster() {
  [[ -n ${KUBECONFIG:-} && -n ${KO_DOCKER_REPO:-} && ${KUBECONFIG} != "$PWD"/.cluster/* ]]
}

# prepare_cluster leaves a cluster with Knative in the environment, and with
# KServe if its argument is --kserve.
prepare_cluster() {
  if own_cluster; then
    say "Using the cluster of KUBECONFIG=$KUBECONFIG"
    local tool crd
    for tool in kubectl ko curl; do
      command -v "$tool" >/dev/null || fail "$tool is not on the PATH"
    done
    for crd in services.serving.knative.dev brokers.eventing.knative.dev; do
      kubectl get crd "$crd" >/dev/null || fail "this needs Knative Serving and Eventing in the cluster"
    done
    if [[ ${1:-} == --kserve ]]; then
      kubectl get crd inferenceservices.serving.kserve.io >/dev/null || fail "this needs KServe in the cluster"
    fi
    return
  fi
  say 'Starting a local cluster (the first time builds it: some 20 minutes on 2 cores)'
  go -C hack/cluster run . up "$@"
  local exports
  exports=$(go -C hack/cluster run . env)
  eval "$exports"
}

# quietly runs a command and shows its log only where it fails.
quietly() {
  local log status=0
  log=$(mktemp)
  "$@" 2>"$log" || status=$?
  ((status == 0)) || cat "$log" >&2
  rm -f "$log"
  return "$status"
}

# install_sidenote installs this checkout's Sidenote, and waits for it.
install_sidenote() {
  say 'Installing Sidenote (the first time builds its images: a minute or two)'
  quietly ko apply --sbom=none -Rf config/
  local deployment ending pod
  for deployment in controller webhook; do
    kubectl -n sidenote-system rollout status "deployment/$deployment" --timeout=180s
  done
  # On connections that the API server keeps, a webhook that ends goes on
  # responding by the configuration that it had.
  ending=$(kubectl -n sidenote-system get pods -o 'jsonpath={range .items[?(@.metadata.deletionTimestamp)]}{.metadata.name}{" "}{end}')
  for pod in $ending; do
    kubectl -n sidenote-system wait "pod/$pod" --for=delete --timeout=330s
  done
}
