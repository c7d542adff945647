/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	kjson "sigs.k8s.io/json"
)

// UnknownFields holds the fields of an object that its Go type doesn't have.
type UnknownFields map[string]runtime.RawExtension

// Names gives the unknown fields' names, sorted.
func (u UnknownFields) Names() []string {
	names := make([]string, 0, len(u))
	for name := range u {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// UnmarshalJSON decodes the specification and keeps what it doesn't know.
func (s *InferenceServiceSpec) UnmarshalJSON(data []byte) error {
	type known InferenceServiceSpec
	unknown, err := decodeKeepingUnknown(data, (*known)(s))
	s.Unknown = unknown
	return err
}

// UnmarshalJSON decodes the predictor and keeps what it doesn't know.
func (s *PredictorSpec) UnmarshalJSON(data []byte) error {
	type known PredictorSpec
	unknown, err := decodeKeepingUnknown(data, (*known)(s))
	s.Unknown = unknown
	return err
}

// UnmarshalJSON decodes the logger and keeps what it doesn't know.
func (s *LoggerSpec) UnmarshalJSON(data []byte) error {
	type known LoggerSpec
	unknown, err := decodeKeepingUnknown(data, (*known)(s))
	s.Unknown = unknown
	return err
}

// decodeKeepingUnknown decodes an object into a struct, with names that match
// to the letter as the API server has it, and returns the fields that the
// struct lacks.
func decodeKeepingUnknown(data []byte, into any) (UnknownFields, error) {
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, into); err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	for _, name := range fieldNames(reflect.TypeOf(into).Elem()) {
		delete(fields, name)
	}
	if len(fields) == 0 {
		return nil, nil
	}
	unknown := make(UnknownFields, len(fields))
	for name, value := range fields {
		unknown[name] = runtime.RawExtension{Raw: value}
	}
	return unknown, nil
}

// fieldNames gives the JSON names of a struct's fields, those of inlined
// structs too.
func fieldNames(structType reflect.Type) []string {
	var names []string
	for i := range structType.NumField() {
		field := structType.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case name == "" && field.Anonymous:
			names = append(names, fieldNames(field.Type)...)
		default:
			names = append(names, name)
		}
	}
	return names
}
