/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package binding

import (
	"encoding/json"
	"fmt"

	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings"
)

// Record says where the agent in a template comes from, and how to remove it. It
// is an annotation of the template.
type Record struct {
	// Binding is the name of the LoggerBinding.
	Binding string `json:"binding"`
	// LoggerHash is the LoggerHash of the binding and the Knative Service when the
	// agent was added.
	LoggerHash string `json:"loggerHash"`
	// AgentHash is a hash of the agent's container. It tells an edit of the
	// container from an agent that was made anew.
	AgentHash string `json:"agentHash"`
	// Applied is what the template has from the platform.
	Applied knativeservice.Applied `json:"applied"`
	// Original is what the agent changed of the template.
	Original knativeservice.Original `json:"original"`
}

// RecordOf returns the record of a template, or nil if the template has no agent of
// a LoggerBinding.
func RecordOf(template *servingv1.RevisionTemplateSpec) *Record {
	if agentOf(template) == nil {
		return nil
	}
	return readRecord(template)
}

// readRecord returns the record of a template, or nil if it has none that can be
// read. A template whose containers somebody replaced where admission isn't called
// has one without the agent.
func readRecord(template *servingv1.RevisionTemplateSpec) *Record {
	text, found := template.Annotations[bindings.BoundAnnotationKey]
	if !found {
		return nil
	}
	record := new(Record)
	if err := json.Unmarshal([]byte(text), record); err != nil || record.Binding == "" {
		return nil
	}
	return record
}

// write sets the annotation of a template.
func (r *Record) write(template *servingv1.RevisionTemplateSpec) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write the record of the agent: %w", err)
	}
	if template.Annotations == nil {
		template.Annotations = make(map[string]string, 1)
	}
	template.Annotations[bindings.BoundAnnotationKey] = string(text)
	return nil
}

// Without returns a copy of a template without the agent of a LoggerBinding, as
// its owner wrote it. What the owner has written since the agent was added stays.
func Without(template *servingv1.RevisionTemplateSpec) *servingv1.RevisionTemplateSpec {
	return without(template, readRecord(template))
}

func without(template *servingv1.RevisionTemplateSpec, record *Record) *servingv1.RevisionTemplateSpec {
	base := template.DeepCopy()
	delete(base.Annotations, bindings.BoundAnnotationKey)
	if len(base.Annotations) == 0 {
		base.Annotations = nil
	}
	if record != nil {
		record.Original.Restore(&base.Spec.PodSpec)
	}
	return base
}
