/* Surveys of buckets in memory: what is in the index afterwards, against what should be there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "cache/base/clock.h"
#include "cache/index/names.h"
#include "cache/index/pending.h"
#include "cache/survey.h"
#include "tests/support/rig.h"

static int setup(void **state)
{
	struct rig *r = malloc(sizeof(*r));

	rig_init(r);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	if (r->cache.survey)
		survey_close(&r->cache.survey);
	rig_destroy(r);
	free(r);
	return 0;
}

static void start(struct rig *r)
{
	rig_start(r);
	assert_int_equal(survey_open(&r->cache, &r->cache.survey), 0);
}

static void stop(struct rig *r)
{
	bucket_stop(r->cache.flow.bucket);
	survey_stop(r->cache.survey);
	survey_close(&r->cache.survey);
	rig_stop(r);
}

static void run_in_background(struct rig *r)
{
	struct survey_stats stats;
	int64_t deadline_ms = clock_ms() + 60000;

	r->config.survey = true;
	assert_int_equal(survey_start(r->cache.survey), 0);
	do {
		const struct timespec ms = { 0, 2000000 };
		nanosleep(&ms, NULL);
		survey_stats_read(r->cache.survey, &stats);
		assert_true(clock_ms() < deadline_ms);
	} while (!stats.done);
	assert_false(stats.running);
}

/* -- what is there -- */

struct tree {
	struct txn *txn;
	char text[65536];
	size_t length;
	char path[KEY_BYTES_MAX + 1];
	bool complete; /* say which directories are */
};

static void say_folder(struct tree *t, uint64_t ino);

static int say(void *arg, const struct name *name)
{
	struct tree *t = arg;
	struct node_record record;
	size_t length = strlen(t->path);

	assert_int_equal(nodes_get(t->txn, name->ino, &record), 0);
	assert_string_equal(record.name, name->text);
	if (name->folder) {
		assert_true(S_ISDIR(record.mode) && (record.mode & 07777) == 0755);
		snprintf(t->path + length, sizeof(t->path) - length, "%s/", name->text);
		say_folder(t, name->ino);
		t->path[length] = '\0';
	} else {
		assert_int_equal(record.mode, S_IFREG | 0644);
		assert_int_equal(record.uid, 1001);
		assert_int_equal(record.gid, 1002);
		assert_true(record.content != CONTENT_DIRTY && record.etag[0]);
		t->length += (size_t)snprintf(t->text + t->length, sizeof(t->text) - t->length, "%s%s ", t->path,
					      name->text);
	}
	assert_true(t->length < sizeof(t->text));
	return 0;
}

/* "path/" of each directory, with a '?' where it is not complete; "path/name" of each file; in stored order. */
static void say_folder(struct tree *t, uint64_t ino)
{
	struct node_record record;

	assert_int_equal(nodes_get(t->txn, ino, &record), 0);
	if (ino != INO_ROOT || !(record.flags & NODE_COMPLETE))
		t->length += (size_t)snprintf(t->text + t->length, sizeof(t->text) - t->length, "%s%s ", t->path,
					      record.flags & NODE_COMPLETE ? "" : "?");
	assert_int_equal(names_each(t->txn, ino, NULL, say, t), 0);
}

static void expect_tree(struct rig *r, const char *expected)
{
	struct tree *t = calloc(1, sizeof(*t));

	assert_int_equal(txn_begin_read(r->cache.flow.index, &t->txn), 0);
	say_folder(t, INO_ROOT);
	txn_abort(&t->txn);
	if (t->length)
		t->text[t->length - 1] = '\0';
	assert_string_equal(t->text, expected);
	free(t);
}

static uint64_t ino_of(struct rig *r, uint64_t parent, const char *text)
{
	struct txn *txn;
	struct name name;

	assert_int_equal(txn_begin_read(r->cache.flow.index, &txn), 0);
	assert_int_equal(names_get(txn, parent, text, &name), 0);
	txn_abort(&txn);
	return name.ino;
}

