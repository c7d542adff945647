/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package binding

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/bindings"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
)

// bound is a Knative Service before and after admission added an agent.
type bound struct {
	generator
	platform, later Platform
	binding         *v1alpha1.LoggerBinding
	// manifest is the Knative Service as its owner wrote it, bare with Serving's
	// defaults, and stored with the agent.
	manifest, bare, stored *servingv1.Service
}

func (b bound) bindings() []*v1alpha1.LoggerBinding { return []*v1alpha1.LoggerBinding{b.binding} }

// forEachTemplate runs a check on generated templates that can have the agent.
func forEachTemplate(t *testing.T, check func(*testing.T, bound)) {
	t.Helper()
	const templates = 600
	count := 0
	for seed := range uint64(templates) {
		g := newGenerator(seed)
		features := g.features()
		b := bound{
			generator: g,
			platform:  platformWith(t, "agent:v1", features), later: platformWith(t, "agent:v2", features),
			binding: g.binding(), manifest: g.service(),
		}
		b.bare = defaulted(b.manifest.DeepCopy(), b.platform)
		injection, obstacle := With(b.bare, b.binding, b.platform)
		if obstacle != nil {
			continue
		}
		count++
		b.stored = withTemplate(b.bare, injection.Template)
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { check(t, b) })
		if t.Failed() {
			return
		}
	}
	if count < templates/4 {
		t.Errorf("only %d of %d templates can have the agent: the generator tests too little", count, templates)
	}
}

func same(t *testing.T, what string, want, got *servingv1.RevisionTemplateSpec) {
	t.Helper()
	if diff := cmp.Diff(written(t, want), written(t, got)); diff != "" {
		t.Errorf("%s (-want, +got): %s", what, diff)
	}
}

func TestToRemoveTheAgentRestoresTheTemplate(t *testing.T) {
	forEachTemplate(t, func(t *testing.T, b bound) {
		same(t, "without the agent", &b.bare.Spec.Template, Without(&b.stored.Spec.Template))
		again, obstacle := With(b.stored, b.binding, b.platform)
		if obstacle != nil {
			t.Fatal(obstacle)
		}
		same(t, "with the agent again", &b.stored.Spec.Template, again.Template)
		defaulted := b.stored.Spec.Template.DeepCopy()
		defaulted.SetDefaults(servingContext(b.stored, b.platform))
		same(t, "with Serving's defaults", &b.stored.Spec.Template, defaulted)
	})
}

func TestATemplateThatItsOwnerLeavesKeepsItsAgent(t *testing.T) {
	forEachTemplate(t, func(t *testing.T, b bound) {
		newer := b.binding.DeepCopy()
		newer.Spec.Logger.MaxPayloadBytes = new(int64(1000))
		for what, updated := range map[string]*servingv1.Service{
			"as it is stored":            b.stored,
			"with Serving's defaults":    b.bare,
			"as its owner wrote it":      b.manifest,
			"applied by kubectl":         applied(b.stored, b.bare),
			"without the annotation":     withoutAnnotation(b.stored, bindings.BoundAnnotationKey),
			"by an administrator's edit": relabelled(b.stored),
		} {
			for which, bindings := range map[string][]*v1alpha1.LoggerBinding{
				"the same binding": b.bindings(), "a changed binding": {newer}, "no binding": nil,
			} {
				got := Admit(b.stored, updated, bindings, b.later)
				same(t, what+", "+which, &b.stored.Spec.Template, got)
			}
		}
	})
}

func TestATemplateThatItsOwnerLeavesGetsNoAgent(t *testing.T) {
	forEachTemplate(t, func(t *testing.T, b bound) {
		same(t, "the same", &b.bare.Spec.Template, Admit(b.bare, b.bare, b.bindings(), b.platform))
		same(t, "with somebody's agent", &b.bare.Spec.Template, Admit(b.bare, b.stored, b.bindings(), b.platform))
	})
}

