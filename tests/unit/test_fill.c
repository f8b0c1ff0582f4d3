/* Fills over a real index and real blobs, from a bucket in memory that misbehaves. What is checked everywhere: the
 * bytes, and that the evictor counts in the end what the index says. */
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
#include "tests/support/rig.h"

enum { KIB = 1 << 10, MIB = 1 << 20 };

static int setup(void **state)
{
	struct rig *r = malloc(sizeof(*r));

	rig_init(r);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	rig_destroy(*state);
	free(*state);
	return 0;
}

/* -- waiting -- */

struct waited {
	struct fill_wait wait;
	atomic_int answers, error;
};

static void answered(struct fill_wait *wait, int error)
{
	struct waited *w = container_of(wait, struct waited, wait);

	w->error = error;
	w->answers++;
}

static void want(struct rig *r, struct node *node, struct waited *w, uint64_t start, uint64_t length)
{
	*w = (struct waited){ .wait = { .start = start, .end = start + length, .done = answered } };
	lock_take(&node->lock);
	fill_want_locked(r->cache.flow.fills, node, &w->wait);
	lock_drop(&node->lock);
}

static void sleep_ms(int ms)
{
	const struct timespec t = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&t, NULL);
}

static int answer_of(struct waited *w)
{
	int64_t deadline_ms = clock_ms() + 10000;

	while (!w->answers && clock_ms() < deadline_ms)
		sleep_ms(1);
	assert_int_equal(w->answers, 1);
	return w->error;
}

static void assert_waiting(struct waited *w)
{
	sleep_ms(30);
	assert_int_equal(w->answers, 0);
}

static int get(struct rig *r, struct node *node, uint64_t start, uint64_t length)
{
	return fill_wait_for(r->cache.flow.fills, node, start, start + length);
}

static void check_bytes(struct node *node, unsigned seed, uint64_t start, uint64_t length)
{
	uint8_t *bytes = malloc(length);

	lock_take(&node->lock);
	assert_true(node_covers_locked(node, start, start + length));
	assert_int_equal(node_open_blob_locked(node), 0);
	struct open_blob *open = open_blob_get(node->locked.open);
	lock_drop(&node->lock);
	assert_int_equal(blob_read(open->fd, start, bytes, length), 0);
	open_blob_put(&open);
	for (uint64_t i = 0; i < length; i++)
		if (bytes[i] != faulty_byte(seed, start + i))
			fail_msg("wrong byte at %llu", (unsigned long long)(start + i));
	free(bytes);
}

/* -- what is fetched -- */

static void small_objects_are_fetched_whole(void **state)
{
	struct rig *r = *state;
	rig_start(r);
	struct node *first = rig_node(r, rig_file(r, "first", 10, 1, 0));
	assert_int_equal(get(r, first, 0, 10), 0); /* takes a batch of blob numbers */
	rig_rest(first);
	struct node *node = rig_node(r, rig_file(r, "small", 100000, 2, 0));
	uint64_t before = index_changes(r->cache.flow.index);

	assert_int_equal(get(r, node, 70000, 10), 0);
	check_bytes(node, 2, 70000, 10);
	rig_rest(node);
	check_bytes(node, 2, 0, 100000);
	assert_int_equal(index_changes(r->cache.flow.index), before + 1);
	assert_int_equal(faulty_counts(r->faulty).gets, 2);
	struct node_record record = rig_record(r, node_ino(node));
	assert_int_equal(record.content, CONTENT_CLEAN);
	assert_true(record.blob != 0 && record.present_bytes == 0);
	assert_int_equal(node->locked.reserved, space_of(100000));
	node_put(&first);
	node_put(&node);
	rig_check_space(r);
}

