/* Evicting frees nothing by itself: it condemns blobs, and the next checkpoint frees them. What is condemned
 * already is taken off what is needed, or each pass would evict for the same need again.
 *
 * A pass scans ages from the oldest on, in batches: a read transaction chooses candidates by their records, then
 * each of them is looked at again under its lock. When a pass does not find enough (all is dirty or in use), the
 * next one comes after a pause that grows with what the scan took, since nobody tells us when a node becomes clean.
 *
 * Touches are a table with one place for each hash: a node that finds its place taken is
 * not noted. Written about once a minute and before a pass; an age that is less than a minute old is left alone. */
#include "evicts.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/index/ages.h"
#include "checkpoint.h"
#include "node.h"
#include "pins.h"

enum {
	TOUCH_BATCH = 256, /* a transaction: short, since writers wait for it */
	TOUCH_FLUSH_MS = 60000,
	EVICT_BATCH = 64,
	TICK_MS = 5000,
	PAUSE_MS = 100, /* after a pass that did not find enough; shorter while a checkpoint is under way */
	SHORT_PAUSE_MS = 20,
	DISK_BLIND_BYTES = 64 << 20,
};

uint64_t evict_stamp(void)
{
	static _Atomic uint64_t last;
	uint64_t before = atomic_load(&last), stamp;

	do {
		stamp = (uint64_t)clock_wall_ns();
		if (stamp <= before)
			stamp = before + 1;
	} while (!atomic_compare_exchange_weak(&last, &before, stamp));
	return stamp;
}

int evicts_open(struct flow *flow, struct evicts **out)
{
	struct txn *txn AUTO_ABORT = NULL;
	uint64_t used;

	int err = txn_begin_read(flow->index, &txn);
	if (!err)
		err = ages_total(txn, &used);
	if (err)
		return err;
	struct evicts *e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->flow = flow;
	e->high = flow->config.cache_size_bytes / 100 * 95;
	e->low = flow->config.cache_size_bytes / 100 * 90;
	e->locked.used = used;
	e->mine.flushed_ms = clock_ms();
	list_init(&e->locked.line);
	lock_init(&e->lock);
	wakeup_init(&e->wake);
	wakeup_init(&e->room);
	*out = e;
	return 0;
}

void evicts_close(struct evicts **evicts)
{
	struct evicts *e = *evicts;

	*evicts = NULL;
	if (!e)
		return;
	assert(list_empty(&e->locked.line));
	wakeup_destroy(&e->wake);
	wakeup_destroy(&e->room);
	lock_destroy(&e->lock);
	free(e);
}

void evict_poke_locked(struct evicts *e)
{
	if (e->locked.poked)
		return;
	e->locked.poked = true;
	wakeup_one(&e->wake);
}

void evict_stats_read(struct evicts *e, struct evict_stats *out)
{
	lock_take(&e->lock);
	*out = (struct evict_stats){
		.used = e->locked.used,
		.limit = e->flow->config.cache_size_bytes,
		.evicted_blobs = e->locked.evicted_blobs,
		.evicted_bytes = e->locked.evicted_bytes,
	};
	lock_drop(&e->lock);
}

/* -- touches -- */

void evict_touch(struct evicts *e, uint64_t ino)
{
	uint64_t *place = &e->locked.touched[(ino * 0x9e3779b97f4a7c15u >> 32) % EVICT_TOUCH_PLACES];

	lock_take(&e->lock);
	if (*place == 0) {
		*place = ino;
		if (++e->locked.touched_count == EVICT_TOUCH_PLACES / 2)
			evict_poke_locked(e);
	}
	lock_drop(&e->lock);
}

/* All that was touched was used after what was not; among themselves the order does not matter. */
static int write_ages(struct evicts *e, const uint64_t *inos, size_t count)
{
	struct txn *txn AUTO_ABORT = NULL;
	uint64_t now = evict_stamp(), stamp, bytes;
	size_t changed = 0;

	int err = txn_begin_write(e->flow->index, &txn);
	for (size_t i = 0; !err && i < count; i++) {
		err = ages_get(txn, inos[i], &stamp, &bytes);
		if (err == -ENOENT) { /* evicted or deleted meanwhile */
			err = 0;
			continue;
		}
		if (!err && stamp + (uint64_t)TOUCH_FLUSH_MS * 1000000 < now) {
			err = ages_touch(txn, inos[i], evict_stamp(), bytes);
			changed++;
		}
	}
	if (!err && changed) {
		err = txn_commit(&txn);
		checkpoint_kick(e->flow->checkpoints);
	}
	return err;
}

