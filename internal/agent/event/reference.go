/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import "github.com/sidenote-dev/sidenote/internal/agentconfig"

// KindDescription describes a kind of event. docs/reference/events.md is
// generated from it.
type KindDescription struct {
	Kind agentconfig.Kind
	// When says when the event is sent, and Data what its data is.
	When, Data string
}

// DescribeKinds describes every kind, in the order of Kinds.
func DescribeKinds() []KindDescription {
	return []KindDescription{
		{agentconfig.KindRequest, "the request's body is complete, whatever the response is", "that body"},
		{agentconfig.KindResponse, "a response with a 2xx status (gRPC: status 0) is complete", "that body"},
		{agentconfig.KindStream, "the same, for server-sent events, or for gRPC with other than exactly one message", "the whole stream, with its framing; with `streams: merged` the response that its frames are together, where they can be merged"},
		{agentconfig.KindRequestFailure, "the request broke off, or the model ended the exchange before it had read all of the request", "the part that arrived, up to `maxPayloadBytes`"},
		{agentconfig.KindResponseFailure, "the response has another status, broke off or didn't come", "the part that arrived, up to `maxPayloadBytes`"},
		{agentconfig.KindRequestOversize, "the request's body exceeds `maxPayloadBytes`, or the agent had no room for it", "none: `bodysize` and `bodysha256`"},
		{agentconfig.KindResponseOversize, "the same, for the response's body", "none: `bodysize` and `bodysha256`"},
		{agentconfig.KindRequestEncoded, "the request's body has a content coding other than gzip, deflate, br and zstd, has more than two codings, or can't be decoded within the bounds", "that body, not decoded"},
		{agentconfig.KindResponseEncoded, "the same, for the response's body", "that body, not decoded"},
		{agentconfig.KindTunnel, "a WebSocket that the model accepted has ended", "none: `bytesfromclient` and `bytesfrommodel`"},
		{agentconfig.KindLoop, "an exchange has ended whose request carries, or claims to carry, an event of one of these types", "none: `loopreason`, and `bodysize` and `bodysha256` of the request"},
		{agentconfig.KindLedger, "at an interval, and when the agent ends", "the counts of the agent's events to this sink"},
	}
}

// AttributeDescription describes an attribute that the agent sets.
// docs/reference/events.md is generated from it.
type AttributeDescription struct {
	Name string
	// On says which events have it, and Value what its value is.
	On, Value string
}

// DescribeAttributes describes every attribute of an event but specversion, type
// and the owner's metadata.
func DescribeAttributes() []AttributeDescription {
	const everywhere, ofExchanges = "all", "all but `ledger`"
	const ofGenAI, ofGenAIResponses = "requests to and responses of an [LLM](../event-contract.md#language-models)", "responses of an LLM, if the body has it"
	return []AttributeDescription{
		{"id", everywhere, "unique for each event; the same when the event is sent again"},
		{"source", everywhere, "the name of the component's Knative Service"},
		{"time", everywhere, "the time at which the request was received, the response was complete, the tunnel ended or the ledger event was made"},
		{"subject", ofExchanges, "the request's path as on the wire, neither decoded nor escaped, without its query; for gRPC this is the method; at most 1 KiB"},
		{"datacontenttype", "events whose body had one, `ledger`", "the body's Content-Type"},
		{"correlationid", ofExchanges, "the same for the request and the response of an exchange"},
		{"clientrequestid", "if the client sent one", "the client's `X-Request-Id`, if it matches `[A-Za-z0-9._:-]{1,128}`"},
		{"inferenceservicename", everywhere, "the name of the InferenceService, of Sidenote or of KServe; of another Knative Service its own name"},
		{"namespace", everywhere, "the namespace of the InferenceService"},
		{"component", everywhere, "the component: `predictor`, `transformer` or `explainer`"},
		{"revision", everywhere, "the name of the Knative Revision"},
		{"statuscode", "responses, tunnels, loops", "the HTTP status, an Integer; absent if there was no response"},
		{"grpcstatus", "gRPC responses, also of loops", "the gRPC status, an Integer"},
		{"durationms", "responses, tunnels, loops", "milliseconds from the request's arrival to the end of the response or tunnel, an Integer"},
		{"contentencoding", "if there is one", "the content coding of the body on the wire; several are separated by commas, in the order in which they were applied. In a failure, a gRPC stream or an `encoded` type the data may still have it"},
		{"inferenceheaderlen", "if there is one", "`Inference-Header-Content-Length`, an Integer: how many bytes of a V2 body are JSON, before its binary tensors"},
		{operationAttribute, ofGenAI, "`chat`, or `text_completion` for completions"},
		{requestModelAttribute, "requests to an LLM, if the body has it", "the model asked for, at most 128 bytes"},
		{responseModelAttribute, ofGenAIResponses, "the model that responded, at most 128 bytes"},
		{inputTokensAttribute, ofGenAIResponses, "the tokens of the input, with the cached ones, an Integer"},
		{outputTokensAttribute, ofGenAIResponses, "the tokens of the output, an Integer"},
		{cachedTokensAttribute, ofGenAIResponses, "the tokens of the input that were read from a cache, an Integer"},
		{finishReasonsAttribute, ofGenAIResponses, "the finish reasons of the choices in their order, separated by commas, at most 128 bytes; `error` for a choice that has none"},
		{firstChunkAttribute, "streams of an LLM", "milliseconds from the request's arrival to the first byte of the response's body, an Integer"},
		{"bytesfromclient", "tunnels", "bytes from the client to the model. A String, because it may exceed 32 bits"},
		{"bytesfrommodel", "tunnels", "bytes from the model to the client. A String, because it may exceed 32 bits"},
		{"loopreason", "loops", "`header`, `body`, `unreadable`, `service` or `hops`"},
		{"bodysize", "events without the whole body; for loops it is the request's", "bytes of the body that were transferred until the exchange ended. A String, because it may exceed 32 bits"},
		{"bodysha256", "events without the whole body; for loops it is the request's", "SHA-256 of those bytes, in hexadecimal"},
		{"sampledrate", "events of exchanges, with `logger.sampling`", "how many exchanges this one stands for, an Integer from 1 ([rule](../event-contract.md#sampling))"},
		{"traceparent", "if valid", "the client's trace context. If the agent records a trace of the exchange, the trace is the same and the agent's span is the parent"},
		{"tracestate", "if valid", "the client's `tracestate`"},
		{"agentinstance", everywhere, "a random name for one start of an agent"},
		{"agentsequence", everywhere, "twelve digits: the number of the event among all of this `agentinstance` for this sink, from 1. It is given before anything can be lost, so a gap is a loss"},
		{errorDestination, "dead letters", "the URL of the sink that didn't accept the event, without its query"},
		{errorCode, "dead letters", "the status of the sink's response, an Integer; -1 if there was none"},
		{errorData, "dead letters, if there is any", "the beginning of that response's body in base64, at most 1024 characters"},
		{annotationsAttribute, "profile `kserve`, if there is any", "JSON of your metadata: an object from each attribute's name to its value"},
		{metadataAttribute, "profile `kserve`", "JSON of the request's headers that are attributes: an object from each header's name to an array with its value"},
		{recordedAttribute, "profile `kserve`", "the time at which the agent made the event"},
		{hopsAttribute, "profile `kserve`, if the request carries such an event", "how many requests that carried such an event led to this one, an Integer"},
		{"replaced", "if something is replaced", "the attributes, separated by commas, whose values differ from those that the client or the model sent, because an event can't carry them"},
	}
}
