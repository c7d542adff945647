/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// The CloudEvents SDK judges the encodings of this package. The meaning of an event
// is written down here a second time, as a value of the SDK. Each encoding of the
// event must be the SDK's encoding of that value, or the SDK must read it as that
// value.

// meantBy returns the meaning of an observation's event. It doesn't use the package's
// own extensions, encodings and checks of events.
func meantBy(b *Builder, o *Observation, kind agentconfig.Kind, attributes []metadata.Attribute) (meant *cloudevents.Event, valid bool) {
	var replaced replacements
	content := b.content(o, kind)
	source := types.ParseURIRef(b.Identity.Source)
	if source == nil {
		return nil, false
	}
	context := &cloudevents.EventContextV1{
		ID:         o.Exchange.CorrelationID + "-" + o.Side.String(),
		Source:     *source,
		Type:       TypePrefix + string(content.kind),
		Time:       &types.Timestamp{Time: o.At.UTC()},
		Extensions: make(map[string]any),
	}
	if subject := replaced.subject(o.Exchange.Path); subject != "" {
		context.Subject = &subject
	}
	if contentType := replaced.contentType(content.contentType); contentType != "" {
		context.DataContentType = &contentType
	}
	text := func(name, value string) {
		if value != "" {
			context.Extensions[name] = value
		}
	}
	for _, attribute := range attributes {
		text(attribute.Name, attribute.Value)
	}
	text("correlationid", o.Exchange.CorrelationID)
	text("clientrequestid", replaced.clientRequestID(o.Exchange.ClientRequestID))
	text("contentencoding", replaced.coding(content.coding))
	if length, given := replaced.inferenceHeaderLength(o.Coding.InferenceHeaderLength, content.size); given {
		context.Extensions["inferenceheaderlen"] = length
	}
	text("inferenceservicename", b.Identity.InferenceService)
	text("namespace", b.Identity.Namespace)
	text("component", b.Identity.Component)
	text("revision", b.Identity.Revision)
	text("agentinstance", b.Identity.AgentInstance)
	traceParent, traceState := replaced.traceContext(o.Exchange.TraceParent, o.Exchange.TraceState)
	text("traceparent", traceParent)
	text("tracestate", traceState)
	if o.Side != Request {
		if o.Status != NoStatus {
			context.Extensions["statuscode"] = int32(o.Status)
		}
		if o.GRPCStatus != NoStatus {
			context.Extensions["grpcstatus"] = int32(o.GRPCStatus)
		}
		context.Extensions["durationms"] = milliseconds(o.At.Sub(o.Exchange.Received))
	}
	if g := content.generation; g.operation != "" {
		bounded := func(name, value string) {
			if len(value) > 128 || metadata.ValidateValue(value) != nil {
				replaced.add(name)
				return
			}
			text(name, value)
		}
		text("genaioperation", g.operation)
		bounded(map[bool]string{true: "genairequestmodel", false: "genairesponsemodel"}[o.Side == Request], g.facts.Model)
		bounded("genaifinishreasons", g.facts.FinishReasons)
		count := func(name string, count int64) {
			switch {
			case count >= 1<<31:
				replaced.add(name)
			case count >= 0:
				context.Extensions[name] = int32(count)
			}
		}
		count("genaiinputtokens", g.facts.InputTokens)
		count("genaioutputtokens", g.facts.OutputTokens)
		count("genaicachedtokens", g.facts.CachedTokens)
		if g.streamed {
			context.Extensions["genaifirstchunkms"] = milliseconds(g.firstChunk)
		}
	}
	if o.Side == Tunnel {
		text("bytesfromclient", strconv.FormatInt(o.Flow.FromClient, 10))
		text("bytesfrommodel", strconv.FormatInt(o.Flow.FromModel, 10))
	}
	if o.Side == Looped {
		text("loopreason", string(o.Loop))
	}
	if o.Side == Looped || !o.Body.Whole() {
		text("bodysize", strconv.FormatInt(o.Body.Size, 10))
		text("bodysha256", o.Body.hash())
	}
	text("replaced", replaced.String())
	meant = &cloudevents.Event{Context: context}
	if len(content.data) > 0 {
		meant.DataEncoded = content.data
	}
	return meant, meant.Validate() == nil
}

