/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/equality"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// canary is an InferenceService on a Knative Serving that makes Revisions and
// splits traffic.
type canary struct {
	*inputs
	t *testing.T
	// created and ready are the numbers of the latest Revisions.
	created, ready int
}

func newCanary(t *testing.T, options ...Option) *canary {
	c := &canary{inputs: newInputs(t, options...), t: t}
	c.settle(true)
	return c
}

// settle plans and applies until nothing is to be written. Works says whether a
// Revision that is made now becomes ready.
func (c *canary) settle(works bool) {
	c.t.Helper()
	for range 10 {
		changes := Plan(c.is, c.live, c.platform)
		for _, change := range changes.ConfigMaps {
			c.store(c.t, change)
		}
		written := changes.Components[0].Service != nil
		if written {
			generation := int64(1)
			isNew := c.predictor().Service == nil
			if !isNew {
				generation = c.predictor().Service.Generation + 1
				isNew = !equality.Semantic.DeepEqual(c.predictor().Service.Spec.Template, changes.Components[0].Service.Spec.Template)
			}
			c.predictor().Service = changes.Components[0].Service
			c.predictor().Service.Generation = generation
			if isNew {
				c.created++
				if works {
					c.ready = c.created
				}
			}
		}
		c.is.Status = changes.Status()
		c.is.Status.PropagateService(v1beta1.PredictorComponent, c.predictor().Service)
		if written {
			// Serving has not yet seen the change.
			if again := Plan(c.is, c.live, c.platform); again.Components[0].Service != nil {
				c.t.Fatalf("a Knative Service whose status is behind is written again, with the traffic %v", again.Components[0].Service.Spec.Traffic)
			}
		}
		c.serve()
		c.is.Status.PropagateService(v1beta1.PredictorComponent, c.predictor().Service)
		if next := Plan(c.is, c.live, c.platform); next.Components[0].Service == nil && equality.Semantic.DeepEqual(next.Status().Components, c.is.Status.Components) {
			return
		}
	}
	c.t.Fatal("still changing after ten plans")
}

func revision(number int) string { return fmt.Sprintf("r%d", number) }

// serve has Serving report what it was told.
func (c *canary) serve() {
	status := &c.predictor().Service.Status
	status.ObservedGeneration = c.predictor().Service.Generation
	status.LatestCreatedRevisionName, status.LatestReadyRevisionName = revision(c.created), ""
	if c.ready > 0 {
		status.LatestReadyRevisionName = revision(c.ready)
	}
	works := isTrue
	if c.created != c.ready {
		works = isFalse
	}
	status.Conditions = duckv1.Conditions{{Type: servingv1.ServiceConditionConfigurationsReady, Status: works}, {Type: apis.ConditionReady, Status: works}}
	status.Traffic = nil
	for _, target := range c.predictor().Service.Spec.Traffic {
		if target.RevisionName == "" {
			target.RevisionName = status.LatestReadyRevisionName
		}
		status.Traffic = append(status.Traffic, target)
	}
}

// trafficOf writes a split as text.
func trafficOf(traffic []v1beta1.TrafficTarget) string {
	var text []string
	for _, target := range traffic {
		name := target.RevisionName
		if target.Tag != "" {
			name = target.Tag + "=" + name
		}
		text = append(text, fmt.Sprintf("%d%% %s", target.Percent, name))
	}
	return strings.Join(text, ", ")
}