static void check_nlink(struct rig *r, uint64_t ino, uint32_t expected)
{
	assert_int_equal(rig_record(r, ino).nlink, expected);
}

static void put_all(struct rig *r, const char *const *keys)
{
	for (unsigned i = 0; keys[i]; i++)
		faulty_put(r->faulty, keys[i], 10 + i, i + 1, NULL);
}

static const char *const nested[] = { "a/b/c/1", "a/b/c/2", "a/b/d", "a/e", "f/g/h", "top", NULL };
static const char nested_tree[] = "a/ a/b/ a/b/c/ a/b/c/1 a/b/c/2 a/b/d a/e f/ f/g/ f/g/h top";

static void a_folder_is_listed_when_it_is_looked_into(void **state)
{
	struct rig *r = *state;
	start(r);
	put_all(r, nested);

	assert_int_equal(survey_folder(r->cache.survey, INO_ROOT), 0);
	expect_tree(r, "a/? f/? top");
	check_nlink(r, INO_ROOT, 4);
	assert_int_equal(faulty_counts(r->faulty).lists, 1);
	assert_int_equal(survey_folder(r->cache.survey, INO_ROOT), 0);
	assert_int_equal(faulty_counts(r->faulty).lists, 1);
	uint64_t a = ino_of(r, INO_ROOT, "a");
	assert_int_equal(survey_folder(r->cache.survey, a), 0);
	expect_tree(r, "a/ a/b/? a/e f/? top");
	struct node_record top = rig_record(r, ino_of(r, INO_ROOT, "top"));
	assert_int_equal(top.size, 15);
	assert_true(top.content == CONTENT_REMOTE && top.flags == NODE_GUESSED);
	assert_true(top.mtime_ns >= 1500000000000000000 && top.mtime_ns % 1000000000 == 0);
	assert_int_equal(survey_folder(r->cache.survey, 123456), -ENOENT);
	stop(r);
}

static void a_large_folder_comes_in_pages(void **state)
{
	struct rig *r = *state;
	struct index_totals totals;
	struct txn *txn;
	char key[32];
	start(r);
	for (unsigned i = 0; i < 2500; i++) {
		snprintf(key, sizeof(key), "d/%04u%s", i, i % 5 ? "" : "/x");
		faulty_put(r->faulty, key, 1, 1, NULL);
	}

	faulty_set(r->faulty, &(struct faulty_knobs){ .ragged = true, .page_max = 300 });
	assert_int_equal(survey_folder(r->cache.survey, INO_ROOT), 0);
	uint64_t d = ino_of(r, INO_ROOT, "d");
	assert_int_equal(survey_folder(r->cache.survey, d), 0);
	assert_int_equal(txn_begin_read(r->cache.flow.index, &txn), 0);
	assert_int_equal(index_totals(txn, &totals), 0);
	txn_abort(&txn);
	assert_int_equal(totals.files, 2000);
	check_nlink(r, d, 502);
	stop(r);
}

static void a_failed_listing_leaves_the_folder_unknown(void **state)
{
	struct rig *r = *state;
	r->config.io_timeout_ms = 300;
	start(r);
	put_all(r, nested);
	faulty_set(r->faulty, &(struct faulty_knobs){ .page_max = 1, .fail_lists = 10000 });
	assert_int_equal(survey_folder(r->cache.survey, INO_ROOT), -EIO);
	expect_tree(r, "?");
	faulty_set(r->faulty, &(struct faulty_knobs){ .page_max = 1 });
	int64_t deadline_ms = clock_ms() + 5000; /* the bucket's breaker is still open for a moment */
	while (survey_folder(r->cache.survey, INO_ROOT) != 0)
		assert_true(clock_ms() < deadline_ms);
	expect_tree(r, "a/? f/? top");
	stop(r);
}

