/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package resources

import (
	"errors"
	"fmt"
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
// name it. It returns what of the logger it leaves out, because the agent would
// refuse it, and an agent that doesn't start takes its model down.
func addAgent(is *v1beta1.InferenceService, pod *corev1.PodSpec, inForce InForce) (ignored []string) {
	owner := portOwner(pod.Containers)
	if owner < 0 {
		// Validation refuses it; an object from before it is shown to Serving as
		// it is, which says what is wrong.
		return nil
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
	settings, _ := agentSettingsOf(is, inForce)
	line := newAgentLine(owner)
	agentArguments(line, is, port, readiness, startup, inForce)
	arguments, ignored := line.accepted()

	agent := corev1.Container{
		Name:            v1beta1.AgentContainerName,
		Image:           inForce.Agent.Image,
		Args:            arguments,
		Env:             agentEnvironment(settings),
		Ports:           []corev1.ContainerPort{{Name: port.Name, ContainerPort: v1beta1.AgentPort}},
		Resources:       *settings.Resources.DeepCopy(),
		SecurityContext: restricted(),
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
		mountTrust(is, pod, &agent, inForce)
		mountToken(pod, &agent, deadLetterTokenVolume, deadLetterTokenDirectory, inForce.DeadLetterSink)
		mountSpool(pod, &agent, is.Spec.Predictor.Logger.Spool)
	}
	mount(pod, &agent, apiTokenDirectory, corev1.Volume{Name: noTokenVolume, VolumeSource: corev1.VolumeSource{
		EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: resource.NewQuantity(noTokenVolumeBytes, resource.BinarySI)},
	}})
	pod.Containers = append(pod.Containers, agent)
	return ignored
}

// NoAgent says why an InferenceService with a logger gets no agent, or is
// empty: the model would take the agent's port, and one of the two would not
// start.
func NoAgent(is *v1beta1.InferenceService) string {
	containers := is.Spec.Predictor.Containers
	owner := portOwner(containers)
	if owner < 0 {
		return ""
	}
	switch port := containers[owner].Ports[0].ContainerPort; port {
	case v1beta1.AgentPort, v1beta1.AgentAdminPort:
		return fmt.Sprintf("spec.predictor.containers[%d].ports[0].containerPort is %d, a port of the agent's: let the model listen on another one", owner, port)
	default:
		return ""
	}
}

// portOwner gives the index of the container that serves the model, or a
// negative number.
func portOwner(containers []corev1.Container) int {
	return slices.IndexFunc(containers, func(c corev1.Container) bool { return len(c.Ports) > 0 })
}

// restricted is what the restricted Pod security standard asks of a
// container, whatever the pod's own containers may do. The pod, the image or
// the platform names the user: OpenShift refuses a number that is outside of
// the namespace's range.
func restricted() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: ptr.Bool(false),
		ReadOnlyRootFilesystem:   ptr.Bool(true),
		RunAsNonRoot:             ptr.Bool(true),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

// mountToken gives the agent a token for a sink that wants one.
func mountToken(pod *corev1.PodSpec, agent *corev1.Container, volume, directory string, sink *Sink) {
	audience := sink.audience()
	if audience == "" {
		return
	}
	mount(pod, agent, directory, corev1.Volume{Name: volume, VolumeSource: corev1.VolumeSource{
		Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{
			ServiceAccountToken: &corev1.ServiceAccountTokenProjection{
				Audience:          audience,
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

func agentArguments(line *agentLine, is *v1beta1.InferenceService, port corev1.ContainerPort, readiness, startup *corev1.Probe, inForce InForce) {
	logger := is.Spec.Predictor.Logger
	argument, ignore := line.argument, line.ignore
	settings, errs := agentSettingsOf(is, inForce)
	if errs != nil {
		ignore("resources", errs)
	}
	maxPayloadBytes := settings.MaxPayloadBytes
	if own := logger.MaxPayloadBytes; own != nil {
		if *own < 1 || *own > v1beta1.GreatestMaxPayloadBytes {
			ignore("maxPayloadBytes", fmt.Errorf("it is %d: write from 1 to %d", *own, v1beta1.GreatestMaxPayloadBytes))
		} else {
			maxPayloadBytes = *own
		}
	}
	if refresh := logger.MetadataRefresh; refresh != v1beta1.RefreshByRevision && refresh != v1beta1.RefreshLive {
		ignore("metadataRefresh", fmt.Errorf("%q is not supported: write %s or %s", refresh, v1beta1.RefreshByRevision, v1beta1.RefreshLive))
	}

	argument("port", strconv.Itoa(int(v1beta1.AgentPort)))
	argument("admin-port", strconv.Itoa(int(v1beta1.AgentAdminPort)))
	argument("target", "http://127.0.0.1:"+strconv.Itoa(int(port.ContainerPort)))
	argument("source", is.ServiceName(v1beta1.PredictorComponent))
	argument("inference-service", is.Name)
	argument("namespace", is.Namespace)
	argument("component", string(v1beta1.PredictorComponent))
	argument("mode", string(logger.Mode))
	if events := selectedEvents(logger, ignore); len(events) > 0 {
		argument("events", strings.Join(events, ","))
	}
	var paths inference.Paths
	for i, pattern := range logger.Paths {
		if err := paths.Add(pattern); err != nil {
			ignore(fmt.Sprintf("paths[%d]", i), err)
		} else {
			argument("paths", pattern)
		}
	}
	if logger.ContentMode != "" {
		argument("content-mode", string(logger.ContentMode))
	}
	argument("max-payload-bytes", strconv.FormatInt(maxPayloadBytes, 10))
	argument("buffer-bytes", strconv.FormatInt(max(settings.BufferBytes, maxPayloadBytes), 10))
	if settings.MaxExchanges > 0 {
		// An agent from before there was a bound doesn't know the argument.
		argument("max-exchanges", strconv.FormatInt(settings.MaxExchanges, 10))
	}
	if readiness != nil {
		argument("readiness-probe", probeJSON(readiness))
	}
	if startup != nil {
		argument("startup-probe", probeJSON(startup))
		if !inForce.MultiContainerProbing {
			line.ignoreOfModel("startupProbe.failureThreshold", errors.New("the agent runs the probe and can't restart the model: "+
				"have "+featureMultiContainerProbing+" set to enabled in Knative Serving's ConfigMap config-features, and change the specification then"))
		}
	}
	if sink := inForce.Sink; sink != nil {
		option := func(name, value string) { argument("sink.default."+name, value) }
		if url := sink.Address.URL; url != nil {
			argument("sink", url.String())
		}
		addSinkFiles(option, sink, sinkTrustDirectory, trustDirectory+"/"+sinkAddressFile, tokenDirectory)
		if domain, needed := clusterDomain(inForce); needed {
			argument("cluster-domain", domain)
		}
		addDelivery(option, ignore, logger.Delivery, inForce.DeadLetterSink)
		addSpool(option, ignore, logger.Spool)
	}
	addTelemetry(argument, inForce.Observability)
	for _, attribute := range inForce.Metadata {
		argument("metadata", attribute.Argument())
	}
	if logger.MetadataRefresh == v1beta1.RefreshLive {
		argument("metadata-dir", metadataDirectory)
	}
}

// selectedEvents gives each kind of event that is listed, once.
func selectedEvents(logger *v1beta1.LoggerSpec, ignore func(field string, why error)) (events []string) {
	for i, kind := range logger.Events {
		switch {
		case !slices.Contains(v1beta1.EventKinds, kind):
			ignore(fmt.Sprintf("events[%d]", i), fmt.Errorf("%q is no kind of event", kind))
		case !slices.Contains(events, kind):
			events = append(events, kind)
		}
	}
	return events
}

// addSinkFiles gives the options of a sink for what is mounted.
func addSinkFiles(option func(name, value string), sink *Sink, trustDirectory, addressFile, tokenDirectory string) {
	if sink.Key != "" {
		option("address-file", addressFile)
	}
	option("ca-certs-dir", trustDirectory)
	if audience := sink.audience(); audience != "" {
		option("token-file", tokenDirectory+"/"+tokenFile)
		if sink.Key != "" {
			option("token-audience", audience)
		}
	}
}

// clusterDomain gives the cluster's DNS domain where a token goes by it, and
// none that an agent would refuse: its default holds then.
func clusterDomain(inForce InForce) (domain string, needed bool) {
	domain = strings.ToLower(strings.TrimSuffix(network.GetClusterDomainName(), "."))
	sendsToken := inForce.Sink.audience() != "" || inForce.DeadLetterSink.audience() != ""
	return domain, sendsToken && len(validation.IsDNS1123Subdomain(domain)) == 0
}
