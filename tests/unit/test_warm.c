/* Warming, evicting and refreshing over a bucket in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "cache/evict_below.h"
#include "cache/flow/pins.h"
#include "cache/refresh.h"
#include "cache/survey.h"
#include "cache/walk.h"
#include "cache/warm.h"
#include "tests/support/rig.h"

enum { MIB = 1 << 20 };

static struct told {
	char text[4096];
	int calls, calls_max; /* progress says stop after so many; 0 = never */
} told;

static int setup(void **state)
{
	struct rig *r = malloc(sizeof(*r));

	rig_init(r);
	*state = r;
	memset(&told, 0, sizeof(told));
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	if (r->running) {
		bucket_stop(r->cache.flow.bucket);
		if (r->cache.survey) {
			survey_stop(r->cache.survey);
			survey_close(&r->cache.survey);
		}
	}
	rig_destroy(r);
	free(r);
	return 0;
}

static void start(struct rig *r)
{
	rig_start(r);
	assert_int_equal(survey_open(&r->cache, &r->cache.survey), 0);
}

static void say(const char *key, const char *what)
{
	size_t used = strlen(told.text);

	snprintf(told.text + used, sizeof(told.text) - used, "%s: %s; ", key, what);
}

static bool go_on(void)
{
	return ++told.calls != told.calls_max;
}

static bool warm_progress(void *arg, const struct warm_sums *sums)
{
	(void)arg;
	assert_true(sums->counting || sums->done <= sums->files);
	return go_on();
}

static void stays(void *arg, const char *key, const char *why)
{
	(void)arg;
	say(key, why);
}

static int warm(struct rig *r, const char *key, struct warm_sums *sums)
{
	const struct warm_visitor visitor = {warm_progress, stays, NULL};

	return warm_run(&r->cache, &key, 1, &visitor, sums);
}

static bool evict_progress(void *arg, const struct evict_sums *sums)
{
	(void)arg;
	(void)sums;
	return go_on();
}

static int evict(struct rig *r, const char *key, struct evict_sums *sums)
{
	const struct evict_visitor visitor = {evict_progress, stays, NULL};

	return evict_below(&r->cache, &key, 1, &visitor, sums);
}

static bool refresh_progress(void *arg, const struct refresh_sums *sums)
{
	(void)arg;
	(void)sums;
	return go_on();
}

static int refresh(struct rig *r, const char *key, struct refresh_sums *sums)
{
	const struct refresh_visitor visitor = {refresh_progress, stays, NULL};

	return refresh_below(&r->cache, &key, 1, &visitor, sums);
}

static struct node_record at(struct rig *r, const char *key)
{
	uint64_t ino;

	assert_int_equal(walk_find(&r->cache, key, &ino), 0);
	return rig_record(r, ino);
}

static void a_tree_is_warmed(void **state)
{
	struct rig *r = *state;
	struct warm_sums sums;

	start(r);
	faulty_put(r->faulty, "a/1", 1000, 1, NULL);
	faulty_put(r->faulty, "a/b/c/2", 10 * MIB, 2, NULL);
	faulty_put(r->faulty, "a/b/empty", 0, 3, NULL);
	faulty_put(r->faulty, "a-b", 5000, 4, NULL);
	faulty_put(r->faulty, "z", 5000, 5, NULL);
	assert_int_equal(warm(r, "a", &sums), 0);
	assert_int_equal(sums.files, 2);
	assert_int_equal(sums.done, 2);
	assert_int_equal(sums.fetched, 2);
	assert_int_equal(sums.fetched_bytes, 10 * MIB + 1000);
	assert_int_equal(sums.done_bytes, sums.bytes);
	assert_int_equal(at(r, "a/1").content, CONTENT_CLEAN);
	assert_int_equal(at(r, "a/b/c/2").content, CONTENT_CLEAN);
	assert_int_equal(at(r, "z").content, CONTENT_REMOTE);
	assert_int_equal(faulty_counts(r->faulty).bytes, 10 * MIB + 1000);
	assert_int_equal(warm(r, "", &sums), 0); /* only what is missing */
	assert_int_equal(sums.files, 4);
	assert_int_equal(sums.done, 4);
	assert_int_equal(sums.fetched, 2);
	assert_int_equal(warm(r, "a/none", &sums), -ENOENT);
	assert_string_equal(told.text, "");
	rig_check_space(r);
}