static void two_readers_cause_one_get(void **state)
{
	struct rig *r = *state;
	struct waited a, b, c;
	rig_start(r);
	struct node *node = rig_node(r, rig_file(r, "one", 300000, 3, 0));

	faulty_gate(r->faulty, 0, 1 * MIB);
	want(r, node, &a, 0, 1000);
	want(r, node, &b, 500, 1000);
	assert_int_equal(faulty_wait_at_gate(r->faulty, 1), 1);
	want(r, node, &c, 299999, 1);
	assert_waiting(&a);
	faulty_gate_open(r->faulty);
	assert_int_equal(answer_of(&a) | answer_of(&b) | answer_of(&c), 0);
	rig_rest(node);
	assert_int_equal(faulty_counts(r->faulty).gets, 1);
	want(r, node, &a, 0, 300000); /* too late, and answered all the same */
	assert_int_equal(answer_of(&a), 0);
	node_put(&node);
	rig_check_space(r);
}

static void answers_come_with_the_bytes(void **state)
{
	struct rig *r = *state;
	struct waited early, late;
	rig_start(r);
	struct node *node = rig_node(r, rig_file(r, "o", 4 * MIB, 4, 0));

	faulty_gate(r->faulty, 128 * KIB, 4 * MIB);
	want(r, node, &late, 1 * MIB, 4 * KIB);
	want(r, node, &early, 0, 128 * KIB);
	assert_int_equal(answer_of(&early), 0);
	check_bytes(node, 4, 0, 128 * KIB);
	assert_waiting(&late);
	faulty_gate(r->faulty, 2 * MIB, 4 * MIB);
	assert_int_equal(answer_of(&late), 0);
	faulty_gate_open(r->faulty);
	rig_rest(node);
	assert_int_equal(faulty_counts(r->faulty).gets, 1);
	assert_int_equal(rig_record(r, node_ino(node)).content, CONTENT_CLEAN);
	node_put(&node);
	rig_check_space(r);
}

static void a_seek_does_not_wait(void **state)
{
	struct rig *r = *state;
	struct waited whole, seek, first;
	rig_start(r);
	struct node *node = rig_node(r, rig_file(r, "video", 99 * MIB, 5, 0));

	want(r, node, &first, 0, 128 * KIB);
	assert_int_equal(answer_of(&first), 0);
	faulty_gate(r->faulty, 0, 20 * MIB);
	lock_take(&node->lock);
	for (uint64_t at = 0; at < 128 * KIB; at += 4 * KIB)
		fill_ahead_locked(r->cache.flow.fills, node, at, at + 4 * KIB);
	lock_drop(&node->lock);
	want(r, node, &seek, 80 * MIB + 70000, 4 * KIB);
	assert_int_equal(answer_of(&seek), 0);
	check_bytes(node, 5, 80 * MIB + 70000, 4 * KIB);
	faulty_gate_open(r->faulty);
	rig_rest(node);
	lock_take(&node->lock);
	assert_true(ranges_bytes(&node->locked.present) <= 4 * MIB);
	assert_true(ranges_cover(&node->locked.present, 80 * MIB + 64 * KIB, 80 * MIB + 256 * KIB));
	lock_drop(&node->lock);

	/* And somebody who wants it all does not keep the others waiting. */
	faulty_gate(r->faulty, 4 * MIB, 40 * MIB);
	want(r, node, &whole, 0, 99 * MIB);
	assert_true(faulty_wait_at_gate(r->faulty, 3) >= 3);
	want(r, node, &seek, 60 * MIB, 4 * KIB);
	faulty_gate(r->faulty, 8 * MIB, 40 * MIB);
	assert_int_equal(answer_of(&seek), 0);
	assert_waiting(&whole);
	faulty_gate_open(r->faulty);
	assert_int_equal(answer_of(&whole), 0);
	rig_rest(node);
	check_bytes(node, 5, 0, 99 * MIB);
	assert_int_equal(faulty_counts(r->faulty).bytes, 99 * MIB); /* not one byte twice */
	assert_int_equal(rig_record(r, node_ino(node)).content, CONTENT_CLEAN);
	assert_int_equal(node->locked.reserved, 99 * MIB);
	node_put(&node);
	rig_check_space(r);
}

