/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"cmp"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/export"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agent/metrics"
	"github.com/sidenote-dev/sidenote/internal/agent/proxy"
	"github.com/sidenote-dev/sidenote/internal/agent/refresh"
	"github.com/sidenote-dev/sidenote/internal/agent/status"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// documented is one row of the table in docs/reference/metrics.md.
type documented struct {
	name, prometheus, unit string
	// labels by name, with their closed set where one is given.
	labels map[string][]string
}

var quoted = regexp.MustCompile("`([^`]*)`")

func documentedMetrics(t *testing.T) map[string]documented {
	t.Helper()
	content, err := os.ReadFile("../../docs/reference/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]documented)
	for line := range strings.Lines(string(content)) {
		cells := strings.Split(line, "|")
		if len(cells) != 8 || strings.Contains(line, "---") || strings.Contains(line, "OpenTelemetry |") {
			continue
		}
		unquote := func(cell string) string { return strings.Trim(strings.TrimSpace(cell), "`") }
		row := documented{name: unquote(cells[1]), prometheus: unquote(cells[2]), unit: unquote(cells[3]), labels: map[string][]string{}}
		for group := range strings.SplitSeq(cells[4], ";") {
			names, values, closed := strings.Cut(group, ":")
			for _, name := range quoted.FindAllStringSubmatch(names, -1) {
				row.labels[name[1]] = nil
				if !closed {
					continue
				}
				for _, value := range quoted.FindAllStringSubmatch(values, -1) {
					row.labels[name[1]] = append(row.labels[name[1]], value[1])
				}
			}
		}
		rows[row.prometheus] = row
	}
	if len(rows) < 30 {
		t.Fatalf("docs/reference/metrics.md has only %d rows", len(rows))
	}
	return rows
}

func parseExposition(t *testing.T, from io.Reader) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(from)
	if err != nil {
		t.Fatal("parsing /metrics:", err)
	}
	return families
}

// labelsOf returns every value of every label of a metric.
func labelsOf(family *dto.MetricFamily) map[string][]string {
	labels := make(map[string][]string)
	for _, series := range family.GetMetric() {
		for _, label := range series.GetLabel() {
			if name := label.GetName(); !slices.Contains(labels[name], label.GetValue()) {
				labels[name] = append(labels[name], label.GetValue())
			}
		}
	}
	return labels
}

func keys(of map[string][]string) []string { return slices.Sorted(maps.Keys(of)) }

// TestServedMetricsAreDocumented, each metric and each label, and what is
// documented is served, once an agent has done everything that is counted.
func TestServedMetricsAreDocumented(t *testing.T) {
	collector := agenttest.Serve(t, http.HandlerFunc(http.NotFound)).URL
	// The first is tried again, the second is refused.
	sink := agenttest.NewSink(t, agenttest.Responding(agenttest.Statuses(503, 400, 202)))
	r := newRig(t, agenttest.InFrontOf(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/broken" {
			panic(http.ErrAbortHandler)
		}
		agenttest.Predictor().ServeHTTP(w, r)
	})), agenttest.LettersResponding(nil),
		agenttest.With("--sink="+sink.URL, "--sink.default.spool-dir="+t.TempDir(), "--sink.default.spool-bytes=8388608", "--namespace=ns",
			"--sink=refused=http://169.254.169.254/", "--metadata-header=tenant=X-Tenant",
			"--tracing-protocol=http/protobuf", "--tracing-sampling-rate=1", "--tracing-endpoint="+collector))
	r.Post("/v1/models/m:predict", "{}")
	r.Do(http.MethodPost, "/v1/models/m:predict", http.Header{"X-Tenant": {strings.Repeat("x", 2000)}}, strings.NewReader("{}"))
	r.Do(http.MethodGet, "/healthz", nil, nil)
	if response, err := agenttest.HTTP1Client(t).Post(r.URL+"/broken", "application/json", strings.NewReader("{}")); err == nil {
		response.Body.Close()
		t.Error("the model broke off, and the client got a response")
	}
	r.settled()

	rows := documentedMetrics(t)
	var served map[string]*dto.MetricFamily
	agenttest.Eventually(t, "an export has failed", func() bool {
		served = parseExposition(t, strings.NewReader(r.Page("/metrics")))
		return served["sidenote_telemetry_failures_total"] != nil
	})
	for name, family := range served {
		row, found := rows[name]
		if !found {
			t.Errorf("%s is served and not documented", name)
			continue
		}
		if got, want := keys(labelsOf(family)), keys(row.labels); !slices.Equal(got, want) {
			t.Errorf("%s has the labels %v, documented are %v", name, got, want)
		}
	}
	for name := range rows {
		// A limit that the environment sets is read when the process starts.
		if served[name] == nil && name != "go_memory_limit_bytes" {
			t.Errorf("%s is documented and not served", name)
		}
	}
}