static void it_stops_before_it_is_in_vain(void **state)
{
	struct rig *r = *state;
	struct evict_stats stats;
	struct warm_sums sums;
	char key[32];

	r->config.cache_size_bytes = 20 * MIB;
	start(r);
	for (unsigned i = 0; i < 30; i++) {
		snprintf(key, sizeof(key), "d/%02u", i);
		faulty_put(r->faulty, key, MIB, i + 1, NULL);
	}
	faulty_put(r->faulty, "e/1", 16 * MIB, 1, NULL);
	faulty_put(r->faulty, "f/1", 10 * MIB, 1, NULL);
	assert_int_equal(warm(r, "d", &sums), -ENOSPC);
	assert_in_range(sums.done, 15, 18);
	assert_true(sums.room_bytes <= 18 * MIB && sums.bytes == 30 * MIB);
	evict_stats_read(r->cache.flow.evicts, &stats);
	assert_int_equal(stats.evicted_blobs, 0);
	for (unsigned i = 0; i < sums.done; i++) {
		snprintf(key, sizeof(key), "d/%02u", i);
		assert_int_equal(at(r, key).content, CONTENT_CLEAN);
	}
	/* Others' content makes room for it: it is older. */
	assert_int_equal(evict(r, "d", &(struct evict_sums){0}), 0);
	assert_int_equal(warm(r, "e", &sums), 0);
	/* ... unless it is pinned. */
	assert_int_equal(pin_add(&r->cache, "e"), 0);
	assert_int_equal(warm(r, "f", &sums), -ENOSPC);
	assert_int_equal(sums.fetched, 0);
	assert_int_equal(warm(r, "e", &sums), 0);
	assert_int_equal(pin_remove(&r->cache, "e"), 0);
	assert_int_equal(warm(r, "f", &sums), 0);
	assert_int_equal(sums.fetched, 1);
	assert_int_equal(at(r, "e/1").content, CONTENT_REMOTE);
}

static void what_fails_is_told(void **state)
{
	struct rig *r = *state;
	struct warm_sums sums;

	r->config.downloads = 1;
	r->config.io_timeout_ms = 300;
	start(r);
	faulty_put(r->faulty, "a", 1000, 1, NULL);
	faulty_put(r->faulty, "b", 1000, 2, NULL);
	faulty_put(r->faulty, "c", 1000, 3, NULL);
	assert_int_equal(survey_folder(r->cache.survey, INO_ROOT), 0);
	faulty_remove(r->faulty, "b");
	assert_int_equal(warm(r, "", &sums), -EIO);
	assert_int_equal(sums.failed, 1);
	assert_int_equal(sums.done, 2);
	assert_string_equal(told.text, "b: Input/output error; ");
}

static void it_can_be_cancelled(void **state)
{
	struct rig *r = *state;
	struct warm_sums sums;

	start(r);
	faulty_put(r->faulty, "a", 1000, 1, NULL);
	faulty_put(r->faulty, "b", 8 * MIB, 2, NULL);
	assert_int_equal(survey_folder(r->cache.survey, INO_ROOT), 0);
	faulty_gate(r->faulty, 0, 10 * MIB);
	told.calls_max = 4;
	assert_int_equal(warm(r, "", &sums), -ECANCELED);
	faulty_gate_open(r->faulty);
}

static void a_tree_is_evicted(void **state)
{
	struct rig *r = *state;
	struct evict_sums sums;
	struct warm_sums warmed;

	start(r);
	faulty_put(r->faulty, "a/1", 1000, 1, NULL);
	faulty_put(r->faulty, "a/2", 5000, 2, NULL);
	faulty_put(r->faulty, "a/p/3", 5000, 3, NULL);
	faulty_put(r->faulty, "b", 5000, 3, NULL);
	assert_int_equal(warm(r, "", &warmed), 0);
	struct node *node = rig_node(r, at(r, "a/2").ino);
	lock_take(&node->lock);
	node->locked.opens++;
	lock_drop(&node->lock);
	assert_int_equal(pin_add(&r->cache, "a/p"), 0);
	assert_int_equal(pin_add(&r->cache, "a/none"), -ENOENT);
	assert_int_equal(pin_remove(&r->cache, "a"), -ENODATA);
	assert_int_equal(evict(r, "a", &sums), 0);
	assert_int_equal(sums.files, 1);
	assert_int_equal(sums.bytes, 4096);
	assert_int_equal(sums.stayed, 2);
	assert_string_equal(told.text, "a/2: it is open; a/p/3: it is pinned; ");
	lock_take(&node->lock);
	node->locked.opens--;
	lock_drop(&node->lock);
	node_put(&node);
	assert_int_equal(at(r, "a/1").content, CONTENT_REMOTE);
	assert_int_equal(at(r, "b").content, CONTENT_CLEAN);
	assert_int_equal(pin_remove(&r->cache, "a/p"), 0);
	assert_int_equal(evict(r, "", &sums), 0);
	assert_int_equal(sums.files, 3);
	rig_check_space(r);
	assert_int_equal(evict(r, "x", &sums), -ENOENT);
}

