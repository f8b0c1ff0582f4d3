/* A walk that asks evict_node for each file that has content here. Folders are not listed for it: of what is not known
 * nothing is here. */
#include "evict_below.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/flow/pins.h"
#include "file.h"
#include "internal.h"
#include "walk.h"

enum { FREE_MS = 3000 };

struct evicting {
	struct cache *cache;
	const struct evict_visitor *visitor;
	struct evict_sums *sums;
	unsigned visits;
};

static const char *const answers[] = {
    [EVICT_DIRTY] = "it is not in the bucket yet",
    [EVICT_OPEN] = "it is open",
    [EVICT_FILLING] = "it is being fetched",
};

static int is_held(struct cache *cache, const struct node_record *record)
{
	struct txn *txn AUTO_ABORT = NULL;

	if (!pins_any(cache->flow.pins))
		return 0;
	int r = txn_begin_look(cache->flow.index, &txn);
	return r ? r : pins_hold(cache->flow.pins, txn, record);
}

static int visit(void *arg, const struct walk_entry *entry)
{
	struct evicting *e = arg;
	enum evict_answer answer;
	uint64_t freed;

	if (e->visitor->progress && ++e->visits % 64 == 0 && !e->visitor->progress(e->visitor->arg, e->sums))
		return -ECANCELED;
	if (entry->folder || !entry->record.blob)
		return WALK_ON;
	int r = is_held(e->cache, &entry->record);
	if (r < 0)
		return r;
	if (r) {
		e->sums->stayed++;
		e->visitor->stays(e->visitor->arg, entry->key, "it is pinned");
		return WALK_ON;
	}
	r = evict_node(e->cache->flow.evicts, entry->ino, &answer, &freed);
	if (r)
		return r == -EISDIR ? WALK_ON : r;
	if (answer == EVICT_DONE) {
		e->sums->files++;
		e->sums->bytes += freed;
	} else if (answer != EVICT_EMPTY) {
		e->sums->stayed++;
		e->visitor->stays(e->visitor->arg, entry->key, answers[answer]);
	}
	return WALK_ON;
}

/* What is condemned is unlinked after the checkpoint that covers it. Others may condemn more all the time. */
static void wait_until_free(struct cache *cache)
{
	const struct timespec pause = {.tv_nsec = 5000000};
	int64_t until_ms = clock_ms() + FREE_MS;

	if (cache_sync(cache))
		log_warn("evict: what was dropped is free only after the next checkpoint");
	while (checkpoint_condemned_bytes(cache->flow.checkpoints) && clock_ms() < until_ms)
		nanosleep(&pause, NULL);
}

int evict_below(struct cache *cache, const char *const *keys, size_t count, const struct evict_visitor *visitor,
		struct evict_sums *sums)
{
	struct evicting e = {.cache = cache, .visitor = visitor, .sums = sums};
	const struct walk walk = {.cache = cache, .visit = visit, .arg = &e};
	int r = 0;

	*sums = (struct evict_sums){0};
	for (size_t i = 0; i < count && !r; i++)
		r = walk_below(&walk, keys[i]);
	if (sums->files)
		wait_until_free(cache);
	return r;
}

/* -- pins -- */

int pin_add(struct cache *cache, const char *key)
{
	uint64_t ino;
	int r = walk_find(cache, key, &ino);

	if (!r)
		r = pins_add(cache->flow.pins, ino);
	if (!r)
		log_info("pin: its content stays in the cache key=%s", key);
	return r;
}

int pin_remove(struct cache *cache, const char *key)
{
	uint64_t ino;
	int r = walk_find(cache, key, &ino);

	if (r)
		return r;
	r = pins_remove(cache->flow.pins, ino);
	if (!r)
		log_info("pin: its content may be evicted again key=%s", key);
	return r == -ENOENT ? -ENODATA : r;
}

static int key_of(struct cache *cache, uint64_t ino, char key[KEY_BYTES_MAX + 1], bool *folder)
{
	struct txn *txn AUTO_ABORT = NULL;
	struct node_record record;
	int r = txn_begin_look(cache->flow.index, &txn);

	if (!r)
		r = nodes_get(txn, ino, &record);
	if (!r)
		r = record.flags & NODE_ORPHAN ? -ENOENT : nodes_key(txn, ino, key);
	*folder = !r && S_ISDIR(record.mode);
	return r;
}

int pin_each(struct cache *cache, pin_visit *visit_pin, void *arg)
{
	AUTO_FREE uint64_t *inos = malloc(PINS_MAX * sizeof(*inos));
	char key[KEY_BYTES_MAX + 1];
	bool folder;
	int r = 0;

	if (!inos)
		return -ENOMEM;
	size_t count = pins_list(cache->flow.pins, inos);
	for (size_t i = 0; i < count && !r; i++) {
		r = key_of(cache, inos[i], key, &folder);
		if (!r)
			r = visit_pin(arg, key, folder);
		else if (r == -ENOENT)
			r = 0;
	}
	return r;
}
