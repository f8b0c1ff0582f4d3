/* What the tests of checkpoints and eviction share: a real index and real blobs in a folder of their own, and the
 * syncs of the process under the test's control. No bucket. */
#ifndef TOOTFS_TESTS_FLOW_FIXTURE_H
#define TOOTFS_TESTS_FLOW_FIXTURE_H

#include <ftw.h>
#include <sys/syscall.h>
#include "cache/base/clock.h"
#include "cache/flow/checkpoint.h"
#include "cache/flow/evict.h"
#include "cache/flow/node.h"
#include "cache/index/ages.h"
#include "index_fixture.h"

static struct fixture store;
static struct flow flow;

/* -- syncs: each is counted, remembered by its path, and fails when it is told to -- */

enum { SYNCS_MAX = 64 };

static struct lock sync_lock;
static struct {
	char paths[SYNCS_MAX][128];
	size_t count;
	int error;          /* errno of blobs' syncs from now on, 0 = none */
	void (*hook)(void); /* called once, in the next sync */
} syncs;

static inline int on_sync(int fd, long number)
{
	char link[64], path[128] = "";
	void (*hook)(void) = NULL;
	int error = 0;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t length = readlink(link, path, sizeof(path) - 1);
	assert_true(length > 0);
	lock_take(&sync_lock);
	const char *tail = path + strlen(store.folder);
	if (syncs.count < SYNCS_MAX && strlen(path) > strlen(store.folder))
		strcpy(syncs.paths[syncs.count++], number == SYS_syncfs ? "all" : tail + 1);
	if (strstr(path, "/blobs"))
		error = syncs.error;
	hook = syncs.hook;
	syncs.hook = NULL;
	lock_drop(&sync_lock);
	if (hook)
		hook();
	errno = error;
	return error ? -1 : 0;
}

int fsync(int fd)
{
	return on_sync(fd, SYS_fsync);
}

int fdatasync(int fd)
{
	return on_sync(fd, SYS_fdatasync);
}

int syncfs(int fd)
{
	return on_sync(fd, SYS_syncfs);
}

static inline void syncs_forget(int error, void (*hook)(void))
{
	lock_take(&sync_lock);
	syncs.count = 0;
	syncs.error = error;
	syncs.hook = hook;
	lock_drop(&sync_lock);
}

/* Which of the remembered syncs was this path's? -1 = none. */
static inline int sync_of(const char *path)
{
	int found = -1;

	lock_take(&sync_lock);
	for (size_t i = 0; i < syncs.count && found < 0; i++)
		if (strcmp(syncs.paths[i], path) == 0)
			found = (int)i;
	lock_drop(&sync_lock);
	return found;
}

/* -- the flow -- */

enum { CACHE_BYTES = 1000 * 4096 };

static inline int flow_setup(void **state)
{
	(void)state;
	memset(&store, 0, sizeof(store));
	lock_init(&sync_lock);
	fixture_folder(store.folder);
	fixture_open(&store, "boot-1");
	flow = (struct flow){.index = store.index,
			     .config = {.cache_size_bytes = CACHE_BYTES, .full_timeout_ms = 300}};
	assert_int_equal(blobs_open(store.folder, &flow.blobs), 0);
	assert_int_equal(nodes_open(&flow, &flow.nodes), 0);
	assert_int_equal(checkpoints_open(&flow, &flow.checkpoints), 0);
	assert_int_equal(evicts_open(&flow, &flow.evicts), 0);
	syncs_forget(0, NULL);
	return 0;
}

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline int flow_teardown(void **state)
{
	(void)state;
	evicts_stop(flow.evicts);
	(void)!checkpoints_stop(flow.checkpoints);
	evicts_close(&flow.evicts);
	checkpoints_close(&flow.checkpoints);
	nodes_close(&flow.nodes);
	blobs_close(&flow.blobs);
	index_close(&store.index);
	buf_destroy(&store.why);
	lock_destroy(&sync_lock);
	return nftw(store.folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static inline bool blob_is_there(uint64_t id)
{
	int fd;

	int err = blob_open(flow.blobs, id, &fd);
	if (!err)
		close(fd);
	return !err;
}

/* A file of size bytes in a blob of its own, aged, as its writer or its fill leaves it. The room was reserved. */
static inline uint64_t make_reserved_file(const char *name, enum content content, uint64_t size)
{
	uint64_t blob, ino;
	int fd;

	assert_int_equal(index_new_blob(flow.index, &blob), 0);
	assert_int_equal(blob_create(flow.blobs, blob, &fd), 0);
	assert_int_equal(blob_write(fd, size - 1, "x", 1), 0);
	close(fd);
	checkpoint_blob(flow.checkpoints, blob);
	struct txn *txn = must_write(flow.index);
	ino = must_make(txn, INO_ROOT, name, S_IFREG, size);
	struct node_record record;
	assert_int_equal(nodes_get(txn, ino, &record), 0);
	record.content = content;
	record.blob = blob;
	strcpy(record.etag, "\"etag\"");
	if (content == CONTENT_REMOTE) { /* the first byte is present */
		record.present[0] = 0;
		record.present[1] = 1;
		record.present_bytes = 2;
	}
	assert_int_equal(nodes_put(txn, &record), 0);
	assert_int_equal(ages_touch(txn, ino, evict_stamp(), space_of(size)), 0);
	assert_int_equal(txn_commit(&txn), 0);
	checkpoint_kick(flow.checkpoints);
	return ino;
}

static inline uint64_t make_file(const char *name, enum content content, uint64_t size)
{
	assert_true(space_try(flow.evicts, space_of(size)));
	return make_reserved_file(name, content, size);
}

static inline struct node_record record_of(uint64_t ino)
{
	struct node_record record;
	struct txn *txn = must_read(flow.index);

	assert_int_equal(nodes_get(txn, ino, &record), 0);
	txn_abort(&txn);
	return record;
}

static inline bool wait_for(bool (*is_so)(void), int64_t ms)
{
	int64_t until_ms = clock_ms() + ms;

	while (!is_so()) {
		if (clock_ms() >= until_ms)
			return false;
		usleep(2000);
	}
	return true;
}

#define FLOW_TEST(f) cmocka_unit_test_setup_teardown(f, flow_setup, flow_teardown)

#endif
