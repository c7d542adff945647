/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	kjson "sigs.k8s.io/json"
)

// UnknownFields holds the fields of an object that its Go type doesn't have,
// each by its path from there, as in sink.ref.nmae.
type UnknownFields map[string]runtime.RawExtension

// Names gives the unknown fields' paths, sorted.
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

// UnmarshalJSON decodes the logger and keeps what it doesn't know, at any
// depth: of what it holds nothing has a validation of its own that would.
func (s *LoggerSpec) UnmarshalJSON(data []byte) error {
	type known LoggerSpec
	unknown, err := DecodeKeepingUnknown(data, (*known)(s))
	s.Unknown = unknown
	return err
}

// DecodeKeepingUnknown decodes an object into a struct, with names that match
// to the letter, and returns the fields that the struct lacks, at any depth. Of
// a struct in it with its own UnmarshalJSON it returns none.
func DecodeKeepingUnknown(data []byte, into any) (UnknownFields, error) {
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, into); err != nil {
		return nil, err
	}
	unknown := make(UnknownFields)
	if err := addUnknown(unknown, "", data, reflect.TypeOf(into).Elem()); err != nil {
		return nil, err
	}
	if len(unknown) == 0 {
		return nil, nil
	}
	return unknown, nil
}

// addUnknown collects the fields that a struct lacks from an object and all
// that is in it.
func addUnknown(unknown UnknownFields, path string, data []byte, structType reflect.Type) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	for name, value := range fields {
		fieldType, found := fieldNamed(structType, name)
		if !found {
			unknown[path+name] = runtime.RawExtension{Raw: value}
			continue
		}
		inner, isList := structIn(fieldType)
		values := []json.RawMessage{value}
		switch {
		case inner == nil:
			continue
		case isList:
			if err := json.Unmarshal(value, &values); err != nil {
				return err
			}
		}
		for i, value := range values {
			place := path + name
			if isList {
				place += fmt.Sprintf("[%d]", i)
			}
			if err := addUnknown(unknown, place+".", value, inner); err != nil {
				return err
			}
		}
	}
	return nil
}

// structIn gives the struct that a field is made of, or of which it is a list,
// and nil where it has no fields or reads its JSON itself.
func structIn(fieldType reflect.Type) (inner reflect.Type, isList bool) {
	inner = fieldType
	for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
		isList = isList || inner.Kind() == reflect.Slice
		inner = inner.Elem()
	}
	if inner.Kind() != reflect.Struct || reflect.PointerTo(inner).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return nil, false
	}
	return inner, isList
}

// fieldNamed gives the type of the field with a JSON name.
func fieldNamed(structType reflect.Type, name string) (reflect.Type, bool) {
	for i := range structType.NumField() {
		field := structType.Field(i)
		switch tag, _, _ := strings.Cut(field.Tag.Get("json"), ","); {
		case tag == "" && field.Anonymous:
			if found, isThere := fieldNamed(field.Type, name); isThere {
				return found, true
			}
		case tag == name && tag != "-":
			return field.Type, true
		}
	}
	return nil, false
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
