/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
)

// forwarding headers are removed by ReverseProxy before Rewrite. They are the
// ingress's word, and the model's to read.
var forwarding = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}

// forward makes the request to the model of the one of the client.
func forward(out, in *http.Request, target *url.URL, extra http.Header) {
	out.URL.Scheme = target.Scheme
	out.URL.Host = target.Host
	// Not cleaned: what the client wrote is the model's to judge.
	out.URL.RawQuery = in.URL.RawQuery
	out.URL.Opaque = unescaped(in)
	out.Host = in.Host
	for _, name := range forwarding {
		if values, ok := in.Header[name]; ok {
			out.Header[name] = values
		}
	}
	maps.Copy(out.Header, extra)
	forwardTrailer(out, in)
}

// unescaped returns the path of a request as the client wrote it, where net/http
// would escape what RFC 3986 has escaped, and "" elsewhere. A path that begins
// with two slashes stays net/http's: as a URL's Opaque it would be a host.
func unescaped(r *http.Request) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if path == r.URL.EscapedPath() || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
		return ""
	}
	return path
}

// forwardTrailer has the model get the request's trailer.
func forwardTrailer(out, in *http.Request) {
	announced := in.Trailer != nil
	if announced || in.ProtoMajor != 1 || in.ContentLength >= 0 || out.Body == nil {
		// The same map: its values arrive only after the body.
		out.Trailer = in.Trailer
		return
	}
	// Under HTTP/1.1 a chunked body may have a trailer that nothing announces.
	out.Trailer = make(http.Header)
	out.Body = trailedBody{out.Body, in, out.Trailer}
}

// trailedBody copies the trailer that an inbound request has after its body.
type trailedBody struct {
	io.ReadCloser
	inbound *http.Request
	trailer http.Header
}

func (b trailedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		maps.Copy(b.trailer, b.inbound.Trailer)
	}
	return n, err
}

// closingBody closes the client's body with the one that goes to the model.
// ReverseProxy keeps them apart, for closing may block under HTTP/1. Under
// HTTP/2 it doesn't, and without it a model that responds before the end of the
// request would leave the exchange waiting for the client forever.
type closingBody struct {
	io.ReadCloser
	inbound io.Closer
}

func (b closingBody) Close() error {
	return errors.Join(b.ReadCloser.Close(), b.inbound.Close())
}
