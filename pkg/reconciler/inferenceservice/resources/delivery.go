/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package resources

import (
	"strconv"
	"time"

	eventingduckv1 "knative.dev/eventing/pkg/apis/duck/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// addDelivery gives the sink's options of a delivery. What validation refuses
// is left out, should an object have it all the same: an agent that refuses its
// arguments takes its model down.
func addDelivery(option func(name, value string), delivery *eventingduckv1.DeliverySpec, deadLetterSink *Sink) {
	if delivery != nil {
		if delivery.Retry != nil && *delivery.Retry >= 0 && *delivery.Retry <= v1beta1.MaxRetry {
			option("retry", strconv.Itoa(int(*delivery.Retry)))
		}
		if policy := delivery.BackoffPolicy; policy != nil &&
			(*policy == eventingduckv1.BackoffPolicyLinear || *policy == eventingduckv1.BackoffPolicyExponential) {
			option("backoff-policy", string(*policy))
		}
		duration := func(name string, value *string, least time.Duration) {
			if value == nil {
				return
			}
			if parsed, err := v1beta1.ParseDeliveryDuration(*value); err == nil && parsed >= least {
				option(name, parsed.String())
			}
		}
		duration("backoff-delay", delivery.BackoffDelay, 0)
		duration("timeout", delivery.Timeout, v1beta1.MinDeliveryTimeout)
		duration("retry-after-max", delivery.RetryAfterMax, 0)
	}
	if deadLetterSink == nil {
		return
	}
	option("dead-letter", deadLetterSink.Address.URL.String())
	option("dead-letter.ca-certs-dir", deadLetterTrustDirectory)
	if deadLetterSink.Address.Audience != nil {
		option("dead-letter.token-file", deadLetterTokenDirectory+"/"+tokenFile)
	}
}
