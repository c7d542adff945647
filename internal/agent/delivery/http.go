/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/propagation"

	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/panics"
)

const (
	// A connection that is kept forever never reaches a Broker's new
	// replicas.
	maxConnectionAge       = 5 * time.Minute
	maxConnectionAgeJitter = time.Minute

	dialTimeout            = 5 * time.Second
	idleTimeout            = 30 * time.Second
	maxResponseBytes       = 64 << 10
	maxResponseHeaderBytes = 64 << 10
	refusalRefresh         = 10 * time.Second
	userAgent              = "sidenote-agent"
	clusterInternalSuffix  = ".svc"
)

// HTTPOptions say how a sink is reached.
type HTTPOptions struct {
	// URL is where the sink is. It may be nil where AddressFile says it.
	URL *url.URL
	// AddressFile says where the sink is, in the place of URL, and is read again
	// when it changes (internal/sinkaddress).
	AddressFile string
	// CACerts are trusted beside the system's, in PEM. CACertsFile and the
	// files in CACertsDir are too, and are read again when they change.
	CACerts                 []byte
	CACertsFile, CACertsDir string
	// TokenFile holds a bearer token. It goes out only where SendsToken says so.
	TokenFile string
	// TokenAudience is that of the token. Where it is given, the token goes only
	// to an address of AddressFile that asks for it.
	TokenAudience string
	// BasicAuthDir has the files username and password, which go out where a token
	// does. It must not be combined with TokenFile.
	BasicAuthDir string
	// ClusterDomain is the DNS domain of the cluster.
	ClusterDomain string
	// MaxInFlight is how many connections are worth keeping.
	MaxInFlight int
	// RetryAfterMax caps a Retry-After; 0 ignores it.
	RetryAfterMax time.Duration
	// AllowLoopback lets the sink be on this machine.
	AllowLoopback bool
	// OnRefused may be told of each time that the sink had only addresses which
	// none may have.
	OnRefused func(AddressClass)
	// OnTrustFailure may be told why certificates couldn't be read again. Those
	// read last remain in use.
	OnTrustFailure func(error)
	// OnMoved may be told that AddressFile has another address, nil for none.
	OnMoved func(*url.URL)
	// OnAddressFailure may be told why AddressFile couldn't be used. The address
	// that was read last remains in use.
	OnAddressFailure func(error)
	// Panics says what becomes of panics.
	Panics panics.Handler
}

// HTTPSender posts events. It never follows a redirect and heeds no proxy of
// the environment.
type HTTPSender struct {
	options HTTPOptions
	// credentials is nil where the sink gets none.
	credentials credentials
	dial        func(ctx context.Context, network, address string) (net.Conn, error)

	mu        sync.Mutex
	location  location
	failures  uint64
	trust     trust
	transport *http.Transport
	expires   time.Time
	// plain posts to an http URL, in the place of the transport.
	plain *plainHTTP
	// refused is the class of the sink's address until refusedUntil: its name
	// isn't asked for with each event.
	refused      AddressClass
	refusedUntil time.Time
}

// NewHTTPSender returns a sender to an HTTP sink.
func NewHTTPSender(options HTTPOptions) (*HTTPSender, error) {
	sender := &HTTPSender{
		options:  options,
		dial:     guardedDial(options.AllowLoopback),
		location: location{file: options.AddressFile, url: options.URL},
		trust:    trust{inline: options.CACerts, file: options.CACertsFile, directory: options.CACertsDir},
	}
	if _, err := sender.trust.load(time.Now()); err != nil {
		return nil, err
	}
	switch {
	case options.TokenFile != "":
		sender.credentials = &tokenSource{path: options.TokenFile}
	case options.BasicAuthDir != "":
		sender.credentials = &passwordSource{directory: options.BasicAuthDir}
	}
	return sender, nil
}

// SendsToken reports whether a token or a password may go to a URL: over TLS, or to a host that
// only the cluster resolves, under .svc alone or in the cluster's DNS domain.
func SendsToken(u *url.URL, clusterDomain string) bool {
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	return u.Scheme == "https" ||
		strings.HasSuffix(host, clusterInternalSuffix) ||
		(clusterDomain != "" && strings.HasSuffix(host, clusterInternalSuffix+"."+clusterDomain))
}

