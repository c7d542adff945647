/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package exchange

import (
	"strings"
	"testing"

	"github.com/sidenote-dev/sidenote/internal/agent/event"
)

// steps are what may happen to an exchange, by the words of TestCourse.
var steps = map[string]func(*course) sides{
	"request ends":     (*course).endRequest,
	"request is probe": func(c *course) sides { c.skip(); return c.endRequest() },
	"request is loop":  func(c *course) sides { c.loop(); return c.endRequest() },
	"response begins":  (*course).beginResponse,
	"tunnel opens":     func(c *course) sides { c.openTunnel(); return 0 },
	"exchange ends":    (*course).end,
	"panic":            (*course).lose,
}

func names(set sides) string {
	var members []string
	for _, side := range []event.Side{event.Request, event.Response, event.Tunnel, event.Looped} {
		if set.has(side) {
			members = append(members, side.String())
		}
	}
	return strings.Join(members, " and ")
}

func TestCourse(t *testing.T) {
	for _, test := range []struct {
		name                  string
		looped, asksForTunnel bool
		// script has a step for each line, and after an arrow the events that are due
		// or, after a panic, lost.
		script string
	}{
		{name: "an ordinary exchange", script: `
			request ends -> request
			response begins
			exchange ends -> response`},
		{name: "a model that responds before the end of the request", script: `
			response begins
			request ends -> request
			exchange ends -> response`},
		{name: "a request that turns out to be a probe", script: `
			request is probe
			response begins
			exchange ends`},
		{name: "a loop in the header", looped: true, script: `
			request ends
			response begins
			exchange ends -> loop`},
		{name: "a loop in the body", script: `
			request is loop
			response begins
			exchange ends -> loop`},
		{name: "a tunnel", asksForTunnel: true, script: `
			request ends
			tunnel opens
			exchange ends -> tunnel`},
		{name: "a tunnel that the model refuses", asksForTunnel: true, script: `
			request ends
			response begins -> request
			exchange ends -> response`},
		{name: "a refused tunnel whose request has a body", asksForTunnel: true, script: `
			response begins
			request ends -> request
			exchange ends -> response`},
		{name: "a panic at the beginning", script: `
			panic -> request and response
			request ends
			exchange ends`},
		{name: "a panic after the request", script: `
			request ends -> request
			panic -> response
			exchange ends`},
		{name: "a panic before a tunnel", asksForTunnel: true, script: `
			request ends
			panic -> request and response
			tunnel opens
			exchange ends`},
		{name: "a panic in a tunnel", asksForTunnel: true, script: `
			request ends
			tunnel opens
			panic -> tunnel
			exchange ends`},
		{name: "a panic in a loop", looped: true, script: `
			panic -> loop
			exchange ends`},
		{name: "a panic after the end", script: `
			request ends -> request
			exchange ends -> response
			panic`},
	} {
		c := newCourse(test.looped, test.asksForTunnel)
		for line := range strings.Lines(strings.TrimSpace(test.script)) {
			step, want, _ := strings.Cut(strings.TrimSpace(line), " -> ")
			do, known := steps[step]
			if !known {
				t.Fatalf("%s: there is no step %q", test.name, step)
			}
			if got := names(do(&c)); got != want {
				t.Errorf("%s: %s: %q is due, want %q", test.name, step, got, want)
			}
		}
	}
}

// TestCourseGivesEachEventOnce tries every order of steps that an exchange can take.
func TestCourseGivesEachEventOnce(t *testing.T) {
	var try func(c course, given sides, path []string)
	try = func(c course, given sides, path []string) {
		for name, do := range steps {
			if c.over || c.requestOver && strings.HasPrefix(name, "request") || !c.undecided && (name == "response begins" || name == "tunnel opens") {
				continue
			}
			next := c
			due := sides(0)
			if name == "exchange ends" {
				due |= next.beginResponse()
				if !next.requestOver {
					due |= next.endRequest()
				}
			}
			due |= do(&next)
			path := append(path[:len(path):len(path)], name)
			if twice := due & given; twice != 0 {
				t.Errorf("%v: %q twice", path, names(twice))
			}
			if next.over {
				switch names(given | due) {
				case "", "loop", "tunnel", "request and response":
				default:
					t.Errorf("%v: %q in all", path, names(given|due))
				}
			}
			try(next, given|due, path)
		}
	}
	for _, looped := range []bool{false, true} {
		for _, asksForTunnel := range []bool{false, true} {
			try(newCourse(looped, asksForTunnel), 0, nil)
		}
	}
}