static void flush_touches(struct evicts *e)
{
	uint64_t *inos = e->mine.touched;
	size_t count = 0;
	int err = 0;

	lock_take(&e->lock);
	for (size_t i = 0; e->locked.touched_count && i < EVICT_TOUCH_PLACES; i++)
		if (e->locked.touched[i])
			inos[count++] = e->locked.touched[i];
	if (count)
		memset(e->locked.touched, 0, sizeof(e->locked.touched));
	e->locked.touched_count = 0;
	lock_drop(&e->lock);

	e->mine.flushed_ms = clock_ms();
	for (size_t at = 0; !err && at < count; at += TOUCH_BATCH)
		err = write_ages(e, inos + at, count - at < TOUCH_BATCH ? count - at : TOUCH_BATCH);
	if (err)
		log_warn("evict: ages are not written, eviction order suffers error=%s", strerror(-err));
}

/* -- a pass -- */

struct batch {
	struct txn *txn;
	struct pins *pins; /* what these hold is passed over; NULL = nothing is */
	uint64_t until;	   /* what is younger than the pass */
	uint64_t after_stamp, after_ino; /* where the batch before ended */
	uint64_t need, found;
	uint64_t inos[EVICT_BATCH], held[EVICT_BATCH];
	size_t count, held_count;
};

static int choose(void *arg, uint64_t ino, uint64_t stamp, uint64_t bytes)
{
	struct batch *b = arg;
	struct node_record record;

	if (stamp < b->after_stamp || (stamp == b->after_stamp && ino <= b->after_ino))
		return 0;
	if (stamp >= b->until)
		return 1;
	b->after_stamp = stamp;
	b->after_ino = ino;
	int err = nodes_get(b->txn, ino, &record);
	if (err)
		return err == -ENOENT ? 0 : err;
	if (record.content == CONTENT_DIRTY || record.blob == 0)
		return 0;
	int held = pins_hold(b->pins, b->txn, &record);
	if (held < 0)
		return held;
	if (held) {
		b->held[b->held_count++] = ino;
		return b->held_count == EVICT_BATCH;
	}
	b->inos[b->count++] = ino;
	b->found += bytes;
	return b->count == EVICT_BATCH || b->found >= b->need;
}

static int choose_batch(struct evicts *e, struct batch *b)
{
	struct txn *txn AUTO_ABORT = NULL;

	b->count = b->held_count = 0;
	b->found = 0;
	int err = txn_begin_read(e->flow->index, &txn);
	if (err)
		return err;
	b->txn = txn;
	return ages_each(txn, choose, b);
}

static bool is_stopping(struct evicts *e)
{
	lock_take(&e->lock);
	bool stopping = e->locked.stopping;
	lock_drop(&e->lock);
	return stopping;
}

/* 1 = enough was found, 0 = there is no more, or -errno. What pins hold is made young, so that the next passes do not meet
 * all of it again. */
static int pass(struct evicts *e, uint64_t need, struct pins *pins, uint64_t *got)
{
	struct batch batch = {.need = need, .pins = pins, .until = evict_stamp()};

	for (*got = 0;;) {
		int err = choose_batch(e, &batch);
		for (size_t i = 0; !err && i < batch.count; i++) {
			enum evict_answer answer;
			uint64_t freed;
			err = evict_node(e, batch.inos[i], &answer, &freed);
			batch.need -= freed < batch.need ? freed : batch.need;
			*got += freed;
		}
		if (!err && batch.held_count)
			err = write_ages(e, batch.held, batch.held_count);
		if (err)
			return err;
		if (batch.need == 0)
			return 1;
		if (batch.count + batch.held_count == 0 || is_stopping(e))
			return 0;
	}
}

/* -- what a pass is for -- */

static uint64_t above(uint64_t value, uint64_t mark)
{
	return value > mark ? value - mark : 0;
}

/* Bytes that the disk lacks; twice as many as wanted, so that it does not begin again at once. A write that failed
 * knows better than statvfs, which sees no quota. */
static uint64_t disk_lacks(struct evicts *e, bool disk_full, uint64_t waiting)
{
	struct statvfs st;

	if (blobs_statvfs(e->flow->blobs, &st))
		return disk_full ? DISK_BLIND_BYTES : 0;
	uint64_t total = (uint64_t)st.f_blocks * st.f_frsize, here = (uint64_t)st.f_bavail * st.f_frsize;
	uint64_t want = disk_margin(total);
	if (here < want + waiting)
		return 2 * want + waiting - here;
	return disk_full ? want : 0;
}

struct need {
	uint64_t bytes;
	uint64_t bare; /* of that, what those who wait cannot do without */
	bool urgent;
	bool last; /* half of somebody's time to wait is over without that any room was made */
};

static struct need need_bytes(struct evicts *e)
{
	uint64_t waiting = 0, need = 0;
	bool last = false;