static void the_background_finds_everything(void **state)
{
	static const struct faulty_knobs knobs[] = {
		{ .page_max = 0 }, { .page_max = 1 }, { .page_max = 2 }, { .page_max = 4, .ragged = true },
		{ .unsorted = true }, { .unsorted = true, .page_max = 2 },
	};
	for (size_t i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++) {
		struct rig *r = *state;
		struct survey_stats stats;
		start(r);
		put_all(r, nested);
		faulty_set(r->faulty, &knobs[i]);
		run_in_background(r);
		expect_tree(r, nested_tree);
		check_nlink(r, INO_ROOT, 4);
		check_nlink(r, ino_of(r, INO_ROOT, "a"), 3);
		survey_stats_read(r->cache.survey, &stats);
		assert_int_equal(stats.skipped, 0);
		assert_true(stats.keys >= 6 && stats.folders == 6);
		unsigned lists = faulty_counts(r->faulty).lists;
		uint64_t folders[] = { INO_ROOT, ino_of(r, INO_ROOT, "a"), ino_of(r, INO_ROOT, "f") };
		for (unsigned j = 0; j < 3; j++)
			assert_int_equal(survey_folder(r->cache.survey, folders[j]), 0);
		assert_int_equal(faulty_counts(r->faulty).lists, lists);
		stop(r);
		teardown(state);
		setup(state);
	}
}

/* -- keys that cannot be shown -- */

static const char bad_tree[] = "a/ a/ok b/ c/ dots/ empty/ f-g f/ f/x long/ m/ m/n";

static void put_bad(struct rig *r)
{
	static const char *const keys[] = { "a//b", "a/ok", "b/", "c//", "/lead", "dots/../x", "dots/./y", "f", "f-g",
					    "f/x", "m/", "m/n", "empty//", "..", NULL };
	char name[400];

	put_all(r, keys);
	faulty_put_raw(r->faulty, "a/nul\0here", 10);
	memcpy(name, "long/", 5);
	memset(name + 5, 'x', 256);
	name[261] = '\0';
	faulty_put(r->faulty, name, 1, 1, NULL);
}

static void list_all_folders(struct rig *r, uint64_t ino);

struct inos {
	uint64_t items[64];
	size_t count;
};

static int note_folder(void *arg, const struct name *name)
{
	struct inos *inos = arg;

	if (name->folder)
		inos->items[inos->count++] = name->ino;
	return 0;
}

static void list_all_folders(struct rig *r, uint64_t ino)
{
	struct inos inos = { .count = 0 };
	struct txn *txn;

	assert_int_equal(survey_folder(r->cache.survey, ino), 0);
	assert_int_equal(txn_begin_read(r->cache.flow.index, &txn), 0);
	assert_int_equal(names_each(txn, ino, NULL, note_folder, &inos), 0);
	txn_abort(&txn);
	for (size_t i = 0; i < inos.count; i++)
		list_all_folders(r, inos.items[i]);
}

static void bad_keys_are_counted_and_left_alone(void **state)
{
	for (unsigned way = 0; way < 4; way++) {
		struct rig *r = *state;
		struct survey_stats stats;
		start(r);
		put_bad(r);
		faulty_set(r->faulty, &(struct faulty_knobs){ .unsorted = way == 2, .page_max = way == 3 });
		if (way == 0)
			list_all_folders(r, INO_ROOT);
		else
			run_in_background(r);
		expect_tree(r, bad_tree);
		check_nlink(r, INO_ROOT, 10);
		survey_stats_read(r->cache.survey, &stats);
		assert_true(stats.skipped >= 11);
		stop(r);
		teardown(state);
		setup(state);
	}
}

static void a_file_that_became_a_folder_is_told(void **state)
{
	struct rig *r = *state;
	static const char *const keys[] = { "f", "f/x", NULL };
	start(r);
	put_all(r, keys);
	faulty_set(r->faulty, &(struct faulty_knobs){ .page_max = 1 });
	assert_int_equal(survey_folder(r->cache.survey, INO_ROOT), 0);
	expect_tree(r, "f/?");
	assert_true(r->changed_count > 0);
	stop(r);
}

