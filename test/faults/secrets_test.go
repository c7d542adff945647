/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSecretsStaySecret (P8): what a client, an owner and a cluster gave in
// confidence is nowhere in what the agent says, not even when things go wrong.
func TestSecretsStaySecret(t *testing.T) {
	inRounds(t, func(t *testing.T, choose *rand.Rand) {
		canary := func(where string) string { return fmt.Sprintf("canary%s%x", where, choose.Uint64()) }
		authorization, cookie, query, header := canary("authorization"), canary("cookie"), canary("query"), canary("header")
		path, body, token, owner := canary("path"), canary("body"), canary("token"), canary("metadata")

		certificate, authority := newCertificate(t, time.Now().Add(time.Hour))
		tokenFile := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(tokenFile, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		r := newRig(t, overTLS(certificate), with("--sink.default.ca-certs="+authority,
			"--sink.default.token-file="+tokenFile, "--metadata=team="+owner, "--drain-timeout=1s"))
		ask := func() {
			outgoing, err := http.NewRequestWithContext(context.Background(), http.MethodPost,
				r.agent.url+"/v1/"+path+"?key="+query, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			outgoing.Header = http.Header{
				"Authorization": {"Bearer " + authorization}, "Cookie": {"session=" + cookie}, "X-Api-Key": {header},
				"Content-Type": {"text/" + header + `; "` + header}, "Traceparent": {header}, "Content-Encoding": {header},
				requestIDHeader: {"no id: " + header},
			}
			if answered, err := r.http1.RoundTrip(outgoing); err == nil {
				_, _ = io.Copy(io.Discard, answered.Body)
				answered.Body.Close()
			}
		}
		r.load(1, 2, small())
		// The sink wants another token, fails and is gone, then the model.
		statuses := []int{202, 401, 503}
		r.sink.answering(func(_ taken, n int) reply {
			return reply{status: statuses[n%len(statuses)], body: []byte(token)}
		})
		r.load(1, 4, small())
		r.atRest()
		if !r.sink.authorized("Bearer " + token) {
			t.Error("the sink got no token, so none could leak")
		}
		r.network.become(resetting)
		ask()
		// A request that is none, and one that never ends.
		raw, err := net.Dial("tcp", strings.TrimPrefix(r.agent.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(raw, "POST /%s HTTP/9.9\r\n%s\x00: %s\r\n\r\n", path, header, cookie)
		_, _ = io.Copy(io.Discard, raw)
		raw.Close()
		r.servers.model.close()
		ask()
		r.awaitTrouble(1)
		pages := map[string]string{"metrics": r.agent.page("/metrics"), "status": r.agent.page("/status"), "readiness": r.agent.page("/readyz")}
		r.agent.signal(syscall.SIGTERM)
		r.agent.exit()
		pages["log"] = r.agent.logs.String()
		if err := keepsSecrets([]string{authorization, cookie, query, header, path, body, token, owner}, pages); err != nil {
			t.Error(err)
		}
		if !strings.Contains(pages["log"], "agent ends") || !strings.Contains(pages["metrics"], "sidenote_events_observed") {
			t.Error("the agent said nothing, so nothing could leak")
		}
	})
}

// TestAnExpiredCertificate: no event goes there, and the model serves.
func TestAnExpiredCertificate(t *testing.T) {
	inRounds(t, func(t *testing.T, _ *rand.Rand) {
		certificate, authority := newCertificate(t, time.Now().Add(-time.Hour))
		r := newRig(t, overTLS(certificate), with("--sink.default.ca-certs="+authority))
		r.load(2, 10, small())
		r.awaitTrouble(1)
		e := r.soFar()
		hold(t, e, append(always(), lossesAreCountable)...)
		if len(e.sink) != 0 || e.agent.Pending != 40 {
			t.Errorf("the sink has %d events, the ledger says %+v", len(e.sink), e.agent)
		}
	})
}

// newCertificate gives one for the loopback, and itself as its authority.
func newCertificate(t *testing.T, until time.Time) (*tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal("making a key:", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: until.Add(-24 * time.Hour), NotAfter: until,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(crand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal("making a certificate:", err)
	}
	return &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key},
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}))
}
