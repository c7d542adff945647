/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package metrics

import (
	"fmt"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agent/status"
)

// Metric describes one metric. The table of metrics is its only definition: the
// instruments take unit and help from it, and docs/reference/metrics.md is
// generated from it.
type Metric struct {
	// Name is OpenTelemetry's, and Prometheus is the name at /metrics.
	Name, Prometheus string
	// Unit is OpenTelemetry's, in UCUM. Empty if the metric has none.
	Unit   string
	Labels []Label
	// Help says in one sentence what the metric counts or measures.
	Help string
	// Note is more about it, for the reference only. May be empty.
	Note string
	// Alert says when to alert on it. May be empty.
	Alert string

	// as makes the instrument that observes what read tells. Both are nil if the
	// metric is recorded elsewhere.
	as   func(*instruments, Metric) observer
	read reading
}

// Label is a label of a metric.
type Label struct {
	Name string
	// Values is the closed set of values, or empty if the set depends on the
	// agent's arguments.
	Values []string
}

var (
	bySink   = []Label{{Name: "sink"}}
	byReason = []Label{{Name: "sink"}, {Name: "reason", Values: names(ledger.Reasons())}}
)

func names[T ~string](values []T) []string {
	all := make([]string, 0, len(values))
	for _, value := range values {
		all = append(all, string(value))
	}
	return all
}