// edits are changes that an owner makes to a template, with or without the agent.
var edits = map[string]func(*servingv1.RevisionTemplateSpec){
	"a new image": func(t *servingv1.RevisionTemplateSpec) { model(t).Image = "registry.example/model:v2" },
	"a variable": func(t *servingv1.RevisionTemplateSpec) {
		model(t).Env = append(model(t).Env, corev1.EnvVar{Name: "NEW", Value: "1"})
	},
	"an annotation": func(t *servingv1.RevisionTemplateSpec) {
		annotations := map[string]string{"autoscaling.knative.dev/max-scale": "3"}
		for key, value := range t.Annotations {
			annotations[key] = value
		}
		t.Annotations = annotations
	},
	"a timeout": func(t *servingv1.RevisionTemplateSpec) { t.Spec.TimeoutSeconds = new(int64(33)) },
	"a volume": func(t *servingv1.RevisionTemplateSpec) {
		t.Spec.Volumes = append([]corev1.Volume{{Name: "new", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}, t.Spec.Volumes...)
		model(t).VolumeMounts = append(model(t).VolumeMounts, corev1.VolumeMount{Name: "new", MountPath: "/new"})
	},
	"another name of the Revision": func(t *servingv1.RevisionTemplateSpec) { t.Name = "iris-v2" },
}

// model returns the container that serves the model: all other generated ones have
// a name.
func model(template *servingv1.RevisionTemplateSpec) *corev1.Container {
	if record := RecordOf(template); record != nil {
		for i := range template.Spec.Containers {
			if template.Spec.Containers[i].Name == record.Original.Model {
				return &template.Spec.Containers[i]
			}
		}
	}
	for i := range template.Spec.Containers {
		if len(template.Spec.Containers[i].Ports) > 0 {
			return &template.Spec.Containers[i]
		}
	}
	return &template.Spec.Containers[0]
}

func TestAChangeOfTheOwnerMakesTheAgentAnew(t *testing.T) {
	forEachTemplate(t, func(t *testing.T, b bound) {
		for _, what := range []string{one(b.generator, slices.Sorted(maps.Keys(edits))...)} {
			edit := edits[what]
			bare, stored := b.bare.DeepCopy(), b.stored.DeepCopy()
			edit(&bare.Spec.Template)
			edit(&stored.Spec.Template)
			if bare.Spec.Template.Name != "" && bare.Spec.Template.Name == b.bare.Spec.Template.Name {
				// Serving refuses it.
				continue
			}
			want, obstacle := With(bare, b.binding, b.later)
			if obstacle != nil {
				t.Fatal(obstacle)
			}
			for how, updated := range map[string]*servingv1.Service{
				"of the bare template": bare, "of the bound template": stored, "applied by kubectl": applied(b.stored, bare),
			} {
				got := Admit(b.stored, updated, b.bindings(), b.later)
				agentOfRecord := RecordOf(got)
				if agentOfRecord == nil || agentOfRecord.Applied.Agent.Image != "agent:v2" {
					t.Fatalf("%s %s: the record is %+v", what, how, agentOfRecord)
				}
				same(t, what+" "+how, want.Template, got)
				// A dry run and a webhook that is called again.
				same(t, what+" "+how+", asked again", got, Admit(b.stored, withTemplate(b.stored, got), b.bindings(), b.later))
				same(t, what+" "+how+", without a binding", &bare.Spec.Template, Admit(b.stored, updated, nil, b.later))
				same(t, what+" "+how+", stored and sent again", got, Admit(withTemplate(b.stored, got), bare, b.bindings(), b.platform))
			}
		}
	})
}

func TestACreatedTemplateGetsTheAgent(t *testing.T) {
	forEachTemplate(t, func(t *testing.T, b bound) {
		same(t, "created", &b.stored.Spec.Template, Admit(nil, b.bare, b.bindings(), b.platform))
		same(t, "created, asked again", &b.stored.Spec.Template, Admit(nil, b.stored, b.bindings(), b.platform))
		same(t, "a copy of a bound one, without a binding", &b.bare.Spec.Template, Admit(nil, b.stored, nil, b.platform))
	})
}

// applied returns what a kubectl apply of a manifest makes of a stored object: it
// merges maps and replaces the lists that the manifest has.
func applied(stored, manifest *servingv1.Service) *servingv1.Service {
	updated := stored.DeepCopy()
	template := manifest.Spec.Template.DeepCopy()
	updated.Spec.Template.Name = template.Name
	for key, value := range template.Annotations {
		updated.Spec.Template.Annotations[key] = value
	}
	updated.Spec.Template.Spec.TimeoutSeconds = template.Spec.TimeoutSeconds
	updated.Spec.Template.Spec.Containers = template.Spec.Containers
	if len(template.Spec.Volumes) > 0 {
		updated.Spec.Template.Spec.Volumes = template.Spec.Volumes
	}
	return updated
}

func withoutAnnotation(service *servingv1.Service, key string) *servingv1.Service {
	service = service.DeepCopy()
	delete(service.Spec.Template.Annotations, key)
	return service
}

func relabelled(service *servingv1.Service) *servingv1.Service {
	service = service.DeepCopy()
	service.Labels = map[string]string{"tier": "gold"}
	service.Spec.Traffic = []servingv1.TrafficTarget{{LatestRevision: new(true), Percent: new(int64(100))}}
	return service
}