/* -- changes meanwhile -- */

static struct rig *changing;
static bool changed;

static void set_complete(struct txn *txn, uint64_t ino)
{
	struct node_record record;

	assert_int_equal(nodes_get(txn, ino, &record), 0);
	record.flags |= NODE_COMPLETE;
	assert_int_equal(nodes_put(txn, &record), 0);
}

/* As if somebody else's listing were done first, and then a file were deleted, here and in the bucket: all of it between
 * this page's fetch and its arrival. */
static void delete_meanwhile(void *arg, const char *prefix, bool after)
{
	struct txn *txn;
	struct name name;
	uint64_t b;

	(void)arg;
	(void)prefix;
	if (!after || changed)
		return;
	changed = true;
	assert_int_equal(txn_begin_write(changing->cache.flow.index, &txn), 0);
	b = txn_new_ino(txn);
	if (names_get(txn, INO_ROOT, "b", &name) == 0) {
		b = name.ino;
	} else {
		struct node_record record = { .ino = b, .parent = INO_ROOT, .name = "b", .mode = S_IFDIR | 0755,
					      .nlink = 2 };
		assert_int_equal(names_put(txn, INO_ROOT, "b", true, b, 0), 0);
		assert_int_equal(nodes_put(txn, &record), 0);
	}
	set_complete(txn, b);
	set_complete(txn, INO_ROOT);
	assert_int_equal(txn_commit(&txn), 0);
	faulty_remove(changing->faulty, "b/gone");
	faulty_remove(changing->faulty, "gone");
}

static void a_listing_never_brings_back_what_was_deleted(void **state)
{
	static const char *const keys[] = { "a/1", "b/gone", "gone", NULL };

	for (unsigned way = 0; way < 3; way++) {
		struct rig *r = *state;
		start(r);
		put_all(r, keys);
		changing = r;
		changed = false;
		if (way == 2) { /* the sub-folder's own listing */
			assert_int_equal(survey_folder(r->cache.survey, INO_ROOT), 0);
			faulty_set(r->faulty, &(struct faulty_knobs){ .on_list = delete_meanwhile });
			assert_int_equal(survey_folder(r->cache.survey, ino_of(r, INO_ROOT, "b")), 0);
			expect_tree(r, "a/? b/ gone"); /* which the root's listing had brought before */
		} else {
			faulty_set(r->faulty, &(struct faulty_knobs){ .on_list = delete_meanwhile });
			if (way == 0)
				assert_int_equal(survey_folder(r->cache.survey, INO_ROOT), 0);
			else
				run_in_background(r);
			expect_tree(r, "b/");
		}
		assert_true(changed);
		stop(r);
		teardown(state);
		setup(state);
	}
}

static void *list_root(void *arg)
{
	struct rig *r = arg;

	return (void *)(intptr_t)survey_folder(r->cache.survey, INO_ROOT);
}

static void callers_share_a_listing(void **state)
{
	struct rig *r = *state;
	pthread_t threads[8];
	void *result;
	start(r);
	put_all(r, nested);
	faulty_set(r->faulty, &(struct faulty_knobs){ .delay_ms = 100 });
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, list_root, r), 0);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(pthread_join(threads[i], &result), 0);
		assert_int_equal((intptr_t)result, 0);
	}
	assert_int_equal(faulty_counts(r->faulty).lists, 1);
	expect_tree(r, "a/? f/? top");
	stop(r);
}

/* -- many keys, and restarts -- */

static void put_many(struct rig *r, unsigned count)
{
	char key[64];

	for (unsigned i = 0; i < count; i++) {
		snprintf(key, sizeof(key), "media/%03u/%03u/%03u/original/%08x.jpg", i / 2500, i / 50 % 50, i % 50,
			 i * 2654435761u);
		faulty_put(r->faulty, key, 1000 + i, 1, NULL);
	}
}