// meantByLetter returns the meaning of a dead letter.
func meantByLetter(of *cloudevents.Event, failure Failure) *cloudevents.Event {
	letter := of.Clone()
	context := letter.Context.(*cloudevents.EventContextV1)
	context.Extensions["knativeerrordest"] = failure.Destination
	context.Extensions["knativeerrorcode"] = int32(failure.Status)
	if failure.Status == 0 {
		context.Extensions["knativeerrorcode"] = int32(-1)
	}
	if len(failure.Body) > 0 {
		context.Extensions["knativeerrordata"] = base64.StdEncoding.EncodeToString(failure.Body[:min(len(failure.Body), MaxErrorBytes)])
	}
	return &letter
}

// judge compares all forms of an event with its meaning.
func judge(t *testing.T, e *Event, meant *cloudevents.Event, sequence uint64) {
	t.Helper()
	judgeStructured(t, e, meant, sequence)
	judgeBinary(t, e, meant, sequence)
	judgeStored(t, e, meant, sequence)
	if got := e.ID(); got != meant.ID() {
		t.Errorf("the id is %q, and not %q", got, meant.ID())
	}
	traceParent, traceState := e.TraceContext()
	if wantParent, _ := meant.Extensions()["traceparent"].(string); traceParent != wantParent {
		t.Errorf("the traceparent is %q, and not %q", traceParent, wantParent)
	}
	if wantState, _ := meant.Extensions()["tracestate"].(string); traceState != wantState {
		t.Errorf("the tracestate is %q, and not %q", traceState, wantState)
	}
	if got, want := extensionsOf(e), meant.Extensions(); len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
		t.Errorf("the extensions are %v, and not %v", got, want)
	}
}

// judgeStructured compares the structured mode with the SDK's own, byte for byte:
// types and escaping are the same.
func judgeStructured(t *testing.T, e *Event, meant *cloudevents.Event, sequence uint64) {
	t.Helper()
	structured := *e
	structured.structured = true
	message, body := sent(t, &structured, sequence)
	if want := (http.Header{"Content-Type": {"application/cloudevents+json; charset=utf-8"}}); !reflect.DeepEqual(message.Header, want) {
		t.Errorf("the header is %v", message.Header)
	}
	if got := parsed(t, structured.AppendHeader(nil, sequence), body); !reflect.DeepEqual(got.Header, message.Header) {
		t.Errorf("the lines of the header are %v, and not %v", got.Header, message.Header)
	}

	var want bytes.Buffer
	withoutData := cloudevents.Event{Context: meant.Context}
	if err := cloudevents.WriteJson(&withoutData, &want); err != nil {
		t.Fatal("the SDK can't write it:", err)
	}
	want.Truncate(want.Len() - 1)
	fmt.Fprintf(&want, `,"agentsequence":"%012d"`, sequence)
	if !bytes.HasPrefix(body, want.Bytes()) {
		t.Errorf("structured:\n%s\nthe SDK writes:\n%s", body, want.Bytes())
	}

	read := read(t, message.Header, body)
	sequenced := withSequence(meant, sequence)
	if !reflect.DeepEqual(attributesOf(read), attributesOf(sequenced)) {
		t.Errorf("the SDK reads %v, and not %v", attributesOf(read), attributesOf(sequenced))
	}
	got, data := read.Data(), meant.Data()
	if structured.carriesJSON() {
		// White space around a JSON value is no part of it.
		got, data = bytes.Trim(got, " \t\r\n"), bytes.Trim(data, " \t\r\n")
	}
	if !bytes.Equal(got, data) {
		t.Errorf("the SDK reads the data %q, and not %q", got, data)
	}

	line, err := structured.Line(sequence)
	if err != nil {
		t.Fatal("Line:", err)
	}
	if end := bytes.IndexByte(line, '\n'); end != len(line)-1 {
		t.Errorf("the line isn't one: %q", line)
	}
	ofLine := unmarshalled(t, line)
	if !reflect.DeepEqual(attributesOf(ofLine), attributesOf(sequenced)) {
		t.Errorf("the SDK reads of the line %v, and not %v", attributesOf(ofLine), attributesOf(sequenced))
	}
	if !bytes.Equal(ofLine.Data(), compacted(meant.Data(), structured.carriesJSON())) {
		t.Errorf("the SDK reads of the line the data %q, and not %q", ofLine.Data(), meant.Data())
	}
}

