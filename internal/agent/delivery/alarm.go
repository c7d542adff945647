/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import "time"

// alarm is a time at which something is due, or never.
type alarm struct {
	at  time.Time
	set bool
}

var never alarm

func alarmAt(at time.Time) alarm { return alarm{at: at, set: true} }

// earliest returns the earlier of two alarms.
func (a alarm) earliest(b alarm) alarm {
	if !a.set || b.set && b.at.Before(a.at) {
		return b
	}
	return a
}

// latest returns the alarm at a time, or a where that is later.
func (a alarm) latest(at time.Time) alarm {
	if a.set && a.at.After(at) {
		return a
	}
	return alarmAt(at)
}

// after returns the alarm that is later by wait.
func (a alarm) after(wait time.Duration) alarm { return alarm{at: a.at.Add(wait), set: a.set} }

// due reports whether the alarm's time has come.
func (a alarm) due(now time.Time) bool { return a.set && !now.Before(a.at) }
