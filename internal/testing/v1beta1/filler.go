/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"k8s.io/apimachinery/pkg/runtime/serializer"
	eventingv1 "knative.dev/eventing/pkg/apis/eventing/v1"
	"sigs.k8s.io/randfill"
)

// FillFilters fills filters with one level of nested ones. A filler of its own
// would nest them without end, because their type contains itself.
func FillFilters(serializer.CodecFactory) []any {
	leaf := func(c randfill.Continue) (filter eventingv1.SubscriptionsAPIFilter) {
		c.Fill(&filter.Exact)
		c.Fill(&filter.Prefix)
		c.Fill(&filter.Suffix)
		c.Fill(&filter.CESQL)
		return filter
	}
	return []any{func(filter *eventingv1.SubscriptionsAPIFilter, c randfill.Continue) {
		*filter = leaf(c)
		filter.All = []eventingv1.SubscriptionsAPIFilter{leaf(c)}
		filter.Any = []eventingv1.SubscriptionsAPIFilter{leaf(c), leaf(c)}
		nested := leaf(c)
		filter.Not = &nested
	}}
}
