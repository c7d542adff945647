/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/rickb777/date/period"
	eventingduckv1 "knative.dev/eventing/pkg/apis/duck/v1"
	"knative.dev/pkg/apis"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

const (
	// MaxDeliveryTime is how long after it was observed an event is given up:
	// no wait of a delivery may be longer, nor all of them together.
	MaxDeliveryTime = agentconfig.EventDeadline
	// MaxRetry bounds the number of retries.
	MaxRetry = agentconfig.MaxRetries
	// MinDeliveryTimeout is the shortest that can be written.
	MinDeliveryTimeout = 100 * time.Millisecond
)

var moreThanTenths = regexp.MustCompile(`[.,][0-9]{2}`)

// ParseDeliveryDuration reads a duration of a DeliverySpec, which is one of
// ISO 8601 in weeks, days, hours, minutes and seconds.
func ParseDeliveryDuration(text string) (time.Duration, error) {
	if moreThanTenths.MatchString(text) {
		return 0, errors.New("it has more than the one decimal that Knative reads")
	}
	if text == "+" || text == "-" {
		// The parser panics.
		return 0, errors.New("it is not an ISO 8601 duration")
	}
	parsed, err := period.Parse(text)
	if err != nil {
		return 0, errors.New("it is not an ISO 8601 duration")
	}
	duration, precise := parsed.Duration()
	if !precise {
		return 0, errors.New("a month or a year has no fixed length")
	}
	if duration < 0 {
		return 0, errors.New("it is negative")
	}
	return duration, nil
}

// validateDelivery, of the logger at a path, is stricter than DeliverySpec's own Validate, for what the
// agent can't hold isn't accepted, and asks for no feature flag of Eventing's.
func validateDelivery(ctx context.Context, path string, delivery *eventingduckv1.DeliverySpec) (errs *apis.FieldError) {
	if delivery == nil {
		return nil
	}
	if delivery.DeadLetterSink != nil {
		errs = errs.Also(validateDestination(ctx, delivery.DeadLetterSink).ViaField("deadLetterSink"))
	}
	if delivery.Retry != nil && (*delivery.Retry < 0 || *delivery.Retry > MaxRetry) {
		errs = errs.Also(apis.ErrOutOfBoundsValue(*delivery.Retry, 0, MaxRetry, "retry"))
	}
	if policy := delivery.BackoffPolicy; policy != nil {
		errs = errs.Also(validateOneOf(*policy, "backoffPolicy", eventingduckv1.BackoffPolicyLinear, eventingduckv1.BackoffPolicyExponential))
	}
	for _, field := range []struct {
		name        string
		value       *string
		least, most time.Duration
	}{
		{"backoffDelay", delivery.BackoffDelay, 0, MaxDeliveryTime},
		{"timeout", delivery.Timeout, MinDeliveryTimeout, MaxDeliveryTime},
		{"retryAfterMax", delivery.RetryAfterMax, 0, MaxDeliveryTime},
	} {
		if field.value == nil {
			continue
		}
		duration, err := ParseDeliveryDuration(*field.value)
		switch {
		case err != nil:
			errs = errs.Also(apis.ErrInvalidValue(*field.value, field.name, fmt.Sprintf("%v: write for example PT0.5S, PT30S or PT2M", err)))
		case duration < field.least, duration > field.most:
			errs = errs.Also(apis.ErrInvalidValue(*field.value, field.name, fmt.Sprintf("it is %s: write one from %s to %s", duration, isoSeconds(field.least), isoSeconds(field.most))))
		}
	}
	if delivery.Format != nil {
		errs = errs.Also(&apis.FieldError{
			Message: "not supported",
			Paths:   []string{"format"},
			Details: fmt.Sprintf("remove it: %s.contentMode selects the encoding", path),
		})
	}
	if errs == nil {
		errs = validateSchedule(delivery)
	}
	return errs
}

// validateSchedule refuses retries that would come too late to be made.
func validateSchedule(delivery *eventingduckv1.DeliverySpec) *apis.FieldError {
	if delivery.Retry == nil {
		return nil
	}
	schedule := agentconfig.Schedule{Retries: new(int(*delivery.Retry))}
	if delivery.BackoffDelay != nil {
		// It was read just before.
		delay, _ := ParseDeliveryDuration(*delivery.BackoffDelay)
		schedule.Delay = &delay
	}
	if delivery.BackoffPolicy != nil {
		schedule.Policy = agentconfig.BackoffPolicy(*delivery.BackoffPolicy)
	}
	total := time.Duration(0)
	for retry := 1; !schedule.Exhausted(retry); retry++ {
		if total += schedule.Wait(retry); total > MaxDeliveryTime {
			return &apis.FieldError{
				Message: fmt.Sprintf("retry %d would come more than %s after the first attempt, when the event has expired", retry, MaxDeliveryTime),
				Paths:   []string{"retry", "backoffDelay"},
				Details: fmt.Sprintf("write a retry of at most %d, or a shorter backoffDelay", retry-1),
			}
		}
	}
	return nil
}

// isoSeconds writes a duration as a user would.
func isoSeconds(duration time.Duration) string {
	return fmt.Sprintf("PT%gS", duration.Seconds())
}
