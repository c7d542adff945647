/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package conformance

// explanations are the statements that say what a word means, why something is so, or
// what others do. They promise nothing that a step could check.
var explanations = statements(
	"A Broker can't deliver an event whose body is itself a CloudEvent: it sends it on in binary mode, where the Content-Type makes a receiver take the body for the event.",
	"A Broker sends events to its subscribers in binary mode, whatever mode the agent used.",
	"KServe's own logger has no such bound: set a filter on `inferenceservicename` in the Trigger of a detector.",
	"Three things differ from KServe's logger:",
	"KServe's logger gives the response the content type of the request.",
	"KServe's logger gives the name of the pod.",
	"KServe's logger sends it without a value.",
	"Subscribers take it for a whole body, and most of them for JSON.",
	"The profile breaks two rules of CloudEvents 1.0, because KServe's logger does:",
	"A consumer that drops duplicates by these two, as CloudEvents allows, loses one of them.",
	"This page is the contract with subscribers.",
	"This is the first one, as `--sink=stdout` prints it:",
	"[The reference](reference/events.md#types) lists the types, when each is sent and what its data is.",
	"If a Trigger sends the events of a model's agent back to that model, each event would cause new events without end.",
	"The table assumes that `logger.events` names every type.",
	"HTTP means both HTTP/1.1 and HTTP/2.",
	"A test runs each row of this table against an agent.",
	"\"The body\" is without its content coding, \"as it was\" with it.",
	"\"Its start\" is the first `maxPayloadBytes` of the body, \"what there was\" what flowed before the end.",
	"\"Its own\" is the Content-Type that the client or the model sent.",
	"Clients of the OpenAI API close the connection at `data: [DONE]`, before the model has ended its response.",
	"In both protocols inference is always a POST.",
	"The head of a chunked request doesn't say whether there is a body.",
	"[The reference](reference/events.md#attributes) lists the attributes, which events have each, and its value.",
	"An agent whose exchanges outlast the pod's grace period is killed.",
	"The same holds for queue-proxy.",
	"The conventions are in development; these names stay if theirs change.",
	"Many servers report the tokens of a stream only if the client asks for them, with `stream_options: {\"include_usage\": true}`.",
	"Lost events lower the sum; [count them](#what-a-subscriber-can-count).",
)

