/* Two walks: one counts, so that there is a total, and one fetches.
 *
 * How much can be held: evicting begins at 95 % of the limit and goes down to 90 %, oldest first, and what was fetched or
 * met here by this is younger than all else. So the sum of it may come up to those 90 %, less what cannot go: what is not in
 * the bucket yet, and what is pinned elsewhere. The same with the disk, where that has less.
 *
 * One thread walks; fill's workers fetch. A place is taken for each file under way, and given back by fill_wait.done, from
 * another thread; nobody else touches a place that is waiting. */
#include "warm.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/flow/failures.h"
#include "cache/flow/node.h"
#include "cache/flow/pins.h"
#include "evict_below.h"
#include "internal.h"
#include "status.h"
#include "walk.h"

enum {
	PLACES_MAX = 8,
	TICK_MS = 200,
	ROOM_MS = 2000, /* how old the figure of the room may be */
	LOOK_MS = 100,
	TRIES = 3,
	SETTLE_MS = 2000,
	GIVE_UP = 64, /* in a row: there is no use in going on */
};

struct warm;

struct place {
	struct fill_wait wait;
	struct warm *warm;
	struct node *node;
	char *key; /* NULL = free; the node of its last file may still be here */
	uint64_t bytes; /* to be fetched */
	unsigned tries;
	bool answered; /* warm.lock */
};

struct warm {
	struct cache *cache;
	const struct warm_visitor *visitor;
	struct warm_sums *sums;
	const char *const *keys;
	size_t keys_count;
	uint64_t held; /* what was met or asked for so far, as the cache counts */
	int64_t room_ms, told_ms;
	unsigned failures;
	struct place places[PLACES_MAX];
	unsigned places_count;
	uint64_t stuck; /* pinned elsewhere */

	struct lock lock;
	struct wakeup answered;
};

static bool is_wanted(const struct walk_entry *entry)
{
	return S_ISREG(entry->record.mode) && entry->record.size > 0;
}

/* -- telling -- */

static void fail(struct warm *w, const char *key, int error)
{
	struct failure failure;
	bool known = failures_find(w->cache->flow.failures, key, &failure);

	w->sums->failed++;
	w->failures++;
	w->visitor->failed(w->visitor->arg, key, known ? failure.why : strerror(-error));
}

static void unknown(void *arg, const char *key, int error)
{
	struct warm *w = arg;

	if (!w->sums->counting)
		return; /* it was told when it was counted */
	fail(w, key, error);
	w->failures = 0;
}

static uint64_t here(struct node *node)
{
	lock_take(&node->lock);
	uint64_t bytes = node->locked.content == CONTENT_REMOTE ? ranges_bytes(&node->locked.present) : node->locked.size;
	lock_drop(&node->lock);
	return bytes;
}

static bool tell(struct warm *w)
{
	struct warm_sums sums = *w->sums;

	if (clock_ms() - w->told_ms < TICK_MS)
		return true;
	w->told_ms = clock_ms();
	for (unsigned i = 0; i < w->places_count; i++)
		if (w->places[i].key)
			sums.done_bytes += here(w->places[i].node);
	return w->visitor->progress(w->visitor->arg, &sums);
}

/* -- the room -- */

struct pinned {
	struct warm *warm;
	uint64_t bytes;
};

static int add_pinned(void *arg, const struct walk_entry *entry)
{
	struct pinned *p = arg;

	for (size_t i = 0; i < p->warm->keys_count; i++)
		if (walk_is_below(entry->key, p->warm->keys[i]))
			return WALK_PAST;
	if (!entry->folder && entry->record.blob && entry->record.content != CONTENT_DIRTY)
		p->bytes += space_of(entry->record.size);
	return WALK_ON;
}

static int add_pin(void *arg, const char *key, bool folder)
{
	struct pinned *p = arg;
	const struct walk walk = {.cache = p->warm->cache, .visit = add_pinned, .arg = p};
	int r = walk_below(&walk, key);

	(void)folder;
	return r == -ENOENT ? 0 : r;
}

