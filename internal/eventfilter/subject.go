/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package eventfilter

import (
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
)

// subject is an event while filters judge it.
type subject struct {
	Attributes
	// sdk is nil until an expression needs it.
	sdk *event.Event
}

// lookup returns the value of an attribute by the names that Eventing's filters
// know. An optional attribute of CloudEvents that the event doesn't have is the
// empty string, as theirs is.
func (s *subject) lookup(name string) (value string, found bool) {
	switch name {
	case "specversion", "type", "source", "subject", "id", "time", "dataschema", "datacontenttype":
		value, _ = s.Attribute(name)
		return value, true
	case "schemaurl":
		value, _ = s.Attribute("dataschema")
		return value, true
	case "datamediatype":
		value, _ = s.Attribute("datacontenttype")
		if mediaType, _, parameters := strings.Cut(value, ";"); parameters {
			value = strings.TrimSpace(mediaType)
		}
		return value, true
	case "datacontentencoding":
		return "", true
	default:
		return s.Attribute(name)
	}
}

// event returns the subject as the CloudEvents SDK has it.
func (s *subject) event() event.Event {
	if s.sdk == nil {
		context := &event.EventContextV1{Extensions: make(map[string]any)}
		for name, value := range s.Attributes.Attributes() {
			set(context, name, value)
		}
		s.sdk = &event.Event{Context: context}
	}
	return *s.sdk
}

func set(context *event.EventContextV1, name, value string) {
	switch name {
	case "specversion":
	case "type":
		context.Type = value
	case "id":
		context.ID = value
	case "subject":
		context.Subject = &value
	case "datacontenttype":
		context.DataContentType = &value
	case "source":
		if source := types.ParseURIRef(value); source != nil {
			context.Source = *source
		}
	case "dataschema":
		context.DataSchema = types.ParseURI(value)
	case "time":
		if at, err := time.Parse(time.RFC3339Nano, value); err == nil {
			context.Time = &types.Timestamp{Time: at}
		}
	default:
		context.Extensions[name] = value
	}
}
