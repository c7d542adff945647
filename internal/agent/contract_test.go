/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// contractCap is the agents' maxPayloadBytes here.
const contractCap = 4096

// promise is one row of the contract's table.
type promise struct {
	protocol, outcome string
	request, response promisedEvent
}

// promisedEvent is one half of a row, in its words. Without a kind, there is
// no event.
type promisedEvent struct{ kind, data, contentType string }

// promises reads the table of docs/event-contract.md.
func promises(t *testing.T) []promise {
	t.Helper()
	text, err := os.ReadFile("../../docs/event-contract.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## What goes out when\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var rows []promise
	for line := range strings.Lines(section) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| protocol ") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if len(cells) != 8 {
			t.Fatalf("%d cells in %s", len(cells), line)
		}
		for i := range cells {
			cells[i] = strings.TrimPrefix(strings.Trim(strings.TrimSpace(cells[i]), "`"), "–")
		}
		rows = append(rows, promise{
			protocol: cells[0], outcome: cells[1],
			request:  promisedEvent{cells[2], cells[3], cells[4]},
			response: promisedEvent{cells[5], cells[6], cells[7]},
		})
	}
	return rows
}

// TestContractTable runs every row of the table in every mode, with every
// kind of event chosen, with those of the default, and with fewer.
func TestContractTable(t *testing.T) {
	rows := promises(t)
	outcomes := outcomesOf(t)
	seen := make(map[string]bool)
	for _, row := range rows {
		name := row.protocol + ": " + row.outcome
		if _, known := outcomes[name]; !known || seen[name] {
			t.Errorf("the table's row %q has no scenario, or stands there twice", name)
		}
		seen[name] = true
	}
	for name := range outcomes {
		if !seen[name] {
			t.Errorf("the table has no row %q", name)
		}
	}
	if t.Failed() {
		return
	}

	const everything = "request,response,stream,request.failure,response.failure,request.oversize,response.oversize,request.encoded,response.encoded,tunnel,loop"
	for _, test := range []struct{ mode, events string }{
		{"all", "ledger"},
		{"all", everything}, {"request", everything}, {"response", everything}, {"all", agentconfig.FormatKinds(agentconfig.DefaultKinds())}, {"all", "request,response,stream"},
	} {
		name := "mode " + test.mode
		if test.events != everything {
			name += ", events " + test.events
		}
		for _, scene := range []scene{plainModel, grpcServer, noModel} {
			t.Run(name+", "+string(scene), func(t *testing.T) {
				stage := newStage(t, scene, outcomes, "--mode="+test.mode, "--events="+test.events)
				for _, row := range rows {
					outcome := outcomes[row.protocol+": "+row.outcome]
					if outcome.scene != scene {
						continue
					}
					want, without := make(map[string]promisedEvent), []string(nil)
					for side, promised := range map[string]promisedEvent{"request": row.request, "response": row.response} {
						wanted := test.mode == "all" || test.mode == side || promised.kind == "tunnel" || promised.kind == "loop"
						switch {
						case promised.kind == "":
						case wanted && slices.Contains(strings.Split(test.events, ","), promised.kind):
							want[side] = promised
						default:
							without = append(without, promised.kind)
						}
					}
					t.Run(row.protocol+" "+row.outcome, func(t *testing.T) { stage.play(t, outcome, stage.http1, want, without) })
					if row.protocol == "HTTP" {
						t.Run(row.protocol+" 2 "+row.outcome, func(t *testing.T) { stage.play(t, outcome, stage.http2, want, without) })
					}
				}
			})
		}
	}
}

// scene says what is behind the agent.
type scene string

const (
	plainModel scene = "a plain model"
	grpcServer scene = "a gRPC server"
	noModel    scene = "no model"
)

// stage is where outcomes are played: an agent in its scene, and clients.
type stage struct {
	rig          *rig
	http1, http2 *http.Client
	connection   *grpc.ClientConn
	calls        grpc_testing.TestServiceClient
}

func newStage(t *testing.T, scene scene, outcomes map[string]*outcome, arguments ...string) *stage {
	t.Helper()
	arguments = append(arguments, "--max-payload-bytes="+strconv.Itoa(contractCap))
	s := new(stage)
	switch scene {
	case grpcServer:
		s.rig, _, s.calls = newGRPCRig(t, arguments...)
	case noModel:
		s.rig = newRig(t, agenttest.InFrontOf(http.NotFoundHandler()), agenttest.With(append(arguments, "--target=http://127.0.0.1:1")...))
	default:
		s.rig = newRig(t, agenttest.InFrontOf(modelOf(outcomes)), agenttest.With(arguments...))
	}
	s.http1, s.http2 = agenttest.HTTP1Client(t), agenttest.HTTP2Client(t)
	s.connection = s.rig.dialGRPC()
	return s
}

