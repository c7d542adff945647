/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package eventfilter

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	cesql "github.com/cloudevents/sdk-go/sql/v2"
	cesqlerrors "github.com/cloudevents/sdk-go/sql/v2/errors"
	cesqlparser "github.com/cloudevents/sdk-go/sql/v2/parser"
	"github.com/cloudevents/sdk-go/v2/event"
)

// expression is one in the CloudEvents SQL expression language.
type expression struct{ parsed cesql.Expression }

// parsing is held while an expression is parsed: the parser shares its tables
// among all calls.
var parsing sync.Mutex

func compileExpression(text string) (*expression, error) {
	if err := checkSyntax(text); err != nil {
		return nil, err
	}
	parsed, err := parse(text)
	if err != nil {
		return nil, err
	}
	e := &expression{parsed}
	value, err := e.evaluate((&subject{Attributes: standardAttributes{}}).event())
	switch {
	case cesqlerrors.IsMissingFunctionError(err):
		_, name, _ := strings.Cut(err.Error(), ": ")
		return nil, fmt.Errorf("unknown function %s: see the functions of the CloudEvents SQL expression language", quote(name))
	case err != nil:
	default:
		if _, is := value.(bool); !is {
			return nil, errors.New("the expression gives no Boolean: write a comparison, such as team = 'risk'")
		}
	}
	return e, nil
}

// standardAttributes are an event that has only the attributes of CloudEvents. An
// expression that is wrong with it is wrong with every event.
type standardAttributes struct{}

func (standardAttributes) Attribute(string) (value string, found bool) { return "", false }

func (standardAttributes) Attributes() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for _, name := range []string{"type", "source", "id", "subject", "datacontenttype", "dataschema"} {
			if !yield(name, "x") {
				return
			}
		}
		yield("time", time.Unix(0, 0).UTC().Format(time.RFC3339))
	}
}

// parse returns the parsed expression. The parser panics at some syntax errors.
func parse(text string) (parsed cesql.Expression, err error) {
	parsing.Lock()
	defer parsing.Unlock()
	defer func() {
		if recover() != nil {
			parsed, err = nil, errSyntax
		}
	}()
	if parsed, err = cesqlparser.Parse(text); err != nil || parsed == nil {
		// The parser's own messages may have several lines.
		return nil, errSyntax
	}
	return parsed, nil
}

var errSyntax = errors.New("syntax error: write an expression of the CloudEvents SQL expression language, such as team = 'risk' AND EXISTS owner")

var errPanic = errors.New("the evaluation panicked")

// matches reports whether the expression is true. A result that isn't a Boolean
// and an error are false: of an error, a Trigger says the same.
func (e *expression) matches(s *subject) bool {
	value, err := e.evaluate(s.event())
	is, boolean := value.(bool)
	return err == nil && boolean && is
}

// evaluate turns a panic into an error. SUBSTRING panics with a negative length.
func (e *expression) evaluate(of event.Event) (value any, err error) {
	defer func() {
		if recover() != nil {
			value, err = nil, errPanic
		}
	}()
	return e.parsed.Evaluate(of)
}
