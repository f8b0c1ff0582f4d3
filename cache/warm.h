/* Warming: the content of files is fetched before anybody reads it. */
#ifndef TOOTFS_WARM_H
#define TOOTFS_WARM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cache.h"

struct warm_sums {
	uint64_t files, bytes;	     /* there are, with content */
	uint64_t done, done_bytes;   /* of these, are here now, also such as were before; while it runs, with parts of files */
	uint64_t fetched, fetched_bytes; /* by this */
	uint64_t failed;
	uint64_t room_bytes; /* what the cache can hold of it at a time; known after the count */
	bool counting;	     /* files and bytes still grow */
};

struct warm_visitor {
	/* Several times a second; false: end with -ECANCELED. */
	bool (*progress)(void *arg, const struct warm_sums *sums);
	void (*failed)(void *arg, const char *key, const char *why); /* a file, or a folder that could not be listed */
	void *arg;
};

/* Everything at and below the keys. Some files at a time, a part of the downloads, so that readers find one free. It ends
 * before it would evict what it brought: -ENOSPC. -EIO: some files failed, which was told. -ENOENT: there is no such key. */
int warm_run(struct cache *cache, const char *const *keys, size_t count, const struct warm_visitor *visitor,
	     struct warm_sums *sums) MUST_CHECK;

#endif
