/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package binding

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// kn looks for the container with the port and changes that. It is the agent's,
// and the model is meant.
func TestAnEditOfTheAgentsContainerIsOneOfTheModel(t *testing.T) {
	platform := platformWith(t, "agent:v1", nil)
	bare := serviceFrom(t, platform, `{spec: {containers: [{image: "model:v1", env: [{name: A, value: "1"}], ports: [{containerPort: 9000}], resources: {limits: {cpu: "1"}},
readinessProbe: {httpGet: {path: /ready}}}]}}`)
	bindings := []*v1alpha1.LoggerBinding{bindingTo(toAll(), v1beta1.LoggerSpec{})}
	stored := withTemplate(bare, Admit(nil, bare, bindings, platform))
	for what, edit := range map[string]func(*corev1.Container){
		"image":        func(c *corev1.Container) { c.Image = "model:v2" },
		"a variable":   func(c *corev1.Container) { c.Env = append([]corev1.EnvVar{{Name: "B", Value: "2"}}, c.Env...) },
		"a limit":      func(c *corev1.Container) { c.Resources.Limits["nvidia.com/gpu"] = resource.MustParse("1") },
		"arguments":    func(c *corev1.Container) { c.Args = []string{"--model=b"} },
		"command":      func(c *corev1.Container) { c.Command = []string{"/serve"} },
		"another port": func(c *corev1.Container) { c.Ports = []corev1.ContainerPort{{ContainerPort: 7000}} },
		"readiness": func(c *corev1.Container) {
			c.ReadinessProbe.HTTPGet = nil
			c.ReadinessProbe.GRPC = &corev1.GRPCAction{Port: 9000}
		},
		"a user":        func(c *corev1.Container) { c.SecurityContext.RunAsUser = new(int64(7)) },
		"pull policy":   func(c *corev1.Container) { c.ImagePullPolicy = corev1.PullAlways },
		"a second edit": func(c *corev1.Container) { c.Image, c.Args = "model:v3", []string{"x"} },
	} {
		t.Run(what, func(t *testing.T) {
			updated := stored.DeepCopy()
			edit(agentOf(&updated.Spec.Template))
			want := bare.DeepCopy()
			edited := &want.Spec.Template.Spec.Containers[0]
			if edited.SecurityContext == nil && what == "a user" {
				edited.SecurityContext = &corev1.SecurityContext{}
			}
			edit(edited)
			want.Spec.Template.SetDefaults(servingContext(want, platform))

			got := Admit(stored, updated, bindings, platform)
			if diff := cmp.Diff(written(t, &want.Spec.Template), written(t, Without(got))); diff != "" {
				t.Errorf("the model (-want, +got): %s", diff)
			}
			if agentOf(got) == nil || agentOf(got).Image != "agent:v1" {
				t.Errorf("the agent is %+v", agentOf(got))
			}
			same(t, "asked again", got, Admit(stored, withTemplate(stored, got), bindings, platform))
		})
	}
	t.Run("another protocol", func(t *testing.T) {
		updated := stored.DeepCopy()
		agentOf(&updated.Spec.Template).Ports[0].Name = "h2c"
		got := Without(Admit(stored, updated, bindings, platform)).Spec.Containers[0].Ports
		if diff := cmp.Diff([]corev1.ContainerPort{{Name: "h2c", ContainerPort: 9000}}, got); diff != "" {
			t.Errorf("the model's ports (-want, +got): %s", diff)
		}
	})
}

// What an owner writes of a bound template wins over what the agent took over.
func TestEditsOfABoundTemplateWin(t *testing.T) {
	platform := platformWith(t, "agent:v1", map[string]string{"multi-container-probing": "enabled"})
	bare := serviceFrom(t, platform, `{spec: {containers: [{name: model, image: "model:v1", ports: [{name: http1, containerPort: 9000}],
livenessProbe: {httpGet: {path: /live, port: http1}}, readinessProbe: {httpGet: {path: /ready}}}]}}`)
	bindings := []*v1alpha1.LoggerBinding{bindingTo(toAll(), v1beta1.LoggerSpec{})}
	stored := withTemplate(bare, Admit(nil, bare, bindings, platform))
	if got := stored.Spec.Template.Spec.Containers[0].LivenessProbe.HTTPGet.Port; got != intstr.FromInt32(9000) {
		t.Fatalf("the liveness probe has the port %v", got)
	}
	plain := corev1.Container{Name: "model", Image: "model:v2"}
	for what, test := range map[string]struct {
		edit func(*corev1.PodSpec)
		want func(*corev1.Container)
	}{
		"a readiness probe of the model": {
			func(p *corev1.PodSpec) {
				p.Containers[0].ReadinessProbe = &corev1.Probe{SuccessThreshold: 1, ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(9000)}}}
			},
			func(c *corev1.Container) {
				c.ReadinessProbe = &corev1.Probe{SuccessThreshold: 1, ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(9000)}}}
			},
		},
		"the period of a liveness probe": {
			func(p *corev1.PodSpec) { p.Containers[0].LivenessProbe.PeriodSeconds = 7 },
			func(c *corev1.Container) { c.LivenessProbe.PeriodSeconds = 7 },
		},
		"the port of a liveness probe": {
			func(p *corev1.PodSpec) { p.Containers[0].LivenessProbe.HTTPGet.Port = intstr.FromInt32(7000) },
			func(c *corev1.Container) { c.LivenessProbe.HTTPGet.Port = intstr.FromInt32(7000) },
		},
		"the model's name": {
			func(p *corev1.PodSpec) { p.Containers[0].Name = "iris" },
			func(c *corev1.Container) { c.Name = "iris" },
		},
		"a port of the model": {
			func(p *corev1.PodSpec) { p.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 7000}} },
			func(c *corev1.Container) { c.Ports = []corev1.ContainerPort{{ContainerPort: 7000}} },
		},
		"the list of containers, without what the agent took over": {
			func(p *corev1.PodSpec) { p.Containers = []corev1.Container{plain} },
			func(c *corev1.Container) { *c = plain },
		},
		"no agent": {
			func(p *corev1.PodSpec) { p.Containers[0].Image = "model:v2"; p.Containers = p.Containers[:1] },
			func(c *corev1.Container) { c.Image = "model:v2" },
		},
	} {
		t.Run(what, func(t *testing.T) {
			updated, want := stored.DeepCopy(), bare.DeepCopy()
			test.edit(&updated.Spec.Template.Spec.PodSpec)
			test.want(&want.Spec.Template.Spec.Containers[0])
			defaulted(updated, platform)
			defaulted(want, platform)
			same(t, "without a binding", &want.Spec.Template, Admit(stored, updated, nil, platform))
			if what != "a port of the model" {
				same(t, "with one, and without the agent", &want.Spec.Template, Without(Admit(stored, updated, bindings, platform)))
			}
		})
	}
}

