/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"context"
	"encoding/json"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	"k8s.io/apimachinery/pkg/api/resource"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/intstr"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	pkgfuzzer "knative.dev/pkg/apis/testing/fuzzer"
	"knative.dev/pkg/ptr"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

const agentImage = "registry.example/agent@sha256:0123"

// predictor is that component of an InferenceService.
func predictor(is *v1beta1.InferenceService) Component {
	return ComponentOf(is, v1beta1.PredictorComponent)
}

func agentSettings() config.Agent {
	return config.Agent{
		Image: agentImage,
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("25m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1"), corev1.ResourceMemory: resource.MustParse("128Mi")},
		},
		GoMemoryLimit:   "96MiB",
		BufferBytes:     32 << 20,
		MaxPayloadBytes: 700 << 10,
	}
}

func broker(name string) duckv1.Destination {
	return duckv1.Destination{Ref: &duckv1.KReference{
		APIVersion: "eventing.knative.dev/v1", Kind: "Broker", Namespace: Namespace, Name: name,
	}}
}

func addressOf(name string) *duckv1.Addressable {
	return &duckv1.Addressable{URL: &apis.URL{Scheme: "http", Host: "broker-ingress.knative-eventing.svc.cluster.local", Path: "/" + Namespace + "/" + name}}
}

// defaulted is an InferenceService as the reconciler gets it.
func defaulted(is *v1beta1.InferenceService) *v1beta1.InferenceService {
	is.SetDefaults(context.Background())
	return is
}

// inForceFor is what a first template of an InferenceService gets with the
// default Broker there.
func inForceFor(is *v1beta1.InferenceService) Applied {
	var attributes []metadata.Attribute
	if logger := is.Spec.Predictor.Logger; logger != nil {
		attributes, _ = metadata.Select(is.Annotations, logger.MetadataSources())
	}
	return Applied{
		Agent:    agentSettings(),
		Sinks:    one(&AppliedSink{Destination: broker("default"), ByDefault: true, Address: *addressOf("default")}, nil),
		Metadata: attributes,
	}
}

// trust is what every agent with a sink mounts of the Seed.
var (
	trust = corev1.Volume{Name: "sidenote-trust", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: "my-model-predictor-default-trust"}, Optional: ptr.Bool(true),
		Items: []corev1.KeyToPath{
			{Key: "cluster.pem", Path: "sink/cluster.pem"}, {Key: "sink.pem", Path: "sink/own.pem"},
			{Key: "cluster.pem", Path: "dead-letter/cluster.pem"}, {Key: "dead-letter.pem", Path: "dead-letter/own.pem"},
		},
	}}}
	trustMount = corev1.VolumeMount{Name: "sidenote-trust", MountPath: "/etc/sidenote/trust", ReadOnly: true}
)

// noToken is what every agent has in the place of a token for the Kubernetes
// API.
var (
	noTokenLimit = resource.MustParse("1Mi")
	noToken      = corev1.Volume{Name: "sidenote-no-token", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &noTokenLimit}}}
	noTokenMount = corev1.VolumeMount{Name: "sidenote-no-token", MountPath: "/var/run/secrets/kubernetes.io/serviceaccount", ReadOnly: true}
)

func made(is *v1beta1.InferenceService) *servingv1.Service {
	is = defaulted(is)
	return MakeService(predictor(is), "hash", inForceFor(is))
}

func containerOf(t *testing.T, service *servingv1.Service, name string) corev1.Container {
	t.Helper()
	containers := service.Spec.Template.Spec.Containers
	index := slices.IndexFunc(containers, func(c corev1.Container) bool { return c.Name == name })
	if index < 0 {
		t.Fatalf("no container %q", name)
	}
	return containers[index]
}

func agentOf(t *testing.T, service *servingv1.Service) corev1.Container {
	t.Helper()
	return containerOf(t, service, v1beta1.AgentContainerName)
}

