/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Tls-front takes HTTPS and hands each request on without TLS, as a front of a
// test's subscriber. The environment says where from and where to:
//
//	CERTIFICATE, KEY  files with its certificate and key, in PEM
//	TARGET            the URL that requests are handed on to
package main

import (
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"time"
)

func main() {
	target, err := url.Parse(os.Getenv("TARGET"))
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{
		Addr: ":8443",
		Handler: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
		}},
		ReadHeaderTimeout: time.Minute,
	}
	log.Fatal(server.ListenAndServeTLS(os.Getenv("CERTIFICATE"), os.Getenv("KEY")))
}
