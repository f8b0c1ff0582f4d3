/* One round, by the thread only:
 *
 *     1  take the condemned list     each blob on it was noted after the commit that took it out of the records
 *     2  index_checkpoint_begin      so the snapshot names none of them
 *     3  take the sync list          each blob on it was noted before the commit that names it,
 *     4  blobs_sync                  so whatever the snapshot names is on it, or was synced by an earlier round
 *     5  index_checkpoint_commit     now nothing on disk names the condemned ones any more
 *     6  tell the waiters and the sender; drop the condemned blobs, release their bytes
 *
 * A round that fails gives both lists back and is repeated after a second. Not so after EIO from a sync: the
 * kernel then forgets which pages did not get to the disk, a second sync proves nothing, and a record of bytes that
 * are not there would send them to the bucket after a power cut. So there are no more checkpoints until
 * the next start (the index does the same with its own file); reads and writes go on.
 *
 * The sync list holds as many numbers as are synced one by one; with more, all of the filesystem is synced anyway,
 * so that one flag is enough. It starts as set: a process that was killed has left blobs that are
 * named by records, but were never synced. The condemned list is a chain of pieces, so that giving it back needs no memory. */
#include "checkpoint.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/base/lock.h"
#include "cache/base/log.h"
#include "evict.h"
#include "send.h"

enum {
	GROWTH_BYTES_MAX = 32 << 20,
	GROWTH_TIGHT_BYTES_MAX = 1 << 20, /* on a full disk */
	DELAY_MS = 700, /* from a kick to its round: with the round itself about a second */
	RETRY_MS = 1000,
	PIECE_BLOBS = 255,
};

struct piece {
	struct piece *next;
	size_t count;
	struct {
		uint64_t blob, bytes;
	} items[PIECE_BLOBS];
};

struct sync_list {
	uint64_t blobs[BLOBS_SYNC_EACH_MAX];
	size_t count;
	bool all;
};

struct checkpoints {
	struct flow *flow; /* fixed */
	pthread_t thread;
	bool broken; /* the thread's */
	struct histogram rounds;

	struct lock lock;
	struct wakeup wake, done; /* the thread; the waiters */
	struct {
		struct sync_list sync;
		struct piece *condemned; /* the newest piece first */
		uint64_t condemned_bytes;
		int64_t due_ms, retry_ms; /* 0 = nothing to do, no failure */
		int64_t began_ms;	  /* 0 = none is under way */
		bool hurry, started, stopping, stopped;
		uint64_t failures;
		int error; /* of the last round */
	} locked;
};

int checkpoints_open(struct flow *flow, struct checkpoints **out)
{
	struct checkpoints *c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->flow = flow;
	c->locked.sync.all = true;
	lock_init(&c->lock);
	wakeup_init(&c->wake);
	wakeup_init(&c->done);
	*out = c;
	return 0;
}

static void free_pieces(struct piece *piece)
{
	while (piece) {
		struct piece *next = piece->next;
		free(piece);
		piece = next;
	}
}

void checkpoints_close(struct checkpoints **checkpoints)
{
	struct checkpoints *c = *checkpoints;

	*checkpoints = NULL;
	if (!c)
		return;
	/* Blobs that are still condemned have no name: the sweep of the next start drops them. */
	free_pieces(c->locked.condemned);
	wakeup_destroy(&c->wake);
	wakeup_destroy(&c->done);
	lock_destroy(&c->lock);
	free(c);
}

/* -- the lists -- */

static void sync_list_add(struct sync_list *list, uint64_t blob)
{
	if (list->all)
		return;
	for (size_t i = 0; i < list->count; i++)
		if (list->blobs[i] == blob)
			return;
	if (list->count == BLOBS_SYNC_EACH_MAX)
		list->all = true;
	else
		list->blobs[list->count++] = blob;
}

void checkpoint_blob(struct checkpoints *c, uint64_t blob)
{
	assert(blob);
	lock_take(&c->lock);
	sync_list_add(&c->locked.sync, blob);
	lock_drop(&c->lock);
}

static bool condemn_locked(struct checkpoints *c, uint64_t blob, uint64_t bytes) REQUIRES(&c->lock);
static bool condemn_locked(struct checkpoints *c, uint64_t blob, uint64_t bytes)
{
	struct piece *piece = c->locked.condemned;

	if (!piece || piece->count == PIECE_BLOBS) {
		piece = malloc(sizeof(*piece));
		if (!piece)
			return false;
		piece->count = 0;
		piece->next = c->locked.condemned;
		c->locked.condemned = piece;
	}
	piece->items[piece->count].blob = blob;
	piece->items[piece->count++].bytes = bytes;
	c->locked.condemned_bytes += bytes;
	return true;
}

void checkpoint_condemn(struct checkpoints *c, uint64_t blob, uint64_t bytes)
{
	if (!blob) { /* bytes that were reserved for a blob that was never made */
		space_release(c->flow->evicts, bytes);
		return;
	}
	lock_take(&c->lock);
	bool noted = condemn_locked(c, blob, bytes);
	lock_drop(&c->lock);
	if (!noted) /* it stays on disk and is accounted for until the next start sweeps it */
		log_error("checkpoint: no memory to note a blob that is to be dropped blob=%llu",
			  (unsigned long long)blob);
}

