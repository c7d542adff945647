/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

const (
	lookupTimeout = 10 * time.Second
	syncTimeout   = 30 * time.Second
)

// lookup gives the attributes of the next event.
type lookup func(ctx context.Context) ([]metadata.Attribute, error)

// lookupSettings say which annotations of which InferenceService become
// attributes, and how they are looked up.
type lookupSettings struct {
	manner                       string
	server, authority, tokenFile string
	namespace, name              string
	annotations                  []string
	constant                     []string
}

// settingsOf reads the settings from an environment.
func settingsOf(get func(string) string) lookupSettings {
	return lookupSettings{
		manner:      get("LOOKUP"),
		server:      get("LOOKUP_SERVER"),
		authority:   get("LOOKUP_CA_FILE"),
		tokenFile:   get("LOOKUP_TOKEN_FILE"),
		namespace:   get("LOOKUP_NAMESPACE"),
		name:        get("LOOKUP_NAME"),
		annotations: strings.Fields(get("LOOKUP_ANNOTATIONS")),
		constant:    strings.Fields(get("LOOKUP_CONSTANT")),
	}
}

func (s lookupSettings) sources() []metadata.Source {
	sources := make([]metadata.Source, 0, len(s.annotations))
	for _, annotation := range s.annotations {
		sources = append(sources, metadata.Source{Attribute: metadata.DefaultName(annotation), Annotation: annotation})
	}
	return sources
}

// newLookup returns a lookup by its manner: "constant" looks nothing up, "get"
// asks the API server each time, "get-cached" lets the API server respond from
// its own cache, and "informer" watches the InferenceService.
func newLookup(ctx context.Context, group *sync.WaitGroup, s lookupSettings) (lookup, error) {
	switch s.manner {
	case "constant":
		return s.fromConstants()
	case "get":
		return s.fromServer(metav1.GetOptions{})
	case "get-cached":
		return s.fromServer(metav1.GetOptions{ResourceVersion: "0"})
	case "informer":
		return s.fromInformer(ctx, group)
	default:
		return nil, fmt.Errorf("no manner of lookup is named %q", s.manner)
	}
}

func (s lookupSettings) fromConstants() (lookup, error) {
	attributes := make([]metadata.Attribute, 0, len(s.constant))
	for _, argument := range s.constant {
		attribute, err := metadata.ParseArgument(argument)
		if err != nil {
			return nil, fmt.Errorf("constant attributes: %w", err)
		}
		attributes = append(attributes, attribute)
	}
	return func(context.Context) ([]metadata.Attribute, error) { return attributes, nil }, nil
}

var inferenceServices = schema.GroupVersionResource{Group: "serving.kubeflow.org", Version: "v1beta1", Resource: "inferenceservices"}

// client speaks to the API server as a pod does, with its service account's
// token. A QPS of -1 turns client-go's limit of 5 requests a second off, with
// which it could look up no more than 5 events a second.
func (s lookupSettings) client() (dynamic.Interface, error) {
	client, err := dynamic.NewForConfig(&rest.Config{
		Host:            s.server,
		BearerTokenFile: s.tokenFile,
		TLSClientConfig: rest.TLSClientConfig{CAFile: s.authority},
		QPS:             -1,
	})
	if err != nil {
		return nil, fmt.Errorf("setting up the client of the API server: %w", err)
	}
	return client, nil
}

func (s lookupSettings) fromServer(options metav1.GetOptions) (lookup, error) {
	client, err := s.client()
	if err != nil {
		return nil, err
	}
	of, sources := client.Resource(inferenceServices).Namespace(s.namespace), s.sources()
	return func(ctx context.Context) ([]metadata.Attribute, error) {
		found, err := of.Get(ctx, s.name, options)
		if err != nil {
			return nil, fmt.Errorf("looking up annotations: %w", err)
		}
		attributes, _ := metadata.Select(metadata.Object{Annotations: found.GetAnnotations()}, sources)
		return attributes, nil
	}, nil
}

// fromInformer watches one InferenceService, not those of the whole namespace.
func (s lookupSettings) fromInformer(ctx context.Context, group *sync.WaitGroup) (lookup, error) {
	client, err := s.client()
	if err != nil {
		return nil, err
	}
	factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(client, 0, s.namespace, func(options *metav1.ListOptions) {
		options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, s.name).String()
	})
	informer := factory.ForResource(inferenceServices)
	hasSynced := informer.Informer().HasSynced
	group.Go(func() { informer.Informer().Run(ctx.Done()) })
	waiting, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	if !cache.WaitForCacheSync(waiting.Done(), hasSynced) {
		return nil, errors.New("the informer has not synced in time")
	}
	of, sources := informer.Lister().ByNamespace(s.namespace), s.sources()
	return func(context.Context) ([]metadata.Attribute, error) {
		found, err := of.Get(s.name)
		if err != nil {
			return nil, fmt.Errorf("looking up annotations: %w", err)
		}
		attributes, _ := metadata.Select(metadata.Object{Annotations: found.(*unstructured.Unstructured).GetAnnotations()}, sources)
		return attributes, nil
	}, nil
}
