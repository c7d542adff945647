/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	servingconfig "knative.dev/serving/pkg/apis/config"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	"sigs.k8s.io/yaml"

	. "github.com/sidenote-dev/sidenote/internal/testing/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// earlierRelease has, in a directory each, InferenceServices and their Knative
// Services as the last release wrote them that knew no address files, no
// versioned hash and no bound of exchanges. An upgrade must keep their
// templates, so they are never regenerated.
const earlierRelease = "testdata/without-address-files"

var (
	channels    = schema.GroupVersionResource{Group: "messaging.knative.dev", Version: "v1", Resource: "channels"}
	kubeService = schema.GroupVersionResource{Version: "v1", Resource: "services"}
)

func readManifest(t *testing.T, object any, path ...string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{earlierRelease}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, object); err != nil {
		t.Fatal(err)
	}
}

// upgraded is the world in which the earlier release ran, with this controller.
func upgraded(t *testing.T, name string) *world {
	t.Helper()
	is, service := &v1beta1.InferenceService{}, &servingv1.Service{}
	readManifest(t, is, name, "inferenceservice.yaml")
	readManifest(t, service, name, "service.yaml")
	w := newWorld(t, is)
	w.put(w.services, service)
	w.sinksOfTheEarlierRelease()
	return w
}

func (w *world) sinksOfTheEarlierRelease() {
	w.appear(brokers, "default", ingress("default"))
	w.appear(brokers, "other", ingress("other"))
	letters := ingress("letters")
	name := "http"
	letters.Name = &name
	w.appear(brokers, "letters", letters)
	secured := ingressWithAudience("secured")
	authority := Authority("eventing", 0)
	secured.URL.Scheme, secured.CACerts = "https", &authority
	w.appear(brokers, "secured", secured)
	w.appear(channels, "a", asking("channel", "messaging.knative.dev/inmemorychannel/models/a"))
	if _, _, err := w.Get(w.ctx, kubeService); err != nil {
		w.t.Fatal(err)
	}
	w.put(w.sinks[kubeService], &duckv1.AddressableType{ObjectMeta: metav1.ObjectMeta{Name: "collector", Namespace: Namespace}})
}

// platformChanges are what others than the owner change. A sink's address is
// not among them: the agent of an earlier release has it in its arguments
// alone.
var platformChanges = []struct {
	name string
	make func(*rand.Rand, *world)
}{
	{"nothing", func(*rand.Rand, *world) {}},
	{"the agent's image", func(r *rand.Rand, w *world) { w.config.Agent.Image = fmt.Sprintf("agent:v%d", r.Intn(100)) }},
	{"the agent's memory", func(r *rand.Rand, w *world) {
		w.config.Agent.GoMemoryLimit, w.config.Agent.BufferBytes = fmt.Sprintf("%dMiB", 64+r.Intn(100)), 1<<20+r.Int63n(1<<25)
	}},
	{"the agent's bound of exchanges", func(r *rand.Rand, w *world) { w.config.Agent.MaxExchanges = 8 + r.Int63n(1000) }},
	{"the agent's payload", func(r *rand.Rand, w *world) { w.config.Agent.MaxPayloadBytes = 1 + r.Int63n(1<<20) }},
	{"the agent's CPU", func(r *rand.Rand, w *world) {
		w.config.Agent.Resources = corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(fmt.Sprintf("%dm", 1+r.Intn(100)))}}
	}},
	{"metrics", func(_ *rand.Rand, w *world) {
		w.config.Observability.Metrics.Protocol, w.config.Observability.Metrics.Endpoint = "http/protobuf", "http://collector.monitoring:4318"
	}},
	{"the default sink", func(r *rand.Rand, w *world) {
		w.config.Logger.DefaultSink.Ref.Name = []string{"default", "other", "absent"}[r.Intn(3)]
	}},
	// One that no template sends. Another one makes a Revision without it.
	{"the denied annotations", func(_ *rand.Rand, w *world) {
		w.config.Logger.DeniedAnnotations = []string{"version"}
	}},
	{"the denied values", func(_ *rand.Rand, w *world) { w.deny("^no such value$") }},
	{"the allowed audiences", func(r *rand.Rand, w *world) {
		w.config.Logger.AllowedAudiences = [][]string{nil, {"mine"}, {"foreign"}}[r.Intn(3)]
	}},
	{"a trust bundle", func(r *rand.Rand, w *world) {
		w.put(w.bundles, TrustBundle("knative-eventing", "ca", map[string]string{"ca.crt": Authority(fmt.Sprint("ca", r.Intn(9)), 0)}))
	}},
	{"probing of several containers", func(r *rand.Rand, w *world) {
		w.multiContainerProbing([]servingconfig.Flag{servingconfig.Enabled, servingconfig.Disabled}[r.Intn(2)])
	}},
	{"sinks that go away", func(r *rand.Rand, w *world) {
		for _, name := range []string{"default", "letters", "secured", "other"} {
			if _, found, _ := w.sinks[brokers].GetByKey(Namespace + "/" + name); found && r.Intn(2) == 0 {
				w.disappear(brokers, name)
			}
		}
	}},
	{"sinks that come back", func(_ *rand.Rand, w *world) { w.sinksOfTheEarlierRelease() }},
	{"an unlisted annotation of a tool's", func(r *rand.Rand, w *world) {
		w.owner(WithAnnotation("kubectl.kubernetes.io/last-applied-configuration", fmt.Sprint(r.Intn(100))))
	}},
}