static int find_room(struct warm *w)
{
	struct flow *flow = &w->cache->flow;
	struct status_pending pending;
	struct evict_stats space;
	struct statvfs disk;

	if (w->room_ms && clock_ms() - w->room_ms < ROOM_MS)
		return 0;
	int r = status_pending_read(w->cache, "", LOOK_MS, &pending);
	if (r)
		return r;
	w->room_ms = clock_ms();
	evict_stats_read(flow->evicts, &space);
	uint64_t room = space.limit / 100 * 90, stuck = pending.bytes + w->stuck;
	if (!blobs_statvfs(flow->blobs, &disk)) {
		uint64_t here_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
		uint64_t margin = (uint64_t)disk.f_blocks * disk.f_frsize / 16;
		margin = margin < (128 << 20) ? margin : 128 << 20;
		uint64_t on_disk = space.used + (here_bytes > margin ? here_bytes - margin : 0);
		room = room < on_disk ? room : on_disk;
	}
	w->sums->room_bytes = room > stuck ? room - stuck : 0;
	return 0;
}

/* -- places -- */

static void answer(struct fill_wait *wait, int error)
{
	struct place *p = container_of(wait, struct place, wait);
	struct warm *w = p->warm;

	lock_take(&w->lock);
	p->wait.error = error;
	p->answered = true;
	wakeup_one(&w->answered);
	lock_drop(&w->lock);
}

static void leave(struct place *p)
{
	free(p->key);
	p->key = NULL;
}

/* A waiter is answered a moment before its fill has told the index. Who looks after us is to find it told. */
static void settle(struct place *p)
{
	const struct timespec pause = {.tv_nsec = 2000000};
	int64_t until_ms = clock_ms() + SETTLE_MS;
	bool busy = p->node;

	while (busy && clock_ms() < until_ms) {
		lock_take(&p->node->lock);
		busy = p->node->locked.fill != NULL;
		lock_drop(&p->node->lock);
		if (busy)
			nanosleep(&pause, NULL);
	}
	if (p->node)
		node_put(&p->node);
}

/* Asks for all of it; true: it is here already, or is no such file any more. */
static bool ask(struct warm *w, struct place *p)
{
	struct node *node = p->node;

	lock_take(&node->lock);
	uint64_t size = node->locked.size;
	bool have = node->locked.gone || node->locked.content != CONTENT_REMOTE || node->locked.draft || !size ||
		    (p->tries && node_covers_locked(node, 0, size));
	if (!have) {
		p->answered = false;
		p->bytes = size - ranges_bytes(&node->locked.present);
		p->wait = (struct fill_wait){.start = 0, .end = size, .done = answer, .proved = true};
		fill_want_locked(w->cache->flow.fills, node, &p->wait);
	}
	lock_drop(&node->lock);
	return have;
}

static bool is_answered(struct warm *w, const struct place *p)
{
	lock_take(&w->lock);
	bool answered = p->answered;
	lock_drop(&w->lock);
	return answered;
}

/* Its file is answered: counts it, or asks again, since it was replaced meanwhile. */
static int finish(struct warm *w, struct place *p)
{
	int error = p->wait.error;

	if ((error == -ESTALE || !error) && ++p->tries < TRIES && !ask(w, p))
		return 0;
	if (error == -ESTALE && p->tries < TRIES)
		error = 0; /* it is a symlink, or gone */
	if (error && error != -ENOSPC && error != -ECANCELED) {
		fail(w, p->key, error);
		error = w->failures >= GIVE_UP ? -EIO : 0;
	} else if (!error) {
		w->failures = 0;
		w->sums->fetched++;
		w->sums->fetched_bytes += p->bytes;
		w->sums->done++;
		w->sums->done_bytes += here(p->node);
	}
	leave(p);
	return error;
}

static int reap(struct warm *w)
{
	int r = 0;

	for (unsigned i = 0; i < w->places_count && !r; i++)
		if (w->places[i].key && is_answered(w, &w->places[i]))
			r = finish(w, &w->places[i]);
	return r;
}

static bool any_answered_locked(const struct warm *w) REQUIRES(&w->lock);
static bool any_answered_locked(const struct warm *w)
{
	for (unsigned i = 0; i < w->places_count; i++)
		if (w->places[i].key && w->places[i].answered)
			return true;
	return false;
}

static void rest(struct warm *w)
{
	int64_t until_ms = clock_ms() + TICK_MS;

	lock_take(&w->lock);
	while (!any_answered_locked(w) && wakeup_wait_until(&w->answered, &w->lock, until_ms))
		;
	lock_drop(&w->lock);
}

static struct place *free_place(struct warm *w)
{
	for (unsigned i = 0; i < w->places_count; i++)
		if (!w->places[i].key)
			return &w->places[i];
	return NULL;
}

static bool is_idle(const struct warm *w)
{
	for (unsigned i = 0; i < w->places_count; i++)
		if (w->places[i].key)
			return false;
	return true;
}

