/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package exchange

import "github.com/sidenote-dev/sidenote/internal/agent/event"

// sides is a set of event.Side.
type sides uint8

func of(members ...event.Side) (set sides) {
	for _, side := range members {
		set |= 1 << side
	}
	return set
}

func (s sides) has(side event.Side) bool { return s&of(side) != 0 }

// course is the state machine of one exchange. It says which events the exchange
// owes to the pipeline, and when one of them is due. It does no I/O. Each event is
// due once, or lost once by a panic:
//
//	an ordinary exchange   a request event when the request has ended, and a
//	                       response event when the exchange has
//	a skipped exchange     none
//	a loop                 one event, when the exchange has ended
//	a tunnel               one event, when the exchange has ended
//
// An exchange of which the outcome decides gives its events when it has ended, or
// none. A request that asks for a tunnel owes nothing before the head of the response,
// which says what the exchange is.
type course struct {
	owed sides
	// undecided says that the request asks for a tunnel, and that the model has not
	// responded yet.
	undecided bool
	// waits says that the outcome decides whether the exchange gives events. A spare
	// exchange gives none unless its outcome keeps it.
	waits, spare bool
	// requestOver and over say that the request and the exchange have ended.
	requestOver, over bool
}

func newCourse(looped, asksForTunnel bool) course {
	c := course{owed: of(event.Request, event.Response), undecided: asksForTunnel}
	if looped {
		c.owed = of(event.Looped)
	}
	return c
}

// wait says that the outcome decides on the events of an exchange. A spare one gives
// none unless its outcome keeps them, any other gives them in any case.
func (c *course) wait(spare bool) { c.waits, c.spare = true, spare }

// decide says at the end of a waiting exchange whether its outcome keeps it. It
// reports whether the exchange is left out.
func (c *course) decide(kept bool) (due sides, leftOut bool) {
	if !c.waits {
		return 0, false
	}
	c.waits = false
	if c.spare && !kept {
		leftOut, c.owed = c.owed != 0, 0
	}
	return c.due(event.Request), leftOut
}

// due takes an event off those that are owed, and returns it if it was.
func (c *course) due(side event.Side) sides {
	due := c.owed & of(side)
	c.owed &^= due
	return due
}

// skip says that the request's body shows an exchange that isn't observed.
func (c *course) skip() { c.owed = 0 }

// loop says that the request's body shows a loop.
func (c *course) loop() { c.owed = of(event.Looped) }

// responds reports whether the exchange owes a response event.
func (c *course) responds() bool { return c.owed.has(event.Response) }

// endRequest says that the request has ended.
func (c *course) endRequest() (due sides) {
	c.requestOver = true
	if c.undecided || c.waits {
		return 0
	}
	return c.due(event.Request)
}

// beginResponse says that the head of the response is there, or that there will be
// none. It is no tunnel's.
func (c *course) beginResponse() (due sides) {
	c.undecided = false
	if !c.requestOver || c.waits {
		return 0
	}
	return c.due(event.Request)
}

// openTunnel says that the response has opened a tunnel.
func (c *course) openTunnel() {
	if !c.over {
		c.owed = of(event.Tunnel)
	}
	c.requestOver, c.undecided = true, false
}

// end says that the exchange has ended, its request included.
func (c *course) end() (due sides) {
	c.over = true
	return c.due(event.Response) | c.due(event.Looped) | c.due(event.Tunnel)
}

// lose says that a panic ends the exchange. What it still owes is lost.
func (c *course) lose() (lost sides) {
	lost = c.owed
	c.owed, c.requestOver, c.over = 0, true, true
	return lost
}
