/* Status, the walk over what is pending, and sync, over a cache that is open but not started: nothing is sent, so that
 * wishes come and go only by the test's hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cache/base/clock.h"
#include "cache/file.h"
#include "cache/flow/failures.h"
#include "cache/index/nodes.h"
#include "cache/internal.h"
#include "cache/status.h"
#include "cache/sync.h"
#include "cache/tree.h"
#include "cache/wishes.h"

struct place {
	char base[64];
	struct cache_config config;
	struct cache *cache;
};

static int setup(void **state)
{
	struct buf why AUTO_BUF = BUF_EMPTY;
	struct place *p = calloc(1, sizeof *p);
	char path[128];

	strcpy(p->base, "/tmp/tootfs-status-XXXXXX");
	assert_non_null(mkdtemp(p->base));
	snprintf(path, sizeof path, "%s/bucket", p->base);
	assert_int_equal(mkdir(path, 0700), 0);
	config_init(&p->config);
	snprintf(path, sizeof path, "file://%s/bucket", p->base);
	assert_int_equal(config_spec(&p->config, path), 0);
	snprintf(path, sizeof path, "%s/cache", p->base);
	assert_int_equal(config_set(&p->config, "cache", path, &why), 0);
	assert_int_equal(config_finish(&p->config, &why), 0);
	p->config.uid = p->config.gid = 0;
	assert_int_equal(cache_open(&p->config, &p->cache, &why), 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	char command[128];

	cache_stop(p->cache);
	cache_close(&p->cache);
	config_destroy(&p->config);
	snprintf(command, sizeof command, "rm -r %s", p->base);
	assert_int_equal(system(command), 0);
	free(p);
	return 0;
}

/* -- wishes by hand -- */

/* A file of the bucket, of this size, that the tree does not show. */
static uint64_t make_node(struct place *p, uint64_t size)
{
	struct node_record node = {.parent = INO_ROOT, .mode = S_IFREG | 0644, .nlink = 1, .size = size, .version = 1};
	struct txn *txn;

	strcpy(node.etag, "etag");
	assert_int_equal(txn_begin_write(p->cache->flow.index, &txn), 0);
	node.ino = txn_new_ino(txn);
	snprintf(node.name, sizeof(node.name), "n%llu", (unsigned long long)node.ino);
	node.ctime_ns = node.mtime_ns = node.atime_ns = clock_wall_ns();
	assert_int_equal(nodes_put(txn, &node), 0);
	assert_int_equal(txn_commit(&txn), 0);
	return node.ino;
}

static void touch_node(struct place *p, uint64_t ino)
{
	struct node_record node;
	struct txn *txn;

	assert_int_equal(txn_begin_write(p->cache->flow.index, &txn), 0);
	assert_int_equal(nodes_get(txn, ino, &node), 0);
	node.ctime_ns = clock_wall_ns();
	assert_int_equal(nodes_put(txn, &node), 0);
	assert_int_equal(txn_commit(&txn), 0);
}

static void wish(struct place *p, const struct pending_record *wanted)
{
	struct pending_record record = *wanted;
	struct txn *txn;

	if (!record.since_ns)
		record.since_ns = clock_wall_ns();
	record.version = record.want == PENDING_PUT ? 1 : 0;
	assert_int_equal(txn_begin_write(p->cache->flow.index, &txn), 0);
	assert_int_equal(pending_put(txn, &record), 0);
	assert_int_equal(txn_commit(&txn), 0);
}

static struct pending_record put_of(const char *key, uint64_t ino)
{
	struct pending_record record = {.want = PENDING_PUT, .ino = ino};

	strcpy(record.key, key);
	return record;
}

static void put(struct place *p, const char *key, uint64_t size)
{
	struct pending_record record = put_of(key, make_node(p, size));

	wish(p, &record);
}

/* As the sender does when it was refused, or a hold is over. */
static void rewrite(struct place *p, const char *key, unsigned attempts)
{
	struct pending_record record;
	struct txn *txn;

	assert_int_equal(txn_begin_write(p->cache->flow.index, &txn), 0);
	assert_int_equal(pending_get(txn, key, &record), 0);
	record.attempts += attempts;
	assert_int_equal(pending_put(txn, &record), 0);
	assert_int_equal(txn_commit(&txn), 0);
}

static void sent(struct place *p, const char *key)
{
	struct txn *txn;

	assert_int_equal(txn_begin_write(p->cache->flow.index, &txn), 0);
	assert_int_equal(pending_delete(txn, key), 0);
	assert_int_equal(txn_commit(&txn), 0);
}

/* -- the walk -- */

