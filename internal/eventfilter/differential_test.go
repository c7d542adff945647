/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package eventfilter

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	eventingv1 "knative.dev/eventing/pkg/apis/eventing/v1"
	eventing "knative.dev/eventing/pkg/eventfilter"
	"knative.dev/eventing/pkg/eventfilter/subscriptionsapi"
	"knative.dev/pkg/logging"
)

// TestMain finds goroutines that outlive the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// of is an event by its attributes.
type of map[string]string

func (o of) Attribute(name string) (string, bool)  { value, found := o[name]; return value, found }
func (o of) Attributes() iter.Seq2[string, string] { return maps.All(o) }

// prediction is an event as the agent makes it.
func prediction() of {
	return of{
		"specversion": "1.0", "type": "io.kubeflow.serving.inference.response", "source": "m-predictor-default", "id": "c-response",
		"time": "2026-11-25T10:00:00.12Z", "subject": "/v1/models/m:predict", "datacontenttype": "application/json; charset=utf-8",
		"team": "risk", "owner": "Zoë \"Z\"", "statuscode": "200", "durationms": "12", "empty": "",
	}
}

// behindABroker returns the event as a Trigger behind a Broker has it: an Integer
// goes into a header, and is read back as a String.
func behindABroker(tb testing.TB, o of) *event.Event {
	tb.Helper()
	sent := event.New()
	for name, value := range o {
		switch name {
		case "specversion":
		case "type":
			sent.SetType(value)
		case "source":
			sent.SetSource(value)
		case "id":
			sent.SetID(value)
		case "subject":
			sent.SetSubject(value)
		case "datacontenttype":
			sent.SetDataContentType(value)
		case "time":
			at, err := time.Parse(time.RFC3339Nano, value)
			if err != nil {
				tb.Fatal(err)
			}
			sent.SetTime(at)
		case "statuscode", "durationms":
			var number int32
			if _, err := fmt.Sscan(value, &number); err != nil {
				tb.Fatal(err)
			}
			sent.SetExtension(name, number)
		default:
			sent.SetExtension(name, value)
		}
	}
	request, err := http.NewRequest(http.MethodPost, "http://broker", nil)
	if err != nil {
		tb.Fatal(err)
	}
	if err := cehttp.WriteRequest(binding.WithForceBinary(tb.Context()), binding.ToMessage(&sent), request); err != nil {
		tb.Fatal(err)
	}
	received, err := binding.ToEvent(tb.Context(), cehttp.NewMessageFromHttpRequest(request))
	if err != nil {
		tb.Fatal(err)
	}
	return received
}

// triggerPasses is what a Trigger with the filter does with an event. A panic of
// Eventing's filter passes nothing on.
func triggerPasses(t *testing.T, text string, e *event.Event) (passes, panicked bool) {
	t.Helper()
	var filter eventingv1.SubscriptionsAPIFilter
	if err := json.Unmarshal([]byte(text), &filter); err != nil {
		t.Fatal(err)
	}
	// Cleanup must not come while Eventing's all and any change the order of their
	// filters, which they do in goroutines.
	synctest.Test(t, func(*testing.T) {
		compiled := subscriptionsapi.CreateSubscriptionsAPIFilters(zap.NewNop(), []eventingv1.SubscriptionsAPIFilter{filter})
		defer func() {
			synctest.Wait()
			compiled.Cleanup()
		}()
		defer func() {
			if recover() != nil {
				passes, panicked = false, true
			}
		}()
		ctx := logging.WithLogger(context.Background(), zap.NewNop().Sugar())
		passes = compiled.Filter(ctx, *e) != eventing.FailFilter
	})
	return passes, panicked
}

// compareWithTrigger expects the filter to do what a Trigger does.
func compareWithTrigger(t *testing.T, text string, o of) {
	t.Helper()
	compiled, err := Compile(text)
	if err != nil {
		return
	}
	want, panicked := triggerPasses(t, text, behindABroker(t, o))
	if got := compiled.Matches(o); got != want && !panicked {
		t.Errorf("%s matches %v: %v, of a Trigger %v", text, o, got, want)
	}
}

