/* The whole cache: composition, start and stop in one order, recovery at open.
 *
 * open (before threads, after daemonising: LMDB must not cross a fork) → start (threads) → … → drain →
 * stop → close. One cache a process is usual, several are possible. */
#ifndef TOOTFS_CACHE_H
#define TOOTFS_CACHE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/statvfs.h>
#include "cache/base/buf.h"
#include "cache/base/err.h"
#include "config.h"

struct cache;

/* Called from any thread, with no lock held, when a node's content or attributes, or a directory's names,
 * changed without a call of the filesystem having done it (the bucket changed behind our back). The kernel
 * must forget what it keeps of the ino. */
struct cache_watcher {
	void (*changed)(void *arg, uint64_t ino);
	/* The same of a name that came or went: also that there was none must be forgotten. May be NULL. */
	void (*named)(void *arg, uint64_t parent, const char *name);
	/* Waits a little until the kernel was told what was said so far. May be NULL. */
	void (*settle)(void *arg);
	void *arg;
};

/* Opens index, blobs and bucket, recovers, probes the bucket. Needs the bucket only where the cache does
 * not know it yet; otherwise an unreachable endpoint is a warning. *why: the thing, the cause, the way out.
 * The config must outlive the cache. */
int cache_open(const struct cache_config *config, struct cache **out, struct buf *why) MUST_CHECK;
int cache_start(struct cache *cache, const struct cache_watcher *watcher) MUST_CHECK;
/* Waits until nothing is pending or until clock_ms() >= deadline_ms; progress is called about once a second
 * with what is left. 0, or -ETIMEDOUT with work left (it stays pending and goes on at the next start). */
int cache_drain(struct cache *cache, int64_t deadline_ms,
		void (*progress)(void *arg, uint64_t pending_count), void *arg) MUST_CHECK;
/* Reads again what may change without a remount: credentials, rules, content types. What is pending is
 * tried at once. Thread-safe, without network; what came of it is logged. */
void cache_reload(struct cache *cache);
/* Nothing is waited for any more that the bucket would have to answer; cache_stop follows. Thread-safe. */
void cache_interrupt(struct cache *cache);
/* Ends all transfers, joins the threads, takes a last checkpoint. */
void cache_stop(struct cache *cache);
void cache_close(struct cache **cache);

/* Honest numbers: blocks = what the tree holds + what can be written now without waiting. */
int cache_statvfs(struct cache *cache, struct statvfs *out) MUST_CHECK;
/* How many keys the bucket is not yet as wanted at. An error is no "none". */
int cache_pending(struct cache *cache, uint64_t *out) MUST_CHECK;
/* How many wait for room, or for the bucket to have their file (durability=bucket): each within its time. */
unsigned cache_waiters(struct cache *cache);
/* Has a checkpoint hung for so long? */
bool cache_is_stuck(struct cache *cache, int64_t for_ms);

#endif
