/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package resources

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"knative.dev/pkg/network"
	"knative.dev/pkg/ptr"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/inference"
)

const (
	metadataVolume    = v1beta1.ReservedNamePrefix + "metadata"
	metadataDirectory = "/etc/sidenote/metadata"
	tokenVolume       = v1beta1.ReservedNamePrefix + "sink-token"
	tokenDirectory    = "/var/run/sidenote/sink"
	tokenFile         = "token"

	deadLetterTokenVolume    = v1beta1.ReservedNamePrefix + "dead-letter-token"
	deadLetterTokenDirectory = "/var/run/sidenote/dead-letter"

	// noTokenVolume is an empty one over the directory where Kubernetes mounts a
	// token for its API. Kubernetes leaves out a container that mounts something
	// there, and the agent has no use for that API.
	noTokenVolume      = v1beta1.ReservedNamePrefix + "no-token"
	apiTokenDirectory  = "/var/run/secrets/kubernetes.io/serviceaccount"
	noTokenVolumeBytes = 1 << 20

	// tokenLifetimeSeconds is Kubernetes' own default; the kubelet renews the
	// file at four fifths of it.
	tokenLifetimeSeconds = 3600
)

// addAgent puts the agent in front of the model: it takes the model's port
// and probes, and the model keeps listening without declaring it. The agent
// comes last, so that every other container keeps its index, by which errors
// name it.
func addAgent(is *v1beta1.InferenceService, pod *corev1.PodSpec, inForce InForce) {
	owner := portOwner(pod.Containers)
	if owner < 0 {
		// Validation refuses it; an object from before it is shown to Serving as
		// it is, which says what is wrong.
		return
	}
	model := &pod.Containers[owner]
	port := model.Ports[0]
	if port.ContainerPort == 0 {
		// As Serving has it.
		port.ContainerPort = v1beta1.DefaultPort
	}
	model.Ports = nil
	if !slices.ContainsFunc(model.Env, func(env corev1.EnvVar) bool { return env.Name == "PORT" }) {
		model.Env = append(model.Env, corev1.EnvVar{Name: "PORT", Value: strconv.Itoa(int(port.ContainerPort))})
	}
	resolvePorts(pod.Containers, owner, port)
	readiness, startup := agentProbes(model, port, inForce.MultiContainerProbing)
	settings := agentSettingsOf(is, inForce)

	agent := corev1.Container{
		Name:            v1beta1.AgentContainerName,
		Image:           inForce.Agent.Image,
		Args:            agentArguments(is, port, readiness, startup, inForce),
		Env:             agentEnvironment(settings),
		Ports:           []corev1.ContainerPort{{Name: port.Name, ContainerPort: v1beta1.AgentPort}},
		Resources:       *settings.Resources.DeepCopy(),
		SecurityContext: agentSecurity(pod.SecurityContext),
		ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
			HTTPGet: &corev1.HTTPGetAction{Path: "/readyz", Port: intstr.FromInt32(v1beta1.AgentAdminPort)},
		}},
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
	if is.Spec.Predictor.Logger.MetadataRefresh == v1beta1.RefreshLive {
		mount(pod, &agent, metadataDirectory, corev1.Volume{Name: metadataVolume, VolumeSource: corev1.VolumeSource{
			ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: corev1.LocalObjectReference{Name: is.MetadataName(v1beta1.PredictorComponent)},
				Optional:             ptr.Bool(true),
			},
		}})
	}
	mountToken(pod, &agent, tokenVolume, tokenDirectory, inForce.Sink)
	if inForce.Sink != nil {
		mountTrust(is, pod, &agent)
		mountToken(pod, &agent, deadLetterTokenVolume, deadLetterTokenDirectory, inForce.DeadLetterSink)
		mountSpool(pod, &agent, is.Spec.Predictor.Logger.Spool)
	}
	mount(pod, &agent, apiTokenDirectory, corev1.Volume{Name: noTokenVolume, VolumeSource: corev1.VolumeSource{
		EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: resource.NewQuantity(noTokenVolumeBytes, resource.BinarySI)},
	}})
	pod.Containers = append(pod.Containers, agent)
}

// portOwner gives the index of the container that serves the model, or a
// negative number.
func portOwner(containers []corev1.Container) int {
	return slices.IndexFunc(containers, func(c corev1.Container) bool { return len(c.Ports) > 0 })
}

// restricted is what the restricted Pod security standard asks of a
// container, whatever the pod's own containers may do.
func restricted() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: ptr.Bool(false),
		ReadOnlyRootFilesystem:   ptr.Bool(true),
		RunAsNonRoot:             ptr.Bool(true),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

// agentUser is the user of the agent's image, and its group.
const agentUser = 65532