// TestEachDialectIsATriggers compares the results with Eventing's own filters, and
// with what is written here.
func TestEachDialectIsATriggers(t *testing.T) {
	for text, want := range map[string]bool{
		`{"exact":{"team":"risk"}}`:                                           true,
		`{"exact":{"team":"Risk"}}`:                                           false,
		`{"exact":{"team":"risk","statuscode":"200"}}`:                        true,
		`{"exact":{"team":"risk","statuscode":"500"}}`:                        false,
		`{"exact":{"missing":"x"}}`:                                           false,
		`{"not":{"exact":{"missing":"x"}}}`:                                   true,
		`{"exact":{"owner":"Zoë \"Z\""}}`:                                     true,
		`{"exact":{"time":"2026-11-25T10:00:00.12Z"}}`:                        true,
		`{"exact":{"datamediatype":"application/json"}}`:                      true,
		`{"exact":{"specversion":"1.0"}}`:                                     true,
		`{"prefix":{"type":"io.kubeflow.serving."}}`:                          true,
		`{"prefix":{"type":"io.kubeflow.","team":"x"}}`:                       false,
		`{"prefix":{"missing":"x"}}`:                                          false,
		`{"prefix":{"statuscode":"2"}}`:                                       true,
		`{"suffix":{"type":".response"}}`:                                     true,
		`{"suffix":{"type":".request"}}`:                                      false,
		`{"suffix":{"dataschema":"x"}}`:                                       false,
		`{"all":[{"exact":{"team":"risk"}},{"suffix":{"type":".response"}}]}`: true,
		`{"all":[{"exact":{"team":"risk"}},{"suffix":{"type":".request"}}]}`:  false,
		`{"any":[{"exact":{"team":"x"}},{"suffix":{"type":".response"}}]}`:    true,
		`{"any":[{"exact":{"team":"x"}},{"suffix":{"type":".request"}}]}`:     false,
		`{"not":{"any":[{"exact":{"team":"x"}},{"exact":{"team":"y"}}]}}`:     true,
		`{"cesql":"team = 'risk'"}`:                                           true,
		`{"cesql":"team = 'x' OR durationms > 10"}`:                           true,
		`{"cesql":"durationms < 9"}`:                                          false,
		`{"cesql":"statuscode = 200"}`:                                        true,
		`{"cesql":"statuscode IN (200, 201)"}`:                                true,
		`{"cesql":"EXISTS missing"}`:                                          false,
		`{"cesql":"EXISTS empty"}`:                                            false,
		`{"cesql":"missing = 'x'"}`:                                           false,
		`{"cesql":"NOT (missing = 'x')"}`:                                     false,
		`{"not":{"cesql":"missing = 'x'"}}`:                                   true,
		`{"cesql":"missing != 'x'"}`:                                          false,
		`{"cesql":"team > 1"}`:                                                false,
		`{"cesql":"durationms / 0 = 1"}`:                                      false,
		`{"cesql":"type LIKE '%.response'"}`:                                  true,
		`{"cesql":"subject LIKE '/v_/%:predict'"}`:                            true,
		`{"cesql":"LEFT(team, 2) = 'ri'"}`:                                    true,
		`{"cesql":"UPPER(team) = 'RISK' AND LENGTH(team) = 4"}`:               true,
		`{"cesql":"TEAM = 'risk'"}`:                                           true,
		`{"cesql":"time = '2026-11-25T10:00:00.12Z'"}`:                        true,
		`{"cesql":"team"}`:                                                    false,
		`{"not":{"cesql":"SUBSTRING(team, 1, -9) = 'x'"}}`:                    true,
		`{"cesql":"owner = 'Zoë \"Z\"'"}`:                                     true,
		`{"all":[{"cesql":"team = 'risk'"},{"not":{"exact":{"a":"b"}}}]}`:     true,
	} {
		compiled, err := Compile(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		o := prediction()
		// An empty attribute is none: the agent's events have no such attribute.
		delete(o, "empty")
		if got := compiled.Matches(o); got != want {
			t.Errorf("%s matches: %v", text, got)
		}
		if trigger, panicked := triggerPasses(t, text, behindABroker(t, o)); trigger != want && !panicked {
			t.Errorf("%s matches for a Trigger: %v", text, trigger)
		}
	}
}

// TestAnyFilterIsATriggers compares random filters on random events.
func TestAnyFilterIsATriggers(t *testing.T) {
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 0))
		text, err := json.Marshal(someFilter(random, 3))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Compile(string(text)); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		compareWithTrigger(t, string(text), someEvent(random))
	}
}