static void check_many(struct rig *r, unsigned count)
{
	struct index_totals totals;
	struct txn *txn;

	assert_int_equal(txn_begin_read(r->cache.flow.index, &txn), 0);
	assert_int_equal(index_totals(txn, &totals), 0);
	txn_abort(&txn);
	assert_int_equal(totals.files, count);
	assert_true(totals.folders >= 2 * count && totals.folders <= 2 * count + count / 50 + count / 2500 + 3);
	unsigned lists = faulty_counts(r->faulty).lists;
	list_all_folders(r, ino_of(r, ino_of(r, ino_of(r, INO_ROOT, "media"), "000"), "007"));
	assert_int_equal(faulty_counts(r->faulty).lists, lists);
}

static void a_large_bucket_takes_little_time(void **state)
{
	struct rig *r = *state;
	start(r);
	put_many(r, 20000);
	int64_t began_ms = clock_ms();
	run_in_background(r);
	print_message("20000 keys: %lld ms\n", (long long)(clock_ms() - began_ms));
	assert_int_equal(faulty_counts(r->faulty).lists, 20);
	check_many(r, 20000);
	stop(r);
}

static void a_restart_goes_on_where_it_was(void **state)
{
	struct rig *r = *state;
	struct survey_stats stats;
	unsigned restarts = 0;
	put_many(r, 5000);
	r->config.survey = true;
	do {
		const struct timespec pause = { 0, 30000000 };
		start(r);
		faulty_set(r->faulty, &(struct faulty_knobs){ .page_max = 200, .delay_ms = 3 });
		assert_int_equal(survey_start(r->cache.survey), 0);
		nanosleep(&pause, NULL);
		if (restarts++ == 200)
			run_in_background(r);
		survey_stats_read(r->cache.survey, &stats);
		if (!stats.done)
			stop(r);
	} while (!stats.done);
	assert_true(restarts > 1);
	/* Once around, a page again for each restart, and what the probation repeats. */
	assert_true(faulty_counts(r->faulty).lists <= 25 + 7 * restarts);
	check_many(r, 5000);
	unsigned lists = faulty_counts(r->faulty).lists;
	stop(r);
	start(r);
	assert_int_equal(survey_start(r->cache.survey), 0);
	survey_stats_read(r->cache.survey, &stats);
	assert_true(stats.done && !stats.running);
	assert_int_equal(faulty_counts(r->faulty).lists, lists);
	stop(r);
}

static void a_bucket_that_is_away_is_asked_again(void **state)
{
	struct rig *r = *state;
	r->config.io_timeout_ms = 100;
	start(r);
	put_all(r, nested);
	faulty_set(r->faulty, &(struct faulty_knobs){ .fail_lists = 1000 });
	r->config.survey = true;
	assert_int_equal(survey_start(r->cache.survey), 0);
	const struct timespec pause = { 0, 200000000 };
	nanosleep(&pause, NULL);
	faulty_set(r->faulty, &(struct faulty_knobs){ .page_max = 0 });
	struct survey_stats stats;
	int64_t deadline_ms = clock_ms() + 20000;
	do {
		nanosleep(&pause, NULL);
		survey_stats_read(r->cache.survey, &stats);
	} while (!stats.done && clock_ms() < deadline_ms);
	assert_true(stats.done);
	expect_tree(r, nested_tree);
	stop(r);
}

/* -- shared -- */

static void wish(struct rig *r, const char *key)
{
	struct txn *txn;
	struct pending_record record = { .want = PENDING_ABSENT };

	strcpy(record.key, key);
	assert_int_equal(txn_begin_write(r->cache.flow.index, &txn), 0);
	assert_int_equal(pending_put(txn, &record), 0);
	assert_int_equal(txn_commit(&txn), 0);
}

static void refresh(struct rig *r, uint64_t ino)
{
	/* as if it were listed long ago */
	survey_close(&r->cache.survey);
	assert_int_equal(survey_open(&r->cache, &r->cache.survey), 0);
	assert_int_equal(survey_refresh(r->cache.survey, ino), 0);
}