// judgeBinary compares both forms of the binary mode: http.Header, and lines, which
// net/http reads here.
func judgeBinary(t *testing.T, e *Event, meant *cloudevents.Event, sequence uint64) {
	t.Helper()
	if isEventInStructuredMode(meant.DataContentType()) {
		return
	}
	binary := *e
	binary.structured = false
	message, body := sent(t, &binary, sequence)
	want := http.Header{}
	set := func(name, value string) {
		if value != "" {
			want["Ce-"+textproto.CanonicalMIMEHeaderKey(name)] = []string{encodedIn(e)(name, value)}
		}
	}
	set("specversion", "1.0")
	set("id", meant.ID())
	set("type", meant.Type())
	set("source", meant.Source())
	set("subject", meant.Subject())
	set("time", types.FormatTime(meant.Time()))
	set("agentsequence", fmt.Sprintf("%012d", sequence))
	for name, value := range meant.Extensions() {
		text, err := types.Format(value)
		if err != nil {
			t.Fatal("the SDK can't write it:", err)
		}
		set(name, text)
	}
	if contentType := meant.DataContentType(); contentType != "" {
		want["Content-Type"] = []string{contentType}
	}
	if !reflect.DeepEqual(message.Header, want) {
		t.Errorf("the header is\n%v\nand not\n%v", message.Header, want)
	}
	lines := binary.AppendHeader([]byte("X-Before: 1\r\n"), sequence)
	if !bytes.HasPrefix(lines, []byte("X-Before: 1\r\n")) {
		t.Fatalf("what was there is gone: %q", lines)
	}
	lines = lines[len("X-Before: 1\r\n"):]
	if len(lines) > binary.headerSize {
		t.Errorf("the lines take %d bytes, headerSize is %d", len(lines), binary.headerSize)
	}
	request := parsed(t, lines, body)
	if !reflect.DeepEqual(request.Header, trimmed(want)) {
		t.Errorf("the lines are\n%v\nand not\n%v", request.Header, want)
	}

	got := read(t, request.Header, body)
	if texts, want := textsOf(got, asItIs), textsOf(withSequence(meant, sequence), encodedIn(e)); !reflect.DeepEqual(texts, want) {
		t.Errorf("the SDK reads\n%v\nand not\n%v", texts, want)
	}
	if !bytes.Equal(got.Data(), meant.Data()) {
		t.Errorf("the SDK reads the data %q, and not %q", got.Data(), meant.Data())
	}
}

// judgeMode compares the content mode that was chosen with the one that the
// attributes ask for.
func judgeMode(t *testing.T, e *Event, meant *cloudevents.Event) {
	t.Helper()
	const perHeader = len("Ce-") + len(": \r\n")
	size := len("agentsequence") + len("000000000000") + perHeader
	texts := textsOf(meant, asItIs)
	texts["subject"], texts["datacontenttype"] = meant.Subject(), meant.DataContentType()
	for name, value := range meant.Extensions() {
		texts[name], _ = types.Format(value)
	}
	carried := true
	for name, text := range texts {
		size += perHeader + len(name) + len(encodedIn(e)(name, text))
		_, isExtension := meant.Extensions()[name]
		carried = carried && (!isExtension && name != "subject" || bindingEncoded(text) == text)
	}
	if e.headerSize != size {
		t.Errorf("the header's size is %d, and not %d", e.headerSize, size)
	}
	want := isEventInStructuredMode(meant.DataContentType()) || size > 7<<10 ||
		e.mode == agentconfig.ContentModeStructured || e.mode == agentconfig.ContentModeAuto && !carried
	if e.structured != (want && !e.kserve) {
		t.Errorf("in mode %s it goes out structured: %v, of %d bytes, carried %v", e.mode, e.structured, size, carried)
	}
}

// judgeStored compares the stored form, byte for byte, and the event that is read
// back.
func judgeStored(t *testing.T, e *Event, meant *cloudevents.Event, sequence uint64) {
	t.Helper()
	attributes, data := e.Stored([]byte("before"))
	whole := slices.Concat(attributes, data)
	if want := storedBySDK(e, meant); !bytes.Equal(whole, append([]byte("before"), want...)) {
		t.Errorf("stored:\n%q\nand not\n%q", whole, want)
	}
	back, err := ReadStored(whole[len("before"):])
	if err != nil {
		t.Fatal("ReadStored:", err)
	}
	if got, want := wire(t, back), wire(t, e); got != want {
		t.Errorf("stored and read:\n%s\nwas\n%s", got, want)
	}
	if back.headerSize != e.headerSize {
		t.Errorf("the header's size is %d, and was %d", back.headerSize, e.headerSize)
	}
	if got, want := sortedLines(back.AppendHeader(nil, sequence)), sortedLines(e.AppendHeader(nil, sequence)); !reflect.DeepEqual(got, want) {
		t.Errorf("stored and read, the lines are\n%s\nand were\n%s", got, want)
	}
}