// movingSinks changes what a template of this release reads from a file.
func movingSinks(r *rand.Rand, w *world) {
	for _, name := range []string{"default", "letters", "secured", "other", "absent"} {
		address := ingress(fmt.Sprint(name, r.Intn(5)))
		if r.Intn(2) == 0 {
			own := "eventing.knative.dev/broker/models/" + name
			authority := Authority("eventing", 0)
			address.URL.Scheme, address.Audience, address.CACerts = "https", &own, &authority
		}
		w.appear(brokers, name, address)
	}
}

// An upgrade makes no Revision, nor does whatever the platform changes later.
// After the owner's own change even sinks may move.
func TestUpgradeCreatesNoRevision(t *testing.T) {
	directories, err := os.ReadDir(earlierRelease)
	if err != nil || len(directories) < 10 {
		t.Fatalf("%d directories, %v", len(directories), err)
	}
	for _, directory := range directories {
		t.Run(directory.Name(), func(t *testing.T) {
			for seed := range int64(4) {
				r := rand.New(rand.NewSource(seed))
				w := upgraded(t, directory.Name())
				before, revisions := w.service().Spec.DeepCopy(), w.revisions()
				history := []string{"upgrade"}
				for step := range 40 {
					written := w.settle()
					if w.revisions() != revisions || !equality.Semantic.DeepEqual(before, &w.service().Spec) {
						t.Fatalf("seed %d: after %q the template is another (-before, +after): %s", seed, history, cmp.Diff(before, &w.service().Spec))
					}
					if len(history) > 1 && slices.Contains(written, "update Knative Service") {
						t.Fatalf("seed %d: after %q the Knative Service is written", seed, history)
					}
					if step == 20 {
						w.owner(WithImage("model:v2"))
						w.settle()
						before, revisions = w.service().Spec.DeepCopy(), w.revisions()
						history = []string{"upgrade", "the owner's change"}
						if revisions != 2 {
							t.Fatalf("the owner's change makes %d Revisions", revisions-1)
						}
					}
					change := platformChanges[r.Intn(len(platformChanges))]
					switch {
					case step >= 20 && change.name == "the allowed audiences":
						// A token that is no longer allowed is taken away at once.
						change.name, change.make = "sinks that move", movingSinks
					case step >= 20 && change.name == "nothing":
						change.name, change.make = "sinks that move", movingSinks
					}
					history = append(history, change.name)
					change.make(r, w)
				}
			}
		})
	}
}