uint64_t checkpoint_condemned_bytes(struct checkpoints *c)
{
	lock_take(&c->lock);
	uint64_t bytes = c->locked.condemned_bytes;
	lock_drop(&c->lock);
	return bytes;
}

static struct piece *take_condemned(struct checkpoints *c)
{
	lock_take(&c->lock);
	struct piece *condemned = c->locked.condemned;
	c->locked.condemned = NULL;
	lock_drop(&c->lock);
	return condemned;
}

static struct sync_list take_sync(struct checkpoints *c)
{
	lock_take(&c->lock);
	struct sync_list sync = c->locked.sync;
	c->locked.sync.count = 0;
	c->locked.sync.all = false;
	lock_drop(&c->lock);
	return sync;
}

static void give_back(struct checkpoints *c, const struct sync_list *sync, struct piece *condemned)
{
	lock_take(&c->lock);
	if (sync->all)
		c->locked.sync.all = true;
	for (size_t i = 0; i < sync->count; i++)
		sync_list_add(&c->locked.sync, sync->blobs[i]);
	struct piece **end = &c->locked.condemned;
	while (*end)
		end = &(*end)->next;
	*end = condemned;
	lock_drop(&c->lock);
}

static void drop_condemned(struct checkpoints *c, struct piece *condemned)
{
	for (struct piece *piece = condemned; piece; piece = piece->next) {
		uint64_t gone = 0, released = 0;
		for (size_t i = 0; i < piece->count; i++) {
			int err = blob_drop(c->flow->blobs, piece->items[i].blob);
			gone += piece->items[i].bytes;
			if (!err)
				released += piece->items[i].bytes;
			else /* still there, so still accounted for; the next start sweeps it */
				log_warn("checkpoint: cannot drop blob=%llu error=%s",
					 (unsigned long long)piece->items[i].blob, strerror(-err));
		}
		lock_take(&c->lock);
		c->locked.condemned_bytes -= gone;
		lock_drop(&c->lock);
		if (released)
			space_release(c->flow->evicts, released);
	}
	free_pieces(condemned);
}

/* -- a round -- */

static int make_durable(struct checkpoints *c, struct sync_list *sync)
{
	struct flow *flow = c->flow;
	struct index_checkpoint *checkpoint;

	if (c->broken)
		return -EIO;
	int err = index_checkpoint_begin(flow->index, &checkpoint);
	if (err)
		return err;
	*sync = take_sync(c);
	if (sync->all)
		err = blobs_sync_all(flow->blobs);
	else
		err = blobs_sync(flow->blobs, sync->blobs, sync->count);
	if (err) {
		c->broken = err == -EIO;
		index_checkpoint_abort(&checkpoint);
		return err;
	}
	return index_checkpoint_commit(&checkpoint);
}

/* The log hears of the first failure of a kind, and of its end. */
static void settle(struct checkpoints *c, int err)
{
	lock_take(&c->lock);
	int before = c->locked.error;
	c->locked.error = err;
	if (err) {
		c->locked.failures++;
		c->locked.retry_ms = clock_ms() + RETRY_MS;
		if (!c->locked.due_ms)
			c->locked.due_ms = c->locked.retry_ms;
	} else {
		c->locked.retry_ms = 0;
	}
	wakeup_all(&c->done);
	lock_drop(&c->lock);

	if (err && err != before)
		log_error("checkpoint: failed, nothing new is sent to the bucket until it succeeds error=%s",
			  strerror(-err));
	else if (!err && before)
		log_info("checkpoint: succeeds again");
}

/* A kick between the start of a round and its snapshot asks for a second one that has nothing to do. */
static bool is_clean(struct checkpoints *c)
{
	lock_take(&c->lock);
	bool clean = !c->locked.condemned && !c->locked.error;
	lock_drop(&c->lock);
	return clean && index_covered(c->flow->index) == index_newest(c->flow->index);
}

static void note_began(struct checkpoints *c, int64_t ms)
{
	lock_take(&c->lock);
	c->locked.began_ms = ms;
	lock_drop(&c->lock);
}

static void run_round(struct checkpoints *c)
{
	struct sync_list sync = {.count = 0};

	lock_take(&c->lock);
	c->locked.due_ms = 0;
	c->locked.hurry = false;
	lock_drop(&c->lock);
	if (is_clean(c))
		return;

	int64_t began_ms = clock_ms();
	note_began(c, began_ms);
	struct piece *condemned = take_condemned(c);
	int err = make_durable(c, &sync);
	note_began(c, 0);
	if (!err)
		histogram_add(&c->rounds, (clock_ms() - began_ms) * 1000);
	if (err)
		give_back(c, &sync, condemned);
	settle(c, err);
	if (err)
		return;
	if (c->flow->sends)
		send_kick(c->flow->sends);
	drop_condemned(c, condemned);
}