static void reading_on_is_read_ahead(void **state)
{
	struct rig *r = *state;
	rig_start(r);
	struct node *node = rig_node(r, rig_file(r, "video", 40 * MIB + 123, 6, 0));
	uint64_t ahead = 0, size = 40 * MIB + 123;

	for (uint64_t at = 0; at < size; at += 128 * KIB) {
		uint64_t length = size - at < 128 * KIB ? size - at : 128 * KIB;
		assert_int_equal(get(r, node, at, length), 0);
		check_bytes(node, 6, at, length);
		lock_take(&node->lock);
		fill_ahead_locked(r->cache.flow.fills, node, at, at + length);
		uint64_t here = ranges_bytes(&node->locked.present);
		if (node->locked.content == CONTENT_REMOTE && here > at + length && here - at - length > ahead)
			ahead = here - at - length;
		lock_drop(&node->lock);
	}
	rig_rest(node);
	assert_true(ahead >= 1 * MIB && ahead <= FILL_AHEAD_MAX + 4 * MIB);
	assert_true(faulty_counts(r->faulty).gets <= 40);
	assert_int_equal(faulty_counts(r->faulty).bytes, size);
	assert_int_equal(rig_record(r, node_ino(node)).content, CONTENT_CLEAN);
	node_put(&node);
	rig_check_space(r);
}

static void ranges_outlive_a_restart(void **state)
{
	struct rig *r = *state;
	rig_start(r);
	uint64_t ino = rig_file(r, "video", 20 * MIB, 7, 0);
	struct node *node = rig_node(r, ino);

	assert_int_equal(get(r, node, 0, 1 * MIB), 0);
	assert_int_equal(get(r, node, 10 * MIB, 1 * MIB), 0);
	rig_rest(node);
	node_put(&node);
	uint64_t before = faulty_counts(r->faulty).bytes;
	assert_true(before < 4 * MIB);
	rig_stop(r);

	rig_start(r);
	node = rig_node(r, ino);
	check_bytes(node, 7, 0, 1 * MIB);
	check_bytes(node, 7, 10 * MIB, 1 * MIB);
	assert_int_equal(faulty_counts(r->faulty).bytes, before);
	assert_int_equal(get(r, node, 0, 20 * MIB), 0);
	rig_rest(node);
	check_bytes(node, 7, 0, 20 * MIB);
	assert_int_equal(faulty_counts(r->faulty).bytes, 20 * MIB);
	node_put(&node);
	rig_check_space(r);
}

static void write_pattern(const char *path, uint64_t size, unsigned seed)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	for (uint64_t i = 0; i < size; i++)
		assert_int_not_equal(putc(faulty_byte(seed, i), file), EOF);
	assert_int_equal(fclose(file), 0);
}

static void a_folder_is_a_bucket_too(void **state)
{
	struct rig *r = *state;
	char folder[128], path[160], spec[160];
	rig_start(r); /* only to have the nodes' etags unknown below: no object is put */
	uint64_t small = rig_file(r, "small", 5000, 0, 0), large = rig_file(r, "large", 9 * MIB, 0, 0);
	rig_stop(r);
	snprintf(folder, sizeof(folder), "%s/bucket", r->folder);
	assert_int_equal(mkdir(folder, 0700), 0);
	snprintf(path, sizeof(path), "%s/small", folder);
	write_pattern(path, 5000, 3);
	snprintf(path, sizeof(path), "%s/large", folder);
	write_pattern(path, 9 * MIB, 4);
	snprintf(spec, sizeof(spec), "file://%s", folder);
	r->config.bucket.spec = spec;
	rig_start(r);
	struct node *a = rig_node(r, small), *b = rig_node(r, large);

	assert_int_equal(get(r, a, 0, 5000), 0);
	check_bytes(a, 3, 0, 5000);
	assert_int_equal(get(r, b, 7 * MIB, 1000), 0);
	check_bytes(b, 4, 7 * MIB, 1000);
	rig_rest(b);
	write_pattern(path, 9 * MIB, 5);
	assert_int_equal(get(r, b, 1 * MIB, 1000), -ESTALE);
	assert_int_equal(get(r, b, 0, 9 * MIB), 0);
	check_bytes(b, 5, 0, 9 * MIB);
	rig_rest(a);
	rig_rest(b);
	node_put(&a);
	node_put(&b);
	rig_check_space(r);
	rig_stop(r);
}