// storedBySDK writes the stored form from a value of the SDK.
func storedBySDK(e *Event, meant *cloudevents.Event) []byte {
	little := binary.LittleEndian
	context := meant.Context.(*cloudevents.EventContextV1)
	text := func(b []byte, text string) []byte {
		return append(little.AppendUint32(b, uint32(len(text))), text...)
	}
	flag := map[bool]byte{true: 1}
	b := []byte{1, flag[e.structured]}
	values := []string{string(e.Kind), string(e.mode), context.ID, context.Source.String()}
	if e.kserve {
		b[0], values = 2, slices.Insert(values, 2, "kserve")
	}
	for _, value := range values {
		b = text(b, value)
	}
	b = little.AppendUint64(b, uint64(context.Time.Unix()))
	b = little.AppendUint32(b, uint32(context.Time.Nanosecond()))
	for _, value := range []*string{context.Subject, context.DataContentType} {
		b = append(b, flag[value != nil])
		if value != nil {
			b = text(b, *value)
		}
	}
	b = little.AppendUint16(b, uint16(len(context.Extensions)))
	for _, name := range slices.Sorted(maps.Keys(context.Extensions)) {
		b = text(b, name)
		switch value := context.Extensions[name].(type) {
		case string:
			asType := byte('s')
			if e.kserve && isKServeJSON(name) {
				asType = 'v'
			}
			b = text(append(b, asType), value)
		case int32:
			b = little.AppendUint32(append(b, 'i'), uint32(value))
		}
	}
	return append(b, meant.Data()...)
}

// sent returns an event's message, and its body.
func sent(t *testing.T, e *Event, sequence uint64) (*Message, []byte) {
	t.Helper()
	message := e.Message(sequence)
	body, err := io.ReadAll(message.Body())
	if err != nil {
		t.Fatal("reading a message:", err)
	}
	if int64(len(body)) != message.Length {
		t.Errorf("the body has %d bytes, its announced length is %d", len(body), message.Length)
	}
	var written bytes.Buffer
	alone := e.Body(sequence)
	if n, err := alone.WriteTo(&written); err != nil || n != alone.Length || !bytes.Equal(written.Bytes(), body) {
		t.Errorf("the body is written as %q, %d bytes, %v, and read as %q", written.Bytes(), n, err, body)
	}
	return message, body
}

// parsed reads the lines of a header as a server of net/http does.
func parsed(t *testing.T, lines, body []byte) *http.Request {
	t.Helper()
	head := fmt.Sprintf("POST / HTTP/1.1\r\nHost: sink\r\nContent-Length: %d\r\n%s\r\n", len(body), lines)
	request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(append([]byte(head), body...))))
	if err != nil {
		t.Fatalf("no server can read it: %v\n%q", err, head)
	}
	if got, err := io.ReadAll(request.Body); err != nil || !bytes.Equal(got, body) {
		t.Fatalf("the body comes out as %q, %v, and not as %q", got, err, body)
	}
	delete(request.Header, "Content-Length")
	return request
}

// trimmed returns a header as a server reads it.
func trimmed(header http.Header) http.Header {
	read := make(http.Header, len(header))
	for key, values := range header {
		read[key] = []string{textproto.TrimString(values[0])}
	}
	return read
}

func read(t *testing.T, header http.Header, body []byte) *cloudevents.Event {
	t.Helper()
	request := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	request.Header = header
	read, err := binding.ToEvent(t.Context(), cehttp.NewMessageFromHttpRequest(request))
	if err != nil {
		t.Fatalf("the SDK can't read it: %v\n%v\n%s", err, header, body)
	}
	if err := read.Validate(); err != nil {
		t.Errorf("the SDK finds it invalid: %v", err)
	}
	return read
}