// Send posts an event, a second time with fresh credentials where the first is
// responded with 401.
func (s *HTTPSender) Send(ctx context.Context, e *event.Event, sequence uint64) Result {
	to := s.where(time.Now())
	if to.url == nil {
		return Result{NoAddress: true}
	}
	if class := s.refusedNow(time.Now()); class != AddressNone {
		return Result{Refused: class}
	}
	out := outgoing{event: e, sequence: sequence, body: e.Body(sequence)}
	result := s.post(ctx, to, out, false)
	if result.Status == http.StatusUnauthorized && to.authorized {
		result = s.post(ctx, to, out, true)
	}
	return result
}

func (s *HTTPSender) keepsDeadlines() {}

// attemptAddress is where one attempt goes, and whether it carries credentials.
type attemptAddress struct {
	url        *url.URL
	authorized bool
	// plain is nil where net/http sends the event.
	plain *plainHTTP
}

// where looks up where the sink is. Attempts in flight stay where they went.
func (s *HTTPSender) where(now time.Time) attemptAddress {
	s.mu.Lock()
	defer s.mu.Unlock()
	moved, err := s.location.load(now)
	if err != nil {
		s.failures++
		if s.options.OnAddressFailure != nil {
			s.options.OnAddressFailure(err)
		}
	}
	if moved {
		// New connections, by the authorities that came with the address.
		s.expires, s.trust.read, s.refusedUntil = now, time.Time{}, time.Time{}
		s.leavePlain()
		if s.options.OnMoved != nil {
			s.options.OnMoved(s.location.url)
		}
	}
	to := attemptAddress{url: s.location.url, plain: s.currentPlain()}
	to.authorized = s.credentials != nil && to.url != nil && SendsToken(to.url, s.options.ClusterDomain) && s.location.asksFor(s.options.TokenAudience)
	return to
}

// currentPlain returns what posts to the sink's URL without net/http, nil where
// nothing does: net/http then says what is wrong with the URL. It needs the lock.
func (s *HTTPSender) currentPlain() *plainHTTP {
	if to := s.location.url; s.plain == nil && to != nil && to.Scheme == "http" {
		s.plain, _ = newPlainHTTP(to, s.options, s.dial)
	}
	return s.plain
}

// leavePlain needs the lock.
func (s *HTTPSender) leavePlain() {
	if s.plain != nil {
		// Those in use are closed by idleTimeout soon after.
		s.plain.pool.CloseIdle()
		s.plain = nil
	}
}

// URL is where the sink is now, or nil.
func (s *HTTPSender) URL() *url.URL { return s.where(time.Now()).url }

// AddressFailures counts contents of AddressFile that could not be used.
func (s *HTTPSender) AddressFailures() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failures
}

func (s *HTTPSender) post(ctx context.Context, to attemptAddress, out outgoing, fresh bool) Result {
	authorization := ""
	if to.authorized {
		var err error
		if authorization, err = s.credentials.authorization(time.Now(), fresh); err != nil {
			return NoResponse
		}
	}
	unsendable := true
	var result Result
	var err error
	if to.plain != nil {
		s.options.Panics.Event(func() {
			result, err = to.plain.post(ctx, out, authorization)
			unsendable = false
		})
	} else {
		result, unsendable, err = s.postByTransport(ctx, to.url, out, authorization)
	}
	switch {
	case unsendable:
		return Result{Unsendable: true}
	case err != nil:
		return s.noResponse(to.url, err, time.Now())
	default:
		return result
	}
}