func argumentsOf(t *testing.T, is *v1beta1.InferenceService) []string {
	t.Helper()
	return agentOf(t, made(is)).Args
}

// valueOf returns the value of an argument as the agent gets it.
func valueOf(t *testing.T, arguments []string, name string) string {
	t.Helper()
	for _, argument := range arguments {
		if value, found := strings.CutPrefix(argument, "--"+name+"="); found {
			return expanded(value)
		}
	}
	t.Fatalf("no argument --%s in %q", name, arguments)
	return ""
}

func hasArgument(arguments []string, name string) bool {
	return slices.ContainsFunc(arguments, func(argument string) bool { return strings.HasPrefix(argument, "--"+name+"=") })
}

func TestTheSeedsExampleBecomesAnAgentInFrontOfTheModel(t *testing.T) {
	is := defaulted(Seed())
	applied := inForceFor(is)
	labels := map[string]string{"serving.kubeflow.org/inferenceservice": "my-model", "serving.kubeflow.org/component": "predictor"}
	record, err := json.Marshal(applied)
	if err != nil {
		t.Fatal(err)
	}
	want := &servingv1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Name: "my-model-predictor-default", Namespace: Namespace, Labels: labels,
			Annotations: map[string]string{"serving.kubeflow.org/owner-hash": "hash", "serving.kubeflow.org/in-force": string(record)},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "serving.kubeflow.org/v1beta1", Kind: "InferenceService", Name: "my-model", UID: "uid-of-my-model",
				Controller: ptr.Bool(true), BlockOwnerDeletion: ptr.Bool(true),
			}},
		},
		Spec: servingv1.ServiceSpec{
			ConfigurationSpec: servingv1.ConfigurationSpec{Template: servingv1.RevisionTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: map[string]string{"version": "v2.1.0"}},
				Spec: servingv1.RevisionSpec{PodSpec: corev1.PodSpec{
					EnableServiceLinks: ptr.Bool(false),
					Containers: []corev1.Container{{
						Name: "kfserving-container", Image: Image,
						Env: []corev1.EnvVar{{Name: "PORT", Value: "8080"}},
					}, {
						Name: "sidenote-agent", Image: agentImage,
						Args: []string{
							"--port=9081", "--admin-port=9082", "--target=http://127.0.0.1:8080",
							"--source=my-model-predictor-default", "--inference-service=my-model", "--namespace=" + Namespace, "--component=predictor",
							"--mode=all", "--max-payload-bytes=716800", "--buffer-bytes=33554432",
							"--sink=http://broker-ingress.knative-eventing.svc.cluster.local/" + Namespace + "/default", "--sink.default.ca-certs-dir=/etc/sidenote/trust/sink",
							"--metadata=owner=ml-ops", "--metadata=team=ai-platform",
						},
						Env:          []corev1.EnvVar{{Name: "GOMEMLIMIT", Value: "96MiB"}},
						Ports:        []corev1.ContainerPort{{ContainerPort: 9081}},
						Resources:    agentSettings().Resources,
						VolumeMounts: []corev1.VolumeMount{trustMount, noTokenMount},
						SecurityContext: &corev1.SecurityContext{
							AllowPrivilegeEscalation: ptr.Bool(false), ReadOnlyRootFilesystem: ptr.Bool(true), RunAsNonRoot: ptr.Bool(true),
							Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
							SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
						},
						ReadinessProbe:           &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/readyz", Port: intstr.FromInt32(9082)}}},
						TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
					}},
					Volumes: []corev1.Volume{trust, noToken},
				}},
			}},
			RouteSpec: servingv1.RouteSpec{Traffic: []servingv1.TrafficTarget{{LatestRevision: ptr.Bool(true), Percent: ptr.Int64(100)}}},
		},
	}
	if diff := cmp.Diff(want, MakeService(predictor(is), "hash", applied)); diff != "" {
		t.Errorf("(-want, +got): %s", diff)
	}
}

