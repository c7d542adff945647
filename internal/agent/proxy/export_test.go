/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy

// DialBy has connections to the model be made otherwise.
func (h *Handler) DialBy(connect dial) {
	transport := h.proxy.Transport.(*mirror)
	transport.inline.connect = connect
	transport.http1.DialContext, transport.http2.DialContext = connect.readFirst, connect
}
