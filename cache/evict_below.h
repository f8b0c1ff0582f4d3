/* Evicting what somebody points at, and pins. Thread-safe; nothing held. */
#ifndef TOOTFS_EVICT_BELOW_H
#define TOOTFS_EVICT_BELOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cache.h"

struct evict_sums {
	uint64_t files, bytes; /* that went */
	uint64_t stayed;
};

struct evict_visitor {
	/* Called about once a second, or more often; false: end with -ECANCELED. */
	bool (*progress)(void *arg, const struct evict_sums *sums);
	/* A file that has content here and keeps it, and why, in words. */
	void (*stays)(void *arg, const char *key, const char *why);
	void *arg;
};

/* Drops the content of all that is clean, not in use and not pinned, at and below the keys. The room is free when it
 * returns, as far as a checkpoint could be made. -ENOENT: there is no such key. */
int evict_below(struct cache *cache, const char *const *keys, size_t count, const struct evict_visitor *visitor,
		struct evict_sums *sums) MUST_CHECK;

/* The content of a file, or of all in a folder, is to stay here (flow/pins.h); nothing is fetched. -ENOENT; -EMLINK: too many. */
int pin_add(struct cache *cache, const char *key) MUST_CHECK;
int pin_remove(struct cache *cache, const char *key) MUST_CHECK; /* -ENOENT, -ENODATA: it is not pinned itself */
/* visit: 0 = go on, -errno = fail. */
typedef int pin_visit(void *arg, const char *key, bool folder);
int pin_each(struct cache *cache, pin_visit *visit, void *arg) MUST_CHECK;

#endif
