/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// Exchange is what the head of a request tells of both sides of an exchange.
type Exchange struct {
	// CorrelationID is the agent's own, shared by the events of an exchange.
	CorrelationID string
	// ClientRequestID is the client's X-Request-Id as it came.
	ClientRequestID string
	// ClientEventID is the client's Ce-Id, empty if an event can't have it as its id.
	ClientEventID string
	// Hops counts the exchanges by which the event came about that the request
	// carries, if it is one of the profile kserve.
	Hops uint8
	// Path is the request's path as it was on the wire.
	Path string
	// TraceParent and TraceState are every value of those headers.
	TraceParent, TraceState []string
	// Received is when the request's head was there.
	Received time.Time
	// SampledRate is how many exchanges this one stands for, 0 if none is left out.
	// It is set before an event of the exchange is observed.
	SampledRate int32

	headers headerValues
}

// TraceContext is where an exchange's events come from, in the headers of W3C
// Trace Context.
type TraceContext struct {
	Parent string
	State  []string
}

// NewExchange reads the head of a request.
func NewExchange(r *http.Request, correlationID string, received time.Time) *Exchange {
	exchange := &Exchange{
		CorrelationID:   correlationID,
		ClientRequestID: r.Header.Get("X-Request-Id"),
		ClientEventID:   clientEventID(r.Header.Get("Ce-Id")),
		Path:            wirePath(r),
		TraceParent:     r.Header["Traceparent"],
		TraceState:      r.Header["Tracestate"],
		Received:        received,
	}
	return exchange.kept()
}

// wirePath returns the path of a request as the client wrote it, which net/http
// may parse and escape otherwise. Of a target in absolute form it is the part
// after the host.
func wirePath(r *http.Request) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if strings.HasPrefix(path, "/") || path == "*" {
		return path
	}
	if _, afterScheme, absolute := strings.Cut(path, "://"); absolute {
		if host := strings.IndexByte(afterScheme, '/'); host >= 0 {
			return afterScheme[host:]
		}
		return ""
	}
	return r.URL.EscapedPath()
}

// Coding is what the headers of one side say of its body.
type Coding struct {
	ContentType     string
	ContentEncoding string
	// GRPCEncoding is how single messages of a gRPC body are compressed.
	GRPCEncoding string
	// InferenceHeaderLength is needed to read a V2 body with binary tensors.
	InferenceHeaderLength string
}

// CodingOf reads the headers of one side.
func CodingOf(header http.Header) Coding {
	coding := Coding{
		ContentType:           header.Get("Content-Type"),
		ContentEncoding:       strings.Join(header["Content-Encoding"], ","),
		GRPCEncoding:          header.Get("Grpc-Encoding"),
		InferenceHeaderLength: strings.Join(header["Inference-Header-Content-Length"], ","),
	}
	return coding.kept()
}

// Body is what was seen of one side's body, before any decoding.
type Body struct {
	// Data is the first bytes of the body, as many as were kept.
	Data []byte
	// Size is the number of bytes that flowed.
	Size int64
	// SHA256 is the hexadecimal hash of all that flowed, where it was taken:
	// whenever Data is not all of it.
	SHA256 string
}

// Whole reports whether Data is all that flowed.
func (b Body) Whole() bool { return int64(len(b.Data)) == b.Size }

// hash returns the SHA256, of a body that is whole by its data.
func (b Body) hash() string {
	if b.SHA256 != "" || !b.Whole() {
		return b.SHA256
	}
	sum := sha256.Sum256(b.Data)
	return hex.EncodeToString(sum[:])
}

// Flow is how many bytes went through a tunnel, each way.
type Flow struct{ FromClient, FromModel int64 }

// NoStatus is the Status of a request or of an exchange that ended without an
// response, and the GRPCStatus of a response that has none.
const NoStatus = -1