bool checkpoint_is_stuck(struct checkpoints *c, int64_t for_ms)
{
	lock_take(&c->lock);
	int64_t since_ms = c->locked.began_ms ? c->locked.began_ms : c->locked.due_ms;
	bool stuck = since_ms && !c->locked.stopping && clock_ms() - since_ms > for_ms;
	lock_drop(&c->lock);
	return stuck;
}

/* When the next round is due: INT64_MAX = not at all. */
static int64_t due_locked(const struct checkpoints *c)
{
	int64_t due_ms = c->locked.hurry ? 0 : c->locked.due_ms ? c->locked.due_ms : INT64_MAX;

	return due_ms < c->locked.retry_ms ? c->locked.retry_ms : due_ms;
}

static void wait_until_due(struct checkpoints *c)
{
	lock_take(&c->lock);
	while (!c->locked.stopping) {
		int64_t due_ms = due_locked(c);
		if (due_ms == INT64_MAX)
			wakeup_wait(&c->wake, &c->lock);
		else if (due_ms <= clock_ms() || !wakeup_wait_until(&c->wake, &c->lock, due_ms))
			break;
	}
	lock_drop(&c->lock);
}

static bool is_stopping(struct checkpoints *c)
{
	lock_take(&c->lock);
	bool stopping = c->locked.stopping;
	lock_drop(&c->lock);
	return stopping;
}

static void *run(void *arg)
{
	struct checkpoints *c = arg;

	while (!is_stopping(c)) {
		wait_until_due(c);
		if (!is_stopping(c))
			run_round(c);
	}
	run_round(c); /* the last one, for whoever stops us; settle() keeps its result */
	return NULL;
}

/* -- start, stop, kick, wait -- */

int checkpoints_start(struct checkpoints *c)
{
	lock_take(&c->lock);
	/* What a killed process left uncovered waits to be sent: nobody else will kick for it. */
	if (index_covered(c->flow->index) != index_newest(c->flow->index))
		c->locked.hurry = true;
	lock_drop(&c->lock);

	int err = thread_start(&c->thread, "checkpoint", run, c);
	if (err)
		return err;
	lock_take(&c->lock);
	c->locked.started = true;
	lock_drop(&c->lock);
	return 0;
}

int checkpoints_stop(struct checkpoints *c)
{
	lock_take(&c->lock);
	bool running = c->locked.started && !c->locked.stopping, first = !c->locked.stopping;
	c->locked.stopping = true;
	wakeup_all(&c->wake);
	lock_drop(&c->lock);
	if (running)
		pthread_join(c->thread, NULL);
	else if (first)
		run_round(c); /* never started, but what cache_open did is to last */

	lock_take(&c->lock);
	c->locked.stopped = true;
	int err = c->locked.error;
	wakeup_all(&c->done);
	lock_drop(&c->lock);
	return err;
}

static void hurry_locked(struct checkpoints *c) REQUIRES(&c->lock);
static void hurry_locked(struct checkpoints *c)
{
	if (c->locked.hurry)
		return;
	c->locked.hurry = true;
	wakeup_one(&c->wake);
}

void checkpoint_kick(struct checkpoints *c)
{
	/* until the next one LMDB reuses no page: many commits in a row make the file grow */
	uint64_t growth = index_growth_bytes(c->flow->index);
	bool grown = growth > GROWTH_BYTES_MAX || (growth > GROWTH_TIGHT_BYTES_MAX && index_tight(c->flow->index));

	lock_take(&c->lock);
	if (grown)
		hurry_locked(c);
	if (!c->locked.due_ms) {
		c->locked.due_ms = clock_ms() + DELAY_MS;
		wakeup_one(&c->wake);
	}
	lock_drop(&c->lock);
}

void checkpoint_hurry(struct checkpoints *c)
{
	lock_take(&c->lock);
	hurry_locked(c);
	lock_drop(&c->lock);
}

static int wait_locked(struct checkpoints *c, uint64_t txn, int64_t deadline_ms) REQUIRES(&c->lock);
static int wait_locked(struct checkpoints *c, uint64_t txn, int64_t deadline_ms)
{
	uint64_t failures = c->locked.failures;

	/* A round that was under way when we came may not cover txn: then the next one is hurried as well. */
	while (index_covered(c->flow->index) < txn) {
		if (c->locked.failures != failures)
			return c->locked.error;
		if (c->locked.stopped)
			return -ECANCELED;
		if (clock_ms() >= deadline_ms)
			return -ETIMEDOUT;
		hurry_locked(c);
		wakeup_wait_until(&c->done, &c->lock, deadline_ms);
	}
	return 0;
}

int checkpoint_wait(struct checkpoints *c, uint64_t txn, int64_t deadline_ms)
{
	lock_take(&c->lock);
	int err = wait_locked(c, txn, deadline_ms);
	lock_drop(&c->lock);
	return err;
}

void checkpoint_stats_read(struct checkpoints *c, struct checkpoint_stats *out)
{
	histogram_read(&c->rounds, &out->rounds);
	lock_take(&c->lock);
	out->failures = c->locked.failures;
	out->error = c->locked.error;
	lock_drop(&c->lock);
}