static int note_pin(void *arg, const char *key, bool folder)
{
	(void)arg;
	say(key, folder ? "folder" : "file");
	return 0;
}

static void pins_have_keys(void **state)
{
	struct rig *r = *state;

	start(r);
	faulty_put(r->faulty, "a/b", 10, 1, NULL);
	assert_int_equal(pin_add(&r->cache, "a"), 0);
	assert_int_equal(pin_add(&r->cache, "a/b"), 0);
	assert_int_equal(pin_each(&r->cache, note_pin, NULL), 0);
	assert_string_equal(told.text, "a: folder; a/b: file; ");
}

static void others_changes_are_taken_over(void **state)
{
	struct rig *r = *state;
	struct refresh_sums sums;
	uint64_t ino;

	start(r);
	faulty_put(r->faulty, "a/1", 10, 1, NULL);
	faulty_put(r->faulty, "a/b/2", 10, 2, NULL);
	faulty_put(r->faulty, "c/3", 10, 3, NULL);
	assert_int_equal(walk_find(&r->cache, "a/b/2", &ino), 0);
	assert_int_equal(walk_find(&r->cache, "c/3", &ino), 0);
	faulty_put(r->faulty, "a/b/new", 10, 4, NULL);
	faulty_put(r->faulty, "a/b/2", 20, 5, NULL);
	faulty_put(r->faulty, "a/d/e/f", 20, 6, NULL);
	faulty_remove(r->faulty, "a/1");
	faulty_remove(r->faulty, "c/3");
	assert_int_equal(walk_find(&r->cache, "a/b/new", &ino), -ENOENT);
	assert_int_equal(refresh(r, "a", &sums), 0);
	assert_int_equal(sums.folders, 4);
	assert_int_equal(sums.added, 2); /* new, and d, whose first listing is none of a change */
	assert_int_equal(sums.removed, 1);
	assert_int_equal(sums.replaced, 1);
	assert_int_equal(at(r, "a/b/2").size, 20);
	assert_int_equal(walk_find(&r->cache, "a/b/new", &ino), 0);
	assert_int_equal(walk_find(&r->cache, "a/d/e/f", &ino), 0);
	assert_int_equal(walk_find(&r->cache, "a/1", &ino), -ENOENT);
	assert_int_equal(walk_find(&r->cache, "c/3", &ino), 0); /* that was not asked for */
	assert_int_equal(refresh(r, "c/3", &sums), -ENOENT);
	/* What is not known here yet: the folders above it are looked at. */
	faulty_put(r->faulty, "x/y/z", 5, 7, NULL);
	assert_int_equal(refresh(r, "x/y/z", &sums), 0);
	assert_int_equal(walk_find(&r->cache, "x/y/z", &ino), 0);
	assert_string_equal(told.text, "");
}

static void a_folder_that_cannot_be_listed_stays(void **state)
{
	struct rig *r = *state;
	struct refresh_sums sums;
	uint64_t ino;

	r->config.io_timeout_ms = 300;
	start(r);
	faulty_put(r->faulty, "a/1", 10, 1, NULL);
	assert_int_equal(walk_find(&r->cache, "a/1", &ino), 0);
	faulty_set(r->faulty, &(struct faulty_knobs){.fail_lists = 100, .fail_error = -EACCES});
	assert_int_equal(refresh(r, "", &sums), -EIO);
	assert_int_equal(sums.failed, 2);
	assert_non_null(strstr(told.text, "a: "));
	assert_int_equal(at(r, "a/1").size, 10);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_tree_is_warmed),		TEST(it_stops_before_it_is_in_vain),
	    TEST(what_fails_is_told),		TEST(it_can_be_cancelled),
	    TEST(a_tree_is_evicted),		TEST(pins_have_keys),
	    TEST(others_changes_are_taken_over), TEST(a_folder_that_cannot_be_listed_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
