#!/usr/bin/env bash
# Copyright 2026 The Sidenote Authors
# SPDX-License-Identifier: Apache-2.0

# Runs the features of TLS and OIDC, on the cluster of KUBECONFIG and
# KO_DOCKER_REPO, or else on a local one, with Eventing set to strict transport
# encryption and to authentication by OIDC. It takes the place of cert-manager and
# trust-manager for this time, and restores what it changed. Arguments go to go test.

set -o errexit -o nounset -o pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source hack/environment.sh

prepare_cluster
install_sidenote

eventing() { kubectl -n knative-eventing "$@"; }

# The servers that need a certificate: their Secret and their Service.
servers=(
  mt-broker-ingress-server-tls=broker-ingress
  mt-broker-filter-server-tls=broker-filter
  imc-dispatcher-server-tls=imc-dispatcher
)
deployments=(mt-broker-ingress mt-broker-filter mt-broker-controller imc-dispatcher imc-controller eventing-controller)
bundle=sidenote-e2e-authority

for server in "${servers[@]}"; do
  if eventing get secret "${server%%=*}" >/dev/null 2>&1; then
    fail "Eventing has certificates already (Secret ${server%%=*}): run ./hack/e2e.sh on that cluster instead"
  fi
done

folder=$(mktemp -d)
# Eventing's controller starts only if it can list Certificates of cert-manager, though
# it uses them for other kinds than Brokers.
crd=certificates.cert-manager.io
if kubectl get crd "$crd" >/dev/null 2>&1; then own_crd=; else own_crd=$crd; fi
before=$(eventing get configmap config-features -o 'jsonpath={.data.transport-encryption}={.data.authentication-oidc}')

set_features() {
  eventing patch configmap config-features --type=merge \
    -p "{\"data\":{\"transport-encryption\":\"$1\",\"authentication-oidc\":\"$2\"}}"
}

restart() {
  local deployment
  for deployment in "${deployments[@]}"; do eventing rollout restart "deployment/$deployment"; done
  for deployment in "${deployments[@]}"; do eventing rollout status "deployment/$deployment" --timeout=180s; done
}

restore() {
  local status=$? server
  trap - EXIT
  say 'Restoring Eventing'
  set_features "${before%%=*}" "${before##*=}" || status=1
  for server in "${servers[@]}"; do eventing delete secret "${server%%=*}" --ignore-not-found || status=1; done
  eventing delete configmap "$bundle" --ignore-not-found || status=1
  restart || status=1
  if [[ -n $own_crd ]]; then kubectl delete crd "$own_crd" --ignore-not-found || status=1; fi
  rm -rf "$folder"
  exit "$status"
}
trap restore EXIT
trap 'exit 130' INT TERM

say 'Setting Eventing to strict transport encryption and to OIDC'
authority=(-x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2)
openssl req "${authority[@]}" -subj "/CN=$bundle" -keyout "$folder/ca.key" -out "$folder/ca.crt" 2>/dev/null
for server in "${servers[@]}"; do
  secret=${server%%=*} service=${server##*=}
  names="DNS:$service.knative-eventing.svc.cluster.local,DNS:$service.knative-eventing.svc"
  openssl req "${authority[@]}" -CA "$folder/ca.crt" -CAkey "$folder/ca.key" -subj "/CN=$service" \
    -addext "subjectAltName=$names" -addext 'basicConstraints=critical,CA:FALSE' \
    -keyout "$folder/tls.key" -out "$folder/tls.crt" 2>/dev/null
  eventing create secret generic "$secret" --type=kubernetes.io/tls \
    --from-file=tls.crt="$folder/tls.crt" --from-file=tls.key="$folder/tls.key" --from-file=ca.crt="$folder/ca.crt"
done
eventing create configmap "$bundle" --from-file=ca.crt="$folder/ca.crt"
eventing label configmap "$bundle" networking.knative.dev/trust-bundle=true
if [[ -n $own_crd ]]; then
  kubectl apply -f - <<'EOF'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: certificates.cert-manager.io}
spec:
  group: cert-manager.io
  scope: Namespaced
  names: {kind: Certificate, listKind: CertificateList, plural: certificates, singular: certificate}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
EOF
fi
set_features strict enabled
restart

say 'Running the features of TLS and OIDC'
go test -tags=e2e,tls -count=1 -timeout=20m -run='^TestStrictTLS' ./test/e2e/... "$@"