/* -- what goes wrong -- */

static void a_failed_range_fails_its_readers_only(void **state)
{
	struct rig *r = *state;
	struct waited bad, good;
	rig_start(r);
	struct node *node = rig_node(r, rig_file(r, "video", 30 * MIB, 8, 0));

	faulty_gate(r->faulty, 0, 1 * MIB);
	want(r, node, &good, 0, 4 * KIB);
	assert_int_equal(faulty_wait_at_gate(r->faulty, 1), 1);
	faulty_set(r->faulty, &(struct faulty_knobs){ .fail_gets = 99, .fail_error = -EACCES });
	want(r, node, &bad, 10 * MIB, 4 * KIB);
	assert_int_equal(answer_of(&bad), -EIO);
	assert_waiting(&good);
	faulty_gate_open(r->faulty);
	assert_int_equal(answer_of(&good), 0);
	rig_rest(node);

	/* What came before the failure stays, and is not fetched again. */
	faulty_set(r->faulty, &(struct faulty_knobs){ .fail_gets = 1, .fail_error = -EACCES,
						       .fail_after = 100 * KIB });
	uint64_t before = faulty_counts(r->faulty).bytes;
	assert_int_equal(get(r, node, 20 * MIB, 300 * KIB), -EIO);
	rig_rest(node);
	rig_check_space(r);
	check_bytes(node, 8, 20 * MIB, 64 * KIB);
	assert_int_equal(get(r, node, 20 * MIB, 300 * KIB), 0);
	rig_rest(node);
	check_bytes(node, 8, 20 * MIB, 300 * KIB);
	lock_take(&node->lock);
	uint64_t here = ranges_bytes(&node->locked.present);
	lock_drop(&node->lock);
	assert_int_equal(faulty_counts(r->faulty).bytes - before + 1 * MIB, here);
	node_put(&node);
	rig_check_space(r);
}

static void nothing_is_kept_of_nothing(void **state)
{
	struct rig *r = *state;
	rig_start(r);
	struct node *node = rig_node(r, rig_file(r, "gone", 1000, 9, 0));

	faulty_remove(r->faulty, "gone");
	assert_int_equal(get(r, node, 0, 1000), -EIO);
	rig_rest(node);
	assert_true(node->locked.blob == 0 && node->locked.published_blob == 0 &&
		    node->locked.reserved == 0);
	assert_int_equal(rig_record(r, node_ino(node)).blob, 0);
	assert_false(rig_was_changed(r, node_ino(node)));
	node_put(&node);
	rig_check_space(r);
}

struct broken {
	const char *what;
	struct faulty_knobs knobs;
	uint64_t size, start;
};

static void broken_answers_are_never_served(void **state)
{
	static const struct broken cases[] = {
		{ "short", { .short_by = 1 }, 50000, 49000 },
		{ "short large", { .short_by = 70000 }, 9 * MIB, 0 },
		{ "longer by its headers", { .size_lie = 1 }, 50000, 0 },
		{ "shorter by its headers", { .size_lie = (uint64_t)-1 }, 50000, 0 },
		{ "refused", { .fail_gets = 99, .fail_error = -EINVAL }, 50000, 0 },
		{ "garbled", { .fail_gets = 99, .fail_error = -EPROTO, .fail_after = 20000 }, 50000, 0 },
		{ "away", { .fail_gets = 99, .fail_error = -EHOSTDOWN }, 50000, 0 },
	};
	struct rig *r = *state;
	r->config.io_timeout_ms = 300;
	rig_start(r);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct broken *c = &cases[i];
		struct node *node = rig_node(r, rig_file(r, c->what, c->size, 10, 0));
		uint64_t end = c->size < 1 * MIB ? c->size : 1 * MIB;
		faulty_set(r->faulty, &c->knobs);
		assert_int_equal(get(r, node, c->start, end - c->start), -EIO);
		rig_rest(node);
		assert_int_equal(rig_record(r, node_ino(node)).version, 0);
		faulty_set(r->faulty, &(struct faulty_knobs){ .take_bytes = 0 });
		assert_int_equal(get(r, node, c->start, end - c->start), 0);
		rig_rest(node);
		check_bytes(node, 10, 0, end);
		node_put(&node);
	}
	rig_check_space(r);
}