func TestCanary(t *testing.T) {
	percent := func(value int64) Option {
		return WithPredictor(func(p *v1beta1.PredictorSpec) { p.CanaryTrafficPercent = &value })
	}
	promoted := WithPredictor(func(p *v1beta1.PredictorSpec) { p.CanaryTrafficPercent = nil })
	version := func(n int) Option { return WithImage(fmt.Sprintf("model:v%d", n)) }
	type step struct {
		what    string
		options []Option
		fails   bool
		// want is the traffic that Serving reports then.
		want string
	}
	const all = "100% "
	for name, steps := range map[string][]step{
		"the first Revision gets everything": {
			{"a canary without an earlier Revision", []Option{percent(10)}, false, all + "r1"},
			{"the next Revision", []Option{version(2)}, false, "10% r2, 90% prev=r1"},
		},
		"a canary is promoted": {
			{"a canary", []Option{version(2), percent(10)}, false, "10% r2, 90% prev=r1"},
			{"more traffic", []Option{percent(60)}, false, "60% r2, 40% prev=r1"},
			{"without the field", []Option{promoted}, false, all + "r2"},
			{"the next canary", []Option{version(3), percent(5)}, false, "5% r3, 95% prev=r2"},
			{"with all of the traffic", []Option{percent(100)}, false, all + "r3"},
			{"the canary after that", []Option{version(4), percent(1)}, false, "1% r4, 99% prev=r3"},
		},
		"a canary is rolled back": {
			{"a canary", []Option{version(2), percent(10)}, false, "10% r2, 90% prev=r1"},
			{"back", []Option{percent(0)}, false, "0% r2, 100% prev=r1"},
			{"a corrected one", []Option{version(3), percent(10)}, false, "10% r3, 90% prev=r1"},
			{"promoted", []Option{promoted}, false, all + "r3"},
		},
		"a promoted Revision is rolled back": {
			{"an update", []Option{version(2)}, false, all + "r2"},
			{"back", []Option{percent(0)}, false, "0% r2, 100% prev=r1"},
			{"half back", []Option{percent(50)}, false, "50% r2, 50% prev=r1"},
			{"a corrected one", []Option{version(3), percent(10)}, false, "10% r3, 90% prev=r1"},
			{"promoted", []Option{promoted}, false, all + "r3"},
			{"back again", []Option{percent(0)}, false, "0% r3, 100% prev=r1"},
		},
		"a canary that fails gets nothing": {
			{"a canary", []Option{version(2), percent(10)}, true, "10% r1, 90% prev=r1"},
			{"a corrected one", []Option{version(3)}, false, "10% r3, 90% prev=r1"},
		},
		"a second canary replaces the first": {
			{"a canary", []Option{version(2), percent(10)}, false, "10% r2, 90% prev=r1"},
			{"another", []Option{version(3)}, false, "10% r3, 90% prev=r1"},
		},
		"an update without a canary": {
			{"an update", []Option{version(2)}, false, all + "r2"},
			{"one that fails", []Option{version(3)}, true, all + "r2"},
			{"a corrected canary", []Option{version(4), percent(20)}, false, "20% r4, 80% prev=r2"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCanary(t)
			for _, step := range steps {
				image, revisions := c.is.Spec.Predictor.Containers[0].Image, c.created
				c.owner(t, step.options...)
				c.settle(!step.fails)
				if got := trafficOf(c.is.Status.Components[v1beta1.PredictorComponent].Traffic); got != step.want {
					t.Fatalf("%s: the traffic is %s, want %s", step.what, got, step.want)
				}
				if c.is.Spec.Predictor.Containers[0].Image != image {
					revisions++
				}
				if c.created != revisions {
					t.Errorf("%s: there are %d Revisions, want %d", step.what, c.created, revisions)
				}
			}
		})
	}
}

// Another agent waits for the owner's next Revision, and a canary is none.
func TestACanaryKeepsTheTemplate(t *testing.T) {
	c := newCanary(t)
	c.owner(t, WithImage("model:v2"))
	c.settle(true)
	template := c.predictor().Service.Spec.Template.DeepCopy()
	c.platform.Agent.Image = "agent:v2"
	var none int64
	c.owner(t, WithPredictor(func(p *v1beta1.PredictorSpec) { p.CanaryTrafficPercent = &none }))
	c.settle(true)
	if !equality.Semantic.DeepEqual(template, &c.predictor().Service.Spec.Template) {
		t.Error("the template changed")
	}
}

// A backup brings an object back without its status.
func TestACanaryWithoutAStatusIsNotPromoted(t *testing.T) {
	c := newCanary(t)
	ten := int64(10)
	c.owner(t, WithImage("model:v2"), WithPredictor(func(p *v1beta1.PredictorSpec) { p.CanaryTrafficPercent = &ten }))
	c.settle(true)
	c.is.Status = v1beta1.InferenceServiceStatus{}
	c.settle(true)
	if got, want := trafficOf(c.is.Status.Components[v1beta1.PredictorComponent].Traffic), "10% r2, 90% prev=r1"; got != want {
		t.Errorf("the traffic is %s, want %s", got, want)
	}
}

// Pods of the earlier Revision of a canary go on sending to their sink.
func TestTheEarlierRevisionOfACanaryKeepsItsSink(t *testing.T) {
	c := newCanary(t)
	ten := int64(10)
	c.owner(t, WithLogger(WithBroker("other")), WithPredictor(func(p *v1beta1.PredictorSpec) { p.CanaryTrafficPercent = &ten }))
	before := c.predictor().Trust.DeepCopy()
	c.sinkAt("other")
	c.settle(true)
	for key := range before.Data {
		if _, found := c.predictor().Trust.Data[key]; !found {
			t.Errorf("the key %s is gone", key)
		}
	}
}
