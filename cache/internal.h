/* The members of a cache, for the .c files of cache/ only. Fixed after cache_open. */
#ifndef TOOTFS_CACHE_INTERNAL_H
#define TOOTFS_CACHE_INTERNAL_H

#include "cache.h"
#include "cache/flow/checkpoint.h"
#include "cache/flow/evict.h"
#include "cache/flow/fill.h"
#include "cache/flow/flow.h"
#include "cache/flow/send.h"

struct survey;
struct sweep;

struct cache {
	const struct cache_config *config;
	struct flow flow;
	struct survey *survey;
	struct sweep *sweep; /* NULL after a clean stop */
	struct cache_watcher watcher;
	int lock_fd;
	bool unswept; /* opened by check_open, and its next start will sweep */
	char *copy;   /* of check_open: where a copy of the index is, or NULL */
	bool fresh; /* the index was made just now, from nothing */
	bool bucket_started;
	size_t key_bytes_max;
};

#endif
