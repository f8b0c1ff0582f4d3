/* Which wishes were there when it began? A record is rewritten for three reasons: a change by the user (later than the
 * beginning: not waited for), a refusal (attempts), and a hold that is over. since_ns, when the wish arose, is
 * kept by all three. So a record counts where
 *
 *     its transaction is not newer than the beginning, or
 *     it is older than that, and was refused, or is a removal, or its file was not changed since (ctime)
 *
 * A file that is rewritten all the time is therefore waited for once, not for ever.
 *
 * The table is walked round and round, in slices; it is done when a whole round finds nothing. Nothing that counts can
 * come up behind the walk.
 *
 * Refused for good: only refused wishes are left after a round -> all are tried once more -> only such are left that
 * were refused after that. An outage puts single keys off too, hence the second try. */
#include "sync.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/flow/failures.h"
#include "cache/index/nodes.h"
#include "internal.h"
#include "wishes.h"

enum { SLICE = 512 };

struct sums {
	uint64_t files, bytes, refused, refused_again;
};

struct sync {
	struct cache *cache;
	char **keys;
	size_t count;
	uint64_t txn;	   /* of the beginning, */
	int64_t since_ns;  /* and its time */
	uint64_t stops;	   /* of the sender, then */
	uint64_t again;	   /* the transaction after which what is left was tried once more; 0 = not yet */
	struct wishes walk;
	size_t walked; /* which key walk is about */
	bool walking;
	struct sums round, last; /* under way; of the last whole round */
	bool has_last;
};

static int now_txn(struct cache *cache, uint64_t *out)
{
	struct txn *txn AUTO_ABORT = NULL;
	int r = txn_begin_read(cache->flow.index, &txn);

	if (!r)
		*out = txn_id(txn);
	return r;
}

static void hurry(struct sync *sync)
{
	if (sync->cache->config->ro)
		return;
	checkpoint_hurry(sync->cache->flow.checkpoints);
	send_hurry(sync->cache->flow.sends);
}

int sync_begin(struct cache *cache, const char *const *keys, size_t count, struct sync **out)
{
	struct sync *sync = calloc(1, sizeof(*sync));
	struct send_stats sends;
	int r;

	*out = sync;
	if (!sync)
		return -ENOMEM;
	sync->cache = cache;
	sync->keys = calloc(count ? count : 1, sizeof(*sync->keys));
	r = sync->keys ? 0 : -ENOMEM;
	for (size_t i = 0; i < count && !r; i++) {
		sync->keys[i] = strdup(keys[i]);
		r = sync->keys[i] ? 0 : -ENOMEM;
		sync->count++;
	}
	send_stats_read(cache->flow.sends, &sends);
	sync->stops = sends.stops;
	sync->since_ns = clock_wall_ns();
	if (!r)
		r = now_txn(cache, &sync->txn);
	if (r)
		sync_end(out);
	else
		hurry(sync);
	return r;
}

void sync_end(struct sync **sync)
{
	struct sync *s = *sync;

	*sync = NULL;
	if (!s)
		return;
	for (size_t i = 0; i < s->count; i++)
		free(s->keys[i]);
	free(s->keys);
	free(s);
}

/* *bytes: what it would send. */
static int counts(struct sync *sync, struct txn *txn, const struct pending_record *record, bool *out, uint64_t *bytes)
{
	struct node_record node;
	bool old = record->since_ns <= sync->since_ns;
	int r;

	*bytes = 0;
	*out = record->txn <= sync->txn || (old && (record->attempts > 0 || record->want == PENDING_ABSENT));
	if (record->want == PENDING_ABSENT || (!*out && !old))
		return 0;
	r = nodes_get(txn, record->ino, &node);
	if (r)
		return r == -ENOENT ? 0 : r;
	*out |= old && node.ctime_ns <= sync->since_ns;
	*bytes = record->attrs_only ? 0 : node.size;
	return 0;
}

static int add(void *arg, struct txn *txn, const struct pending_record *record)
{
	struct sync *sync = arg;
	uint64_t bytes;
	bool is_left;
	int r = counts(sync, txn, record, &is_left, &bytes);

	if (r || !is_left)
		return r;
	sync->round.files++;
	sync->round.bytes += bytes;
	sync->round.refused += record->attempts > 0 && record->txn > sync->txn;
	sync->round.refused_again += sync->again && record->attempts > 0 && record->txn > sync->again;
	return 0;
}

