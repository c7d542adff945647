/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package http1_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/sidenote-dev/sidenote/internal/agent/http1"
)

// TestMain finds goroutines that outlive the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// maxHeadBytes is more than a Reader reads at once.
const maxHeadBytes = 10 << 10

// pipe is a connection without a socket, which reports whether it was closed.
type pipe struct {
	net.Conn
	closed atomic.Bool
}

func (p *pipe) Close() error {
	p.closed.Store(true)
	return p.Conn.Close()
}

// pipes returns a Dial of pipes. Nobody reads from their other ends.
func pipes() func(context.Context) (net.Conn, error) {
	return func(context.Context) (net.Conn, error) {
		near, _ := net.Pipe()
		return &pipe{Conn: near}, nil
	}
}

func get(t *testing.T, pool *http1.Pool) *http1.Conn {
	t.Helper()
	conn, err := pool.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func closed(conn *http1.Conn) bool { return conn.Conn.(*pipe).closed.Load() }

func TestTheConnectionUsedLastIsUsedNext(t *testing.T) {
	pool := http1.NewPool(http1.Options{Dial: pipes(), MaxIdle: 2, IdleTimeout: time.Minute})
	defer pool.CloseIdle()
	first, second, third := get(t, pool), get(t, pool), get(t, pool)
	if first.Reused() {
		t.Error("a new connection counts as used before")
	}
	pool.Put(first)
	pool.Put(second)
	pool.Put(third)
	if closed(first) || closed(second) || !closed(third) {
		t.Errorf("closed: %v, %v, %v; want the one over the bound closed", closed(first), closed(second), closed(third))
	}
	if got := get(t, pool); got != second || !got.Reused() {
		t.Error("the second one doesn't come back first")
	}
	if got := get(t, pool); got != first || !got.Reused() {
		t.Error("the first one doesn't come back")
	}
	if got := get(t, pool); got == third || got.Reused() {
		t.Error("the closed one came back")
	}
}

func TestIdleConnectionsEndAtTheirTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := http1.NewPool(http1.Options{Dial: pipes(), MaxIdle: 9, IdleTimeout: time.Minute})
		early, late := get(t, pool), get(t, pool)
		pool.Put(early)
		time.Sleep(40 * time.Second)
		pool.Put(late)
		time.Sleep(20*time.Second - 1)
		synctest.Wait()
		if closed(early) {
			t.Error("closed before its timeout")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if !closed(early) || closed(late) {
			t.Errorf("at the timeout of the first one: closed %v, %v", closed(early), closed(late))
		}
		time.Sleep(40 * time.Second)
		synctest.Wait()
		if !closed(late) {
			t.Error("the second one is kept for longer than its timeout")
		}
		again := get(t, pool)
		pool.Put(again)
		time.Sleep(time.Minute)
		synctest.Wait()
		if !closed(again) {
			t.Error("nothing ends an idle connection after there was none for a while")
		}
	})
}

func TestOldConnectionIsNotReused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const age, jitter = 5 * time.Minute, time.Minute
		pool := http1.NewPool(http1.Options{Dial: pipes(), MaxIdle: 9, IdleTimeout: time.Hour, MaxAge: age, AgeJitter: jitter})
		defer pool.CloseIdle()
		busy, idle := get(t, pool), get(t, pool)
		time.Sleep(age - 1)
		pool.Put(busy)
		if got := get(t, pool); got != busy {
			t.Fatal("closed before its age")
		}
		pool.Put(idle)
		time.Sleep(jitter + 1)
		if get(t, pool) == idle || !closed(idle) {
			t.Error("an old idle connection is used again")
		}
		pool.Put(busy)
		if !closed(busy) {
			t.Error("a connection that grew old in use is kept")
		}
	})
}

func TestCloseIdleClosesIdleConnections(t *testing.T) {
	pool := http1.NewPool(http1.Options{Dial: pipes(), MaxIdle: 9, IdleTimeout: time.Minute})
	idle, used := get(t, pool), get(t, pool)
	pool.Put(idle)
	pool.CloseIdle()
	if !closed(idle) || closed(used) {
		t.Errorf("closed: the idle one %v, the one in use %v", closed(idle), closed(used))
	}
	pool.Put(used)
	pool.CloseIdle()
	if !closed(used) {
		t.Error("one that came back is not closed")
	}
}

func TestADialThatFails(t *testing.T) {
	want := errors.New("no route")
	pool := http1.NewPool(http1.Options{Dial: func(context.Context) (net.Conn, error) { return nil, want }, MaxIdle: 1, IdleTimeout: time.Minute})
	if conn, err := pool.Get(t.Context()); !errors.Is(err, want) || conn != nil {
		t.Errorf("got %v, %v", conn, err)
	}
}

