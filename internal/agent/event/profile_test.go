/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// meantAsKServe returns the meaning of an event in the profile kserve, of its meaning
// in the profile sidenote.
func meantAsKServe(t *testing.T, e *Event, meant *cloudevents.Event, exchange *Exchange, attributes []metadata.Attribute) *cloudevents.Event {
	t.Helper()
	kind := strings.TrimPrefix(meant.Type(), TypePrefix)
	if kind != "request" && kind != "response" {
		return meant
	}
	converted := meant.Clone()
	context := converted.Context.(*cloudevents.EventContextV1)
	replaced, _ := context.Extensions["replaced"].(string)
	replace := func(name string) { replaced = strings.TrimPrefix(replaced+","+name, ",") }
	context.Type = "org.kubeflow.serving.inference." + kind
	context.ID = exchange.CorrelationID
	if exchange.ClientEventID != "" {
		context.ID = exchange.ClientEventID
	}
	if contentType := meant.DataContentType(); isEventInStructuredMode(contentType) {
		replace("datacontenttype")
		plain := "application/octet-stream"
		if mediaType, _, _ := strings.Cut(contentType, ";"); strings.HasSuffix(strings.ToLower(strings.TrimSpace(mediaType)), "+json") {
			plain = "application/json"
		}
		context.DataContentType = &plain
	}
	context.Extensions["recordedtime"] = context.Time.Format(time.RFC3339Nano)
	if exchange.Hops > 0 {
		context.Extensions["agenthops"] = int32(exchange.Hops)
	}
	annotations := make(map[string]string)
	for _, attribute := range attributes {
		if attribute.Value != "" {
			annotations[attribute.Name] = strings.ToValidUTF8(attribute.Value, "\ufffd")
		}
	}
	json := func(name string, want any) {
		text, there := extensionsOf(e)[name].(string)
		switch {
		case there:
			checkJSON(t, name, text, want)
			context.Extensions[name] = text
		case e.headerSize <= 6<<10:
			t.Errorf("%s is missing", name)
		default:
			replace(name)
		}
	}
	json("annotations", annotations)
	json("metadata", map[string][]string{})
	if replaced != "" {
		context.Extensions["replaced"] = replaced
	}
	return &converted
}

// checkJSON compares JSON in an attribute with its value. It must be the same for
// receivers that decode percent-encoding and for those that don't.
func checkJSON(t *testing.T, name, text string, want any) {
	t.Helper()
	got := reflect.New(reflect.TypeOf(want))
	if err := json.Unmarshal([]byte(text), got.Interface()); err != nil {
		t.Errorf("%s is no JSON: %v: %q", name, err, text)
	} else if _, isText := want.(map[string]string); !isText && !reflect.DeepEqual(got.Elem().Interface(), want) {
		t.Errorf("%s is %s, want %v", name, text, want)
	} else if isText && len(got.Elem().Interface().(map[string]string)) != len(want.(map[string]string)) {
		t.Errorf("%s is %s, want %v", name, text, want)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' || r == '%' }) {
		t.Errorf("%s isn't printable ASCII without a percent sign: %q", name, text)
	}
}

// asKServe builds the event of an observation in the profile kserve.
func asKServe(t *testing.T, o *Observation, attributes ...metadata.Attribute) *Event {
	t.Helper()
	builder := &Builder{
		Identity:    Identity{Source: "iris-predictor", InferenceService: "iris", Namespace: "team-a", Component: "predictor", Revision: "iris-predictor-00001", AgentInstance: "i"},
		ContentMode: agentconfig.ContentModeAuto, MaxPayloadBytes: maxBytes,
		MetadataHeaders: []agentconfig.HeaderSource{{Attribute: "tenant", Header: "x-tenant"}, {Attribute: "absent", Header: "x-absent"}},
	}
	built, err := builder.Build(o, Classify(o, maxBytes), attributes)
	if err != nil {
		t.Fatal("Build:", err)
	}
	converted, err := built.As(agentconfig.ProfileKServe)
	if err != nil {
		t.Fatal("As:", err)
	}
	return converted
}

