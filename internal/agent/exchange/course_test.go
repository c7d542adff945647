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
	"outcome kept":     func(c *course) sides { due, _ := c.decide(true); return due },
	"outcome not kept": func(c *course) sides { due, _ := c.decide(false); return due },
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
		// waits says that the outcome decides, spare that only a kept one gives events.
		waits, spare bool
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
		{name: "a selected exchange whose outcome decides on its rate", waits: true, script: `
			request ends
			response begins
			outcome not kept -> request
			exchange ends -> response`},
		{name: "a spare exchange whose outcome is kept", waits: true, spare: true, script: `
			request ends
			response begins
			outcome kept -> request
			exchange ends -> response`},
		{name: "a spare exchange whose outcome is not kept", waits: true, spare: true, script: `
			request ends
			response begins
			outcome not kept
			exchange ends`},
		{name: "a spare exchange whose model responds before the end of the request", waits: true, spare: true, script: `
			response begins
			request ends
			outcome kept -> request
			exchange ends -> response`},
		{name: "a spare request that turns out to be a probe", waits: true, spare: true, script: `
			request is probe
			response begins
			outcome kept
			exchange ends`},
		{name: "a spare loop that is kept", looped: true, waits: true, spare: true, script: `
			request ends
			response begins
			outcome kept
			exchange ends -> loop`},
		{name: "a spare loop in the body that is not kept", waits: true, spare: true, script: `
			request is loop
			response begins
			outcome not kept
			exchange ends`},
		{name: "a spare tunnel that is kept", asksForTunnel: true, waits: true, spare: true, script: `
			request ends
			tunnel opens
			outcome kept
			exchange ends -> tunnel`},
		{name: "a spare tunnel that is not kept", asksForTunnel: true, waits: true, spare: true, script: `
			request ends
			tunnel opens
			outcome not kept
			exchange ends`},
		{name: "a spare tunnel that the model refuses", asksForTunnel: true, waits: true, spare: true, script: `
			request ends
			response begins
			outcome kept -> request
			exchange ends -> response`},
		{name: "a panic in a selected exchange that waits", waits: true, script: `
			request ends
			panic -> request and response
			exchange ends`},
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
		if test.waits {
			c.wait(test.spare)
		}
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
			if strings.HasPrefix(name, "outcome") {
				// It decides at the end.
				continue
			}
			next := c
			due := sides(0)
			if name == "exchange ends" {
				due |= next.beginResponse()
				if !next.requestOver {
					due |= next.endRequest()
				}
				if next.waits && given|due != 0 {
					t.Errorf("%v: %q before the outcome", path, names(given|due))
				}
				decided, leftOut := next.decide(len(path)%2 == 0)
				if leftOut && (decided|next.owed) != 0 {
					t.Errorf("%v: an exchange that is left out owes %q", path, names(decided|next.owed))
				}
				due |= decided
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
			c := newCourse(looped, asksForTunnel)
			try(c, 0, nil)
			for _, spare := range []bool{false, true} {
				c.wait(spare)
				try(c, 0, nil)
			}
		}
	}
}