// socket returns a pool of connections to a listener, and what accepts the next
// one's other end.
func socket(t *testing.T) (pool *http1.Pool, accept func() net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	var dialer net.Dialer
	pool = http1.NewPool(http1.Options{
		Dial: func(ctx context.Context) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", listener.Addr().String())
		},
		MaxIdle: 100, IdleTimeout: time.Minute, MaxHeadBytes: maxHeadBytes,
	})
	t.Cleanup(pool.CloseIdle)
	return pool, func() net.Conn {
		peer, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { peer.Close() })
		return peer
	}
}

// TestClosedConnectionIsNotReused, nor one on which it has
// sent something that nobody asked for.
func TestClosedConnectionIsNotReused(t *testing.T) {
	for name, act := range map[string]func(peer *net.TCPConn) error{
		"closed": func(peer *net.TCPConn) error { return peer.Close() },
		"reset": func(peer *net.TCPConn) error {
			return errors.Join(peer.SetLinger(0), peer.Close())
		},
		"half closed": func(peer *net.TCPConn) error { return peer.CloseWrite() },
		"unasked": func(peer *net.TCPConn) error {
			_, err := io.WriteString(peer, "HTTP/1.1 408 Request Timeout\r\n\r\n")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			pool, accept := socket(t)
			conn := get(t, pool)
			peer := accept()
			pool.Put(conn)
			if got := get(t, pool); got != conn || !got.Reused() || got.Readable() {
				t.Fatal("a connection that is well isn't used again")
			}
			if err := act(peer.(*net.TCPConn)); err != nil {
				t.Fatal(err)
			}
			for !conn.Readable() {
				runtime.Gosched()
			}
			pool.Put(conn)
			if got := get(t, pool); got == conn || got.Reused() {
				t.Error("it is used again")
			} else {
				got.Close()
			}
		})
	}
}

func TestAResponseLongerThanItSaidEndsTheConnection(t *testing.T) {
	pool, accept := socket(t)
	conn := get(t, pool)
	peer := accept()
	if _, err := io.WriteString(peer, "onetwo"); err != nil {
		t.Fatal(err)
	}
	defer conn.Bind(t.Context())()
	one := make([]byte, 3)
	if _, err := io.ReadFull(conn.Reader, one); err != nil {
		t.Fatal(err)
	}
	for conn.Reader.Buffered() == 0 {
		if _, err := conn.Reader.Peek(1); err != nil {
			t.Fatal(err)
		}
	}
	pool.Put(conn)
	if got := get(t, pool); got == conn {
		t.Error("the rest of one response is the next one's")
	} else {
		got.Close()
	}
}

func TestAnExchangeEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := http1.NewPool(http1.Options{Dial: pipes(), MaxIdle: 1, IdleTimeout: time.Hour, MaxHeadBytes: maxHeadBytes})
		defer pool.CloseIdle()
		conn := get(t, pool)

		ctx, cancel := context.WithCancel(t.Context())
		release := conn.Bind(ctx)
		go cancel()
		if _, err := conn.Reader.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after the end of its context a read gives %v", err)
		}
		if release() {
			t.Error("the connection counts as sound")
		}

		conn = get(t, pool)
		began := time.Now()
		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		release = conn.Bind(ctx)
		if _, err := conn.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Minute {
			t.Errorf("a write gives %v after %s", err, time.Since(began))
		}
		release()

		conn = get(t, pool)
		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if release = conn.Bind(ctx); !release() {
			t.Error("the connection counts as unsound although its context goes on")
		}
		time.Sleep(time.Minute)
		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began = time.Now()
		release = conn.Bind(ctx)
		if _, err := conn.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Minute {
			t.Errorf("in the exchange after, a write gives %v after %s", err, time.Since(began))
		}
		release()
		conn.Close()
	})
}

func TestAReusedConnectionAllocatesNothing(t *testing.T) {
	pool, accept := socket(t)
	conn := get(t, pool)
	accept()
	pool.Put(conn)
	if allocations := testing.AllocsPerRun(100, func() {
		conn, err := pool.Get(t.Context())
		if err != nil || !conn.Reused() {
			t.Fatal("no connection is reused", err)
		}
		pool.Put(conn)
	}); allocations >= 1 {
		t.Errorf("%v allocations", allocations)
	}
}

// TestAnIdleConnectionIsSmall holds what the comment of Conn says. The other
// end of each connection is in the process, too.
func TestAnIdleConnectionIsSmall(t *testing.T) {
	const connections, most = 100, 1500
	pool, accept := socket(t)
	used := make([]*http1.Conn, connections)
	peers := make([]net.Conn, connections)
	held := func() int64 {
		var stats runtime.MemStats
		// Twice, because a sync.Pool keeps what is in it for one collection.
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	before := held()
	for i := range used {
		used[i], peers[i] = get(t, pool), accept()
	}
	for _, conn := range used {
		pool.Put(conn)
	}
	if each := (held() - before) / connections; each > most {
		t.Errorf("a pair of idle connections holds %d bytes, want %d at most", each, most)
	}
	runtime.KeepAlive(peers)
}
