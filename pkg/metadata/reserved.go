/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package metadata

import "strings"

// reservedPrefix belongs to Knative: brokers add knativearrivaltime,
// knativeerrorcode and their like on the way.
const reservedPrefix = "knative"

var reserved = toSet(
	// CloudEvents 1.0, context attributes, and members of its JSON format.
	"id", "source", "specversion", "type", "datacontenttype", "dataschema", "subject", "time", "data",
	// CloudEvents' documented extensions.
	"authtype", "authid", "authclaims",
	"correlationid", "causationid",
	"dataref", "dataclassification", "dataregulation", "datacategory",
	"deprecated", "deprecationfrom", "deprecationsunset", "deprecationmigration",
	"expirytime", "partitionkey", "recordedtime", "sampledrate", "sequence", "sequencetype",
	"severitytext", "severitynumber",
	"traceparent", "tracestate",
	// What the agent sets itself (docs/event-contract.md).
	"agenthops", "agentinstance", "agentsequence",
	"bodysha256", "bodysize", "bytesfromclient", "bytesfrommodel",
	"clientrequestid", "component", "contentencoding", "durationms", "grpcstatus",
	"genaicachedtokens", "genaifinishreasons", "genaifirstchunkms", "genaiinputtokens",
	"genaioperation", "genaioutputtokens", "genairequestmodel", "genairesponsemodel",
	"inferenceheaderlen", "inferenceservicename", "loopreason", "namespace", "replaced", "revision", "statuscode",
	// What earlier agents set, and may have spooled.
	"inferenceheaderlength",
	// What other inference loggers set, so that a subscriber of both is never misled.
	"annotations", "endpoint", "metadata", "modelid", "protocol", "requestid",
)

// Reserved reports whether CloudEvents, Knative or the event itself uses a name,
// so that it can't carry an annotation.
func Reserved(name string) bool {
	return reserved[name] || strings.HasPrefix(name, reservedPrefix)
}

func toSet(names ...string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}
