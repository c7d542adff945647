/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"errors"
	"slices"

	kjson "sigs.k8s.io/json"
)

// UnknownFields are the paths of the fields of an object that its Go type lacks,
// as in sink.ref.nmae. They are sorted.
type UnknownFields []string

// UnmarshalJSON decodes the specification and notes the fields that it lacks.
func (s *InferenceServiceSpec) UnmarshalJSON(data []byte) (err error) {
	type known InferenceServiceSpec
	s.Unknown, err = DecodeKeepingUnknown(data, (*known)(s))
	return err
}

// UnmarshalJSON decodes the predictor and notes the fields that it lacks.
func (s *PredictorSpec) UnmarshalJSON(data []byte) (err error) {
	type known PredictorSpec
	s.Unknown, err = DecodeKeepingUnknown(data, (*known)(s))
	return err
}

// UnmarshalJSON decodes the logger and notes the fields that it lacks.
func (s *LoggerSpec) UnmarshalJSON(data []byte) (err error) {
	type known LoggerSpec
	s.Unknown, err = DecodeKeepingUnknown(data, (*known)(s))
	return err
}

// DecodeKeepingUnknown decodes an object into a struct as the API server does:
// names match to the letter. It returns the fields that the struct lacks, at
// any depth, but none of a struct in it that has an UnmarshalJSON of its own.
func DecodeKeepingUnknown(data []byte, into any) (UnknownFields, error) {
	strict, err := kjson.UnmarshalStrict(data, into, kjson.DisallowUnknownFields)
	if err != nil {
		return nil, err
	}
	var unknown UnknownFields
	for _, violation := range strict {
		if field := kjson.FieldError(nil); errors.As(violation, &field) {
			unknown = append(unknown, field.FieldPath())
		}
	}
	slices.Sort(unknown)
	return unknown, nil
}
