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
	// unspooled is no later than when the oldest item was observed that may be
	// spooled, zero where there is none.
	unspooled time.Time
}

func (q *queue) len() int { return len(q.items) - q.head }

func (q *queue) push(item *Item) {
	q.items = append(q.items, item)
	q.bound(item)
}

// bound keeps the bounds with one item more.
func (q *queue) bound(item *Item) {
	q.deadline = soonest(q.deadline, item.Deadline)
	if item.spoolable() {
		q.unspooled = soonest(q.unspooled, item.Observed)
	}
}

// waiting are the items in their order.
func (q *queue) waiting() []*Item { return q.items[q.head:] }

// readBack says whether it has so many items from the disk that may be tried.
// Items are in the order of when they may be.
func (q *queue) readBack(now time.Time, items int) bool {
	for _, item := range q.waiting() {
		if item.notBefore.After(now) {
			return false
		}
		if item.record > 0 {
			items--
		}
		if items <= 0 {
			return true
		}
	}
	return false
}

// insert puts an item behind those that may be tried at the same time or
// earlier.
func (q *queue) insert(item *Item) {
	q.insertBefore(item, func(other *Item) bool { return other.notBefore.After(item.notBefore) })
}

// insertByAge puts an item before those at the end that were observed later and
// may not be tried earlier.
func (q *queue) insertByAge(item *Item) {
	q.insertBefore(item, func(other *Item) bool {
		return other.notBefore.After(item.notBefore) || other.notBefore.Equal(item.notBefore) && byAge(item, other) < 0
	})
}

// restore puts an item of a queue of new ones back to its place.
func (q *queue) restore(item *Item) {
	q.insertBefore(item, func(other *Item) bool { return other.Sequence > item.Sequence })
}

func (q *queue) insertBefore(item *Item, later func(*Item) bool) {
	q.push(item)
	waiting := q.waiting()
	for i := len(waiting) - 1; i > 0 && later(waiting[i-1]); i-- {
		waiting[i-1], waiting[i] = waiting[i], waiting[i-1]
	}
}

// oldest is when the oldest item was observed, zero where there is none.
func (q *queue) oldest() time.Time {
	oldest := time.Time{}
	for _, item := range q.waiting() {
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
		*q = queue{items: q.items[:0]}
	case q.head > 64 && q.head > len(q.items)/2:
		kept := copy(q.items, q.items[q.head:])
		clear(q.items[kept:])
		q.items, q.head = q.items[:kept], 0
	}
	return item
}

// removeExpired takes out what has expired and gives it to removed.
func (q *queue) removeExpired(now time.Time, removed func(*Item)) {
	if q.len() == 0 || now.Before(q.deadline) {
		return
	}
	kept := queue{items: make([]*Item, 0, q.len())}
	for _, item := range q.waiting() {
		if now.Before(item.Deadline) {
			kept.push(item)
		} else {
			removed(item)
		}
	}
	*q = kept
}

// remove takes out the items of a set.
func (q *queue) remove(items map[*Item]struct{}) {
	kept := queue{items: q.items[:0]}
	for _, item := range q.waiting() {
		if _, taken := items[item]; !taken {
			kept.push(item)
		}
	}
	clear(q.items[len(kept.items):])
	*q = kept
}