// agentSecurity gives the agent a user of its own where the pod's is root,
// which a container that must not be root could not start as. Elsewhere the
// pod, the image or the platform names the user: OpenShift refuses a number
// that is outside of the namespace's range.
func agentSecurity(pod *corev1.PodSecurityContext) *corev1.SecurityContext {
	security := restricted()
	if pod != nil && pod.RunAsUser != nil && *pod.RunAsUser == 0 {
		security.RunAsUser, security.RunAsGroup = ptr.Int64(agentUser), ptr.Int64(agentUser)
	}
	return security
}

// mountToken gives the agent a token for a sink that wants one.
func mountToken(pod *corev1.PodSpec, agent *corev1.Container, volume, directory string, sink *Sink) {
	if sink == nil || sink.Address.Audience == nil {
		return
	}
	mount(pod, agent, directory, corev1.Volume{Name: volume, VolumeSource: corev1.VolumeSource{
		Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{
			ServiceAccountToken: &corev1.ServiceAccountTokenProjection{
				Audience:          *sink.Address.Audience,
				ExpirationSeconds: ptr.Int64(tokenLifetimeSeconds),
				Path:              tokenFile,
			},
		}}},
	}})
}

func mount(pod *corev1.PodSpec, container *corev1.Container, path string, volume corev1.Volume) {
	pod.Volumes = append(pod.Volumes, volume)
	container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{
		Name: volume.Name, MountPath: path, ReadOnly: true,
	})
}

func agentArguments(is *v1beta1.InferenceService, port corev1.ContainerPort, readiness, startup *corev1.Probe, inForce InForce) []string {
	logger := is.Spec.Predictor.Logger
	settings := agentSettingsOf(is, inForce)
	maxPayloadBytes := settings.MaxPayloadBytes
	if logger.MaxPayloadBytes != nil {
		maxPayloadBytes = *logger.MaxPayloadBytes
	}
	var arguments []string
	argument := func(name, value string) { arguments = append(arguments, "--"+name+"="+literal(value)) }

	argument("port", strconv.Itoa(int(v1beta1.AgentPort)))
	argument("admin-port", strconv.Itoa(int(v1beta1.AgentAdminPort)))
	argument("target", "http://127.0.0.1:"+strconv.Itoa(int(port.ContainerPort)))
	argument("source", is.ServiceName(v1beta1.PredictorComponent))
	argument("inference-service", is.Name)
	argument("namespace", is.Namespace)
	argument("component", string(v1beta1.PredictorComponent))
	argument("mode", string(logger.Mode))
	if len(logger.Events) > 0 {
		argument("events", strings.Join(logger.Events, ","))
	}
	var paths inference.Paths
	for _, pattern := range logger.Paths {
		// One that no webhook saw must not keep the agent from starting.
		if paths.Add(pattern) == nil {
			argument("paths", pattern)
		}
	}
	if logger.ContentMode != "" {
		argument("content-mode", string(logger.ContentMode))
	}
	argument("max-payload-bytes", strconv.FormatInt(maxPayloadBytes, 10))
	argument("buffer-bytes", strconv.FormatInt(max(settings.BufferBytes, maxPayloadBytes), 10))
	if readiness != nil {
		argument("readiness-probe", probeJSON(readiness))
	}
	if startup != nil {
		argument("startup-probe", probeJSON(startup))
	}
	if sink := inForce.Sink; sink != nil {
		argument("sink", sink.Address.URL.String())
		option := func(name, value string) { argument("sink.default."+name, value) }
		option("ca-certs-dir", sinkTrustDirectory)
		if sink.Address.Audience != nil {
			option("token-file", tokenDirectory+"/"+tokenFile)
		}
		if domain, needed := clusterDomain(inForce); needed {
			argument("cluster-domain", domain)
		}
		addDelivery(option, logger.Delivery, inForce.DeadLetterSink)
		addSpool(option, logger.Spool)
	}
	addTelemetry(argument, inForce.Observability)
	for _, attribute := range inForce.Metadata {
		argument("metadata", attribute.Argument())
	}
	if logger.MetadataRefresh == v1beta1.RefreshLive {
		argument("metadata-dir", metadataDirectory)
	}
	return arguments
}

// clusterDomain gives the cluster's DNS domain where a token goes by it, and
// none that an agent would refuse: its default holds then.
func clusterDomain(inForce InForce) (domain string, needed bool) {
	domain = strings.ToLower(strings.TrimSuffix(network.GetClusterDomainName(), "."))
	letters := inForce.DeadLetterSink
	sendsToken := inForce.Sink.Address.Audience != nil || (letters != nil && letters.Address.Audience != nil)
	return domain, sendsToken && len(validation.IsDNS1123Subdomain(domain)) == 0
}

// literal escapes what the kubelet would expand in an argument: "$$" is a
// dollar sign, "$(NAME)" a variable.
func literal(value string) string { return strings.ReplaceAll(value, "$", "$$") }
