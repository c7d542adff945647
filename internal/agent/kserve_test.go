/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// The subscribers of KServe's logger, as they parse its events:
//
//   - TrustyAI in Java (trustyai-explainability, CloudEventConsumer.java)
//   - TrustyAI in Python (trustyai-service, consumer_endpoint.py)
//   - Alibi-detect's server (seldon-core, alibi-detect-server, server.py)
//   - Seldon's request logger (seldon-core, seldon-request-logger, log_helper.py)

// wireHeader has the header of a request with the names as they are on the wire,
// which Quarkus keeps.
type wireHeader map[string]string

// get ignores case, as the other frameworks do.
func (h wireHeader) get(name string) string {
	for given, value := range h {
		if strings.EqualFold(given, name) {
			return value
		}
	}
	return ""
}

// subscribe serves a subscriber that returns the status of its response. It returns
// its URL.
func subscribe(t *testing.T, handle func(path string, header wireHeader, body []byte) int) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	open := make(map[net.Conn]bool)
	var serving sync.WaitGroup
	serve := func(connection net.Conn) {
		defer connection.Close()
		reader := bufio.NewReader(connection)
		for {
			path, header, body, err := readRequest(reader)
			if err != nil {
				return
			}
			mu.Lock()
			status := handle(path, header, body)
			mu.Unlock()
			if _, err := fmt.Fprintf(connection, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n", status, http.StatusText(status)); err != nil {
				return
			}
		}
	}
	serving.Go(func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[connection] = true
			mu.Unlock()
			serving.Go(func() { serve(connection) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		for connection := range open {
			connection.Close()
		}
		mu.Unlock()
		serving.Wait()
	})
	return "http://" + listener.Addr().String() + "/"
}

// readRequest reads a request as it is on the wire.
func readRequest(reader *bufio.Reader) (path string, header wireHeader, body []byte, err error) {
	lines := textproto.NewReader(reader)
	start, err := lines.ReadLine()
	if err != nil {
		return "", nil, nil, err
	}
	method, rest, _ := strings.Cut(start, " ")
	path, _, _ = strings.Cut(rest, " ")
	if method != http.MethodPost {
		return "", nil, nil, fmt.Errorf("a request with %s", method)
	}
	header = make(wireHeader)
	for {
		line, err := lines.ReadLine()
		if err != nil {
			return "", nil, nil, err
		}
		if line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ": ")
		header[name] = value
	}
	length, err := strconv.Atoi(header.get("Content-Length"))
	if err != nil {
		return "", nil, nil, err
	}
	body = make([]byte, length)
	_, err = io.ReadFull(reader, body)
	return path, header, body, err
}

// tensors is a body of the Open Inference Protocol (V2), and instances and predictions
// one of the V1 protocol.
type tensors struct {
	Inputs, Outputs []struct {
		Name     string
		Shape    []int
		Datatype string
		Data     []any
	}
	Instances, Predictions []any
	ModelName              string `json:"model_name"`
}

// pairs are what a subscriber has joined by id.
type pairs struct {
	t         *testing.T
	requests  map[string]string
	responses map[string]string
}

func newPairs(t *testing.T) *pairs {
	return &pairs{t: t, requests: make(map[string]string), responses: make(map[string]string)}
}

// joined are the bodies of the exchanges of which both events came, sorted.
func (p *pairs) joined() []string {
	var joined []string
	for id, request := range p.requests {
		if response, both := p.responses[id]; both {
			joined = append(joined, request+" -> "+response)
		}
	}
	slices.Sort(joined)
	return joined
}

// trustyAIJava maps events by their type, exactly. Quarkus hands the names of
// extensions on as they are on the wire.
func (p *pairs) trustyAIJava(_ string, header wireHeader, body []byte) int {
	into := map[string]map[string]string{
		"org.kubeflow.serving.inference.request":  p.requests,
		"org.kubeflow.serving.inference.response": p.responses,
	}[header.get("ce-type")]
	if into == nil {
		p.t.Errorf("TrustyAI has no function for the type %s", header.get("ce-type"))
		return http.StatusNotFound
	}
	if model := header["Ce-Inferenceservicename"]; model != "iris" {
		p.t.Errorf("TrustyAI reads the model %q of %v", model, header)
	}
	var payload tensors
	if err := json.Unmarshal(body, &payload); err != nil {
		p.t.Errorf("TrustyAI can't read %s: %v", body, err)
		return http.StatusInternalServerError
	}
	into[header.get("ce-id")] = string(body)
	return http.StatusNoContent
}

