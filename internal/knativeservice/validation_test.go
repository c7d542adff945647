/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	eventingduckv1 "knative.dev/eventing/pkg/apis/duck/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	servingconfig "knative.dev/serving/pkg/apis/config"

	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// withFeatures is a cluster whose config-features says so.
func withFeatures(t *testing.T, features map[string]string) context.Context {
	t.Helper()
	parsed, err := servingconfig.NewFeaturesConfigFromMap(features)
	if err != nil {
		t.Fatal(err)
	}
	return servingconfig.ToContext(t.Context(), &servingconfig.Config{Features: parsed})
}

func TestServingsRefusalNamesTheField(t *testing.T) {
	probe := func(handler corev1.ProbeHandler) *corev1.Probe { return &corev1.Probe{ProbeHandler: handler} }
	http := probe(corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: intstr.FromInt32(8080)}})
	exec := probe(corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"true"}}})
	named := probe(corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString("metrics")}})
	model := func(change func(*corev1.Container)) Option { return WithModel(change) }
	predictor := func(change func(*v1beta1.PredictorSpec)) Option { return WithPredictor(change) }
	const container = "spec.predictor.containers[0]"

	for what, test := range map[string]struct {
		option Option
		// flag is what the cluster must enable to take it; none: nothing does.
		flag    string
		path    string
		message string
	}{
		"a node's selector": {
			predictor(func(p *v1beta1.PredictorSpec) { p.NodeSelector = map[string]string{"gpu": "a100"} }),
			"kubernetes.podspec-nodeselector", "spec.predictor.nodeSelector", "config-features",
		},
		"tolerations": {
			predictor(func(p *v1beta1.PredictorSpec) { p.Tolerations = []corev1.Toleration{{Key: "gpu"}} }),
			"kubernetes.podspec-tolerations", "spec.predictor.tolerations", "config-features",
		},
		"a runtime class": {
			predictor(func(p *v1beta1.PredictorSpec) { name := "nvidia"; p.RuntimeClassName = &name }),
			"kubernetes.podspec-runtimeclassname", "spec.predictor.runtimeClassName", "config-features",
		},
		"a liveness probe": {
			model(func(c *corev1.Container) { c.LivenessProbe = http }),
			"multi-container-probing", container + ".livenessProbe", "multi-container-probing",
		},
		"a readiness probe that is a command": {
			model(func(c *corev1.Container) { c.ReadinessProbe = exec }),
			"multi-container-probing", container + ".readinessProbe", "multi-container-probing",
		},
		"a startup probe that is a command": {
			model(func(c *corev1.Container) { c.StartupProbe = exec }),
			"multi-container-probing", container + ".startupProbe", "multi-container-probing",
		},
		"a probe of two kinds, which the agent would run in Serving's place": {
			model(func(c *corev1.Container) {
				c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{}, TCPSocket: &corev1.TCPSocketAction{}}}
			}),
			"", container + ".readinessProbe.httpGet", "expected exactly one, got both",
		},
		"a startup probe": {
			model(func(c *corev1.Container) { c.StartupProbe = http }),
			"multi-container-probing", container + ".startupProbe", "or write it as the readinessProbe",
		},
		"a sidecar's probe": {
			WithSidecar(corev1.Container{Name: "tokenizer", Image: "tokenizer", ReadinessProbe: http}),
			"multi-container-probing", "spec.predictor.containers[1].readinessProbe", "multi-container-probing",
		},
		"a probe at another port's name": {
			model(func(c *corev1.Container) { c.ReadinessProbe = named }),
			"", container + ".readinessProbe", "write its number",
		},
		"a timeout over the cluster's": {
			WithTimeout(100000), "", "spec.predictor.timeout", "expected 0 <= 100000 <= 600",
		},
		"concurrency below none": {
			predictor(func(p *v1beta1.PredictorSpec) { least := int64(-1); p.ContainerConcurrency = &least }),
			"", "spec.predictor.containerConcurrency", "expected 0 <= -1",
		},
		"a field that Serving never takes": {
			model(func(c *corev1.Container) { c.Lifecycle = &corev1.Lifecycle{} }),
			"", container + ".lifecycle", "must not set the field(s)",
		},
		"an annotation of the autoscaler that is wrong": {
			WithAnnotation("autoscaling.knative.dev/min-scale", "many"),
			"", "metadata.annotations.autoscaling.knative.dev/min-scale", "invalid value: many",
		},
		"a metric that the autoscaler doesn't scale by": {
			WithScale(80, v1beta1.ScaleByCPU),
			"", "spec.predictor.scaleMetric", "autoscaling.knative.dev/class: hpa.autoscaling.knative.dev",
		},
		"a sidecar's missing image": {
			WithSidecar(corev1.Container{Name: "tokenizer"}), "", "spec.predictor.containers[1].image", "missing field(s)",
		},
		"the port's unknown name": {
			WithPort("grpc", 9000), "", container + ".ports", "'h2c', 'http1'",
		},
	} {
		t.Run(what, func(t *testing.T) {
			is := Seed(test.option)
			violations := Validate(t.Context(), is).Filter(apis.ErrorLevel).WrappedErrors()
			if !slices.ContainsFunc(violations, func(violation *apis.FieldError) bool {
				return slices.Contains(violation.Paths, test.path) && strings.Contains(violation.Error(), test.message)
			}) {
				t.Errorf("nothing at %s says %q: %v", test.path, test.message, violations)
			}
			for _, violation := range violations {
				for _, path := range violation.Paths {
					if strings.Contains(path, "template") || strings.Contains(path, "spec.spec") {
						t.Errorf("%s is no path of an InferenceService", path)
					}
				}
			}
			if test.flag == "" {
				return
			}
			if errs := Validate(withFeatures(t, map[string]string{test.flag: "enabled"}), is).Filter(apis.ErrorLevel); errs != nil {
				t.Errorf("refused with %s enabled: %v", test.flag, errs)
			}
		})
	}
}

