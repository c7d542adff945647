/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package proxy

import (
	"bytes"
	"net/http"
	"net/textproto"
	"strconv"
)

// headFields are those that writeHead writes by rules of their own, or not at
// all.
var headFields = map[string]bool{
	"Host": true, "User-Agent": true, "Content-Length": true, "Transfer-Encoding": true, "Trailer": true,
}

// writeHead writes the head of a request as net/http's transport does, byte for
// byte. The length is that of the body. Host and target must be plain.
func writeHead(out *bytes.Buffer, r *http.Request, target string, length int64) {
	out.WriteString(r.Method)
	out.WriteByte(' ')
	out.WriteString(target)
	out.WriteString(" HTTP/1.1\r\nHost: ")
	out.WriteString(r.Host)
	out.WriteString("\r\n")
	if agent := textproto.TrimString(r.Header.Get("User-Agent")); agent != "" {
		out.WriteString("User-Agent: ")
		out.WriteString(agent)
		out.WriteString("\r\n")
	}
	if length > 0 || r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch {
		out.WriteString("Content-Length: ")
		out.Write(strconv.AppendInt(out.AvailableBuffer(), length, 10))
		out.WriteString("\r\n")
	}
	// A Buffer gives no errors.
	_ = r.Header.WriteSubset(out, headFields)
	out.WriteString("\r\n")
}

// plainHost reports whether net/http's transport writes a host as it is.
func plainHost(host string) bool {
	for i := range len(host) {
		switch c := host[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '-', c == '_', c == ':', c == '[', c == ']':
		default:
			return false
		}
	}
	return host != ""
}

// plainTarget reports whether a request's target is one word.
func plainTarget(target string) bool {
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c == 0x7f {
			return false
		}
	}
	return target != ""
}