// trustyAIPython reads the header ce-id, and a body of the V2 protocol. FastAPI
// parses bodies of JSON types only.
func (p *pairs) trustyAIPython(path string, header wireHeader, body []byte) int {
	mediaType, _, err := mime.ParseMediaType(header.get("Content-Type"))
	if path != "/" || err != nil || mediaType != "application/json" {
		p.t.Errorf("FastAPI doesn't read %s as %s", path, header.get("Content-Type"))
		return http.StatusUnprocessableEntity
	}
	var payload tensors
	if err := json.Unmarshal(body, &payload); err != nil {
		p.t.Errorf("TrustyAI can't read %s: %v", body, err)
		return http.StatusUnprocessableEntity
	}
	id := header.get("ce-id")
	switch {
	case id == "":
		p.t.Error("the header ce-id is missing")
		return http.StatusBadRequest
	case len(payload.Inputs) > 0:
		p.requests[id] = string(body)
	case len(payload.Outputs) > 0 && payload.ModelName != "":
		p.responses[id] = string(body)
	default:
		p.t.Errorf("TrustyAI finds no tensors in %s", body)
		return http.StatusUnprocessableEntity
	}
	return http.StatusOK
}

// alibiDetect reads what a Trigger on the type of requests delivers: a body of the V1
// protocol. It copies the extensions and the id into its reply.
func (p *pairs) alibiDetect(path string, header wireHeader, body []byte) int {
	if header.get("ce-type") != "org.kubeflow.serving.inference.request" {
		return http.StatusAccepted
	}
	var payload tensors
	if err := json.Unmarshal(body, &payload); err != nil || path != "/" || payload.Instances == nil {
		p.t.Errorf("Alibi-detect can't read %s at %s: %v", body, path, err)
		return http.StatusBadRequest
	}
	for name, want := range map[string]string{
		"ce-specversion": "1.0", "ce-inferenceservicename": "iris", "ce-namespace": "team-a", "ce-component": "predictor", "ce-team": "ml",
		"ce-annotations": `{"team":"ml"}`, "ce-metadata": "{}",
	} {
		if header.get(name) != want {
			p.t.Errorf("Alibi-detect's reply has %s: %q, want %q", name, header.get(name), want)
		}
	}
	p.requests[header.get("ce-id")] = string(body)
	p.responses[header.get("ce-id")] = "no outlier"
	return http.StatusOK
}

// seldon names a document after the id and an index after the names, and writes the
// request and the response into the same document.
func (p *pairs) seldon(path string, header wireHeader, body []byte) int {
	id := header.get("Ce-Requestid")
	if id == "" {
		id = header.get("Ce-Id")
	}
	index := "inference-log-"
	if strings.HasPrefix(header.get("Ce-Type"), "org.kubeflow.serving") {
		index += "inferenceservice"
	}
	for _, part := range []struct{ name, otherwise string }{
		{"Ce-Namespace", "unknown-namespace"}, {"Ce-Inferenceservicename", "unknown-inferenceservice"}, {"Ce-Endpoint", "unknown-endpoint"},
	} {
		if value := header.get(part.name); value != "" {
			index += "-" + value
		} else {
			index += "-" + part.otherwise
		}
	}
	// KServe's InferenceServices have no endpoint.
	if index != "inference-log-inferenceservice-team-a-iris-unknown-endpoint" || path != "/" {
		p.t.Errorf("Seldon's logger writes %s into the index %s", path, index)
	}
	var payload tensors
	if err := json.Unmarshal(body, &payload); err != nil || header.get("Ce-Time") == "" || header.get("Ce-Source") == "" {
		p.t.Errorf("Seldon's logger can't read %s with %v: %v", body, header, err)
		return http.StatusInternalServerError
	}
	switch {
	case header.get("Ce-Type") == "org.kubeflow.serving.inference.request" && payload.Instances != nil:
		p.requests[id] = string(body)
	case header.get("Ce-Type") == "org.kubeflow.serving.inference.response" && payload.Predictions != nil:
		p.responses[id] = string(body)
	default:
		p.t.Errorf("Seldon's logger doesn't process the type %s of %s", header.get("Ce-Type"), body)
	}
	return http.StatusOK
}