func TestTheAgentTakesTheModelsPort(t *testing.T) {
	tokenizer := corev1.Container{Name: "tokenizer", Image: "tokenizer"}
	model := corev1.Container{Name: "model", Image: Image, Ports: []corev1.ContainerPort{{Name: "h2c", ContainerPort: 9000, Protocol: corev1.ProtocolTCP}}}
	for what, test := range map[string]struct {
		is       *v1beta1.InferenceService
		model    string
		portName string
		env      []corev1.EnvVar
		target   string
	}{
		"without a name":              {Seed(), "kfserving-container", "", []corev1.EnvVar{{Name: "PORT", Value: "8080"}}, "http://127.0.0.1:8080"},
		"of HTTP/1":                   {Seed(WithPort("http1", 8501)), "kfserving-container", "http1", []corev1.EnvVar{{Name: "PORT", Value: "8501"}}, "http://127.0.0.1:8501"},
		"of HTTP/2":                   {Seed(WithPort("h2c", 9000)), "kfserving-container", "h2c", []corev1.EnvVar{{Name: "PORT", Value: "9000"}}, "http://127.0.0.1:9000"},
		"of a second container":       {Seed(WithContainers(tokenizer, model)), "model", "h2c", []corev1.EnvVar{{Name: "PORT", Value: "9000"}}, "http://127.0.0.1:9000"},
		"of a model that has a PORT":  {Seed(WithModel(func(c *corev1.Container) { c.Env = []corev1.EnvVar{{Name: "PORT", Value: "7"}} })), "kfserving-container", "", []corev1.EnvVar{{Name: "PORT", Value: "7"}}, "http://127.0.0.1:8080"},
		"of a model with its own env": {Seed(WithModel(func(c *corev1.Container) { c.Env = []corev1.EnvVar{{Name: "A", Value: "b"}} })), "kfserving-container", "", []corev1.EnvVar{{Name: "A", Value: "b"}, {Name: "PORT", Value: "8080"}}, "http://127.0.0.1:8080"},
	} {
		t.Run(what, func(t *testing.T) {
			before := defaulted(test.is.DeepCopy()).Spec.Predictor.Containers
			service := made(test.is)
			agent, model := agentOf(t, service), containerOf(t, service, test.model)
			if diff := cmp.Diff([]corev1.ContainerPort{{Name: test.portName, ContainerPort: 9081}}, agent.Ports); diff != "" {
				t.Errorf("the agent's port (-want, +got): %s", diff)
			}
			if got := valueOf(t, agent.Args, "target"); got != test.target {
				t.Errorf("the agent's target is %s, want %s", got, test.target)
			}
			if diff := cmp.Diff(test.env, model.Env); diff != "" {
				t.Errorf("the model's env (-want, +got): %s", diff)
			}
			for i, container := range service.Spec.Template.Spec.Containers {
				if container.Name != v1beta1.AgentContainerName && len(container.Ports) > 0 {
					t.Errorf("%s declares ports %v too", container.Name, container.Ports)
				}
				// Errors of Serving name containers by their index.
				if i < len(before) && before[i].Name != container.Name {
					t.Errorf("container %d was %s and is %s", i, before[i].Name, container.Name)
				}
			}
		})
	}
}