func unmarshalled(t *testing.T, line []byte) *cloudevents.Event {
	t.Helper()
	read := new(cloudevents.Event)
	if err := json.Unmarshal(line, read); err != nil {
		t.Fatalf("the SDK can't read the line: %v\n%s", err, line)
	}
	return read
}

func withSequence(of *cloudevents.Event, sequence uint64) *cloudevents.Event {
	sequenced := of.Clone()
	sequenced.Context.(*cloudevents.EventContextV1).Extensions["agentsequence"] = fmt.Sprintf("%012d", sequence)
	return &sequenced
}

// attributesOf returns all attributes of an event with their types, as JSON
// carries them: a byte that isn't UTF-8 is read as U+FFFD.
func attributesOf(e *cloudevents.Event) map[string]any {
	attributes := map[string]any{
		"specversion": e.SpecVersion(), "id": e.ID(), "type": e.Type(), "source": e.Source(),
		"subject": e.Subject(), "datacontenttype": e.DataContentType(), "time": e.Time().Format(time.RFC3339Nano),
	}
	maps.Copy(attributes, e.Extensions())
	for name, value := range attributes {
		if text, ok := value.(string); ok {
			attributes[name] = string([]rune(text))
		}
	}
	return attributes
}

// textsOf returns all attributes of an event as they are in a header: an Integer as
// text, and an empty one not at all. The SDK doesn't decode what the binding has
// encoded.
func textsOf(e *cloudevents.Event, encoded func(name, value string) string) map[string]string {
	values := map[string]any{
		"specversion": e.SpecVersion(), "id": e.ID(), "type": e.Type(), "source": e.Source(), "subject": e.Subject(), "time": e.Time(),
	}
	maps.Copy(values, e.Extensions())
	texts := make(map[string]string)
	for name, value := range values {
		if text, err := types.Format(value); err == nil && text != "" {
			texts[name] = encoded(name, text)
		}
	}
	texts["datacontenttype"] = textproto.TrimString(e.DataContentType())
	return texts
}

// meantByFields returns the meaning of an event that was made of no observation.
func meantByFields(e *Event) *cloudevents.Event {
	context := &cloudevents.EventContextV1{
		ID: e.id, Source: *types.ParseURIRef(e.source), Type: map[bool]string{false: TypePrefix, true: "org.kubeflow.serving.inference."}[e.kserve] + string(e.Kind),
		Time: &types.Timestamp{Time: e.at}, Extensions: extensionsOf(e),
	}
	if e.subject != "" {
		context.Subject = &e.subject
	}
	if e.contentType != "" {
		context.DataContentType = &e.contentType
	}
	meant := &cloudevents.Event{Context: context}
	if len(e.data) > 0 {
		meant.DataEncoded = e.data
	}
	return meant
}

func asItIs(_, value string) string { return value }

// encodedIn returns what a header has for an attribute of an event.
func encodedIn(e *Event) func(name, value string) string {
	return func(name, value string) string {
		if e.kserve && isKServeJSON(name) {
			return value
		}
		return bindingEncoded(value)
	}
}

// isKServeJSON reports whether an attribute is JSON, which no header has encoded.
func isKServeJSON(name string) bool { return name == "annotations" || name == "metadata" }

// bindingEncoded is what the HTTP binding makes of a value (3.1.3.2).
func bindingEncoded(value string) string {
	var encoded strings.Builder
	for _, c := range []byte(value) {
		if c < 0x21 || c > 0x7e || c == 0x22 || c == 0x25 {
			fmt.Fprintf(&encoded, "%%%02X", c)
		} else {
			encoded.WriteByte(c)
		}
	}
	return encoded.String()
}

func isEventInStructuredMode(contentType string) bool {
	return strings.HasPrefix(strings.ToLower(strings.TrimSpace(contentType)), "application/cloudevents")
}

func compacted(data []byte, isJSON bool) []byte {
	if !isJSON || len(data) == 0 {
		return data
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return nil
	}
	return compact.Bytes()
}

func sortedLines(lines []byte) []string {
	return slices.Sorted(strings.Lines(string(lines)))
}

// extensionsOf returns an event's extensions as the SDK has them.
func extensionsOf(e *Event) map[string]any {
	all := make(map[string]any)
	for extension := range e.extensions() {
		if extension.integer {
			all[extension.name] = extension.number
		} else {
			all[extension.name] = extension.text
		}
	}
	return all
}

