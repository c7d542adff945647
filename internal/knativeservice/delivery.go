/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"fmt"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// addDelivery adds the settings of a sink's delivery.
func (d *agentDraft) addDelivery(sink v1beta1.EffectiveSink) {
	delivery := sink.Delivery
	if delivery == nil {
		return
	}
	if retry := delivery.Retry; retry != nil {
		d.addOfSink(sink, "delivery.retry", func(s *agentconfig.Sink) error { s.Schedule.Retries = new(int(*retry)); return nil })
	}
	if policy := delivery.BackoffPolicy; policy != nil {
		d.addOfSink(sink, "delivery.backoffPolicy", func(s *agentconfig.Sink) error {
			s.Schedule.Policy = agentconfig.BackoffPolicy(*policy)
			return nil
		})
	}
	duration := func(field string, value *string, least time.Duration, set func(*agentconfig.Sink, time.Duration)) {
		if value == nil {
			return
		}
		d.addOfSink(sink, "delivery."+field, func(s *agentconfig.Sink) error {
			parsed, err := v1beta1.ParseDeliveryDuration(*value)
			switch {
			case err != nil:
				return fmt.Errorf("%w: write for example PT0.5S, PT30S or PT2M", err)
			case parsed < least:
				return fmt.Errorf("it is %s: write at least %s", parsed, least)
			}
			set(s, parsed)
			return nil
		})
	}
	duration("backoffDelay", delivery.BackoffDelay, 0, func(s *agentconfig.Sink, v time.Duration) { s.Schedule.Delay = &v })
	duration("timeout", delivery.Timeout, v1beta1.MinDeliveryTimeout, func(s *agentconfig.Sink, v time.Duration) { s.Timeout = v })
	duration("retryAfterMax", delivery.RetryAfterMax, 0, func(s *agentconfig.Sink, v time.Duration) { s.RetryAfterMax = &v })
}

// addDeadLetterSink adds the settings of a sink's dead letter sink.
func (d *agentDraft) addDeadLetterSink(sink templateSink) {
	letters := sink.pair.DeadLetterSink
	if letters == nil {
		return
	}
	const field = "delivery.deadLetterSink"
	if url := letters.Address.URL; url != nil {
		d.addOfSink(sink.EffectiveSink, field, func(s *agentconfig.Sink) error {
			s.DeadLetter = &agentconfig.Sink{URL: url.URL()}
			return nil
		})
	}
	d.addOfSink(sink.EffectiveSink, field, func(s *agentconfig.Sink) error {
		if s.DeadLetter == nil && letters.Key != "" {
			s.DeadLetter = &agentconfig.Sink{}
		}
		if s.DeadLetter != nil {
			setFiles(s.DeadLetter, letters, placeOfDeadLetterSink(sink.Name))
		}
		return nil
	})
}
