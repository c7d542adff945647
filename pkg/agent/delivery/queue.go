/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import "time"

// queue is a first-in, first-out queue of items. What it holds is bounded by
// the byte budget from which each item's lease comes.
type queue struct {
	items []*Item
	head  int
	// deadline is no later than the earliest of any item, zero where there is
	// none: before it nothing can have expired.
	deadline time.Time
}

func (q *queue) len() int { return len(q.items) - q.head }

func (q *queue) push(item *Item) {
	q.items = append(q.items, item)
	q.deadline = soonest(q.deadline, item.Deadline)
}

// insert puts an item behind those that may be tried at the same time or
// earlier.
func (q *queue) insert(item *Item) {
	q.push(item)
	waiting := q.items[q.head:]
	for i := len(waiting) - 1; i > 0 && waiting[i-1].notBefore.After(item.notBefore); i-- {
		waiting[i-1], waiting[i] = waiting[i], waiting[i-1]
	}
}

// oldest is when the oldest item was observed, zero where there is none.
func (q *queue) oldest() time.Time {
	oldest := time.Time{}
	for _, item := range q.items[q.head:] {
		oldest = soonest(oldest, item.Observed)
	}
	return oldest
}

func (q *queue) front() *Item {
	if q.len() == 0 {
		return nil
	}
	return q.items[q.head]
}

func (q *queue) pop() *Item {
	item := q.items[q.head]
	q.items[q.head] = nil
	q.head++
	switch {
	case q.len() == 0:
		q.items, q.head, q.deadline = q.items[:0], 0, time.Time{}
	case q.head > 64 && q.head > len(q.items)/2:
		kept := copy(q.items, q.items[q.head:])
		clear(q.items[kept:])
		q.items, q.head = q.items[:kept], 0
	}
	return item
}

// removeWhere takes out what has expired and gives it to removed.
func (q *queue) removeWhere(expired func(*Item) bool, removed func(*Item)) {
	if q.len() == 0 || !expired(&Item{Deadline: q.deadline}) {
		return
	}
	kept := make([]*Item, 0, q.len())
	deadline := time.Time{}
	for _, item := range q.items[q.head:] {
		if expired(item) {
			removed(item)
			continue
		}
		kept = append(kept, item)
		deadline = soonest(deadline, item.Deadline)
	}
	q.items, q.head, q.deadline = kept, 0, deadline
}
