/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package conformance

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// Logger is the configuration of an agent for some steps: arguments of a process, or
// the logger of an InferenceService.
type Logger struct {
	// Name is the InferenceService's.
	Name string
	// Mode, Events, Paths, ContentMode and MaxPayloadBytes are fields of the logger.
	// Zero values are its defaults.
	Mode            string
	Events          []string
	Paths           []string
	ContentMode     string
	MaxPayloadBytes int
	// Sampling has the fields percent, keepFailures and keepSlowerThan.
	Sampling *Sampling
	// Filter is the JSON of a filter of a Trigger.
	Filter string
	// Profile is the logger's, and the only sink's.
	Profile agentconfig.Profile
	// Annotations are listed in metadataAnnotations.
	Annotations map[string]string
	// Headers are the headers of a request that give attributes, by the attribute.
	Headers map[string]string
	// Streams is the field of that name. The zero value is its default.
	Streams string
	// GRPC has the model's port speak HTTP/2.
	GRPC bool
	// NoModel has nothing listen where the model should be.
	NoModel bool
}

// Sampling selects exchanges.
type Sampling struct {
	Percent        string `json:"percent"`
	KeepFailures   bool   `json:"keepFailures"`
	KeepSlowerThan string `json:"keepSlowerThan"`
}

// payloadCap is the maxPayloadBytes of the loggers that have one.
const payloadCap = 4096

// everyKind is every kind of event but the ledger's.
var everyKind = []string{
	"request", "response", "stream", "request.failure", "response.failure", "request.oversize", "response.oversize",
	"request.encoded", "response.encoded", "tunnel", "loop",
}

// The loggers of the steps.
var (
	// Everything selects every kind of event.
	Everything = Logger{
		Name: "everything", Events: everyKind, MaxPayloadBytes: payloadCap,
		Annotations: map[string]string{"team": "ai-platform", "region": "東京 50%", "quoted": `a"b, c=d`, "cost": "$(HOME) $$HOME $", "number": "42"},
	}
	// Calls is Everything for gRPC and HTTP/2.
	Calls = Logger{Name: "calls", Events: everyKind, MaxPayloadBytes: payloadCap, GRPC: true}
	// ByDefault sets nothing.
	ByDefault = Logger{Name: "by-default"}
	// Requests and Responses have one side.
	Requests  = Logger{Name: "requests", Mode: "request", Events: everyKind, MaxPayloadBytes: payloadCap}
	Responses = Logger{Name: "responses", Mode: "response", Events: everyKind, MaxPayloadBytes: payloadCap}
	// Patterns has paths, one of them an exclusion.
	Patterns = Logger{Name: "patterns", Paths: []string{"!/v1/models/internal-*", "/v1/models/*:predict", "/v2/models/*/infer"}}
	// Unreachable is Everything in front of a model that doesn't listen. It runs beside
	// a process only.
	Unreachable = Logger{Name: "unreachable", Events: everyKind, MaxPayloadBytes: payloadCap, NoModel: true}
	// Exclusions has exclusions only.
	Exclusions = Logger{Name: "exclusions", Paths: []string{"!/v1/models/internal-*"}}
	// Generations merges the streams of language models, and takes headers.
	Generations = Logger{
		Name: "generations", Events: everyKind, Streams: "merged",
		Headers: map[string]string{"tenant": "X-Tenant", "experiment": "X-Experiment"},
	}
	// KServe has the events of KServe's logger.
	KServe = Logger{
		Name: "kserve", Profile: agentconfig.ProfileKServe, MaxPayloadBytes: payloadCap,
		Annotations: map[string]string{"team": "ai-platform", "region": "東京 50%", "quoted": `a"b, c=d`},
	}
	// Detector is KServe with every kind of event.
	Detector = Logger{Name: "detector", Profile: agentconfig.ProfileKServe, Events: everyKind, MaxPayloadBytes: payloadCap}
)

