/* The set in memory is what evicting looks at, for each candidate and each folder above it; the index is what remains of it.
 * A place in the set is taken before the index has the pin and given back if that fails: pinned too early is harmless.
 *
 * A pinned node that is deleted leaves its pin behind, which means nothing, since no number is given twice; it is cleared
 * away at the next start. */
#include "pins.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include "cache/base/lock.h"
#include "cache/base/log.h"
#include "checkpoint.h"

#define META_PIN "pin."
enum { FOLDERS_MAX = KEY_BYTES_MAX / 2 + 1 };

struct pins {
	struct flow *flow;
	_Atomic size_t any; /* count, for a look without the lock */
	struct lock lock;   /* leaf */
	struct {
		uint64_t inos[PINS_MAX]; /* ascending */
		size_t count;
	} locked;
};

static void name_of(uint64_t ino, char out[META_NAME_BYTES_MAX + 1])
{
	snprintf(out, META_NAME_BYTES_MAX + 1, META_PIN "%016" PRIx64, ino);
}

/* -- the set -- */

/* Where it is, or is to be. */
static size_t place_locked(const struct pins *p, uint64_t ino) REQUIRES(&p->lock);
static size_t place_locked(const struct pins *p, uint64_t ino)
{
	size_t low = 0, high = p->locked.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (p->locked.inos[middle] < ino)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool has_locked(const struct pins *p, uint64_t ino, size_t *at) REQUIRES(&p->lock);
static bool has_locked(const struct pins *p, uint64_t ino, size_t *at)
{
	*at = place_locked(p, ino);
	return *at < p->locked.count && p->locked.inos[*at] == ino;
}

static int set_add(struct pins *p, uint64_t ino)
{
	int r = 0;
	size_t at;

	lock_take(&p->lock);
	if (has_locked(p, ino, &at)) {
		r = -EEXIST;
	} else if (p->locked.count == PINS_MAX) {
		r = -EMLINK;
	} else {
		memmove(&p->locked.inos[at + 1], &p->locked.inos[at],
			(p->locked.count - at) * sizeof(*p->locked.inos));
		p->locked.inos[at] = ino;
		atomic_store(&p->any, ++p->locked.count);
	}
	lock_drop(&p->lock);
	return r;
}

static int set_remove(struct pins *p, uint64_t ino)
{
	size_t at;

	lock_take(&p->lock);
	bool has = has_locked(p, ino, &at);
	if (has) {
		atomic_store(&p->any, --p->locked.count);
		memmove(&p->locked.inos[at], &p->locked.inos[at + 1],
			(p->locked.count - at) * sizeof(*p->locked.inos));
	}
	lock_drop(&p->lock);
	return has ? 0 : -ENOENT;
}

static bool set_has(struct pins *p, uint64_t ino)
{
	size_t at;

	lock_take(&p->lock);
	bool has = has_locked(p, ino, &at);
	lock_drop(&p->lock);
	return has;
}

/* -- the index -- */

static int forget(struct pins *p, uint64_t ino)
{
	struct txn *txn AUTO_ABORT = NULL;
	char name[META_NAME_BYTES_MAX + 1];

	name_of(ino, name);
	int r = txn_begin_write(p->flow->index, &txn);
	if (!r)
		r = meta_delete(txn, name);
	if (r == -ENOENT)
		return 0;
	if (!r)
		r = txn_commit(&txn);
	if (!r && p->flow->checkpoints)
		checkpoint_kick(p->flow->checkpoints);
	return r;
}

static int record(struct pins *p, uint64_t ino)
{
	struct txn *txn AUTO_ABORT = NULL;
	char name[META_NAME_BYTES_MAX + 1];
	struct node_record node;

	name_of(ino, name);
	int r = txn_begin_write(p->flow->index, &txn);
	if (!r)
		r = nodes_get(txn, ino, &node);
	if (!r)
		r = meta_put(txn, name, "1", 1);
	if (!r)
		r = txn_commit(&txn);
	if (!r)
		checkpoint_kick(p->flow->checkpoints);
	return r;
}

struct loading {
	struct pins *pins;
	struct txn *txn;
	uint64_t stale[64];
	size_t stale_count;
};

static int load_one(void *arg, const char *name)
{
	struct loading *l = arg;
	struct node_record node;
	uint64_t ino;
	int end = 0;

	if (sscanf(name, META_PIN "%16" SCNx64 "%n", &ino, &end) != 1 || name[end])
		return 0;
	int r = nodes_get(l->txn, ino, &node);
	if (!r)
		r = set_add(l->pins, ino);
	if (r == -ENOENT && l->stale_count < sizeof(l->stale) / sizeof(*l->stale))
		l->stale[l->stale_count++] = ino;
	return r == -ENOENT || r == -EMLINK ? 0 : r;
}

static int load(struct pins *p, struct loading *l)
{
	struct txn *txn AUTO_ABORT = NULL;
	int r = txn_begin_read(p->flow->index, &txn);

	l->pins = p;
	l->txn = txn;
	return r ? r : meta_each(txn, META_PIN, load_one, l);
}

int pins_open(struct flow *flow, struct pins **out)
{
	struct loading loading = {.stale_count = 0};
	struct pins *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->flow = flow;
	lock_init(&p->lock);
	int r = load(p, &loading);
	if (r) {
		pins_close(&p);
		return r;
	}
	for (size_t i = 0; !flow->config.read_only && i < loading.stale_count; i++)
		if (forget(p, loading.stale[i]))
			log_debug("pins: an old one stays for another time");
	*out = p;
	return 0;
}

void pins_close(struct pins **pins)
{
	struct pins *p = *pins;

	*pins = NULL;
	if (!p)
		return;
	lock_destroy(&p->lock);
	free(p);
}

int pins_add(struct pins *p, uint64_t ino)
{
	int r = set_add(p, ino);

	if (r)
		return r == -EEXIST ? 0 : r;
	r = record(p, ino);
	if (r && set_remove(p, ino))
		log_debug("pins: somebody else has removed it");
	return r;
}

int pins_remove(struct pins *p, uint64_t ino)
{
	if (!set_has(p, ino))
		return -ENOENT;
	int r = forget(p, ino);
	return r ? r : set_remove(p, ino);
}

size_t pins_list(struct pins *p, uint64_t out[PINS_MAX])
{
	lock_take(&p->lock);
	size_t count = p->locked.count;
	memcpy(out, p->locked.inos, count * sizeof(*out));
	lock_drop(&p->lock);
	return count;
}

bool pins_any(struct pins *p)
{
	return p && atomic_load(&p->any);
}

int pins_hold(struct pins *p, struct txn *txn, const struct node_record *node)
{
	struct node_record folder;
	uint64_t ino = node->ino, parent = node->parent;

	if (!pins_any(p))
		return 0;
	/* What has no name any more goes with its last handle. */
	for (int i = 0; i < FOLDERS_MAX && !(node->flags & NODE_ORPHAN); i++) {
		if (set_has(p, ino))
			return 1;
		if (ino == INO_ROOT)
			return 0;
		ino = parent;
		int r = nodes_get(txn, ino, &folder);
		if (r)
			return r == -ENOENT ? 0 : r;
		parent = folder.parent;
	}
	return 0;
}