func TestProbesGoWhereTheyCanRun(t *testing.T) {
	http := func(port intstr.IntOrString) *corev1.Probe {
		return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/v2/health/ready", Port: port}}}
	}
	tcp := func(port intstr.IntOrString) *corev1.Probe {
		return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: port}}}
	}
	grpc := func(port int32) *corev1.Probe {
		return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: port, Service: ptr.String("model")}}}
	}
	exec := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"true"}}}}
	thresholds := &corev1.Probe{PeriodSeconds: 3, FailureThreshold: 5, TimeoutSeconds: 2, SuccessThreshold: 1, InitialDelaySeconds: 4}
	with := func(probe, change *corev1.Probe) *corev1.Probe {
		probe = probe.DeepCopy()
		probe.PeriodSeconds, probe.FailureThreshold, probe.TimeoutSeconds, probe.SuccessThreshold, probe.InitialDelaySeconds =
			change.PeriodSeconds, change.FailureThreshold, change.TimeoutSeconds, change.SuccessThreshold, change.InitialDelaySeconds
		return probe
	}
	number := func(port int32) intstr.IntOrString { return intstr.FromInt32(port) }

	for what, test := range map[string]struct{ probe, agents *corev1.Probe }{
		"none is none":                          {nil, nil},
		"HTTP with a port moves":                {http(number(8081)), http(number(8081))},
		"HTTP without a port is at the model's": {http(intstr.IntOrString{}), http(number(8080))},
		"HTTP at the port's name moves":         {http(intstr.FromString("http1")), http(number(8080))},
		"TCP with a port moves":                 {tcp(number(8081)), tcp(number(8081))},
		"TCP without a port is at the model's":  {tcp(intstr.IntOrString{}), tcp(number(8080))},
		"gRPC with a port moves":                {grpc(8081), grpc(8081)},
		"gRPC without a port is at the model's": {grpc(0), grpc(8080)},
		"thresholds alone dial the model":       {thresholds, with(tcp(number(8080)), thresholds)},
		"thresholds go with the probe":          {with(grpc(8081), thresholds), with(grpc(8081), thresholds)},
		"a command stays":                       {exec, nil},
	} {
		for argument, place := range map[string]func(*corev1.Container) **corev1.Probe{
			"readiness-probe": func(c *corev1.Container) **corev1.Probe { return &c.ReadinessProbe },
			"startup-probe":   func(c *corev1.Container) **corev1.Probe { return &c.StartupProbe },
		} {
			t.Run(argument+": "+what, func(t *testing.T) {
				service := made(Seed(WithPort("http1", 8080), WithModel(func(c *corev1.Container) { *place(c) = test.probe.DeepCopy() })))
				agent, model := agentOf(t, service), containerOf(t, service, "kfserving-container")
				if test.agents == nil {
					if hasArgument(agent.Args, argument) {
						t.Errorf("the agent has --%s=%s", argument, valueOf(t, agent.Args, argument))
					}
					if diff := cmp.Diff(test.probe, *place(&model)); diff != "" {
						t.Errorf("the model's probe (-want, +got): %s", diff)
					}
					return
				}
				if *place(&model) != nil {
					t.Errorf("the model keeps %v", *place(&model))
				}
				var got corev1.Probe
				if err := json.Unmarshal([]byte(valueOf(t, agent.Args, argument)), &got); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.agents, &got); diff != "" {
					t.Errorf("the agent's probe (-want, +got): %s", diff)
				}
			})
		}
	}
}

func TestLoggerSettingsReachTheAgent(t *testing.T) {
	arguments := argumentsOf(t, Seed(WithLogger(
		WithMode(v1beta1.LogResponse), WithEvents("response", "response.failure"),
		WithContentMode(v1beta1.ContentModeBinary), WithMaxPayloadBytes(1000))))
	for name, want := range map[string]string{
		"mode": "response", "events": "response,response.failure", "content-mode": "binary",
		"max-payload-bytes": "1000", "buffer-bytes": "33554432",
	} {
		if got := valueOf(t, arguments, name); got != want {
			t.Errorf("--%s=%s, want %s", name, got, want)
		}
	}
	arguments = argumentsOf(t, Seed())
	for _, name := range []string{"events", "content-mode", "metadata-dir", "readiness-probe", "startup-probe", "sink.default.ca-certs", "sink.default.token-file"} {
		if hasArgument(arguments, name) {
			t.Errorf("--%s=%s, though nobody said so", name, valueOf(t, arguments, name))
		}
	}
	// A buffer that can't hold one body could send none.
	arguments = argumentsOf(t, Seed(WithLogger(WithMaxPayloadBytes(16<<20), WithMode(v1beta1.LogAll))))
	if got := valueOf(t, arguments, "buffer-bytes"); got != "33554432" {
		t.Errorf("--buffer-bytes=%s", got)
	}
	is := defaulted(Seed(WithLogger(WithMaxPayloadBytes(16 << 20))))
	applied := inForceFor(is)
	applied.Agent.BufferBytes = 1 << 20
	if got := valueOf(t, agentOf(t, MakeService(predictor(is), "", applied)).Args, "buffer-bytes"); got != "16777216" {
		t.Errorf("--buffer-bytes=%s, less than one body", got)
	}
}