var table = []Metric{
	{
		Name: "sidenote.events.observed", Prometheus: "sidenote_events_observed_total", Unit: "{event}", Labels: bySink,
		Help: "Events of selected kinds.",
		Note: "At every instant, observed + recovered = delivered + dropped + dead-lettered + pending.",
		as:   counter, read: ofSinks(func(s delivery.SinkStatus) uint64 { return s.Observed }),
	},
	{
		Name: "sidenote.events.skipped", Prometheus: "sidenote_events_skipped_total", Unit: "{event}",
		Labels: []Label{{Name: "kind", Values: []string{
			"request", "response", "stream", "request.failure", "response.failure", "request.oversize", "response.oversize",
			"request.encoded", "response.encoded", "tunnel", "loop",
		}}},
		Help: "Events of kinds that no sink selects, by kind.",
		Note: "`logger.events` doesn't name the kind, or `mode` excludes its side ([rule](../event-contract.md#what-a-subscriber-can-count)).",
		as:   counter, read: by("kind", func(s *status.Status) map[string]uint64 { return s.SkippedEvents }),
	},
	{
		Name: "sidenote.sink.skipped", Prometheus: "sidenote_sink_skipped_total", Unit: "{event}",
		Labels: []Label{{Name: "sink"}, {Name: "reason", Values: []string{skippedByKind, skippedByFilter}}},
		Help:   "Events that are not for this sink, by reason. They are not observed.",
		Note:   "`kind`: the sink's `mode` or `events` leave out the kind, and another sink gets the event. `filter`: the sink's filter leaves out the event.",
		as:     counter, read: skippedOfSinks,
	},
	{
		Name: "sidenote.events.recovered", Prometheus: "sidenote_events_recovered_total", Unit: "{event}", Labels: bySink,
		Help:  "Events that an earlier process of the pod spooled, counted when they are read back or known to be lost.",
		Alert: "on an increase: the agent was restarted",
		as:    counter, read: ofSinks(func(s delivery.SinkStatus) uint64 { return s.Recovered }),
	},
	{
		Name: "sidenote.events.spooled", Prometheus: "sidenote_events_spooled_total", Unit: "{event}", Labels: bySink,
		Help: "Events that were written to the spool.", Note: "They are pending until they end.",
		as: counter, read: ofSinks(func(s delivery.SinkStatus) uint64 { return s.Spooled }),
	},
	{
		Name: "sidenote.events.delivered", Prometheus: "sidenote_events_delivered_total", Unit: "{event}", Labels: bySink,
		Help: "Events that the sink accepted.",
		as:   counter, read: ofSinks(func(s delivery.SinkStatus) uint64 { return s.Delivered }),
	},
	{
		Name: "sidenote.events.dropped", Prometheus: "sidenote_events_dropped_total", Unit: "{event}", Labels: byReason,
		Help: "Events that are lost, by reason.", Note: "[Drop reasons](reasons.md#drop-reasons) explains each.",
		Alert: "on an increase of any reason but `shutdown`: events are lost",
		as:    counter, read: dropped,
	},
	{
		Name: "sidenote.events.dead_lettered", Prometheus: "sidenote_events_dead_lettered_total", Unit: "{event}", Labels: bySink,
		Help: "Events that the dead letter sink accepted.", Alert: "on an increase: somebody should look at them",
		as: counter, read: ofSinks(func(s delivery.SinkStatus) uint64 { return s.DeadLettered }),
	},
	{
		Name: "sidenote.events.retried", Prometheus: "sidenote_events_retried_total", Unit: "{attempt}", Labels: bySink,
		Help: "Attempts after the first attempt of an event.",
		as:   counter, read: ofSinks(func(s delivery.SinkStatus) uint64 { return s.Retried }),
	},
	{
		Name: "sidenote.events.pending", Prometheus: "sidenote_events_pending", Unit: "{event}", Labels: bySink,
		Help: "Events that have not ended.",
		as:   amount, read: ofSinks(func(s delivery.SinkStatus) uint64 { return s.Pending }),
	},
	{
		Name: "sidenote.queue.age", Prometheus: "sidenote_queue_age_seconds", Unit: "s", Labels: bySink,
		Help:  "Age of the oldest event that waits for its sink, 0 if none waits.",
		Alert: "over 60 s for some minutes: the sink is slow or down, and after 10 min events expire",
		as:    seconds, read: ofSinks(func(s delivery.SinkStatus) time.Duration { return s.OldestAge }),
	},
	{
		Name: "sidenote.queue.usage", Prometheus: "sidenote_queue_usage_bytes", Unit: "By", Labels: bySink,
		Help: "Bytes of memory that the events for the sink use, including those in flight.",
		as:   amount, read: ofSinks(func(s delivery.SinkStatus) int64 { return s.HeldBytes }),
	},
	{
		Name: "sidenote.spool.working", Prometheus: "sidenote_spool_working", Labels: bySink,
		Help:  "1 if the spool accepts events and its disk doesn't fail, otherwise 0.",
		Note:  "The spool's metrics exist only if the sink has a spool.",
		Alert: "0 for some minutes: waiting events are in memory only",
		as:    gauge, read: ofSpools(func(s delivery.SpoolStatus) int64 { return oneIf(s.Working()) }),
	},
	{
		Name: "sidenote.spool.usage", Prometheus: "sidenote_spool_usage_bytes", Unit: "By", Labels: bySink,
		Help: "Bytes that the spool's files use.", Alert: "over 80 % of the limit",
		as: amount, read: ofSpools(func(s delivery.SpoolStatus) int64 { return s.Bytes }),
	},
	{
		Name: "sidenote.spool.limit", Prometheus: "sidenote_spool_limit_bytes", Unit: "By", Labels: bySink,
		Help: "Bytes that the spool's files may use.",
		as:   amount, read: ofSpools(func(s delivery.SpoolStatus) int64 { return s.Limit }),
	},
	{
		Name: "sidenote.spool.watermark", Prometheus: "sidenote_spool_watermark", Unit: "{event}", Labels: bySink,
		Help: "The highest agentsequence up to which every event has ended or is on the disk.", Note: "A kill of the agent loses none of those.",
		as: gauge, read: ofSpools(func(s delivery.SpoolStatus) uint64 { return s.SpooledThrough }),
	},
	{
		Name: "sidenote.spool.errors", Prometheus: "sidenote_spool_errors_total", Unit: "{error}", Labels: bySink,
		Help: "Failures of the spool's filesystem.", Alert: "on any increase",
		as: counter, read: ofSpools(func(s delivery.SpoolStatus) uint64 { return s.Errors }),
	},
	{
		Name: "sidenote.spool.refused", Prometheus: "sidenote_spool_refused_total", Unit: "{event}", Labels: bySink,
		Help: "Events that found no room in the spool and stayed in memory.",
		as:   counter, read: ofSpools(func(s delivery.SpoolStatus) uint64 { return s.RefusedFull }),
	},
	{
		Name: "sidenote.spool.corrupt_blocks", Prometheus: "sidenote_spool_corrupt_blocks_total", Unit: "{block}", Labels: bySink,
		Help: "Damaged blocks of the spool's files.", Note: "Their events are dropped for `unreadable`.",
		Alert: "on any increase: check the disk",
		as:    counter, read: ofSpools(func(s delivery.SpoolStatus) uint64 { return s.CorruptBlocks }),
	},
	{
		Name: "sidenote.delivery.attempts", Prometheus: "sidenote_delivery_attempts_total", Unit: "{attempt}",
		Labels: []Label{{Name: "sink"}, {Name: "status", Values: []string{"2xx", "3xx", "4xx", "5xx", "none"}}},
		Help:   "Attempts to deliver an event, by the class of the response's status.",
		Note:   "`none` is no response, or a status outside these classes.",
		Alert:  "if few are `2xx`",
	},
	{
		Name: "sidenote.delivery.duration", Prometheus: "sidenote_delivery_duration_seconds", Unit: "s", Labels: bySink,
		Help: "Duration of attempts to deliver an event, whatever their result.",
	},
	{
		Name: "sidenote.delivery.refused_addresses", Prometheus: "sidenote_delivery_refused_addresses_total", Unit: "{attempt}",
		Labels: []Label{{Name: "class", Values: []string{"loopback", "link-local", "metadata", "unspecified", "multicast"}}},
		Help:   "Attempts that were not made because the sink has a forbidden address, by class.",
		Note:   "The log names the sink.",
		Alert:  "on any increase: a wrong or hostile sink",
	},
	{
		Name: "sidenote.sink.address_failures", Prometheus: "sidenote_sink_address_failures_total", Unit: "{change}", Labels: bySink,
		Help: "Invalid changes of the address file of the sink or of its dead letter sink.", Note: "The earlier address remains in use.",
		Alert: "on any increase",
		as:    counter, read: ofSinks(func(s delivery.SinkStatus) uint64 { return s.AddressFailures }),
	},
	{
		Name: "sidenote.exchanges.active", Prometheus: "sidenote_exchanges_active", Unit: "{exchange}",
		Help: "Exchanges in flight, including tunnels.",
		as:   amount, read: of(func(s *status.Status) int64 { return s.Active }),
	},
	{
		Name: "sidenote.exchanges.skipped", Prometheus: "sidenote_exchanges_skipped_total", Unit: "{exchange}",
		Labels: []Label{{Name: "reason", Values: names(ledger.SkipReasons())}},
		Help:   "Exchanges that were not observed, by reason.",
		Note:   "They were passed on, except those of `overload`: the agent refused these with 503 because too many were in flight.",
		Alert:  "on an increase of `overload`: more memory, more replicas or a lower `containerConcurrency`",
		as:     counter, read: by("reason", func(s *status.Status) map[ledger.SkipReason]uint64 { return s.Skipped }),
	},
	{
		Name: "sidenote.exchanges.unanswered", Prometheus: "sidenote_exchanges_unanswered_total", Unit: "{exchange}",
		Labels: []Label{{Name: "cause", Values: []string{"unreachable", "canceled", "broken"}}},
		Help:   "Exchanges that got no response from the model, by cause.",
		Alert:  "on `unreachable` and `broken`: the model",
	},
	{
		Name: "sidenote.proxy.overhead", Prometheus: "sidenote_proxy_overhead_seconds", Unit: "s",
		Help:  "Time that the agent added to an observed exchange, without the time of the model and of the client.",
		Note:  "[Definition](../metrics.md#the-proxys-overhead).",
		Alert: "p99 over 10 ms: the agent lacks CPU",
	},
	{
		Name: "sidenote.capture.usage", Prometheus: "sidenote_capture_usage_bytes", Unit: "By",
		Help: "Bytes of bodies that are held for exchanges in flight and for events that aren't built yet.",
		as:   amount, read: of(func(s *status.Status) int64 { return s.Captured }),
	},
	{
		Name: "sidenote.buffer.usage", Prometheus: "sidenote_buffer_usage_bytes", Unit: "By",
		Help:  "Bytes that are held for events, including bodies.",
		Alert: "over 80 % of the limit for some minutes: soon events are dropped for `budget`",
		as:    amount, read: of(func(s *status.Status) int64 { return s.BufferUsed }),
	},
	{
		Name: "sidenote.buffer.limit", Prometheus: "sidenote_buffer_limit_bytes", Unit: "By",
		Help: "Bytes that may be held for events (--buffer-bytes).",
		as:   amount, read: of(func(s *status.Status) int64 { return s.BufferLimit }),
	},
	{
		Name: "sidenote.model.ready", Prometheus: "sidenote_model_ready",
		Help: "1 if the model is ready, otherwise 0.",
		as:   gauge, read: of(func(s *status.Status) int64 { return oneIf(s.Ready) }),
	},
	{
		Name: "sidenote.metadata.changes", Prometheus: "sidenote_metadata_changes_total", Unit: "{change}",
		Help: "Changes of live metadata that were applied.",
		as:   counter, read: of(func(s *status.Status) uint64 { return s.Metadata.Changes }),
	},
	{
		Name: "sidenote.metadata.failures", Prometheus: "sidenote_metadata_failures_total", Unit: "{change}",
		Help: "Invalid changes of live metadata.", Note: "The earlier metadata remains in use.", Alert: "on any increase",
		as: counter, read: of(func(s *status.Status) uint64 { return s.Metadata.Failures }),
	},
	{
		Name: "sidenote.metadata.left_out", Prometheus: "sidenote_metadata_left_out_total", Unit: "{attribute}",
		Labels: []Label{{Name: "reason", Values: names(event.LeftOutReasons())}},
		Help:   "Attributes that events lack because of the value of a request's header, by reason.",
		Note:   "`denied` values look like a credential ([rule](../metadata.md#what-must-not-be-sent)), `invalid` ones have a character that CloudEvents forbids, and those of `length` are too long. The event's attribute `replaced` names the attribute.",
		as:     counter, read: by("reason", func(s *status.Status) map[event.LeftOutReason]uint64 { return s.LeftOut }),
	},
	{
		Name: "sidenote.metadata.info", Prometheus: "sidenote_metadata_info", Labels: []Label{{Name: "hash"}},
		Help: "Always 1; the label is the hash of the metadata in use.",
		as:   gauge, read: metadataInfo,
	},
	{
		Name: "sidenote.telemetry.failures", Prometheus: "sidenote_telemetry_failures_total", Unit: "{export}",
		Labels: []Label{{Name: "signal", Values: []string{"metrics", "traces"}}},
		Help:   "Exports that no collector accepted, by signal.", Alert: "on an increase, if metrics still arrive",
		as: counter, read: by("signal", func(s *status.Status) map[string]uint64 { return s.ExportFailures }),
	},
	{
		Name: "process.cpu.time", Prometheus: "process_cpu_time_seconds_total", Unit: "s",
		Labels: []Label{{Name: "cpu_mode", Values: []string{"user", "system"}}},
		Help:   "CPU time that the agent used, by mode.",
	},
	{
		Name: "process.memory.usage", Prometheus: "process_memory_usage_bytes", Unit: "By",
		Help: "Physical memory that the agent uses.", Alert: "over 90 % of the container's limit",
	},
	{
		Name: "process.unix.file_descriptor.count", Prometheus: "process_unix_file_descriptor_count", Unit: "{file_descriptor}",
		Help: "Open file descriptors of the agent.",
	},
	{Name: "process.uptime", Prometheus: "process_uptime_seconds", Unit: "s", Help: "Time since the agent's start."},
}

