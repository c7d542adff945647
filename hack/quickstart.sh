#!/usr/bin/env bash
# Copyright 2026 The Sidenote Authors
# SPDX-License-Identifier: Apache-2.0

# From a fresh clone to two events on the screen: a cluster, Sidenote, the
# sample of samples/quickstart, a prediction, and what its subscriber got.
#
# With KUBECONFIG and KO_DOCKER_REPO set it uses that cluster, which needs
# Knative Serving and Eventing, and kubectl and ko on the PATH. Otherwise it
# makes a local one (hack/cluster). It may be run again at any time.

set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
readonly root
readonly namespace=sidenote-quickstart
readonly model=my-model
readonly path=/v1/models/my-model:predict
readonly instances='{"instances": [[1, 1], [-1, -1]]}'
cd -- "$root"

say() { printf '\n\033[1m==> %s\033[0m\n' "$*"; }

fail() {
  printf '\nquickstart: %s\n' "$*" >&2
  exit 1
}

# own_cluster tells a cluster of the user from the local one, whose settings
# may be in the environment from an earlier run.
own_cluster() {
  [[ -n ${KUBECONFIG:-} && -n ${KO_DOCKER_REPO:-} && ${KUBECONFIG} != "$root"/.cluster/* ]]
}

prepare_cluster() {
  if own_cluster; then
    say "Using the cluster of KUBECONFIG=$KUBECONFIG"
    for tool in kubectl ko curl; do
      command -v "$tool" >/dev/null || fail "$tool is not on the PATH"
    done
    for crd in services.serving.knative.dev brokers.eventing.knative.dev; do
      kubectl get crd "$crd" >/dev/null || fail "this needs Knative Serving and Eventing in the cluster"
    done
    return
  fi
  say 'Starting a local cluster (the first time builds it: some 20 minutes on 2 cores)'
  go run ./hack/cluster up
  local exports
  exports=$(go run ./hack/cluster env)
  eval "$exports"
}

# run_ko runs ko without its progress, which is of interest only where it
# fails.
run_ko() {
  local log
  log=$(mktemp)
  ko "$@" 2>"$log" || { cat "$log" >&2; rm -f "$log"; fail "ko $* failed"; }
  rm -f "$log"
}

install_sidenote() {
  say 'Building and installing Sidenote'
  run_ko apply -Rf config/
  kubectl -n sidenote-system wait deployment --all --for=condition=Available --timeout=180s
}

# apply_sample waits for the webhook's certificate, which it makes for itself
# after its start, by trying.
apply_sample() {
  say 'Applying samples/quickstart: a Broker, two teams that subscribe, a model'
  local manifests tries=30
  manifests=$(run_ko resolve -Rf samples/quickstart/)
  kubectl apply -f samples/quickstart/100-namespace.yaml
  until kubectl apply --dry-run=server -f - <<<"$manifests" >/dev/null 2>&1 || ((--tries == 0)); do
    sleep 2
  done
  kubectl apply -f - <<<"$manifests"
  kubectl -n "$namespace" wait deployment --all --for=condition=Available --timeout=180s
  kubectl -n "$namespace" wait broker --all --for=condition=Ready --timeout=180s
  kubectl -n "$namespace" wait trigger --all --for=condition=Ready --timeout=180s
  kubectl -n "$namespace" wait "isvc/$model" --for=condition=Ready --timeout=300s
}

forward=()
forward_pid=
stop_forward() { [[ -z $forward_pid ]] || kill "$forward_pid" 2>/dev/null || true; }
trap stop_forward EXIT

# find_way sets `way` to curl's arguments for the model: through the local
# cluster's ingress, or to the URL as it stands, or, where this machine can't
# resolve or reach that, past the ingress to the Revision's own Service.
find_way() {
  local url
  url=$(kubectl -n "$namespace" get isvc "$model" -o jsonpath='{.status.url}')
  if [[ -n ${SIDENOTE_INGRESS:-} ]]; then
    way=(-H "Host: ${url#*://}" "$SIDENOTE_INGRESS$path")
    return
  fi
  way=("$url$path")
  if curl -sf -o /dev/null --max-time 30 -d "$instances" "${way[@]}"; then
    return
  fi
  echo "$url can't be reached from here; forwarding a port instead. (To go through the"
  echo "ingress, set SIDENOTE_INGRESS to its address, as http://127.0.0.1:8080.)"
  local revision port=8081
  revision=$(kubectl -n "$namespace" get isvc "$model" -o jsonpath='{.status.components.predictor.latestReadyRevision}')
  forward=(kubectl -n "$namespace" port-forward "service/$revision-private" "$port:80")
  "${forward[@]}" >/dev/null &
  forward_pid=$!
  way=("http://127.0.0.1:$port$path")
}

predict() {
  curl -sS --fail-with-body --max-time 60 --retry 5 --retry-connrefused \
    -H 'Content-Type: application/json' -d "$instances" "${way[@]}"
}

events_since() { kubectl -n "$namespace" logs "deployment/$1" --since-time="$2"; }

# show_events predicts until both events are there: a Trigger that says Ready
# still loses events for some seconds, until its Broker has heard of it.
show_events() {
  say "A prediction: POST $instances"
  local since answer events
  for _ in {1..20}; do
    sleep 1 # --since-time counts in seconds
    since=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    answer=$(predict) || fail "the prediction failed: $answer"
    for _ in {1..3}; do
      sleep 1
      events=$(events_since ai-platform "$since")
      if (($(grep -c '"specversion"' <<<"$events" || true) >= 2)); then
        echo "$answer"
        say 'The events, as the subscriber behind the Trigger team=ai-platform got them'
        echo "$events"
        say 'What the subscriber behind the Trigger team=fraud-detection got'
        events=$(events_since fraud-detection "$since")
        echo "${events:-(nothing)}"
        return
      fi
    done
  done
  fail "no events came: see kubectl -n $namespace describe isvc $model"
}

show_next() {
  say 'Try next'
  own_cluster || echo '  eval "$(go run ./hack/cluster env)"'
  cat <<EOF
  kubectl -n $namespace get isvc
  kubectl -n $namespace logs -f deployment/fraud-detection &
  kubectl -n $namespace annotate isvc $model team=fraud-detection --overwrite
  kubectl -n $namespace wait isvc/$model --for=condition=Ready
EOF
  if [[ -n $forward_pid ]]; then
    echo "  ${forward[*]} &"
  fi
  cat <<EOF
  curl -H 'Content-Type: application/json' -d '$instances' $(printf '%q ' "${way[@]}")
EOF
  own_cluster || echo '  go run ./hack/cluster down'
}

prepare_cluster
install_sidenote
apply_sample
find_way
show_events
show_next