static void check_replaced(struct rig *r, struct node *node, uint64_t size, unsigned seed)
{
	struct node_record record = rig_record(r, node_ino(node));

	assert_true(rig_was_changed(r, node_ino(node)));
	assert_int_equal(record.version, 1);
	assert_int_equal(node->locked.epoch, 1);
	assert_int_equal(record.size, size);
	assert_int_equal(node->locked.size, size);
	assert_int_equal(get(r, node, 0, 100000), 0);
	assert_int_equal(get(r, node, size - 100000, 100000), 0);
	rig_rest(node);
	check_bytes(node, seed, 0, 100000);
	check_bytes(node, seed, size - 100000, 100000);
}

static void a_replaced_object_is_never_mixed(void **state)
{
	static const struct {
		bool no_if_match;
		uint64_t size;
	} cases[] = { { false, 20 * MIB }, { true, 20 * MIB }, { false, 12 * MIB }, { true, 30 * MIB },
		      { false, 2 * MIB } };
	struct rig *r = *state;
	char name[16];
	rig_start(r);

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct waited other;
		snprintf(name, sizeof(name), "v%u", i);
		struct node *node = rig_node(r, rig_file(r, name, 20 * MIB, 20 + i, 0));
		assert_int_equal(get(r, node, 0, 100000), 0);
		faulty_gate(r->faulty, 6 * MIB, 7 * MIB);
		want(r, node, &other, 6 * MIB, 4 * KIB);
		assert_int_equal(faulty_wait_at_gate(r->faulty, 1), 1);

		faulty_put(r->faulty, name, cases[i].size, 40 + i, NULL);
		faulty_set(r->faulty, &(struct faulty_knobs){ .no_if_match = cases[i].no_if_match });
		assert_int_equal(get(r, node, 15 * MIB, 100000), -ESTALE);
		assert_int_equal(answer_of(&other), -ESTALE); /* although its own bytes are under way */
		faulty_gate_open(r->faulty);
		rig_rest(node);
		check_replaced(r, node, cases[i].size, 40 + i);
		node_put(&node);
	}
	rig_check_space(r);
}

static void an_unknown_etag_is_learned(void **state)
{
	struct rig *r = *state;
	rig_start(r);
	faulty_put(r->faulty, "n", 20 * MIB, 11, "first");
	struct node *node = rig_node(r, rig_file(r, "n", 20 * MIB, 0, 0));

	assert_int_equal(get(r, node, 0, 1000), 0);
	rig_rest(node);
	assert_string_equal(rig_record(r, node_ino(node)).etag, "first");
	faulty_put(r->faulty, "n", 20 * MIB, 12, "second");
	assert_int_equal(get(r, node, 10 * MIB, 1000), -ESTALE);
	rig_rest(node);
	check_replaced(r, node, 20 * MIB, 12);
	node_put(&node);
	rig_check_space(r);
}

/* -- names that move -- */

static uint64_t moving;

