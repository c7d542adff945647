/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// TestStatusIsTheSameJSON compares /status byte by byte: dashboards and the tests
// of other releases read it.
func TestStatusIsTheSameJSON(t *testing.T) {
	sink := agenttest.NewSink(t)
	for _, test := range []struct {
		name    string
		options []agenttest.Option
		ready   func(r *rig) bool
		want    string
	}{
		{
			"a sink with a spool, and one without",
			[]agenttest.Option{agenttest.To(sink), spooling(t.TempDir(), 4<<20), agenttest.With("--sink=default="+sink.URL, "--sink=other="+sink.URL,
				"--events=response", "--metadata=team=fraud", "--paths=/v1/*")},
			func(r *rig) bool { return r.agent.status().Spools["default"].Open },
			`{"agentInstance":"INSTANCE","ready":true,"active":0,` +
				`"metadata":{"hash":"HASH","attributes":["team"],"changes":0,"failures":0},` +
				`"sinks":{` +
				`"default":{"observed":1,"recovered":0,"delivered":1,"dropped":{},"deadLettered":0,"pending":0,"retried":0,"spooled":0},` +
				`"other":{"observed":1,"recovered":0,"delivered":1,"dropped":{},"deadLettered":0,"pending":0,"retried":0,"spooled":0}},` +
				`"spools":{"default":{"open":true,"failing":false,"errors":0,"bytes":BYTES,"limit":4194304,"segments":0,` +
				`"watermark":0,"mark":0,"unread":false,"spooled":0,"read":0,"acknowledged":0,"droppedOldest":0,"lost":0,` +
				`"refusedFull":0,"corruptBlocks":0,"tornTails":0,"spooledThrough":1}},` +
				`"skipped":{"path":1},"skippedEvents":{"request":1},"bufferUsed":BYTES,"bufferLimit":67108864}`,
		},
		{
			"no sink",
			[]agenttest.Option{agenttest.WithoutSink},
			func(*rig) bool { return true },
			`{"agentInstance":"INSTANCE","ready":true,"active":0,` +
				`"metadata":{"hash":"HASH","attributes":null,"changes":0,"failures":0},` +
				`"sinks":{"default":{"observed":4,"recovered":0,"delivered":0,"dropped":{"nosink":4},"deadLettered":0,"pending":0,"retried":0,"spooled":0}},` +
				`"bufferUsed":0,"bufferLimit":67108864}`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, append(test.options, agenttest.With("--buffer-bytes=67108864"),
				agenttest.InFrontOf(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) })))...)
			r.Post("/v1/models/m:predict", "{}")
			r.Post("/elsewhere", "{}")
			agenttest.Eventually(t, "the agent rests", func() bool {
				status := r.agent.status()
				pending := uint64(0)
				for _, s := range status.Sinks {
					pending += s.Pending
				}
				return status.Ready && status.Active == 0 && pending == 0 && r.agent.pipeline.Empty() && test.ready(r)
			})
			got := strings.TrimSpace(r.Page("/status"))
			for _, varying := range [][2]string{
				{`("agentInstance":)"[^"]+"`, `$1"INSTANCE"`}, {`("hash":)"[^"]+"`, `$1"HASH"`},
				{`("bytes":)[0-9]+`, `${1}BYTES`}, {`("bufferUsed":)[1-9][0-9]*`, `${1}BYTES`},
			} {
				got = regexp.MustCompile(varying[0]).ReplaceAllString(got, varying[1])
			}
			if got != test.want {
				t.Errorf("/status is\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

// TestTheLedgerLineIsTheSameJSON, which is what is known of an agent that has
// ended.
func TestTheLedgerLineIsTheSameJSON(t *testing.T) {
	r := newRig(t, agenttest.InFrontOf(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), agenttest.With("--events="+string(agentconfig.KindResponse)))
	r.Post("/", "{}")
	r.settled()
	r.Terminate()
	want := `"ledger":{"default":{"observed":1,"recovered":0,"delivered":1,"dropped":{},"deadLettered":0,"pending":0,"retried":0,"spooled":0}}`
	if logs := r.Logs.String(); !strings.Contains(logs, want) {
		t.Errorf("the logs lack %s:\n%s", want, logs)
	}
}