// TestProfileKServe: both events of an exchange have the headers of KServe's logger,
// and our own attributes.
func TestProfileKServe(t *testing.T) {
	recorded := func(o *Observation) { o.Recorded = o.At.Add(time.Millisecond) }
	attributes := []metadata.Attribute{{Name: "team", Value: "a b"}, {Name: "owner", Value: `50% of "é"`}}
	for _, test := range []struct {
		name string
		of   *Observation
		want map[string]string
	}{
		{"a request", observation(ofRequest, recorded, body(`{"instances":[[1]]}`)), map[string]string{"Ce-Type": "org.kubeflow.serving.inference.request"}},
		{"a response", observation(recorded), map[string]string{"Ce-Type": "org.kubeflow.serving.inference.response", "Ce-Statuscode": "200", "Ce-Durationms": "1"}},
	} {
		want := http.Header{}
		for name, value := range map[string]string{
			"Ce-Specversion": "1.0", "Ce-Id": "c", "Ce-Source": "iris-predictor",
			"Ce-Inferenceservicename": "iris", "Ce-Namespace": "team-a", "Ce-Component": "predictor",
			"Ce-Annotations": `{"owner":"50\u0025 of \"\u00e9\"","team":"a b"}`, "Ce-Metadata": "{}",
			"Ce-Time": test.of.At.Format(time.RFC3339Nano), "Ce-Recordedtime": test.of.At.Add(time.Millisecond).Format(time.RFC3339Nano),
			"Ce-Team": "a%20b", "Ce-Owner": "50%25%20of%20%22%C3%A9%22",
			"Ce-Correlationid": "c", "Ce-Agentinstance": "i", "Ce-Agentsequence": "000000000007", "Ce-Revision": "iris-predictor-00001",
			"Ce-Subject": "/v1/models/m:predict", "Content-Type": "application/json",
		} {
			want.Set(name, value)
		}
		for name, value := range test.want {
			want.Set(name, value)
		}
		message := asKServe(t, test.of, attributes...).Message(7)
		if !reflect.DeepEqual(message.Header, want) {
			t.Errorf("%s: the header is\n%v\nand not\n%v", test.name, message.Header, want)
		}
		var content bytes.Buffer
		if _, err := message.WriteTo(&content); err != nil || content.String() != string(test.of.Body.Data) {
			t.Errorf("%s: the body is %q, %v", test.name, content.String(), err)
		}
	}
}

// TestOtherKindsHaveNoProfile: KServe's logger sends neither failures nor streams, and
// its subscribers would take their bodies for whole ones.
func TestOtherKindsHaveNoProfile(t *testing.T) {
	for kind, o := range map[agentconfig.Kind]*Observation{
		agentconfig.KindStream:           observation(contentType("text/event-stream")),
		agentconfig.KindRequestFailure:   observation(ofRequest, brokenOff),
		agentconfig.KindResponseFailure:  observation(status(500)),
		agentconfig.KindRequestOversize:  observation(ofRequest, ofSize(maxBytes+1)),
		agentconfig.KindResponseOversize: observation(ofSize(maxBytes + 1)),
		agentconfig.KindRequestEncoded:   observation(ofRequest, contentEncoding("compress")),
		agentconfig.KindResponseEncoded:  observation(contentEncoding("compress")),
		agentconfig.KindTunnel:           observation(ofTunnel),
		agentconfig.KindLoop:             observation(ofLoop),
	} {
		e := build(t, agentconfig.ContentModeAuto, o)
		converted, err := e.As(agentconfig.ProfileKServe)
		if err != nil || converted != e || e.Kind != kind || e.Type() != TypePrefix+string(kind) {
			t.Errorf("%s: it becomes a %s of type %s, %v", kind, converted.Kind, converted.Type(), err)
		}
	}
	e := build(t, agentconfig.ContentModeAuto, observation())
	if same, err := e.As(agentconfig.ProfileSidenote); err != nil || same != e {
		t.Errorf("in the profile sidenote it is another: %v", err)
	}
}

