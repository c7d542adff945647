/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agentconfig

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	given, err := Parse([]string{
		"--port", "1081", "--admin-port=1082", "--target=http://127.0.0.1:8000",
		"--sink=http://broker.svc/ns/default?a=b", "--sink=audit=https://audit.example.com", "--sink.audit.token-file=/token",
		"--sink.default.ca-certs=-----BEGIN=", "--mode=request", "--events=request,request.failure", "--content-mode=binary",
		"--source=m-predictor-default", "--inference-service=m", "--namespace=n", "--component=predictor",
		"--metadata=team=a=b,c \"d\" 東京", "--metadata=owner=", "--metadata-dir=/dir", "--max-payload-bytes=10",
		"--buffer-bytes=100000", "--drain-timeout=5s", "--ledger-interval=2s", `--readiness-probe={"tcpSocket":{"port":5}}`, "--log-level=debug",
	})
	if err != nil {
		t.Fatal(err)
	}
	if given.Port != 1081 || given.AdminPort != 1082 || given.Target.Host != "127.0.0.1:8000" || given.Mode != "request" ||
		len(given.Events) != 2 || given.ContentMode != "binary" || given.Source != "m-predictor-default" || given.InferenceService != "m" ||
		given.Namespace != "n" || given.Component != "predictor" || given.MetadataDir != "/dir" || given.MaxPayloadBytes != 10 ||
		given.BufferBytes != 100000 || *given.DrainTimeout != 5*time.Second || given.LedgerInterval != 2*time.Second || given.ReadinessProbe.TCPSocket.Port != 5 || given.StartupProbe != nil {
		t.Errorf("got %+v", given)
	}
	if got := given.Metadata; len(got) != 2 || got[0].Value != `a=b,c "d" 東京` || got[1].Name != "owner" || got[1].Value != "" {
		t.Errorf("metadata: %q", got)
	}
	if got := given.Sinks; len(got) != 2 || got[0].Name != "default" || got[0].URL.RawQuery != "a=b" || got[0].CACerts != "-----BEGIN=" ||
		got[1].Name != "audit" || got[1].TokenFile != "/token" {
		t.Errorf("sinks: %+v", got)
	}
}

func TestDeliveryOptions(t *testing.T) {
	given, err := Parse([]string{
		"--sink=http://broker.svc", "--sink.default.retry=3", "--sink.default.backoff-policy=linear", "--sink.default.backoff-delay=500ms",
		"--sink.default.timeout=5s", "--sink.default.retry-after-max=0s", "--sink.default.ca-certs-dir=/bundles",
		"--sink.default.dead-letter.token-file=/token", "--sink.default.dead-letter=https://letters/in", "--sink.default.dead-letter.ca-certs=PEM",
		"--allow-loopback-sinks=true", "--sink=other=stdout",
	})
	if err != nil {
		t.Fatal(err)
	}
	sink, other := given.Sinks[0], given.Sinks[1]
	if *sink.Schedule.Retries != 3 || sink.Schedule.Policy != "linear" || *sink.Schedule.Delay != 500*time.Millisecond ||
		sink.Timeout != 5*time.Second || *sink.RetryAfterMax != 0 || sink.CACertsDir != "/bundles" || !*given.AllowLoopbackSinks {
		t.Errorf("got %+v", sink)
	}
	if letters := sink.DeadLetter; letters.Name != "default.dead-letter" || letters.URL.String() != "https://letters/in" ||
		letters.TokenFile != "/token" || letters.CACerts != "PEM" {
		t.Errorf("got %+v", letters)
	}
	if other.Schedule.Retries != nil || other.Timeout != 30*time.Second || *other.RetryAfterMax != 20*time.Second || other.DeadLetter != nil {
		t.Errorf("by default %+v", other)
	}
}

func TestDefaults(t *testing.T) {
	given, err := Parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	if given.Port != 9081 || given.AdminPort != 9082 || given.Target.String() != "http://127.0.0.1:8080" || len(given.Sinks) != 0 ||
		given.MaxPayloadBytes != 716800 || given.ClusterDomain != "cluster.local" || given.ReadinessProbe.TCPSocket.Port != 8080 || given.LedgerInterval != time.Minute {
		t.Errorf("got %+v", given)
	}
}