static void what_others_do_is_taken_over(void **state)
{
	static const char *const keys[] = { "d/del", "d/open", "d/rep", "d/same", "d/sub/x", NULL };
	struct rig *r = *state;
	r->config.shared_s = 3600;
	start(r);
	put_all(r, keys);
	assert_int_equal(survey_folder(r->cache.survey, INO_ROOT), 0);
	uint64_t d = ino_of(r, INO_ROOT, "d");
	assert_int_equal(survey_folder(r->cache.survey, d), 0);
	expect_tree(r, "d/ d/del d/open d/rep d/same d/sub/?");
	uint64_t rep = ino_of(r, d, "rep"), del = ino_of(r, d, "del"), same = ino_of(r, d, "same");
	struct node *open = rig_node(r, ino_of(r, d, "open"));
	lock_take(&open->lock);
	open->locked.opens = 1;
	lock_drop(&open->lock);
	struct node *node = rig_node(r, rep);
	assert_int_equal(fill_wait_for(r->cache.flow.fills, node, 0, 12), 0);
	rig_rest(node);

	faulty_remove(r->faulty, "d/del");
	faulty_remove(r->faulty, "d/open");
	faulty_put(r->faulty, "d/rep", 5000, 77, NULL);
	faulty_put(r->faulty, "d/new", 1, 1, NULL);
	faulty_put(r->faulty, "d/deleted here", 1, 1, NULL);
	faulty_put(r->faulty, "d/more/y", 1, 1, NULL);
	faulty_put(r->faulty, "d/removed/z", 1, 1, NULL);
	wish(r, "d/deleted here");
	wish(r, "d/removed/z");
	unsigned lists = faulty_counts(r->faulty).lists;
	assert_int_equal(survey_refresh(r->cache.survey, d), 0);
	assert_int_equal(faulty_counts(r->faulty).lists, lists); /* it was listed a moment ago */
	refresh(r, d);
	expect_tree(r, "d/ d/more/? d/new d/open d/rep d/same d/sub/?");
	check_nlink(r, d, 4);
	assert_true(rig_was_changed(r, rep) && rig_was_changed(r, del) && rig_was_changed(r, d));
	assert_false(rig_was_changed(r, same));
	assert_int_equal(rig_record(r, rep).size, 5000);
	assert_int_equal(rig_record(r, rep).version, 2);
	assert_int_equal(node->locked.size, 5000);
	assert_int_equal(fill_wait_for(r->cache.flow.fills, node, 0, 5000), 0);
	rig_rest(node);
	node_put(&node);
	open->locked.opens = 0;
	node_put(&open);
	refresh(r, d);
	expect_tree(r, "d/ d/more/? d/new d/rep d/same d/sub/?");
	rig_check_space(r);
	stop(r);
}

/* A file is made and its PUT is done, another is deleted and its DELETE is done, all while the old page travels. */
static void change_meanwhile(void *arg, const char *prefix, bool after)
{
	struct node_record record = { .mode = S_IFREG | 0644, .nlink = 1, .parent = INO_ROOT, .name = "mine",
				      .etag = "mine", .version = 1, .size = 4, .uid = 1001, .gid = 1002 };
	struct txn *txn;
	struct name name;

	(void)arg;
	(void)prefix;
	if (!after || changed)
		return;
	changed = true;
	assert_int_equal(txn_begin_write(changing->cache.flow.index, &txn), 0);
	record.ino = txn_new_ino(txn);
	assert_int_equal(names_put(txn, INO_ROOT, "mine", false, record.ino, 0), 0);
	assert_int_equal(nodes_put(txn, &record), 0);
	assert_int_equal(names_get(txn, INO_ROOT, "b", &name), 0);
	assert_int_equal(names_delete(txn, INO_ROOT, "b", false), 0);
	assert_int_equal(nodes_delete(txn, name.ino), 0);
	assert_int_equal(nodes_get(txn, INO_ROOT, &record), 0);
	record.mtime_ns = record.ctime_ns = clock_wall_ns();
	assert_int_equal(nodes_put(txn, &record), 0);
	assert_int_equal(txn_commit(&txn), 0);
}

