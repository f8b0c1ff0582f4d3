#include "rig.h"

#include <assert.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "cache/flow/pins.h"
#include "cache/base/clock.h"
#include "cache/index/ages.h"
#include "cache/index/names.h"

#define must(call)                                                                                 \
	do {                                                                                       \
		int must_r = (call);                                                               \
		if (must_r) {                                                                      \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call,              \
				strerror(-must_r));                                                \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

void rig_init(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	lock_init(&r->lock);
	r->faulty = faulty_bucket_new();
	strcpy(r->folder, "/tmp/tootfs-rig-XXXXXX");
	if (!mkdtemp(r->folder))
		abort();
	r->config.cache = r->folder;
	r->config.cache_size_bytes = 256 << 20;
	r->config.downloads = 4;
	r->config.uploads = 1;
	r->config.part_size_bytes = 8 << 20;
	r->config.io_timeout_ms = 5000;
	r->config.full_timeout_ms = 2000;
	r->config.uid = 1001;
	r->config.gid = 1002;
	r->config.file_mode = 0644;
	r->config.dir_mode = 0755;
}

static void changed(void *arg, uint64_t ino)
{
	struct rig *r = arg;

	lock_take(&r->lock);
	r->changed[r->changed_count++ % 64] = ino;
	lock_drop(&r->lock);
}

static bool was_changed(struct rig *r, uint64_t ino)
{
	bool found = false;

	lock_take(&r->lock);
	for (size_t i = 0; i < 64; i++)
		found |= r->changed[i] == ino;
	lock_drop(&r->lock);
	return found;
}

bool rig_was_changed(struct rig *r, uint64_t ino)
{
	const struct timespec ms = { 0, 1000000 };

	for (int i = 0; i < 200 && !was_changed(r, ino); i++)
		nanosleep(&ms, NULL);
	return was_changed(r, ino);
}

static void configure(struct rig *r)
{
	const struct cache_config *c = &r->config;

	r->cache.config = c;
	r->cache.key_bytes_max = KEY_BYTES_MAX;
	r->cache.lock_fd = -1;
	r->cache.flow.changed = changed;
	r->cache.flow.changed_arg = r;
	r->cache.flow.config = (struct flow_config){
		.cache_size_bytes = c->cache_size_bytes,
		.uploads = c->uploads,
		.downloads = c->downloads,
		.part_size_bytes = c->part_size_bytes,
		.io_timeout_ms = c->io_timeout_ms,
		.full_timeout_ms = c->full_timeout_ms,
	};
}

void rig_start(struct rig *r)
{
	struct flow *flow = &r->cache.flow;
	struct index_config index = { .folder = r->folder, .identity = "faulty" };
	enum index_start start;
	struct buf why = BUF_EMPTY;

	configure(r);
	if (r->config.bucket.spec) {
		must(bucket_open(&r->config.bucket, &flow->bucket));
		must(bucket_start(flow->bucket));
	} else {
		flow->bucket = faulty_bucket_open(r->faulty);
	}
	must(blobs_open(r->folder, &flow->blobs));
	must(index_open(&index, &flow->index, &start, &why));
	buf_destroy(&why);
	must(nodes_open(flow, &flow->nodes));
	must(checkpoints_open(flow, &flow->checkpoints));
	must(pins_open(flow, &flow->pins));
	must(evicts_open(flow, &flow->evicts));
	must(fills_open(flow, &flow->fills));
	must(checkpoints_start(flow->checkpoints));
	must(evicts_start(flow->evicts));
	must(fills_start(flow->fills));
	r->running = true;
}

void rig_stop(struct rig *r)
{
	struct flow *flow = &r->cache.flow;

	if (!r->running)
		return;
	bucket_stop(flow->bucket);
	evicts_stop(flow->evicts);
	fills_stop(flow->fills);
	must(checkpoints_stop(flow->checkpoints));
	must(index_mark_clean(flow->index));
	fills_close(&flow->fills);
	evicts_close(&flow->evicts);
	pins_close(&flow->pins);
	checkpoints_close(&flow->checkpoints);
	nodes_close(&flow->nodes);
	index_close(&flow->index);
	blobs_close(&flow->blobs);
	bucket_close(&flow->bucket);
	r->running = false;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void rig_destroy(struct rig *r)
{
	rig_stop(r);
	faulty_bucket_free(&r->faulty);
	lock_destroy(&r->lock);
	nftw(r->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

uint64_t rig_file(struct rig *r, const char *name, uint64_t size, unsigned seed, uint32_t flags)
{
	struct txn *txn;
	struct node_record record = {
		.parent = INO_ROOT, .mode = S_IFREG | 0644, .nlink = 1, .flags = flags, .size = size,
	};

	if (seed)
		faulty_put(r->faulty, name, size, seed, NULL);
	snprintf(record.name, sizeof(record.name), "%s", name);
	if (seed)
		snprintf(record.etag, sizeof(record.etag), "e%u-%llu", seed, (unsigned long long)size);
	must(txn_begin_write(r->cache.flow.index, &txn));
	record.ino = txn_new_ino(txn);
	must(names_put(txn, INO_ROOT, name, false, record.ino, 0));
	must(nodes_put(txn, &record));
	must(txn_commit(&txn));
	checkpoint_kick(r->cache.flow.checkpoints);
	return record.ino;
}

struct node *rig_node(struct rig *r, uint64_t ino)
{
	struct node *node;

	must(node_get(r->cache.flow.nodes, ino, &node));
	return node;
}

void rig_rest(struct node *node)
{
	const struct timespec ms = { 0, 1000000 };
	int64_t deadline_ms = clock_ms() + 10000;
	bool busy = true;

	while (busy) {
		lock_take(&node->lock);
		busy = node->locked.fill != NULL;
		lock_drop(&node->lock);
		assert(clock_ms() < deadline_ms);
		if (busy)
			nanosleep(&ms, NULL);
	}
}

struct node_record rig_record(struct rig *r, uint64_t ino)
{
	struct node_record record;
	struct txn *txn;

	must(txn_begin_read(r->cache.flow.index, &txn));
	must(nodes_get(txn, ino, &record));
	txn_abort(&txn);
	return record;
}

void rig_check_space(struct rig *r)
{
	const struct timespec ms = { 0, 5000000 };
	int64_t deadline_ms = clock_ms() + 10000;
	struct evict_stats stats;
	uint64_t recorded;

	do {
		struct txn *txn;
		checkpoint_hurry(r->cache.flow.checkpoints);
		nanosleep(&ms, NULL);
		must(txn_begin_read(r->cache.flow.index, &txn));
		must(ages_total(txn, &recorded));
		txn_abort(&txn);
		evict_stats_read(r->cache.flow.evicts, &stats);
	} while (stats.used != recorded && clock_ms() < deadline_ms);
	if (stats.used != recorded)
		fprintf(stderr, "used %llu, ages say %llu\n", (unsigned long long)stats.used,
			(unsigned long long)recorded);
	assert(stats.used == recorded && stats.used <= stats.limit);
}
