/* Room in the cache: a hard limit on the bytes of all blobs, dirty ones included; old clean blobs go first.
 *
 * used = reserved bytes of all blobs, from the moment before they are written until they are unlinked. A thread keeps used
 * below the high mark (95 % of the limit) by evicting down to the low mark (90 %), oldest age first: take the node
 * (node_get, node.lock) → at rest? (no opens, no fill, no stream, no draft; CLEAN, or REMOTE with a blob) → one transaction
 * {REMOTE, blob 0, present none, age deleted} → checkpoint_condemn. DIRTY and busy nodes are skipped. It works in
 * batches and, when room is short, calls checkpoint_hurry so that condemned blobs go at once. It also evicts while the
 * cache's filesystem has less than a sixteenth or 64 MiB free (whichever is smaller); nothing is reserved of that rest.
 *
 * What is pinned (pins.h) stays, unless nothing else can go and somebody has waited for half of his time: then as much of it
 * goes as those who wait need, and the log says so. */
#ifndef TOOTFS_EVICT_H
#define TOOTFS_EVICT_H

#include "flow.h"

struct evicts;

int evicts_open(struct flow *flow, struct evicts **out) MUST_CHECK; /* used = ages_total */
int evicts_start(struct evicts *e) MUST_CHECK;
void evicts_stop(struct evicts *e); /* wakes all waiters with -ECANCELED, writes the last ages, joins */
void evicts_close(struct evicts **e);

/* Before bytes are written to a blob: waits for room until deadline_ms, or for full_timeout without any
 * progress (bytes freed), whichever is first. 0, -ENOSPC, -ECANCELED. Nothing held. A request larger than the
 * whole limit is -ENOSPC at once. */
int space_reserve(struct evicts *e, uint64_t bytes, int64_t deadline_ms) MUST_CHECK;
/* The deadline of who serves the kernel: several times full_timeout; now, where so many wait already that the others are needed for
 * those who want no room. */
int64_t space_patience_ms(const struct evicts *e);
/* Takes the bytes only if there is room right now. Leaf lock only. */
bool space_try(struct evicts *e, uint64_t bytes);
void space_release(struct evicts *e, uint64_t bytes); /* leaf lock only */
/* pwrite said ENOSPC though we had room: evicts what can be evicted. */
void space_disk_full(struct evicts *e);
/* Bytes accounted for a blob of this size. */
static inline uint64_t space_of(uint64_t size)
{
	return (size + 4095) & ~(uint64_t)4095;
}
/* The node was read: noted in memory (bounded; imperfect by design), written in batches by the thread. Leaf lock only. */
void evict_touch(struct evicts *e, uint64_t ino);
/* An ascending stamp for ages_touch. */
uint64_t evict_stamp(void);

/* One node, asked for. Pins are the caller's to look at. *freed: bytes, 0 unless EVICT_DONE; after a checkpoint they are free. */
enum evict_answer {
	EVICT_DONE,
	EVICT_EMPTY,   /* nothing of it is here */
	EVICT_DIRTY,   /* the bucket has not got it yet */
	EVICT_OPEN,
	EVICT_FILLING, /* it is being fetched */
};
int evict_node(struct evicts *e, uint64_t ino, enum evict_answer *answer, uint64_t *freed) MUST_CHECK;

struct evict_stats {
	uint64_t used, limit, evicted_blobs, evicted_bytes;
};
void evict_stats_read(struct evicts *e, struct evict_stats *out);

#endif