// postByTransport has net/http post the event. unsendable says that its
// body panicked.
func (s *HTTPSender) postByTransport(ctx context.Context, to *url.URL, out outgoing, authorization string) (result Result, unsendable bool, err error) {
	ctx, cancel := timed(ctx)
	defer cancel()
	message := out.event.Message(out.sequence)
	header := message.Header
	header["User-Agent"] = []string{userAgent}
	if authorization != "" {
		header["Authorization"] = []string{authorization}
	}
	// Of the attempt's span, where it has one: the sink's own spans are below it.
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(header))
	request := (&http.Request{
		Method:        http.MethodPost,
		URL:           to,
		Host:          to.Host,
		Header:        header,
		ContentLength: message.Length,
		Body:          http.NoBody,
	}).WithContext(ctx)
	bodies := sentBodies{panics: s.options.Panics}
	bodies.attach(request, message)
	responded := false
	// Deferred, because RoundTrip may panic.
	defer func() { bodies.end(responded) }()
	// Not a client: it would follow redirects.
	response, err := s.current(to, time.Now()).RoundTrip(request)
	if err != nil {
		return NoResponse, bodies.unsound(), err
	}
	responded = true
	defer response.Body.Close()
	result, _ = readResponse(response, s.options.RetryAfterMax)
	return result, false, nil
}

// readResponse reads what of a response counts. whole says that its body was read
// to its end.
func readResponse(response *http.Response, retryAfterMax time.Duration) (result Result, whole bool) {
	result = Result{
		Status:     response.StatusCode,
		RetryAfter: ParseRetryAfter(response.StatusCode, response.Header.Get("Retry-After"), time.Now(), retryAfterMax),
	}
	if response.Body == http.NoBody {
		return result, true
	}
	if Judge(result) != Delivered {
		result.Body, _ = io.ReadAll(io.LimitReader(response.Body, event.MaxErrorBytes))
	}
	// Read, so that the connection can be used again, but not forever.
	read, err := io.Copy(io.Discard, io.LimitReader(response.Body, maxResponseBytes))
	return result, err == nil && read < maxResponseBytes
}

// noResponse says what an attempt at an address means that had no response.
func (s *HTTPSender) noResponse(to *url.URL, err error, now time.Time) Result {
	var refusal *refusedAddressError
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &refusal):
		s.mu.Lock()
		// The sink may have moved since the attempt began.
		if equalURLs(to, s.location.url) {
			s.refused, s.refusedUntil = refusal.class, now.Add(refusalRefresh)
		}
		s.mu.Unlock()
		if s.options.OnRefused != nil {
			s.options.OnRefused(refusal.class)
		}
		return Result{Refused: refusal.class}
	case errors.As(err, &untrusted):
		// Its authority may be a new one: look before the next attempt.
		s.mu.Lock()
		s.trust.read = time.Time{}
		s.mu.Unlock()
	}
	return NoResponse
}

func (s *HTTPSender) refusedNow(now time.Time) AddressClass {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(s.refusedUntil) {
		return s.refused
	}
	return AddressNone
}

// current returns the transport, a new one when its connections are old or other
// authorities are trusted.
func (s *HTTPSender) current(to *url.URL, now time.Time) *http.Transport {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renewTrust(to, now)
	if s.transport != nil && now.Before(s.expires) {
		return s.transport
	}
	if s.transport != nil {
		// Those in use are closed by IdleConnTimeout soon after.
		s.transport.CloseIdleConnections()
	}
	s.transport = &http.Transport{
		Proxy:                  nil,
		DialContext:            s.dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: s.trust.pool},
		TLSHandshakeTimeout:    dialTimeout,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    s.options.MaxInFlight,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxResponseHeaderBytes,
	}
	s.expires = now.Add(maxConnectionAge + rand.N(maxConnectionAgeJitter))
	return s.transport
}

// renewTrust reads certificates again, now and then, and has new connections
// made where others are trusted.
func (s *HTTPSender) renewTrust(to *url.URL, now time.Time) {
	if to.Scheme != "https" || now.Sub(s.trust.read) < trustRefresh {
		return
	}
	changed, err := s.trust.load(now)
	if err != nil && s.options.OnTrustFailure != nil {
		s.options.OnTrustFailure(err)
	}
	if changed {
		s.expires = now
	}
}

// Close closes connections that are not in use.
func (s *HTTPSender) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.transport != nil {
		s.transport.CloseIdleConnections()
	}
	if s.plain != nil {
		s.plain.pool.CloseIdle()
	}
}
