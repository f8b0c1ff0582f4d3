/* Pins: the set, what lies below them, what evicting makes of them. */
#include "cache/flow/evicts.h"
#include "cache/flow/pins.h"
#include "flow_fixture.h"

enum { PAGE = 4096, FILES = 10, FILE_PAGES = 96, LIMIT_PAGES = CACHE_BYTES / PAGE };

static int setup(void **state)
{
	int r = flow_setup(state);

	return r ? r : pins_open(&flow, &flow.pins);
}

static int teardown(void **state)
{
	int r = flow_teardown(state);

	pins_close(&flow.pins);
	return r;
}

static void start(void)
{
	assert_int_equal(checkpoints_start(flow.checkpoints), 0);
	assert_int_equal(evicts_start(flow.evicts), 0);
}

static void reopen(void)
{
	pins_close(&flow.pins);
	assert_int_equal(pins_open(&flow, &flow.pins), 0);
}

static size_t list(uint64_t out[PINS_MAX])
{
	return pins_list(flow.pins, out);
}

static int held(uint64_t ino)
{
	struct txn *txn = must_read(flow.index);
	struct node_record record;

	assert_int_equal(nodes_get(txn, ino, &record), 0);
	int r = pins_hold(flow.pins, txn, &record);
	txn_abort(&txn);
	return r;
}

static uint64_t make(uint64_t parent, const char *name, mode_t type)
{
	struct txn *txn = must_write(flow.index);
	uint64_t ino = must_make(txn, parent, name, type, 0);

	assert_int_equal(txn_commit(&txn), 0);
	return ino;
}

static void they_are_remembered(void **state)
{
	uint64_t a = make(INO_ROOT, "a", S_IFREG), b = make(INO_ROOT, "b", S_IFDIR), c = make(INO_ROOT, "c", S_IFREG);
	uint64_t out[PINS_MAX];

	(void)state;
	assert_false(pins_any(flow.pins));
	assert_false(pins_any(NULL));
	assert_int_equal(pins_add(flow.pins, c), 0);
	assert_int_equal(pins_add(flow.pins, a), 0);
	assert_int_equal(pins_add(flow.pins, b), 0);
	assert_int_equal(pins_add(flow.pins, b), 0);
	assert_int_equal(pins_add(flow.pins, 123456), -ENOENT);
	reopen();
	assert_int_equal(list(out), 3);
	assert_true(out[0] == a && out[1] == b && out[2] == c);
	assert_int_equal(pins_remove(flow.pins, b), 0);
	assert_int_equal(pins_remove(flow.pins, b), -ENOENT);
	struct txn *txn = must_write(flow.index);
	assert_int_equal(nodes_delete(txn, a), 0);
	assert_int_equal(txn_commit(&txn), 0);
	reopen(); /* what is gone is forgotten */
	assert_int_equal(list(out), 1);
	assert_true(out[0] == c && pins_any(flow.pins));
	assert_int_equal(pins_remove(flow.pins, c), 0);
	assert_false(pins_any(flow.pins));
}

static void they_are_not_too_many(void **state)
{
	uint64_t last = 0;

	(void)state;
	for (int i = 0; i <= PINS_MAX; i++) {
		char name[16];
		snprintf(name, sizeof(name), "f%d", i);
		last = make(INO_ROOT, name, S_IFREG);
		assert_int_equal(pins_add(flow.pins, last), i < PINS_MAX ? 0 : -EMLINK);
	}
	assert_int_equal(held(last), 0);
	assert_int_equal(held(last - 1), 1);
}

static void a_folder_holds_what_is_below(void **state)
{
	uint64_t a = make(INO_ROOT, "a", S_IFDIR), b = make(a, "b", S_IFDIR), c = make(b, "c", S_IFREG);
	uint64_t other = make(INO_ROOT, "other", S_IFREG);

	(void)state;
	assert_int_equal(held(c), 0);
	assert_int_equal(pins_add(flow.pins, a), 0);
	assert_int_equal(held(c), 1);
	assert_int_equal(held(b), 1);
	assert_int_equal(held(other), 0);
	assert_int_equal(pins_remove(flow.pins, a), 0);
	assert_int_equal(pins_add(flow.pins, INO_ROOT), 0);
	assert_int_equal(held(other), 1);
	assert_int_equal(held(c), 1);
}

static bool is_evicted(uint64_t ino)
{
	return record_of(ino).blob == 0;
}

static void make_files(uint64_t inos[FILES])
{
	for (int i = 0; i < FILES; i++) {
		char name[16];
		snprintf(name, sizeof(name), "file%d", i);
		inos[i] = make_file(name, CONTENT_CLEAN, FILE_PAGES * PAGE);
	}
}

static void what_is_pinned_goes_last(void **state)
{
	uint64_t inos[FILES];

	(void)state;
	make_files(inos);
	for (int i = 0; i < 5; i++) /* the oldest */
		assert_int_equal(pins_add(flow.pins, inos[i]), 0);
	start();
	flow.config.full_timeout_ms = 10000;
	assert_int_equal(space_reserve(flow.evicts, (uint64_t)4 * FILE_PAGES * PAGE, clock_ms() + 20000), 0);
	for (int i = 0; i < FILES; i++)
		assert_true(i >= 5 || !is_evicted(inos[i]));
	/* Now half of the cache is pinned and the rest is taken: a wait, and then it goes, but no more than is needed. */
	flow.config.full_timeout_ms = 3000;
	int64_t began_ms = clock_ms();
	assert_int_equal(space_reserve(flow.evicts, (uint64_t)3 * FILE_PAGES * PAGE, clock_ms() + 20000), 0);
	assert_true(clock_ms() - began_ms >= 1000);
	int gone = 0;
	for (int i = 0; i < 5; i++)
		gone += is_evicted(inos[i]);
	assert_in_range(gone, 1, 3);
}

static void one_is_evicted_by_hand(void **state)
{
	enum evict_answer answer;
	uint64_t freed, ino = make_file("f", CONTENT_CLEAN, PAGE), dirty = make_file("d", CONTENT_DIRTY, PAGE);
	struct node *node;

	(void)state;
	start();
	assert_int_equal(evict_node(flow.evicts, dirty, &answer, &freed), 0);
	assert_int_equal(answer, EVICT_DIRTY);
	assert_int_equal(node_get(flow.nodes, ino, &node), 0);
	node->locked.opens = 1;
	assert_int_equal(evict_node(flow.evicts, ino, &answer, &freed), 0);
	assert_true(answer == EVICT_OPEN && !freed);
	node->locked.opens = 0;
	node_put(&node);
	assert_int_equal(evict_node(flow.evicts, ino, &answer, &freed), 0);
	assert_true(answer == EVICT_DONE && freed == PAGE && is_evicted(ino));
	assert_int_equal(evict_node(flow.evicts, ino, &answer, &freed), 0);
	assert_true(answer == EVICT_EMPTY && !freed);
	assert_int_equal(evict_node(flow.evicts, 123456, &answer, &freed), 0);
	assert_int_equal(answer, EVICT_EMPTY);
}

#define PIN_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    PIN_TEST(they_are_remembered),	  PIN_TEST(they_are_not_too_many),
	    PIN_TEST(a_folder_holds_what_is_below), PIN_TEST(what_is_pinned_goes_last),
	    PIN_TEST(one_is_evicted_by_hand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
