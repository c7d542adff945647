/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agenttest

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Server is an HTTP server on the loopback, over HTTP/1.1 and HTTP/2.
type Server struct {
	// URL has no path; Address is its host and port.
	URL, Address string

	server *http.Server
	group  sync.WaitGroup
}

// Serve runs a handler without TLS until the test ends.
func Serve(t testing.TB, handler http.Handler) *Server {
	t.Helper()
	return ServeTLS(t, handler, nil)
}

// ServeTLS runs a handler until the test ends, without TLS where certificate is
// nil.
func ServeTLS(t testing.TB, handler http.Handler, certificate *tls.Certificate) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal("listen:", err)
	}
	s := &Server{Address: listener.Addr().String()}
	s.URL = "http://" + s.Address
	s.server = &http.Server{
		Handler: handler, Protocols: protocols(true, true), DisableGeneralOptionsHandler: true,
		ErrorLog: log.New(io.Discard, "", 0),
	}
	if certificate != nil {
		s.URL = "https://" + s.Address
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{*certificate}})
	}
	s.group.Go(func() { _ = s.server.Serve(listener) })
	t.Cleanup(s.Close)
	return s
}

// Port is the server's port.
func (s *Server) Port() string { return s.Address[strings.LastIndexByte(s.Address, ':')+1:] }

// Close cuts every connection and waits for the server's end.
func (s *Server) Close() {
	s.server.Close()
	s.group.Wait()
}

// HTTP1Client follows no redirects and decodes no bodies.
func HTTP1Client(t testing.TB) *http.Client { return client(t, protocols(true, false)) }

// HTTP2Client is the same over HTTP/2 without TLS.
func HTTP2Client(t testing.TB) *http.Client { return client(t, protocols(false, true)) }

// Clients are both kinds of client by their protocol.
var Clients = map[string]func(testing.TB) *http.Client{"HTTP/1.1": HTTP1Client, "HTTP/2": HTTP2Client}

func client(t testing.TB, over *http.Protocols) *http.Client {
	transport := &http.Transport{Protocols: over, DisableCompression: true, ExpectContinueTimeout: 5 * time.Second}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func protocols(http1, http2 bool) *http.Protocols {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(http1)
	protocols.SetUnencryptedHTTP2(http2)
	return protocols
}
