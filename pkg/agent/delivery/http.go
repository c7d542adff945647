/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/sidenote-dev/sidenote/pkg/agent/event"
)

const (
	// A connection that is kept for ever never reaches a Broker's new
	// replicas.
	maxConnectionAge       = 5 * time.Minute
	maxConnectionAgeJitter = time.Minute

	dialTimeout           = 5 * time.Second
	idleTimeout           = 30 * time.Second
	maxAnswerBytes        = 64 << 10
	maxAnswerHeaderBytes  = 64 << 10
	maxTokenBytes         = 64 << 10
	tokenRefresh          = time.Minute
	userAgent             = "sidenote-agent"
	clusterInternalSuffix = ".svc"
	clusterDomainSuffix   = ".svc.cluster.local"
)

// HTTPOptions say how a sink is reached.
type HTTPOptions struct {
	URL *url.URL
	// CACerts are trusted beside the system's, in PEM.
	CACerts []byte
	// TokenFile holds a bearer token. It goes out only over TLS or to a
	// cluster-internal host.
	TokenFile string
	// MaxInFlight is how many connections are worth keeping.
	MaxInFlight int
}

// HTTPSender posts events. It never follows a redirect and heeds no proxy of
// the environment.
type HTTPSender struct {
	options HTTPOptions
	tls     *tls.Config
	token   *tokenSource

	mu        sync.Mutex
	transport *http.Transport
	expires   time.Time
}

// NewHTTPSender gives a sender to an HTTP sink.
func NewHTTPSender(options HTTPOptions) (*HTTPSender, error) {
	sender := &HTTPSender{options: options, tls: &tls.Config{MinVersion: tls.VersionTLS12}}
	if len(options.CACerts) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(options.CACerts) {
			return nil, errors.New("the CA certificates hold no certificate in PEM")
		}
		sender.tls.RootCAs = pool
	}
	if options.TokenFile != "" && SendsToken(options.URL) {
		sender.token = &tokenSource{path: options.TokenFile}
	}
	return sender, nil
}

// SendsToken says whether a token may go to a URL: over TLS, or to a host that
// only the cluster resolves.
func SendsToken(u *url.URL) bool {
	host := strings.TrimSuffix(u.Hostname(), ".")
	return u.Scheme == "https" ||
		strings.HasSuffix(host, clusterInternalSuffix) ||
		strings.HasSuffix(host, clusterDomainSuffix)
}

// Send posts an event, a second time with a fresh token where the first is
// answered by 401.
func (s *HTTPSender) Send(ctx context.Context, e *event.Event, sequence uint64) Result {
	message, err := e.Message(sequence)
	if err != nil {
		return Result{Unsendable: true}
	}
	message.Header["User-Agent"] = []string{userAgent}
	result := s.post(ctx, message, false)
	if result.Status == http.StatusUnauthorized && s.token != nil {
		result = s.post(ctx, message, true)
	}
	return result
}

func (s *HTTPSender) post(ctx context.Context, message *event.Message, freshToken bool) Result {
	header := message.Header
	if s.token != nil {
		token, err := s.token.get(time.Now(), freshToken)
		if err != nil {
			return NoAnswer
		}
		header = header.Clone()
		header.Set("Authorization", "Bearer "+token)
	}
	request := (&http.Request{
		Method:        http.MethodPost,
		URL:           s.options.URL,
		Host:          s.options.URL.Host,
		Header:        header,
		ContentLength: message.Length,
		Body:          http.NoBody,
	}).WithContext(ctx)
	if message.Length > 0 {
		request.Body = io.NopCloser(message.Body())
		request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(message.Body()), nil }
	}
	// Not a client: it would follow redirects.
	answer, err := s.current(time.Now()).RoundTrip(request)
	if err != nil {
		return NoAnswer
	}
	defer answer.Body.Close()
	// Read, so that the connection can be used again, but not for ever.
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswerBytes))
	return Result{
		Status:     answer.StatusCode,
		RetryAfter: ParseRetryAfter(answer.StatusCode, answer.Header.Get("Retry-After"), time.Now()),
	}
}

// current gives the transport, a new one when its connections are old.
func (s *HTTPSender) current(now time.Time) *http.Transport {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.transport != nil && now.Before(s.expires) {
		return s.transport
	}
	if s.transport != nil {
		// Those in use are closed by IdleConnTimeout soon after.
		s.transport.CloseIdleConnections()
	}
	s.transport = &http.Transport{
		Proxy:                  nil,
		DialContext:            (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSClientConfig:        s.tls.Clone(),
		TLSHandshakeTimeout:    dialTimeout,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    s.options.MaxInFlight,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxAnswerHeaderBytes,
	}
	s.expires = now.Add(maxConnectionAge + rand.N(maxConnectionAgeJitter))
	return s.transport
}

// Close closes connections that are not in use.
func (s *HTTPSender) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.transport != nil {
		s.transport.CloseIdleConnections()
	}
}

// tokenSource reads a token from a file that the kubelet renews.
type tokenSource struct {
	path string

	mu    sync.Mutex
	token string
	read  time.Time
}

func (t *tokenSource) get(now time.Time, fresh bool) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !fresh && t.token != "" && now.Sub(t.read) < tokenRefresh {
		return t.token, nil
	}
	file, err := os.Open(t.path)
	if err != nil {
		return "", fmt.Errorf("opening the token file: %w", err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxTokenBytes))
	if err != nil {
		return "", fmt.Errorf("reading the token file: %w", err)
	}
	token := strings.TrimSpace(string(content))
	if token == "" || strings.ContainsAny(token, "\r\n") {
		return "", errors.New("the token file holds no token")
	}
	t.token, t.read = token, now
	return token, nil
}