// The sink's last address stays in a new template while the sink has none.
func TestANewTemplateHasTheLastAddress(t *testing.T) {
	platform := platformWith(t, "agent:v1", nil)
	bare := serviceFrom(t, platform, `{spec: {containers: [{image: "model:v1"}]}}`)
	binding := bindingTo(toAll(), v1beta1.LoggerSpec{})
	bindings := []*v1alpha1.LoggerBinding{binding}
	stored := withTemplate(bare, Admit(nil, bare, bindings, platform))
	updated := bare.DeepCopy()
	updated.Spec.Template.Spec.Containers[0].Image = "model:v2"
	const argument = "--sink=http://broker-ingress.knative-eventing.svc.cluster.local"
	for what, test := range map[string]struct {
		change func(*v1alpha1.LoggerBinding)
		old    *servingv1.Service
		want   bool
	}{
		"the address":                       {func(*v1alpha1.LoggerBinding) {}, stored, true},
		"none now":                          {func(b *v1alpha1.LoggerBinding) { b.Status.Logger = nil }, stored, true},
		"none yet":                          {func(b *v1alpha1.LoggerBinding) { b.Status.Logger = nil }, nil, false},
		"a status of an earlier generation": {func(b *v1alpha1.LoggerBinding) { b.Generation++ }, nil, false},
	} {
		t.Run(what, func(t *testing.T) {
			changed := binding.DeepCopy()
			test.change(changed)
			got := Admit(test.old, updated, []*v1alpha1.LoggerBinding{changed}, platform)
			agent := agentOf(got)
			if agent == nil {
				t.Fatal("no agent")
			}
			text := strings.Join(agent.Args, " ")
			if strings.Contains(text, argument) != test.want || !strings.Contains(text, "address-file") {
				t.Errorf("the arguments are %v", agent.Args)
			}
		})
	}
}

// A namespace that isn't included any more has no admission: a client may replace
// the containers there and leave the rest.
func TestATemplateThatLostItsAgentHasNone(t *testing.T) {
	platform := platformWith(t, "agent:v1", nil)
	bare := serviceFrom(t, platform, `{spec: {containers: [{image: "model:v1"}]}}`)
	binding := bindingTo(toAll(), v1beta1.LoggerSpec{})
	stored := withTemplate(bare, Admit(nil, bare, []*v1alpha1.LoggerBinding{binding}, platform))
	lost := applied(stored, bare)
	if record := RecordOf(&lost.Spec.Template); record != nil {
		t.Errorf("it has the record %+v", record)
	}
	same(t, "without the rest", &bare.Spec.Template, Without(&lost.Spec.Template))
	same(t, "sent again", &lost.Spec.Template, Admit(lost, lost, nil, platform))
	again, obstacle := With(lost, binding, platform)
	if obstacle != nil {
		t.Fatal(obstacle)
	}
	same(t, "with the agent again", &stored.Spec.Template, again.Template)
}

func TestAServiceWithoutANameStaysAsItIs(t *testing.T) {
	platform := platformWith(t, "agent:v1", nil)
	bare := serviceFrom(t, platform, `{spec: {containers: [{image: "model:v1"}]}}`)
	bare.Name, bare.GenerateName = "", "iris-"
	same(t, "created", &bare.Spec.Template, Admit(nil, bare, []*v1alpha1.LoggerBinding{bindingTo(toAll(), v1beta1.LoggerSpec{})}, platform))
}

func TestAnAnnotationThatIsNoRecordCountsForNothing(t *testing.T) {
	platform := platformWith(t, "agent:v1", nil)
	for _, text := range []string{"", "x", "{}", "[]", `{"binding":""}`, `{"binding":7}`, "null"} {
		service := serviceFrom(t, platform, `{spec: {containers: [{image: "model:v1"}]}}`)
		want := service.DeepCopy()
		service.Spec.Template.Annotations = map[string]string{"bindings.sidenote.dev/bound": text}
		if record := RecordOf(&service.Spec.Template); record != nil {
			t.Errorf("%q is the record %+v", text, record)
		}
		same(t, text, &want.Spec.Template, Without(&service.Spec.Template))
	}
	// Nor does a record of others: it names what is not there.
	service := serviceFrom(t, platform, `{spec: {containers: [{image: "model:v1"}]}}`)
	want := service.DeepCopy()
	service.Spec.Template.Annotations = map[string]string{"bindings.sidenote.dev/bound": `{"binding":"b","original":{"model":"nobody","probes":[{"container":"x","field":"y"},{"container":"nobody","field":"readinessProbe","probe":null}],"volumes":["v"]}}`}
	same(t, "a record of others", &want.Spec.Template, Without(&service.Spec.Template))
}
