/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/mounted"
	"github.com/sidenote-dev/sidenote/internal/sinkaddress"
)

const (
	// locationRefresh is how often the file is looked at while events are sent.
	// The kubelet brings a changed ConfigMap after a minute or more.
	locationRefresh = time.Second
	// maxLocationBytes is well over what a URL takes.
	maxLocationBytes = 64 << 10
)

// location is where a sink is: what a file says, or else the URL that was
// given.
type location struct {
	file string

	url *url.URL
	// audience is that of the token which the sink asks for. It counts only
	// where the file was read.
	audience string
	fromFile bool

	read time.Time
	// last is what was found last, so that a failure counts once.
	last string
}

// load looks at the file, and reports whether the sink is elsewhere now. On an
// error, and where there is no file, what was read last remains in use.
func (l *location) load(now time.Time) (moved bool, err error) {
	if l.file == "" || (!l.read.IsZero() && now.Sub(l.read) < locationRefresh) {
		return false, nil
	}
	l.read = now
	content, err := mounted.ReadFile(l.file, maxLocationBytes)
	if errors.Is(err, fs.ErrNotExist) {
		l.last = ""
		return false, nil
	}
	found := string(content)
	if err != nil {
		found = err.Error()
	}
	if found == l.last {
		return false, nil
	}
	l.last = found
	if err != nil {
		return false, fmt.Errorf("reading address-file: %w", err)
	}
	address, err := sinkaddress.Parse(content)
	if err != nil {
		return false, fmt.Errorf("address-file: %w", err)
	}
	moved = !l.fromFile || !equalURLs(l.url, address.URL) || l.audience != address.Audience
	l.url, l.audience, l.fromFile = address.URL, address.Audience, true
	return moved, nil
}

// asksFor reports whether a token for an audience may go to the sink. Without
// an audience of its own, and without a file, a token is for whatever the URL
// says.
func (l *location) asksFor(audience string) bool {
	return audience == "" || !l.fromFile || l.audience == audience
}

func equalURLs(a, b *url.URL) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.String() == b.String()
}