/* The rename commits, and the sender moves the object, between the fill's look at the index and its request. */
static void move_object(void *arg, const char *key, uint64_t offset)
{
	struct rig *r = arg;
	struct node_record record = rig_record(r, moving);
	struct txn *txn;

	(void)offset;
	if (strcmp(key, "from") != 0)
		return;
	assert_int_equal(txn_begin_write(r->cache.flow.index, &txn), 0);
	assert_int_equal(names_delete(txn, INO_ROOT, "from", false), 0);
	assert_int_equal(names_put(txn, INO_ROOT, "to", false, moving, 0), 0);
	strcpy(record.name, "to");
	assert_int_equal(nodes_put(txn, &record), 0);
	assert_int_equal(txn_commit(&txn), 0);
	faulty_put(r->faulty, "to", 5 * MIB, 13, NULL);
}

static void a_renamed_object_is_found(void **state)
{
	struct rig *r = *state;
	rig_start(r);
	moving = rig_file(r, "from", 5 * MIB, 13, 0);
	struct node *node = rig_node(r, moving);

	faulty_remove(r->faulty, "from");
	faulty_set(r->faulty, &(struct faulty_knobs){ .on_get = move_object, .arg = r });
	assert_int_equal(get(r, node, 0, 1000), 0);
	check_bytes(node, 13, 0, 1000);
	rig_rest(node);
	node_put(&node);
	rig_check_space(r);
}

static void the_home_is_where_the_object_is(void **state)
{
	struct rig *r = *state;
	struct txn *txn;
	rig_start(r);
	uint64_t ino = rig_file(r, "name", 1000, 14, 0);
	faulty_put(r->faulty, "home", 1000, 14, NULL);
	faulty_remove(r->faulty, "name");
	struct node_record record = rig_record(r, ino);
	strcpy(record.home, "home");
	assert_int_equal(txn_begin_write(r->cache.flow.index, &txn), 0);
	assert_int_equal(nodes_put(txn, &record), 0);
	assert_int_equal(txn_commit(&txn), 0);

	struct node *node = rig_node(r, ino);
	assert_int_equal(get(r, node, 0, 1000), 0);
	check_bytes(node, 14, 0, 1000);
	rig_rest(node);
	node_put(&node);
}

/* -- others change the node meanwhile -- */

static void a_content_that_ends_frees_its_readers(void **state)
{
	struct rig *r = *state;
	struct waited w;
	struct txn *txn;
	rig_start(r);
	struct node *node = rig_node(r, rig_file(r, "gone", 1 * MIB, 15, 0));

	faulty_gate(r->faulty, 512 * KIB, 1 * MIB);
	want(r, node, &w, 0, 1 * MIB);
	assert_int_equal(faulty_wait_at_gate(r->faulty, 1), 1);
	lock_take(&node->lock); /* as unlink does with a node that nobody has open */
	assert_int_equal(txn_begin_write(r->cache.flow.index, &txn), 0);
	assert_int_equal(nodes_delete(txn, node_ino(node)), 0);
	assert_int_equal(txn_commit(&txn), 0);
	node->locked.gone = true;
	checkpoint_condemn(r->cache.flow.checkpoints, node->locked.published_blob, node->locked.reserved);
	lock_drop(&node->lock);
	faulty_gate_open(r->faulty);
	assert_int_equal(answer_of(&w), 0);
	rig_rest(node);
	node_put(&node);
	rig_check_space(r);
}

static void a_draft_lies_over_a_fill(void **state)
{
	struct rig *r = *state;
	struct waited w;
	rig_start(r);
	struct node *node = rig_node(r, rig_file(r, "draft", 20 * MIB, 16, 0));

	faulty_gate(r->faulty, 512 * KIB, 1 * MIB);
	want(r, node, &w, 0, 1 * MIB);
	assert_int_equal(faulty_wait_at_gate(r->faulty, 1), 1);
	lock_take(&node->lock); /* as O_TRUNC does */
	open_blob_put(&node->locked.open);
	node->locked.published_reserved = node->locked.reserved;
	node->locked.reserved = 0;
	node->locked.blob = node->locked.size = 0;
	node->locked.draft = true;
	lock_drop(&node->lock);
	faulty_gate_open(r->faulty);
	assert_int_equal(answer_of(&w), 0);
	rig_rest(node);
	lock_take(&node->lock); /* as a failed handle does */
	node->locked.draft = false;
	node->locked.blob = node->locked.published_blob;
	node->locked.reserved = node->locked.published_reserved;
	node->locked.published_reserved = 0;
	node->locked.size = node->locked.published_size;
	lock_drop(&node->lock);
	check_bytes(node, 16, 0, 256 * KIB);
	assert_int_equal(get(r, node, 0, 20 * MIB), 0);
	rig_rest(node);
	check_bytes(node, 16, 0, 20 * MIB);
	node_put(&node);
	rig_check_space(r);
}

