/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// TestWhoeverIsAloneFindsRoom: a head that takes more than all of the room is
// served when no other exchange is under way, and refused beside another one.
func TestWhoeverIsAloneFindsRoom(t *testing.T) {
	model := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer model.Close()
	target, err := url.Parse(model.URL)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	h := New(target, func(*http.Request) (Watcher, http.Header) { return nil, nil }, func(ErrorClass) {})
	defer h.CloseIdleConnections()
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
			t.Errorf("alone it is answered with %d, and %d are refused", status, refused)
		}
	}
	if !h.room.enter(1) {
		t.Fatal("there is no room for an ordinary exchange")
	}
	if status := ask(); status != http.StatusServiceUnavailable || refused != 1 {
		t.Errorf("beside another it is answered with %d, and %d are refused", status, refused)
	}
	h.room.leave(1)
	if status := ask(); status != http.StatusOK {
		t.Errorf("alone again it is answered with %d", status)
	}
}
