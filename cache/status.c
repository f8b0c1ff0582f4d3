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
	int r;

	*out = (struct status_pending){.count = 0};
	r = cache_pending(cache, &out->count);
	if (!r && !out->count) {
		out->complete = true;
		return 0;
	}
	if (r)
		return r;
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
	out->bucket.reachable = !bucket.breaker_open;
	for (int i = 0; i < BUCKET_OPS; i++) {
		out->bucket.calls += bucket.calls[i];
		out->bucket.failures += bucket.failures[i];
	}
	out->bucket.retries = bucket.retries;
	out->bucket.bytes_in = bucket.bytes_in;
	out->bucket.bytes_out = bucket.bytes_out;
	out->bucket.rate_in = bucket.rate_in;
	out->bucket.rate_out = bucket.rate_out;
	out->bucket.trouble_ns = bucket.trouble.at_ns;
	out->bucket.trouble_op = bucket_op_name(bucket.trouble.op);
	memcpy(out->bucket.trouble, bucket.trouble.why, sizeof(out->bucket.trouble));
}

static void read_sends(struct cache *cache, struct cache_status *out)
{
	struct send_stats sends;

	send_stats_read(cache->flow.sends, &sends);
	out->bucket.sending_stopped = sends.stopped;
	memcpy(out->bucket.why, sends.why, sizeof(out->bucket.why));
	out->sent.puts = sends.puts;
	out->sent.copies = sends.copies;
	out->sent.removes = sends.removes;
	out->sent.bytes = sends.bytes;
	out->sent.failures = sends.failures;
	out->sent.in_flight = sends.in_flight;
}

static void read_flow(struct cache *cache, struct cache_status *out)
{
	const struct flow_counts *counts = &cache->flow.counts;
	struct evict_stats space;
	struct survey_stats survey;
	struct checkpoint_stats checkpoints;

	evict_stats_read(cache->flow.evicts, &space);
	out->cache.used = space.used;
	out->cache.limit = space.limit;
	out->cache.evicted_blobs = space.evicted_blobs;
	out->cache.evicted_bytes = space.evicted_bytes;
	out->cache.hits = atomic_load(&counts->hits);
	out->cache.misses = atomic_load(&counts->misses);
	out->cache.hit_bytes = atomic_load(&counts->hit_bytes);
	out->cache.miss_bytes = atomic_load(&counts->miss_bytes);
	checkpoint_stats_read(cache->flow.checkpoints, &checkpoints);
	out->checkpoints.failures = checkpoints.failures;
	out->checkpoints.failing = checkpoints.error != 0;
	out->checkpoints.rounds = checkpoints.rounds;
	survey_stats_read(cache->survey, &survey);
	out->survey.running = survey.running;
	out->survey.done = survey.done;
	out->survey.keys = survey.keys;
	out->survey.folders = survey.folders;
	out->survey.skipped = survey.skipped;
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
	out->tree.files = totals.files;
	out->tree.folders = totals.folders;
	out->tree.symlinks = totals.symlinks;
	out->tree.bytes = totals.bytes;
	out->pending_count = totals.pending;
	read_bucket(cache, out);
	read_sends(cache, out);
	read_flow(cache, out);
	return 0;
}

bool status_calls_read(struct cache *cache, unsigned i, struct status_calls *out)
{
	struct bucket_stats bucket;

	if (i >= BUCKET_OPS)
		return false;
	bucket_stats_read(cache->flow.bucket, &bucket);
	out->name = bucket_op_name((enum bucket_op)i);
	out->calls = bucket.calls[i];
	out->failures = bucket.failures[i];
	bucket_requests_read(cache->flow.bucket, (enum bucket_op)i, &out->requests);
	return true;
}