// Observation is one side of one exchange, or a tunnel or a loop, at rest.
type Observation struct {
	Exchange *Exchange
	Side     Side
	Coding   Coding
	// Body is the side's, of a loop the request's.
	Body Body
	// Messages are those of a gRPC body, for one that isn't whole.
	Messages *Messages
	// Loop is what a loop was recognised by.
	Loop Loop
	// Flow is a tunnel's, which has no body.
	Flow Flow
	// Complete says that the side ended as it should, and didn't break off.
	Complete bool
	// ByContent says that only its content tells that it is complete: the end of
	// its content coding may be missing.
	ByContent bool
	// Status and GRPCStatus are the response's, or NoStatus.
	Status, GRPCStatus int
	// FirstByte is when the first byte of the response's body came, zero where none
	// did.
	FirstByte time.Time
	// MayMerge says that there is room to merge the frames of a stream.
	MayMerge bool
	// At is when the request was received, the response was complete, or the
	// tunnel ended.
	At time.Time
	// Recorded is when the observation was made, zero for At.
	Recorded time.Time
}

// recordedAfter is how long after At the observation was made.
func (o *Observation) recordedAfter() time.Duration {
	if o.Recorded.IsZero() {
		return 0
	}
	return max(o.Recorded.Sub(o.At), 0)
}

// GRPCStatusOf reads the gRPC status of a response from its trailer, or from
// its header where it has nothing else (a "trailers-only" response).
func GRPCStatusOf(header, trailer http.Header) int {
	text := trailer.Get("Grpc-Status")
	if text == "" {
		text = header.Get("Grpc-Status")
	}
	status, err := strconv.ParseInt(text, 10, 32)
	if err != nil || status < 0 {
		return NoStatus
	}
	return int(status)
}

// Classify says what kind of event an observation is, without decoding its
// body: Build may find that a body can't be decoded, and then it is the
// side's encoded kind. maxBytes bounds a body.
func Classify(o *Observation, maxBytes int64) agentconfig.Kind {
	return classify(o, maxBytes, o.Body.Whole())
}

func classify(o *Observation, maxBytes int64, whole bool) agentconfig.Kind {
	grpc := isGRPC(o.Coding.ContentType)
	switch {
	case o.Side == Tunnel:
		return agentconfig.KindTunnel
	case o.Side == Looped:
		return agentconfig.KindLoop
	case failed(o, grpc):
		return o.Side.failure()
	case o.Body.Size > maxBytes, !whole:
		return o.Side.oversize()
	case o.Body.Size > 0 && !decodable(o.Coding, grpc):
		return o.Side.encoded()
	case o.Side == Response && grpc && !o.unary():
		return agentconfig.KindStream
	case o.Side == Response && mediaTypeOf(o.Coding.ContentType) == eventStream:
		return agentconfig.KindStream
	default:
		return o.Side.plain()
	}
}

// Failed reports whether an observation is a failure of its side: the side broke
// off, or the response says that the model failed. A loop never is one, nor a tunnel
// that ended.
func Failed(o *Observation) bool { return failed(o, isGRPC(o.Coding.ContentType)) }

func failed(o *Observation, grpc bool) bool {
	return !o.Complete || o.Side == Response && !succeeded(o, grpc)
}

// Starved reports whether a body under the cap wasn't kept: the budget had no room
// for it. ClassifyKept then says what kind of event it would have made.
func Starved(o *Observation, maxBytes int64) bool {
	return !o.Body.Whole() && o.Body.Size <= maxBytes
}

// ClassifyKept classifies an observation as if its body had been kept.
func ClassifyKept(o *Observation, maxBytes int64) agentconfig.Kind {
	return classify(o, maxBytes, true)
}

// unary reports whether a gRPC body is exactly one message.
func (o *Observation) unary() bool {
	if o.Body.Whole() {
		return isUnary(o.Body.Data)
	}
	return o.Messages.One()
}

func succeeded(o *Observation, grpc bool) bool {
	if grpc && o.GRPCStatus != 0 {
		return false
	}
	return o.Status >= 200 && o.Status <= 299
}

// mediaTypeOf returns the media type without parameters, lower-cased, leniently.
func mediaTypeOf(contentType string) string {
	mediaType, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(mediaType))
}
