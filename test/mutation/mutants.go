/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package main

const (
	agentTests    = "internal/agent"
	captureTests  = "internal/agent/capture"
	deliveryTests = "internal/agent/delivery"
	eventTests    = "internal/agent/event"
	genaiTests    = "internal/agent/genai"
	spoolTests    = "internal/agent/spool"
	faultsTests   = "test/faults"

	reconcilerTests     = "internal/reconciler/inferenceservice"
	knativeServiceTests = "internal/knativeservice"

	bindingReconcilerTests = "internal/reconciler/loggerbinding"
	bindingTests           = "internal/binding"
	webhookTests           = "internal/webhook"
)

// mutants are to outlive changes to the source around them: keep their texts
// short. Each is: name; file, text, what replaces the text; the test's folder,
// the test.
var mutants = []mutant{
	{
		"the fsync of a segment", "internal/agent/spool/log.go",
		"if err := l.file.Sync(); err != nil {", "if err := error(nil); err != nil {",
		spoolTests, "TestEveryCrashPoint",
	},
	{
		"the fsync of the spool's directory", "internal/agent/spool/log.go",
		"if err := l.filesystem.SyncDirectory(); err != nil {", "if err := error(nil); err != nil {",
		spoolTests, "TestEveryCrashPoint",
	},
	{
		"the order of write and acknowledgement", "internal/agent/spool/log.go",
		"func (l *Log) flush() error {\n\tif len(l.buffer) == 0 {", "func (l *Log) flush() error {\n\tif len(l.buffer) < flushBytes {",
		spoolTests, "TestEveryCrashPoint",
	},
	{
		"the order of the mark and what it says", "internal/agent/spool/mark.go",
		"if m.sync {\n\t\tif err := m.file.Sync(); err != nil {\n\t\t\t// The", "if m.sync {\n\t\tif err := error(nil); err != nil {\n\t\t\t// The",
		spoolTests, "TestCrashAfterCrash",
	},
	{
		"the word on what is spooled", "internal/agent/delivery/spooling.go",
		"status.SpooledThrough = min(status.SpooledThrough, first-1)", "_ = first",
		faultsTests, "TestSpooledEventsSurviveKill",
	},
	{
		"the counter of delivered events", "internal/agent/ledger/ledger.go",
		"a.snapshot.Delivered++", "a.snapshot.Delivered += a.snapshot.Pending % 2",
		faultsTests, "TestSlowNetworkLosesNothing",
	},
	{
		"the counter of dropped events", "internal/agent/ledger/ledger.go",
		"a.snapshot.Dropped[reason] += events", "_ = reason",
		faultsTests, "TestSubscriberOfAllKindsCountsLosses",
	},
	{
		"a dead letter called delivered", "internal/agent/delivery/sink.go",
		"s.account.DeadLetter()", "s.account.Deliver()",
		faultsTests, "TestDeadLetters",
	},
	{
		"the count of what the budget has no room for", "internal/agent/exchange/pipeline.go",
		"account.Drop(reason)\n\tat.wanted = false", "account.Deliver()\n\tat.wanted = false",
		faultsTests, "TestSubscriberOfAllKindsCountsLosses",
	},
	{
		"the cap of a body", "internal/agent/capture/recorder.go",
		"case r.size <= r.settings.MaxBytes:", "case r.size <= 2*r.settings.MaxBytes:",
		captureTests, "TestRecorder",
	},
	{
		"the cap of a decoded body", "internal/agent/event/coding.go",
		"limit := min(maxBytes, max(freeRatioBytes, maxRatio*int64(len(data))))", "limit := 1000*maxBytes",
		faultsTests, "TestDecompressionBombs",
	},
	{
		"the ratio of a decoded body", "internal/agent/event/coding.go",
		"limit := min(maxBytes, max(freeRatioBytes, maxRatio*int64(len(data))))", "limit := maxBytes",
		eventTests, "FuzzDecode",
	},
	{
		"the bound of a merged stream", "internal/agent/genai/merge.go",
		"len(body) > len(stream) ||", "",
		genaiTests, "TestOtherStreamsStayFrames",
	},
	{
		"the pieces of a stream that nobody knows", "internal/agent/genai/shape.go",
		`rule{how: once}, always`, `rule{how: last}, always`,
		genaiTests, "TestOtherStreamsStayFrames",
	},
	{
		"the room to merge a stream", "internal/agent/exchange/pipeline.go",
		"merging > 0 && o.lease.Grow(merging)", "merging > 0",
		"internal/agent/exchange", "TestAStreamIsMergedWithinTheBudget",
	},
	{
		"the version of the metadata", "internal/agent/event/shared.go",
		"slices.Equal(last.metadata, attributes)", "true",
		eventTests, "TestAnEventHasTheMetadataThatItIsBuiltWith",
	},
	{
		"the encoding of a header's values", "internal/agent/event/mode.go",
		`return c <= ' ' || c > '~'`, `return c > '~'`,
		eventTests, "FuzzEveryEventIsReadAsMeant",
	},
	{
		"the kinds that subscribers of KServe's logger get", "internal/agentconfig/kind.go",
		"return []Kind{KindRequest, KindResponse}", "return DefaultKinds()",
		"internal/agentconfig", "TestAProfileHasItsOwnDefaultKinds",
	},
	{
		"the id that subscribers of KServe's logger join by", "internal/agent/event/profile.go",
		`converted.id = e.own.text("correlationid")`, `converted.id = e.id`,
		agentTests, "TestSubscribersOfKServesLogger",
	},
	{
		"the JSON that subscribers of KServe's logger read", "internal/agent/event/header.go",
		"	if e.verbatim {\n\t\treturn e.text\n\t}\n", "",
		eventTests, "TestProfileKServe",
	},
	{
		"the hops of KServe's events", "internal/agent/event/loop.go",
		"case hops >= maxHops:", "case hops > 200:",
		agentTests, "TestADetectorOfKServesEventsIsLogged",
	},
	{
		"the byte budget", "internal/agent/capture/budget.go",
		"addWithin(&b.used, n, b.limit)", "addWithin(&b.used, n, 2*b.limit)",
		captureTests, "TestTheBudgetIsNeverExceededAndAlwaysReturned",
	},
	{
		"what an event gives back to the budget", "internal/agent/capture/budget.go",
		"l.budget.unreserve(held, l.spare)", "l.budget.unreserve(held-1, l.spare)",
		faultsTests, "TestOverload",
	},
	{
		"the buffer of an event that has a part of it", "internal/agent/capture/budget.go",
		"!overlap(l.buffer.bytes, data)", "overlap(l.buffer.bytes, data)",
		captureTests, "TestALeaseKeepsTheBufferOfItsEvent",
	},
	{
		"the buffer of an event that a second sink has", "internal/agent/exchange/pipeline.go",
		"releaseAfter(p.number(o), o.lease)", "releaseAfter(min(p.number(o), 1), o.lease)",
		"internal/agent/exchange", "TestEveryEventHasItsOwnBytes",
	},
	{
		"the place of an event behind a sink's filter", "internal/agent/exchange/pipeline.go",
		"selection[kind] && to.subscription.Filter != nil:", "false:",
		"internal/agent/exchange", "TestEachSinkGetsItsOwn",
	},
	{
		"the count of an event that ends before a filter", "internal/agent/exchange/pipeline.go",
		"if at.sequence == 0 {\n\t\taccount.Observe()", "if false {\n\t\taccount.Observe()",
		"internal/agent/exchange", "TestAnEventThatEndsBeforeTheFilterIsLost",
	},
	{
		"a missing attribute in a filter", "internal/eventfilter/filter.go",
		"!found || !passes(value, wanted[name])", "found && !passes(value, wanted[name])",
		"internal/eventfilter", "TestEachDialectIsATriggers",
	},
	{
		"the syntax check of an expression", "internal/eventfilter/syntax.go",
		"s.hasOperand = false\n\t\treturn s.advance()\n\tcase tokenNot:", "return s.advance()\n\tcase tokenNot:",
		"internal/eventfilter", "TestTheSyntaxIsTheParsers",
	},
	{
		"the end of a body with its attempt", "internal/agent/delivery/body.go",
		"b.reader = rest\n}", "_ = rest\n}",
		deliveryTests, "TestABodyIsNotReadAfterItsAttempt",
	},
	{
		"the oldest first at the end", "internal/agent/delivery/core.go",
		"c.oldestFirst, c.spool.readable = true, true", "c.oldestFirst, c.spool.readable = false, true",
		deliveryTests, "TestScenarios",
	},
	{
		"one probe at a time", "internal/agent/delivery/breaker.go",
		"if b.open {\n\t\treturn 1\n\t}", "if b.open {\n\t\treturn b.limit\n\t}",
		deliveryTests, "TestScenarios",
	},
	{
		"the contract's table", "internal/agent/delivery/policy.go",
		"case status == 0, status >= 500, status < 100:", "case status == 0, status > 500, status < 100:",
		faultsTests, "TestSinkResponses",
	},
	{
		"the exchanges that the end waits for", "internal/agent/drain.go",
		"e.active() > 0 ||", "false ||",
		agentTests, "TestDrainWaitsForExchanges",
	},
	{
		"the time that exchanges have at the end", "internal/agent/drain.go",
		"if !end.exchanges(ctx) {", "bounded, stop := context.WithTimeout(ctx, a.drainTimeout)\n\tdefer stop()\n\tif !end.exchanges(bounded) {",
		agentTests, "TestStreamOutlastsDrainTimeout",
	},
	{
		"the bound of the delivery at the end", "internal/agent/drain.go",
		"context.WithTimeout(ctx, e.deliveryTimeout)", "context.WithCancel(ctx)",
		agentTests, "TestDrainWaitsForExchanges",
	},
	{
		"the NAT64 prefix for local use", "internal/agent/delivery/embedded.go",
		"{6, 7, 9, 10}, ", "",
		deliveryTests, "TestAnEmbeddedAddressIsJudged",
	},
	{
		"the cap of Retry-After", "internal/agent/delivery/policy.go",
		"return min(max(wait, 0), most)", "return max(wait, 0)",
		deliveryTests, "FuzzRetryAfter",
	},
	{
		"what of a panic is logged", "internal/agent/logging.go",
		`bytes.LastIndex(line, []byte("\ngoroutine "))`, `bytes.Index(line, []byte("\n"))`,
		agentTests, "FuzzServerLog",
	},
	{
		"the headers that the model gets", "internal/agent/proxy/forward.go",
		"out.URL.RawQuery = in.URL.RawQuery", "_ = in.URL.RawQuery",
		"internal/agent/proxy", "FuzzRawHTTP",
	},
	{
		"the response of a connection that was reset", "internal/agent/proxy/connection.go",
		"<-c.drained", "_ = c.drained",
		"internal/agent/proxy", "TestResponseOfAResetConnectionIsRead",
	},
	{
		"the recovery of an attempt", "internal/agent/delivery/sink.go",
		"s.panics.Event(func() {", "func(work func()) { work() }(func() {",
		deliveryTests, "TestAnAttemptThatPanicsCostsItsEvent",
	},
	{
		"the acknowledgement of a record that panics", "internal/agent/delivery/overflow.go",
		"c.out.Acknowledge = append(c.out.Acknowledge, in.record)", "_ = in.record",
		deliveryTests, "TestScenarios",
	},
	{
		"the count of an exchange that panics", "internal/agent/exchange/watcher.go",
		"r.lost = true\n\t\tr.lose()", "r.lost = true",
		"internal/agent/exchange", "TestAPanicCostsAnEventAndNoMore",
	},
	{
		"the rate of an exchange that is kept", "internal/agent/exchange/watcher.go",
		"r.exchange.SampledRate = 1", "_ = kept",
		"internal/agent/exchange", "TestBothEventsOfAnExchangeHaveItsRate",
	},
	{
		"the request of an exchange whose outcome decides", "internal/agent/exchange/course.go",
		"c.undecided || c.waits", "c.undecided",
		"internal/agent/exchange", "TestKeptOutcomes",
	},
	{
		"the share of what is held for its outcome", "internal/agent/capture/budget.go",
		"b.limit/spareShare", "b.limit",
		"internal/agent/exchange", "TestHeldBodiesLeaveRoom",
	},
	{
		"the rest of a rate", "internal/agent/sampling/sampling.go",
		"drawn < s.of%s.selected", "s.selected > s.of",
		"internal/agent/sampling", "TestTheMeanRateIsExact",
	},
	{
		"the second event of a pair", "internal/agent/sampling/ceiling.go",
		"pair.reserved = later", "_ = later",
		"internal/agent/sampling", "TestATokenComesBack",
	},
	{
		"what is told of a panic", "internal/agent/panics/panics.go",
		"if recover() != nil {\n\t\t\tplace = origin()", "if value := recover(); value != nil {\n\t\t\tplace = origin() + Place(fmt.Sprint(value))",
		"internal/agent/panics", "TestTheFirstFrameIsThePlace",
	},
	{
		"the fdatasync of the real filesystem", "internal/agent/spool/directory.go",
		"{ return syncData(f.File) }", "{ return nil }",
		spoolTests, "TestSyncsReachTheKernel",
	},
	{
		"the fsync of the real directory", "internal/agent/spool/directory.go",
		"error { return d.handle.Sync() }", "error { return nil }",
		spoolTests, "TestSyncsReachTheKernel",
	},
	{
		"what --sink.NAME.spool-sync asks for", "internal/agent/spools.go",
		"Sync:           sink.Spool.Sync,", "Sync: false,",
		agentTests, "TestSpoolSyncFollowsItsArgument",
	},
	{
		"a secret in an attribute", "internal/agent/event/observation.go",
		`r.Header.Get("X-Request-Id"),`, `strings.ReplaceAll(r.Header.Get("Authorization"), " ", ""),`,
		faultsTests, "TestSecretsStaySecret",
	},
	{
		"the turns of live events and backlog", "internal/agent/delivery/core.go",
		"c.retriesNext = !c.retriesNext", "c.retriesNext = true",
		faultsTests, "TestLiveEventsPassTheSpool",
	},
	{
		"the longest backoff", "internal/agent/delivery/policy.go",
		"most = 20 * time.Second", "most = 5 * time.Minute",
		deliveryTests, "TestAnEventArrivesWithinHalfAMinuteOfAnOutagesEnd",
	},
	{
		"the newest end of the spool", "internal/agent/delivery/spoolstate.go",
		"read.From = spool.Newest", "read.From = spool.Oldest",
		faultsTests, "TestNewestEventsPassTheBacklog",
	},
	{
		"a reason in ledger events", "internal/agent/statement/issuer.go",
		"figures := a.Account().ObserveStatement()\n", "figures := a.Account().ObserveStatement()\n\tdelete(figures.Dropped, ledger.ReasonBudget)\n",
		faultsTests, "TestSubscriberOfAllKindsCountsLosses",
	},
	{
		"the skipped events in ledger events", "internal/agent/statement/issuer.go",
		"skipped.Events,", "nil,",
		faultsTests, "TestUnselectedEventsAreCounted",
	},
	{
		"the delivered events in ledger events", "internal/agent/statement/issuer.go",
		"figures := a.Account().ObserveStatement()\n", "figures := a.Account().ObserveStatement()\n\tfigures.Delivered++\n",
		faultsTests, "TestSlowNetworkLosesNothing",
	},
	{
		"the largest frame of HTTP/2", "internal/agent/proxy/transport.go",
		"frameSize = streamWindow", "frameSize = 1 << 20",
		"internal/agent/proxy", "TestTheWindowsOfHTTP2",
	},
	{
		"the Retry-After of an attempt beside another", "internal/agent/delivery/breaker.go",
		"until := now.Add(retryAfter)", "until := now",
		deliveryTests, "TestTheRetryAfterOfEachAttemptCounts",
	},
	{
		"the success of a probe that outlives another", "internal/agent/delivery/breaker.go",
		"t.epoch != b.epoch && !b.outlives(t)", "t.epoch != b.epoch",
		deliveryTests, "TestAYoungerProbesSuccessCounts",
	},
	{
		"the refusal of an address that the sink has left", "internal/agent/delivery/http.go",
		"if equalURLs(to, s.location.url) {", "if to != nil {",
		deliveryTests, "TestASinkThatMovesWhileItsOldAddressIsRefusedGetsEvents",
	},
	{
		"the ConfigMaps of earlier pods", "internal/reconciler/inferenceservice/configmap.go",
		"if knativeservice.MayHaveAgents(live.Service) {", "if false {",
		reconcilerTests, "TestEarlierPodsKeepTheirConfigMaps",
	},
	{
		"the Revision before in a gradual rollout", "internal/knativeservice/applied.go",
		"return target.RevisionName != latest })", "return false })",
		reconcilerTests, "TestEarlierPodsKeepTheirConfigMaps",
	},
	{
		"the Revision before that is named the latest", "internal/knativeservice/applied.go",
		"return service.IsReady() &&", "return service.Generation == service.Status.ObservedGeneration &&",
		reconcilerTests, "TestEarlierPodsKeepTheirConfigMaps",
	},
	{
		"the guard over values of headers", "internal/agent/event/headers.go",
		"if _, matches := denied.Match(v.text); matches {", "if _, matches := denied.Match(v.text); matches && v.overlong {",
		agentTests, "TestWhatAHeaderMustNotBringIsNamed",
	},
	{
		"the stages in which denied attributes leave", "internal/reconciler/inferenceservice/plan.go",
		"stages.Room(1, len(*removing)) > 0", "stages.Room(1, 0) > 0",
		reconcilerTests, "TestDeniedAttributesLeaveInStages",
	},
	{
		"a denied value that was valid", "internal/knativeservice/denied.go",
		"if _, matches := values.Match(attribute.Value); matches {", "if _, matches := values.Match(attribute.Value); matches && listed < 0 {",
		reconcilerTests, "TestAnInvalidLiveValueKeepsTheLastValidOne",
	},
	{
		"the stages of a rollout", "internal/reconciler/stages/stages.go",
		"min(due, max(0, MaxUnready-unready))", "due",
		bindingReconcilerTests, "TestARolloutWaitsForWhatItChanged",
	},
	{
		"the ConfigMaps of pods that had an agent", "internal/reconciler/loggerbinding/subject.go",
		"return s.chosen || !knativeservice.ServesAlone(s.service)", "return false",
		bindingReconcilerTests, "TestConfigMapsStayWhilePodsMayReadThem",
	},
	{
		"the hash that says whether a bound template is due", "internal/reconciler/loggerbinding/subject.go",
		"if !s.atOnce && len(s.denied) == 0 && isCurrent {", "if !isCurrent && isCurrent {",
		bindingReconcilerTests, "TestReconcilesRestartsAndUpgradesMakeNoRevision",
	},
	{
		"the Secrets without which a pod starts", "internal/knativeservice/auth.go",
		"Optional: ptr.Bool(true)", "Optional: ptr.Bool(false)",
		knativeServiceTests, "TestThePodStartsWithoutTheSecrets",
	},
	{
		"the record of one sink", "internal/knativeservice/sinks.go",
		"if len(a.Sinks) == 1 && a.Sinks[0].Name == v1beta1.DefaultSinkName {", "if len(a.Sinks) < 0 {",
		knativeServiceTests, "TestTheRecordOfOneSinkIsThatOfEarlierReleases",
	},
	{
		"the sinks that a request brings in", "internal/webhook/sink_review.go",
		"before = foreignSinks(apis.GetBaseline(ctx))", "_ = before",
		webhookTests, "TestTheUserOfARequestMayGetEachSinkThatItBringsIn",
	},
	{
		"a sink that the cluster forbids", "internal/reconciler/sinks/sink.go",
		`s.Refused = reason != "SinkUnusable"`, "s.Refused = false",
		reconcilerTests, "TestAForbiddenSinkGetsNothingMore",
	},
	{
		"the remedy of a refused Knative Service", "internal/reconciler/inferenceservice/apply.go",
		`return fmt.Errorf("%w; %w", refusal, violations)`, "return refusal",
		reconcilerTests, "TestProbeThatServingRefusesIsReported",
	},
	{
		"the agent of a template that its owner leaves", "internal/binding/admission.go",
		"return old.Spec.Template.DeepCopy()", "_ = record",
		webhookTests, "TestWhatKServeReplacesKeepsItsAgent",
	},
	{
		"the defaults of a creation", "internal/binding/admission.go",
		"ctx = apis.WithinCreate(ctx)", "_ = apis.WithinCreate",
		webhookTests, "TestWhatKServeReplacesKeepsItsAgent",
	},
	{
		"an agent made anew, which is no edit", "internal/binding/admission.go",
		"oldRecord != nil && oldRecord.AgentHash == record.AgentHash", "oldRecord != nil",
		bindingTests, "TestAChangeOfTheOwnerMakesTheAgentAnew",
	},
	{
		"the ports that a model declared", "internal/knativeservice/original.go",
		"model.Ports = slices.Clone(o.Ports)", "_ = slices.Clone(o.Ports)",
		bindingTests, "TestToRemoveTheAgentRestoresTheTemplate",
	},
}