func TestAnyValueOfAnAnnotationSurvives(t *testing.T) {
	for _, value := range []string{
		"", "plain", "a=b=c", "a,b,c", `"quoted" 'too'`, "$(HOME)", "$$(HOME)", "$", "$$", "100 $", "東京 50%", "🚀", " leading and trailing ",
		"--sink=stdout", `{"json": [1]}`, "a\\nb", "\u200b\u202e",
	} {
		arguments := argumentsOf(t, Seed(WithAnnotation("team", value), WithLogger(WithMetadataAnnotations("team"))))
		if got, want := valueOf(t, arguments, "metadata"), "team="+value; got != want {
			t.Errorf("the agent gets %q, want %q", got, want)
		}
	}
}

// expanded is what the kubelet makes of an argument in a container without
// environment (k8s.io/kubernetes/third_party/forked/golang/expansion): "$$" is
// a dollar sign, "$(NAME)" of no variable stays.
func expanded(argument string) string {
	var result strings.Builder
	for i := 0; i < len(argument); i++ {
		if argument[i] == '$' && i+1 < len(argument) {
			switch argument[i+1] {
			case '$':
				i++
			case '(':
				if end := strings.IndexByte(argument[i:], ')'); end > 0 {
					return "expanded a variable: " + argument
				}
			}
		}
		result.WriteByte(argument[i])
	}
	return result.String()
}

func TestTheSinksAddressReachesTheAgentWhole(t *testing.T) {
	is := defaulted(Seed())
	applied := inForceFor(is)
	applied.Sinks[0].Sink.Address = duckv1.Addressable{
		URL:      &apis.URL{Scheme: "https", Host: "broker.example", Path: "/a", RawQuery: "x=$(1)"},
		Audience: ptr.String("eventing.knative.dev/broker/models/default"),
	}
	service := MakeService(predictor(is), "", applied)
	agent := agentOf(t, service)
	for name, want := range map[string]string{
		"sink":                    "https://broker.example/a?x=$(1)",
		"sink.default.token-file": "/var/run/sidenote/sink/token",
	} {
		if got := valueOf(t, agent.Args, name); got != want {
			t.Errorf("--%s=%s, want %s", name, got, want)
		}
	}
	wantVolumes := []corev1.Volume{{Name: "sidenote-sink-token", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{
			Audience: "eventing.knative.dev/broker/models/default", ExpirationSeconds: ptr.Int64(3600), Path: "token",
		}}},
	}}}, trust, noToken}
	if diff := cmp.Diff(wantVolumes, service.Spec.Template.Spec.Volumes); diff != "" {
		t.Errorf("volumes (-want, +got): %s", diff)
	}
	wantMounts := []corev1.VolumeMount{{Name: "sidenote-sink-token", MountPath: "/var/run/sidenote/sink", ReadOnly: true}, trustMount, noTokenMount}
	if diff := cmp.Diff(wantMounts, agent.VolumeMounts); diff != "" {
		t.Errorf("mounts (-want, +got): %s", diff)
	}

	applied.Sinks = nil
	if arguments := agentOf(t, MakeService(predictor(is), "", applied)).Args; hasArgument(arguments, "sink") {
		t.Errorf("without a sink in force the agent has --sink=%s", valueOf(t, arguments, "sink"))
	}
}