/* Until there is a free place; all: until all are. */
static int wait_for_places(struct warm *w, bool all)
{
	int r = reap(w);

	while (!r && (all ? !is_idle(w) : !free_place(w))) {
		if (!tell(w))
			return -ECANCELED;
		rest(w);
		r = reap(w);
	}
	return r;
}

/* After an error: nobody is to answer any more. What is under way goes on by itself. */
static void abandon(struct warm *w)
{
	for (unsigned i = 0; i < w->places_count; i++) {
		struct place *p = &w->places[i];
		if (!p->key)
			continue;
		lock_take(&p->node->lock);
		bool taken = fill_cancel_locked(w->cache->flow.fills, p->node, &p->wait);
		lock_drop(&p->node->lock);
		lock_take(&w->lock);
		while (!taken && !p->answered)
			wakeup_wait(&w->answered, &w->lock);
		lock_drop(&w->lock);
		leave(p);
		node_put(&p->node);
	}
}

/* -- the walks -- */

static int count_one(void *arg, const struct walk_entry *entry)
{
	struct warm *w = arg;

	if (is_wanted(entry)) {
		w->sums->files++;
		w->sums->bytes += entry->record.size;
	}
	return tell(w) ? WALK_ON : -ECANCELED;
}

static int warm_one(void *arg, const struct walk_entry *entry)
{
	struct warm *w = arg;
	uint64_t bytes = space_of(entry->record.size);
	int r = tell(w) ? 0 : -ECANCELED;

	if (r || !is_wanted(entry))
		return r;
	r = wait_for_places(w, false);
	if (!r && entry->record.content != CONTENT_DIRTY) {
		r = find_room(w);
		if (!r && bytes > w->sums->room_bytes - (w->held < w->sums->room_bytes ? w->held : w->sums->room_bytes))
			r = -ENOSPC;
		w->held += r ? 0 : bytes;
	}
	struct place *p = free_place(w);
	if (!r && p->node)
		node_put(&p->node);
	if (!r)
		r = node_get(w->cache->flow.nodes, entry->ino, &p->node);
	if (r)
		return r == -ENOENT || r == -EISDIR ? WALK_ON : r;
	p->tries = 0;
	p->key = strdup(entry->key);
	if (!p->key) {
		node_put(&p->node);
		return -ENOMEM;
	}
	if (ask(w, p)) {
		evict_touch(w->cache->flow.evicts, entry->ino);
		w->sums->done++;
		w->sums->done_bytes += here(p->node);
		leave(p);
	}
	return WALK_ON;
}

static int walk_all(struct warm *w, walk_visit *visit)
{
	const struct walk walk = {.cache = w->cache, .know = true, .visit = visit, .unknown = unknown, .arg = w};
	int r = 0;

	for (size_t i = 0; i < w->keys_count && !r; i++)
		r = walk_below(&walk, w->keys[i]);
	return r;
}

static int run(struct warm *w)
{
	struct pinned pinned = {.warm = w};

	w->sums->counting = true;
	int r = walk_all(w, count_one);
	w->sums->counting = false;
	if (!r && pins_any(w->cache->flow.pins))
		r = pin_each(w->cache, add_pin, &pinned);
	w->stuck = pinned.bytes;
	if (!r)
		r = find_room(w);
	if (!r)
		r = walk_all(w, warm_one);
	if (!r || r == -ENOSPC) {
		int left = wait_for_places(w, true);
		r = left ? left : r;
	}
	abandon(w);
	for (unsigned i = 0; i < w->places_count; i++)
		settle(&w->places[i]);
	return r ? r : w->sums->failed ? -EIO : 0;
}

int warm_run(struct cache *cache, const char *const *keys, size_t count, const struct warm_visitor *visitor,
	     struct warm_sums *sums)
{
	struct warm *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	*sums = (struct warm_sums){0};
	w->cache = cache;
	w->visitor = visitor;
	w->sums = sums;
	w->keys = keys;
	w->keys_count = count;
	w->places_count = cache->flow.config.downloads / 2;
	if (w->places_count < 1)
		w->places_count = 1;
	if (w->places_count > PLACES_MAX)
		w->places_count = PLACES_MAX;
	for (unsigned i = 0; i < PLACES_MAX; i++)
		w->places[i].warm = w;
	lock_init(&w->lock);
	wakeup_init(&w->answered);
	int r = run(w);
	wakeup_destroy(&w->answered);
	lock_destroy(&w->lock);
	free(w);
	return r;
}
