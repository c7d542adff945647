/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package resources

import (
	"strconv"

	eventingduckv1 "knative.dev/eventing/pkg/apis/duck/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// addDelivery gives the sink's options of a delivery. What can't be read is
// left out, as validation refuses it: an agent that refuses its arguments
// takes its model down.
func addDelivery(option func(name, value string), delivery *eventingduckv1.DeliverySpec, deadLetterSink *Sink) {
	if delivery != nil {
		if delivery.Retry != nil {
			option("retry", strconv.Itoa(int(*delivery.Retry)))
		}
		if delivery.BackoffPolicy != nil {
			option("backoff-policy", string(*delivery.BackoffPolicy))
		}
		duration := func(name string, value *string) {
			if value == nil {
				return
			}
			if parsed, err := v1beta1.ParseDeliveryDuration(*value); err == nil {
				option(name, parsed.String())
			}
		}
		duration("backoff-delay", delivery.BackoffDelay)
		duration("timeout", delivery.Timeout)
		duration("retry-after-max", delivery.RetryAfterMax)
	}
	if deadLetterSink == nil {
		return
	}
	option("dead-letter", deadLetterSink.Address.URL.String())
	if deadLetterSink.Address.CACerts != nil {
		option("dead-letter.ca-certs", *deadLetterSink.Address.CACerts)
	}
	if deadLetterSink.Address.Audience != nil {
		option("dead-letter.token-file", deadLetterTokenDirectory+"/"+tokenFile)
	}
}
