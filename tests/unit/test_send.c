/* The sender where the bucket does what it is told, one behaviour a test, over a real index and real blobs. */
#include "send_fixture.h"

/* -- the plain ways -- */

static void test_put(void **state)
{
	(void)state;
	send_rig_start(&rig);
	put("a", "one");
	put("empty", "");
	ok(send_rig_mkdir(&rig, "d"));
	put("d/b", "two");
	drain();
	expect_object("a", "one");
	expect_object("empty", "");
	expect_object("d/b", "two");
	assert_int_equal(send_rig_node(&rig, "a").content, CONTENT_CLEAN);
	assert_int_equal(store_calls(rig.store, BUCKET_PUT), 3);
	assert_int_equal(stats().puts, 3);
	assert_int_equal(stats().bytes, 6);
	ok(send_rig_unlink(&rig, "a"));
	put("d/b", "three");
	drain();
	expect_object("a", NULL);
	expect_object("d/b", "three");
	assert_int_equal(stats().removes, 1);
}

static void test_nothing_before_the_checkpoint(void **state)
{
	(void)state;
	struct pending_record record;
	send_rig_start(&rig);
	for (int i = 0; i < 200; i++) {
		char text[32];
		snprintf(text, sizeof(text), "%d", i);
		put("a", text);
		assert_true(send_rig_pending(&rig, "a", &record));
		bool sent = store_get(rig.store, "a", NULL, NULL);
		assert_true(!sent || index_covered(rig.cache.flow.index) > 0);
		assert_true(record.txn > index_covered(rig.cache.flow.index));
		send_kick(rig.cache.flow.sends);
		if (i % 50 == 49)
			cover();
	}
	drain();
	assert_in_range(store_calls(rig.store, BUCKET_PUT), 1, 8);
}

/* A wish that came and went between two checkpoints makes no request. */
static void test_forgotten(void **state)
{
	(void)state;
	bool quiet = false;
	send_rig_start(&rig);
	for (int i = 0; i < 50 && !quiet; i++) { /* a checkpoint may just come in between */
		struct buf story AUTO_BUF = BUF_EMPTY;
		cover();
		put("a", "one");
		ok(send_rig_unlink(&rig, "a"));
		drain();
		store_story(rig.store, &story);
		quiet = !story.length;
	}
	assert_true(quiet);
}

static void test_new_file_waits_for_its_first_flush(void **state)
{
	(void)state;
	struct file *file;
	send_rig_start(&rig);
	ok(send_rig_open_new(&rig, "a", &file));
	cover();
	ok(send_rig_write_at(file, 0, "one", 3));
	cover();
	sleep_ms(100);
	expect_story("");
	ok(file_flush(file));
	file_close(&file);
	drain();
	expect_story("put a, ");
}

static void test_restart(void **state)
{
	(void)state;
	send_rig_start(&rig);
	set(&(struct store_knobs){.fail = 1000});
	put("a", "one");
	put("b", "two");
	cover();
	send_rig_stop(&rig, true);
	set(&(struct store_knobs){.fail = 0});
	forget_story();
	send_rig_start(&rig);
	assert_int_equal(rig.found, INDEX_CLEAN);
	drain();
	expect_object("a", "one");
	expect_object("b", "two");
}

/* -- changed while it is under way -- */

static void test_put_put(void **state)
{
	(void)state;
	send_rig_start(&rig);
	store_gate(rig.store, "a");
	put("a", "one");
	cover();
	assert_int_equal(store_at_gate(rig.store, 1), 1);
	put("a", "two");
	cover();
	sleep_ms(50);
	store_gate_open(rig.store);
	drain();
	expect_object("a", "two");
	expect_story("put a, put a, ");
}

static void test_put_remove_put(void **state)
{
	(void)state;
	send_rig_start(&rig);
	store_gate(rig.store, "a");
	put("a", "one");
	cover();
	store_at_gate(rig.store, 1);
	ok(send_rig_unlink(&rig, "a"));
	cover();
	store_gate_open(rig.store);
	drain();
	expect_object("a", NULL);
	expect_story("put a, remove a, ");

	put("a", "one");
	drain();
	store_gate(rig.store, "a");
	ok(send_rig_unlink(&rig, "a"));
	cover();
	store_at_gate(rig.store, 1);
	put("a", "two");
	cover();
	sleep_ms(50);
	store_gate_open(rig.store);
	drain();
	expect_object("a", "two");
	expect_story("put a, remove a, put a, ");
}

