/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agentconfig

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Another order or another form would make a new Revision of every service.
func TestArgsKeepTheirOrderAndForm(t *testing.T) {
	given := everything(t)
	given.Sinks = given.Sinks[:1]
	given.StartupProbe.GRPC.Service = nil
	if diff := cmp.Diff([]string{
		"--port=1", "--admin-port=2", "--target=http://127.0.0.1:3", "--source=m-predictor-default",
		"--inference-service=m", "--namespace=n", "--component=predictor", "--mode=request",
		"--events=request,response,stream,request.failure,response.failure,request.oversize,response.oversize,request.encoded,response.encoded,tunnel,loop,ledger",
		"--paths=/a/*", "--paths=!/a/b", "--paths=/c d",
		"--streams=merged", "--sampling-percent=12.5", "--keep-failures=true", "--keep-slower-than=2s", "--max-events-per-second=8",
		"--content-mode=binary",
		"--max-payload-bytes=4", "--buffer-bytes=1048576", "--max-exchanges=5",
		`--readiness-probe={"httpGet":{"path":"/\u003c\u0026\u003e","port":6,"host":"h","scheme":"HTTPS","httpHeaders":[{"name":"A","value":"b"}]},"initialDelaySeconds":1,"timeoutSeconds":2,"periodSeconds":3,"successThreshold":4,"failureThreshold":5}`,
		`--startup-probe={"grpc":{"port":7,"service":null},"timeoutSeconds":2,"periodSeconds":3,"successThreshold":4,"failureThreshold":5}`,
		"--drain-timeout=1m0s", "--ledger-interval=1h0m0s",
		"--sink=https://broker.svc/a=b?c=d%20e", "--sink.default.address-file=/address-default",
		"--sink.default.ca-certs=PEM", "--sink.default.ca-certs-file=/file", "--sink.default.ca-certs-dir=/dir",
		"--sink.default.token-file=/token", "--sink.default.token-audience=audience",
		"--sink.default.mode=response", "--sink.default.events=response", "--sink.default.profile=kserve", `--sink.default.filter={"cesql":"team = 'a=b'"}`,
		"--cluster-domain=example.org", "--allow-loopback-sinks=true",
		"--sink.default.retry=3", "--sink.default.backoff-policy=linear", "--sink.default.backoff-delay=1s",
		"--sink.default.timeout=1m0s", "--sink.default.retry-after-max=1h0m0s",
		"--sink.default.dead-letter=http://letters", "--sink.default.dead-letter.address-file=/letters",
		"--sink.default.dead-letter.ca-certs=PEM", "--sink.default.dead-letter.ca-certs-file=/file", "--sink.default.dead-letter.ca-certs-dir=/dir",
		"--sink.default.dead-letter.token-file=/token", "--sink.default.dead-letter.token-audience=audience",
		"--sink.default.spool-dir=/spool-default", "--sink.default.spool-bytes=1073741824", "--sink.default.spool-when-full=newest", "--sink.default.spool-sync=true",
		"--metrics-protocol=grpc", "--metrics-endpoint=http://c:4317", "--metrics-export-interval=1m0s",
		"--tracing-protocol=http/protobuf", "--tracing-endpoint=http://c:4318/v1/traces", "--tracing-sampling-rate=0.1",
		`--metadata=team=a=b, "c" $(D)`, "--metadata=empty=", "--metadata-dir=/metadata",
		"--metadata-header=tenant=X-Tenant", "--metadata-header=user=X-User", "--denied-value=^Bearer ", "--denied-value=a=b|c",
		"--log-level=debug",
	}, given.Args()); diff != "" {
		t.Errorf("(-want, +got): %s", diff)
	}
}