static int collect(void *arg, struct txn *txn, const struct pending_record *record)
{
	(void)txn;
	buf_printf(arg, "%s\n", record->key);
	return 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted lines: long keys come in an order of their own. */
static char *sorted(const char *lines)
{
	char *copy = strdup(lines), *rows[64];
	struct buf out = BUF_EMPTY;
	size_t count = 0;

	for (char *row = strtok(copy, "\n"); row; row = strtok(NULL, "\n"))
		rows[count++] = row;
	qsort(rows, count, sizeof(*rows), compare);
	for (size_t i = 0; i < count; i++)
		buf_printf(&out, "%s\n", rows[i]);
	free(copy);
	return out.length ? buf_steal(&out) : strdup("");
}

static void expect_walk(struct place *p, const char *const *keys, size_t count, const char *below, unsigned slice)
{
	struct buf found AUTO_BUF = BUF_EMPTY, wanted AUTO_BUF = BUF_EMPTY;
	size_t length = strlen(below);
	struct wishes walk;

	for (size_t i = 0; i < count; i++)
		if (!length || (strncmp(keys[i], below, length) == 0 && (!keys[i][length] || keys[i][length] == '/')))
			buf_printf(&wanted, "%s\n", keys[i]);
	wishes_begin(&walk, p->cache->flow.index, below);
	while (!walk.ended)
		assert_int_equal(wishes_slice(&walk, slice, collect, &found), 0);
	char *a = sorted(buf_string(&found)), *b = sorted(buf_string(&wanted));
	assert_string_equal(a, b);
	free(a);
	free(b);
}

enum { LONG_KEYS = 16 };

static void test_walk(void **state)
{
	static char long_keys[LONG_KEYS][KEY_BYTES_MAX + 1], folder[KEY_BYTES_MAX + 1];
	const char *keys[11 + LONG_KEYS] = {"a", "a!", "a-b", "a/b", "a/b/c", "a/b0", "a/b/d/e", "a0", "b", "\x01", "\xff\xff"};
	const char *const below[] = {"", "a", "a/b", "a/b/c", "a-b", "nothing", "b", folder, long_keys[0], "\xff\xff"};
	size_t count = sizeof(keys) / sizeof(*keys);
	struct place *p = *state;

	/* folders of 250 bytes: half of the keys of 750 bytes below one of 501, the others beside it */
	for (int i = 0; i < LONG_KEYS; i++) {
		memset(long_keys[i], 'x', 750);
		long_keys[i][250] = long_keys[i][501] = '/';
		long_keys[i][499] = i % 2 ? 'x' : 'y';
		long_keys[i][749] = (char)('a' + i);
		keys[11 + i] = long_keys[i];
	}
	memcpy(folder, long_keys[0], 501);
	for (size_t i = 0; i < count; i++)
		put(p, keys[i], 1);
	for (size_t i = 0; i < sizeof(below) / sizeof(*below); i++)
		for (unsigned slice = 1; slice < 20; slice += 6)
			expect_walk(p, keys, count, below[i], slice);
}

/* -- status -- */

static void test_pending(void **state)
{
	struct pending_record gone = {.want = PENDING_ABSENT, .key = "a/gone", .since_ns = 77, .attempts = 2};
	struct place *p = *state;
	struct status_pending sum;

	assert_int_equal(status_pending_read(p->cache, "", 1000, &sum), 0);
	assert_true(sum.complete && !sum.count && !sum.oldest_ns);
	put(p, "a/one", 1000);
	put(p, "b", 30);
	wish(p, &gone);
	assert_int_equal(status_pending_read(p->cache, "", 1000, &sum), 0);
	assert_true(sum.complete);
	assert_int_equal(sum.count, 3);
	assert_int_equal(sum.puts, 2);
	assert_int_equal(sum.removes, 1);
	assert_int_equal(sum.bytes, 1030);
	assert_int_equal(sum.failing, 1);
	assert_int_equal(sum.oldest_ns, 77);
	assert_int_equal(status_pending_read(p->cache, "b", 1000, &sum), 0);
	assert_int_equal(sum.puts + sum.removes, 1);
	assert_int_equal(sum.bytes, 30);
	assert_int_equal(status_pending_read(p->cache, "", 0, &sum), 0); /* no time at all */
	assert_false(sum.complete);
	assert_int_equal(sum.count, 3);
}

static int copy_text(void *arg, int fd, uint64_t offset, uint64_t length)
{
	return pwrite(fd, arg, length, (off_t)offset) == (ssize_t)length ? 0 : -EIO;
}

static void test_node(void **state)
{
	const struct caller caller = {0, 0};
	struct write_source source = {copy_text, (char *)"hello"};
	struct create create = {.name = "f", .mode = 0644, .flags = O_RDWR};
	struct place *p = *state;
	struct node_status n;
	struct file *file;
	struct stat st;
	uint64_t ino;

	assert_int_equal(tree_mkdir(p->cache, INO_ROOT, "d", 0755, &caller, &st), 0);
	create.parent = st.st_ino;
	assert_int_equal(tree_create(p->cache, &create, &file, &st), 0);
	assert_int_equal(file_write(file, 0, 5, &source), 0);
	assert_int_equal(status_find(p->cache, "d/f", &ino), 0);
	assert_int_equal(ino, st.st_ino);
	assert_int_equal(node_status_read(p->cache, ino, &n), 0);
	assert_true(n.unpublished);
	assert_int_equal(n.size, 5);
	assert_int_equal(file_flush(file), 0);
	file_close(&file);
	failures_note(p->cache->flow.failures, "d/f", -EINVAL, "no good");
	assert_int_equal(node_status_read(p->cache, ino, &n), 0);
	assert_int_equal(n.kind, STATUS_FILE);
	assert_int_equal(n.state, STATUS_DIRTY);
	assert_false(n.unpublished);
	assert_int_equal(n.cached_bytes, 5);
	assert_true(n.pending && n.since_ns > 0);
	assert_string_equal(n.key, "d/f");
	assert_string_equal(n.failed_why, "no good");
	assert_int_equal(status_find(p->cache, "", &ino), 0);
	assert_int_equal(ino, INO_ROOT);
	assert_int_equal(status_find(p->cache, "d", &ino), 0);
	assert_int_equal(node_status_read(p->cache, ino, &n), 0);
	assert_int_equal(n.kind, STATUS_FOLDER);
	assert_true(n.complete);
	assert_int_equal(status_find(p->cache, "d/nothing", &ino), -ENOENT);
	assert_int_equal(status_find(p->cache, "d/f/below", &ino), -ENOENT);
	assert_int_equal(node_status_read(p->cache, 999999, &n), -ENOENT);
}

static void test_not_listed(void **state)
{
	struct place *p = *state;
	uint64_t ino;

	assert_int_equal(status_find(p->cache, "unknown", &ino), -EAGAIN);
}

static void test_whole(void **state)
{
	struct place *p = *state;
	struct cache_status s;
	struct status_calls calls;
	unsigned i = 0;

	put(p, "a", 12);
	assert_int_equal(cache_status_read(p->cache, &s), 0);
	assert_true(s.bucket.reachable && !s.bucket.sending_stopped);
	assert_int_equal(s.pending_count, 1);
	assert_int_equal(s.tree.files, 1);
	assert_int_equal(s.tree.bytes, 12);
	assert_true(s.cache.limit > 0);
	while (status_calls_read(p->cache, i, &calls)) {
		assert_true(calls.name && calls.failures <= calls.calls);
		i++;
	}
	assert_true(i > 5);
}

/* -- sync -- */

static struct sync *begin(struct place *p, const char *key)
{
	struct sync *sync;

	assert_int_equal(sync_begin(p->cache, &key, 1, &sync), 0);
	return sync;
}

static struct sync_left look(struct sync *sync)
{
	struct sync_left left;

	assert_int_equal(sync_look(sync, 5000, &left), 0);
	return left;
}

static void test_sync_waits(void **state)
{
	struct place *p = *state;
	struct sync *sync = begin(p, "");

	assert_true(look(sync).done);
	sync_end(&sync);
	put(p, "a/old", 100);
	sync = begin(p, "");
	put(p, "a/later", 50);
	struct sync_left left = look(sync);
	assert_false(left.done);
	assert_int_equal(left.files, 1);
	assert_int_equal(left.bytes, 100);
	assert_true(left.exact);
	struct sync *other = begin(p, "b"), *both = begin(p, "a");
	assert_true(look(other).done);
	assert_int_equal(look(both).files, 2);
	sent(p, "a/old");
	assert_true(look(sync).done);
	assert_false(look(both).done);
	sent(p, "a/later");
	assert_true(look(both).done);
	sync_end(&sync);
	sync_end(&other);
	sync_end(&both);
	assert_null(sync);
}

/* A record that is written anew without the user's doing is still waited for; one that the user changed is not. */
static void test_sync_rewritten(void **state)
{
	struct pending_record gone = {.want = PENDING_ABSENT, .key = "gone"};
	struct place *p = *state;
	uint64_t ino = make_node(p, 5);
	struct pending_record record = put_of("freed", ino), refused = put_of("refused", make_node(p, 5));

	wish(p, &record);
	wish(p, &gone);
	wish(p, &refused);
	struct sync *sync = begin(p, "");
	rewrite(p, "freed", 0);
	rewrite(p, "gone", 0);
	touch_node(p, refused.ino); /* its content is still that of before */
	rewrite(p, "refused", 1);
	assert_int_equal(look(sync).files, 3);
	touch_node(p, ino);
	rewrite(p, "freed", 0);
	assert_int_equal(look(sync).files, 2);
	sent(p, "gone");
	sent(p, "refused");
	assert_true(look(sync).done);
	sync_end(&sync);
}

static void told(void *arg, const char *key, const char *why)
{
	buf_printf(arg, "%s: %s\n", key, why);
}

static void test_sync_refused(void **state)
{
	struct buf text AUTO_BUF = BUF_EMPTY;
	struct place *p = *state;

	put(p, "bad", 5);
	put(p, "good", 5);
	struct sync *sync = begin(p, "");
	failures_note(p->cache->flow.failures, "bad", -EINVAL, "no such name");
	rewrite(p, "bad", 1);
	struct sync_left left = look(sync);
	assert_int_equal(left.refused, 1);
	assert_false(left.refused_for_good); /* the other one is on its way */
	sent(p, "good");
	left = look(sync);
	assert_false(left.refused_for_good || left.done); /* tried once more */
	left = look(sync);
	assert_false(left.refused_for_good);
	rewrite(p, "bad", 1);
	left = look(sync);
	assert_true(left.refused_for_good && !left.done);
	assert_int_equal(sync_tell(sync, 10, told, &text), 0);
	assert_string_equal(buf_string(&text), "bad: no such name\n");
	sync_end(&sync);
}

/* With no time to look, nothing is said to be done, and the walk goes on where it was. */
static void test_sync_in_slices(void **state)
{
	struct place *p = *state;
	struct sync_left left;
	char key[32];

	for (int i = 0; i < 1500; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		struct pending_record record = {.want = PENDING_ABSENT};
		strcpy(record.key, key);
		wish(p, &record);
	}
	struct sync *sync = begin(p, "");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(sync_look(sync, 0, &left), 0);
		assert_false(left.done || left.exact);
		assert_int_equal(left.files, 512 * (i + 1));
	}
	assert_int_equal(look(sync).files, 1500);
	sync_end(&sync);
}