	lock_take(&e->lock);
	uint64_t used = e->locked.used;
	bool disk_full = e->locked.disk_full;
	for (struct list *l = e->locked.line.next; l != &e->locked.line; l = l->next) {
		const struct waiter *w = container_of(l, struct waiter, link);
		waiting += w->bytes;
		last |= space_is_late_locked(e, w);
	}
	e->locked.disk_full = false;
	e->locked.unseen = 0;
	lock_drop(&e->lock);

	if (used > e->high || waiting)
		need = above(used, e->low);
	/* Never more than all there is: the sum of those who wait may be larger than the limit. */
	uint64_t short_of = above(used + waiting, e->flow->config.cache_size_bytes);
	if (short_of > used)
		short_of = used;
	uint64_t lacks = disk_lacks(e, disk_full, waiting);
	need = need > short_of ? need : short_of;
	uint64_t bare = short_of > lacks ? short_of : lacks;
	return (struct need){.bytes = need > bare ? need : bare,
			     .bare = bare,
			     .urgent = waiting || lacks,
			     .last = last};
}

/* Nothing else can go, and somebody would be told that there is no room. */
static int take_pinned(struct evicts *e, uint64_t bare)
{
	uint64_t condemned = checkpoint_condemned_bytes(e->flow->checkpoints), got = 0;

	if (bare <= condemned || !pins_any(e->flow->pins))
		return 0;
	int found = pass(e, bare - condemned, NULL, &got);
	if (got)
		log_warn("evict: pinned content had to go, since nothing else could and a write waited for room: "
			 "the cache is too small for what is pinned bytes=%llu",
			 (unsigned long long)got);
	return found;
}

/* Makes room where it is short. Returns how long to pause before the next look. */
static int64_t make_room(struct evicts *e)
{
	int64_t began_ms = clock_ms();
	uint64_t got;
	/* First what is condemned, then what is needed: bytes freed in between count twice, and less is evicted. */
	uint64_t condemned = checkpoint_condemned_bytes(e->flow->checkpoints);
	const struct need need = need_bytes(e);

	if (need.bytes == 0)
		return need.urgent ? SHORT_PAUSE_MS : 0;
	int found = 1;
	if (need.bytes > condemned) {
		flush_touches(e);
		found = pass(e, need.bytes - condemned, e->flow->pins, &got);
	}
	if (found == 0 && need.last)
		found = take_pinned(e, need.bare);
	if (need.urgent)
		checkpoint_hurry(e->flow->checkpoints);
	if (found < 0 && found != e->mine.error)
		log_error("evict: failed error=%s", strerror(-found));
	e->mine.error = found < 0 ? found : 0;
	if (found > 0)
		return SHORT_PAUSE_MS;
	return PAUSE_MS + 4 * (clock_ms() - began_ms);
}

/* -- the thread -- */

/* Until somebody pokes, but at least until pause is over; true = stop. */
static bool rest(struct evicts *e, int64_t pause_ms)
{
	int64_t pause_until_ms = clock_ms() + pause_ms, tick_ms = clock_ms() + TICK_MS;

	lock_take(&e->lock);
	while (!e->locked.stopping && clock_ms() < pause_until_ms)
		wakeup_wait_until(&e->wake, &e->lock, pause_until_ms);
	/* The line does not poke again: while somebody stands there, every pause is followed by a look. */
	while (!e->locked.stopping && !e->locked.poked && list_empty(&e->locked.line))
		if (!wakeup_wait_until(&e->wake, &e->lock, tick_ms))
			break;
	e->locked.poked = false;
	bool stopping = e->locked.stopping;
	lock_drop(&e->lock);
	return stopping;
}

static bool many_touched(struct evicts *e)
{
	lock_take(&e->lock);
	bool many = e->locked.touched_count >= EVICT_TOUCH_PLACES / 2;
	lock_drop(&e->lock);
	return many;
}

static void *run(void *arg)
{
	struct evicts *e = arg;
	int64_t pause_ms = 0;

	while (!rest(e, pause_ms)) {
		pause_ms = make_room(e);
		if (many_touched(e) || clock_ms() >= e->mine.flushed_ms + TOUCH_FLUSH_MS)
			flush_touches(e);
	}
	flush_touches(e);
	return NULL;
}

int evicts_start(struct evicts *e)
{
	lock_take(&e->lock);
	e->locked.poked = true; /* the limit may have been lowered, or the disk filled */
	lock_drop(&e->lock);
	int err = thread_start(&e->thread, "evict", run, e);
	if (err)
		return err;
	lock_take(&e->lock);
	e->locked.started = true;
	lock_drop(&e->lock);
	return 0;
}

void evicts_stop(struct evicts *e)
{
	lock_take(&e->lock);
	bool running = e->locked.started && !e->locked.stopping;
	e->locked.stopping = true;
	wakeup_all(&e->wake);
	wakeup_all(&e->room);
	lock_drop(&e->lock);
	if (running)
		pthread_join(e->thread, NULL);
}