/* -- guesses -- */

static void the_first_answer_says_what_it_is(void **state)
{
	struct rig *r = *state;
	const struct object_attrs file = { true, S_IFREG | 06711, 33, 34, 1234567890123456789 };
	const struct object_attrs link = { true, S_IFLNK | 0777, 1, 2, 0 };
	rig_start(r);
	uint64_t a = rig_file(r, "a", 1000, 17, NODE_GUESSED), b = rig_file(r, "b", 7, 18, NODE_GUESSED);
	uint64_t c = rig_file(r, "c", 0, 19, NODE_GUESSED), d = rig_file(r, "d", 30 * MIB, 20, NODE_GUESSED);
	faulty_attrs(r->faulty, "a", &file);
	faulty_attrs(r->faulty, "b", &link);
	faulty_attrs(r->faulty, "c", &file);
	faulty_attrs(r->faulty, "d", &file);
	static const int results[] = { 0, -ESTALE, 0, 0 };
	const uint64_t inos[] = { a, b, c, d };

	for (size_t i = 0; i < 4; i++) {
		struct node *node = rig_node(r, inos[i]);
		if (i == 3)
			assert_int_equal(get(r, node, 0, 10), 0);
		else
			assert_int_equal(fill_attrs(r->cache.flow.fills, node), results[i]);
		rig_rest(node);
		struct node_record record = rig_record(r, inos[i]);
		assert_int_equal(record.flags & NODE_GUESSED, 0);
		assert_int_equal(record.mode, i == 1 ? (S_IFLNK | 0777) : (S_IFREG | 0711));
		assert_int_equal(record.uid, i == 1 ? 1 : 33);
		assert_int_equal(record.mtime_ns, i == 1 ? 0 : file.mtime_ns);
		assert_true(rig_was_changed(r, inos[i]));
		assert_false(node->locked.guessed);
		node_put(&node);
	}
	rig_check_space(r);
}

static void what_was_set_here_stays(void **state)
{
	struct rig *r = *state;
	const struct object_attrs attrs = { true, S_IFREG | 0755, 33, 34, 1234567890123456789 };
	struct txn *txn;
	rig_start(r);
	uint64_t ino = rig_file(r, "a", 1000, 17, NODE_GUESSED);
	faulty_attrs(r->faulty, "a", &attrs);
	struct node_record record = rig_record(r, ino);
	record.mode = S_IFREG | 0600; /* as chmod(2) does */
	record.ctime_ns = clock_wall_ns();
	assert_int_equal(txn_begin_write(r->cache.flow.index, &txn), 0);
	assert_int_equal(nodes_put(txn, &record), 0);
	assert_int_equal(txn_commit(&txn), 0);

	struct node *node = rig_node(r, ino);
	assert_int_equal(fill_attrs(r->cache.flow.fills, node), 0);
	rig_rest(node);
	node_put(&node);
	record = rig_record(r, ino);
	assert_int_equal(record.mode, S_IFREG | 0600);
	assert_int_equal(record.uid, 0);
	assert_int_equal(record.flags & NODE_GUESSED, 0);
}

/* -- room -- */