static void test_sync_read_only(void **state)
{
	struct place *p = *state;

	put(p, "a", 1);
	p->config.ro = true;
	struct sync *sync = begin(p, "");
	struct sync_left left = look(sync);
	p->config.ro = false;
	assert_true(left.refused_for_good);
	assert_non_null(strstr(left.why, "read-only"));
	sync_end(&sync);
}

/* -- a disk that is full -- */

static _Atomic bool disk_is_full;

int mdb_txn_commit(MDB_txn *txn)
{
	char thread[16] = "";
	int (*real)(MDB_txn *);

	*(void **)&real = dlsym(RTLD_NEXT, "mdb_txn_commit");
	pthread_getname_np(pthread_self(), thread, sizeof(thread));
	if (!atomic_load(&disk_is_full) || strcmp(thread, "index") != 0) /* the batch's: other changes are nested in it */
		return real(txn);
	mdb_txn_abort(txn);
	return ENOSPC;
}

/* Who cannot count must not say that there is nothing. */
static void test_what_cannot_be_written_is_pending(void **state)
{
	struct place *p = *state;
	struct status_pending pending;
	uint64_t count = 0;
	int r;

	atomic_store(&disk_is_full, true);
	assert_int_equal(cache_pending(p->cache, &count), 0);
	assert_int_equal(count, 0);
	put(p, "a", 10);
	r = status_pending_read(p->cache, "", 1000, &pending);
	assert_true(r != 0 || pending.count == 1);
	r = cache_drain(p->cache, clock_ms() + 50, NULL, NULL);
	assert_int_equal(r, -ETIMEDOUT);
	r = cache_pending(p->cache, &count);
	assert_true(r != 0 || count == 1);
	atomic_store(&disk_is_full, false);
	assert_int_equal(cache_pending(p->cache, &count), 0);
	assert_int_equal(count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_walk),	    TEST(test_pending),	       TEST(test_node),		TEST(test_not_listed),
	    TEST(test_whole),	    TEST(test_sync_waits),     TEST(test_sync_rewritten), TEST(test_sync_refused),
	    TEST(test_sync_in_slices), TEST(test_sync_read_only), TEST(test_what_cannot_be_written_is_pending),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