static void a_refresh_never_undoes_a_local_change(void **state)
{
	static const char *const keys[] = { "a", "b", NULL };
	struct rig *r = *state;
	r->config.shared_s = 1;
	start(r);
	put_all(r, keys);
	assert_int_equal(survey_folder(r->cache.survey, INO_ROOT), 0);
	changing = r;
	changed = false;
	faulty_put(r->faulty, "new", 1, 1, NULL);
	faulty_set(r->faulty, &(struct faulty_knobs){ .on_list = change_meanwhile });
	refresh(r, INO_ROOT);
	assert_true(changed);
	expect_tree(r, "a mine");
	stop(r);
}

/* p becomes q, in the bucket too, between the look at p/d and its listing. */
static void rename_meanwhile(void *arg, const char *prefix, bool after)
{
	struct node_record record;
	struct txn *txn;
	struct name name;

	(void)arg;
	(void)prefix;
	if (after || changed)
		return;
	changed = true;
	assert_int_equal(txn_begin_write(changing->cache.flow.index, &txn), 0);
	assert_int_equal(names_get(txn, INO_ROOT, "p", &name), 0);
	assert_int_equal(names_delete(txn, INO_ROOT, "p", true), 0);
	assert_int_equal(names_put(txn, INO_ROOT, "q", true, name.ino, 0), 0);
	assert_int_equal(nodes_get(txn, name.ino, &record), 0);
	strcpy(record.name, "q");
	assert_int_equal(nodes_put(txn, &record), 0);
	assert_int_equal(txn_commit(&txn), 0);
	faulty_remove(changing->faulty, "p/d/a");
	faulty_put(changing->faulty, "p/d/b", 1, 1, NULL); /* somebody else's, of the old name */
}

static void a_refresh_of_a_folder_that_moved_says_nothing(void **state)
{
	static const char *const keys[] = { "p/d/a", NULL };
	struct rig *r = *state;
	r->config.shared_s = 1;
	start(r);
	put_all(r, keys);
	assert_int_equal(survey_folder(r->cache.survey, INO_ROOT), 0);
	uint64_t p = ino_of(r, INO_ROOT, "p");
	assert_int_equal(survey_folder(r->cache.survey, p), 0);
	uint64_t d = ino_of(r, p, "d");
	assert_int_equal(survey_folder(r->cache.survey, d), 0);
	changing = r;
	changed = false;
	faulty_set(r->faulty, &(struct faulty_knobs){ .on_list = rename_meanwhile });
	refresh(r, d);
	assert_true(changed);
	expect_tree(r, "q/ q/d/ q/d/a");
	stop(r);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct log_config quiet = { .level = LOG_LEVEL_ERROR };
	const struct CMUnitTest tests[] = {
		TEST(a_folder_is_listed_when_it_is_looked_into),
		TEST(a_large_folder_comes_in_pages),
		TEST(a_failed_listing_leaves_the_folder_unknown),
		TEST(the_background_finds_everything),
		TEST(bad_keys_are_counted_and_left_alone),
		TEST(a_file_that_became_a_folder_is_told),
		TEST(a_listing_never_brings_back_what_was_deleted),
		TEST(callers_share_a_listing),
		TEST(a_large_bucket_takes_little_time),
		TEST(a_restart_goes_on_where_it_was),
		TEST(a_bucket_that_is_away_is_asked_again),
		TEST(what_others_do_is_taken_over),
		TEST(a_refresh_never_undoes_a_local_change),
		TEST(a_refresh_of_a_folder_that_moved_says_nothing),
	};

	log_setup(&quiet);
	return cmocka_run_group_tests_name("survey", tests, NULL, NULL);
}