// elsewhere are the statements that tests hold which see inside the agent: they are
// about memory, time, or what the agent doesn't do.
var elsewhere = map[string][]string{
	// Chance over many exchanges, and what waits for an outcome.
	"If that isn't a whole number, chance chooses one of the two whole numbers beside it, so that the mean of the rates is exact.":                                                                         statements("TestTheMeanRateIsExact", "TestRatesEstimateTheTotal"),
	"With `percent: \"3\"`, two thirds of the exchanges have the rate 33 and one third has 34.":                                                                                                            statements("TestTheMeanRateIsExact", "TestBothEventsOfAnExchangeHaveItsRate"),
	"For the others, the standard deviation of the estimate is at most √(*n* · *r*), for *n* exchanges and a rate of *r*: for 20 000 exchanges with `oneIn: 100`, 1414 or 7 %.":                            statements("TestRatesEstimateTheTotal"),
	"`TestRatesEstimateTheTotal` and `TestBothEventsOfAnExchangeHaveItsRate` check this.":                                                                                                                  statements("TestRatesEstimateTheTotal", "TestBothEventsOfAnExchangeHaveItsRate"),
	"The decision is a hash of the `correlationid` with a key, which is another one for each start of an agent.":                                                                                           statements("TestAnIDHasOneRateByItsKey", "TestTheHashIsUniform"),
	"So neither a client nor a model can predict it, although a model may get the `correlationid` as its `X-Request-Id`.":                                                                                  statements("TestAnIDHasOneRateByItsKey", "TestTheHashIsUniform"),
	"The agents of a transformer and of a predictor decide independently of each other.":                                                                                                                   statements("TestAnIDHasOneRateByItsKey"),
	"Until then, the exchanges that chance doesn't select hold at most a quarter of the byte budget together.":                                                                                             statements("TestHeldBodiesLeaveRoom"),
	"In any period, the pod sends at most the events of that period and of one second more; a response that follows its request much later may come on top of it.":                                         statements("TestACeilingHoldsInAnyPeriod", "TestACeilingAdmitsPairs"),
	"With `profile: kserve`, a sink gets the events of KServe's logger, so that subscribers of KServe's logger work unchanged. [The how-to](how-to/migrate-from-kserve-logger.md) says how to move to it.": statements("TestSubscribersOfKServesLogger"),

	"If it is larger than 64 KiB, it is at most 20 000 times as large as the encoded body.":                                                                                                 statements("TestCompressedBodiesAreDecoded", "TestUndecodableBodyIsCounted"),
	"A brotli window has at most 4 MiB, the largest that encoders use by default.":                                                                                                          statements("TestDecodingTakesNoMoreThanIsReserved"),
	"A zstd window has at most 8 MiB.":                                                                                                                                                      statements("TestDecodingTakesNoMoreThanIsReserved"),
	"The agent neither keeps nor decodes a body that isn't selected.":                                                                                                                       statements("TestContractTable"),
	"It counts as a failure if only its content would show that it is complete.":                                                                                                            statements("TestContractTable"),
	"A Trigger that filters on a type, such as `io.kubeflow.serving.inference.request`, doesn't deliver the `loop` event at all.":                                                           statements("TestEventLoopEnds"),
	"So a response that the client or the model breaks off counts as complete if":                                                                                                           statements("TestABodyShowsItsEnd", "TestStreamLeftAtDoneIsComplete"),
	"as many bytes have arrived as its Content-Length announced, or":                                                                                                                        statements("TestABodyShowsItsEnd"),
	"it is `text/event-stream`, and its last event has the data `[DONE]`, or has the name `message_stop`, `response.completed`, `response.incomplete` or `response.failed`, or":             statements("TestABodyShowsItsEnd"),
	"it is of a JSON type, and is one complete object or array.":                                                                                                                            statements("TestABodyShowsItsEnd"),
	"The agent removes a content coding before it applies these rules.":                                                                                                                     statements("TestACutCodingIsRead"),
	"If the response is complete, the same rules apply to a request whose end the agent hasn't seen.":                                                                                       statements("TestEarlyGRPCResponseCompletesTheRequest"),
	"The content of a JSON response over `maxPayloadBytes` can't show whether it is complete.":                                                                                              statements("TestABodyShowsItsEnd"),
	"When a client leaves, the agent ends the exchange with the model at once, as the model would see it without the agent.":                                                                statements("TestModelSeesThatItsClientLeft"),
	"There is one exception, for responses that may already be complete: 2xx responses without a Content-Length, other than gRPC, that":                                                     statements("TestModelSeesThatItsClientLeft"),
	"have stopped between two server-sent events or after a complete JSON document, or":                                                                                                     statements("TestModelSeesThatItsClientLeft"),
	"have a content coding or another type, so that the bytes don't show whether they are complete.":                                                                                        statements("TestModelSeesThatItsClientLeft"),
	"The agent then waits for at most a second for the model to end the response.":                                                                                                          statements("TestModelSeesThatItsClientLeft"),
	"If the model ends it, the response is complete.":                                                                                                                                       statements("TestModelSeesThatItsClientLeft"),
	"If another byte comes first, the agent ends the exchange.":                                                                                                                             statements("TestModelSeesThatItsClientLeft"),
	"The agent doesn't wait if the response is evidently incomplete, such as half an event or half a JSON document.":                                                                        statements("TestModelSeesThatItsClientLeft"),
	"Under HTTP/1.1, if the model breaks off a request while its client pauses, the client notices only when it continues, because Go's HTTP client waits for the body that it is sending.": statements("TestAbortedRequestGivesFailureEvent"),
	"There may be at most 32 patterns of 256 bytes each.":                                                                                                                                   statements("TestInvalidPatternErrorHasTheRemedy"),
	"`subject` | it has bytes that are not UTF-8, control characters, or spaces only":                                                                                                       statements("TestNoByteOfAClientCostsAnEvent", "TestASubjectIsThePathOnTheWire"),
	"While a ledger event waits for its sink, the agent creates no further one, so at most two are in memory.":                                                                              statements("TestNoMoreThanTwoStatementsWait"),
	"They use none of the byte budget, so other events can't displace them.":                                                                                                                statements("TestSubscriberCountsLosses"),
	"With a spool, they wait there like other events.":                                                                                                                                      statements("TestSubscriberCountsLosses"),
	"The events that it counts as `pending` arrive after it, or are lost.":                                                                                                                  statements("TestSubscriberCountsLosses"),
}