const (
	v1Request  = `{"instances": [[6.8, 2.8], [6.0, 3.4]]}`
	v1Response = `{"predictions": [1, 2]}`
	v2Request  = `{"id":"x","inputs":[{"name":"in","shape":[1,2],"datatype":"FP32","data":[6.8,2.8]}]}`
	v2Response = `{"model_name":"iris","id":"x","outputs":[{"name":"out","shape":[1],"datatype":"INT64","data":[1]}]}`
)

// models responds in both protocols, and in ways that KServe's logger doesn't log or
// that its subscribers can't read.
func models(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	respond := func(contentType, body string) {
		w.Header().Set("Content-Type", contentType)
		_, _ = io.WriteString(w, body)
	}
	switch r.URL.Path {
	case "/v2/models/iris/infer":
		respond("application/json", v2Response)
	case "/fails":
		http.Error(w, "no such model", http.StatusInternalServerError)
	case "/streams":
		respond("text/event-stream", "data: {}\n\n")
	case "/large":
		respond("application/json", `{"predictions":["`+strings.Repeat("x", 8<<10)+`"]}`)
	default:
		respond("application/json", v1Response)
	}
}

// TestSubscribersOfKServesLogger: each reads both events of each exchange and joins
// them, and gets nothing that it can't read.
func TestSubscribersOfKServesLogger(t *testing.T) {
	for _, test := range []struct {
		name string
		as   func(*pairs) func(string, wireHeader, []byte) int
		// path, request and response are of an exchange that the subscriber reads.
		path, request, response string
	}{
		{"TrustyAI in Java, V1", func(p *pairs) func(string, wireHeader, []byte) int { return p.trustyAIJava }, "/v1/models/iris:predict", v1Request, v1Response},
		{"TrustyAI in Java, V2", func(p *pairs) func(string, wireHeader, []byte) int { return p.trustyAIJava }, "/v2/models/iris/infer", v2Request, v2Response},
		{"TrustyAI in Python, V2", func(p *pairs) func(string, wireHeader, []byte) int { return p.trustyAIPython }, "/v2/models/iris/infer", v2Request, v2Response},
		{"Alibi-detect", func(p *pairs) func(string, wireHeader, []byte) int { return p.alibiDetect }, "/v1/models/iris:predict", v1Request, "no outlier"},
		{"Seldon's request logger", func(p *pairs) func(string, wireHeader, []byte) int { return p.seldon }, "/v1/models/iris:predict", v1Request, v1Response},
	} {
		t.Run(test.name, func(t *testing.T) {
			subscriber := newPairs(t)
			url := subscribe(t, test.as(subscriber))
			r := newRig(t, agenttest.InFrontOf(http.HandlerFunc(models)), agenttest.With(
				"--sink="+url, "--sink.default.profile=kserve", "--max-payload-bytes=4096",
				"--inference-service=iris", "--namespace=team-a", "--component=predictor", "--metadata=team=ml"))
			json := http.Header{"Content-Type": {"application/json"}}
			withID := http.Header{"Content-Type": {"application/json"}, "Ce-Id": {"of-the-client"}}
			r.Do(http.MethodPost, test.path, json, strings.NewReader(test.request))
			r.Do(http.MethodPost, test.path, withID, strings.NewReader(test.request))
			counts := r.settled()
			one := test.request + " -> " + test.response
			if got := subscriber.joined(); !slices.Equal(got, []string{one, one}) || subscriber.requests["of-the-client"] == "" {
				t.Errorf("it joins %q, by %v", got, subscriber.requests)
			}
			if counts.Delivered != 4 || counts.Observed != 4 {
				t.Errorf("the ledger says %+v", counts)
			}
		})
	}
}

