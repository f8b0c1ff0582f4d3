/* The getters of every part, side by side. What would have to be counted by a walk is walked in slices, so that no
 * snapshot keeps pages of the index for long, and ends at a deadline. */
#include "status.h"

#include <errno.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/bucket/bucket_stats.h"
#include "cache/index/nodes.h"
#include "internal.h"
#include "survey.h"
#include "wishes.h"

enum { SLICE = 512 };

static int add(void *arg, struct txn *txn, const struct pending_record *record)
{
	struct status_pending *sum = arg;
	struct node_record node;
	int r;

	sum->failing += record->attempts > 0;
	if (!sum->oldest_ns || record->since_ns < sum->oldest_ns)
		sum->oldest_ns = record->since_ns;
	if (record->want == PENDING_ABSENT) {
		sum->removes++;
		return 0;
	}
	sum->puts++;
	r = record->attrs_only ? -ENOENT : nodes_get(txn, record->ino, &node);
	if (r == 0)
		sum->bytes += node.size;
	return r == -ENOENT ? 0 : r;
}

int status_pending_read(struct cache *cache, const char *key, int64_t look_ms, struct status_pending *out)
{
	int64_t until_ms = clock_ms() + look_ms;
	struct wishes walk;
	int r = 0;

	*out = (struct status_pending){.count = cache_pending(cache)};
	if (!out->count) {
		out->complete = true;
		return 0;
	}
	wishes_begin(&walk, cache->flow.index, key);
	while (r == 0 && !walk.ended && clock_ms() < until_ms)
		r = wishes_slice(&walk, SLICE, add, out);
	out->complete = walk.ended;
	return r;
}

static void read_bucket(struct cache *cache, struct cache_status *out)
{
	struct bucket_stats bucket;

	bucket_stats_read(cache->flow.bucket, &bucket);
	out->reachable = !bucket.breaker_open;
	for (int i = 0; i < BUCKET_OPS; i++) {
		out->calls += bucket.calls[i];
		out->failures += bucket.failures[i];
	}
	out->retries = bucket.retries;
	out->bytes_in = bucket.bytes_in;
	out->bytes_out = bucket.bytes_out;
}

static void read_flow(struct cache *cache, struct cache_status *out)
{
	struct send_stats sends;
	struct evict_stats space;
	struct survey_stats survey;

	send_stats_read(cache->flow.sends, &sends);
	evict_stats_read(cache->flow.evicts, &space);
	survey_stats_read(cache->survey, &survey);
	out->sending_stopped = sends.stopped;
	memcpy(out->why, sends.why, sizeof(out->why));
	out->puts = sends.puts;
	out->copies = sends.copies;
	out->removes = sends.removes;
	out->put_bytes = sends.bytes;
	out->put_failures = sends.failures;
	out->cache_used = space.used;
	out->cache_limit = space.limit;
	out->evicted_blobs = space.evicted_blobs;
	out->evicted_bytes = space.evicted_bytes;
	out->survey_running = survey.running;
	out->survey_done = survey.done;
	out->survey_keys = survey.keys;
	out->survey_folders = survey.folders;
	out->survey_skipped = survey.skipped;
}

int cache_status_read(struct cache *cache, struct cache_status *out)
{
	struct txn *txn AUTO_ABORT = NULL;
	struct index_totals totals;
	int r = txn_begin_look(cache->flow.index, &txn);

	memset(out, 0, sizeof(*out));
	if (!r)
		r = index_totals(txn, &totals);
	txn_abort(&txn);
	if (r)
		return r;
	out->files = totals.files;
	out->folders = totals.folders;
	out->symlinks = totals.symlinks;
	out->bytes = totals.bytes;
	read_bucket(cache, out);
	read_flow(cache, out);
	return status_pending_read(cache, "", STATUS_LOOK_MS, &out->pending);
}
