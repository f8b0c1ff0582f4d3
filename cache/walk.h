/* A walk over what lies at and below a key, in the order of keys. Its memory grows with the depth, not with the number of
 * files; no lock is held and no transaction open during a visit. What comes and goes meanwhile is seen as it is when its
 * place comes. */
#ifndef TOOTFS_WALK_H
#define TOOTFS_WALK_H

#include "cache/index/nodes.h"
#include "cache.h"

struct walk_entry {
	uint64_t ino;
	const char *key; /* "" = the root */
	bool folder;
	struct node_record record; /* as it was a moment ago */
};

enum walk_answer {
	WALK_ON,
	WALK_PAST, /* not into this folder */
	WALK_STOP,
};
/* A folder is visited before what is in it, and read after the visit. WALK_… or -errno. */
typedef int walk_visit(void *arg, const struct walk_entry *entry);

struct walk {
	struct cache *cache;
	bool know; /* folders whose names are not known are listed, which may wait for the bucket */
	walk_visit *visit;
	void (*unknown)(void *arg, const char *key, int error); /* one that could not be listed: what is known of it follows; or NULL */
	void *arg;
};

/* 0 also after WALK_STOP; -ENOENT: there is no such key; what visit returned; errors of the index. */
int walk_below(const struct walk *walk, const char *key) MUST_CHECK;
/* The node at a key; folders on the way are listed where they have to be. -ENOENT, -ENOTDIR, -EIO. */
int walk_find(struct cache *cache, const char *key, uint64_t *ino) MUST_CHECK;

/* Is key the folder's, or below it? "" is above all. */
bool walk_is_below(const char *key, const char *folder);

#endif
