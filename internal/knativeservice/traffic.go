/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"slices"

	"knative.dev/pkg/ptr"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// PreviousTag is the tag of the earlier Revision of a canary. KServe's is the
// same.
const PreviousTag = "prev"

// Rollout names the Revisions that had all of the traffic, the latest and the
// one before it. Either may be "".
type Rollout struct{ Latest, Previous string }

// Observe takes over what a Knative Service shows. A Revision that has all of
// the traffic as the latest one is rolled out. The status may be of an earlier
// specification, so both must say so.
func (r Rollout) Observe(live *servingv1.Service) Rollout {
	if live == nil {
		return r
	}
	if r.Latest == "" {
		// A status that got lost must not promote a canary.
		r.Latest = previousIn(live.Spec.Traffic)
	}
	if getsAll := func(target servingv1.TrafficTarget) bool {
		return target.LatestRevision != nil && *target.LatestRevision && target.Percent != nil && *target.Percent == 100
	}; slices.ContainsFunc(live.Spec.Traffic, getsAll) {
		if i := slices.IndexFunc(live.Status.Traffic, getsAll); i >= 0 && live.Status.Traffic[i].RevisionName != r.Latest {
			return Rollout{Latest: live.Status.Traffic[i].RevisionName, Previous: r.Latest}
		}
	}
	return r
}

// Split divides the traffic between the latest Revision and the one that was
// rolled out before it. Of a latest Revision that is itself rolled out, it takes
// the rest back: the one before it is rolled out then. NewTemplate says that a
// new Revision is about to be the latest one.
func (r Rollout) Split(percent *int64, live *servingv1.Service, newTemplate bool) (Rollout, []servingv1.TrafficTarget) {
	if percent == nil || *percent >= 100 {
		return r, allToLatest()
	}
	if !newTemplate && showsItsRevision(live) && live.Status.LatestCreatedRevisionName == r.Latest {
		if r.Previous == "" {
			return r, allToLatest()
		}
		r.Latest = r.Previous
	}
	if r.Latest == "" {
		return r, allToLatest()
	}
	return r, []servingv1.TrafficTarget{
		{LatestRevision: ptr.Bool(true), Percent: ptr.Int64(*percent)},
		{RevisionName: r.Latest, LatestRevision: ptr.Bool(false), Percent: ptr.Int64(100 - *percent), Tag: PreviousTag},
	}
}

func allToLatest() []servingv1.TrafficTarget {
	return []servingv1.TrafficTarget{{LatestRevision: ptr.Bool(true), Percent: ptr.Int64(100)}}
}

// showsItsRevision reports whether the status of a Knative Service names the
// Revision of its present template. Serving observes the generation of the
// Service before that of its Configuration.
func showsItsRevision(live *servingv1.Service) bool {
	if live == nil || live.Generation != live.Status.ObservedGeneration {
		return false
	}
	configuration := live.Status.GetCondition(servingv1.ServiceConditionConfigurationsReady)
	return configuration == nil || !configuration.IsUnknown() || configuration.Reason != configurationOutOfDate
}

// configurationOutOfDate is the reason that Serving gives as long as a
// Configuration has not observed its latest generation.
const configurationOutOfDate = "OutOfDate"

// previousIn returns the name of the Revision with the tag prev, or "".
func previousIn(traffic []servingv1.TrafficTarget) string {
	if i := slices.IndexFunc(traffic, func(target servingv1.TrafficTarget) bool { return target.Tag == PreviousTag }); i >= 0 {
		return traffic[i].RevisionName
	}
	return ""
}