// TestWhatSubscribersOfKServesLoggerCannotReadIsSkipped, and counted.
func TestWhatSubscribersOfKServesLoggerCannotReadIsSkipped(t *testing.T) {
	subscriber := newPairs(t)
	url := subscribe(t, subscriber.trustyAIJava)
	r := newRig(t, agenttest.InFrontOf(http.HandlerFunc(models)), agenttest.With(
		"--sink="+url, "--sink.default.profile=kserve", "--max-payload-bytes=4096", "--inference-service=iris", "--namespace=team-a"))
	r.Post("/fails", v1Request)
	r.Post("/streams", v1Request)
	r.Post("/large", v1Request)
	r.Post("/v1/models/iris:predict", `{"instances":["`+strings.Repeat("x", 8<<10)+`"]}`)
	r.Do(http.MethodPost, "/v1/models/iris:predict", http.Header{"Content-Encoding": {"compress"}}, strings.NewReader(v1Request))
	own := http.Header{"Ce-Type": {"org.kubeflow.serving.inference.request"}, "Ce-Inferenceservicename": {"iris"}, "Ce-Namespace": {"team-a"}}
	r.Do(http.MethodPost, "/v1/models/iris:predict", own, strings.NewReader(v1Request))
	counts := r.settled()
	if len(subscriber.requests) != 3 || len(subscriber.responses) != 2 || counts.Delivered != 5 || counts.Observed != 5 {
		t.Errorf("it has %d requests and %d responses; the ledger says %+v", len(subscriber.requests), len(subscriber.responses), counts)
	}
	skipped := r.agent.pipeline.Skips().Snapshot().Events
	for _, kind := range []string{"response.failure", "stream", "response.oversize", "request.oversize", "request.encoded", "loop"} {
		if skipped[kind] != 1 {
			t.Errorf("skipped are %v", skipped)
		}
	}
}

// TestKServesKindsThatAreNamed are sent with Sidenote's types.
func TestKServesKindsThatAreNamed(t *testing.T) {
	r := newRig(t, agenttest.InFrontOf(http.HandlerFunc(models)), agenttest.With(
		"--sink.default.profile=kserve", "--events=request,response,response.failure", "--inference-service=iris"))
	r.Post("/v1/models/iris:predict", v1Request)
	r.Post("/fails", v1Request)
	r.settled()
	var types []string
	for _, e := range r.Sink.Events() {
		types = append(types, e.Type())
	}
	slices.Sort(types)
	const kserve = "org.kubeflow.serving.inference."
	if want := []string{agenttest.TypePrefix + "response.failure", kserve + "request", kserve + "request", kserve + "response"}; !slices.Equal(types, want) {
		t.Errorf("the types are %v", types)
	}
}

