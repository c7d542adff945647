/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// whatIsSet returns a value as maps, lists and scalars by the JSON names of its
// fields, without the fields that have their zero value. Go's JSON writes some
// of those, by tags that a dependency may change, and it writes the fields that
// a dependency adds. A pointer to a zero value is set: 0 replicas are not none.
func whatIsSet(value any) any { return setIn(reflect.ValueOf(value)) }

func setIn(value reflect.Value) any {
	if form, has := ownForm(value); has {
		return form
	}
	switch value.Kind() {
	case reflect.Pointer, reflect.Interface:
		if value.IsNil() {
			return nil
		}
		return setIn(value.Elem())
	case reflect.Struct:
		object := make(map[string]any)
		addFields(object, value)
		return object
	case reflect.Map:
		object := make(map[string]any, value.Len())
		for entries := value.MapRange(); entries.Next(); {
			object[fmt.Sprint(entries.Key().Interface())] = setIn(entries.Value())
		}
		return object
	case reflect.Slice, reflect.Array:
		list := make([]any, 0, value.Len())
		for i := range value.Len() {
			list = append(list, setIn(value.Index(i)))
		}
		return list
	default:
		return value.Interface()
	}
}

func addFields(object map[string]any, value reflect.Value) {
	for i := range value.NumField() {
		field, content := value.Type().Field(i), value.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case !field.IsExported(), name == "-", isUnset(content):
		case name == "" && field.Anonymous && content.Kind() == reflect.Struct:
			addFields(object, content)
		case name == "":
			object[field.Name] = setIn(content)
		default:
			object[name] = setIn(content)
		}
	}
}

func isUnset(value reflect.Value) bool {
	switch value.Kind() {
	case reflect.Map, reflect.Slice:
		return value.Len() == 0
	default:
		return value.IsZero()
	}
}

// ownForm returns the JSON of a value that writes its own, as a quantity does. An
// URL of Knative's may have none that is valid.
func ownForm(value reflect.Value) (form any, has bool) {
	marshaler, has := value.Interface().(json.Marshaler)
	if !has || value.Kind() == reflect.Pointer {
		return nil, false
	}
	data, err := marshaler.MarshalJSON()
	if err != nil || !json.Valid(data) {
		return nil, false
	}
	return json.RawMessage(data), true
}