/* Unlinked while its first PUT is under way, and before the next checkpoint: the object must go all the same. */
static void test_remove_of_what_is_under_way(void **state)
{
	(void)state;
	send_rig_start(&rig);
	for (int rewrite = 0; rewrite < 2; rewrite++) {
		store_gate(rig.store, "a");
		put("a", "one");
		cover();
		store_at_gate(rig.store, 1);
		if (rewrite)
			put("a", "two");
		ok(send_rig_unlink(&rig, "a"));
		store_gate_open(rig.store);
		drain();
		expect_object("a", NULL);
	}
}

static void test_append_while_sending(void **state)
{
	(void)state;
	struct stat st;
	struct file *file;
	send_rig_start(&rig);
	store_gate(rig.store, "a");
	put("a", "one");
	cover();
	store_at_gate(rig.store, 1);
	ok(send_rig_look(&rig, "a", &st));
	ok(file_open(&rig.cache, st.st_ino, O_RDWR, &file));
	ok(send_rig_write_at(file, 3, "more", 4));
	store_gate_open(rig.store);
	for (int i = 0; i < 2000 && !store_get(rig.store, "a", NULL, NULL); i++)
		sleep_ms(5);
	expect_object("a", "one");
	ok(file_flush(file));
	file_close(&file);
	drain();
	expect_object("a", "onemore");
}

/* -- names -- */

static void test_rename_copies(void **state)
{
	(void)state;
	send_rig_start(&rig);
	put("a", "one");
	drain();
	forget_story();
	ok(send_rig_rename(&rig, "a", "b", 0));
	drain();
	expect_object("b", "one");
	expect_story("copy b, remove a, ");
	assert_true(send_rig_evict(&rig, "b"));
	ok(send_rig_rename(&rig, "b", "c", 0));
	drain();
	expect_object("c", "one");
	expect_story("copy c, remove b, ");
}

/* The old name is not deleted before a checkpoint knows of the new object. */
static void test_rename_and_back(void **state)
{
	(void)state;
	send_rig_start(&rig);
	put("a", "one");
	drain();
	store_gate(rig.store, "b");
	ok(send_rig_rename(&rig, "a", "b", 0));
	cover();
	store_at_gate(rig.store, 1);
	ok(send_rig_rename(&rig, "b", "a", 0));
	cover();
	expect_object("a", "one");
	store_gate_open(rig.store);
	drain();
	expect_object("a", "one");
	expect_object("b", NULL);
	forget_story();
	ok(send_rig_rename(&rig, "a", "b", 0));
	ok(send_rig_rename(&rig, "b", "a", 0));
	drain();
	assert_int_equal(store_calls(rig.store, BUCKET_COPY), 1); /* of the first time */
	expect_object("a", "one");
}

static void test_rename_over(void **state)
{
	(void)state;
	send_rig_start(&rig);
	put("a", "one");
	put("b", "two");
	put("c", "three");
	drain();
	for (int evict = 0; evict < 2; evict++) {
		put("a", "one");
		put("b", "two");
		put("c", "three");
		drain();
		if (evict) {
			assert_true(send_rig_evict(&rig, "a"));
			assert_true(send_rig_evict(&rig, "b"));
			assert_true(send_rig_evict(&rig, "c"));
		}
		ok(send_rig_rename(&rig, "b", "c", 0)); /* a chain: b waits for c, a for b */
		ok(send_rig_rename(&rig, "a", "b", 0));
		drain();
		expect_object("a", NULL);
		expect_object("b", "one");
		expect_object("c", "two");
	}
}

static void test_exchange(void **state)
{
	(void)state;
	send_rig_start(&rig);
	for (int evict = 0; evict < 4; evict++) {
		put("a", "one");
		put("b", "two");
		drain();
		assert_true(!(evict & 1) || send_rig_evict(&rig, "a"));
		assert_true(!(evict & 2) || send_rig_evict(&rig, "b"));
		ok(send_rig_rename(&rig, "a", "b", RENAME_EXCHANGE));
		drain();
		expect_object("a", "two");
		expect_object("b", "one");
	}
}