func someEvent(random *rand.Rand) of {
	o := of{}
	for name, value := range prediction() {
		required := name == "specversion" || name == "type" || name == "source" || name == "id"
		if value != "" && (required || random.IntN(3) > 0) {
			o[name] = value
		}
	}
	if random.IntN(2) == 0 {
		o["team"] = []string{"x", "true", "12", "RISK", "FALSE", "2147483648", " 1", "-1"}[random.IntN(8)]
	}
	return o
}

func someFilter(random *rand.Rand, depth int) map[string]any {
	values := func() map[string]string {
		names := []string{"team", "owner", "type", "statuscode", "durationms", "missing", "subject", "datamediatype", "schemaurl", "time", "datacontentencoding"}
		picked := map[string]string{}
		for range 1 + random.IntN(2) {
			name := names[random.IntN(len(names))]
			value := prediction()[name]
			if value == "" || random.IntN(4) == 0 {
				value = "x"
			}
			cut := random.IntN(len(value))
			for cut > 0 && value[cut]&0xC0 == 0x80 {
				cut--
			}
			picked[name] = []string{value, value[cut:], value[:max(cut, 1)]}[random.IntN(3)]
		}
		return picked
	}
	list := func() (filters []any) {
		for range 1 + random.IntN(3) {
			filters = append(filters, someFilter(random, depth-1))
		}
		return filters
	}
	pick := random.IntN(7)
	if depth == 0 {
		pick = random.IntN(4)
	}
	switch pick {
	case 0:
		return map[string]any{"exact": values()}
	case 1:
		return map[string]any{"prefix": values()}
	case 2:
		return map[string]any{"suffix": values()}
	case 3:
		return map[string]any{"cesql": "EXISTS id AND " + someExpression(random, 2)}
	case 4:
		return map[string]any{"all": list()}
	case 5:
		return map[string]any{"any": list()}
	default:
		return map[string]any{"not": someFilter(random, depth-1)}
	}
}

func someExpression(random *rand.Rand, depth int) string {
	atoms := []string{"team", "statuscode", "durationms", "missing", "'risk'", "'12'", "12", "-1", "TRUE", "false", "owner", "time", "''", "type", "TEAM"}
	if depth == 0 {
		return atoms[random.IntN(len(atoms))]
	}
	next := func() string { return someExpression(random, depth-1) }
	switch random.IntN(9) {
	case 0:
		return "(" + next() + " AND " + next() + ")"
	case 1:
		return "(" + next() + " OR " + next() + ")"
	case 2:
		return "(NOT " + next() + ")"
	case 3:
		return "(" + next() + " = " + next() + ")"
	case 4:
		return "(" + next() + " < " + next() + ")"
	case 5:
		return "(" + next() + " IN (" + next() + ", " + next() + "))"
	case 6:
		return "(" + next() + " LIKE '%i_k')"
	case 7:
		return "IS_INT(" + next() + ")"
	default:
		return "(LEFT(" + next() + ", 2) != " + next() + ")"
	}
}

// FuzzAFilterIsATriggers compares any filter that compiles, on events with any
// values of attributes.
func FuzzAFilterIsATriggers(f *testing.F) {
	for _, text := range []string{
		`{"exact":{"team":"risk"}}`, `{"not":{"cesql":"SUBSTRING(team,1,-9)='x'"}}`, `{"any":[{"prefix":{"team":"r"}},{"suffix":{"type":"e"}}]}`,
		`{"cesql":"team LIKE '%\\_' XOR NOT EXISTS owner"}`, `{"cesql":"CONCAT_WS('-', team, owner) <> 'a-b'"}`, `{"cesql":"((1))=-1"}`, `{"all":[{}]}`,
	} {
		f.Add(text, "risk", "b", int32(200))
	}
	f.Fuzz(func(t *testing.T, text, team, owner string, status int32) {
		o := prediction()
		o["statuscode"] = fmt.Sprint(status)
		// The agent's events have neither an empty attribute nor one that a header
		// changes on the way.
		delete(o, "empty")
		for name, value := range map[string]string{"team": team, "owner": owner} {
			if delete(o, name); value != "" && !strings.ContainsFunc(value, func(r rune) bool { return r < '!' || r > '~' || r == '"' || r == '%' }) {
				o[name] = value
			}
		}
		compareWithTrigger(t, text, o)
	})
}
