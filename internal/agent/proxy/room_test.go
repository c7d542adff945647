/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// TestWhoeverIsAloneFindsRoom: a head that takes more than all of the room is
// served when no other exchange is in flight, and refused beside another one.
func TestWhoeverIsAloneFindsRoom(t *testing.T) {
	refused := 0
	h := newUnwatched(t, agenttest.Predictor())
	h.Limit(2, func() { refused++ })
	ask := func() int {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("X-Long", strings.Repeat("x", 3*headShare))
		if part := partOf(r); part <= h.room.limit {
			t.Fatalf("the request takes %d of %d parts", part, h.room.limit)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	for range 2 {
		if status := ask(); status != http.StatusOK || refused != 0 {
			t.Errorf("alone it gets %d, and %d are refused", status, refused)
		}
	}
	if !h.room.enter(1) {
		t.Fatal("there is no room for an ordinary exchange")
	}
	if status := ask(); status != http.StatusServiceUnavailable || refused != 1 {
		t.Errorf("beside another it gets %d, and %d are refused", status, refused)
	}
	h.room.leave(1)
	if status := ask(); status != http.StatusOK {
		t.Errorf("alone again it gets %d", status)
	}
}

// newUnwatched returns a proxy in front of a model, without a watcher.
func newUnwatched(t *testing.T, model http.Handler) *Handler {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: agenttest.Serve(t, model).Address}
	h := New(target, func(*http.Request) (Watcher, http.Header) { return nil, nil }, func(ErrorClass) {})
	t.Cleanup(h.CloseIdleConnections)
	return h
}

// TestALongHeadCountsAsSeveralExchanges, but whoever is alone always has room.
func TestALongHeadCountsAsSeveralExchanges(t *testing.T) {
	goOn := make(chan struct{})
	long := "/" + strings.Repeat("a", 800<<10)
	h := newUnwatched(t, agenttest.Holding(long, goOn))
	h.Limit(10, func() {})
	address := agenttest.Serve(t, h).URL
	statuses := make(chan string, 2)
	ask := func() {
		response, err := agenttest.HTTP1Client(t).Post(address+long, "application/json", strings.NewReader("{}"))
		if err != nil {
			statuses <- err.Error()
			return
		}
		response.Body.Close()
		statuses <- strconv.Itoa(response.StatusCode)
	}
	go ask()
	agenttest.Eventually(t, "one is under way", func() bool { return h.Active() == 1 })
	go ask()
	if got := <-statuses; got != "503" {
		t.Errorf("the second gets %s", got)
	}
	close(goOn)
	if got := <-statuses; got != "200" {
		t.Errorf("the first gets %s", got)
	}
}