static void test_ring_of_three(void **state)
{
	(void)state;
	send_rig_start(&rig);
	for (int evict = 0; evict < 2; evict++) {
		put("a", "one");
		put("b", "two");
		put("c", "three");
		drain();
		for (int i = 0; evict && i < 3; i++)
			assert_true(send_rig_evict(&rig, (const char *[]){"a", "b", "c"}[i]));
		store_gate(rig.store, "x");
		ok(send_rig_rename(&rig, "a", "x", 0));
		ok(send_rig_rename(&rig, "b", "a", 0));
		ok(send_rig_rename(&rig, "c", "b", 0));
		ok(send_rig_rename(&rig, "x", "c", 0));
		store_gate_open(rig.store);
		drain();
		expect_object("a", "two");
		expect_object("b", "three");
		expect_object("c", "one");
	}
}

/* A file that takes its content along is wanted under all its names: the one it was moved for may go first. */
static void test_exchange_of_links(void **state)
{
	(void)state;
	send_rig_start(&rig);
	put("a", "one");
	ok(send_rig_link(&rig, "a", "l"));
	put("b", "two");
	drain();
	store_gate(rig.store, NULL);
	ok(send_rig_rename(&rig, "a", "b", RENAME_EXCHANGE));
	for (int i = 0; i < 2000 && send_rig_node(&rig, "l").content != CONTENT_DIRTY; i++)
		sleep_ms(5);
	assert_int_equal(send_rig_node(&rig, "l").content, CONTENT_DIRTY);
	ok(send_rig_unlink(&rig, "b"));
	store_gate_open(rig.store);
	drain();
	expect_object("a", "two");
	expect_object("l", "one");
}

static void test_links(void **state)
{
	(void)state;
	send_rig_start(&rig);
	put("b", "one");
	ok(send_rig_link(&rig, "b", "a"));
	ok(send_rig_link(&rig, "b", "c"));
	drain();
	expect_object("a", "one");
	expect_object("c", "one");
	ok(send_rig_link(&rig, "a", "d"));
	assert_true(send_rig_evict(&rig, "a"));
	drain();
	expect_object("d", "one");
	ok(send_rig_unlink(&rig, "b"));
	ok(send_rig_link(&rig, "c", "e"));
	drain();
	expect_object("e", "one");
	expect_object("b", NULL);
}

static void test_symlink(void **state)
{
	(void)state;
	struct object object;
	send_rig_start(&rig);
	ok(send_rig_symlink(&rig, "s", "there"));
	drain();
	expect_object("s", "there");
	assert_true(store_get(rig.store, "s", NULL, &object));
	assert_true(object.attrs.valid && S_ISLNK(object.attrs.mode));
	ok(send_rig_rename(&rig, "s", "t", 0));
	drain();
	assert_true(store_get(rig.store, "t", NULL, &object));
	assert_true(S_ISLNK(object.attrs.mode));
}

static void test_attrs(void **state)
{
	(void)state;
	struct attr_change change = {.fields = ATTR_MODE, .mode = 0600};
	struct object object;
	struct stat st;
	rig.config.bucket.attrs_object = true;
	send_rig_start(&rig);
	store_gate(rig.store, "a");
	put("a", "one");
	cover();
	store_at_gate(rig.store, 1);
	ok(send_rig_look(&rig, "a", &st));
	ok(tree_setattr(&rig.cache, st.st_ino, &change, &st)); /* while its PUT is under way */
	store_gate_open(rig.store);
	drain();
	expect_story("put a, copy a, ");
	assert_true(store_get(rig.store, "a", NULL, &object));
	assert_int_equal(object.attrs.mode, S_IFREG | 0600);
	change.mode = 0640;
	ok(tree_setattr(&rig.cache, st.st_ino, &change, &st));
	drain();
	expect_story("copy a, ");
	assert_true(store_get(rig.store, "a", NULL, &object));
	assert_int_equal(object.attrs.mode, S_IFREG | 0640);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(put), TEST(nothing_before_the_checkpoint), TEST(forgotten),
		TEST(new_file_waits_for_its_first_flush), TEST(restart), TEST(put_put),
		TEST(put_remove_put), TEST(remove_of_what_is_under_way),
		TEST(append_while_sending), TEST(rename_copies), TEST(rename_and_back),
		TEST(rename_over), TEST(exchange), TEST(ring_of_three), TEST(exchange_of_links),
		TEST(links), TEST(symlink), TEST(attrs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
