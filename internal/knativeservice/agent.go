/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"knative.dev/pkg/network"
	"knative.dev/pkg/ptr"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

const (
	metadataVolume    = v1beta1.ReservedNamePrefix + "metadata"
	metadataDirectory = "/etc/sidenote/metadata"
	tokenFile         = "token"

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

// Inject puts the agent in front of the model: it takes the model's port
// and probes, and the model keeps listening without declaring it. The agent
// comes last, so that every other container keeps its index, by which errors
// name it. It returns what it changed, for Restore, and what of the logger it
// leaves out, because the agent would refuse it, and an agent that doesn't start
// takes its model down.
func Inject(pod *corev1.PodSpec, subject Subject, applied Applied) (original Original, ignored []string) {
	owner, port := served(pod.Containers)
	if owner < 0 {
		// Validation refuses it; an object from before it is shown to Serving as
		// it is, which says what is wrong.
		return Original{}, nil
	}
	bare := pod.DeepCopy()
	model := &pod.Containers[owner]
	model.Ports = nil
	if !hasPortVariable(model) {
		model.Env = append(model.Env, corev1.EnvVar{Name: portVariable, Value: strconv.Itoa(int(port.ContainerPort))})
	}
	resolvePorts(pod.Containers, owner, port)
	readiness, startup := agentProbes(model, port, applied.MultiContainerProbing)
	settings, _ := agentSettingsOf(subject.Logger, applied)
	args, ignored := draftAgent(subject, owner, port, readiness, startup, applied).args()

	agent := corev1.Container{
		Name:            v1beta1.AgentContainerName,
		Image:           applied.Agent.Image,
		Args:            args,
		Env:             agentEnvironment(settings),
		Ports:           []corev1.ContainerPort{{Name: port.Name, ContainerPort: v1beta1.AgentPort}},
		Resources:       *settings.Resources.DeepCopy(),
		SecurityContext: restricted(),
		ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
			HTTPGet: &corev1.HTTPGetAction{Path: "/readyz", Port: intstr.FromInt32(v1beta1.AgentAdminPort)},
		}},
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
	if subject.Logger.MetadataRefresh == v1beta1.RefreshLive {
		mount(pod, &agent, metadataDirectory, corev1.Volume{Name: metadataVolume, VolumeSource: corev1.VolumeSource{
			ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: corev1.LocalObjectReference{Name: subject.MetadataName},
				Optional:             ptr.Bool(true),
			},
		}})
	}
	mountSinks(pod, &agent, subject, applied)
	mount(pod, &agent, apiTokenDirectory, corev1.Volume{Name: noTokenVolume, VolumeSource: corev1.VolumeSource{
		EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: resource.NewQuantity(noTokenVolumeBytes, resource.BinarySI)},
	}})
	pod.Containers = append(pod.Containers, agent)
	return originalOf(bare, pod, owner), ignored
}

// NoAgent says why a component with a logger gets no agent, or is empty: the
// model would take the agent's port, and one of the two would not start.
func NoAgent(component Component) string {
	containers := component.Spec.Containers
	owner := portOwner(containers)
	if owner < 0 {
		return ""
	}
	switch port := containers[owner].Ports[0].ContainerPort; port {
	case v1beta1.AgentPort, v1beta1.AgentAdminPort:
		return fmt.Sprintf("%s.containers[%d].ports[0].containerPort is %d, a port of the agent's: let the model listen on another one", component.Type.Path(), owner, port)
	default:
		return ""
	}
}

// portOwner returns the index of the container that serves the model, or a
// negative number.
func portOwner(containers []corev1.Container) int {
	return slices.IndexFunc(containers, func(c corev1.Container) bool { return len(c.Ports) > 0 })
}