// modelOf responds to each outcome's path as the outcome says.
func modelOf(outcomes map[string]*outcome) http.Handler {
	mux := http.NewServeMux()
	for _, o := range outcomes {
		mux.HandleFunc(o.path, o.respond)
	}
	return mux
}

// play makes an outcome happen, and compares the events with what is promised
// for each side, and what is counted with the kinds that don't go out.
func (s *stage) play(t *testing.T, o *outcome, client *http.Client, want map[string]promisedEvent, without []string) {
	t.Helper()
	r := s.rig
	before, droppedBefore, skippedBefore := len(r.Sink.Events()), r.settled().Dropped[ledger.ReasonEncoded], r.agent.pipeline.Skips().Snapshot()
	o.call(t, s, client)
	counts := r.settled()
	if counts.Observed != counts.Delivered+counts.DroppedTotal() {
		t.Errorf("the ledger says %+v", counts)
	}
	skipped := r.agent.pipeline.Skips().Snapshot()
	accounted := counts.Dropped[ledger.ReasonEncoded] - droppedBefore
	for kind, count := range skipped.Events {
		more := count - skippedBefore.Events[kind]
		accounted += more
		// A body that nobody is to have isn't decoded, and so counts as what its
		// head says.
		if o.keptOnly && kind == "response.failure" {
			continue
		}
		if more > 0 && !slices.Contains(without, kind) && !slices.Contains(without, kind+".encoded") {
			t.Errorf("%d skipped of %s, want %v", more, kind, without)
		}
	}
	if accounted != uint64(len(without)) {
		t.Errorf("%d sides are accounted for that gave no event, want %v: %+v", accounted, without, skipped)
	}
	exchanges := uint64(0)
	for reason, count := range skipped.Exchanges {
		exchanges += count - skippedBefore.Exchanges[reason]
	}
	if none := len(want)+len(without) == 0; none != (exchanges == 1) {
		t.Errorf("%d exchanges are skipped", exchanges)
	}
	got := r.Sink.Events()[before:]
	if len(got) != len(want) {
		var types []string
		for _, e := range got {
			types = append(types, e.Type())
		}
		t.Errorf("got %v, want %v", types, want)
		return
	}
	for side, promised := range want {
		index := slices.IndexFunc(got, func(e agenttest.Event) bool {
			return e.Type() == "io.kubeflow.serving.inference."+promised.kind
		})
		if index < 0 {
			t.Errorf("no %s among %v", promised.kind, got)
			continue
		}
		o.of(side).check(t, promised, got[index])
	}
}

// sample is what one side of an outcome sends.
type sample struct {
	contentType, encoding string
	// wire is what flows, plain is that without its coding or framing, and part
	// what flows before an end.
	wire, plain, part string
	// rest is what the model sends after the client has left.
	rest string
	// attributes are those that the side's event has beside.
	attributes map[string]string
}

func (s *sample) check(t *testing.T, promised promisedEvent, got agenttest.Event) {
	t.Helper()
	data, known := map[string]string{
		"the body":       s.plain,
		"the message":    s.plain,
		"as it was":      s.wire,
		"as framed":      s.wire,
		"its start":      s.wire[:min(len(s.wire), contractCap)],
		"what there was": s.part,
		"none":           "",
	}[promised.data]
	if !known || promised.data != "none" && data == "" {
		t.Fatalf("%q of a %s says nothing", promised.data, promised.kind)
	}
	if string(got.Data()) != data {
		t.Errorf("%s: data %.100q, want %.100q", promised.kind, got.Data(), data)
	}
	contentType := promised.contentType
	switch contentType {
	case "its own":
		contentType = s.contentType
	case "none":
		contentType = ""
	}
	if got.DataContentType() != contentType {
		t.Errorf("%s: content type %q, want %q", promised.kind, got.DataContentType(), contentType)
	}
	for name, value := range s.attributes {
		if got.Attribute(name) != value {
			t.Errorf("%s: %s is %q, want %q", promised.kind, name, got.Attribute(name), value)
		}
	}
	if got.Attribute("replaced") != "" {
		t.Errorf("%s: replaced %s", promised.kind, got.Attribute("replaced"))
	}
}