// ofRuntime are the metrics that OpenTelemetry's runtime package records, and
// that of the resource.
var ofRuntime = []Metric{
	{Name: "go.goroutine.count", Prometheus: "go_goroutine_count", Unit: "{goroutine}", Help: "Goroutines."},
	{
		Name: "go.memory.used", Prometheus: "go_memory_used_bytes", Unit: "By",
		Labels: []Label{{Name: "go_memory_type", Values: []string{"stack", "other"}}}, Help: "Memory that the Go runtime uses.",
	},
	{Name: "go.memory.limit", Prometheus: "go_memory_limit_bytes", Unit: "By", Help: "GOMEMLIMIT, if it is set."},
	{Name: "go.memory.allocated", Prometheus: "go_memory_allocated_bytes_total", Unit: "By", Help: "Bytes of all allocations on the heap."},
	{Name: "go.memory.allocations", Prometheus: "go_memory_allocations_total", Unit: "{allocation}", Help: "Allocations on the heap."},
	{Name: "go.memory.gc.goal", Prometheus: "go_memory_gc_goal_bytes", Unit: "By", Help: "Heap size at which the next garbage collection starts."},
	{Name: "go.processor.limit", Prometheus: "go_processor_limit", Unit: "{thread}", Help: "GOMAXPROCS."},
	{Name: "go.config.gogc", Prometheus: "go_config_gogc_percent", Unit: "%", Help: "GOGC."},
	{
		Name: "(the resource)", Prometheus: "target_info",
		Labels: []Label{
			{Name: "service_name"}, {Name: "service_instance_id"}, {Name: "service_version"}, {Name: "process_runtime_version"},
			{Name: "k8s_container_name"}, {Name: "k8s_namespace_name"}, {Name: "kn_revision_name"},
		},
		Help: "Always 1; the labels identify the component's Knative Service, the agentinstance of its events, the build and the Revision.",
	},
}

// All lists every metric of an agent.
func All() []Metric { return append(append([]Metric(nil), table...), ofRuntime...) }

// find returns the description of a metric of the table.
func find(name string) (Metric, error) {
	for _, metric := range table {
		if metric.Name == name {
			return metric, nil
		}
	}
	return Metric{}, fmt.Errorf("the table of metrics has no %s", name)
}