// TestTwoSinksWithProfilesOfTheirOwn: each gets every event of its kinds once, in its
// form, and with a sequence without a gap.
func TestTwoSinksWithProfilesOfTheirOwn(t *testing.T) {
	own, kserve := agenttest.NewSink(t), agenttest.NewSink(t)
	r := newRig(t, agenttest.InFrontOf(http.HandlerFunc(models)), agenttest.With(
		"--sink=own="+own.URL, "--sink=kserve="+kserve.URL, "--sink.kserve.profile=kserve", "--inference-service=iris", "--metadata=team=ml"))
	const clients, rounds = 4, 10
	var calling sync.WaitGroup
	for range clients {
		calling.Go(func() {
			for range rounds {
				for _, path := range []string{"/v1/models/iris:predict", "/streams"} {
					response, err := http.Post(r.URL+path, "application/json", strings.NewReader(v1Request))
					if err != nil {
						t.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, response.Body)
					response.Body.Close()
				}
			}
		})
	}
	calling.Wait()
	const exchanges = clients * rounds
	const kserveType = "org.kubeflow.serving.inference."
	for _, test := range []struct {
		name  string
		sink  *agenttest.Sink
		types map[string]int
	}{
		{"own", own, map[string]int{agenttest.TypePrefix + "request": 2 * exchanges, agenttest.TypePrefix + "response": exchanges, agenttest.TypePrefix + "stream": exchanges}},
		{"kserve", kserve, map[string]int{kserveType + "request": 2 * exchanges, kserveType + "response": exchanges}},
	} {
		want := 0
		for _, count := range test.types {
			want += count
		}
		types, sequence, ids := make(map[string]int), make(map[string]bool), make(map[string]int)
		for _, e := range test.sink.Await(want) {
			types[e.Type()]++
			sequence[e.Attribute("agentsequence")] = true
			ids[e.ID()]++
			if annotated := e.Attribute("annotations") == `{"team":"ml"}`; annotated != (test.name == "kserve") {
				t.Errorf("%s got %v", test.name, e)
			}
		}
		if !maps.Equal(types, test.types) || len(sequence) != want || !sequence[fmt.Sprintf("%012d", want)] {
			t.Errorf("%s got %v, with %d numbers up to %d", test.name, types, len(sequence), want)
		}
		if ofEach := map[string]int{"own": 2 * 2 * exchanges, "kserve": 2 * exchanges}[test.name]; len(ids) != ofEach {
			t.Errorf("%s got %d ids, want %d", test.name, len(ids), ofEach)
		}
		agenttest.Eventually(t, "nothing is pending", func() bool { return r.sinkLedger(test.name).Pending == 0 })
		if counts := r.sinkLedger(test.name); counts.Delivered != uint64(want) || counts.Observed != uint64(want) || counts.DroppedTotal() != 0 {
			t.Errorf("the ledger of %s says %+v", test.name, counts)
		}
	}
	if skipped := r.sinkLedger("kserve").SkippedEvents; skipped["stream"] != exchanges {
		t.Errorf("the sink of the profile kserve skipped %v", skipped)
	}
}

// TestADetectorOfKServesEventsIsLogged: a model that subscribes to the events of another
// one is logged, and its own events end the loop if they come back.
func TestADetectorOfKServesEventsIsLogged(t *testing.T) {
	own := make(chan wireHeader, 1)
	broker := subscribe(t, func(_ string, header wireHeader, _ []byte) int {
		if header.get("ce-type") == "org.kubeflow.serving.inference.request" {
			own <- header
		}
		return http.StatusAccepted
	})
	r := newRig(t, agenttest.With("--sink="+broker, "--sink.default.profile=kserve", "--events=request,response,loop",
		"--inference-service=detector", "--namespace=team-a"))
	deliver := func(header http.Header) {
		t.Helper()
		header.Set("Content-Type", "application/json")
		if response, _ := r.Do(http.MethodPost, "/", header, strings.NewReader(v1Request)); response.StatusCode != http.StatusOK {
			t.Errorf("the detector responds with %s", response.Status)
		}
	}
	of := func(service, hops string) http.Header {
		return http.Header{
			"Ce-Specversion": {"1.0"}, "Ce-Id": {"1"}, "Ce-Source": {service}, "Ce-Type": {"org.kubeflow.serving.inference.request"},
			"Ce-Inferenceservicename": {service}, "Ce-Namespace": {"team-a"}, "Ce-Agenthops": {hops},
		}
	}
	deliver(of("iris", ""))
	first := <-own
	if counts := r.settled(); counts.Delivered != 2 || first.get("ce-id") != "1" || first.get("ce-agenthops") != "1" {
		t.Errorf("the ledger says %+v, the event is %v", counts, first)
	}
	back := http.Header{}
	for name, value := range first {
		if strings.HasPrefix(name, "Ce-") {
			back.Set(name, value)
		}
	}
	deliver(back)
	if counts := r.settled(); counts.Delivered != 3 {
		t.Errorf("after its own event the ledger says %+v", counts)
	}
	deliver(of("other-detector", "1"))
	if second := <-own; second.get("ce-agenthops") != "2" {
		t.Errorf("the event of another detector gives %v", second)
	}
	deliver(of("other-detector", "2"))
	if counts := r.settled(); counts.Delivered != 6 || counts.Observed != 6 {
		t.Errorf("in the end the ledger says %+v", counts)
	}
}