// TestKeptFailuresAreSentByDefault: an owner who keeps them wants their events.
func TestKeptFailuresAreSentByDefault(t *testing.T) {
	for line, want := range map[string][]Kind{
		"--sampling-one-in=100":                                          DefaultKinds(),
		"--sampling-one-in=100 --keep-failures=true":                     append(DefaultKinds(), KindRequestFailure, KindResponseFailure),
		"--sampling-one-in=100 --keep-failures=true --events=request":    {KindRequest},
		"--sampling-one-in=100 --keep-slower-than=2s --sink=http://sink": DefaultKinds(),
	} {
		given, err := Parse(strings.Split(line, " "))
		if err != nil {
			t.Fatal(line, err)
		}
		if !slices.Equal(given.Events, want) {
			t.Errorf("%s: the events are %v, want %v", line, given.Events, want)
		}
		for _, sink := range given.Sinks {
			if !slices.Equal(sink.Events, want) {
				t.Errorf("%s: the sink's events are %v, want %v", line, sink.Events, want)
			}
		}
	}
}

// TestAWrongArgumentIsNamed, with what to write.
func TestAWrongArgumentIsNamed(t *testing.T) {
	for line, want := range map[string]string{
		"--foo=1":                               "unknown argument --foo: see --help",
		"foo":                                   `invalid argument "foo": must be --name=value`,
		"-port=1":                               `invalid argument "-port": must be --name=value`,
		"--port":                                "argument --port: missing value: write --port=VALUE",
		"--port=0":                              `argument --port: invalid port "0": must be 1 to 65535`,
		"--port=9082":                           "argument --admin-port: invalid port 9082: must differ from --port",
		"--target=ftp://x":                      "argument --target: invalid URL of a model: must be http://host:port",
		"--target=http://x/path":                "argument --target: invalid URL of a model",
		"--sink=x":                              "argument --sink: invalid sink: must be an http or https URL, or stdout",
		"--sink=http://u:p@x":                   "argument --sink: invalid URL of a sink: has a user: remove it and use --sink.NAME.token-file",
		"--sink=stdout --sink=stdout":           "sink \"default\" is given twice: name each one",
		"--sink.default.token-file=x":           `unknown sink "default": write --sink=default=URL`,
		"--sink=stdout --sink.default.foo=x":    "unknown argument --sink.default.foo: see --help",
		"--sink=stdout --sink.default.retry=-1": `argument --sink.default.retry: invalid count "-1": must be 0 to 1000`,
		"--sink=stdout --sink.default.backoff-policy=x":         `invalid policy "x": must be one of linear, exponential`,
		"--sink=stdout --sink.default.backoff-delay=1":          "must be a duration of at least 0s, such as 30s",
		"--sink=stdout --sink.default.timeout=0s":               `argument --sink.default.timeout: invalid duration "0s": must be a duration of at least 1ns, such as 30s`,
		"--sink=stdout --sink.default.retry-after-max=-1s":      "must be a duration of at least 0s, such as 30s",
		"--sink=stdout --sink.default.dead-letter=stdout":       "invalid sink: must be",
		"--sink=stdout --sink.default.dead-letter.token-file=x": "missing dead letter sink: write --sink.default.dead-letter=URL",
		"--allow-loopback-sinks=yes":                            `invalid value "yes": must be one of false, true`,
		"--cluster-domain=a_b":                                  `invalid domain "a_b": must be a DNS domain such as cluster.local`,
		"--cluster-domain=":                                     "invalid domain",
		"--sink.x=1":                                            "unknown argument --sink.x: see --help",
		"--mode=some":                                           `invalid mode "some": must be one of all, request, response`,
		"--events=request,foo":                                  `invalid event "foo": must be one of request, response`,
		"--content-mode=x":                                      `invalid content mode "x": must be one of auto, binary, structured`,
		"--source=a b":                                          "argument --source: invalid source: must be a URI reference",
		"--metadata=team":                                       `argument --metadata: missing "=": write attribute=value`,
		"--metadata=Team=x":                                     "argument --metadata: \"Team\" is not a valid attribute name",
		"--metadata=id=x":                                       "argument --metadata: \"id\" is a reserved attribute name",
		"--metadata=a=1 --metadata=a=2":                         "attribute \"a\" is given twice",
		"--sampling-percent=0":                                  `argument --sampling-percent: invalid percentage "0": must be a decimal number above 0 and up to 100`,
		"--sampling-percent=0.0000":                             "invalid percentage",
		"--sampling-percent=0.00001":                            "at most four digits after the point",
		"--sampling-percent=100.0001":                           "invalid percentage",
		"--sampling-percent=1e-3":                               "invalid percentage",
		"--sampling-percent=1%":                                 "invalid percentage",
		"--sampling-percent=NaN":                                "invalid percentage",
		"--sampling-percent=+1":                                 "invalid percentage",
		"--sampling-percent=.5":                                 "invalid percentage",
		"--sampling-one-in=0":                                   `argument --sampling-one-in: invalid number "0": must be 1 to 1000000`,
		"--sampling-one-in=1000001":                             "must be 1 to 1000000",
		"--sampling-one-in=2 --sampling-percent=50":             "argument --sampling-one-in: a percentage is given, too: remove one of --sampling-percent and --sampling-one-in",
		"--keep-failures=true":                                  "argument --keep-failures: without sampling every exchange gives events: add --sampling-percent or --sampling-one-in",
		"--keep-slower-than=2s":                                 "argument --keep-slower-than: without sampling every exchange gives events",
		"--sampling-one-in=2 --keep-slower-than=0s":             `argument --keep-slower-than: invalid duration "0s": must be 1ms to 24h0m0s, such as 2s`,
		"--sampling-one-in=2 --keep-slower-than=25h":            "must be 1ms to 24h0m0s",
		"--max-events-per-second=0":                             `argument --max-events-per-second: invalid number "0": must be 1 to 1000000`,
		"--max-payload-bytes=1k":                                `invalid number of bytes "1k": must be 1 to`,
		"--buffer-bytes=1":                                      "must be 65536 to",
		"--ledger-interval=1":                                   "must be a duration of at least 1s, such as 30s",
		"--ledger-interval=999ms":                               `argument --ledger-interval: invalid duration "999ms": must be a duration of at least 1s`,
		"--drain-timeout=5":                                     "must be a duration of at least 0s, such as 30s",
		"--readiness-probe={}":                                  "argument --readiness-probe: the probe has 0 handlers",
		"--startup-probe={\"tcpSocket\":{\"port\":0}}":          "argument --startup-probe: invalid port 0: must be 1 to 65535",
		"--metrics-protocol=udp":                                "argument --metrics-*: invalid protocol \"udp\": must be one of none, prometheus, grpc, http/protobuf",
		"--metrics-protocol=grpc":                               "needs the endpoint of a collector: write http://host:port",
		"--metrics-endpoint=http://collector:4317":              "only the protocols grpc and http/protobuf have an endpoint",
		"--metrics-export-interval=1":                           "must be a duration of at least 0s, such as 30s",
		"--tracing-protocol=prometheus":                         "argument --tracing-*: invalid protocol \"prometheus\": must be one of none, grpc",
		"--tracing-sampling-rate=2":                             "must be 0 to 1",
		"--tracing-sampling-rate=all":                           "must be a number from 0 to 1",
		"--log-level=loud":                                      `invalid level "loud": must be debug, info, warn or error`,
	} {
		arguments := strings.Split(line, " ")
		if strings.HasPrefix(line, "--source") {
			arguments = []string{line}
		}
		if _, err := Parse(arguments); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", line, err, want)
		}
	}
}

