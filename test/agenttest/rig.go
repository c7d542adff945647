/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agenttest

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Source is the source of the events of a rig's agent.
const Source = "my-model-predictor-default"

// Revision is the Revision of a rig's agent.
const Revision = Source + "-00001"

// Rig is an agent between a model and a sink, each on the loopback.
type Rig struct {
	*Agent
	Model *Server
	Sink  *Sink
	// Letters is the dead letter sink, or nil.
	Letters *Sink

	t       testing.TB
	launch  Launcher
	handler http.Handler
	noSink  bool
	line    []string
}

// Option changes a rig before its agent starts.
type Option func(*Rig)

// With gives the agent arguments. Of two that set the same, the last counts.
func With(line ...string) Option { return func(r *Rig) { r.line = append(r.line, line...) } }

// InFrontOf sets the model. Without it the model is Predictor.
func InFrontOf(model http.Handler) Option { return func(r *Rig) { r.handler = model } }

// To sets the sink. Without it the sink accepts everything.
func To(sink *Sink) Option { return func(r *Rig) { r.Sink = sink } }

// SinkResponding has the sink respond in this way.
func SinkResponding(respond Responder) Option {
	return func(r *Rig) { To(NewSink(r.t, Responding(respond)))(r) }
}

// DeadLettersTo sets the dead letter sink.
func DeadLettersTo(letters *Sink) Option { return func(r *Rig) { r.Letters = letters } }

// LettersResponding has a dead letter sink respond in this way.
func LettersResponding(respond Responder) Option {
	return func(r *Rig) { DeadLettersTo(NewSink(r.t, Responding(respond)))(r) }
}

// WithoutSink gives the agent no --sink.
func WithoutSink(r *Rig) { r.noSink = true }

// NewRig starts an agent. Its sink is the rig's, unless the arguments have
// another --sink.
func NewRig(t testing.TB, launch Launcher, options ...Option) *Rig {
	t.Helper()
	r := &Rig{t: t, launch: launch, handler: Predictor()}
	for _, set := range options {
		set(r)
	}
	r.Model = Serve(t, r.handler)
	if r.Sink == nil {
		r.Sink = NewSink(t)
	}
	line := []string{"--target=" + r.Model.URL, "--source=" + Source, "--log-level=debug"}
	if !r.noSink && !slices.ContainsFunc(r.line, func(argument string) bool { return strings.HasPrefix(argument, "--sink=") }) {
		line = append(line, "--sink="+r.Sink.URL)
	}
	if r.Letters != nil {
		line = append(line, "--sink.default.dead-letter="+r.Letters.URL)
	}
	r.line = append(line, r.line...)
	r.Agent = launch(t, r.line)
	return r
}

// Restart starts another agent with the same arguments, after the one before
// has ended.
func (r *Rig) Restart() {
	r.t.Helper()
	r.Agent = r.launch(r.t, r.line)
}
