/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

var (
	seed   = flag.Uint64("faults.seed", 0, "the seed of every random choice; 0 takes one of its own")
	rounds = flag.Int("faults.rounds", 1, "how often each scenario is run, with other choices each time")
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if runtime.GOOS != "linux" {
		fmt.Println("the battery reads /proc, which only Linux has: nothing is tested")
		return 0
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	fmt.Printf("choices are made by -faults.seed=%d\n", *seed)
	directory, err := os.MkdirTemp("", "faults")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer os.RemoveAll(directory)
	// The agent's sources are this test's, too, for the test cache.
	if _, err := os.Stat(filepath.Join("..", "..", "cmd", "agent", "main.go")); err != nil {
		fmt.Println(err)
		return 1
	}
	if err := buildAgent(directory); err != nil {
		fmt.Println(err)
		return 1
	}
	if err := runBeside(scenariosAtOnce); err != nil {
		fmt.Println(err)
		return 1
	}
	return m.Run()
}

// scenariosAtOnce is more than there are processors: scenarios mostly wait.
const scenariosAtOnce = 6

// runBeside sets -parallel, unless the command line did.
func runBeside(count int) error {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if given {
		return nil
	}
	if err := flag.Set("test.parallel", strconv.Itoa(count)); err != nil {
		return fmt.Errorf("setting -parallel: %w", err)
	}
	return nil
}

// inRounds runs a scenario beside the others, as often as was asked for.
func inRounds(t *testing.T, scenario func(t *testing.T, choose *rand.Rand)) {
	t.Parallel()
	name := fnv.New64a()
	_, _ = name.Write([]byte(t.Name()))
	for round := range *rounds {
		choose := rand.New(rand.NewPCG(*seed, name.Sum64()+uint64(round)))
		if *rounds == 1 {
			scenario(t, choose)
			continue
		}
		t.Run(fmt.Sprintf("round %d", round+1), func(t *testing.T) { scenario(t, choose) })
	}
}

// rig is clients, an agent, a model, a network and a sink.
type rig struct {
	*agenttest.Rig
	*clients
	t *testing.T

	model   *model
	network *network
	sink    *sink
	// letters is the dead letter sink, where there is one.
	letters *sink

	options options
}

type options struct {
	rig         []agenttest.Option
	environment []string
	// wrapper is a command that the agent is run by.
	wrapper []string
	// mounts says that the agent has mounts of its own, which end with it.
	mounts      bool
	certificate *tls.Certificate
	sides       []side
	deadLetters bool
	// ledger says that the agent sends ledger events.
	ledger bool
	run    string
}

type option func(*options)

// with gives the agent arguments.
func with(line ...string) option {
	return func(o *options) { o.rig = append(o.rig, agenttest.With(line...)) }
}

// withMemory gives the agent a byte budget and the runtime's soft limit.
func withMemory(budget, limit int64) option {
	return func(o *options) {
		with(fmt.Sprintf("--buffer-bytes=%d", budget))(o)
		o.environment = append(o.environment, fmt.Sprintf("GOMEMLIMIT=%d", limit))
	}
}

// responsesOnly has only responses sent as events.
func responsesOnly() option {
	return func(o *options) {
		with("--mode=response")(o)
		o.sides = []side{response}
	}
}

// overTLS has the sink behind a certificate.
func overTLS(certificate *tls.Certificate) option {
	return func(o *options) { o.certificate = certificate }
}

// inFrontOf has another model than the rig's.
func inFrontOf(address string) option { return with("--target=http://" + address) }

// withDeadLetters has a dead letter sink, with a sound way to it.
func withDeadLetters() option { return func(o *options) { o.deadLetters = true } }

// withLedger has the agent send ledger events beside the default kinds and
// these. What it says of all events at rest is then taken from them.
func withLedger(kinds ...agentconfig.Kind) option {
	return func(o *options) {
		kinds := slices.Concat(agentconfig.DefaultKinds(), kinds, []agentconfig.Kind{agentconfig.KindLedger})
		with("--events="+agentconfig.FormatKinds(kinds), "--ledger-interval=1s")(o)
		o.ledger = true
	}
}

// called names the run in the ids of its exchanges.
func called(run string) option { return func(o *options) { o.run = run } }

// impatient has the agent give an attempt up after a second, so that a sink
// that hangs is tried again. Elsewhere a busy machine would look like one.
func impatient() option { return with("--sink.default.timeout=1s") }

func newRig(t *testing.T, given ...option) *rig {
	t.Helper()
	o := options{sides: []side{request, response}, run: "run"}
	for _, set := range given {
		set(&o)
	}
	r := &rig{t: t, model: newModel(), sink: newSink(t, agenttest.OverTLS(o.certificate)), options: o}
	r.network = newNetwork(t, r.sink.Address)
	scheme := "http://"
	if o.certificate != nil {
		scheme = "https://"
	}
	all := []agenttest.Option{agenttest.InFrontOf(r.model), agenttest.To(r.sink.Sink), agenttest.With(
		"--sink="+scheme+r.network.address, "--allow-loopback-sinks=true", "--sink.default.retry-after-max=1s")}
	if o.deadLetters {
		r.letters = newSink(t)
		all = append(all, agenttest.DeadLettersTo(r.letters.Sink))
	}
	r.Rig = agenttest.NewRig(t, agenttest.Process(o.command), append(all, o.rig...)...)
	r.clients = newClients(t, r.URL, o.run)
	return r
}

// restartSink ends the sink and begins it anew elsewhere, with the ledger it
// had.
func (r *rig) restartSink() {
	r.t.Helper()
	r.sink.Restart()
	r.network.leadTo(r.sink.Address)
}

// one makes one exchange.
func (r *rig) one(s sort) string { return r.exchange(context.Background(), s) }

// evidence is what all have seen so far. The agent's ledger comes first: what
// it calls delivered then, the sink has.
func (r *rig) evidence(agent ledger.Snapshot) evidence {
	e := evidence{
		clients:    r.copy(),
		model:      r.model.copy(),
		sink:       r.sink.events(),
		statements: r.sink.told(),
		agent:      agent,
		sides:      r.options.sides,
	}
	if r.letters != nil {
		e.letters = r.letters.events()
		for _, statement := range r.letters.told() {
			statement.letter = true
			e.statements = append(e.statements, statement)
		}
	}
	return e
}

// idle waits until no exchange is in flight.
func (r *rig) idle() {
	r.t.Helper()
	agenttest.Eventually(r.t, "no exchange is under way", func() bool { return r.status().Active == 0 })
}

// soFar is the evidence when no exchange is in flight: a client has its response
// a moment before the agent has observed it.
func (r *rig) soFar() evidence {
	r.t.Helper()
	r.idle()
	return r.evidence(r.ledger())
}

// atRest waits until every event has its fate. Where the agent sends ledger
// events, it waits until a sink has one that says so: the evidence then has that
// for the agent's ledger, and /status only says that nothing follows.
func (r *rig) atRest() evidence {
	r.t.Helper()
	r.idle()
	if r.options.ledger {
		var e evidence
		agenttest.Eventually(r.t, "a ledger event says that every event has its fate", func() bool {
			now := r.ledger()
			if now.Pending > 0 {
				return false
			}
			var heard bool
			e, heard = r.evidence(now).heard(now.Observed)
			return heard
		})
		return e
	}
	agenttest.Eventually(r.t, "every event has its fate", func() bool { return r.ledger().Pending == 0 })
	return r.evidence(r.ledger())
}

// awaitFailure waits until so many more attempts were made again: the agent
// has felt the fault.
func (r *rig) awaitFailure(retries uint64) {
	r.t.Helper()
	already := r.ledger().Retried
	agenttest.Eventually(r.t, "the agent feels the fault", func() bool { return r.ledger().Retried >= already+retries })
}

// awaitSuccess waits until the sink takes events again, or has them all.
func (r *rig) awaitSuccess() {
	r.t.Helper()
	already := r.ledger().Delivered
	agenttest.Eventually(r.t, "the sink takes events again", func() bool {
		now := r.ledger()
		return now.Delivered > already || now.Pending == 0
	})
}

// awaitArrival (P4) waits for the events of an exchange that was made after a
// fault's end.
func (r *rig) awaitArrival(id string) {
	r.t.Helper()
	agenttest.Within(r.t, arrivalTime, "P4: the events of "+id+" have arrived", func() bool {
		for _, s := range r.options.sides {
			if !r.sink.has(id, s) {
				return false
			}
		}
		return true
	})
}

// hold fails the test where a property doesn't hold.
func hold(t *testing.T, e evidence, properties ...property) {
	t.Helper()
	for _, property := range properties {
		if err := property(e); err != nil {
			t.Error(err)
		}
	}
}
