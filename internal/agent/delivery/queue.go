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
	// deadline is no later than the earliest of any item: before it nothing can
	// have expired.
	deadline alarm
	// unspooled is no later than when the oldest item was observed that may be
	// spooled.
	unspooled alarm
}

func (q *queue) len() int { return len(q.items) - q.head }

func (q *queue) push(item *Item) {
	q.items = append(q.items, item)
	q.bound(item)
}

// bound keeps the bounds with one item more.
func (q *queue) bound(item *Item) {
	q.deadline = q.deadline.earliest(alarmAt(item.Deadline))
	if item.spoolable() {
		q.unspooled = q.unspooled.earliest(alarmAt(item.Observed))
	}
}

// waiting are the items in their order.
func (q *queue) waiting() []*Item { return q.items[q.head:] }

// readBack reports whether so many items from the spool may be tried now. Items
// are in the order of when they may be.
func (q *queue) readBack(now time.Time, items int) bool {
	for _, item := range q.waiting() {
		if item.retry.notBefore.After(now) {
			return false
		}
		if item.record.number > 0 {
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
	q.insertBefore(item, func(other *Item) bool { return other.retry.notBefore.After(item.retry.notBefore) })
}

// insertByAge puts an item before those at the end that were observed later and
// may not be tried earlier.
func (q *queue) insertByAge(item *Item) {
	q.insertBefore(item, func(other *Item) bool {
		return other.retry.notBefore.After(item.retry.notBefore) || other.retry.notBefore.Equal(item.retry.notBefore) && byAge(item, other) < 0
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

// oldest is when the oldest item was observed.
func (q *queue) oldest() alarm {
	oldest := never
	for _, item := range q.waiting() {
		oldest = oldest.earliest(alarmAt(item.Observed))
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

// removeExpired takes out the items that have expired.
func (q *queue) removeExpired(now time.Time) (expired []*Item) {
	if q.len() == 0 || !q.deadline.due(now) {
		return nil
	}
	kept := queue{items: q.items[:0]}
	for _, item := range q.waiting() {
		if now.Before(item.Deadline) {
			kept.push(item)
		} else {
			expired = append(expired, item)
		}
	}
	clear(q.items[len(kept.items):])
	*q = kept
	return expired
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