// worstCase returns the instruments of an agent with two sinks, each with a dead
// letter sink, that has seen everything there is a label for.
func worstCase(t *testing.T, reader sdkmetric.Reader) {
	t.Helper()
	state := status.Status{
		Skipped:        make(map[ledger.SkipReason]uint64),
		SkippedEvents:  make(map[string]uint64),
		ExportFailures: map[string]uint64{string(export.Metrics): 1, string(export.Traces): 1},
		Metadata:       refresh.Status{Hash: "0123456789abcdef"},
		Sinks:          make(map[string]delivery.SinkStatus),
		Spools:         map[string]delivery.SpoolStatus{"default": {}, "other": {}},
		LeftOut:        make(map[event.LeftOutReason]uint64),
	}
	for _, reason := range event.LeftOutReasons() {
		state.LeftOut[reason] = 1
	}
	for _, reason := range ledger.SkipReasons() {
		state.Skipped[reason] = 1
	}
	for _, kind := range agentconfig.Kinds() {
		// A ledger event is of no exchange, so none is skipped.
		if kind != agentconfig.KindLedger {
			state.SkippedEvents[string(kind)] = 1
		}
	}
	for _, name := range []string{"default", "other"} {
		snapshot := ledger.Snapshot{Counts: ledger.Counts{Dropped: map[ledger.Reason]uint64{}}}
		for _, reason := range ledger.Reasons() {
			snapshot.Dropped[reason] = 1
		}
		state.Sinks[name] = delivery.SinkStatus{Snapshot: snapshot}
	}
	made, err := metrics.New(reader, resource.Empty())
	if err != nil {
		t.Fatal(err)
	}
	if err := made.Observe(func() status.Status { return state }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = made.Shutdown(t.Context()) })
	for name := range state.Sinks {
		for _, route := range []string{name, name + ".dead-letter"} {
			for status := range 600 {
				made.Attempt(route, time.Second, status)
			}
		}
	}
	for _, class := range delivery.AddressClasses() {
		made.RefusedAddress(string(class))
	}
	for _, class := range proxy.ErrorClasses() {
		made.NoResponse(string(class))
	}
	made.Overhead(time.Millisecond)
}

func TestMetricsHaveAtMost200Series(t *testing.T) {
	reader, exposition, err := metrics.NewExposition()
	if err != nil {
		t.Fatal(err)
	}
	worstCase(t, reader)
	response := httptest.NewRecorder()
	exposition.ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	text := response.Body.String()
	series := 0
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			series++
		}
	}
	// A limit of the Go runtime that is set is one more.
	series++
	t.Logf("%d series", series)
	if series > 200 {
		t.Errorf("%d series:\n%s", series, text)
	}

	rows := documentedMetrics(t)
	for name, family := range parseExposition(t, strings.NewReader(text)) {
		for label, values := range labelsOf(family) {
			slices.Sort(values)
			if closed := slices.Sorted(slices.Values(rows[name].labels[label])); len(closed) > 0 && !slices.Equal(values, closed) {
				t.Errorf("%s has for %s the values %v, documented are %v", name, label, values, closed)
			}
		}
	}
}

// TestMetricNamesAndUnitsAreDocumented, as OpenTelemetry has them.
func TestMetricNamesAndUnitsAreDocumented(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	worstCase(t, reader)
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	made := make(map[string]string)
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			made[m.Name] = m.Unit
		}
	}
	for _, row := range documentedMetrics(t) {
		if unit, found := made[row.name]; found && unit != row.unit {
			t.Errorf("%s has the unit %q, documented is %q", row.name, unit, row.unit)
		} else if !found && row.prometheus != "target_info" && row.name != "go.memory.limit" {
			t.Errorf("%s is documented, and there is none", cmp.Or(row.name, row.prometheus))
		}
		delete(made, row.name)
	}
	if len(made) > 0 {
		t.Errorf("not documented: %v", made)
	}
}