// fuzzed are the fuzzer's inputs for one event.
type fuzzed struct {
	source, service, attributeName, attributeValue    string
	contentType, coding, path, traceParent, state, id string
	tensors, data, response                           string
	shape                                             uint64
	status, grpcStatus                                int32
	at                                                int64
	sequence                                          uint64
	failed                                            uint16
}

// TestTheBoundOfAHeaderIsExact: an event of just as many bytes goes in binary mode,
// and one of one more in structured mode.
func TestTheBoundOfAHeaderIsExact(t *testing.T) {
	of := func(length int) (*Event, *cloudevents.Event) {
		builder := &Builder{
			Identity:    Identity{Source: "s", InferenceService: strings.Repeat("x", length)},
			ContentMode: agentconfig.ContentModeAuto, MaxPayloadBytes: maxBytes,
		}
		o := observation(grpcStatus(3))
		built, err := builder.Build(o, agentconfig.KindResponse, nil)
		if err != nil {
			t.Fatal("Build:", err)
		}
		meant, _ := meantBy(builder, o, agentconfig.KindResponse, nil)
		return built, meant
	}
	shortest, _ := of(1)
	most := 7<<10 - shortest.headerSize + 1
	for length := most - 2; length <= most+2; length++ {
		built, meant := of(length)
		judgeMode(t, built, meant)
		if built.structured != (length > most) {
			t.Errorf("%d bytes go out structured: %v", built.headerSize, built.structured)
		}
	}
}