static void the_limit_holds_while_filling(void **state)
{
	struct rig *r = *state;
	char name[16];
	r->config.cache_size_bytes = 16 * MIB;
	rig_start(r);

	for (unsigned i = 0; i < 60; i++) {
		struct evict_stats stats;
		uint64_t size = i % 7 ? 1 * MIB + 5 : 9 * MIB;
		snprintf(name, sizeof(name), "f%u", i);
		struct node *node = rig_node(r, rig_file(r, name, size, 30 + i, 0));
		assert_int_equal(get(r, node, 0, 1 * MIB), 0);
		lock_take(&node->lock);
		fill_ahead_locked(r->cache.flow.fills, node, 0, 1 * MIB);
		lock_drop(&node->lock);
		check_bytes(node, 30 + i, 0, 1 * MIB);
		evict_stats_read(r->cache.flow.evicts, &stats);
		assert_true(stats.used <= stats.limit);
		node_put(&node);
	}
	rig_check_space(r);

	/* More than there can ever be room for: an error, soon, and what was there before is in order. */
	struct node *node = rig_node(r, rig_file(r, "huge", 40 * MIB, 99, 0));
	assert_int_equal(get(r, node, 0, 40 * MIB), -EIO);
	rig_rest(node);
	node_put(&node);
	rig_check_space(r);
}

/* -- the end -- */

static void *wait_whole(void *arg)
{
	struct node *node = arg;

	return (void *)(intptr_t)fill_wait_for(node->flow->fills, node, 0, 20 * MIB);
}

static void stop_answers_everybody(void **state)
{
	struct rig *r = *state;
	struct waited waits[20];
	pthread_t thread;
	void *result;
	char name[16];
	r->config.downloads = 2;
	rig_start(r);
	struct node *large = rig_node(r, rig_file(r, "large", 20 * MIB, 1, 0)), *small[20];

	faulty_gate(r->faulty, 0, 99 * MIB);
	assert_int_equal(pthread_create(&thread, NULL, wait_whole, large), 0);
	for (unsigned i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "s%u", i);
		small[i] = rig_node(r, rig_file(r, name, 1000, 2, 0));
		want(r, small[i], &waits[i], 0, 1000);
	}
	assert_int_equal(faulty_wait_at_gate(r->faulty, 2), 2);
	bucket_stop(r->cache.flow.bucket);
	sleep_ms(20); /* it is stopped before the fills are, and nothing spins or hangs meanwhile */
	evicts_stop(r->cache.flow.evicts);
	fills_stop(r->cache.flow.fills);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_int_equal((intptr_t)result, -ECANCELED);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(answer_of(&waits[i]), -ECANCELED);
		assert_null(small[i]->locked.fill);
	}
	assert_int_equal(get(r, large, 0, 10), -ECANCELED);
	struct waited late;
	want(r, large, &late, 0, 10);
	for (unsigned i = 0; i < 20; i++)
		node_put(&small[i]);
	node_put(&large);
	rig_stop(r);
	assert_int_equal(answer_of(&late), -ECANCELED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct log_config quiet = { .level = LOG_LEVEL_ERROR };
	const struct CMUnitTest tests[] = {
		TEST(small_objects_are_fetched_whole),
		TEST(two_readers_cause_one_get),
		TEST(answers_come_with_the_bytes),
		TEST(a_seek_does_not_wait),
		TEST(reading_on_is_read_ahead),
		TEST(ranges_outlive_a_restart),
		TEST(a_folder_is_a_bucket_too),
		TEST(a_failed_range_fails_its_readers_only),
		TEST(nothing_is_kept_of_nothing),
		TEST(broken_answers_are_never_served),
		TEST(a_replaced_object_is_never_mixed),
		TEST(an_unknown_etag_is_learned),
		TEST(a_renamed_object_is_found),
		TEST(the_home_is_where_the_object_is),
		TEST(a_content_that_ends_frees_its_readers),
		TEST(a_draft_lies_over_a_fill),
		TEST(the_first_answer_says_what_it_is),
		TEST(what_was_set_here_stays),
		TEST(the_limit_holds_while_filling),
		TEST(stop_answers_everybody),
	};

	log_setup(&quiet);
	return cmocka_run_group_tests_name("fill", tests, NULL, NULL);
}
