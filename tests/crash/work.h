/* The workload: a cache at work over far.h, recorded, by actors that draw what they do from a seed. */
#ifndef TOOTFS_CRASH_WORK_H
#define TOOTFS_CRASH_WORK_H

#include "cache/cache.h"
#include "model.h"

/* Runs are of four kinds, by their seed:
 *
 *     0   durability=bucket: what was closed is promised, too
 *     1   nothing special
 *     2   attrs=object
 *     3   large objects, of which pieces are read */
enum work_kind { WORK_DURABLE, WORK_PLAIN, WORK_ATTRS, WORK_LARGE, WORK_KINDS };

/* Settings that make all happen with little: a small cache, small parts. seed: of the run. */
void work_choose(uint64_t seed);
enum work_kind work_chosen(void);
void work_config(struct cache_config *config, const char *folder);

struct work {
	struct log log;
	size_t begin; /* event: what the bucket had before is there */
	struct story stories[ACTORS];
	/* what it has seen, to be sure that there was something to see */
	uint64_t evicted, covered, uploads, puts, copies, removes, fills;
};

/* Two lives of a cache in the folder, which is empty, with `steps` steps an actor. lies: see record.h. */
void work_run(struct work *work, const char *folder, uint64_t seed, unsigned steps, unsigned lies);

/* -- work_steps.c -- */
struct actor {
	struct cache *cache;
	struct model model;
	struct story *story;
	uint64_t random;
	unsigned steps;
	char bytes[1 << 20];
};
void *actor_run(void *actor);
void actor_note(struct actor *a, const char *what);

#endif
