/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

var overhead = flag.Bool("faults.overhead", false, "measure the agent's CPU against a bare proxy's")

// bareProxyTarget in the environment makes this binary a bare ReverseProxy.
const bareProxyTarget = "FAULTS_BARE_PROXY"

// serveBareProxy is what the agent is compared with.
func serveBareProxy(target string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	fmt.Println(listener.Addr())
	return http.Serve(listener, &httputil.ReverseProxy{
		Rewrite:   func(p *httputil.ProxyRequest) { p.SetURL(&url.URL{Scheme: "http", Host: target}) },
		Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 100},
		ErrorLog:  log.New(io.Discard, "", 0),
	})
}

func startBareProxy(t *testing.T, target string) (string, int) {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), bareProxyTarget+"="+target)
	said, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal("starting a bare proxy:", err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	address, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		t.Fatal("the bare proxy says no address:", err)
	}
	return "http://" + strings.TrimSpace(address), command.Process.Pid
}

// arm is one way to the model, and the process that is on it.
type arm struct {
	name string
	url  string
	pid  int
	// perExchange are the CPU times of the process, one a round; exchange are
	// how long the exchanges took.
	perExchange, exchange []time.Duration
}

// TestOverhead reports the CPU time that an exchange costs the process between
// client and model: a bare ReverseProxy's, twice, for what the difference of
// the same is, and the agent's. Arms take turns in one run, so that they have
// the same machine; medians of the rounds are compared. It asserts nothing.
func TestOverhead(t *testing.T) {
	if !*overhead {
		t.Skip("a measurement: -faults.overhead takes it")
	}
	const warmUp, rounds, exchanges, clients = 200, 9, 400, 4
	for _, size := range []int{1 << 10, 16 << 10, 256 << 10} {
		off := newRig(t, with("--paths=/nowhere", "--log-level=info"))
		captured := newRig(t, with("--events=response.failure", "--log-level=info"))
		up := newRig(t, with("--log-level=info"))
		dead := newRig(t, with("--log-level=info"))
		dead.network.become(refusing)
		model := up.servers.model.address
		arms := []*arm{{name: "direct", url: "http://" + model, pid: os.Getpid()}}
		for _, name := range []string{"bare proxy", "bare proxy again"} {
			address, pid := startBareProxy(t, model)
			arms = append(arms, &arm{name: name, url: address, pid: pid})
		}
		names := []string{"agent, off", "agent, captured only", "agent, sink up", "agent, sink dead"}
		for i, r := range []*rig{off, captured, up, dead} {
			arms = append(arms, &arm{name: names[i], url: r.agent.url, pid: r.agent.command.Process.Pid})
		}
		body := bytes.Repeat([]byte("x"), size)
		for _, a := range arms {
			a.measure(t, body, clients, warmUp)
		}
		for round := range rounds {
			for i := range arms {
				a := arms[(i+round)%len(arms)]
				cpu, took := a.measure(t, body, clients, exchanges)
				a.perExchange, a.exchange = append(a.perExchange, cpu), append(a.exchange, took)
			}
		}
		bare := median(arms[1].perExchange)
		for _, a := range arms {
			cpu := median(a.perExchange)
			t.Logf("%4d KB  %-24s %8s CPU an exchange, %5.2f of a bare proxy's; %8s an exchange with %d clients",
				size>>10, a.name, cpu.Round(time.Microsecond), float64(cpu)/float64(bare), median(a.exchange).Round(time.Microsecond), clients)
		}
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		t.Logf("the machine's load meanwhile: %s", load)
	}
}

// measure has clients make exchanges, and gives the CPU time of the arm's
// process and the time for each.
func (a *arm) measure(t *testing.T, body []byte, clients, exchanges int) (cpu, took time.Duration) {
	t.Helper()
	through := transport(false)
	defer through.CloseIdleConnections()
	before, begun := cpuTime(t, a.pid), time.Now()
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for range exchanges / clients {
				outgoing, err := http.NewRequest(http.MethodPost, a.url+reflecting, bytes.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				outgoing.Header.Set("Content-Type", "application/octet-stream")
				answered, err := through.RoundTrip(outgoing)
				if err != nil {
					t.Errorf("%s: %v", a.name, err)
					return
				}
				_, _ = io.Copy(io.Discard, answered.Body)
				answered.Body.Close()
			}
		})
	}
	group.Wait()
	took = time.Since(begun) / time.Duration(exchanges/clients)
	return (cpuTime(t, a.pid) - before) / time.Duration(exchanges), took
}

// cpuTime is what all threads of a process have run: Go's don't end
// (Documentation/scheduler/sched-stats.rst, /proc/<pid>/schedstat).
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(threads) == 0 {
		t.Skip("this kernel doesn't tell a thread's CPU time:", err)
	}
	total := time.Duration(0)
	for _, thread := range threads {
		content, err := os.ReadFile(thread)
		if err != nil {
			continue
		}
		run, _, _ := strings.Cut(string(content), " ")
		nanoseconds, _ := strconv.ParseInt(run, 10, 64)
		total += time.Duration(nanoseconds)
	}
	return total
}

func median(durations []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(durations))[len(durations)/2]
}
