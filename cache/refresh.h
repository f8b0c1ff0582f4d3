/* Looking again at what the bucket has, where others change it too. */
#ifndef TOOTFS_REFRESH_H
#define TOOTFS_REFRESH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cache.h"

struct refresh_sums {
	uint64_t folders; /* listed again */
	uint64_t added, removed, replaced;
	uint64_t failed;
};

struct refresh_visitor {
	/* Once a folder; false: end with -ECANCELED. */
	bool (*progress)(void *arg, const struct refresh_sums *sums);
	/* A folder that stays as it was, and why, in words. */
	void (*failed)(void *arg, const char *key, const char *why);
	void *arg;
};

/* Lists every folder at and below the keys again, and takes over what others added, removed and replaced; of a key that is a
 * file, its folder. One after the other. -EIO: some stayed as they were, which was told. -ENOENT: the bucket has no such key
 * either. */
int refresh_below(struct cache *cache, const char *const *keys, size_t count, const struct refresh_visitor *visitor,
		  struct refresh_sums *sums) MUST_CHECK;

#endif