// Loggers are all of them. A feature with a field of the logger adds one, or extends
// one whose steps don't mind.
var Loggers = []Logger{Everything, Calls, ByDefault, Requests, Responses, Patterns, Exclusions, Unreachable, Generations, Selective, KServe, Detector}

// Arguments are those of an agent's process.
func (l Logger) Arguments() []string {
	line := []string{"--inference-service=" + l.Name, "--namespace=conformance", "--component=predictor"}
	if l.Mode != "" {
		line = append(line, "--mode="+l.Mode)
	}
	if l.Events != nil {
		line = append(line, "--events="+strings.Join(l.Events, ","))
	}
	for _, pattern := range l.Paths {
		line = append(line, "--paths="+pattern)
	}
	if l.ContentMode != "" {
		line = append(line, "--content-mode="+l.ContentMode)
	}
	if l.MaxPayloadBytes != 0 {
		line = append(line, "--max-payload-bytes="+strconv.Itoa(l.MaxPayloadBytes))
	}
	if l.Streams != "" {
		line = append(line, "--streams="+l.Streams)
	}
	for _, attribute := range slices.Sorted(maps.Keys(l.Headers)) {
		line = append(line, "--metadata-header="+attribute+"="+l.Headers[attribute])
	}
	if l.Sampling != nil {
		line = append(line, "--sampling-percent="+l.Sampling.Percent,
			"--keep-failures="+strconv.FormatBool(l.Sampling.KeepFailures), "--keep-slower-than="+l.Sampling.KeepSlowerThan)
	}
	if l.Filter != "" {
		line = append(line, "--sink.default.filter="+l.Filter)
	}
	if l.Profile != "" {
		line = append(line, "--sink.default.profile="+string(l.Profile))
	}
	if l.NoModel {
		line = append(line, "--target=http://127.0.0.1:1")
	}
	for _, name := range slices.Sorted(maps.Keys(l.Annotations)) {
		line = append(line, "--metadata="+name+"="+l.Annotations[name])
	}
	return line
}

// Fields are those of the logger of an InferenceService.
func (l Logger) Fields() map[string]any {
	fields := make(map[string]any)
	for name, value := range map[string]string{"mode": l.Mode, "contentMode": l.ContentMode, "streams": l.Streams, "profile": string(l.Profile)} {
		if value != "" {
			fields[name] = value
		}
	}
	for name, values := range map[string][]string{
		"events": l.Events, "paths": l.Paths, "metadataAnnotations": slices.Sorted(maps.Keys(l.Annotations)),
	} {
		if values != nil {
			fields[name] = values
		}
	}
	if l.Headers != nil {
		var sources []any
		for _, attribute := range slices.Sorted(maps.Keys(l.Headers)) {
			sources = append(sources, map[string]any{"attribute": attribute, "header": l.Headers[attribute]})
		}
		fields["metadata"] = sources
	}
	if l.Sampling != nil {
		fields["sampling"] = l.Sampling
	}
	if l.Filter != "" {
		fields["filter"] = json.RawMessage(l.Filter)
	}
	if l.MaxPayloadBytes != 0 {
		fields["maxPayloadBytes"] = l.MaxPayloadBytes
	}
	return fields
}

// sentinel is the kind of an event that a prediction gives under the logger.
func (l Logger) sentinel() string {
	switch {
	case l.NoModel:
		return "request.failure"
	case l.Mode == "response":
		return "response"
	case l.Profile == agentconfig.ProfileKServe:
		return kserveRequest
	default:
		return "request"
	}
}

// selects says whether the logger sends a side's events of a kind.
func (l Logger) selects(side, kind string) bool {
	bySide := l.Mode == "" || l.Mode == "all" || l.Mode == side || kind == "tunnel" || kind == "loop"
	if l.Events == nil {
		return bySide && slices.Contains(strings.Split(agentconfig.FormatKinds(l.Profile.DefaultKinds()), ","), kind)
	}
	return bySide && slices.Contains(l.Events, kind)
}
