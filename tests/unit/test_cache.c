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
#include <sys/stat.h>
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
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