func TestLiveMetadataIsMountedBesideTheModelsOwnVolumes(t *testing.T) {
	weights := corev1.Volume{Name: "weights"}
	service := made(Seed(
		WithPredictor(func(p *v1beta1.PredictorSpec) { p.Volumes = []corev1.Volume{weights} }),
		WithModel(func(c *corev1.Container) { c.VolumeMounts = []corev1.VolumeMount{{Name: "weights", MountPath: "/mnt"}} }),
		WithLogger(WithRefresh(v1beta1.RefreshLive))))
	agent := agentOf(t, service)
	wantVolumes := []corev1.Volume{weights, {Name: "sidenote-metadata", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: "my-model-predictor-default-metadata"}, Optional: ptr.Bool(true),
	}}}, trust, noToken}
	if diff := cmp.Diff(wantVolumes, service.Spec.Template.Spec.Volumes); diff != "" {
		t.Errorf("volumes (-want, +got): %s", diff)
	}
	wantMounts := []corev1.VolumeMount{{Name: "sidenote-metadata", MountPath: "/etc/sidenote/metadata", ReadOnly: true}, trustMount, noTokenMount}
	if diff := cmp.Diff(wantMounts, agent.VolumeMounts); diff != "" {
		t.Errorf("mounts (-want, +got): %s", diff)
	}
	if got := valueOf(t, agent.Args, "metadata-dir"); got != "/etc/sidenote/metadata" {
		t.Errorf("--metadata-dir=%s", got)
	}
	// To fall back on where the ConfigMap is missing.
	if got := valueOf(t, agent.Args, "metadata"); got != "owner=ml-ops" {
		t.Errorf("--metadata=%s", got)
	}
}

func TestWithoutALoggerTheModelIsServedAsItIs(t *testing.T) {
	is := defaulted(Seed(WithoutLogger(), WithPort("h2c", 9000), WithModel(func(c *corev1.Container) {
		c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/ready"}}}
		c.LivenessProbe = c.ReadinessProbe.DeepCopy()
	})))
	service := MakeService(predictor(is), "hash", Applied{})
	want := *is.Spec.Predictor.PodSpec.DeepCopy()
	want.EnableServiceLinks = ptr.Bool(false)
	if diff := cmp.Diff(want, service.Spec.Template.Spec.PodSpec); diff != "" {
		t.Errorf("(-want, +got): %s", diff)
	}
	if diff := cmp.Diff(map[string]string{"serving.kubeflow.org/owner-hash": "hash"}, service.Annotations); diff != "" {
		t.Errorf("annotations (-want, +got): %s", diff)
	}
}

func TestThePredictorsLimitsReachTheTemplate(t *testing.T) {
	service := made(Seed(WithReplicas(1, 3), WithScale(50, v1beta1.ScaleByRPS), WithTimeout(60), WithPredictor(func(p *v1beta1.PredictorSpec) {
		p.ContainerConcurrency, p.ResponseStartTimeoutSeconds, p.IdleTimeoutSeconds = ptr.Int64(4), ptr.Int64(50), ptr.Int64(40)
		p.ServiceAccountName, p.EnableServiceLinks = "trainer", ptr.Bool(true)
	})))
	spec := service.Spec.Template.Spec
	if *spec.ContainerConcurrency != 4 || *spec.TimeoutSeconds != 60 || *spec.ResponseStartTimeoutSeconds != 50 || *spec.IdleTimeoutSeconds != 40 {
		t.Errorf("the limits got lost: %+v", spec)
	}
	if spec.ServiceAccountName != "trainer" || !*spec.EnableServiceLinks {
		t.Errorf("the Pod's own fields got lost: %+v", spec)
	}
	want := map[string]string{
		"autoscaling.knative.dev/min-scale": "1", "autoscaling.knative.dev/max-scale": "3", "version": "v2.1.0",
		"autoscaling.knative.dev/target": "50", "autoscaling.knative.dev/metric": "rps",
	}
	if diff := cmp.Diff(want, service.Spec.Template.Annotations); diff != "" {
		t.Errorf("annotations (-want, +got): %s", diff)
	}
	spec = made(Seed()).Spec.Template.Spec
	if spec.ContainerConcurrency != nil || spec.TimeoutSeconds != nil || spec.ResponseStartTimeoutSeconds != nil || spec.IdleTimeoutSeconds != nil {
		t.Errorf("limits that nobody set: %+v", spec)
	}
}

