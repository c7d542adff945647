/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package conformance

import (
	"regexp"
	"strings"
)

// A sentence ends before a space and the beginning of the next one.
var sentenceEnd = regexp.MustCompile("([.?!])\\s+([A-Z`\"])")

// Statements are the sentences and the rows of a contract in Markdown, in their order.
// A row is its first two cells, as "cell | cell". Headings, the heads of tables and
// code are left out.
func Statements(contract string) []string {
	var all []string
	code, head := false, true
	for line := range strings.Lines(contract) {
		line = strings.TrimSpace(line)
		isRow := strings.HasPrefix(line, "|")
		switch {
		case strings.HasPrefix(line, "```"):
			code = !code
		case code, line == "", strings.HasPrefix(line, "#"), strings.HasPrefix(line, "|---"):
		case isRow && head:
		case isRow:
			cells := cellsOf(line)
			all = append(all, cells[0]+" | "+cells[1])
		default:
			marked := sentenceEnd.ReplaceAllString(strings.TrimPrefix(line, "- "), "$1\x00$2")
			all = append(all, strings.Split(marked, "\x00")...)
		}
		head = !isRow
	}
	return all
}

func cellsOf(row string) []string {
	cells := strings.Split(strings.Trim(row, "|"), "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}

// promise is one row of the table "What goes out when".
type promise struct {
	protocol, outcome string
	request, response promisedEvent
}

// promisedEvent is one half of a row, in its words. Without a kind, there is no event.
type promisedEvent struct{ kind, data, contentType string }

// promises reads the table.
func promises(contract string) []promise {
	_, section, _ := strings.Cut(contract, "\n## What goes out when\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var rows []promise
	for line := range strings.Lines(section) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| protocol ") {
			continue
		}
		cells := cellsOf(line)
		for i := range cells {
			cells[i] = strings.TrimPrefix(strings.Trim(cells[i], "`"), "–")
		}
		rows = append(rows, promise{
			protocol: cells[0], outcome: cells[1],
			request:  promisedEvent{cells[2], cells[3], cells[4]},
			response: promisedEvent{cells[5], cells[6], cells[7]},
		})
	}
	return rows
}
