/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inference

import (
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// TunnelProtocol is the one protocol that an exchange may switch to.
const TunnelProtocol = "websocket"

// AsksForTunnel says whether a request asks to become a WebSocket. No other
// upgrade is passed on to the model, so a request that asks for one stays the
// request that it is.
func AsksForTunnel(r *http.Request) bool {
	return httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade") &&
		strings.EqualFold(r.Header.Get("Upgrade"), TunnelProtocol)
}
