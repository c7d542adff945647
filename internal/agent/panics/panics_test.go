/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package panics

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

const secret = "a payload"

type thing struct{ values []string }

func (t *thing) first() string { return t.values[0] }

// nothing is a map that can't be written to.
var nothing map[string]string

func ownPanic() { panic(secret) }

// TestTheFirstFrameIsThePlace, whatever kind of panic it is, and nothing of
// what it panicked with is in it.
func TestTheFirstFrameIsThePlace(t *testing.T) {
	for name, test := range map[string]struct {
		work func()
		want string
	}{
		"of its own":     {ownPanic, `panics\.ownPanic`},
		"an index":       {func() { _ = new(thing).first() }, `panics\.\(\*thing\)\.first`},
		"a nil pointer":  {func() { _ = (*thing)(nil).first() }, `panics\.\(\*thing\)\.first`},
		"a map":          {func() { nothing[secret] = secret }, `panics\.TestTheFirstFrameIsThePlace\.func`},
		"an error":       {func() { panic(errors.New(secret)) }, `panics\.TestTheFirstFrameIsThePlace\.func`},
		"below a defer":  {func() { defer func() { _ = 1 }(); ownPanic() }, `panics\.ownPanic`},
		"panicked again": {func() { defer func() { panic(recover()) }(); ownPanic() }, `panics\.`},
		"nil":            {func() { panic(nil) }, `panics\.TestTheFirstFrameIsThePlace\.func`},
		"a library's":    {func() { _ = strings.Repeat(secret, len(nothing)-1) }, `strings\.Repeat`},
	} {
		place := string(Catch(test.work))
		if !regexp.MustCompile(test.want + `.* \([a-z_]+\.go:[0-9]+\)$`).MatchString(place) {
			t.Errorf("%s: %q, want %q", name, place, test.want)
		}
		if strings.Contains(place, secret) {
			t.Errorf("%s: %q quotes the panic", name, place)
		}
	}
	if place := Catch(func() {}); place != "" {
		t.Errorf("no panic gives %q", place)
	}
}

func TestHandler(t *testing.T) {
	var event, agent []Place
	h := Handler{OnEvent: func(p Place) { event = append(event, p) }, OnAgent: func(p Place) { agent = append(agent, p) }}
	if !h.Event(func() {}) || h.Event(ownPanic) || len(event) != 1 || len(agent) != 0 {
		t.Errorf("told %q and %q", event, agent)
	}
	h.Agent(func() {})
	h.Agent(ownPanic)
	if len(event) != 1 || len(agent) != 1 {
		t.Errorf("told %q and %q", event, agent)
	}
	if (Handler{}).Event(ownPanic) {
		t.Error("the event is as good as any other")
	}
	defer func() {
		if told, _ := recover().(string); !strings.Contains(told, "ownPanic") || strings.Contains(told, secret) {
			t.Errorf("without a handler it panics with %q", told)
		}
	}()
	Handler{}.Agent(ownPanic)
}