func TestAnnotationsAndLabelsGoWhereKnativeReadsThem(t *testing.T) {
	const nowhere, template, service = "nowhere", "the template", "the Knative Service"
	has := func(annotations map[string]string, key string) bool { _, found := annotations[key]; return found }
	for key, want := range map[string]string{
		"autoscaling.knative.dev/target":                             template,
		"autoscaling.knative.dev/class":                              template,
		"queue.sidecar.serving.knative.dev/cpu-resource-request":     template,
		"features.knative.dev/http-full-duplex":                      template,
		"serving.knative.dev/progress-deadline":                      template,
		"serving.knative.dev/rollout-duration":                       service,
		"serving.knative.dev/creator":                                nowhere,
		"serving.knative.dev/other":                                  nowhere,
		"team":                                                       nowhere, // listed
		"note":                                                       template,
		"cluster-autoscaler.kubernetes.io/safe-to-evict":             template,
		"serving.kserve.io/enable-prometheus-scraping":               nowhere,
		"internal.serving.kserve.io/logger":                          nowhere,
		"deployment.kubernetes.io/revision":                          nowhere,
		"internal.config.kubernetes.io/path":                         nowhere,
		"meta.helm.sh/release-name":                                  nowhere,
		"kustomize.toolkit.fluxcd.io/checksum":                       nowhere,
		"nothelm.sh/note":                                            template,
		"kubectl.kubernetes.io/last-applied-configuration":           nowhere,
		"notautoscaling.knative.dev/target":                          nowhere,
		"autoscaling.knative.dev":                                    template,
		"serving.kubeflow.org/autoscalerClass":                       nowhere,
		"networking.knative.dev/visibility":                          nowhere,
		"sidecar.istio.io/inject":                                    template,
		"client.knative.dev/user-image":                              nowhere,
		"argocd.argoproj.io/tracking-id":                             nowhere,
		"serving.kubeflow.org/in-force-of-somebody-else":             nowhere,
		"features.knative.dev.example.com/podspec-init-containers":   template,
		"queue.sidecar.serving.knative.dev.example.com/cpu-resource": template,
	} {
		made := made(Seed(WithAnnotation(key, "value")))
		got := nowhere
		switch {
		case has(made.Spec.Template.Annotations, key) && has(made.Annotations, key):
			got = "both"
		case has(made.Spec.Template.Annotations, key):
			got = template
		case has(made.Annotations, key):
			got = service
		}
		if got != want {
			t.Errorf("annotation %s goes to %s, want %s", key, got, want)
		}
	}
	for key, want := range map[string]string{
		"networking.knative.dev/visibility": service,
		"app.kubernetes.io/name":            template,
		"team":                              template,
		"kueue.x-k8s.io/queue-name":         template,
		"helm.sh/chart":                     nowhere,
		"argocd.argoproj.io/instance":       nowhere,
		"serving.kserve.io/x":               nowhere,
	} {
		made := made(Seed(WithLabel(key, "cluster-local")))
		got := nowhere
		switch {
		case has(made.Spec.Template.Labels, key):
			got = template
		case has(made.Labels, key):
			got = service
		}
		if got != want {
			t.Errorf("label %s goes to %s, want %s", key, got, want)
		}
	}
	// Ours can't be set from outside.
	for _, key := range []string{"serving.kubeflow.org/in-force", "serving.kubeflow.org/owner-hash"} {
		if got := made(Seed(WithAnnotation(key, "forged"))).Annotations[key]; got == "forged" {
			t.Errorf("the owner forged %s", key)
		}
	}
	if got := made(Seed(WithLabel("serving.kubeflow.org/inferenceservice", "another"))).Labels["serving.kubeflow.org/inferenceservice"]; got != "my-model" {
		t.Errorf("the owner forged our label as %s", got)
	}
}

