/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"bytes"
	"io"
	"log"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// NewLogger returns a logger of JSON lines. The same line is written five times
// a second at most, then one of a hundred: a failing model must not fill the
// node's disk.
func NewLogger(w io.Writer, level zapcore.Level) *zap.Logger {
	encoding := zap.NewProductionEncoderConfig()
	encoding.EncodeTime = zapcore.ISO8601TimeEncoder
	encoding.TimeKey = "timestamp"
	encoding.MessageKey = "message"
	core := zapcore.NewCore(zapcore.NewJSONEncoder(encoding), zapcore.Lock(zapcore.AddSync(w)), level)
	return zap.New(zapcore.NewSamplerWithOptions(core, time.Second, 5, 100))
}

// serverLog takes the lines of the standard library's servers. They may quote
// what a client sent, so only the stack of a panic goes on.
func serverLog(logger *zap.Logger) *log.Logger {
	return log.New(panicWriter{logger}, "", 0)
}

type panicWriter struct{ logger *zap.Logger }

func (w panicWriter) Write(line []byte) (int, error) {
	// What panicked stands before the stack, and may have lines of its own.
	stack := bytes.LastIndex(line, []byte("\ngoroutine "))
	if stack >= 0 && (bytes.HasPrefix(line, []byte("http: panic serving ")) || bytes.HasPrefix(line, []byte("http2: panic serving "))) {
		w.logger.Error("a panic ended an exchange", zap.ByteString("stack", line[stack+1:]))
	}
	return len(line), nil
}
