/* What the parts of cache/flow/ share: the stores below, the settings, and each other.
 *
 * Filled in by cache_open() before any thread runs and constant afterwards, but for the counts. */
#ifndef TOOTFS_FLOW_H
#define TOOTFS_FLOW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "cache/blob/blob.h"
#include "cache/bucket/bucket.h"
#include "cache/index/index.h"

struct flow_config {
	uint64_t cache_size_bytes;
	unsigned uploads, downloads; /* threads */
	uint64_t part_size_bytes;
	bool attrs_object, durability_bucket, read_only;
	int64_t io_timeout_ms, full_timeout_ms;
};

/* Reads of files: answered from what is here, or after waiting for the bucket. Relaxed: nobody decides by them. */
struct flow_counts {
	atomic_uint_fast64_t hits, misses, hit_bytes, miss_bytes;
	atomic_uint waiters; /* now: for room, or for the bucket to have their file */
};

struct failures;

struct flow {
	struct flow_config config;
	/* after a power cut (sound.h): blobs below this number are looked at when they are opened; whether holes tell */
	uint64_t doubted_below;
	bool holes_tell;
	struct index *index;
	struct blobs *blobs;
	struct bucket *bucket;
	struct nodes *nodes;
	struct checkpoints *checkpoints;
	struct evicts *evicts;
	struct pins *pins; /* NULL = none */
	struct fills *fills;
	struct sends *sends;
	struct failures *failures; /* may be NULL */
	struct flow_counts counts;
	/* The bucket changed this node behind our back; called with no lock held. */
	void (*changed)(void *arg, uint64_t ino);
	void *changed_arg;
};

#endif