// FuzzEveryEventIsReadAsMeant has the SDK read every form of an event and of its
// dead letter, and compares the result with the event's meaning. It holds, too, that
// Build refuses the events that the SDK refuses, and no other.
func FuzzEveryEventIsReadAsMeant(f *testing.F) {
	add := func(z fuzzed) {
		f.Add(z.source, z.service, z.attributeName, z.attributeValue, z.contentType, z.coding, z.path, z.traceParent, z.state, z.id,
			z.tensors, z.data, z.response, z.shape, z.status, z.grpcStatus, z.at, z.sequence, z.failed)
	}
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for shape := range uint64(128) {
		add(fuzzed{
			source: "my-model-predictor-default", service: "my-model", attributeName: "team", attributeValue: "ai-platform",
			contentType: "application/json", path: "/v1/models/m:predict", traceParent: parent, state: "a=1",
			data: `{"a": [1, 2]}`, response: "no", shape: shape, status: 200, at: 1234567890, sequence: 7, failed: 503,
		})
	}
	for _, value := range []string{"two words", `a"b\c`, "50%", "東京", "<b>&</b>", "\x00\x1f\x7f", "\r", "\n\t", "\u2028\u2029\u0085", "\xff\xc3", ""} {
		for mode := range uint64(3) {
			odd := fuzzed{
				source: "my-model-predictor-default", service: value, attributeName: "zone", attributeValue: value, contentType: value, coding: value,
				path: "/" + value, traceParent: parent, state: value, id: value, tensors: value, data: value, response: value,
				shape: mode<<5 | 3, status: -1, grpcStatus: -5, at: -1, sequence: 1e12, failed: 0,
			}
			add(odd)
			odd.shape |= 1
			odd.source = "/" + value
			add(odd)
		}
	}
	for shape := range uint64(128) {
		for _, text := range []string{"llama", "東京 \\u0001", strings.Repeat("m", 200)} {
			add(fuzzed{
				source: "s", path: "/v1/chat/completions", contentType: []string{"application/json", "text/event-stream"}[shape&1], shape: shape, status: 200,
				data: `data: {"model":"` + text + `","choices":[{"finish_reason":"` + text + `"}],"usage":{"prompt_tokens":7,"completion_tokens":4294967296}}`,
			})
			add(fuzzed{
				source: "s", path: "/v1/messages", contentType: "application/json", shape: shape, status: 200,
				data: `{"model":"` + text + `","stop_reason":"` + text + `","usage":{"input_tokens":7,"cache_read_input_tokens":4294967296}}`,
			})
		}
	}
	for _, state := range []string{"a=b c", "a=b"} {
		for _, response := range []string{"", "no"} {
			add(fuzzed{source: "s", path: "/", traceParent: parent, state: state, data: "{}", response: response, shape: 1, status: 200})
		}
	}
	for _, contentType := range []string{"application/cloudevents+json", "Application/JSON; charset=utf-8", "text/json;a=b", "a; b", "a/b; charset=utf-8; charset=utf-8", `a/b; c="\` + "\x01" + `"`} {
		add(fuzzed{source: "s", attributeName: "a", attributeValue: "b", contentType: contentType, path: "/", data: "[]", shape: 1, status: 200})
	}
	f.Fuzz(func(t *testing.T, source, service, attributeName, attributeValue, contentType, coding, path, traceParent, state, id,
		tensors, data, response string, shape uint64, status, grpcStatus int32, at int64, sequence uint64, failed uint16) {
		attributes := []metadata.Attribute{{Name: "owner", Value: "x"}, {Name: attributeName, Value: attributeValue}}
		if metadata.ValidateName(attributeName) != nil {
			attributes = attributes[:1]
		}
		o := &Observation{
			Exchange: &Exchange{
				CorrelationID: "c", ClientRequestID: id, Path: path,
				TraceParent: []string{traceParent}, TraceState: []string{state}, Received: received,
				ClientEventID: clientEventID(id), Hops: uint8(shape >> 7 & 3),
			},
			Side:     []Side{Request, Response, Tunnel, Looped}[shape%4],
			Coding:   Coding{ContentType: contentType, ContentEncoding: coding, GRPCEncoding: coding, InferenceHeaderLength: tensors},
			Body:     whole(data),
			Complete: shape&4 == 0,
			Loop:     LoopHeader, Flow: Flow{FromClient: at, FromModel: 1 << 40},
			Status: int(status), GRPCStatus: int(grpcStatus), At: time.Unix(at/1e9, at%1e9),
		}
		if shape&8 != 0 {
			o.Body = Body{Size: int64(len(data)) + 1, SHA256: "f00d"}
		}
		if o.Side == Tunnel {
			// A tunnel has neither a body nor a coding.
			o.Body, o.Coding = Body{}, Coding{}
		}
		identity := Identity{Source: source, InferenceService: service, AgentInstance: "i"}
		if shape&16 != 0 {
			identity.Namespace, identity.Component, identity.Revision = "n", "c", "r"
		}
		builder := &Builder{
			Identity: identity, MaxPayloadBytes: maxBytes,
			ContentMode: []agentconfig.ContentMode{agentconfig.ContentModeAuto, agentconfig.ContentModeBinary, agentconfig.ContentModeStructured}[shape>>5%3],
		}
		kind := Classify(o, maxBytes)
		meant, valid := meantBy(builder, o, kind, attributes)
		built, err := builder.Build(o, kind, attributes)
		if (err == nil) != valid {
			t.Fatalf("Build says %v, the SDK that it is valid: %v", err, valid)
		}
		if err != nil {
			return
		}
		judge(t, built, meant, sequence)
		judgeMode(t, built, meant)
		if again, err := builder.Build(o, kind, slices.Clone(attributes)); err != nil || wire(t, again) != wire(t, built) {
			t.Errorf("a second time the event is another: %v", err)
		}
		inProfile, err := built.As(agentconfig.ProfileKServe)
		if err != nil {
			t.Fatal("As:", err)
		}
		meantInProfile := meantAsKServe(t, inProfile, meant, o.Exchange, attributes)
		judge(t, inProfile, meantInProfile, sequence)
		judgeMode(t, inProfile, meantInProfile)
		judge(t, built, meant, sequence)
		failure := Failure{Destination: "http://sink/" + service, Status: int(failed), Body: []byte(response)}
		letterInProfile, err := inProfile.DeadLetter(failure)
		if err != nil {
			t.Fatal("DeadLetter:", err)
		}
		judge(t, letterInProfile, meantByLetter(meantInProfile, failure), sequence)
		letter, err := built.DeadLetter(failure)
		if err != nil {
			t.Fatal("DeadLetter:", err)
		}
		meantLetter := meantByLetter(meant, failure)
		judge(t, letter, meantLetter, sequence)
		judgeMode(t, letter, meantLetter)
		judge(t, built, meant, sequence)
		// It may have been a dead letter before.
		failure.Destination, failure.Status = service, int(failed)+1
		letterAgain, err := letter.DeadLetter(failure)
		if err != nil {
			t.Fatal("DeadLetter:", err)
		}
		judge(t, letterAgain, meantByLetter(meantLetter, failure), sequence)
		judge(t, letter, meantLetter, sequence)
	})
}