/* 1 = a whole round was ended by it. */
static int walk_slice(struct sync *sync)
{
	int r;

	if (!sync->walking) {
		if (sync->walked == 0)
			memset(&sync->round, 0, sizeof(sync->round));
		wishes_begin(&sync->walk, sync->cache->flow.index, sync->keys[sync->walked]);
		sync->walking = true;
	}
	r = wishes_slice(&sync->walk, SLICE, add, sync);
	if (r || !sync->walk.ended)
		return r;
	sync->walking = false;
	if (++sync->walked < sync->count)
		return 0;
	sync->walked = 0;
	sync->last = sync->round;
	sync->has_last = true;
	return 1;
}

/* After a whole round. */
static int judge(struct sync *sync, const struct send_stats *sends, struct sync_left *left)
{
	const struct sums *sums = &sync->last;

	left->done = sums->files == 0;
	if (left->done || sends->stopped)
		return 0;
	left->refused_for_good = sums->refused_again == sums->files;
	if (sync->again || sums->refused < sums->files)
		return 0;
	int r = now_txn(sync->cache, &sync->again);
	hurry(sync);
	return r;
}

static void explain(struct sync *sync, const struct send_stats *sends, struct sync_left *left)
{
	struct checkpoint_stats checkpoints;
	bool refused = sends->stopped && sends->error != -EHOSTDOWN;

	checkpoint_stats_read(sync->cache->flow.checkpoints, &checkpoints);
	if (left->done)
		return;
	if (sync->cache->config->ro) {
		snprintf(left->why, sizeof(left->why), "it is mounted read-only, so nothing is sent");
		left->refused_for_good = true;
	} else if (refused) {
		snprintf(left->why, sizeof(left->why), "the bucket refuses: %s", sends->why);
		left->refused_for_good |= sends->stops > sync->stops;
	} else if (sends->stopped) {
		snprintf(left->why, sizeof(left->why), "the bucket does not answer: %s", sends->why);
	} else if (checkpoints.error) {
		snprintf(left->why, sizeof(left->why), "the cache's disk fails, and nothing is sent that is not safe there: %s",
			 strerror(-checkpoints.error));
	} else if (left->refused && left->refused == left->files) {
		snprintf(left->why, sizeof(left->why), "the bucket refused what is left, which is tried once more");
	}
}

int sync_look(struct sync *sync, int64_t look_ms, struct sync_left *left)
{
	int64_t until_ms = clock_ms() + look_ms;
	const struct sums *sums = &sync->last;
	struct send_stats sends;
	int r;

	memset(left, 0, sizeof(*left));
	if (!sync->count)
		left->done = true;
	if (left->done)
		return 0;
	do
		r = walk_slice(sync);
	while (r == 0 && clock_ms() < until_ms);
	send_stats_read(sync->cache->flow.sends, &sends);
	left->exact = r == 1;
	if (r == 1)
		r = judge(sync, &sends, left);
	if (!sync->has_last || sync->round.files > sums->files)
		sums = &sync->round;
	left->files = sums->files;
	left->bytes = sums->bytes;
	left->refused = sums->refused;
	explain(sync, &sends, left);
	return r;
}

/* -- telling -- */

struct telling {
	struct sync *sync;
	sync_visit *visit;
	void *arg;
	unsigned left;
	bool refused;
};

static int tell_one(void *arg, struct txn *txn, const struct pending_record *record)
{
	struct telling *t = arg;
	struct failure failure = {.error = 0};
	uint64_t bytes;
	bool is_left;
	int r = counts(t->sync, txn, record, &is_left, &bytes);

	if (r || !is_left || (record->attempts > 0) != t->refused)
		return r;
	if (!failures_find(t->sync->cache->flow.failures, record->key, &failure))
		failure.why[0] = '\0';
	t->visit(t->arg, record->key, failure.why);
	return --t->left == 0;
}

int sync_tell(struct sync *sync, unsigned max, sync_visit *visit, void *arg)
{
	struct telling t = {.sync = sync, .visit = visit, .arg = arg, .left = max};
	int64_t until_ms = clock_ms() + 1000;
	struct wishes walk;
	int r = 0;

	for (int i = 0; i < 2; i++) {
		t.refused = i == 0;
		for (size_t k = 0; k < sync->count && t.left && r >= 0; k++) {
			wishes_begin(&walk, sync->cache->flow.index, sync->keys[k]);
			r = 0;
			while (r == 0 && !walk.ended && clock_ms() < until_ms)
				r = wishes_slice(&walk, SLICE, tell_one, &t);
		}
	}
	return r < 0 ? r : 0;
}