func TestFieldsThatServingSupportsAreAdmitted(t *testing.T) {
	probe := func(handler corev1.ProbeHandler) *corev1.Probe { return &corev1.Probe{ProbeHandler: handler} }
	for what, is := range map[string]*v1beta1.InferenceService{
		"the seed's example":     Seed(),
		"a name to be generated": Seed(WithName("")),
		"live metadata":          Seed(WithLogger(WithRefresh(v1beta1.RefreshLive))),
		"no logger":              Seed(WithoutLogger()),
		"a sidecar":              Seed(WithSidecar(corev1.Container{Name: "tokenizer", Image: "tokenizer"})),
		"an HTTP readiness probe": Seed(WithModel(func(c *corev1.Container) {
			c.ReadinessProbe = probe(corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/"}})
		})),
		"a gRPC readiness probe": Seed(WithModel(func(c *corev1.Container) { c.ReadinessProbe = probe(corev1.ProbeHandler{GRPC: &corev1.GRPCAction{}}) })),
		"a liveness probe and no logger": Seed(WithoutLogger(), WithModel(func(c *corev1.Container) {
			c.LivenessProbe = probe(corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/"}})
		})),
		"a probe at the served port": Seed(WithPort("http1", 8080), WithModel(func(c *corev1.Container) {
			c.ReadinessProbe = probe(corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromString("http1")}})
		})),
		"annotations of the autoscaler": Seed(WithAnnotation("autoscaling.knative.dev/target", "5")),
		"the longest name":              Seed(WithName(strings.Repeat("a", v1beta1.MaxNameLength))),
		"volumes that the model mounts": Seed(WithPredictor(func(p *v1beta1.PredictorSpec) {
			p.Volumes = []corev1.Volume{{Name: "w", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		}), WithModel(func(c *corev1.Container) { c.VolumeMounts = []corev1.VolumeMount{{Name: "w", MountPath: "/w"}} })),
		"as the webhook asks of an update": Seed(WithImage("v2")),
	} {
		ctx := apis.WithinUpdate(t.Context(), Seed())
		if errs := Validate(ctx, is).Filter(apis.ErrorLevel); errs != nil {
			t.Errorf("%s is refused: %v", what, errs)
		}
	}
}

// What this release refuses and an earlier one took is warned of in an update
// of something else, and so is what it hid until it is mended.
func TestUpdateOfAnEarlierReleasesObjectIsAdmitted(t *testing.T) {
	startup := WithModel(func(c *corev1.Container) {
		c.StartupProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(8080)}}}
	})
	selector := WithPredictor(func(p *v1beta1.PredictorSpec) { p.NodeSelector = map[string]string{"gpu": "a100"} })
	raw := WithAnnotation("serving.kserve.io/deploymentMode", "RawDeployment")
	sink := func(destination duckv1.Destination) Option {
		return WithLogger(func(l *v1beta1.LoggerSpec) {
			l.Sink = destination.DeepCopy()
			l.Delivery = &eventingduckv1.DeliverySpec{DeadLetterSink: destination.DeepCopy()}
		})
	}
	audience := "mine"
	concurrency := WithPredictor(func(p *v1beta1.PredictorSpec) { many := int64(5000); p.ContainerConcurrency = &many })
	emptyDirOff := withFeatures(t, map[string]string{"kubernetes.podspec-volumes-emptydir": "disabled"})
	for what, test := range map[string]struct {
		ctx     context.Context
		options []Option
		// warnings are parts of what is said.
		warnings []string
	}{
		"a startup probe":             {nil, []Option{startup}, []string{"startupProbe"}},
		"another deployment":          {nil, []Option{raw}, []string{"deploymentMode"}},
		"an audience":                 {nil, []Option{sink(duckv1.Destination{Ref: broker("a").Ref, Audience: &audience})}, []string{"allowed-audiences"}},
		"a kind without an address":   {nil, []Option{sink(duckv1.Destination{Ref: &duckv1.KReference{APIVersion: "v1", Kind: "ConfigMap", Name: "a"}})}, []string{"has no address"}},
		"odd characters":              {nil, []Option{sink(duckv1.Destination{URI: &apis.URL{Scheme: "http", Host: "h", RawQuery: "a b"}})}, []string{"characters"}},
		"odd characters beside one":   {nil, []Option{sink(duckv1.Destination{Ref: broker("a").Ref, URI: &apis.URL{RawQuery: "a b"}})}, []string{"characters"}},
		"a long URL":                  {nil, []Option{sink(duckv1.Destination{URI: &apis.URL{Scheme: "http", Host: "h", Path: "/" + strings.Repeat("a", 5000)}})}, []string{"bytes"}},
		"more than the agent has":     {nil, []Option{concurrency}, []string{"containerConcurrency"}},
		"a denied annotation":         {nil, []Option{WithLogger(WithMetadataAnnotations("example.com/api-key"))}, []string{"must not be sent"}},
		"a feature that is off":       {emptyDirOff, nil, []string{"kubernetes.podspec-volumes-emptydir"}},
		"two, of which one is mended": {nil, []Option{startup, selector}, []string{"startupProbe", "nodeSelector"}},
		"several":                     {nil, []Option{startup, raw, selector, concurrency}, []string{"startupProbe", "nodeSelector", "deploymentMode", "containerConcurrency"}},
	} {
		t.Run(what, func(t *testing.T) {
			if test.ctx == nil {
				test.ctx = t.Context()
			}
			ctx := v1beta1.WithChildValidation(test.ctx, Validate)
			old := Seed(test.options...)
			created := old.DeepCopy()
			created.SetDefaults(ctx)
			if created.Validate(apis.WithinCreate(ctx)).Filter(apis.ErrorLevel) == nil {
				t.Error("a new object is taken")
			}
			ctx = apis.WithinUpdate(ctx, old)
			updated := Seed(append(test.options, WithImage("v2"))...)
			updated.SetDefaults(ctx)
			errs := updated.Validate(ctx)
			if refused := errs.Filter(apis.ErrorLevel); refused != nil {
				t.Errorf("the update is refused: %v", refused)
			}
			for _, want := range test.warnings {
				if !strings.Contains(errs.Filter(apis.WarningLevel).Error(), want) {
					t.Errorf("it warns %v, want %q", errs, want)
				}
			}
			// Each of the violations can be mended alone.
			for i := range test.options {
				mended := Seed(append(slices.Delete(slices.Clone(test.options), i, i+1), WithImage("v2"))...)
				mended.SetDefaults(ctx)
				if refused := mended.Validate(ctx).Filter(apis.ErrorLevel); refused != nil {
					t.Errorf("mending %d is refused: %v", i, refused)
				}
			}
			// What the request brings in is refused nevertheless.
			added := Seed(append(test.options, WithPredictor(func(p *v1beta1.PredictorSpec) { p.HostNetwork = true }))...)
			added.SetDefaults(ctx)
			if refused := added.Validate(ctx).Filter(apis.ErrorLevel); refused == nil || !strings.Contains(refused.Error(), "hostNetwork") {
				t.Errorf("what the request brings in: %v", refused)
			}
			deleted := updated.DeepCopy()
			deleted.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
			if errs := deleted.Validate(ctx); errs != nil {
				t.Errorf("of an object that is being deleted it says %v", errs)
			}
		})
	}
}
