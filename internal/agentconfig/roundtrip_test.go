/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agentconfig

import (
	"math/rand"
	"net/url"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/zap/zapcore"

	"github.com/sidenote-dev/sidenote/internal/inference"
	"github.com/sidenote-dev/sidenote/internal/telemetry"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// expectRoundTrip expects Parse to read what Args writes of given.
func expectRoundTrip(t *testing.T, want *Config, given Config) {
	t.Helper()
	line := given.Args()
	got, err := Parse(line)
	if err != nil {
		t.Fatalf("Parse(%q): %v", line, err)
	}
	// A URL keeps a path as it was written, if only to write it otherwise.
	sameURL := cmp.Comparer(func(a, b url.URL) bool { return a.String() == b.String() })
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(inference.Paths{}), cmpopts.EquateEmpty(), sameURL); diff != "" {
		t.Fatalf("of %q (-want, +got): %s", line, diff)
	}
}

// everything has a value in every field that none of the defaults is.
func everything(t *testing.T) Config {
	paths, err := inference.ParsePaths([]string{"/a/*", "!/a/b", "/c d"})
	if err != nil {
		t.Fatal(err)
	}
	endpoint := func(text string) *url.URL {
		parsed, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	// A sink has a token, and another one a password.
	sink := func(name, tokenFile, basicAuthDir string) Sink {
		return Sink{
			Name: name, URL: endpoint("https://broker.svc/a=b?c=d%20e"), AddressFile: "/address-" + name,
			CACerts: "PEM", CACertsFile: "/file", CACertsDir: "/dir", TokenFile: tokenFile, TokenAudience: "audience", BasicAuthDir: basicAuthDir,
			Mode: ModeResponse, Events: []Kind{KindResponse}, Profile: ProfileKServe, Filter: `{"cesql":"team = 'a=b'"}`,
			Schedule: Schedule{Retries: new(3), Policy: BackoffLinear, Delay: new(time.Second)},
			Timeout:  time.Minute, RetryAfterMax: new(time.Hour),
			Spool: &Spool{Directory: "/spool-" + name, Bytes: 1 << 30, DropNewest: true, Sync: true},
			DeadLetter: &Sink{
				Name: name + ".dead-letter", URL: endpoint("http://letters"), AddressFile: "/letters", CACerts: "PEM", CACertsFile: "/file",
				CACertsDir: "/dir", TokenFile: tokenFile, TokenAudience: "audience", BasicAuthDir: basicAuthDir, Timeout: defaultTimeout, RetryAfterMax: new(DefaultRetryAfterMax),
			},
		}
	}
	return Config{
		Port: 1, AdminPort: 2, Target: endpoint("http://127.0.0.1:3"), Sinks: []Sink{sink("default", "/token", ""), sink("other", "", "/basic-auth")},
		ClusterDomain: "example.org", AllowLoopbackSinks: new(true), Mode: ModeRequest, Events: Kinds(), ContentMode: ContentModeBinary,
		Paths: paths, Source: "m-predictor-default", InferenceService: "m", Namespace: "n", Component: "predictor",
		Metadata:        []metadata.Attribute{{Name: "team", Value: "a=b, \"c\" $(D)"}, {Name: "empty"}},
		MetadataDir:     "/metadata",
		MetadataHeaders: []HeaderSource{{Attribute: "tenant", Header: "X-Tenant"}, {Attribute: "user", Header: "X-User"}},
		DeniedValues:    []string{"^Bearer ", "a=b|c"},
		Streams:         StreamMerged, Sampling: Sampling{Percent: 12.5, KeepFailures: true, KeepSlowerThan: 2 * time.Second},
		MaxEventsPerSecond: 8,
		MaxPayloadBytes:    4, BufferBytes: 1 << 20, MaxExchanges: new(int64(5)), DrainTimeout: new(time.Minute),
		LedgerInterval: time.Hour,
		ReadinessProbe: &Probe{
			HTTPGet:             &HTTPGet{Path: "/<&>", Port: 6, Host: "h", Scheme: "HTTPS", HTTPHeaders: []HTTPHeader{{"A", "b"}}},
			InitialDelaySeconds: 1, TimeoutSeconds: 2, PeriodSeconds: 3, SuccessThreshold: 4, FailureThreshold: 5,
		},
		StartupProbe:  &Probe{GRPC: &GRPC{Port: 7, Service: new("s")}, TimeoutSeconds: 2, PeriodSeconds: 3, SuccessThreshold: 4, FailureThreshold: 5},
		LogLevel:      zapcore.DebugLevel,
		MetricsExport: telemetry.Metrics{Protocol: telemetry.GRPC, Endpoint: "http://c:4317", Interval: time.Minute},
		TracesExport:  telemetry.Traces{Protocol: telemetry.HTTPProtobuf, Endpoint: "http://c:4318/v1/traces", SamplingRate: .1},
	}
}

// A field without an argument would be lost on the way.
func TestEveryFieldHasAnArgument(t *testing.T) {
	given := everything(t)
	oneIn := everything(t)
	oneIn.Sampling = Sampling{OneIn: 9}
	for _, parts := range [][]any{
		{given}, {given.Sinks[0], given.Sinks[1]}, {*given.Sinks[0].Spool}, {given.Sinks[0].Schedule}, {given.Sampling, oneIn.Sampling},
	} {
		for i := range reflect.TypeOf(parts[0]).NumField() {
			if !slices.ContainsFunc(parts, func(part any) bool { return !reflect.ValueOf(part).Field(i).IsZero() }) {
				t.Errorf("the test gives no value to %T.%s", parts[0], reflect.TypeOf(parts[0]).Field(i).Name)
			}
		}
	}
	expectRoundTrip(t, &given, given)
	expectRoundTrip(t, &oneIn, oneIn)
}

// Whatever fields are unset: the others arrive, and those have their defaults.
func TestAnyConfigRoundTrips(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	unset := func(of any, but ...string) {
		value := reflect.ValueOf(of).Elem()
		for i := range value.NumField() {
			name := value.Type().Field(i).Name
			if random.Intn(2) == 0 && !slices.Contains(but, name) {
				value.Field(i).SetZero()
			}
		}
	}
	for range 2000 {
		given := everything(t)
		unset(&given)
		for i := range given.Sinks {
			sink := &given.Sinks[i]
			// A sink is where its URL or its file says.
			unset(sink, "Name", "URL")
			unset(&sink.Schedule)
			if sink.Spool != nil {
				unset(sink.Spool, "Directory", "Bytes")
			}
			if sink.DeadLetter != nil {
				unset(sink.DeadLetter, "Name", "URL")
			}
		}
		// The two exporters need what belongs together.
		given.MetricsExport, given.TracesExport = telemetry.Metrics{}, telemetry.Traces{}
		want := given
		want.Sinks = slices.Clone(given.Sinks)
		for i := range want.Sinks {
			if letters := want.Sinks[i].DeadLetter; letters != nil {
				want.Sinks[i].DeadLetter = new(*letters)
			}
		}
		want.setDefaults()
		if want.ReadinessProbe == nil {
			want.ReadinessProbe = DialProbe(map[string]int32{"127.0.0.1:3": 3, "127.0.0.1:8080": 8080}[want.Target.Host])
		}
		expectRoundTrip(t, &want, given)
		expectRoundTrip(t, &want, want)
	}
}
