/* Composition: this is the picture of how the parts hang together.
 *
 *     cache ── survey            (lists the bucket into the index)
 *       └── flow ── checkpoints, pins, evicts, nodes, fills, sends
 *             └── index, blobs, bucket */
#include "cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/flow/failures.h"
#include "cache/flow/pins.h"
#include "cache/index/ages.h"
#include "cache/index/nodes.h"
#include "cache/index/pending.h"
#include "internal.h"
#include "rescue.h"
#include "survey.h"
#include "sweep.h"

#define META_KNOWN "known"
enum { CHECK_MS = 300 }; /* of a look through the index, at most; a clean stop needs less */

static int fail(struct buf *why, int error, const char *what, const char *folder)
{
	buf_printf(why, "%s %s: %s", what, folder, strerror(-error));
	return error;
}

/* -- the folder -- */

static int make_folder(const char *path, struct buf *why)
{
	char *part AUTO_FREE = strdup(path);
	if (!part)
		return -ENOMEM;
	for (char *slash = strchr(part + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = '\0';
		if (mkdir(part, 0700) && errno != EEXIST)
			return fail(why, -errno, "cannot make the cache folder", part);
		if (!slash)
			return 0;
		*slash = '/';
	}
}

static int lock_folder(struct cache *cache, const char *folder, struct buf *why)
{
	char path[4096], pid[32] = "";
	struct stat st;
	snprintf(path, sizeof path, "%s/lock", folder);
	if (stat(folder, &st) || !S_ISDIR(st.st_mode))
		return fail(why, -ENOTDIR, "the cache folder", folder);
	if (st.st_uid != geteuid() || (st.st_mode & 022)) {
		buf_printf(why, "the cache folder %s must belong to the user who mounts and must not be "
			   "writable by others: chmod 700 it", folder);
		return -EACCES;
	}
	cache->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (cache->lock_fd < 0)
		return fail(why, -errno, "cannot write to the cache folder", folder);
	if (flock(cache->lock_fd, LOCK_EX | LOCK_NB)) {
		ssize_t n = pread(cache->lock_fd, pid, sizeof pid - 1, 0);
		pid[n > 0 ? n : 0] = '\0';
		buf_printf(why, "the cache folder %s is in use by another tootfs (pid %.*s); unmount that "
			   "one, or give this mount a cache of its own with -o cache=FOLDER", folder,
			   (int)strspn(pid, "0123456789"), pid);
		return -EBUSY;
	}
	int length = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
	if (ftruncate(cache->lock_fd, 0) || pwrite(cache->lock_fd, pid, (size_t)length, 0) != length)
		return fail(why, errno ? -errno : -ENOSPC, "cannot write to the cache folder", folder);
	return 0;
}

/* -- opening -- */

static void flow_config_of(const struct cache_config *c, struct flow_config *out)
{
	*out = (struct flow_config){
		.cache_size_bytes = c->cache_size_bytes,
		.uploads = c->uploads,
		.downloads = c->downloads,
		.part_size_bytes = c->part_size_bytes,
		.attrs_object = c->bucket.attrs_object,
		.durability_bucket = c->durability_bucket,
		.read_only = c->ro,
		.io_timeout_ms = c->io_timeout_ms,
		.full_timeout_ms = c->full_timeout_ms,
	};
}

static int start_bucket(struct cache *cache)
{
	int r = cache->bucket_started ? 0 : bucket_start(cache->flow.bucket);
	cache->bucket_started |= r == 0;
	return r;
}

static int find_one(void *arg, uint64_t blob, uint64_t bytes)
{
	(void)blob;
	(void)bytes;
	*(bool *)arg = true;
	return -ECANCELED;
}

static int open_index(struct cache *cache, enum index_start *start, struct buf *why)
{
	bool has_blobs = false;
	int r = blobs_each(cache->flow.blobs, find_one, &has_blobs);
	if (r && r != -ECANCELED)
		return fail(why, r, "cannot use the cache folder", cache->config->cache);
	const struct index_config config = {.folder = cache->config->cache,
					    .identity = bucket_identity(cache->flow.bucket),
					    .expected = has_blobs,
					    .check_ms = CHECK_MS,
					    .first_blob = rescue_first_blob(cache)};
	return index_open(&config, &cache->flow.index, start, why);
}

/* The index is damaged; *why says how. Before anything is dropped that the bucket may have to bring again, it must answer. */
static int rescue(struct cache *cache, enum index_start *start, struct buf *why)
{
	int r = rescue_save(cache, buf_string(why), why);
	if (r)
		return r;
	r = start_bucket(cache);
	if (!r)
		r = bucket_probe(cache->flow.bucket);
	if (r) {
		buf_clear(why);
		buf_printf(why, "the cache's index is damaged, and the bucket, from which it must be made anew, does not "
			   "answer; nothing was dropped: %s", bucket_why());
		return r;
	}
	buf_clear(why);
	r = rescue_commit(cache);
	if (!r)
		r = rescue_end(cache);
	if (r)
		return fail(why, r, "cannot put the damaged index aside in", cache->config->cache);
	return open_index(cache, start, why);
}

static int open_stores(struct cache *cache, enum index_start *start, struct buf *why)
{
	const struct cache_config *c = cache->config;
	struct flow *flow = &cache->flow;
	int r = bucket_open(&c->bucket, &flow->bucket);
	if (r) {
		buf_text(why, bucket_why());
		return r;
	}
	cache->key_bytes_max = bucket_key_bytes_max(flow->bucket);
	r = blobs_open(c->cache, &flow->blobs);
	if (!r)
		r = blobs_sync_all(flow->blobs);
	if (!r && !c->ro)
		r = rescue_end(cache);
	if (r)
		return fail(why, r, "cannot use the cache folder", c->cache);
	const uint64_t first_blob = rescue_first_blob(cache);
	r = open_index(cache, start, why);
	bool damaged = r == -EUCLEAN && !c->ro;
	if (damaged)
		r = rescue(cache, start, why);
	if (!r)
		r = rescue_adopt(cache);
	if (r && !why->length)
		return fail(why, r, "cannot open the index in", c->cache);
	if (!r && !damaged)
		rescue_remind(cache);
	cache->fresh = !r && !damaged && *start == INDEX_NEW && !first_blob;
	return r;
}

/* Did the bucket ever answer this cache? An index alone does not say so: the first start may have failed. */
static int is_known(struct cache *cache, bool *known)
{
	struct buf value AUTO_BUF = BUF_EMPTY;
	struct txn *txn AUTO_ABORT = NULL;
	int r = txn_begin_read(cache->flow.index, &txn);
	if (!r)
		r = meta_get(txn, META_KNOWN, &value);
	*known = r == 0;
	return r == -ENOENT ? 0 : r;
}

/* A bucket that this cache does not know must answer; one that it knows may be away, but not refuse us. */
static int probe(struct cache *cache, bool *known, struct buf *why)
{
	struct bucket *bucket = cache->flow.bucket;
	int r = is_known(cache, known);
	if (r)
		return fail(why, r, "cannot read the index in", cache->config->cache);
	r = start_bucket(cache);
	if (!r)
		r = bucket_probe(bucket);
	if (r == -EHOSTDOWN && *known) {
		log_warn("bucket: not reachable, going on with what the cache has error=%s", bucket_why());
		return 0;
	}
	if (r)
		buf_text(why, bucket_why());
	return r;
}

/* A bucket that was mistyped must not keep the folder for itself. */
static void forget_index(struct cache *cache)
{
	index_close(&cache->flow.index);
	int r = index_remove(cache->config->cache);
	if (r)
		log_warn("cache: cannot remove the index that was made in vain cache=%s error=%s",
			 cache->config->cache, strerror(-r));
}

static int adopt_root(struct cache *cache)
{
	const struct cache_config *c = cache->config;
	struct node_record root;
	struct txn *txn AUTO_ABORT = NULL;
	int r = txn_begin_write(cache->flow.index, &txn);
	if (!r)
		r = nodes_get(txn, INO_ROOT, &root);
	if (r)
		return r;
	root.mode = S_IFDIR | (c->dir_mode & 07777);
	root.uid = c->uid;
	root.gid = c->gid;
	r = nodes_put(txn, &root);
	if (!r)
		r = meta_put(txn, META_KNOWN, "1", 1);
	return r ? r : txn_commit(&txn);
}

static int open_parts(struct cache *cache, enum index_start start, bool known)
{
	struct flow *flow = &cache->flow;
	/* first, so that it sees the state as it was opened */
	int r = sweep_open(cache, start, &cache->sweep);
	if (!r)
		r = nodes_open(flow, &flow->nodes);
	if (!r)
		r = checkpoints_open(flow, &flow->checkpoints);
	if (!r)
		r = pins_open(flow, &flow->pins);
	if (!r)
		r = evicts_open(flow, &flow->evicts);
	if (!r)
		r = failures_open(&flow->failures);
	if (!r)
		r = fills_open(flow, &flow->fills);
	if (!r)
		r = sends_open(flow, &flow->sends);
	if (!r)
		r = survey_open(cache, &cache->survey);
	if (!r && !known)
		r = adopt_root(cache);
	return r;
}

int cache_open(const struct cache_config *config, struct cache **out, struct buf *why)
{
	enum index_start start = INDEX_NEW;
	bool known = false;
	struct cache *cache = calloc(1, sizeof *cache);
	if (!cache)
		return -ENOMEM;
	cache->config = config;
	cache->lock_fd = -1;
	flow_config_of(config, &cache->flow.config);
	int r = make_folder(config->cache, why);
	if (!r)
		r = lock_folder(cache, config->cache, why);
	if (!r)
		r = open_stores(cache, &start, why);
	if (!r) {
		r = probe(cache, &known, why);
		if (r && cache->fresh)
			forget_index(cache);
	}
	if (!r) {
		r = open_parts(cache, start, known);
		if (r)
			fail(why, r, "cannot open the cache in", config->cache);
	}
	if (r) {
		if (cache->flow.bucket)
			bucket_stop(cache->flow.bucket);
		cache_close(&cache);
		return r;
	}
	*out = cache;
	return 0;
}

/* -- running -- */

static void changed(void *arg, uint64_t ino)
{
	struct cache *cache = arg;
	if (cache->watcher.changed)
		cache->watcher.changed(cache->watcher.arg, ino);
}

int cache_start(struct cache *cache, const struct cache_watcher *watcher)
{
	struct flow *flow = &cache->flow;
	if (watcher)
		cache->watcher = *watcher;
	flow->changed = changed;
	flow->changed_arg = cache;
	int r = checkpoints_start(flow->checkpoints);
	if (!r)
		r = evicts_start(flow->evicts);
	if (!r)
		r = fills_start(flow->fills);
	if (!r && !cache->config->ro)
		r = sends_start(flow->sends);
	if (!r)
		r = survey_start(cache->survey);
	if (!r)
		r = sweep_start(cache->sweep);
	return r;
}

void cache_reload(struct cache *cache)
{
	bucket_reload(cache->flow.bucket);
	if (!cache->config->ro)
		send_hurry(cache->flow.sends);
}

int cache_pending(struct cache *cache, uint64_t *out)
{
	struct txn *txn AUTO_ABORT = NULL;
	int r = txn_begin_look(cache->flow.index, &txn);
	return r ? r : pending_count(txn, out);
}

unsigned cache_waiters(struct cache *cache)
{
	return atomic_load(&cache->flow.counts.waiters);
}

bool cache_is_stuck(struct cache *cache, int64_t for_ms)
{
	return checkpoint_is_stuck(cache->flow.checkpoints, for_ms);
}

int cache_drain(struct cache *cache, int64_t deadline_ms,
		void (*progress)(void *arg, uint64_t pending_count), void *arg)
{
	const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
	int64_t told_ms = 0;
	uint64_t left = 1;
	if (cache->config->ro)
		return 0;
	checkpoint_hurry(cache->flow.checkpoints);
	send_hurry(cache->flow.sends);
	/* what cannot be counted is there still */
	while (cache_pending(cache, &left) || left > 0) {
		int64_t now = clock_ms();
		if (now >= deadline_ms)
			return -ETIMEDOUT;
		if (progress && now - told_ms >= 1000) {
			progress(arg, left);
			told_ms = now;
		}
		checkpoint_kick(cache->flow.checkpoints);
		nanosleep(&pause, NULL);
	}
	return 0;
}

void cache_interrupt(struct cache *cache)
{
	bucket_stop(cache->flow.bucket);
}

void cache_stop(struct cache *cache)
{
	struct flow *flow = &cache->flow;
	bucket_stop(flow->bucket);
	sweep_stop(cache->sweep);
	evicts_stop(flow->evicts); /* first: it wakes those who wait for room */
	survey_stop(cache->survey);
	fills_stop(flow->fills);
	sends_stop(flow->sends);
	int r = checkpoints_stop(flow->checkpoints);
	if (!r) /* after a clean stop nothing is swept: what was dropped must stay so */
		r = blobs_sync_all(flow->blobs);
	if (!r)
		r = index_mark_clean(flow->index);
	if (r)
		log_error("cache: the last checkpoint failed, the next start recovers error=%s",
			  strerror(-r));
}

void cache_close(struct cache **cache)
{
	struct cache *c = *cache;
	*cache = NULL;
	if (!c)
		return;
	sweep_close(&c->sweep);
	survey_close(&c->survey);
	sends_close(&c->flow.sends);
	fills_close(&c->flow.fills);
	failures_close(&c->flow.failures);
	evicts_close(&c->flow.evicts);
	pins_close(&c->flow.pins);
	checkpoints_close(&c->flow.checkpoints);
	nodes_close(&c->flow.nodes);
	index_close(&c->flow.index);
	blobs_close(&c->flow.blobs);
	bucket_close(&c->flow.bucket);
	if (c->lock_fd >= 0)
		close(c->lock_fd);
	free(c);
}

int cache_statvfs(struct cache *cache, struct statvfs *out)
{
	struct index_totals totals;
	struct evict_stats space;
	struct statvfs disk;
	struct txn *txn = NULL;
	int r = txn_begin_read(cache->flow.index, &txn);
	if (!r)
		r = index_totals(txn, &totals);
	txn_abort(&txn);
	if (!r)
		r = blobs_statvfs(cache->flow.blobs, &disk);
	if (r)
		return r;
	evict_stats_read(cache->flow.evicts, &space);
	/* what clean blobs take can be evicted, so it counts as room; the disk has the last word */
	uint64_t on_disk = (uint64_t)disk.f_bavail * disk.f_frsize + space.used;
	uint64_t room = (space.limit < on_disk ? space.limit : on_disk) / 4096;
	memset(out, 0, sizeof *out);
	out->f_bsize = out->f_frsize = 4096;
	out->f_bfree = out->f_bavail = room;
	out->f_blocks = (totals.bytes + 4095) / 4096 + room;
	out->f_files = totals.files + totals.folders + totals.symlinks + disk.f_favail;
	out->f_ffree = out->f_favail = disk.f_favail;
	out->f_namemax = NAME_BYTES_MAX;
	return 0;
}
