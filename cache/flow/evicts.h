/* The state behind evict.h: for evict.c and space.c only. */
#ifndef TOOTFS_EVICTS_H
#define TOOTFS_EVICTS_H

#include "cache/base/list.h"
#include "cache/base/lock.h"
#include "evict.h"

enum { EVICT_TOUCH_PLACES = 4096 };

/* Somebody who stands in line for room. */
struct waiter {
	struct list link;
	uint64_t bytes;
	int64_t since_ms, deadline_ms;
};

struct evicts {
	struct flow *flow; /* fixed */
	uint64_t high, low;
	pthread_t thread;

	struct lock lock;
	struct wakeup wake, room; /* the thread; the line */
	struct {
		uint64_t used;
		uint64_t unseen; /* bytes taken since the thread looked at the disk */
		uint64_t disk_left; /* what the disk has beyond its margin, when it was looked at, less what was taken since */
		int64_t disk_seen_ms;
		struct list line;
		int64_t progress_ms; /* when bytes were freed last */
		bool started, stopping, poked, disk_full;
		uint64_t touched[EVICT_TOUCH_PLACES];
		size_t touched_count;
		uint64_t evicted_blobs, evicted_bytes;
	} locked;
	struct { /* the thread's */
		uint64_t touched[EVICT_TOUCH_PLACES];
		int64_t flushed_ms;
		int error; /* of the last pass */
	} mine;
};

/* What is to stay free on a disk of this size: the index grows too, and cannot even evict without room. */
static inline uint64_t disk_margin(uint64_t total)
{
	return total / 16 < (64 << 20) ? total / 16 : 64 << 20;
}
/* Gives the thread something to look at. */
void evict_poke_locked(struct evicts *e) REQUIRES(&e->lock);
/* Is half of the time over after which it gives up? */
bool space_is_late_locked(const struct evicts *e, const struct waiter *w) REQUIRES(&e->lock);

#endif
