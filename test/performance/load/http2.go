/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package load

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
)

// streamsTogether is how many senders share a connection over HTTP/2.
const streamsTogether = 8

type http2 struct {
	transport *http.Transport
	url       string
	body      []byte
}

// NewHTTP2 returns so many senders over HTTP/2 without TLS.
func NewHTTP2(address string, body []byte, count int) []Sender {
	var senders []Sender
	var transport *http.Transport
	for i := range count {
		if i%streamsTogether == 0 {
			transport = &http.Transport{Protocols: new(http.Protocols), DisableCompression: true, ResponseHeaderTimeout: exchangeTimeout}
			transport.Protocols.SetUnencryptedHTTP2(true)
		}
		senders = append(senders, &http2{transport: transport, url: "http://" + address + PredictPath, body: body})
	}
	return senders
}

func (h *http2) Exchange() error {
	request, err := http.NewRequest(http.MethodPost, h.url, bytes.NewReader(h.body))
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := h.transport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("making an exchange: %w", err)
	}
	defer response.Body.Close()
	length, err := io.Copy(io.Discard, response.Body)
	if err != nil {
		return fmt.Errorf("reading a response: %w", err)
	}
	return check(response.StatusCode, length, int64(len(h.body)))
}

func (h *http2) Close() { h.transport.CloseIdleConnections() }