// TestTheClientsEventIDIsTheID, as in KServe's logger, unless an event can't have it.
func TestTheClientsEventIDIsTheID(t *testing.T) {
	for given, want := range map[string]string{
		"": "c", "abc-1": "abc-1", "a b": "c", "50%": "c", "é": "c", strings.Repeat("x", 128): strings.Repeat("x", 128), strings.Repeat("x", 129): "c",
	} {
		r, err := http.NewRequest(http.MethodPost, "http://m/v1/models/m:predict", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Ce-Id", given)
		for _, side := range []option{ofRequest, func(*Observation) {}} {
			o := observation(side)
			o.Exchange = NewExchange(r, "c", received)
			if got := asKServe(t, o).ID(); got != want {
				t.Errorf("the Ce-Id %q gives the id %q, want %q", given, got, want)
			}
			if own := build(t, agentconfig.ContentModeAuto, o); own.ID() != "c-"+o.Side.String() {
				t.Errorf("in the profile sidenote the id is %q", own.ID())
			}
		}
	}
}

// TestMetadataOfHeaders: KServe's attribute metadata has the headers that are attributes.
func TestMetadataOfHeaders(t *testing.T) {
	e := asKServe(t, observation())
	before := *e
	before.kserve = false
	before.own = slices.Clone(e.own)
	before.own.setText("tenant", `é"1`)
	converted, err := before.As(agentconfig.ProfileKServe)
	if err != nil {
		t.Fatal(err)
	}
	if got := converted.own.text("metadata"); got != `{"X-Tenant":["\u00e9\"1"]}` {
		t.Errorf("metadata is %s", got)
	}
}

// TestABodyThatIsAnEventIsNotReadAsOne: in binary mode a receiver would take it for
// the event itself.
func TestABodyThatIsAnEventIsNotReadAsOne(t *testing.T) {
	for given, want := range map[string]string{
		"application/cloudevents+json": "application/json", "Application/CloudEvents-batch+json; charset=utf-8": "application/json",
		"application/cloudevents+avro": "application/octet-stream", "application/json": "application/json",
	} {
		e := asKServe(t, observation(contentType(given)))
		got, _ := receive(t, e)
		if got.Type() != "org.kubeflow.serving.inference.response" || got.DataContentType() != want || (given != want) != (got.Extensions()["replaced"] == "datacontenttype") {
			t.Errorf("%s: a receiver reads %v", given, got)
		}
	}
}

// TestLongHeadersLoseKServesJSONFirst: the same values are attributes of their own.
func TestLongHeadersLoseKServesJSONFirst(t *testing.T) {
	for _, test := range []struct {
		value    string
		replaced string
	}{
		{strings.Repeat("x", 1000), ""},
		{strings.Repeat("x", 1900), "annotations"},
		{strings.Repeat("é", 500), "annotations"},
		{strings.Repeat("é", 1020), "annotations,metadata"},
	} {
		e := asKServe(t, observation(), metadata.Attribute{Name: "team", Value: test.value}, metadata.Attribute{Name: "owner", Value: test.value})
		all := extensionsOf(e)
		if replaced, _ := all["replaced"].(string); replaced != test.replaced {
			t.Errorf("of %d bytes, replaced is %q, want %q", len(test.value), replaced, test.replaced)
		}
		for _, name := range []string{"annotations", "metadata"} {
			if _, there := all[name]; there == strings.Contains(test.replaced, name) {
				t.Errorf("of %d bytes, %s is there: %v", len(test.value), name, there)
			}
		}
		if message := e.Message(1); message.Header.Get("Ce-Team") != bindingEncoded(test.value) {
			t.Errorf("of %d bytes it goes out as %.80v", len(test.value), message.Header)
		}
	}
}

// TestADeadLetterKeepsItsProfile, and so does an event that comes back from a disk.
func TestADeadLetterKeepsItsProfile(t *testing.T) {
	e := asKServe(t, observation(), metadata.Attribute{Name: "team", Value: "é"})
	letter, err := e.DeadLetter(Failure{Destination: "http://sink", Status: 500})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range []*Event{e, letter} {
		back, _ := stored(t, one)
		if got, want := wire(t, back), wire(t, one); got != want {
			t.Errorf("stored and read:\n%s\nwas\n%s", got, want)
		}
		if header := back.Message(1).Header; header.Get("Ce-Type") != "org.kubeflow.serving.inference.response" || header.Get("Ce-Id") != "c" || header.Get("Ce-Annotations") != `{"team":"\u00e9"}` {
			t.Errorf("it goes out as %v", header)
		}
	}
}

// TestAProfileThatAnEarlierAgentStored: testdata/stored has an event of version 2, and
// the line that its agent wrote of it.
func TestAProfileThatAnEarlierAgentStored(t *testing.T) {
	earlier, err := os.ReadFile("testdata/stored/v2")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/stored/v2.json")
	if err != nil {
		t.Fatal(err)
	}
	e, err := ReadStored(earlier)
	if err != nil {
		t.Fatal("ReadStored:", err)
	}
	if line, err := e.Line(7); err != nil || !bytes.Equal(line, want) {
		t.Errorf("it goes out as\n%s\nand not as\n%s, %v", line, want, err)
	}
	if _, again := stored(t, e); !bytes.Equal(again, earlier) {
		t.Errorf("it is stored as\n%q\nand not as\n%q", again, earlier)
	}
}

// TestAStoredProfileIsOneThatIsSent: what else is stored would go out as it is, into
// the lines of a header.
func TestAStoredProfileIsOneThatIsSent(t *testing.T) {
	for what, change := range map[string]func(*Event){
		"a stream":        func(e *Event) { e.Kind = agentconfig.KindStream },
		"structured mode": func(e *Event) { e.structured = true },
		"an odd line":     func(e *Event) { e.own.set(extension{name: "metadata", text: "{\"a\":\"\r\nX: y\"}", verbatim: true}) },
		"no JSON":         func(e *Event) { e.own.set(extension{name: "metadata", text: "x", verbatim: true}) },
		"a percent sign":  func(e *Event) { e.own.set(extension{name: "metadata", text: `{"a":"%41"}`, verbatim: true}) },
		"a space first":   func(e *Event) { e.own.set(extension{name: "metadata", text: ` {}`, verbatim: true}) },
		"JSON in the profile sidenote": func(e *Event) {
			e.kserve = false
			e.own.set(extension{name: "metadata", text: "{}", verbatim: true})
		},
	} {
		e := *asKServe(t, observation())
		e.own = slices.Clone(e.own)
		change(&e)
		attributes, data := e.Stored(nil)
		if _, err := ReadStored(slices.Concat(attributes, data)); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
	_, whole := stored(t, asKServe(t, observation()))
	for _, other := range []string{"kserv2", "", "sidenote"} {
		changed := bytes.Replace(whole, appendString(nil, "kserve"), appendString(nil, other), 1)
		if _, err := ReadStored(changed); err == nil {
			t.Errorf("the profile %q is taken", other)
		}
	}
}

// TestAnnotationsAreEncodedOnce, because the metadata in use seldom change.
func TestAnnotationsAreEncodedOnce(t *testing.T) {
	builder, o, attributes := usual(agentconfig.ContentModeAuto)
	e, err := builder.Build(o, agentconfig.KindResponse, attributes)
	if err != nil {
		t.Fatal(err)
	}
	first, err := e.As(agentconfig.ProfileKServe)
	if err != nil {
		t.Fatal(err)
	}
	second, err := e.As(agentconfig.ProfileKServe)
	if err != nil || first.shared != second.shared {
		t.Errorf("the attributes of two events are not shared: %v", err)
	}
	if len(slices.Collect(maps.Keys(extensionsOf(first)))) < len(extensionsOf(e))+3 {
		t.Errorf("attributes are missing: %v", extensionsOf(first))
	}
}
