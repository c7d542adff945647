/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy

import (
	"context"
	"net"
)

// DialBy has connections to the model be made otherwise.
func (h *Handler) DialBy(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	transport := h.proxy.Transport.(*mirror)
	transport.http1.DialContext, transport.http2.DialContext = dial, dial
}
