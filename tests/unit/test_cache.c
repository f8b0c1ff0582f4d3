/* Opening a cache when things are not as they should be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cache/base/log.h"
#include "cache/cache.h"
#include "cache/index/index.h"
#include "cache/internal.h"
#include "cache/tree.h"

struct place {
	char base[64], bucket[96];
	struct cache_config config;
};

static void set(struct place *p, const char *name, const char *value)
{
	struct buf why AUTO_BUF = BUF_EMPTY;
	if (config_set(&p->config, name, value, &why))
		fail_msg("%s", buf_string(&why));
}

static int setup(void **state)
{
	struct buf why AUTO_BUF = BUF_EMPTY;
	struct place *p = calloc(1, sizeof *p);
	char path[128];
	strcpy(p->base, "/tmp/tootfs-cache-XXXXXX");
	assert_non_null(mkdtemp(p->base));
	snprintf(p->bucket, sizeof p->bucket, "%s/bucket", p->base);
	config_init(&p->config);
	snprintf(path, sizeof path, "file://%s", p->bucket);
	assert_int_equal(config_spec(&p->config, path), 0);
	snprintf(path, sizeof path, "%s/cache", p->base);
	set(p, "cache", path);
	set(p, "uid", "12");
	set(p, "gid", "34");
	set(p, "dir_mode", "0711");
	if (config_finish(&p->config, &why))
		fail_msg("%s", buf_string(&why));
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	char command[128];
	config_destroy(&p->config);
	snprintf(command, sizeof command, "rm -r %s", p->base);
	assert_int_equal(system(command), 0);
	free(p);
	return 0;
}

static int open_it(struct place *p, struct cache **out)
{
	struct buf why AUTO_BUF = BUF_EMPTY;
	int r = cache_open(&p->config, out, &why);
	assert_true(!r || why.length > 0);
	return r;
}

static void expect_root(struct cache *cache)
{
	struct stat st;
	assert_int_equal(tree_stat(cache, INO_ROOT, &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0711);
	assert_int_equal(st.st_uid, 12);
	assert_int_equal(st.st_gid, 34);
}

/* The first start makes the index and fails; the next ones are still the first. */
static void test_bucket_that_never_answered(void **state)
{
	struct place *p = *state;
	struct cache *cache;
	for (unsigned i = 0; i < 3; i++)
		assert_int_not_equal(open_it(p, &cache), 0);
	assert_int_equal(mkdir(p->bucket, 0700), 0);
	assert_int_equal(open_it(p, &cache), 0);
	expect_root(cache);
	assert_int_equal(cache_start(cache, NULL), 0);
	cache_stop(cache);
	cache_close(&cache);
}

static void test_opened_but_never_started(void **state)
{
	struct place *p = *state;
	struct cache *cache;
	assert_int_equal(mkdir(p->bucket, 0700), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(open_it(p, &cache), 0);
		cache_stop(cache);
		assert_int_equal(index_covered(cache->flow.index), index_newest(cache->flow.index));
		cache_close(&cache);
	}
	assert_int_equal(open_it(p, &cache), 0);
	expect_root(cache);
	cache_stop(cache);
	cache_close(&cache);
}

static void test_two_at_a_time(void **state)
{
	struct place *p = *state;
	struct cache *cache, *second;
	assert_int_equal(mkdir(p->bucket, 0700), 0);
	assert_int_equal(open_it(p, &cache), 0);
	assert_int_equal(open_it(p, &second), -EBUSY);
	expect_root(cache);
	cache_stop(cache);
	cache_close(&cache);
}

/* What the owner of the root changed afterwards stays. */
static void test_root_is_adopted_once(void **state)
{
	struct place *p = *state;
	struct cache *cache;
	struct stat st;
	const struct attr_change change = {.fields = ATTR_UID | ATTR_MODE, .uid = 56, .mode = 0750};
	assert_int_equal(mkdir(p->bucket, 0700), 0);
	assert_int_equal(open_it(p, &cache), 0);
	assert_int_equal(cache_start(cache, NULL), 0);
	assert_int_equal(tree_setattr(cache, INO_ROOT, &change, &st), 0);
	cache_stop(cache);
	cache_close(&cache);
	assert_int_equal(open_it(p, &cache), 0);
	assert_int_equal(tree_stat(cache, INO_ROOT, &st), 0);
	assert_int_equal(st.st_uid, 56);
	assert_int_equal(st.st_mode, S_IFDIR | 0750);
	cache_stop(cache);
	cache_close(&cache);
}

static void make_stray(struct place *p, char path[256])
{
	int status;
	uint64_t blob = 0;
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	if (fork() == 0) {
		struct cache *cache;
		int fd, r = open_it(p, &cache);
		if (!r)
			r = index_new_blob(cache->flow.index, &blob);
		if (!r)
			r = blob_create(cache->flow.blobs, blob, &fd);
		if (r || write(fds[1], &blob, sizeof blob) != sizeof blob)
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(read(fds[0], &blob, sizeof blob), sizeof blob);
	close(fds[0]);
	close(fds[1]);
	assert_true(wait(&status) > 0 && WIFSIGNALED(status));
	snprintf(path, 256, "%s/blobs/%llx/%llx", p->config.cache, (unsigned long long)(blob >> 12),
		 (unsigned long long)blob);
	assert_int_equal(access(path, F_OK), 0);
}

static bool is_remembered(struct cache *cache)
{
	struct buf value AUTO_BUF = BUF_EMPTY;
	struct txn *txn;
	assert_int_equal(txn_begin_read(cache->flow.index, &txn), 0);
	int r = meta_get(txn, "sweep", &value);
	txn_abort(&txn);
	return r == 0;
}

/* A sweep that did not come to its end is done by the next start, though the stop was clean. */
static void test_sweep_is_not_forgotten(void **state)
{
	struct place *p = *state;
	struct cache *cache;
	char path[256];
	assert_int_equal(mkdir(p->bucket, 0700), 0);
	make_stray(p, path);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(open_it(p, &cache), 0);
		assert_non_null(cache->sweep);
		cache_stop(cache);
		cache_close(&cache);
	}
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(open_it(p, &cache), 0);
	assert_int_equal(cache_start(cache, NULL), 0);
	for (unsigned i = 0; i < 3000 && is_remembered(cache); i++)
		usleep(10000);
	assert_int_equal(access(path, F_OK), -1);
	cache_stop(cache);
	cache_close(&cache);
	assert_int_equal(open_it(p, &cache), 0);
	assert_null(cache->sweep);
	cache_stop(cache);
	cache_close(&cache);
}

int main(void)
{
	const struct log_config log = {.level = LOG_LEVEL_ERROR};
	log_setup(&log);
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_bucket_that_never_answered),
		TEST(test_opened_but_never_started),
		TEST(test_two_at_a_time),
		TEST(test_root_is_adopted_once),
		TEST(test_sweep_is_not_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