// served returns the index of the container that serves the model, and its
// port, or a negative index. A lone container serves without declaring a port,
// and a port without a number is the default one, as Serving has it.
func served(containers []corev1.Container) (owner int, port corev1.ContainerPort) {
	owner = portOwner(containers)
	switch {
	case owner >= 0:
		port = containers[owner].Ports[0]
	case len(containers) == 1:
		owner = 0
	}
	if port.ContainerPort == 0 {
		port.ContainerPort = v1beta1.DefaultPort
	}
	return owner, port
}

// ServedPort returns the port of the container that serves the model, or 0 if no
// container declares one.
func ServedPort(containers []corev1.Container) int32 {
	owner, port := served(containers)
	if owner < 0 {
		return 0
	}
	return port.ContainerPort
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

// mountSinks gives the agent what it reads and writes for its sinks: kind by kind,
// because another order would make a Revision.
func mountSinks(pod *corev1.PodSpec, agent *corev1.Container, subject Subject, applied Applied) {
	sinks := inTemplate(subject.Logger, applied)
	for _, sink := range sinks {
		mountToken(pod, agent, placeOfSink(sink.Name), sink.pair.Sink)
	}
	if len(sinks) > 0 {
		mountTrust(subject.TrustName, pod, agent, applied)
	}
	for _, sink := range sinks {
		mountToken(pod, agent, placeOfDeadLetterSink(sink.Name), sink.pair.DeadLetterSink)
		mountAuth(pod, agent, sink.EffectiveSink)
	}
	mountSpools(pod, agent, sinks)
}

// templateSink is a sink of a logger that the template has.
type templateSink struct {
	v1beta1.EffectiveSink
	pair AppliedPair
}

// inTemplate returns the sinks of a logger that the template has.
func inTemplate(logger *v1beta1.LoggerSpec, applied Applied) (sinks []templateSink) {
	for _, sink := range logger.EffectiveSinks() {
		if pair := applied.Pair(sink.Name); pair.Sink != nil {
			sinks = append(sinks, templateSink{sink, pair})
		}
	}
	return sinks
}

// mountToken gives the agent a token for a sink that wants one.
func mountToken(pod *corev1.PodSpec, agent *corev1.Container, at place, sink *AppliedSink) {
	audience := sink.audience()
	if audience == "" {
		return
	}
	mount(pod, agent, at.tokenDirectory, corev1.Volume{Name: at.tokenVolume, VolumeSource: corev1.VolumeSource{
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

// draftAgent collects what the agent is told: by the subject, and by what is in
// force.
func draftAgent(subject Subject, owner int, port corev1.ContainerPort, readiness, startup *corev1.Probe, applied Applied) *agentDraft {
	logger := subject.Logger
	draft := &agentDraft{loggerField: subject.LoggerField, modelField: fmt.Sprintf("%s[%d]", subject.ContainersField, owner)}
	settings, errs := agentSettingsOf(logger, applied)
	if errs != nil {
		draft.addOfLogger("resources", refuse(errs))
	}
	draft.add("metadata.name", func(c *agentconfig.Config) error {
		c.Port, c.AdminPort = agentconfig.DefaultPort, agentconfig.DefaultAdminPort
		c.Source, c.InferenceService = subject.Service, subject.InferenceService
		c.Namespace, c.Component = subject.Namespace, string(subject.Component)
		return nil
	})
	draft.addOfModel("ports", func(c *agentconfig.Config) error {
		c.Target = &url.URL{Scheme: "http", Host: "127.0.0.1:" + strconv.Itoa(int(port.ContainerPort))}
		return nil
	})
	draft.addOfLogger("mode", func(c *agentconfig.Config) error { c.Mode = agentconfig.Mode(logger.Mode); return nil })
	draft.addSelection(logger)
	draft.addOfLogger("contentMode", func(c *agentconfig.Config) error {
		c.ContentMode = agentconfig.ContentMode(logger.ContentMode)
		return nil
	})
	draft.addOfLogger("streams", func(c *agentconfig.Config) error { c.Streams = agentconfig.Streams(logger.Streams); return nil })
	draft.addSampling(logger)
	draft.addBudget(logger, settings)
	draft.addProbes(readiness, startup, applied.MultiContainerProbing)
	for _, sink := range inTemplate(logger, applied) {
		draft.addSink(sink, applied)
		draft.addContent(sink.EffectiveSink, logger)
		draft.addAuth(sink.EffectiveSink)
		draft.addDelivery(sink.EffectiveSink)
		draft.addDeadLetterSink(sink)
		draft.addSpool(sink.EffectiveSink)
	}
	unusable := logger.UnusableSinks()
	for _, i := range slices.Sorted(maps.Keys(unusable)) {
		draft.addOfLogger(fmt.Sprintf("sinks[%d].name", i), refuse(errors.New(unusable[i])))
	}
	draft.addOfLogger("metadataRefresh", func(c *agentconfig.Config) error {
		switch refresh := logger.MetadataRefresh; refresh {
		case v1beta1.RefreshByRevision:
		case v1beta1.RefreshLive:
			c.MetadataDir = metadataDirectory
		default:
			return fmt.Errorf("%q is not supported: write %s or %s", refresh, v1beta1.RefreshByRevision, v1beta1.RefreshLive)
		}
		return nil
	})
	for _, attribute := range applied.Metadata {
		draft.addOfLogger("metadata", func(c *agentconfig.Config) error { c.Metadata = append(c.Metadata, attribute); return nil })
	}
	for _, header := range applied.Headers {
		draft.addOfLogger("metadata", func(c *agentconfig.Config) error {
			c.MetadataHeaders = append(c.MetadataHeaders, header)
			return nil
		})
	}
	if len(applied.DeniedValues) > 0 {
		draft.addOfLogger("metadata", func(c *agentconfig.Config) error { c.DeniedValues = applied.DeniedValues; return nil })
	}
	draft.add("config-observability", func(c *agentconfig.Config) error { setTelemetry(c, applied.Observability); return nil })
	return draft
}

// addSelection adds which events are sent, and of which paths.
func (d *agentDraft) addSelection(logger *v1beta1.LoggerSpec) {
	for i, text := range logger.Events {
		d.addOfLogger(fmt.Sprintf("events[%d]", i), func(c *agentconfig.Config) error {
			kind, err := agentconfig.ParseKind(text)
			if err == nil && !slices.Contains(c.Events, kind) {
				c.Events = append(c.Events, kind)
			}
			return err
		})
	}
	for i, pattern := range logger.Paths {
		d.addOfLogger(fmt.Sprintf("paths[%d]", i), func(c *agentconfig.Config) error { return c.Paths.Add(pattern) })
	}
}

// addBudget adds how much the agent holds.
func (d *agentDraft) addBudget(logger *v1beta1.LoggerSpec, settings *config.Agent) {
	d.addOfLogger("resources", func(c *agentconfig.Config) error {
		c.MaxPayloadBytes, c.BufferBytes = settings.MaxPayloadBytes, max(settings.BufferBytes, settings.MaxPayloadBytes)
		if settings.MaxExchanges > 0 {
			// An agent from before there was a bound doesn't know the argument.
			c.MaxExchanges = &settings.MaxExchanges
		}
		return nil
	})
	if own := logger.MaxPayloadBytes; own != nil {
		d.addOfLogger("maxPayloadBytes", func(c *agentconfig.Config) error {
			if *own < 1 || *own > v1beta1.GreatestMaxPayloadBytes {
				return fmt.Errorf("it is %d: write from 1 to %d", *own, v1beta1.GreatestMaxPayloadBytes)
			}
			c.MaxPayloadBytes, c.BufferBytes = *own, max(settings.BufferBytes, *own)
			return nil
		})
	}
}

// addProbes adds the probes that the agent runs.
func (d *agentDraft) addProbes(readinessProbe, startupProbe *corev1.Probe, multiContainerProbing bool) {
	if readinessProbe != nil {
		d.addOfModel(readyToServe, func(c *agentconfig.Config) (err error) {
			c.ReadinessProbe, err = agentProbe(readinessProbe)
			return err
		})
	}
	if startupProbe != nil {
		d.addOfModel(startup, func(c *agentconfig.Config) (err error) { c.StartupProbe, err = agentProbe(startupProbe); return err })
		if !multiContainerProbing {
			d.addOfModel(startup+".failureThreshold", refuse(errors.New("the agent runs the probe and can't restart the model: "+
				"set "+featureMultiContainerProbing+" to enabled in Knative Serving's ConfigMap config-features, and change the specification then")))
		}
	}
}

// addSink adds where events go, and what is mounted for it.
func (d *agentDraft) addSink(sink templateSink, applied Applied) {
	where, field := sink.pair.Sink, sink.Field("sink")
	if url := where.Address.URL; url != nil {
		d.addOfLogger(field, func(c *agentconfig.Config) error {
			c.Sinks = append(c.Sinks, agentconfig.Sink{Name: sink.Name, URL: url.URL()})
			return nil
		})
	}
	d.addOfLogger(field, func(c *agentconfig.Config) error {
		if namedSink(c, sink.Name) == nil && where.Key != "" {
			c.Sinks = append(c.Sinks, agentconfig.Sink{Name: sink.Name})
		}
		if to := namedSink(c, sink.Name); to != nil {
			setFiles(to, where, placeOfSink(sink.Name))
		}
		if domain, needed := clusterDomain(applied); needed {
			c.ClusterDomain = domain
		}
		return nil
	})
}

// namedSink returns the sink of a name, or nil.
func namedSink(c *agentconfig.Config, name string) *agentconfig.Sink {
	for i := range c.Sinks {
		if c.Sinks[i].Name == name {
			return &c.Sinks[i]
		}
	}
	return nil
}

// setFiles names what is mounted for a sink.
func setFiles(to *agentconfig.Sink, sink *AppliedSink, at place) {
	to.CACertsDir = trustDirectory + "/" + at.trust
	if sink.Key != "" {
		to.AddressFile = trustDirectory + "/" + at.address
	}
	if audience := sink.audience(); audience != "" {
		to.TokenFile = at.tokenDirectory + "/" + tokenFile
		if sink.Key != "" {
			to.TokenAudience = audience
		}
	}
}

// addContent adds what a sink gets, where it isn't what the logger says for all.
func (d *agentDraft) addContent(sink v1beta1.EffectiveSink, logger *v1beta1.LoggerSpec) {
	if sink.Mode != logger.Mode {
		d.addOfSink(sink, "mode", func(s *agentconfig.Sink) error { s.Mode = agentconfig.Mode(sink.Mode); return nil })
	}
	if !slices.Equal(sink.Events, logger.Events) {
		for i, text := range sink.Events {
			d.addOfSink(sink, fmt.Sprintf("events[%d]", i), func(s *agentconfig.Sink) error {
				kind, err := agentconfig.ParseKind(text)
				if err == nil && !slices.Contains(s.Events, kind) {
					s.Events = append(s.Events, kind)
				}
				return err
			})
		}
	}
	if sink.Profile != "" {
		d.addOfSink(sink, "profile", func(s *agentconfig.Sink) error { s.Profile = agentconfig.Profile(sink.Profile); return nil })
	}
	if sink.Filter != nil {
		d.addOfSink(sink, "filter", func(s *agentconfig.Sink) error { s.Filter = string(mustMarshal(sink.Filter)); return nil })
	}
}

// clusterDomain returns the cluster's DNS domain where a token goes by it, and
// none that an agent would refuse: its default holds then.
func clusterDomain(applied Applied) (domain string, needed bool) {
	domain = strings.ToLower(strings.TrimSuffix(network.GetClusterDomainName(), "."))
	sendsToken := slices.ContainsFunc(applied.Sinks, func(p AppliedPair) bool {
		return p.Sink.audience() != "" || p.DeadLetterSink.audience() != ""
	})
	return domain, sendsToken && len(validation.IsDNS1123Subdomain(domain)) == 0
}