// TestASecretIsNeverQuoted: an error goes into the pod's log.
func TestASecretIsNeverQuoted(t *testing.T) {
	const canary = "canary4711"
	for _, argument := range []string{
		"--sink=http://user:" + canary + "@x", "--sink=http://x\x7f?" + canary, "--sink=ftp://x?" + canary, "-sink=" + canary,
		"--metadata=team=" + canary + "\n", "--metrics-endpoint=http://" + canary, "--target=http://x?" + canary, "--sink.default.token-file=" + canary,
	} {
		if _, err := Parse([]string{argument}); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%q: got %v", argument, err)
		}
	}
}

func TestHelpExplainsEveryArgument(t *testing.T) {
	for _, line := range []string{"--help", "-h"} {
		if _, err := Parse([]string{line}); !errors.Is(err, ErrHelp) {
			t.Errorf("%s: %v", line, err)
		}
	}
	var usage bytes.Buffer
	Usage(&usage)
	listed := make(map[string]Argument)
	for _, argument := range Arguments() {
		listed[argument.Name] = argument
		if !strings.Contains(usage.String(), "--"+argument.Name+"="+argument.Format) || argument.Doc == "" {
			t.Errorf("--help lacks --%s", argument.Name)
		}
	}
	for name, byDefault := range map[string]string{
		"port": "9081", "admin-port": "9082", "target": "http://127.0.0.1:8080", "cluster-domain": "cluster.local", "mode": "all",
		"events":       "request,response,stream,request.oversize,response.oversize,request.encoded,response.encoded,loop",
		"content-mode": "auto", "source": "sidenote-agent", "max-payload-bytes": "716800", "buffer-bytes": "33554432", "max-exchanges": "512",
		"drain-timeout": "30s", "ledger-interval": "1m0s", "metrics-protocol": "prometheus", "tracing-protocol": "none", "tracing-sampling-rate": "0",
		"sink.NAME.timeout": "30s", "sink.NAME.retry-after-max": "20s", "metadata": "", "readiness-probe": "",
	} {
		if argument, found := listed[name]; !found || argument.Default != byDefault {
			t.Errorf("the default of --%s is %q, want %q", name, argument.Default, byDefault)
		}
	}
}
