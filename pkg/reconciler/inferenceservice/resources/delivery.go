/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package resources

import (
	"fmt"
	"strconv"
	"time"

	eventingduckv1 "knative.dev/eventing/pkg/apis/duck/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// addDelivery gives the sink's options of a delivery. What validation refuses
// is left out, should an object have it all the same: an agent that refuses its
// arguments takes its model down.
func addDelivery(option func(name, value string), ignore func(field string, why error), delivery *eventingduckv1.DeliverySpec, deadLetterSink *Sink) {
	if delivery != nil {
		if retry := delivery.Retry; retry != nil {
			if *retry < 0 || *retry > v1beta1.MaxRetry {
				ignore("delivery.retry", fmt.Errorf("it is %d: write from 0 to %d", *retry, v1beta1.MaxRetry))
			} else {
				option("retry", strconv.Itoa(int(*retry)))
			}
		}
		if policy := delivery.BackoffPolicy; policy != nil {
			if *policy != eventingduckv1.BackoffPolicyLinear && *policy != eventingduckv1.BackoffPolicyExponential {
				ignore("delivery.backoffPolicy", fmt.Errorf("%q is not supported: write linear or exponential", *policy))
			} else {
				option("backoff-policy", string(*policy))
			}
		}
		duration := func(name, field string, value *string, least time.Duration) {
			if value == nil {
				return
			}
			switch parsed, err := v1beta1.ParseDeliveryDuration(*value); {
			case err != nil:
				ignore("delivery."+field, fmt.Errorf("%w: write for example PT0.5S, PT30S or PT2M", err))
			case parsed < least:
				ignore("delivery."+field, fmt.Errorf("it is %s: write at least %s", parsed, least))
			default:
				option(name, parsed.String())
			}
		}
		duration("backoff-delay", "backoffDelay", delivery.BackoffDelay, 0)
		duration("timeout", "timeout", delivery.Timeout, v1beta1.MinDeliveryTimeout)
		duration("retry-after-max", "retryAfterMax", delivery.RetryAfterMax, 0)
	}
	if deadLetterSink == nil {
		return
	}
	if url := deadLetterSink.Address.URL; url != nil {
		option("dead-letter", url.String())
	}
	addSinkFiles(func(name, value string) { option("dead-letter."+name, value) }, deadLetterSink,
		deadLetterTrustDirectory, trustDirectory+"/"+deadLetterAddressFile, deadLetterTokenDirectory)
}