func TestMakeMetadata(t *testing.T) {
	is := defaulted(Seed(WithLogger(WithRefresh(v1beta1.RefreshLive))))
	got := MakeMetadata(predictor(is).Subject(), inForceFor(is).Metadata)
	want := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name: "my-model-predictor-default-metadata", Namespace: Namespace,
			Labels:          map[string]string{"serving.kubeflow.org/inferenceservice": "my-model", "serving.kubeflow.org/component": "predictor"},
			OwnerReferences: made(Seed()).OwnerReferences,
		},
		Data: map[string]string{"attributes.json": `{"owner":"ml-ops","team":"ai-platform"}`},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want, +got): %s", diff)
	}
}

// Builders get objects of an informer's cache, which others read.
func TestBuildersDoNotChangeTheirInput(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1beta1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	filler := fuzzer.FuzzerFor(
		fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, pkgfuzzer.Funcs, flatFilters),
		rand.NewSource(1), serializer.NewCodecFactory(scheme)).NilChance(0.3).NumElements(0, 3)
	for range 100 {
		is, live := &v1beta1.InferenceService{}, &servingv1.Service{}
		var applied Applied
		filler.Fill(is)
		filler.Fill(live)
		filler.Fill(&applied)
		for _, pair := range applied.Sinks {
			if pair.Sink != nil && pair.Sink.Address.URL == nil {
				pair.Sink.Address.URL = &apis.URL{}
			}
		}
		inputs := func() string { return string(mustMarshal([]any{is, live, applied})) }
		before := inputs()
		service := MakeService(predictor(is), "hash", applied)
		updated, _ := TakeOver(live, service, false)
		updated.SetDefaults(t.Context())
		MakeMetadata(predictor(is).Subject(), applied.Metadata)
		OwnerHash(predictor(is), applied.Metadata)
		_ = Validate(t.Context(), is)
		service.SetDefaults(t.Context())
		if diff := cmp.Diff(before, inputs()); diff != "" {
			t.Fatalf("(-before, +after): %s", diff)
		}
	}
}

// Kubernetes mounts no token for its API in a container that mounts something
// at that path.
func TestTheAgentHasNoTokenForTheKubernetesAPI(t *testing.T) {
	const path = "/var/run/secrets/kubernetes.io/serviceaccount"
	automount := WithPredictor(func(p *v1beta1.PredictorSpec) { p.AutomountServiceAccountToken = ptr.Bool(true) })
	for what, options := range map[string][]Option{
		"with a sink":      {automount},
		"with a spool":     {automount, WithLogger(WithSpool("1Gi"))},
		"with live values": {automount, WithLogger(WithRefresh(v1beta1.RefreshLive))},
	} {
		is := defaulted(Seed(options...))
		for _, applied := range []Applied{inForceFor(is), {Agent: agentSettings()}} {
			service := MakeService(predictor(is), "hash", applied)
			mounted := 0
			for _, mount := range agentOf(t, service).VolumeMounts {
				if mount.MountPath != path {
					continue
				}
				for _, volume := range service.Spec.Template.Spec.Volumes {
					if volume.Name == mount.Name && volume.EmptyDir != nil && mount.ReadOnly {
						mounted++
					}
				}
			}
			if mounted != 1 {
				t.Errorf("%s: %d empty volumes at %s, want one", what, mounted, path)
			}
			for _, container := range service.Spec.Template.Spec.Containers {
				for _, mount := range container.VolumeMounts {
					if container.Name != v1beta1.AgentContainerName && mount.MountPath == path {
						t.Errorf("%s: the model's token is hidden, too", what)
					}
				}
			}
		}
	}
}
